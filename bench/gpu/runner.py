"""Steps with time limits: run in order until the time is up, and taken up again in the next run."""

import dataclasses
import hashlib
import os
import pathlib
import signal
import subprocess
import time
from typing import Any, Callable, Optional

from state import State

# Of a run's end: what is kept for writing the state.
RESERVE_S = 5


@dataclasses.dataclass
class Outcome:
    status: str  # of state.STATUSES
    detail: str = ""  # one line: why it failed or was not run
    result: Any = None  # JSON


@dataclasses.dataclass
class Step:
    """run(seconds) gives an Outcome within about that time."""
    name: str  # "phase.what"
    run: Callable[[float], Outcome]
    limit_s: float  # the most it may take
    least_s: float = 10  # with less time left it is not begun
    needs: Optional[str] = None  # a step that must have passed
    is_here: Optional[Callable[[], bool]] = None  # for a step whose product does not outlive the machine

    @property
    def phase(self):
        return self.name.split(".")[0]


class Runner:
    """Runs steps that the state does not have yet; what it says goes through `say`."""

    def __init__(self, state: State, save, limit_s, clock=time.monotonic, say=print):
        self.state, self.save, self.clock, self.say = state, save, clock, say
        self.end = clock() + limit_s - RESERVE_S

    def run(self, steps):
        """Steps that are left for the next run."""
        left = []
        for step in steps:
            if self.state.is_final(step.name) and self._product_is_here(step):
                continue
            if step.needs and not self._has_passed(step.needs, steps):
                if self.state.is_final(step.needs):
                    self._put(step, Outcome("not run", f"{step.needs} has not passed"), 0)
                else:
                    left.append(step)
                continue
            seconds = self.end - self.clock()
            if seconds < step.least_s:
                left.append(step)
                continue
            self._run_one(step, min(seconds, step.limit_s))
            if not self.state.is_final(step.name):
                left.append(step)
        return left

    def _product_is_here(self, step):
        return step.is_here is None or self.state.steps[step.name]["status"] != "passed" or step.is_here()

    def _has_passed(self, name, steps):
        """And its product is on this machine."""
        found = self.state.steps.get(name)
        if not found or found["status"] != "passed":
            return False
        of_run = [step for step in steps if step.name == name]
        return not of_run or self._product_is_here(of_run[0])

    def _run_one(self, step, seconds):
        start = self.clock()
        try:
            outcome = step.run(seconds)
        except subprocess.TimeoutExpired:
            whole = seconds >= step.limit_s
            outcome = Outcome("failed" if whole else "unfinished", f"did not finish within {seconds:.0f} s")
        except Exception as error:  # a step that breaks must not take the others' results along
            outcome = Outcome("failed", f"{type(error).__name__}: {error}")
        self._put(step, outcome, self.clock() - start)

    def _put(self, step, outcome, seconds):
        self.state.put(step.name, outcome, seconds)
        self.save()
        self.say(f"{step.name:<34}{outcome.status:<12}{seconds:>7.1f} s  {outcome.detail}".rstrip())


@dataclasses.dataclass
class Finished:
    code: int
    output: str  # both streams

    def last_line(self):
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else f"exit code {self.code}, no output"


def command(words, seconds, cwd=None, environment=None):
    """Runs a command in a process group of its own. Throws subprocess.TimeoutExpired, with the group ended."""
    process = subprocess.Popen([str(word) for word in words], cwd=cwd, env={**os.environ, **(environment or {})},
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", start_new_session=True)
    try:
        output, _ = process.communicate(timeout=seconds)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return Finished(process.returncode, output)


def outcome_of(finished: Finished, result=None):
    if finished.code == 0:
        return Outcome("passed", "", result)
    return Outcome("failed", f"exit code {finished.code}: {finished.last_line()}", result)


def digest(root: pathlib.Path, folders, suffixes):
    """A name for the content of the files under the folders with one of the suffixes."""
    sha = hashlib.sha256()
    for file in sorted(file for folder in folders for file in (root / folder).rglob("*") if file.suffix in suffixes):
        sha.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes() + b"\0")
    return sha.hexdigest()[:12]
