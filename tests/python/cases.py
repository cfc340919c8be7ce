"""Random interactions for tests."""

import numpy as np
import scipy.sparse


def sets_of_items(random, users, items, share):
    """A set of items for each user, empty ones among them."""
    return [set(np.flatnonzero(random.random(items) < share * random.integers(0, 3)).tolist()) for _ in range(users)]


def csr(sets, items):
    """The same as a SciPy CSR matrix."""
    start = np.cumsum([0] + [len(each) for each in sets])
    ids = np.array([i for each in sets for i in sorted(each)], np.int32)
    return scipy.sparse.csr_matrix((np.ones(len(ids), np.float32), ids, start), shape=(len(sets), items))
