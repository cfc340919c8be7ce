"""What callers pass, as the native part takes it: arrays as they are, interactions as CSR."""

import numpy as np

from rec_engine import _native
from rec_engine._place import CudaArray


def as_array(value, name):
    """value as something with DLPack or a buffer, never copied. Raises TypeError for what is no array, RuntimeError for one
    on a GPU that cannot be used."""
    if isinstance(value, np.ndarray):
        return _plain(value, name)
    if hasattr(value, "__dlpack__"):
        return _without_gradient(value, name)
    if hasattr(value, "__cuda_array_interface__"):
        if _native.gpu_problem():
            raise RuntimeError(f"{name}: expected an array in the computer's memory, given a {type(value).__name__} on a GPU; "
                               f"{_native.gpu_problem()}, so move it with .get() or .cpu()")
        return CudaArray(value, name)
    if hasattr(value, "__array_interface__") or _has_buffer(value):
        return _plain(np.asarray(value), name)
    raise TypeError(f"{name}: expected an array (NumPy, PyTorch, or anything with a buffer or DLPack), given a "
                    f"{type(value).__name__}; make it one with numpy.asarray(x, dtype=...)")


def optional_array(value, name):
    return None if value is None else as_array(value, name)


def count(value, name, least=0, below=2**63):
    """value as an int from `least` to under `below`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: expected a whole number, given {value!r}")
    if value < least:
        raise ValueError(f"{name}: expected a whole number from {least} on, given {value}")
    if value >= below:
        raise ValueError(f"{name}: expected a whole number below {below}, given {value}")
    return int(value)


def one_of(value, names, name):
    if value not in names:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, names))}, given {value!r}")
    return value


def as_csr(value, name, repeats=False, shape=None):
    """value as a native CSR [users, items].

    value: a SciPy CSR matrix or array, a PyTorch sparse CSR tensor, or a pair of arrays (users, items), an interaction
    for each place, with shape, or as many users and items as their largest ids say. What a sparse matrix stores counts as
    an interaction, whatever its value but 0, which is refused. Items of int64 are copied.
    """
    if isinstance(value, tuple) and len(value) == 2:
        start, items, shape = _of_pairs(*value, name, shape, repeats)
    elif str(getattr(value, "layout", "")) == "torch.sparse_csr":
        start, items, shape = value.crow_indices(), value.col_indices(), tuple(value.shape)
        _refuse_zeros(value.values(), name)
    elif getattr(value, "format", None) == "csr" and len(value.shape) == 2:
        start, items, shape = value.indptr, value.indices, value.shape
        _refuse_zeros(value.data, name)
    else:
        of_scipy = hasattr(value, "tocsr")
        kind = f"sparse matrix of format {value.format!r}" if of_scipy else type(value).__name__
        raise TypeError(f"{name}: expected a sparse CSR matrix of users and items, or a pair of arrays (users, items), given "
                        f"a {kind}" + ("; call .tocsr() once" if of_scipy else ""))
    start = np.asarray(start, dtype=np.int64)  # one offset a user; a copy where SciPy keeps 32-bit ones
    items = np.asarray(as_array(items, name))
    if items.dtype == np.int64:  # PyTorch's usual type, and SciPy's of new arrays
        items = _narrowed(items, shape[1], name)
    return _native.Csr(start, items, shape[0], shape[1], name, repeats)


def _narrowed(items, count, name):
    """Ids of int64 in a copy of half their size; what does not fit is refused as what is out of range."""
    wrong = np.flatnonzero((items < 0) | (items >= count))
    if wrong.size:
        raise ValueError(f"{name}: expected items from 0 to {count - 1}, given {items[wrong[0]]}")
    return items.astype(np.int32)


def _without_gradient(value, name):
    if hasattr(value, "is_neg") and value.is_neg():
        raise ValueError(f"{name}: expected values as they lie in memory, given a tensor that is a negated view; pass "
                         "x.resolve_neg()")
    if getattr(value, "requires_grad", False):
        raise ValueError(f"{name}: expected an array without a gradient, given a tensor that requires one; pass "
                         "x.detach(), or use rec_engine.torch, which has gradients")
    return value


def _plain(array, name):
    """Values that the native part can name: numbers of this machine's byte order."""
    if array.dtype.kind not in "biufc" or not array.dtype.isnative or array.dtype.itemsize > 16 or array.ndim == 0:
        raise TypeError(f"{name}: expected an array of numbers in this machine's byte order, given {array.dtype} in {array.ndim} "
                        "dimensions")
    return array


def _has_buffer(value):
    try:
        memoryview(value)
    except TypeError:
        return False
    return not isinstance(value, (bytes, bytearray))


def _refuse_zeros(values, name):
    zeros = int((values == 0).sum())
    if zeros:
        raise ValueError(f"{name}: expected no stored zeros, of which nobody can say whether they are interactions; given "
                         f"{zeros}; call .eliminate_zeros() once, or set them to 1")


def _of_pairs(users, items, name, shape, repeats):
    users, items = (np.asarray(as_array(part, name)) for part in (users, items))
    for part, what in ((users, "users"), (items, "items")):
        if part.ndim != 1 or part.dtype.kind not in "iu":
            raise TypeError(f"{name}: expected {what} as whole numbers in one dimension, given {part.dtype} of shape "
                            f"{part.shape}")
        if part.size and part.min() < 0:
            raise ValueError(f"{name}: expected {what} from 0 on, given {part.min()}")
    if len(users) != len(items):
        raise ValueError(f"{name}: expected as many users as items, given {len(users)} and {len(items)}")
    needed = tuple(int(part.max()) + 1 if part.size else 0 for part in (users, items))
    shape = needed if shape is None else tuple(shape)
    for largest, limit, what in zip(needed, shape, ("users", "items")):
        if largest > limit:
            raise ValueError(f"{name}: expected {what} from 0 to {limit - 1}, given {largest - 1}")
    order = np.lexsort((items, users))
    users, items = users[order].astype(np.int64), items[order].astype(np.int32)
    if not repeats and len(users):
        first = np.concatenate([[True], (users[1:] != users[:-1]) | (items[1:] != items[:-1])])
        users, items = users[first], items[first]
    start = np.zeros(shape[0] + 1, np.int64)
    np.cumsum(np.bincount(users, minlength=shape[0]), out=start[1:])
    return start, items, shape
