// The queue that a CUDA kernel is put into, by a name that needs no CUDA header. A function of
// rec::cuda takes one as its last argument and returns before its work is done.
#pragma once

struct CUstream_st;

namespace rec {

using Stream = CUstream_st*;  // cudaStream_t

}  // namespace rec
