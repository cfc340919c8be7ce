"""What is refused: the type of the exception, and a sentence that says what is expected and what was given."""

import unittest

import numpy as np
import scipy.sparse

from rec_engine import ops

USERS, ITEMS, WIDTH = 4, 6, 3
USER, ITEM = np.ones((USERS, WIDTH), np.float32), np.ones((ITEMS, WIDTH), np.float32)


def csr(start, items, shape=(USERS, ITEMS), values=None):
    matrix = scipy.sparse.csr_matrix(shape, dtype=np.float32)
    matrix.indptr, matrix.indices = np.asarray(start), np.asarray(items, np.int32)
    matrix.data = np.ones(len(items), np.float32) if values is None else np.asarray(values, np.float32)
    return matrix


GOOD = csr([0, 1, 2, 3, 4], [0, 1, 2, 3])


class OnDevice:
    __cuda_array_interface__ = {"shape": (USERS, WIDTH), "typestr": "<f4", "data": (1, False), "version": 3}


def topk(user=USER, item=ITEM, k=2, **options):
    return lambda: ops.topk(user, item, k, **options)


def evaluate(user=USER, item=ITEM, train=None, test=GOOD, **options):
    return lambda: ops.evaluate(user, item, train, test, **options)


def sampler(interactions=GOOD, batch=2, negatives=2, **options):
    return lambda: ops.Sampler(interactions, batch, negatives, **options)


def propagate(x=np.ones((USERS + ITEMS, WIDTH), np.float32), layers=2, graph=None):
    return lambda: ops.propagate(ops.Graph(GOOD) if graph is None else graph, x, layers)


def info_nce(user=USER, item=ITEM, users=np.zeros(2, np.int64), positives=np.zeros(2, np.int64),
             negatives=np.zeros((2, 3), np.int64), tau=0.2, **options):
    return lambda: ops.info_nce(user, item, users, positives, negatives, tau, **options)


def with_value(array, value):
    changed = array.copy()
    changed[1, 1] = value
    return changed


# what is wrong: the call, the exception, and what its sentence must have in it
CASES = {
    "a list": (topk([[1.0]]), TypeError, ["user_vectors", "expected an array", "given a list"]),
    "a string": (topk("vectors"), TypeError, ["user_vectors", "given a str"]),
    "bytes": (topk(b"1234"), TypeError, ["user_vectors", "given a bytes"]),
    "None": (topk(None), TypeError, ["user_vectors", "given a NoneType"]),
    "float64": (topk(USER.astype(np.float64)), TypeError, ["user_vectors", "expected float32", "given float64", "(4, 3)"]),
    "float16": (topk(item=ITEM.astype(np.float16)), TypeError, ["item_vectors", "expected float32", "given float16"]),
    "whole numbers": (topk(USER.astype(np.int32)), TypeError, ["user_vectors", "expected float32", "given int32"]),
    "complex": (topk(USER.astype(np.complex64)), TypeError, ["user_vectors", "expected float32", "given complex64"]),
    "another byte order": (topk(USER.astype(">f4")), TypeError, ["user_vectors", "byte order", ">f4"]),
    "objects": (topk(USER.astype(object)), TypeError, ["user_vectors", "array of numbers", "object"]),
    "a number": (topk(np.float32(3)), TypeError, ["user_vectors", "float32 in 0 dimensions"]),
    "no dimensions": (topk(np.array(3, np.float32)), TypeError, ["user_vectors", "0 dimensions"]),
    "one dimension": (topk(USER[0]), ValueError, ["user_vectors", "two dimensions", "(3,)"]),
    "three dimensions": (topk(USER[None]), ValueError, ["user_vectors", "two dimensions", "(1, 4, 3)"]),
    "other widths": (topk(item=ITEM[:, :2].copy()), ValueError, ["item_vectors", "expected rows of 3", "given 2"]),
    "no width": (topk(USER[:, :0], ITEM[:, :0]), ValueError, ["expected rows of", "given 0"]),
    "by columns": (topk(np.asfortranarray(USER)), ValueError, ["user_vectors", "one after another", "strides"]),
    "every second column": (topk(np.ones((USERS, 2 * WIDTH), np.float32)[:, ::2]), ValueError,
                            ["user_vectors", "one after another", "ascontiguousarray"]),
    "backwards": (topk(USER[::-1]), ValueError, ["user_vectors", "run backwards"]),
    "one row for all": (topk(np.broadcast_to(USER[0], USER.shape)), ValueError, ["user_vectors", "overlap"]),
    "on a GPU": (topk(OnDevice()), RuntimeError, ["user_vectors", "computer's memory", "GPU", "no CUDA"]),
    "NaN": (topk(with_value(USER, np.nan)), ValueError, ["not finite"]),
    "infinity": (topk(item=with_value(ITEM, np.inf)), ValueError, ["not finite"]),
    "huge": (topk(USER * 1e30, ITEM * 1e30), ValueError, ["not finite"]),
    "k of 0": (topk(k=0), ValueError, ["k:", "from 1 on", "given 0"]),
    "k below 0": (topk(k=-3), ValueError, ["k:", "from 1 on", "given -3"]),
    "k of 2.5": (topk(k=2.5), TypeError, ["k:", "whole number", "2.5"]),
    "k of True": (topk(k=True), TypeError, ["k:", "whole number", "True"]),
    "another score": (topk(score="euclid"), ValueError, ["score", "'dot', 'cosine'", "'euclid'"]),
    "users of float32": (topk(users=np.zeros(1, np.float32)), TypeError, ["users", "expected int32", "given float32"]),
    "a large user": (topk(users=np.array([2**33])), ValueError, ["users", "from 0 to 3", "given 8589934592"]),
    "user too large": (topk(users=np.array([4], np.int32)), ValueError, ["users", "from 0 to 3", "given 4"]),
    "user below 0": (topk(users=np.array([-1], np.int32)), ValueError, ["users", "from 0 to 3", "given -1"]),
    "flags of another type": (topk(items=np.ones(ITEMS, np.uint8)), TypeError, ["items", "expected bool", "given uint8"]),
    "too few flags": (topk(items=np.ones(2, bool)), ValueError, ["items", "6 items", "given 2"]),
    "seen of another shape": (topk(seen=csr([0, 1], [0], (1, ITEMS))), ValueError, ["seen", "4 users and 6 items", "given 1"]),
    "four masks": (topk(seen=[GOOD] * 4), ValueError, ["seen", "at most 3", "given 4"]),
    "COO": (topk(seen=scipy.sparse.coo_matrix((USERS, ITEMS))), TypeError, ["seen", "CSR", "'coo'", ".tocsr()"]),
    "dense interactions": (topk(seen=np.ones((USERS, ITEMS), np.float32)), TypeError, ["seen", "CSR", "ndarray"]),
    "item too large": (evaluate(test=csr([0, 1, 1, 1, 1], [6])), ValueError, ["test", "from 0 to 5", "given 6", "user 0"]),
    "item below 0": (evaluate(train=csr([0, 0, 1, 1, 1], [-1])), ValueError, ["train", "from 0 to 5", "given -1", "user 1"]),
    "not sorted": (evaluate(test=csr([0, 2, 2, 2, 2], [3, 1])), ValueError, ["test", "ascending", "1 after 3", "sort_indices"]),
    "twice": (evaluate(test=csr([0, 2, 2, 2, 2], [3, 3])), ValueError, ["test", "once", "given 3 twice", "sum_duplicates"]),
    "a stored zero": (evaluate(test=csr([0, 1, 2, 3, 4], [0, 1, 2, 3], values=[1, 0, 1, 1])), ValueError,
                      ["test", "no stored zeros", "given 1", "eliminate_zeros"]),
    "offsets that fall": (evaluate(test=csr([0, 2, 1, 3, 4], [0, 1, 2, 3])), ValueError, ["test", "ascend", "1 after 2"]),
    "offsets beyond the end": (evaluate(test=csr([0, 1, 2, 3, 9], [0, 1, 2, 3])), ValueError, ["test", "4 entries", "0 to 9"]),
    "a large item": (evaluate(test=(lambda m: setattr(m, "indices", m.indices + np.int64(2**33)) or m)(GOOD.copy())), ValueError,
                     ["test", "from 0 to 5", "given 8589934592"]),
    "another metric": (evaluate(metrics=("recall", "auc")), ValueError, ["metrics", "'recall'", "given 'auc'"]),
    "no cut-off": (evaluate(k=()), ValueError, ["k:", "at least one", "none"]),
    "cut-off of 0": (evaluate(k=(5, 0)), ValueError, ["k:", "from 1 on", "given 0"]),
    "test of None": (evaluate(test=None), TypeError, ["test", "CSR", "given a NoneType"]),
    "pairs of unequal length": (sampler((np.arange(3), np.arange(4))), ValueError, ["interactions", "3 and 4"]),
    "pairs of floats": (sampler((np.ones(3), np.ones(3))), TypeError, ["interactions", "whole numbers", "float64"]),
    "pairs below 0": (sampler((np.array([0, -2]), np.array([0, 1]))), ValueError, ["interactions", "from 0 on", "given -2"]),
    "no batch": (sampler(batch=0), ValueError, ["batch", "1 to the 4 interactions", "given 0"]),
    "too large a batch": (sampler(batch=5), ValueError, ["batch", "1 to the 4 interactions", "given 5"]),
    "no negatives": (sampler(negatives=0), ValueError, ["negatives", "at least 1", "given 0"]),
    "another rule": (sampler(rule="items"), ValueError, ["rule", "'interaction'", "given 'items'"]),
    "another distribution": (sampler(distribution="zipf"), ValueError, ["distribution", "'uniform'", "given 'zipf'"]),
    "no seed": (sampler(seed=-1), ValueError, ["seed", "from 0 on", "given -1"]),
    "a user with every item": (sampler(csr([0, 6, 6, 6, 6], range(6))), ValueError, ["user 0", "every item"]),
    "an epoch below 0": (lambda: sampler()().draw(-1, 0), ValueError, ["epoch", "from 0 on", "given -1"]),
    "a step too large": (lambda: sampler()().draw(0, 2**32), ValueError, ["step", "below 4294967296"]),
    "too few rows": (propagate(USER), ValueError, ["x:", "10 rows", "users and then items", "given 4"]),
    "layers beyond 31 bits": (propagate(layers=2**31), ValueError, ["layers", f"below {2**31}", f"given {2**31}"]),
    "k beyond 64 bits": (topk(k=2**70), ValueError, ["k", f"below {2**63}", f"given {2**70}"]),
    "a seed beyond 64 bits": (sampler(seed=2**64), ValueError, ["seed", f"below {2**64}", f"given {2**64}"]),
    "layers below 0": (propagate(layers=-1), ValueError, ["layers", "from 0 on", "given -1"]),
    "no graph": (propagate(graph=GOOD), TypeError, ["graph", "rec_engine.ops.Graph", "csr_matrix"]),
    "rows of users for items": (lambda: ops.mean_rows(ops.Graph(GOOD), USER), ValueError, ["x:", "6 rows", "given 4"]),
    "tau of 0": (info_nce(tau=0), ValueError, ["tau", "above 0", "given 0"]),
    "tau that is no number": (info_nce(tau=float("nan")), ValueError, ["tau", "above 0", "nan"]),
    "a batch user too large": (info_nce(users=np.array([0, 4])), ValueError, ["users", "from 0 to 3", "given 4"]),
    "a negative below 0": (info_nce(negatives=np.full((2, 3), -1)), ValueError, ["negatives", "from 0 to 5", "given -1"]),
    "a positive too large": (info_nce(positives=np.array([0, 6])), ValueError, ["positives", "from 0 to 5", "given 6"]),
    "batches of unequal length": (info_nce(users=np.zeros(3, np.int64)), ValueError, ["one row each", "given 3, 2 and 2"]),
    "negatives of one dimension": (info_nce(negatives=np.zeros(2, np.int64)), ValueError, ["negatives", "two dimensions"]),
    "ids of floats": (info_nce(positives=np.zeros(2)), TypeError, ["positives", "expected int32", "given float64"]),
    "bpr of two negatives": (lambda: ops.bpr(USER, ITEM, *np.zeros((2, 2), np.int64), np.zeros((2, 2), np.int64)), ValueError,
                             ["negatives", "one a row", "given 2"]),
    "threads below 0": (lambda: ops.set_num_threads(-1), ValueError, ["threads", "expected 0", "given -1"]),
}


class Errors(unittest.TestCase):
    def test_cases(self):
        self.assertGreaterEqual(len(CASES), 40)
        for what, (call, kind, words) in CASES.items():
            with self.subTest(what):
                with self.assertRaises(kind) as caught:
                    call()
                self.assertIs(type(caught.exception), kind)
                for word in words:
                    self.assertIn(word, str(caught.exception))


if __name__ == "__main__":
    unittest.main()
