#!/usr/bin/env python3
"""Runs the engine's own benches and records them in bench/results, for this machine and commit.

usage: record.py [--kernels] [--growth]     (neither: both)

On a quiet machine. The comparison with other programs is recorded by bench/peers/run.sh --record; afterwards
bench/write_docs.py brings docs/benchmarks.md up to date. Standard library only.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

import results

BUILD = pathlib.Path(__file__).resolve().parents[1] / "build/cpu"


def run(program, *options):
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "out.json"
        subprocess.run([BUILD / program, *options, "--json", file], check=True)
        return json.loads(file.read_text())


def kernels():
    """The spread of each bench's repetitions; rates and the share of the limit at the median."""
    found = run("rec_bench")
    runs = {}
    for entry in found["benchmarks"]:
        if entry["run_type"] == "iteration":
            runs.setdefault(entry["run_name"], []).append(entry)
    rows = []
    for name, entries in runs.items():
        first = entries[0]
        low, median, high = results.spread([entry["real_time"] for entry in entries])
        at_median = first["real_time"] / median  # a rate is the same call's work over another time
        rates = {unit: first[unit] * at_median for unit in ("GB/s", "GFLOP/s", "share") if unit in first}
        rows.append({"kernel": name.removesuffix("/real_time"), "ms": [low, median, high], "limit": first["label"], **rates})
    return found["context"], rows


def growth():
    found = run("rec_growth")
    return found["facts"], found["sizes"]


def main():
    parser = argparse.ArgumentParser(description="Records the engine's own benches in bench/results.")
    parser.add_argument("--kernels", action="store_true")
    parser.add_argument("--growth", action="store_true")
    options = parser.parse_args()
    both = not (options.kernels or options.growth)
    for name, wanted, measure in (("kernels", options.kernels, kernels), ("growth", options.growth, growth)):
        if wanted or both:
            facts, content = measure()
            print("recorded in", results.record(name, dict(facts), content))


if __name__ == "__main__":
    main()
