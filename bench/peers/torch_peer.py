"""PyTorch's side of the comparison: does what it is told, one command a line, and answers with JSON (rec_peer.cpp).

usage: torch_peer.py DATA --threads T [--items-only]
rank takes a second number, how many users are ranked at once (0: all of them).
"""

import argparse
import json
import platform
import sys
import time
import warnings

import numpy as np
import torch

import alpharec

SEED = 101


def memory():
    fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return {"resident_kib": int(fields["VmRSS"].split()[0]), "peak_kib": int(fields["VmHWM"].split()[0])}


class Peer:
    def __init__(self, options):
        self.model = alpharec.AlphaRec(options.data, options.items_only, SEED)

    def step(self, times):
        seconds, drawing = [], []
        for _ in range(times):
            start = time.perf_counter()
            user, items = self.model.sampler.draw()
            drawn = time.perf_counter()
            self.model.learn(user, items)
            seconds.append(time.perf_counter() - start)
            drawing.append(drawn - start)
        return {"seconds": seconds, "drawing": drawing}

    def rank(self, times, at_once=0):
        ranker = alpharec.Ranker(self.model, at_once or self.model.data.users)
        seconds = []
        for _ in range(times):
            start = time.perf_counter()
            ranker.rank()
            seconds.append(time.perf_counter() - start)
        return {"seconds": seconds}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--items-only", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", "Sparse")  # beta-state notices about CSR
    hello = {"torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version(),
             "threads": torch.get_num_threads(), "idle_kib": memory()["resident_kib"]}
    print(json.dumps(hello), flush=True)
    peer = None
    for line in sys.stdin:
        command, *numbers = line.split()
        if command == "load":
            peer, answer = Peer(options), {}
        elif command == "memory":
            answer = memory()
        else:
            answer = {"step": peer.step, "rank": peer.rank}[command](*map(int, numbers))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
