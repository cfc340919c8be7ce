"""rec_engine.ops on arrays of a GPU, against the same on the host: any GPU, or the emulated one."""

import unittest

import numpy as np

import cases
from rec_engine import _native, ops

if _native.gpu_problem():
    raise unittest.SkipTest(_native.gpu_problem())

import device_arrays

BOUND = 5e-6  # of the largest magnitude
USERS, ITEMS, WIDTH = 23, 31, 9


class OnAGpu(unittest.TestCase):
    def setUp(self):
        self.random = np.random.default_rng(7)
        self.stream = device_arrays.Stream()
        self.matrix = cases.csr(cases.sets_of_items(self.random, USERS, ITEMS, 0.2), ITEMS)
        self.graph = ops.Graph(self.matrix)
        self.user, self.item = self.normal(USERS, WIDTH), self.normal(ITEMS, WIDTH)

    def normal(self, *shape):
        return self.random.normal(size=shape).astype(np.float32)

    def there(self, host):
        return device_arrays.array(host, self.stream)

    def assert_near(self, found, wanted):
        found = found.get()
        self.assertEqual((found.dtype, found.shape), (np.float32, wanted.shape))
        np.testing.assert_allclose(found, wanted, rtol=0, atol=BOUND * np.abs(wanted).max())

    def test_propagation_and_means_of_what_is_still_on_its_way(self):
        x, gradient = self.normal(USERS + ITEMS, 7), self.normal(USERS, 33)
        for layers in range(4):
            self.assert_near(ops.propagate(self.graph, self.there(x), layers), ops.propagate(self.graph, x, layers))
        self.assert_near(ops.mean_rows(self.graph, self.there(x[USERS:])), ops.mean_rows(self.graph, x[USERS:]))
        self.assert_near(ops.mean_rows_adjoint(self.graph, self.there(gradient)), ops.mean_rows_adjoint(self.graph, gradient))

    def batch(self, negatives, dtype=np.int64):
        return (self.random.integers(0, USERS, 40).astype(dtype), self.random.integers(0, ITEMS, 40).astype(dtype),
                self.random.integers(0, ITEMS, negatives).astype(dtype))

    def test_losses(self):
        for function, negatives, more in ((ops.info_nce, (40, 12), {"tau": 0.3}), (ops.bpr, (40, 1), {}), (ops.bpr, 40, {})):
            for score in ("dot", "cosine"):
                for dtype in (np.int32, np.int64):
                    batch = self.batch(negatives, dtype)
                    wanted = function(self.user, self.item, *batch, **more, score=score)
                    found = function(self.there(self.user), self.there(self.item), *map(self.there, batch), **more, score=score)
                    self.assertEqual(found[0].dtype, np.float64)
                    np.testing.assert_allclose(found[0].get(), [wanted[0]], rtol=BOUND)
                    for gradient, on_host in zip(found[1:], wanted[1:]):
                        self.assert_near(gradient, on_host)

    def test_an_id_out_of_range_makes_the_loss_nan(self):
        for place, wrong in ((0, USERS), (0, -1), (1, ITEMS), (2, 2**32), (2, -1)):
            batch = self.batch((40, 3))
            batch[place].flat[7] = wrong
            loss, *gradients = ops.info_nce(self.there(self.user), self.there(self.item), *map(self.there, batch), tau=0.2)
            self.assertTrue(np.isnan(loss.get()[0]), (place, wrong))
            for gradient in gradients:
                self.assertTrue(np.isfinite(gradient.get()).all())

    def test_evaluation_and_lists(self):
        test = cases.csr(cases.sets_of_items(self.random, USERS, ITEMS, 0.2), ITEMS)
        shown = self.random.random(ITEMS) < 0.8
        users = np.array([4, 0, 22, 4])
        for score in ("dot", "cosine"):
            on_host = (self.user, self.item)
            there = tuple(map(self.there, on_host))
            wanted, per_user = ops.evaluate(*on_host, self.matrix, test, k=(5, 20), score=score, per_user=True)
            found, of_user = ops.evaluate(*there, self.matrix, test, k=(5, 20), score=score, per_user=True)
            self.assertEqual(found, wanted)
            for name, values in per_user.items():
                np.testing.assert_array_equal(of_user[name], values)
            for users_given, shown_given in ((users, shown), (self.there(users), self.there(shown))):
                ids, scores = ops.topk(*there, k=6, users=users_given, items=shown_given, seen=[self.matrix, test], score=score)
                wanted_ids, wanted_scores = ops.topk(*on_host, k=6, users=users, items=shown, seen=[self.matrix, test], score=score)
                np.testing.assert_array_equal(ids, wanted_ids)
                np.testing.assert_allclose(scores, wanted_scores, rtol=BOUND, atol=BOUND)

    def test_batches_are_the_hosts(self):
        for rule, distribution in (("user", "uniform"), ("interaction", "popularity"), ("random_user", "uniform")):
            sampler = ops.Sampler(self.matrix, 16, 5, rule, seed=3, distribution=distribution)
            out = tuple(device_arrays.Array(shape, np.int32, self.stream) for shape in ((16,), (16,), (16, 5)))
            for epoch, step in ((0, 0), (0, 2), (3, 1), (0, 1)):
                self.assertIs(sampler.draw(epoch, step, out), out)
                for part, wanted in zip(out, sampler.draw(epoch, step)):
                    np.testing.assert_array_equal(part.get(), wanted)

    def test_refused(self):
        x = self.normal(USERS + ITEMS, 4)
        batch = self.batch((40, 3))
        there = {name: self.there(value) for name, value in (("user", self.user), ("item", self.item))}
        cases_of_refusal = (
            (TypeError, "x: expected float32, given float64", lambda: ops.propagate(self.graph, self.there(x.astype(np.float64)), 1)),
            (ValueError, "x: expected values that lie one after another",
             lambda: ops.propagate(self.graph, self.there(np.ascontiguousarray(x.T)).transposed(), 1)),
            (ValueError, "x: expected 54 rows, one for each of the graph's users and then items", lambda: ops.propagate(self.graph, self.there(x[1:]), 1)),
            (RuntimeError, "item_vectors: expected an array in the memory of cuda:0, where user_vectors lies, given one in the "
             "computer's memory", lambda: ops.info_nce(there["user"], self.item, *map(self.there, batch), tau=0.2)),
            (RuntimeError, "users: expected an array in the memory of cuda:0",
             lambda: ops.info_nce(there["user"], there["item"], *batch, tau=0.2)),
            (TypeError, "negatives: expected int32, given float64",
             lambda: ops.info_nce(there["user"], there["item"], *map(self.there, (*batch[:2], batch[2] * 1.0)), tau=0.2)),
        )
        for kind, sentence, call in cases_of_refusal:
            with self.subTest(sentence):
                with self.assertRaises(kind) as raised:
                    call()
                self.assertIn(sentence, str(raised.exception))


if __name__ == "__main__":
    unittest.main()
