"""rec_engine.ops' graph convolution, means and losses against plain NumPy in float64; PyTorch's view is in test_torch."""

import unittest

import numpy as np

import cases
from rec_engine import ops

BOUND = 5e-6  # of the largest magnitude


def normalised(matrix):
    """A~ of the interactions, dense."""
    dense = matrix.toarray().astype(np.float64)
    users, items = dense.shape
    a = np.block([[np.zeros((users, users)), dense], [dense.T, np.zeros((items, items))]])
    degree = a.sum(1)
    scale = np.where(degree > 0, np.maximum(degree, 1) ** -0.5, 0)
    return scale[:, None] * a * scale


def loss_of(user, item, users, positives, negatives, tau, is_bpr, cosine):
    if cosine:
        user, item = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (user, item))
    chosen = np.concatenate([positives[:, None], negatives], 1)
    scores = np.einsum("bd,bsd->bs", user[users], item[chosen])
    if is_bpr:
        return np.logaddexp(0, scores[:, 1] - scores[:, 0]).mean()
    scores = scores / tau
    most = scores.max(1, keepdims=True)
    return (np.log(np.exp(scores - most).sum(1)) + most[:, 0] - scores[:, 0]).mean()


class Operators(unittest.TestCase):
    def setUp(self):
        self.random = np.random.default_rng(5)
        self.matrix = cases.csr(cases.sets_of_items(self.random, 23, 31, 0.2), 31)
        self.graph = ops.Graph(self.matrix)

    def normal(self, *shape):
        return self.random.normal(size=shape).astype(np.float32)

    def assert_near(self, found, wanted):
        self.assertEqual((found.dtype, found.shape), (np.float32, wanted.shape))
        np.testing.assert_allclose(found, wanted, rtol=0, atol=BOUND * np.abs(wanted).max())

    def test_propagate(self):
        adjacency = normalised(self.matrix)
        for layers in range(5):
            x = self.normal(54, 7)
            powers = [np.linalg.matrix_power(adjacency, k) @ x for k in range(layers + 1)]
            self.assert_near(ops.propagate(self.graph, x, layers), sum(powers) / (layers + 1))

    def test_mean_rows_and_its_adjoint(self):
        dense = self.matrix.toarray().astype(np.float64)
        mean = dense / np.maximum(dense.sum(1, keepdims=True), 1)
        x, gradient = self.normal(31, 65), self.normal(23, 65)
        self.assert_near(ops.mean_rows(self.graph, x), mean @ x)
        self.assert_near(ops.mean_rows_adjoint(self.graph, gradient), mean.T @ gradient)

    def test_losses_and_directional_derivatives(self):
        for is_bpr, cosine in ((False, True), (False, False), (True, False), (True, True)):
            user, item = self.normal(23, 9), self.normal(31, 9)
            users, positives = self.random.integers(0, 23, 40), self.random.integers(0, 31, 40)
            negatives = self.random.integers(0, 31, (40, 1 if is_bpr else 12))
            score = "cosine" if cosine else "dot"
            if is_bpr:
                loss, *gradients = ops.bpr(user, item, users, positives, negatives[:, 0].copy(), score=score)
            else:
                loss, *gradients = ops.info_nce(user, item, users, positives, negatives, 0.3, score=score)

            def at(step, n, direction):
                moved = [user.astype(np.float64), item.astype(np.float64)]
                moved[n] += step * direction
                return loss_of(*moved, users, positives, negatives, 0.3, is_bpr, cosine)
            self.assertAlmostEqual(loss, at(0, 0, np.zeros((23, 9))), delta=BOUND * loss)
            for n, gradient in enumerate(gradients):
                for _ in range(5):
                    direction = self.random.normal(size=gradient.shape)
                    along = (at(1e-5, n, direction) - at(-1e-5, n, direction)) / 2e-5
                    product = (gradient * direction).sum()
                    self.assertAlmostEqual(along, product, delta=1e-5 * np.abs(gradient).max() * gradient.size ** 0.5)

    def test_ids_of_both_widths(self):
        user, item = self.normal(23, 9), self.normal(31, 9)
        batch = [self.random.integers(0, 23, 8), self.random.integers(0, 31, 8), self.random.integers(0, 31, (8, 3))]
        wide = ops.info_nce(user, item, *batch, 0.3)
        narrow = ops.info_nce(user, item, *(part.astype(np.int32) for part in batch), 0.3)
        for a, b in zip(wide, narrow):
            np.testing.assert_array_equal(a, b)


if __name__ == "__main__":
    unittest.main()
