"""A Python with packages that results are held against.

They are installed into .venv beside this file the first time, as requirements.txt says; REC_TEST_PYTHON names a Python
that has them instead.
"""

import os
import pathlib
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent


def python_with(module, what):
    """A Python that imports the module; SkipTest, which says that `what` was not done, where none can be had."""
    def has_it(python):
        return subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0
    python = os.environ.get("REC_TEST_PYTHON", str(HERE / ".venv/bin/python"))
    if not pathlib.Path(python).exists() or not has_it(python):
        if "REC_TEST_PYTHON" in os.environ:
            raise unittest.SkipTest(f"{what}: {python} has no {module}")
        pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "-r",
               str(HERE / "requirements.txt")]
        for command in ([sys.executable, "-m", "venv", "--clear", str(HERE / ".venv")], [python, *pip]):
            if subprocess.run(command, capture_output=True).returncode != 0:
                raise unittest.SkipTest(f"{what}: {module} could not be installed")
    return python
