"""Holds the engine's MF and LightGCN against plain PyTorch on the engine's own draws.

usage: follow.py DATA [--model lightgcn] [--set key=value ...] [--epochs 20] [--from-epoch 10] [--threads T]

Both begin with the engine's initial weights and are fed the batches that the engine draws (run.sh says in which Python
this runs). Compared are the loss of each of the first 50 steps, and test Recall@20 and NDCG@20 after every epoch from
--from-epoch on. Exits with 1 when a loss is further off than float32's rounding explains, or a metric by more than 1%.
"""

import argparse
import pathlib
import sys
import tempfile
import warnings

import numpy as np
import torch

import compare
import id_models

STEPS = 50
EPSILON = np.finfo(np.float32).eps
MOST_METRIC_DIFFERENCE = 0.01


def loss_bound(step, loss, width):
    """A score is a sum of `width` products of rows that `step` updates have rounded: each rounds once more."""
    return (width + step) * EPSILON * loss


class Batches:
    """What rec_peer's trace wrote, step by step."""

    def __init__(self, file, batch):
        self.values = np.fromfile(file, np.int32).reshape(-1, 3, batch).astype(np.int64)

    def __iter__(self):
        return (tuple(map(torch.from_numpy, step)) for step in self.values)


def main():
    parser = argparse.ArgumentParser(description="The engine's ID-based models beside PyTorch's, on the same draws.")
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--model", choices=["mf", "lightgcn"], default="lightgcn")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--from-epoch", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", "Sparse")  # beta-state notices about CSR
    settings = [word for setting in [f"model={options.model}", *options.set] for word in ("--set", setting)]
    engine = compare.Side("rec_engine", compare.OURS, options.data, "--threads", options.threads, *settings)
    facts = engine.ask("load")
    print(f"{options.model} on {options.data.name}: {facts}", flush=True)
    splits = {name: id_models.read_split(options.data, name) for name in ("train", "valid", "test")}
    seen = [splits["train"]] if facts["mask"] == "train" else [splits["train"], splits["valid"]]
    holds = True
    with tempfile.TemporaryDirectory() as folder:
        engine.ask("weights", folder)
        model = id_models.IdModel(options.data, folder, facts["layers"], facts["lr"], facts["reg"])
        trace = pathlib.Path(folder) / "batches"
        step, furthest = 0, 0.0
        for epoch in range(1, options.epochs + 1):
            losses = engine.ask("trace", facts["steps"], trace)["loss"]
            for ours, batch in zip(losses, Batches(trace, facts["batch"])):
                theirs = model.learn(*batch)
                step += 1
                if step <= STEPS:
                    furthest = max(furthest, abs(ours - theirs) / loss_bound(step, theirs, facts["width"]))
            if step - facts["steps"] < STEPS <= step:
                good = furthest <= 1
                print(f"losses of {STEPS} steps: at most {furthest:.3f} of the bound: {'holds' if good else 'FAILS'}",
                      flush=True)
                holds = holds and good
            if epoch >= options.from_epoch:
                found = engine.ask("metrics", "test")
                ours = found["recall@20"], found["ndcg@20"]
                theirs = id_models.recall_and_ndcg(model, splits["test"], seen)
                good = all(abs(a / b - 1) <= MOST_METRIC_DIFFERENCE for a, b in zip(ours, theirs))
                print(f"epoch {epoch:>3}: loss {np.mean(losses):.5f}, recall@20 {ours[0]:.5f} (PyTorch {theirs[0]:.5f}), "
                      f"ndcg@20 {ours[1]:.5f} ({theirs[1]:.5f}): {'holds' if good else 'FAILS'}", flush=True)
                holds = holds and good
    engine.close()
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
