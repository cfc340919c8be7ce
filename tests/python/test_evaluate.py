"""rec_engine.ops.evaluate and topk against plain NumPy."""

import unittest

import numpy as np

import cases
import plain
from rec_engine import ops


def whole_numbers(random, rows, width):
    """Vectors whose inner products are exact in float32, with many equal ones."""
    return random.integers(-2, 3, (rows, width)).astype(np.float32)


class Evaluate(unittest.TestCase):
    def test_equals_numpy(self):
        for seed in range(200):
            random = np.random.default_rng(seed)
            users, items, width = (int(n) for n in random.integers(1, [30, 40, 70]))
            train = cases.sets_of_items(random, users, items, 0.2)
            test = [each - seen for each, seen in zip(cases.sets_of_items(random, users, items, 0.2), train)]
            cutoffs = [int(k) for k in random.integers(1, 60, 3)]  # beyond the catalogue as well
            user, item = whole_numbers(random, users, width), whole_numbers(random, items, width)
            known, values = plain.evaluate(user, item, train, test, cutoffs)
            mean, per_user = ops.evaluate(user, item, cases.csr(train, items), cases.csr(test, items), cutoffs,
                                          plain.METRICS, per_user=True)
            with self.subTest(seed=seed):
                np.testing.assert_array_equal(per_user["user"], known)
                for c, k in enumerate(cutoffs):
                    for m, metric in enumerate(plain.METRICS):
                        np.testing.assert_allclose(per_user[f"{metric}@{k}"], values[:, c, m], rtol=1e-14)
                        wanted = values[:, c, m].mean() if len(known) else 0.0
                        self.assertAlmostEqual(mean[f"{metric}@{k}"], wanted, places=13)

    def test_cosine_is_dot_of_unit_rows(self):
        random = np.random.default_rng(1)
        user, item = random.normal(size=(20, 9)).astype(np.float32), random.normal(size=(30, 9)).astype(np.float32)
        sets = cases.sets_of_items(random, 20, 30, 0.2)
        unit = [x / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True) for x in (user, item)]
        _, values = plain.evaluate(*unit, [set()] * 20, sets, [5])
        found = ops.evaluate(user * 3, item, None, cases.csr(sets, 30), 5, "ndcg", score="cosine")
        self.assertAlmostEqual(found["ndcg@5"], values[:, 0, 1].mean(), places=12)

    def test_only_what_is_asked_for(self):
        one = np.ones((1, 1), np.float32)
        self.assertEqual(ops.evaluate(one, one, None, (np.array([0]), np.array([0])), k=3, metrics="mrr"),
                         {"mrr@3": 1.0})

    def test_same_for_any_number_of_threads(self):
        random = np.random.default_rng(2)
        user, item = random.normal(size=(300, 33)).astype(np.float32), random.normal(size=(500, 33)).astype(np.float32)
        test = cases.csr(cases.sets_of_items(random, 300, 500, 0.05), 500)
        before = ops.get_num_threads()
        try:
            found = []
            for threads in (1, 2, 3):
                ops.set_num_threads(threads)
                found.append(ops.evaluate(user, item, None, test, (1, 20)))
        finally:
            ops.set_num_threads(before)
        self.assertEqual(found[0], found[1])
        self.assertEqual(found[0], found[2])


class TopK(unittest.TestCase):
    def setUp(self):
        random = np.random.default_rng(3)
        self.user, self.item = whole_numbers(random, 12, 3), whole_numbers(random, 25, 3)
        self.seen = cases.sets_of_items(random, 12, 25, 0.3)

    def test_equals_numpy(self):
        ids, scores = ops.topk(self.user, self.item, 30, seen=cases.csr(self.seen, 25))
        np.testing.assert_array_equal(ids, plain.lists(self.user, self.item, [self.seen], 30))
        exact = self.user @ self.item.T
        for u in range(12):
            shown = ids[u] >= 0
            np.testing.assert_array_equal(scores[u][shown], exact[u, ids[u][shown]])
            self.assertTrue(np.all(np.isneginf(scores[u][~shown])))

    def test_some_users_and_some_items(self):
        allowed = np.arange(25) % 2 == 0
        chosen = np.array([7, 0, 7], np.int32)
        ids, _ = ops.topk(self.user, self.item, 5, users=chosen, items=allowed)
        odd = set(range(1, 25, 2))
        np.testing.assert_array_equal(ids, plain.lists(self.user, self.item, [[odd] * 12], 5)[chosen])

    def test_several_masks(self):
        other = [set(range(u)) for u in range(12)]
        ids, _ = ops.topk(self.user, self.item, 25, seen=[cases.csr(self.seen, 25), cases.csr(other, 25)])
        np.testing.assert_array_equal(ids, plain.lists(self.user, self.item, [self.seen, other], 25))

    def test_rows_that_lie_apart(self):
        wide = np.zeros((12, 7), np.float32)
        wide[:, 2:5] = self.user
        ids, _ = ops.topk(wide[:, 2:5], self.item, 4)
        np.testing.assert_array_equal(ids, plain.lists(self.user, self.item, [], 4))

    def test_arrays_that_cannot_be_written(self):
        self.user.setflags(write=False)
        ids, _ = ops.topk(self.user, self.item, 4)
        np.testing.assert_array_equal(ids, plain.lists(self.user, self.item, [], 4))

    def test_anything_with_an_array_interface(self):
        class Wrapped:
            def __init__(self, array):
                self.array, self.__array_interface__ = array, array.__array_interface__
        ids, _ = ops.topk(Wrapped(self.user), memoryview(self.item), 4)
        np.testing.assert_array_equal(ids, plain.lists(self.user, self.item, [], 4))

    def test_pairs(self):
        users = np.array([u for u, row in enumerate(self.seen) for _ in row])
        items = np.array([i for row in self.seen for i in row])
        ids, _ = ops.topk(self.user, self.item, 9, seen=(users, items))
        np.testing.assert_array_equal(ids, plain.lists(self.user, self.item, [self.seen], 9))


if __name__ == "__main__":
    unittest.main()
