"""Nothing is copied, lost or mixed up: memory, arrays that go away, threads, forks."""

import gc
import os
import pickle
import subprocess
import sys
import threading
import unittest

import numpy as np

import cases
from rec_engine import MF, ops

CALLS = 10_000

# The peak of a process that evaluates vectors of MovieLens-1M's size, above what it had with its inputs there.
PEAK = """
import numpy as np
from rec_engine import ops

def status(key):
    return int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith(key))) * 1024

random = np.random.default_rng(0)
users, items, width, edges = {users}, {items}, {width}, {edges}
user, item = (random.normal(size=(n, width)).astype(np.float32) for n in (users, items))
pairs = np.unique(random.integers(0, users, 3 * edges) * items + random.integers(0, items, 3 * edges))[:2 * edges]
import scipy.sparse

def csr(keys):
    keys = np.sort(keys)
    start = np.concatenate([[0], np.cumsum(np.bincount(keys // items, minlength=users))])
    matrix = scipy.sparse.csr_matrix((users, items), dtype=np.float32)
    matrix.indptr, matrix.indices, matrix.data = start, (keys % items).astype(np.int32), np.ones(len(keys), np.float32)
    return matrix

chosen = random.permutation(len(pairs))
train, test = csr(pairs[chosen[:edges]]), csr(pairs[chosen[edges:]])
ops.evaluate(user[:64], item, None, (np.array([0]), np.array([0])))  # libraries and threads are there
inputs = sum(a.nbytes for a in (user, item, *(part for m in (train, test) for part in (m.indptr, m.indices, m.data))))
open("/proc/self/clear_refs", "w").write("5")
before = status("VmRSS")
_, per_user = ops.evaluate(user, item, train, test, per_user=True)
outputs = sum(a.nbytes for a in per_user.values())
print((inputs + status("VmHWM") - before) / (inputs + outputs))
"""


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Memory(unittest.TestCase):
    def peak(self, **sizes):
        """Inputs and what evaluate takes beside them, over inputs and outputs."""
        printed = subprocess.run([sys.executable, "-c", PEAK.format(**sizes)], check=True, capture_output=True, text=True,
                                 env={**os.environ, "OMP_WAIT_POLICY": "passive"}).stdout
        return float(printed)

    def test_evaluate_copies_nothing_large(self):
        """MovieLens-1M as the paper has it: 6,040 users, 3,043 items; users' and items' language vectors, 384 wide."""
        self.assertLess(self.peak(users=6040, items=3043, width=384, edges=400_000), 1.2)

    def test_calls_leave_memory_flat(self):
        random = np.random.default_rng(1)
        sets = cases.sets_of_items(random, 20, 30, 0.3)
        matrix = cases.csr(sets, 30)
        graph, sampler = ops.Graph(matrix), ops.Sampler(matrix, 8, 4)
        user, item = random.normal(size=(20, 16)).astype(np.float32), random.normal(size=(30, 16)).astype(np.float32)
        nodes = np.concatenate([user, item])
        batch = sampler.draw(0, 0)
        operators = {
            "topk": lambda: ops.topk(user, item, 5, seen=matrix),
            "evaluate": lambda: ops.evaluate(user, item, None, matrix, 5),
            "draw": lambda: sampler.draw(0, 0),
            "propagate": lambda: ops.propagate(graph, nodes, 2),
            "mean_rows": lambda: ops.mean_rows(graph, item),
            "mean_rows_adjoint": lambda: ops.mean_rows_adjoint(graph, user),
            "info_nce": lambda: ops.info_nce(user, item, *batch, 0.2),
            "bpr": lambda: ops.bpr(user, item, batch[0], batch[1], batch[2][:, 0].copy()),
        }
        for name, call in operators.items():
            for _ in range(CALLS // 10):
                call()
            gc.collect()
            before = resident()
            for _ in range(CALLS):
                call()
            gc.collect()
            # A leak of 100 bytes a call would be 1 MB.
            self.assertLess(resident() - before, 1 << 20, name)


class Lives(unittest.TestCase):
    def setUp(self):
        random = np.random.default_rng(2)
        self.user = random.normal(size=(2000, 64)).astype(np.float32)
        self.item = random.normal(size=(3000, 64)).astype(np.float32)

    def test_arrays_given_away_during_a_call(self):
        wanted, _ = ops.topk(self.user, self.item, 10)
        holder, found = [self.item.copy(), self.user.copy()], []  # taken from its end
        started = threading.Event()

        def rank():
            started.set()
            found.append(ops.topk(holder.pop(), holder.pop(), 10)[0])
        thread = threading.Thread(target=rank)
        thread.start()
        started.wait()
        gc.collect()
        rubbish = [np.full_like(self.user, np.nan) for _ in range(20)]  # takes what was given back
        thread.join()
        self.assertEqual(len(rubbish), 20)
        np.testing.assert_array_equal(found[0], wanted)

    def test_a_graph_outlives_what_it_was_made_of(self):
        matrix = cases.csr(cases.sets_of_items(np.random.default_rng(3), 50, 60, 0.2), 60)
        x = np.random.default_rng(4).normal(size=(110, 8)).astype(np.float32)
        graph = ops.Graph(matrix)
        wanted = ops.propagate(graph, x, 2)
        matrix.indices[:] = 0
        del matrix
        gc.collect()
        np.testing.assert_array_equal(ops.propagate(graph, x, 2), wanted)

    def test_four_threads_at_once(self):
        wanted, found = ops.topk(self.user, self.item, 10), [None] * 4

        def rank(n):
            for _ in range(5):
                found[n] = ops.topk(self.user, self.item, 10)
        threads = [threading.Thread(target=rank, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for ids, scores in found:
            np.testing.assert_array_equal(ids, wanted[0])
            np.testing.assert_array_equal(scores, wanted[1])

    def test_after_a_fork(self):
        """A child works, with one thread: operations, and models that have threads of their own."""
        random = np.random.default_rng(5)
        model = MF(epochs=1, threads=3).fit((random.integers(0, 50, 400), random.integers(0, 60, 400)))
        lists, _ = model.recommend(k=5)
        before = ops.get_num_threads()
        ops.set_num_threads(3)
        self.addCleanup(ops.set_num_threads, before)
        wanted, _ = ops.topk(self.user, self.item, 10)  # the parent's threads are there
        child = os.fork()
        if child == 0:
            try:
                same = (np.array_equal(ops.topk(self.user, self.item, 10)[0], wanted) and
                        np.array_equal(model.recommend(k=5)[0], lists) and
                        np.array_equal(pickle.loads(pickle.dumps(model)).recommend(k=5)[0], lists))
                os._exit(0 if same and ops.get_num_threads() == 1 else 1)
            finally:
                os._exit(2)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        np.testing.assert_array_equal(ops.topk(self.user, self.item, 10)[0], wanted)


if __name__ == "__main__":
    unittest.main()
