"""python -m rec_engine: the program rec_engine."""

import sys

from rec_engine import _native


def main():
    return _native.run_program(["rec_engine", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
