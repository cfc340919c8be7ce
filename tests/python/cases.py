"""Random interactions for tests."""

import numpy as np

try:
    import scipy.sparse
except ImportError:
    scipy = None


class Csr:
    """What the tests use of SciPy's, where that is not there."""
    format = "csr"

    def __init__(self, parts, shape):
        self.data, self.indices, self.indptr = parts
        self.shape = shape

    def toarray(self):
        dense = np.zeros(self.shape, self.data.dtype)
        dense[np.repeat(np.arange(self.shape[0]), np.diff(self.indptr)), self.indices] = self.data
        return dense


def sets_of_items(random, users, items, share):
    """A set of items for each user, empty ones among them."""
    return [set(np.flatnonzero(random.random(items) < share * random.integers(0, 3)).tolist()) for _ in range(users)]


def csr(sets, items):
    """The same as a CSR matrix."""
    start = np.cumsum([0] + [len(each) for each in sets])
    ids = np.array([i for each in sets for i in sorted(each)], np.int32)
    return (scipy.sparse.csr_matrix if scipy else Csr)((np.ones(len(ids), np.float32), ids, start), shape=(len(sets), items))
