"""A plain PyTorch pipeline, and the same with rec_engine in the place of its evaluator, its sampler, and its propagation
and loss: seconds and metrics, in one process and one run.

usage: drop_in.py [--datasets ml-1m,amazon-scientific] [--rounds N] [--threads T] [--device cpu|cuda] [--record] [--json FILE]

Run by run.sh, with the package in the build tree (REC_PYTHON) or installed. The two take turns; a ratio is one of a round,
plain over swapped, and what is printed are the median and the quartiles. Both pipelines are in pipeline.py. Datasets are
names in REC_SHARED_DATA (default ../shared/data), or folders. --json writes the rows to a file.
"""

import argparse
import json
import os
import pathlib
import sys
import time
import warnings

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "build/cpu/python"))

import torch  # noqa: E402

import compare  # noqa: E402
import pipeline  # noqa: E402
from compare import DATA, ROOT, results  # noqa: E402
from rec_engine import ops  # noqa: E402

BATCH = 4096
STEPS_A_ROUND = 3
MOST_DIFFERENCE = 1e-4  # of a metric or a loss: lists differ where scores do in their last bits


def interactions(file):
    rows = [list(map(int, line.split())) for line in open(file) if line.strip()]
    lists = [[] for _ in range(1 + max(row[0] for row in rows))]
    for user, *items in rows:
        lists[user] = items
    return lists


def seconds(call):
    began = time.perf_counter()
    found = call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began, found


class Sides:
    """The parts of the plain pipeline, and of the swapped one, by name."""

    def __init__(self, folder, device):
        test = interactions(folder / "test.txt")
        self.plain = pipeline.Plain(folder, test, device)
        self.swapped = pipeline.Swapped(folder, test + [[]] * (self.plain.data.users - len(test)), device)
        self.vectors = self.plain.vectors()
        self.batch = next(self.swapped.batches(BATCH))

    def evaluator(self, side):
        return seconds(lambda: side.evaluate(*self.vectors))

    def sampler(self, side):
        return seconds(lambda: next(side.batches(BATCH)))

    def step(self, side):
        took, losses = seconds(lambda: [side.step(*self.batch) for _ in range(STEPS_A_ROUND)])
        return took / STEPS_A_ROUND, {"loss": losses[0]}

    def matrix_step(self, side):
        """Plain with the scores of all items in the place of gathered vectors, which is the fastest form known here."""
        if side is self.swapped:
            return self.step(side)
        users, positives, negatives = (part.to(side.model.device).long() for part in self.batch)
        items = torch.cat([positives[:, None], negatives], 1)
        took, losses = seconds(lambda: [side.model.learn(users, items) for _ in range(STEPS_A_ROUND)])
        return took / STEPS_A_ROUND, {"loss": losses[0]}


PARTS = {"evaluator": "evaluation", "sampler": "a batch of 4,096 with 256 negatives", "step": "training step",
         "matrix_step": "training step, plain by a matrix of all scores"}


def compared(sides, part, rounds):
    """Seconds of both in turns, their ratio, and how far apart what they found is."""
    run = getattr(sides, part)
    both = {"plain": sides.plain, "swapped": sides.swapped}
    took = {name: [] for name in both}
    for name, side in both.items():  # the first is not counted
        _, found = run(side)
        took[name + "_found"] = found
    for number in range(rounds):
        for name in list(both)[:: 1 if number % 2 == 0 else -1]:
            took[name].append(run(both[name])[0])
    row = {"part": PARTS[part], "plain_s": results.spread(took["plain"]), "swapped_s": results.spread(took["swapped"]),
           "ratio": results.spread([a / b for a, b in zip(took["plain"], took["swapped"], strict=True)])}
    if part in ("evaluator", "step"):  # a sampler draws other batches, and by now the weights differ
        plain, swapped = took["plain_found"], took["swapped_found"]
        row["difference"] = float(max(abs(plain[name] - swapped[name]) for name in plain))
        if row["difference"] > MOST_DIFFERENCE:
            raise SystemExit(f"{part}: plain found {plain}, swapped {swapped}")
    return row


def main():
    parser = argparse.ArgumentParser(description="Times a PyTorch pipeline beside the same with rec_engine's parts.")
    parser.add_argument("--datasets", default="ml-1m,amazon-scientific")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--json", type=pathlib.Path, help="write the rows to this file")
    parser.add_argument("--record", action="store_true", help="write the results to bench/results")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    ops.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", "Sparse")
    rows = []
    for name in options.datasets.split(","):
        folder = DATA / name  # of an absolute name: that
        sides = Sides(folder, options.device)
        for part in PARTS:
            rows.append({"dataset": folder.name, **compared(sides, part, options.rounds)})
            low, median, high = rows[-1]["ratio"]
            print(f"{folder.name:<18} {part:<11} plain {rows[-1]['plain_s'][1]:.4f} s, swapped {rows[-1]['swapped_s'][1]:.4f} s, "
                  f"ratio {median:.2f} ({low:.2f} to {high:.2f})", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    if options.record:
        side = compare.Side("rec_engine", compare.OURS, ROOT / "data/debian-deps", "--threads", 1)
        side.close()
        print("recorded in", results.record("drop_in", side.hello, {
            "rounds": options.rounds, "threads": options.threads,
            "versions": {"python": sys.version.split()[0], "torch": torch.__version__}, "rows": rows}))


if __name__ == "__main__":
    main()
