"""The engine beside plain PyTorch: training steps, all-ranking and memory, on one machine in one run.

usage: compare.py [--datasets ml-1m,amazon-scientific] [--rounds N] [--threads T] [--record]

Run by run.sh. Datasets are folders in REC_SHARED_DATA (default ../shared/data). The sides run in processes of their
own and take turns: in each round, each makes a few steps. A ratio is one of a round, peer over engine, and what is
printed are the median and the quartiles over the rounds. A difference whose quartiles lie on both sides of 1 is called
unclear. --record writes the results to bench/results.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

PEERS = pathlib.Path(__file__).resolve().parent
ROOT = PEERS.parents[1]
sys.path.insert(0, str(PEERS.parent))
import results  # noqa: E402  (bench/results.py)

OURS = os.environ.get("REC_PEER", str(ROOT / "build/cpu/rec_peer"))
DATA = pathlib.Path(os.environ.get("REC_SHARED_DATA", ROOT.parent / "shared/data"))

STEPS_A_ROUND = 3
RANKINGS_A_ROUND = 2
USERS_AT_ONCE = 512  # for the second form of PyTorch's ranking: a block of scores then stays in the caches
RANKED_DATASET = "ml-1m"
# Settings of thread pools and BLAS libraries that would reach one side and not the other.
LEFT_OUT = ("OPENBLAS_", "GOTO_", "MKL_", "OMP_", "KMP_", "GOMP_", "BLIS_", "DNNL_", "ONEDNN_", "TORCH_", "ATEN_",
            "MALLOC_", "LD_PRELOAD")


class Side:
    """One program under measurement, in a process of its own."""

    def __init__(self, name, *command):
        environment = {key: value for key, value in os.environ.items() if not key.startswith(LEFT_OUT)}
        self.name = name
        self.process = subprocess.Popen([str(word) for word in command], env=environment, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.hello = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name}: ended with exit code {self.process.wait()}")
        return json.loads(line)

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def take_turns(turns, rounds):
    """turns: name -> a call that gives seconds. name -> the median of each round."""
    times = {name: [] for name in turns}
    for call in turns.values():
        call()  # the first is not counted
    for number in range(rounds):
        # who goes first changes from round to round
        for name in list(turns)[:: 1 if number % 2 == 0 else -1]:
            times[name].append(statistics.median(turns[name]()))
    return times


def comparison(what, dataset, times, engine):
    """One row for each peer in times."""
    rows = []
    for name, seconds in times.items():
        if name == engine:
            continue
        ratio = results.spread([peer / ours for peer, ours in zip(seconds, times[engine])])
        rows.append({"what": what, "dataset": dataset, "peer": name, "peer_s": results.spread(seconds),
                     "engine_s": results.spread(times[engine]), "ratio": ratio})
        print_row(rows[-1])
    return rows


def print_row(row):
    def milliseconds(spread):
        return f"{1e3 * spread[1]:>9.2f} ms ({1e3 * spread[0]:.2f} .. {1e3 * spread[2]:.2f})".ljust(34)

    low, median, high = row["ratio"]
    note = "   unclear" if low <= 1 <= high else ""
    print(f"{row['what']:<14} {row['dataset']:<18} {row['peer']:<34}{milliseconds(row['peer_s'])}"
          f"{milliseconds(row['engine_s'])}{median:>7.2f} ({low:.2f} .. {high:.2f}){note}", flush=True)


def measure_memory(sides, dataset):
    rows = []
    for side in sides:
        peak = side.ask("memory")["peak_kib"]
        rows.append({"dataset": dataset, "side": side.name, "idle_kib": side.hello["idle_kib"], "peak_kib": peak})
    for row in rows:
        above = [r["peak_kib"] - r["idle_kib"] for r in (row, rows[0])]
        print(f"{'memory':<14} {dataset:<18} {row['side']:<34}{row['idle_kib'] / 1024:>9.1f} MiB idle, "
              f"{above[0] / 1024:>8.1f} MiB above it; {above[0] / above[1]:.2f} times the engine's", flush=True)
    return rows


def measure(dataset, options):
    torch_peer = [sys.executable, PEERS / "torch_peer.py", DATA / dataset, "--threads", options.threads]
    engine = Side("rec_engine", OURS, DATA / dataset, "--threads", options.threads)
    plain = Side("PyTorch", *torch_peer)
    items_only = Side("PyTorch, first layer on items only", *torch_peer, "--items-only")
    sides = [engine, plain, items_only]
    for side in sides:
        side.ask("load")
    drawing = []

    def step(side):
        answer = side.ask("step", STEPS_A_ROUND)
        if side is plain:
            drawing.extend(answer["drawing"])
        return answer["seconds"]

    times = take_turns({side.name: lambda side=side: step(side) for side in sides}, options.rounds)
    rows = comparison("training step", dataset, times, engine.name)
    print(f"{'':<34}of which PyTorch's drawing of batches: {1e3 * statistics.median(drawing):.1f} ms")
    for row in rows:
        row["peer_drawing_s"] = statistics.median(drawing)
    memory = measure_memory(sides, dataset)
    if dataset == RANKED_DATASET:
        items_only.close()
        times = take_turns({
            engine.name: lambda: engine.ask("rank", RANKINGS_A_ROUND)["seconds"],
            "PyTorch, all users at once": lambda: plain.ask("rank", RANKINGS_A_ROUND)["seconds"],
            f"PyTorch, {USERS_AT_ONCE} users at once": lambda: plain.ask("rank", RANKINGS_A_ROUND, USERS_AT_ONCE)["seconds"],
            "the engine's one sgemm": lambda: engine.ask("sgemm", RANKINGS_A_ROUND)["seconds"],
        }, options.rounds)
        rows += comparison("ranking, k = 20", dataset, times, engine.name)
    for side in sides:
        if side.process.poll() is None:
            side.close()
    return rows, memory, engine.hello, plain.hello


def main():
    parser = argparse.ArgumentParser(description="Times the engine beside plain PyTorch.")
    parser.add_argument("--datasets", default="ml-1m,amazon-scientific")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--record", action="store_true", help="write the results to bench/results")
    options = parser.parse_args()
    if not pathlib.Path(OURS).exists():
        raise SystemExit(f"{OURS} is not there; build it with: cmake --build --preset cpu --target rec_peer")
    print(f"{'':<14} {'':<18} {'peer':<34}{'   peer, median (quartiles)':<34}{'   engine':<34}  peer / engine")
    rows, memory = [], []
    for dataset in options.datasets.split(","):
        if not (DATA / dataset / "train.txt").exists():
            raise SystemExit(f"{DATA / dataset} is no dataset folder; name the folder it lies in with REC_SHARED_DATA")
        more_rows, more_memory, facts, versions = measure(dataset, options)
        rows += more_rows
        memory += more_memory
    if options.record:
        print("recorded in", results.record("peers", facts, {
            "threads": options.threads, "rounds": options.rounds,
            "versions": {name: versions[name] for name in ("python", "torch", "numpy")},
            "times": rows, "memory": memory}))


if __name__ == "__main__":
    main()
