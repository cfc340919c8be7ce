"""Where arrays lie, how the native part gets those of a GPU, and results beside them."""

import sys

import numpy as np

from rec_engine import _native

HOST = (-1, 0)  # a place: the GPU's number or -1, and the handle of the stream that work goes into

_HOST_TYPES, _GPU_TYPES = (1, 3), (2, 13)  # DLPack's numbers: memory of the host, pinned too; of a GPU, managed too
_KINDS = "fiubc"


class CudaArray:
    """An array that says where it lies by __cuda_array_interface__ alone, with DLPack's methods."""

    def __init__(self, owner, name):
        says = owner.__cuda_array_interface__
        kind = np.dtype(says["typestr"])
        if kind.kind not in _KINDS or not kind.isnative or says.get("mask") is not None:
            raise TypeError(f"{name}: expected an array of numbers in this machine's byte order without a mask, given {kind}")
        self.shape = tuple(says["shape"])
        self.ndim = len(self.shape)
        self.owner, self.stream = owner, says.get("stream") or 0
        strides = says.get("strides")
        if strides is None:
            strides = [kind.itemsize * int(np.prod(self.shape[d + 1:], dtype=np.int64)) for d in range(self.ndim)]
        if any(stride % kind.itemsize for stride in strides):
            raise ValueError(f"{name}: expected strides of whole values, given {tuple(strides)} bytes for {kind}")
        address = says["data"][0] or 0
        self._gpu = _native.gpu_of_address(address)
        self._says = (address, self._gpu, self.shape, [stride // kind.itemsize for stride in strides], kind.kind,
                      8 * kind.itemsize, owner)

    def __len__(self):
        return self.shape[0]

    def __dlpack__(self, stream=None):
        return _native.cuda_array(*self._says)

    def __dlpack_device__(self):
        return _GPU_TYPES[0], self._gpu


def place_of(**arrays):
    """The one place of all arrays (as_array's, by their names), those None left out."""
    found = [(name, value, _gpu_of(value, name)) for name, value in arrays.items() if value is not None]
    first, value, gpu = found[0]
    for name, _, other in found[1:]:
        if other != gpu:
            raise RuntimeError(f"{name}: expected an array in {_memory(gpu)}, where {first} lies, given one in {_memory(other)}")
    if gpu < 0:
        return HOST
    problem = _native.gpu_problem()
    if problem:
        raise RuntimeError(f"{first}: expected an array in the computer's memory, given a {type(value).__name__} on a GPU; "
                           f"{problem}, so move it with .cpu() or .get()")
    return gpu, _stream_of(value, gpu)


def as_native(value, place):
    """value as the native part takes it; the caller's stream is place's, so nothing need be waited for."""
    if value is None or place[0] < 0:
        return value
    if not hasattr(value, "__dlpack__"):  # a result
        value = CudaArray(value, "out")
    known = isinstance(value, CudaArray) or _of("torch", "Tensor", value) or _of("cupy", "ndarray", value)
    return value.__dlpack__(stream=-1 if known else place[1] or 1)


def on_host(value):
    """A small array in the computer's memory, copied there from a GPU."""
    if value is None or place_of(array=value)[0] < 0:
        return value
    owner = value.owner if isinstance(value, CudaArray) else value
    for fetch in ("cpu", "get", "copy_to_host"):  # PyTorch's, CuPy's, Numba's
        if hasattr(owner, fetch):
            return getattr(owner, fetch)()
    raise RuntimeError(f"expected an array that can be fetched from a GPU, given a {type(owner).__name__}")


def results_beside(value, place):
    """make(shape, dtype, zeroed=False): an array where value lies, NumPy's or of value's own library. dtype by its name."""
    if place[0] < 0:
        return lambda shape, dtype, zeroed=False: _maker(np, zeroed)(shape, dtype)
    if _of("torch", "Tensor", value):
        torch = sys.modules["torch"]
        return lambda shape, dtype, zeroed=False: _maker(torch, zeroed)(shape, dtype=getattr(torch, dtype), device=value.device)
    if _of("cupy", "ndarray", value):
        def of_cupy(shape, dtype, zeroed=False):
            with value.device:
                return _maker(sys.modules["cupy"], zeroed)(shape, dtype)
        return of_cupy
    owner = value.owner if isinstance(value, CudaArray) else value
    if not hasattr(owner, "__array_namespace__"):
        raise RuntimeError(f"results lie on the GPU too, and a {type(owner).__name__} has no library that makes arrays there; "
                           "expected PyTorch's, CuPy's or those of an array API standard library")
    library = owner.__array_namespace__()
    return lambda shape, dtype, zeroed=False: _maker(library, zeroed)(shape, dtype=getattr(library, dtype), device=owner.device)


def _maker(library, zeroed):
    return library.zeros if zeroed else library.empty


def _gpu_of(value, name):
    """The GPU's number, or -1."""
    if isinstance(value, np.ndarray) or not hasattr(value, "__dlpack_device__"):
        return -1
    kind, number = value.__dlpack_device__()
    if kind not in _HOST_TYPES + _GPU_TYPES:
        raise RuntimeError(f"{name}: expected an array in the computer's memory or on an NVIDIA GPU, given one on a device of "
                           f"DLPack's kind {int(kind)}")
    return number if kind in _GPU_TYPES else -1


def _stream_of(value, gpu):
    if _of("torch", "Tensor", value):
        return sys.modules["torch"].cuda.current_stream(gpu).cuda_stream
    if _of("cupy", "ndarray", value):
        with value.device:
            return sys.modules["cupy"].cuda.get_current_stream().ptr
    return getattr(value, "stream", 0) if isinstance(value, CudaArray) else 0


def _of(library, kind, value):
    module = sys.modules.get(library)
    return module is not None and isinstance(value, getattr(module, kind))


def _memory(gpu):
    return "the computer's memory" if gpu < 0 else f"the memory of cuda:{gpu}"
