"""Parts of a recommender's pipeline, each to be put in the place of a slow one: exact evaluation and top-k of anybody's
vectors, the sampling of batches, graph convolution, and losses with their gradients. rec_engine.torch has the last two as
modules of PyTorch.

Arrays come as they are, from NumPy, PyTorch or anything else with a buffer or DLPack, and are not copied; what would have
to be (another dtype, values that do not lie one after another) is refused. Interactions are a SciPy CSR matrix [users,
items], a PyTorch sparse CSR tensor, or a pair of arrays (users, items), one interaction a place; what a sparse matrix
stores is an interaction.

On a GPU (a build with CUDA) the vectors, x, gradients and ids of one call lie on one GPU, as PyTorch's, CuPy's or anything
else's with DLPack or __cuda_array_interface__; the work goes behind what the caller's stream has to do already, results lie
there too, and nothing waits for it except where it says so. Ids are then not looked at from here: where one is out of range,
the loss is NaN.

Every function raises TypeError for a wrong type or dtype, ValueError for a wrong shape, layout or value, RuntimeError for
an array on a device that this build cannot use, and MemoryError where there is none left. Other threads run meanwhile. A
result does not depend on how many threads there are (`set_num_threads`).
"""

from __future__ import annotations

from typing import Any, Iterator, Literal, Sequence, overload

import numpy as np

from rec_engine import _native
from rec_engine._arrays import as_array, as_csr, count, one_of, optional_array
from rec_engine._native import get_num_threads, set_num_threads
from rec_engine._place import HOST, as_native, on_host, place_of, results_beside

__all__ = ["bpr", "evaluate", "get_num_threads", "Graph", "info_nce", "mean_rows", "mean_rows_adjoint", "METRICS", "propagate",
           "sample", "Sampler", "set_num_threads", "topk"]

METRICS = tuple(_native.metric_names())
# What is taken as it is: NumPy's arrays, PyTorch's tensors, anything with DLPack or a buffer. And interactions: SciPy's CSR
# matrices, PyTorch's sparse CSR tensors, pairs of arrays.
Array = Any
Interactions = Any

_SCORES = ("dot", "cosine")
_MOST_MASKS = 3


def topk(user_vectors: Array, item_vectors: Array, k: int = 20, *, users: Array | None = None,
         seen: Interactions | list[Interactions] | None = None, items: Array | None = None,
         score: str = "dot") -> tuple[np.ndarray, np.ndarray]:
    """The best k items of each user, exactly: every item is scored.

    user_vectors: float32 [users, width]; item_vectors: float32 [items, width].
    users: int32 or int64 [lists], whose lists; all users if not given.
    seen: interactions [users, items] that are left out of a user's list, or several of them in a list, at most 3.
    items: bool [items], which may be shown; all if not given.
    score: "dot", the inner product, or "cosine", for which unit copies of the vectors are made.

    Returns NumPy's ids int32 [lists, k] and scores float32 [lists, k], which vectors on a GPU are waited for, best first; of equal scores the smaller id first. A list
    with fewer items ends in id -1 with score -inf. Raises ValueError where a score is not finite.
    """
    user_vectors, item_vectors = as_array(user_vectors, "user_vectors"), as_array(item_vectors, "item_vectors")
    users, items = on_host(optional_array(users, "users")), on_host(optional_array(items, "items"))
    place = place_of(user_vectors=user_vectors, item_vectors=item_vectors)
    k = count(k, "k", least=1)
    lists = len(user_vectors if users is None else users)
    ids, scores = np.empty((lists, k), np.int32), np.empty((lists, k), np.float32)
    _native.topk(as_native(user_vectors, place), as_native(item_vectors, place), users, k,
                 _masks(seen, "seen", user_vectors, item_vectors), items, one_of(score, _SCORES, "score") == "cosine", ids,
                 scores, place)
    return ids, scores


@overload
def evaluate(user_vectors: Array, item_vectors: Array, train: Interactions | list[Interactions] | None, test: Interactions,
             k: int | Sequence[int] = ..., metrics: str | Sequence[str] = ..., *, score: str = ...,
             per_user: Literal[False] = ...) -> dict[str, float]: ...


@overload
def evaluate(user_vectors: Array, item_vectors: Array, train: Interactions | list[Interactions] | None, test: Interactions,
             k: int | Sequence[int] = ..., metrics: str | Sequence[str] = ..., *, score: str = ...,
             per_user: Literal[True]) -> tuple[dict[str, float], dict[str, np.ndarray]]: ...


def evaluate(user_vectors: Array, item_vectors: Array, train: Interactions | list[Interactions] | None, test: Interactions,
             k: int | Sequence[int] = (20,), metrics: str | Sequence[str] = ("recall", "ndcg", "hr"), *, score: str = "dot",
             per_user: bool = False) -> dict[str, float] | tuple[dict[str, float], dict[str, np.ndarray]]:
    """All-ranking metrics of anybody's vectors: every user with an item in test is ranked all items but those in train.

    user_vectors: float32 [users, width]; item_vectors: float32 [items, width].
    train: interactions [users, items] that are left out of the lists, several of them in a list (at most 3), or None. An
    item that a user has in train and in test counts as relevant and is never listed.
    test: interactions [users, items], the relevant items.
    k: a cut-off or several. metrics: among METRICS, defined in docs/protocol.md.
    score: "dot" or "cosine", for which unit copies of the vectors are made.

    Returns {"recall@20": mean over the users, ...}; with per_user=True also a second dict of the same names, float64
    [users with an item in test] each, and under "user" these users' ids. All 0 where nobody has an item in test.
    """
    user_vectors, item_vectors = as_array(user_vectors, "user_vectors"), as_array(item_vectors, "item_vectors")
    cutoffs, places = asked_for(k, metrics)
    shape = _shape(user_vectors, item_vectors)
    relevant = as_csr(test, "test", shape=shape)
    users = np.flatnonzero(np.diff(np.asarray(relevant.row_start)))
    values = np.empty((len(users), len(cutoffs), len(METRICS)))
    place = place_of(user_vectors=user_vectors, item_vectors=item_vectors)
    means = _native.evaluate(as_native(user_vectors, place), as_native(item_vectors, place), relevant,
                             _masks(train, "train", user_vectors, item_vectors), cutoffs,
                             one_of(score, _SCORES, "score") == "cosine", values.reshape(-1) if per_user else None,
                             place)
    mean = {name: means[c][m] for name, c, m in places}
    if not per_user:
        return mean
    return mean, {"user": users.astype(np.int32), **{name: values[:, c, m].copy() for name, c, m in places}}


def asked_for(k, metrics):
    """The cut-offs, and of every value asked for its name, its cut-off's place and its metric's, as evaluations have them."""
    cutoffs = [count(each, "k", least=1) for each in ([k] if np.isscalar(k) else list(k))]
    if not cutoffs:
        raise ValueError("k: expected at least one cut-off, given none")
    wanted = [one_of(metric, METRICS, "metrics") for metric in ([metrics] if isinstance(metrics, str) else metrics)]
    return cutoffs, [(f"{metric}@{cutoff}", c, METRICS.index(metric)) for c, cutoff in enumerate(cutoffs) for metric in wanted]


class Sampler:
    """Draws batches: users, one of each one's items, and negatives among the items she does not have.

    interactions: [users, items], each user's training items, kept in a copy.
    batch: rows; at most as many as there are interactions. negatives: for each row, with replacement.
    rule: "user", every user equally often and shuffled; "interaction", every interaction once an epoch; "random_user", users
    with replacement.
    distribution: of negatives, "uniform", or "popularity", degree ** exponent.
    shape: (users, items) where interactions are a pair of arrays that may not have the last ones.

    What is drawn is a function of (seed, epoch, step) alone, the same on every machine, and what the program trains on
    with that seed. Raises ValueError for a user who has every item: she has no negatives.
    """

    def __init__(self, interactions: Interactions, batch: int, negatives: int, rule: str = "user", seed: int = 101, *,
                 distribution: str = "uniform", exponent: float = 0.75, shape: tuple[int, int] | None = None):
        self.batch, self.negatives = count(batch, "batch"), count(negatives, "negatives")
        self._sampler = _native.Sampler(as_csr(interactions, "interactions", shape=shape), self.batch, self.negatives, rule,
                                        distribution, float(exponent), count(seed, "seed", below=2**64))

    @property
    def steps_per_epoch(self) -> int:
        """interactions // batch"""
        return self._sampler.steps_per_epoch

    def draw(self, epoch: int, step: int, out: tuple[Array, Array, Array] | None = None) -> tuple[Array, Array, Array]:
        """users int32 [batch], positives int32 [batch], negatives int32 [batch, negatives]

        out: three arrays of yours of that kind, which are overwritten and returned in the place of new ones; where they lie
        on a GPU, the batch is drawn there.
        """
        if out is None:
            out = (np.empty(self.batch, np.int32), np.empty(self.batch, np.int32),
                   np.empty((self.batch, self.negatives), np.int32))
        if len(out) != 3:
            raise ValueError(f"out: expected users, positives and negatives, given {len(out)} arrays")
        given = {name: as_array(part, name) for name, part in zip(("users", "positives", "negatives"), out)}
        place = place_of(**given)
        self._sampler.draw(count(epoch, "epoch", below=2**32), count(step, "step", below=2**32),
                           *(as_native(part, place) for part in given.values()), place)
        return out

    def epoch(self, epoch: int, out: tuple[Array, Array, Array] | None = None) -> Iterator[tuple[Array, Array, Array]]:
        """The epoch's batches, one after another; with out in the same arrays each."""
        for step in range(self.steps_per_epoch):
            yield self.draw(epoch, step, out)


def sample(interactions: Interactions, batch: int, negatives: int, rule: str = "user", seed: int = 101, epoch: int = 0,
           **options) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The batches of one epoch: Sampler(...).epoch(epoch). For several epochs make one Sampler."""
    return Sampler(interactions, batch, negatives, rule, seed, **options).epoch(epoch)


class Graph:
    """The bipartite graph of interactions [users, items], kept in a copy, for both directions.

    A node is a user or an item; arrays over nodes hold users first, then items. shape: (users, items) where interactions are
    a pair of arrays that may not have the last ones. The first use on a GPU copies the graph there, and waits.
    """

    def __init__(self, interactions: Interactions, shape: tuple[int, int] | None = None):
        self._graph = _native.Graph(as_csr(interactions, "interactions", shape=shape))

    @property
    def users(self) -> int:
        return self._graph.users

    @property
    def items(self) -> int:
        return self._graph.items

    @property
    def edges(self) -> int:
        return self._graph.edges


def propagate(graph: Graph, x: Array, layers: int) -> np.ndarray:
    """Graph convolution, as LightGCN has it: 1 / (K + 1) sum over k = 0 .. K of A~^k x.

    A~ = D^-1/2 A D^-1/2 over users and items, D the degrees; nodes without edges give 0. graph: a Graph; x: float32
    [users + items, width]; layers: K. Returns float32 of x's shape. It is its own adjoint: the gradient by x is
    propagate(graph, gradient, layers).
    """
    x = as_array(x, "x")
    place = place_of(x=x)
    out = results_beside(x, place)(_shape_of(x), "float32")
    _native.propagate(_of(graph), as_native(x, place), count(layers, "layers", below=2**31), as_native(out, place), place)
    return out


def mean_rows(graph: Graph, x: Array) -> np.ndarray:
    """Of every user the mean of her items' rows, 0 without items. x: float32 [items, width]; returns [users, width]."""
    x = as_array(x, "x")
    return _mapped(_native.mean_rows, graph, x, _of(graph).users)


def mean_rows_adjoint(graph: Graph, gradient: Array) -> np.ndarray:
    """The gradient by x of mean_rows. gradient: float32 [users, width]; returns [items, width]."""
    gradient = as_array(gradient, "gradient")
    return _mapped(_native.mean_rows_adjoint, graph, gradient, _of(graph).items)


def _mapped(function, graph, x, rows):
    place = place_of(x=x)
    out = results_beside(x, place)((rows, _width(x)), "float32")
    function(_of(graph), as_native(x, place), as_native(out, place), place)
    return out


def info_nce(user_vectors: Array, item_vectors: Array, users: Array, positives: Array, negatives: Array, tau: float, *,
             score: str = "cosine") -> tuple[float, np.ndarray, np.ndarray]:
    """The sampled contrastive loss of a batch and its gradients.

    With s_0 the score of a row's user and positive and s_1 .. s_S those of its negatives:
    mean over the rows of  log sum_j exp(s_j / tau) - s_0 / tau.

    user_vectors: float32 [users, width]; item_vectors: float32 [items, width]; users, positives [batch] and negatives
    [batch, S]: int32, or int64, of which a copy is made; tau: above 0. score: "cosine" (the vectors need not be unit ones) or "dot".

    Returns the loss, a float (on a GPU float64 [1] there), and its gradients by user_vectors and item_vectors, float32 of
    their shapes.
    """
    return _loss(False, tau, user_vectors, item_vectors, users, positives, negatives, score)


def bpr(user_vectors: Array, item_vectors: Array, users: Array, positives: Array, negatives: Array, *,
        score: str = "dot") -> tuple[float, np.ndarray, np.ndarray]:
    """The pairwise loss of a batch, mean over the rows of log(1 + exp(s_1 - s_0)), and its gradients: as info_nce, with one
    negative a row, [batch, 1] or [batch]."""
    return _loss(True, 1.0, user_vectors, item_vectors, users, positives, negatives, score)


def _loss(is_bpr, tau, user_vectors, item_vectors, users, positives, negatives, score):
    given = {"user_vectors": user_vectors, "item_vectors": item_vectors, "users": users, "positives": positives,
             "negatives": negatives}
    given = {name: as_array(value, name) for name, value in given.items()}
    place = place_of(**given)
    make = results_beside(given["user_vectors"], place)
    loss = make((1,), "float64", zeroed=True)
    gradients = [make(_shape_of(given[name]), "float32") for name in ("user_vectors", "item_vectors")]
    _native.batch_loss(is_bpr, float(tau), one_of(score, _SCORES, "score") == "cosine",
                       *(as_native(value, place) for value in (*given.values(), loss, *gradients)), place)
    return (float(loss[0]) if place == HOST else loss, *gradients)


def _of(graph):
    if not isinstance(graph, Graph):
        raise TypeError(f"graph: expected a rec_engine.ops.Graph, given a {type(graph).__name__}")
    return graph._graph


def _shape_of(x):
    return tuple(x.shape)


def _width(x):
    return x.shape[-1]


def _shape(user_vectors, item_vectors):
    return len(user_vectors), len(item_vectors)


def _masks(given, name, user_vectors, item_vectors):
    parts = [] if given is None else given if isinstance(given, list) else [given]
    if len(parts) > _MOST_MASKS:
        raise ValueError(f"{name}: expected at most {_MOST_MASKS} sets of interactions, given {len(parts)}")
    return [as_csr(part, name, repeats=True, shape=_shape(user_vectors, item_vectors)) for part in parts]
