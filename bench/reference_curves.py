#!/usr/bin/env python3
"""Holds training against recorded reference curves: the same settings, the same epochs, side by side.

usage: reference_curves.py [--quick] [--seeds 101,102,103] [--threads T] [--out DIR] [--resume]

Reads REC_SHARED_REFERENCE/*.json (default ../shared/reference), each the curve of one run of a plain PyTorch
statement of the model, and the datasets in REC_SHARED_DATA (default ../shared/data). For every group of curves
that differ by their seed alone, rec_engine trains with the group's settings and each of the seeds, and the means
over seeds are compared at every recorded epoch. Also evaluates the recorded weights. Exits with 1 when

  - the mean ratio of test Recall@20 or NDCG@20 over the epochs from 20 on is below 0.99,
  - any one of those ratios is below 0.97, or
  - a metric of the recorded weights differs by more than 0.0002,

and with 2 when there is nothing to compare with. Writes DIR/curves.svg. Standard library only.
"""

import argparse
import dataclasses
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("REC_ENGINE", str(ROOT / "build/cpu/rec_engine"))
DATA = pathlib.Path(os.environ.get("REC_SHARED_DATA", ROOT.parent / "shared/data"))
REFERENCE = pathlib.Path(os.environ.get("REC_SHARED_REFERENCE", ROOT.parent / "shared/reference"))

FIRST_EPOCH = 20      # before it the curves are steep, and a ratio says little
LEAST_MEAN = 0.99
LEAST_SINGLE = 0.97
MOST_DIFFERENCE = 0.0002
METRICS = ("recall@20", "ndcg@20", "hr@20")  # as the reference records them
COMPARED = ("recall@20", "ndcg@20")

QUICK_DATASET = "amazon-scientific"
QUICK_EPOCHS = 25

# What the weights of ml-1m-epoch20 give, by an evaluator in plain NumPy: recall@20, ndcg@20, hr@20.
WEIGHTS = "ml-1m-epoch20"
WEIGHT_FIGURES = [
    ("ml-1m", "valid", (0.20112, 0.39079, 0.96093)),
    ("ml-1m", "test", (0.19824, 0.39562, 0.97351)),
    ("amazon-scientific", "test", (0.11423, 0.07969, 0.23842)),
    ("yelp", "test", (0.00738, 0.00468, 0.02623)),
]


@dataclasses.dataclass
class Comparison:
    """Curves recorded with one set of settings, and ours with the same. A curve is {epoch: {metric: value}}."""
    name: str
    arguments: dict  # of the recorded runs, but for the seed
    recorded: dict   # seed -> curve
    ours: dict = dataclasses.field(default_factory=dict)

    def epochs(self):
        return sorted(set.intersection(*(set(curve) for curve in [*self.recorded.values(), *self.ours.values()])))

    def mean(self, curves, epoch, metric):
        return statistics.mean(curve[epoch][metric] for curve in curves.values())

    def ratio(self, epoch, metric):
        return self.mean(self.ours, epoch, metric) / self.mean(self.recorded, epoch, metric)


def read_recorded():
    """Every recorded curve, grouped by settings."""
    groups = {}
    for file in sorted(REFERENCE.glob("*.json")):
        run = json.loads(file.read_text())
        arguments = dict(run["args"])
        seed = arguments.pop("seed")
        curve = {point["epoch"]: dict(zip(METRICS, point["test"])) for point in run["curve"]}
        name = file.stem.removesuffix(f"-{seed}")
        group = groups.setdefault(name, Comparison(name, arguments, {}))
        if group.arguments != arguments:
            raise SystemExit(f"{file}: its settings differ from those of the other curves named {name}")
        group.recorded[seed] = curve
    return list(groups.values())


def settings(arguments, epochs):
    """The recorded run's settings by the names the program has for them. Patience is off: every epoch is run."""
    return {
        "model": "alpharec" if arguments["model"] == "mlp" else "linear",
        "projector": arguments["model"],
        "hidden": arguments["hidden"] if arguments["model"] == "mlp" else 0,
        "width": 64,
        "layers": arguments["layers"],
        "objective": "bpr" if arguments["no_cl"] else "infonce",
        "score": "cosine",
        "tau": arguments["tau"],
        "batch": arguments["batch"],
        "negatives": arguments["negatives"],
        "negative_distribution": "uniform",
        "sampling": "user",
        "lr": 5e-4,
        "weight_decay": 0,
        "reg": 0,
        "epochs": epochs,
        "eval_every": arguments["every"],
        "patience": epochs,
        "monitor": "recall@20",
        "mask": "others",
        "topk": 20,
        "precision": "fp32",
    }


def run_program(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"rec_engine {' '.join(map(str, arguments))}\n{done.stderr.strip()}")


def train(comparison, seed, epochs, options):
    run = options.out / f"{comparison.name}-{seed}"
    given = [word for key, value in settings(comparison.arguments, epochs).items()
             for word in ("--set", f"{key}={value}")]
    run_program("train", DATA / comparison.arguments["dir"], "--out", run, "--seed", seed, "--threads", options.threads,
                "--device", "cpu", "--track", "test", "--quiet", "--resume" if options.resume else "--overwrite", *given)
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return {line["epoch"]: line["test"] for line in lines}


def print_table(comparison):
    seeds = f"seeds {', '.join(map(str, comparison.ours))} against {', '.join(map(str, comparison.recorded))}"
    print(f"\n{comparison.name}: test split, {seeds}")
    print(f"{'':>6}{'Recall@20':>12}{'':>20}{'NDCG@20':>14}\n{'epoch':>6}" + f"{'recorded':>12}{'ours':>9}{'ratio':>9}    " * 2)
    for epoch in comparison.epochs():
        cells = [f"{comparison.mean(comparison.recorded, epoch, metric):>12.5f}"
                 f"{comparison.mean(comparison.ours, epoch, metric):>9.5f}{comparison.ratio(epoch, metric):>9.4f}"
                 for metric in COMPARED]
        print(f"{epoch:>6}" + "    ".join(cells))


def judge(comparison):
    """Prints the mean and the smallest ratio of each metric; True when they reach what is asked."""
    epochs = [epoch for epoch in comparison.epochs() if epoch >= FIRST_EPOCH]
    if not epochs:
        raise SystemExit(f"{comparison.name}: no epoch from {FIRST_EPOCH} on was both recorded and run")
    holds = True
    for metric in COMPARED:
        ratios = [comparison.ratio(epoch, metric) for epoch in epochs]
        good = statistics.mean(ratios) >= LEAST_MEAN and min(ratios) >= LEAST_SINGLE
        print(f"{metric:>10}, epochs {epochs[0]} to {epochs[-1]}: mean ratio {statistics.mean(ratios):.4f} "
              f"(at least {LEAST_MEAN}), smallest {min(ratios):.4f} (at least {LEAST_SINGLE}): {'holds' if good else 'FAILS'}")
        holds = holds and good
    return holds


def check_weights(options):
    folder = REFERENCE / WEIGHTS
    if not folder.is_dir():
        print(f"\n{folder}: not there, weights not checked")
        return True
    print(f"\nweights of {WEIGHTS}, recorded and ours:")
    holds = True
    file = options.out / "evaluation.json"
    for dataset, split, figures in WEIGHT_FIGURES:
        if not (DATA / dataset).is_dir():
            print(f"{dataset:>20}: not there, not checked")
            continue
        run_program("evaluate", folder, "--data", DATA / dataset, "--split", split, "--topk", 20, "--device", "cpu",
                    "--threads", options.threads, "--json", file)
        metrics = json.loads(file.read_text())["metrics"]
        good = all(abs(metrics[name] - want) <= MOST_DIFFERENCE for name, want in zip(METRICS, figures))
        pairs = "   ".join(f"{name} {want:.5f} {metrics[name]:.5f}" for name, want in zip(METRICS, figures))
        print(f"{dataset:>20} {split:<6} {pairs}   {'holds' if good else 'FAILS'}")
        holds = holds and good
    return holds


# One panel a comparison and metric.
PANEL_WIDTH, PANEL_HEIGHT = 460, 260
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 62, 16, 34, 40
RECORDED_COLOUR, OUR_COLOUR = "#b5651d", "#1f5fa8"


def ticks(low, high, count=4):
    """Round values between low and high, about count of them."""
    rough = (high - low) / count
    step = 10 ** math.floor(math.log10(rough))
    step = next(step * factor for factor in (1, 2, 5, 10) if step * factor >= rough)
    return [step * k for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def draw_panel(comparison, metric, x0, y0):
    curves = [(comparison.recorded, RECORDED_COLOUR), (comparison.ours, OUR_COLOUR)]
    epochs = comparison.epochs()
    values = [curve[epoch][metric] for group, _ in curves for curve in group.values() for epoch in epochs]
    low, high = min(values), max(values)
    room = 0.05 * (high - low or 1)
    low, high = low - room, high + room
    width, height = PANEL_WIDTH - MARGIN_LEFT - MARGIN_RIGHT, PANEL_HEIGHT - MARGIN_TOP - MARGIN_BOTTOM

    def x(epoch):
        return x0 + MARGIN_LEFT + width * (epoch - epochs[0]) / max(epochs[-1] - epochs[0], 1)

    def y(value):
        return y0 + MARGIN_TOP + height * (high - value) / (high - low)

    def line(points, colour, style):
        joined = " ".join(f"{x(epoch):.1f},{y(value):.1f}" for epoch, value in points)
        return f'<polyline points="{joined}" fill="none" stroke="{colour}" {style}/>'

    parts = [f'<text x="{x0 + MARGIN_LEFT}" y="{y0 + 20}" font-weight="bold">{comparison.name}, test {metric}</text>',
             f'<rect x="{x0 + MARGIN_LEFT}" y="{y0 + MARGIN_TOP}" width="{width}" height="{height}" fill="none" '
             'stroke="#999"/>']
    for value in ticks(low, high):
        parts.append(f'<line x1="{x(epochs[0])}" x2="{x(epochs[-1])}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>'
                     f'<text x="{x0 + MARGIN_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3f}</text>')
    for epoch in epochs[::max(1, len(epochs) // 6)]:
        parts.append(f'<text x="{x(epoch):.1f}" y="{y0 + PANEL_HEIGHT - MARGIN_BOTTOM + 16}" text-anchor="middle">{epoch}</text>')
    for group, colour in curves:
        for curve in group.values():
            parts.append(line([(e, curve[e][metric]) for e in epochs], colour, 'stroke-width="1" opacity="0.35"'))
        parts.append(line([(e, comparison.mean(group, e, metric)) for e in epochs], colour, 'stroke-width="2"'))
    return "\n".join(parts)


def write_plot(comparisons, file):
    width, height = PANEL_WIDTH * len(COMPARED), PANEL_HEIGHT * len(comparisons) + 30
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{height}" fill="white"/>']
    for row, comparison in enumerate(comparisons):
        for column, metric in enumerate(COMPARED):
            parts.append(draw_panel(comparison, metric, PANEL_WIDTH * column, PANEL_HEIGHT * row))
    y = height - 12
    for place, (name, colour) in enumerate((("recorded", RECORDED_COLOUR), ("ours", OUR_COLOUR))):
        x = MARGIN_LEFT + 130 * place
        parts.append(f'<line x1="{x}" x2="{x + 24}" y1="{y - 4}" y2="{y - 4}" stroke="{colour}" stroke-width="2"/>'
                     f'<text x="{x + 30}" y="{y}">{name}</text>')
    parts.append(f'<text x="{MARGIN_LEFT + 260}" y="{y}">by epoch; thin: one seed, thick: the mean over seeds</text></svg>\n')
    file.write_text("\n".join(parts))


def main():
    parser = argparse.ArgumentParser(description="Holds training against recorded reference curves.")
    parser.add_argument("--quick", action="store_true",
                        help=f"{QUICK_DATASET} alone, {QUICK_EPOCHS} epochs, one seed, ratios not counted: tries the script")
    parser.add_argument("--seeds", default="101,102,103")
    parser.add_argument("--threads", type=int, default=0, help="0: all processors")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "runs/reference-curves")
    parser.add_argument("--resume", action="store_true", help="go on with the runs that an earlier call left")
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    options.out.mkdir(parents=True, exist_ok=True)

    comparisons = [c for c in read_recorded() if (DATA / c.arguments["dir"]).is_dir()]
    if options.quick:
        print(f"QUICK: {QUICK_DATASET} alone, {QUICK_EPOCHS} epochs, seed {seeds[0]}. One seed strays by 1% or more: what follows "
              "shows that the script works, and its ratios do not count.")
        comparisons = [c for c in comparisons if c.name == QUICK_DATASET]
        seeds = seeds[:1]
    if not comparisons:
        print(f"no recorded curve in {REFERENCE} has its dataset in {DATA}; name them with REC_SHARED_REFERENCE and "
              "REC_SHARED_DATA", file=sys.stderr)
        return 2
    holds = True
    for comparison in comparisons:
        recorded_epochs = max(max(curve) for curve in comparison.recorded.values())
        epochs = min(recorded_epochs, QUICK_EPOCHS) if options.quick else recorded_epochs
        for seed in seeds:
            comparison.ours[seed] = train(comparison, seed, epochs, options)
        print_table(comparison)
        holds = (judge(comparison) or options.quick) and holds
    holds = check_weights(options) and holds
    write_plot(comparisons, options.out / "curves.svg")
    print(f"\ncurves: {options.out / 'curves.svg'}")
    judged = "the weights' figures" if options.quick else "all of these"
    print(f"{judged} {'hold' if holds else 'DO NOT hold'}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
