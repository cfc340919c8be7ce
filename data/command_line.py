"""What these scripts share as programs: how they take arguments, tell progress, and end."""

import argparse
import signal
import sys
import time

from refused import Refused

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """One line written over on a terminal; elsewhere lines, some seconds apart."""

    def __init__(self, count, what, done):
        self.count, self.what, self.done_before, self.began = count, what, done, time.monotonic()
        self.is_terminal = sys.stdout.isatty()
        self.next_line = 0.0

    def show(self, done):
        now = time.monotonic()
        if not self.is_terminal and now < self.next_line and done < self.count:
            return
        self.next_line = now + SECONDS_BETWEEN_LINES
        left_s = (now - self.began) / (done - self.done_before) * (self.count - done)
        line = f"{done} of {self.count} {self.what}, about {left_s:.0f} s left"
        print(f"\r\x1b[K{line}" if self.is_terminal else line, end="" if self.is_terminal else "\n", flush=True)

    def end(self):
        if self.is_terminal:
            print(flush=True)


def say(line):
    """To whoever waits; a progress line that stands there is cleared. In one piece: several threads may speak."""
    sys.stderr.write(f"\r\x1b[K{line}\n" if sys.stderr.isatty() else f"{line}\n")
    sys.stderr.flush()


class Arguments(argparse.ArgumentParser):
    def error(self, message):
        raise Refused(f"{message}; --help lists the options")


def at_least(least, kind):
    def parse(word):
        try:
            value = kind(word)
        except ValueError:
            value = None
        if value is None or not least <= value < float("inf"):
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"'{word}' must be {what}, {least} or more")
        return value
    return parse


def run(name, work):
    """The exit status of work(), which the same command goes on with where it was stopped."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        work()
    except KeyboardInterrupt:
        say("stopped; the same command goes on")
        return 130
    except Refused as refused:
        raise SystemExit(f"{name}: {refused}") from None
    except OSError as error:
        raise SystemExit(f"{name}: {error.filename or 'standard output'}: {error.strerror}") from None
    return 0
