"""A small array library of a GPU's memory, for tests: CUDA's runtime through ctypes, the emulated one where the package is
built with it. Its arrays say where they lie by __cuda_array_interface__ alone."""

import ctypes
import sys

import numpy as np

from rec_engine import _native

try:
    _runtime = ctypes.CDLL(_native.__file__)
    _runtime.cudaMalloc
except AttributeError:
    _runtime = ctypes.CDLL("libcudart.so")

_TO_DEVICE, _TO_HOST = 1, 2  # cudaMemcpyKind
float32, float64, int32, int64 = np.float32, np.float64, np.int32, np.int64


def _check(error):
    if error:
        raise RuntimeError(f"CUDA's runtime: error {error}")


class Stream:
    def __init__(self):
        self.handle = ctypes.c_void_p()
        _check(_runtime.cudaStreamCreateWithFlags(ctypes.byref(self.handle), 1))

    def wait(self):
        _check(_runtime.cudaStreamSynchronize(self.handle))


class Array:
    """[shape] of dtype, whose bytes are filled, and used, in the order of a stream."""

    def __init__(self, shape, dtype, stream, strides=None, memory=None):
        self.shape, self.dtype, self.stream, self.strides = tuple(shape), np.dtype(dtype), stream, strides
        self.memory = memory or _Memory(max(1, int(np.prod(shape)) * self.dtype.itemsize))
        self.device = 0

    @property
    def __cuda_array_interface__(self):
        return {"shape": self.shape, "typestr": self.dtype.str, "data": (self.memory.address.value, False), "version": 3,
                "strides": self.strides, "stream": self.stream.handle.value}

    def __array_namespace__(self):
        return _Beside(self.stream)

    def transposed(self):
        size = self.dtype.itemsize
        return Array(self.shape[::-1], self.dtype, self.stream, (size, self.shape[1] * size), self.memory)

    def get(self):
        """A copy on the host, when all that the stream had to do is done."""
        host = np.empty(self.shape, self.dtype)
        _check(_runtime.cudaMemcpyAsync(ctypes.c_void_p(host.ctypes.data), self.memory.address, ctypes.c_size_t(host.nbytes),
                                        _TO_HOST, self.stream.handle))
        self.stream.wait()
        return host


class _Beside:
    """The library as results are asked of it: arrays on one stream."""
    float32, float64, int32, int64 = float32, float64, int32, int64

    def __init__(self, stream):
        self.stream = stream

    def empty(self, shape, dtype, device):
        return Array(shape, dtype, self.stream)

    def zeros(self, shape, dtype, device):
        made = self.empty(shape, dtype, device)
        _check(_runtime.cudaMemsetAsync(made.memory.address, 0, ctypes.c_size_t(made.memory.bytes), self.stream.handle))
        return made


class _Memory:
    def __init__(self, size):
        self.bytes, self.address = size, ctypes.c_void_p()
        _check(_runtime.cudaMalloc(ctypes.byref(self.address), ctypes.c_size_t(size)))

    def __del__(self):
        if not sys.is_finalizing():
            _runtime.cudaFree(self.address)


_on_their_way = []  # what copies read that streams have not made yet


def array(host, stream):
    """A copy of NumPy's array, made in the stream's order: not waited for."""
    host = np.ascontiguousarray(host)
    _on_their_way.append(host)
    made = Array(host.shape, host.dtype, stream)
    _check(_runtime.cudaMemcpyAsync(made.memory.address, ctypes.c_void_p(host.ctypes.data), ctypes.c_size_t(host.nbytes),
                                    _TO_DEVICE, stream.handle))
    return made
