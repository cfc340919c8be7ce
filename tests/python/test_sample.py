"""rec_engine.ops.Sampler and sample."""

import unittest

import numpy as np

import cases
from rec_engine import ops


class Sample(unittest.TestCase):
    def setUp(self):
        random = np.random.default_rng(4)
        self.sets = cases.sets_of_items(random, 40, 60, 0.15)
        self.interactions = cases.csr(self.sets, 60)

    def test_positives_are_hers_and_negatives_are_not(self):
        for rule in ("user", "interaction", "random_user"):
            for distribution in ("uniform", "popularity"):
                batches = list(ops.sample(self.interactions, 32, 50, rule, seed=7, distribution=distribution))
                self.assertEqual(len(batches), self.interactions.nnz // 32)
                for users, positives, negatives in batches:
                    self.assertEqual((users.shape, positives.shape, negatives.shape), ((32,), (32,), (32, 50)))
                    for user, positive, row in zip(users, positives, negatives):
                        self.assertIn(positive, self.sets[user])
                        self.assertFalse(self.sets[user] & set(row.tolist()))
                        self.assertTrue(0 <= row.min() and row.max() < 60)

    def test_an_epoch_of_interactions_has_each_once(self):
        drawn = [(u, i) for users, items, _ in ops.sample(self.interactions, 1, 1, "interaction") for u, i in zip(users, items)]
        self.assertEqual(sorted(drawn), sorted((u, i) for u, row in enumerate(self.sets) for i in row))

    def test_negatives_are_uniform(self):
        """Of 120,000 draws for one user, each of her n other items gets 120,000 / n, within five deviations."""
        items = np.array([0, 3, 4], np.int32)
        negatives = ops.Sampler((np.zeros(3, np.int32), items), 3, 40_000, seed=5).draw(0, 0)[2]
        with self.assertRaises(ValueError):  # the largest id is 4: she has 3 of 5 items
            ops.Sampler((np.zeros(5, np.int32), np.arange(5, dtype=np.int32)), 3, 1)
        counts = np.bincount(negatives.ravel(), minlength=5)
        self.assertEqual(counts.sum(), 120_000)
        self.assertEqual(set(np.flatnonzero(counts)), {1, 2})
        self.assertLess(abs(counts[1] - 60_000), 5 * np.sqrt(120_000 / 4))

    def test_a_function_of_seed_epoch_and_step(self):
        def drawn(seed, epoch, step):
            return np.concatenate([part.ravel() for part in ops.Sampler(self.interactions, 32, 5, seed=seed).draw(epoch, step)])
        np.testing.assert_array_equal(drawn(1, 2, 3), drawn(1, 2, 3))
        for other in ((2, 2, 3), (1, 3, 3), (1, 2, 2)):
            self.assertTrue((drawn(1, 2, 3) != drawn(*other)).any())

    def test_what_is_drawn_stays_drawn(self):
        sampler = ops.Sampler(self.interactions, 32, 5)
        first = sampler.draw(0, 0)[2]
        before = first.copy()
        sampler.draw(0, 1)
        np.testing.assert_array_equal(first, before)


if __name__ == "__main__":
    unittest.main()
