"""Plain NumPy statements of what the package does, written to be read, not to be fast."""

import numpy as np

METRICS = ("recall", "ndcg", "hr", "precision", "map", "mrr")


def lists(user_vectors, item_vectors, masks, k):
    """Ids of each user's best k items by float64 scores, ties by id, -1 where there are no more."""
    scores = user_vectors.astype(np.float64) @ item_vectors.astype(np.float64).T
    found = np.full((len(user_vectors), k), -1)
    for u, row in enumerate(scores):
        hidden = set().union(*(mask[u] for mask in masks)) if masks else set()
        order = [i for i in np.lexsort((np.arange(len(row)), -row)) if i not in hidden][:k]
        found[u, :len(order)] = order
    return found


def user_metrics(found, relevant, k):
    """The metrics of docs/protocol.md for one user, in the order of METRICS."""
    hits = [rank for rank, item in enumerate(found[:k], 1) if item in relevant]
    gain = sum(1 / np.log2(rank + 1) for rank in hits)
    ideal = sum(1 / np.log2(rank + 1) for rank in range(1, min(k, len(relevant)) + 1))
    precision_at_hits = [n / rank for n, rank in enumerate(hits, 1)]
    return [len(hits) / len(relevant), gain / ideal, float(bool(hits)), len(hits) / k,
            np.mean(precision_at_hits) if hits else 0.0, 1 / hits[0] if hits else 0.0]


def evaluate(user_vectors, item_vectors, train, test, cutoffs):
    """users with an item in test, and [those, cutoffs, METRICS]; train and test: sets of items, one a user."""
    found = lists(user_vectors, item_vectors, [train], max(cutoffs))
    users = [u for u, relevant in enumerate(test) if relevant]
    values = [[user_metrics(list(found[u]), test[u], k) for k in cutoffs] for u in users]
    return np.array(users), np.array(values).reshape(len(users), len(cutoffs), len(METRICS))
