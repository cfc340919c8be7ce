"""`rec_engine prepare` beside pandas doing the same: seconds and peak memory on a generated CSV, in one run.

usage: preparing.py [--lines N,N,...] [--ids number,text] [--rounds N] [--record]

Run by run.sh. The file of N lines (user, item, rating, timestamp) is made anew, with the skew of ratings sites, in the
folder for temporary files (21 to 35 bytes a line). Both sides filter it, take its 5-core, split it 4:3:3 and write a dataset
folder; what is left by the core must agree. Each runs in a process of its own, they take turns, and a ratio is one of a
round, pandas over the engine. Afterwards the engine alone prepares shorter files, to see how it grows.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import compare
from compare import PEERS, ROOT, results

PROGRAM = os.environ.get("REC_ENGINE", str(ROOT / "build/cpu/rec_engine"))
LEAST_RATING, CORE = 4, 5


def measured(command):
    """Seconds, peak memory in KiB and what it printed; the command must succeed.

    The peak counts this process's own memory too, as it was when it started the other: nothing large is imported here.
    """
    with tempfile.TemporaryFile() as printed:
        began = time.perf_counter()
        child = os.posix_spawn(command[0], [str(word) for word in command], os.environ,
                               file_actions=[(os.POSIX_SPAWN_DUP2, printed.fileno(), 1)])
        _, status, usage = os.wait4(child, 0)
        seconds = time.perf_counter() - began
        printed.seek(0)
        if status != 0:
            raise SystemExit(f"{command[0]}: ended with exit code {os.waitstatus_to_exitcode(status)}")
        return seconds, usage.ru_maxrss, printed.read().decode()


class Sides:
    """Both on one file; each() gives seconds, peak KiB and what the core left."""

    def __init__(self, file, folder):
        self.file, self.out = file, folder / "out"

    def engine(self):
        seconds, peak, _ = self._run([PROGRAM, "prepare", self.file, "--out", self.out, "--quiet", "--min-rating",
                                      LEAST_RATING, "--k-core", CORE, "--split", "4:3:3"])
        steps = json.loads((self.out / "manifest.json").read_text())["steps"]
        core = next(step for step in steps if step["step"].startswith("--k-core"))
        return seconds, peak, {key: core[key] for key in ("interactions", "users", "items")}

    def pandas(self):
        seconds, peak, printed = self._run([sys.executable, PEERS / "pandas_prepare.py", self.file, self.out])
        return seconds, peak, json.loads(printed)

    def _run(self, command):
        shutil.rmtree(self.out, ignore_errors=True)
        return measured(command)


def compared(sides, lines, ids, rounds):
    """One row: both sides in turns."""
    found = {"pandas": [], "engine": []}
    for number in range(rounds):
        for name in list(found)[:: 1 if number % 2 == 0 else -1]:
            found[name].append(getattr(sides, name)())
    left = found["engine"][0][2]
    for name, runs in found.items():
        if any(run[2] != left for run in runs):
            raise SystemExit(f"{name}: the core left {runs[0][2]}, the engine's {left}; the sides do not do the same")
    row = {"lines": lines, "ids": ids, "file_bytes": sides.file.stat().st_size, **left}
    for name, runs in found.items():
        row[f"{name}_s"] = results.spread([run[0] for run in runs])
        row[f"{name}_peak_kib"] = results.spread([run[1] for run in runs])
    for what, place in (("time", 0), ("memory", 1)):
        row[f"{what}_ratio"] = results.spread(
            [peer[place] / ours[place] for peer, ours in zip(found["pandas"], found["engine"], strict=True)])
    return row


def print_row(row):
    def spread(values, form):
        return f"{values[1]:{form}} ({values[0]:{form}} .. {values[2]:{form}})"

    print(f"{row['lines']:>11,} lines, ids as {row['ids']}: {row['interactions']:,} interactions left")
    for name in ("pandas", "engine"):
        if f"{name}_s" in row:
            peak = [kib / 1024 for kib in row[f"{name}_peak_kib"]]
            print(f"    {name:<8} {spread(row[f'{name}_s'], '.2f')} s, {spread(peak, '.0f')} MiB")
    if "time_ratio" in row:
        print(f"    pandas / engine: {spread(row['time_ratio'], '.2f')} of time, {spread(row['memory_ratio'], '.2f')} of memory",
              flush=True)


def grown(sides, lines, ids, rounds):
    """One row: the engine alone."""
    runs = [sides.engine() for _ in range(rounds)]
    return {"lines": lines, "ids": ids, "file_bytes": sides.file.stat().st_size, **runs[0][2],
            "engine_s": results.spread([run[0] for run in runs]),
            "engine_peak_kib": results.spread([run[1] for run in runs])}


def main():
    parser = argparse.ArgumentParser(description="Times `rec_engine prepare` beside pandas.")
    parser.add_argument("--lines", default="1000000,5000000,20000000", help="of the files; pandas takes part in the last")
    parser.add_argument("--ids", default="number,text", help="ids that are numbers, and ten letters")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record", action="store_true", help="write the results to bench/results")
    options = parser.parse_args()
    lines = [int(word) for word in options.lines.split(",")]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "interactions.csv"
        sides = Sides(file, pathlib.Path(folder))
        for ids in options.ids.split(","):
            for count in lines:
                subprocess.run([sys.executable, PEERS / "interactions_csv.py", file, str(count), ids], check=True)
                rows.append((compared if count == lines[-1] else grown)(sides, count, ids, options.rounds))
                print_row(rows[-1])
    if options.record:
        side = compare.Side("rec_engine", compare.OURS, ROOT / "data/debian-deps", "--threads", 1)
        side.close()
        versions = {"python": sys.version.split()[0],
                    **{name: importlib.metadata.version(name) for name in ("numpy", "pandas")}}
        print("recorded in", results.record("prepare", side.hello, {"rounds": options.rounds, "versions": versions,
                                                                      "rows": rows}))


if __name__ == "__main__":
    main()
