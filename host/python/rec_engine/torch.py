"""Parts of a training step as functions and modules of PyTorch, in the place of slow ones:

    Propagation       graph convolution, as LightGCN has it
    MeanOfItems       of every user the mean of her items' rows
    InfoNCE, BPR      the loss of a batch with sampled negatives
    LanguageProjector AlphaRec's projector: language vectors of items to e0 of users and items

Tensors are float32 and must lie one value after another, on the CPU or on one CUDA device, where work goes into its current
stream and nothing waits; nothing large is copied. Ids are int32, or int64, of which an
operator makes a copy of half the size. Gradients are explicit and reach only what asks for one; the losses have no second
derivatives. Every function is a custom operator with a fake kernel, so that torch.compile takes it as one node. Under
autocast inputs of less precision are cast to float32 and the result is float32. What is refused raises as in rec_engine.ops.
"""

import itertools
import weakref

import torch

from rec_engine import _native, ops
from rec_engine._arrays import count
from rec_engine._place import as_native, place_of

__all__ = ["BPR", "InfoNCE", "LanguageProjector", "MeanOfItems", "Propagation", "bpr", "info_nce", "mean_rows", "propagate"]

# Operators take tensors and numbers: a graph goes by its number.
_graphs = weakref.WeakValueDictionary()
_numbers = itertools.count()


class Graph(ops.Graph):
    """rec_engine.ops.Graph, for these operators."""

    def __init__(self, interactions, shape=None):
        super().__init__(interactions, shape)
        self.number = next(_numbers)
        _graphs[self.number] = self


def _operator(name):
    """A custom operator without side effects, float32 under autocast."""
    def register(function):
        operator = torch.library.custom_op(f"rec_engine::{name}", mutates_args=())(function)
        for device in ("cpu", "cuda"):
            operator.register_autocast(device, torch.float32)
        return operator
    return register


@_operator("propagate")
def _propagate(x: torch.Tensor, graph: int, layers: int) -> torch.Tensor:
    out, place = torch.empty(x.shape, dtype=torch.float32, device=x.device), place_of(x=x)
    _native.propagate(_graphs[graph]._graph, as_native(x.detach(), place), layers, as_native(out, place), place)
    return out


@_propagate.register_fake
def _(x, graph, layers):
    return x.new_empty(x.shape)


def _keep_graph(ctx, inputs, output):
    ctx.graph, *ctx.rest = inputs[1:]
    ctx.kept = _graphs[ctx.graph]  # until the gradient is made


# Its own adjoint.
_propagate.register_autograd(
    lambda context, gradient: (_propagate(gradient.contiguous(), context.graph, *context.rest), None, None),
    setup_context=_keep_graph)


@_operator("mean_rows")
def _mean_rows(x: torch.Tensor, graph: int, adjoint: bool) -> torch.Tensor:
    of = _graphs[graph]
    rows, place = of.items if adjoint else of.users, place_of(x=x)
    out = torch.empty((rows, x.shape[-1]), dtype=torch.float32, device=x.device)
    function = _native.mean_rows_adjoint if adjoint else _native.mean_rows
    function(of._graph, as_native(x.detach(), place), as_native(out, place), place)
    return out


@_mean_rows.register_fake
def _(x, graph, adjoint):
    of = _graphs[int(graph)]
    return x.new_empty((of.items if adjoint else of.users, x.shape[-1]))


_mean_rows.register_autograd(
    lambda context, gradient: (_mean_rows(gradient.contiguous(), context.graph, not context.rest[0]), None, None),
    setup_context=_keep_graph)


@_operator("batch_loss")
def _batch_loss(user_vectors: torch.Tensor, item_vectors: torch.Tensor, users: torch.Tensor, positives: torch.Tensor,
                negatives: torch.Tensor, tau: float, bpr: bool, cosine: bool
                ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    given = {"user_vectors": user_vectors.detach(), "item_vectors": item_vectors.detach(), "users": users,
             "positives": positives, "negatives": negatives}
    place = place_of(**given)
    loss = torch.zeros(1, dtype=torch.float64, device=user_vectors.device)
    of_users, of_items = torch.empty_like(user_vectors), torch.empty_like(item_vectors)
    _native.batch_loss(bpr, tau, cosine,
                       *(as_native(each, place) for each in (*given.values(), loss, of_users, of_items)), place)
    return loss.to(torch.float32).reshape(()), of_users, of_items


@_batch_loss.register_fake
def _(user_vectors, item_vectors, users, positives, negatives, tau, bpr, cosine):
    return user_vectors.new_empty(()), torch.empty_like(user_vectors), torch.empty_like(item_vectors)


def _keep_gradients(ctx, inputs, output):
    ctx.save_for_backward(*output[1:], *inputs[:2])
    ctx.mark_non_differentiable(*output[1:])


def _scaled_gradients(context, of_loss, *_):
    *gradients, user_vectors, item_vectors = context.saved_tensors
    of_users, of_items = (_Scaled.apply(of_loss, gradient, user_vectors, item_vectors) if wanted else None
                          for gradient, wanted in zip(gradients, context.needs_input_grad))
    return of_users, of_items, None, None, None, None, None, None


class _Scaled(torch.autograd.Function):
    """gradient * of_loss. The gradient is a function of the vectors too, whose derivative is not known here."""

    @staticmethod
    def forward(context, of_loss, gradient, user_vectors, item_vectors):
        return gradient * of_loss

    @staticmethod
    def backward(context, *_):
        raise RuntimeError("a second derivative of info_nce or bpr: expected first derivatives alone, given create_graph=True")


_batch_loss.register_autograd(_scaled_gradients, setup_context=_keep_gradients)


def propagate(graph, x, layers):
    """1 / (K + 1) sum over k = 0 .. K of A~^k x: rec_engine.ops.propagate with a gradient. x: [users + items, width]"""
    return _propagate(x, _of(graph).number, count(layers, "layers", below=2**31))


def mean_rows(graph, x):
    """Of every user the mean of her items' rows: rec_engine.ops.mean_rows with a gradient. x: [items, width]"""
    return _mean_rows(x, _of(graph).number, False)


def info_nce(user_vectors, item_vectors, users, positives, negatives, tau, *, score="cosine"):
    """The loss of rec_engine.ops.info_nce as a tensor with a gradient by the vectors. tau is a number."""
    return _batch_loss(user_vectors, item_vectors, users, positives, negatives, _number(tau), False, _is_cosine(score))[0]


def bpr(user_vectors, item_vectors, users, positives, negatives, *, score="dot"):
    """The loss of rec_engine.ops.bpr as a tensor with a gradient."""
    return _batch_loss(user_vectors, item_vectors, users, positives, negatives, 1.0, True, _is_cosine(score))[0]


class Propagation(torch.nn.Module):
    """propagate of a Graph with so many layers."""

    def __init__(self, graph, layers):
        super().__init__()
        self.graph, self.layers = _of(graph), count(layers, "layers", below=2**31)

    def forward(self, x):
        return propagate(self.graph, x, self.layers)


class MeanOfItems(torch.nn.Module):
    """mean_rows of a Graph."""

    def __init__(self, graph):
        super().__init__()
        self.graph = _of(graph)

    def forward(self, x):
        return mean_rows(self.graph, x)


class InfoNCE(torch.nn.Module):
    """info_nce at a temperature."""

    def __init__(self, tau, score="cosine"):
        super().__init__()
        self.tau, self.score = _number(tau), score

    def forward(self, user_vectors, item_vectors, users, positives, negatives):
        return info_nce(user_vectors, item_vectors, users, positives, negatives, self.tau, score=self.score)


class BPR(torch.nn.Module):
    """bpr."""

    def __init__(self, score="dot"):
        super().__init__()
        self.score = score

    def forward(self, user_vectors, item_vectors, users, positives, negatives):
        return bpr(user_vectors, item_vectors, users, positives, negatives, score=self.score)


class LanguageProjector(torch.nn.Module):
    """AlphaRec's projector: e0 = W2 leaky(W1 z + b1) + b2 of all nodes, users by the mean z of their items.

    graph: a Graph. hidden: values between the layers; None for one layer without a bias, the linear mapping. The first layer
    is linear and a user's z is a mean, so only items go through it, and users take the mean behind it: exact, and users'
    language vectors never exist. A user without items gives 0 behind the first layer.
    """

    def __init__(self, graph, language_width, hidden, dim):
        super().__init__()
        self.graph = _of(graph)
        self.first = torch.nn.Linear(language_width, dim if hidden is None else hidden, bias=hidden is not None)
        self.second = None if hidden is None else torch.nn.Linear(hidden, dim)

    def forward(self, z):
        """z: float32 [items, language width]. Returns [users + items, dim]."""
        items = self.first(z)
        nodes = torch.cat([mean_rows(self.graph, items), items])
        return nodes if self.second is None else self.second(torch.nn.functional.leaky_relu(nodes))


def _of(graph):
    if not isinstance(graph, Graph):
        raise TypeError(f"graph: expected a rec_engine.torch.Graph, given a {type(graph).__name__}")
    return graph


def _number(tau):
    if getattr(tau, "requires_grad", False):
        raise TypeError("tau: expected a number, given a tensor that requires a gradient, of which there is none by tau")
    return float(tau)


def _is_cosine(score):
    if score not in ("dot", "cosine"):
        raise ValueError(f"score: expected 'dot' or 'cosine', given {score!r}")
    return score == "cosine"
