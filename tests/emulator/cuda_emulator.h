// The CUDA language as kernels/ uses it, for a host compiler: what kernels/common/gpu.h includes in
// place of the CUDA headers when the kernels are built for the emulation.
//
// Left out, and so a compile error: <<<>>>, raw __shared__ (REC_SHARED_ARRAY and REC_SHARED_MEMORY
// instead), CUB inside kernels, cooperative groups, __activemask, grid-wide waiting, textures.
#pragma once
#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <driver_types.h>
#include <vector_functions.h>
#include <vector_types.h>
#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __constant__
#undef __launch_bounds__
#undef __forceinline__
#undef __grid_constant__
#define __global__ [[maybe_unused]] static
#define __device__
#define __host__
#define __constant__ static const
#define __shared__ rec_use_REC_SHARED_ARRAY_or_REC_SHARED_MEMORY
#define __launch_bounds__(...)
#define __forceinline__ inline
#define __grid_constant__

#if defined(__clang__)
// Some are used by __launch_bounds__ alone, which is left out here.
#pragma clang diagnostic ignored "-Wunused-const-variable"
#pragma clang diagnostic ignored "-Wunused-function"
#endif

#include "tests/emulator/device_runtime.h"
#include "tests/emulator/fibres.h"

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

// Where a barrier or collective stands in the source, without changing the source.
#define REC_EMULATOR_PLACE rec::emulator::Place place = {__builtin_FILE(), __builtin_LINE()}

// REC_SHARED_ARRAY(float, tile, [8][33]): a static shared array.
#define REC_SHARED_ARRAY(T, name, ...) auto& name = rec::emulator::shared_slot<T __VA_ARGS__>([] {})
// REC_SHARED_MEMORY(float, memory): the launch's dynamic shared memory.
#define REC_SHARED_MEMORY(T, name) T* name = static_cast<T*>(rec::emulator::dynamic_shared())

namespace rec::emulator {

// One slot a use: every lambda is a type of its own.
template <class U, class UseSite>
U& shared_slot(UseSite) {
  static constinit SharedSlot slot{sizeof(U), alignof(U), nullptr, 0};
  return *static_cast<U*>(shared_array(slot));
}

// f(ins, outs, mask) makes every lane's Out from every lane's In.
template <class In, class Out, class F>
Out collective(unsigned mask, const In& in, F f, const char* what, Place place) {
  Out out;
  const void* ins[32];
  void* outs[32];
  if (warp_arrive(mask, &in, &out, what, place, ins, outs)) {
    f(reinterpret_cast<const In* const*>(ins), reinterpret_cast<Out* const*>(outs), mask);
    warp_done(mask);
  }
  return out;
}

// source(lane): which lane's value it gets.
template <class T, class Source>
T shuffle(unsigned mask, T value, Source source, const char* what, Place place) {
  struct In {
    T value;
    Source source;
  };
  return collective<In, T>(
      mask, In{value, source},
      [&](const In* const* in, T* const* out, unsigned lanes) {
        for (unsigned l = 0; l < 32; ++l) {
          if (!(lanes >> l & 1)) continue;
          const int from = in[l]->source(int(l));
          if (!(lanes >> from & 1)) fail("shuffle reads a lane that is not in the mask", place);
          *out[l] = in[from]->value;
        }
      },
      what, place);
}

template <class T, class Operation>
T reduce(unsigned mask, T value, Operation operation, const char* what, Place place) {
  return collective<T, T>(
      mask, value,
      [&](const T* const* in, T* const* out, unsigned lanes) {
        T result{};
        bool first = true;
        for (unsigned l = 0; l < 32; ++l) {
          if (!(lanes >> l & 1)) continue;
          result = first ? *in[l] : operation(result, *in[l]);
          first = false;
        }
        for (unsigned l = 0; l < 32; ++l)
          if (lanes >> l & 1) *out[l] = result;
      },
      what, place);
}

template <class T, class F>
T read_modify_write(T* p, F f) {
  std::atomic_ref<T> value(*p);
  preempt();
  T old = value.load(std::memory_order_relaxed);
  while (!value.compare_exchange_weak(old, f(old), std::memory_order_relaxed)) {
  }
  return old;
}

// What one load or store moves, as a type that no compiler takes to pieces: so that whoever watches
// memory (UndefinedBehaviorSanitizer, bench/traffic) sees one access.
template <size_t Bytes>
struct Piece {
  typedef uint32_t Type __attribute__((vector_size(Bytes), may_alias));
};
template <>
struct Piece<4> {
  typedef uint32_t Type __attribute__((may_alias));
};
template <>
struct Piece<2> {
  typedef uint16_t Type __attribute__((may_alias));
};

}  // namespace rec::emulator

// ---- barriers ----
inline void __syncthreads(REC_EMULATOR_PLACE) {
  rec::emulator::block_barrier(rec::emulator::Vote::none, 0, "__syncthreads", place);
}
inline int __syncthreads_count(int predicate, REC_EMULATOR_PLACE) {
  return rec::emulator::block_barrier(rec::emulator::Vote::count, predicate != 0,
                                      "__syncthreads_count", place);
}
inline int __syncthreads_or(int predicate, REC_EMULATOR_PLACE) {
  return rec::emulator::block_barrier(rec::emulator::Vote::any, predicate != 0, "__syncthreads_or",
                                      place) != 0;
}
inline int __syncthreads_and(int predicate, REC_EMULATOR_PLACE) {
  return rec::emulator::block_barrier(rec::emulator::Vote::all, predicate == 0, "__syncthreads_and",
                                      place) == 0;
}
inline void __syncwarp(unsigned mask = 0xFFFFFFFFu, REC_EMULATOR_PLACE) {
  rec::emulator::collective<char, char>(
      mask, 0,
      [](auto, auto out, unsigned lanes) {
        for (unsigned l = 0; l < 32; ++l)
          if (lanes >> l & 1) *out[l] = 0;
      },
      "__syncwarp", place);
}
inline void __threadfence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
inline void __threadfence_block() { __threadfence(); }

// ---- warp collectives ----
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, REC_EMULATOR_PLACE) {
  return rec::emulator::shuffle(
      mask, value, [=](int l) { return (l & ~(width - 1)) | (source & (width - 1)); },
      "__shfl_sync", place);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int flip, int width = 32, REC_EMULATOR_PLACE) {
  return rec::emulator::shuffle(
      mask, value,
      [=](int l) {
        const int source = l ^ flip;
        return (source | (width - 1)) > (l | (width - 1)) ? l : source;
      },
      "__shfl_xor_sync", place);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, REC_EMULATOR_PLACE) {
  return rec::emulator::shuffle(
      mask, value,
      [=](int l) {
        const int source = l + int(delta);
        return source > (l | (width - 1)) ? l : source;
      },
      "__shfl_down_sync", place);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, REC_EMULATOR_PLACE) {
  return rec::emulator::shuffle(
      mask, value,
      [=](int l) {
        const int source = l - int(delta);
        return source < (l & ~(width - 1)) ? l : source;
      },
      "__shfl_up_sync", place);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, REC_EMULATOR_PLACE) {
  return rec::emulator::collective<int, unsigned>(
      mask, predicate,
      [](const int* const* in, unsigned* const* out, unsigned lanes) {
        unsigned votes = 0;
        for (unsigned l = 0; l < 32; ++l)
          if ((lanes >> l & 1) && *in[l]) votes |= 1u << l;
        for (unsigned l = 0; l < 32; ++l)
          if (lanes >> l & 1) *out[l] = votes;
      },
      "__ballot_sync", place);
}
inline int __any_sync(unsigned mask, int predicate, REC_EMULATOR_PLACE) {
  return __ballot_sync(mask, predicate, place) != 0;
}
inline int __all_sync(unsigned mask, int predicate, REC_EMULATOR_PLACE) {
  return __ballot_sync(mask, !predicate, place) == 0;
}
// The integer reductions of compute capability 8.0: 32 bits.
#define REC_EMULATOR_REDUCTION(name, expression)                                            \
  template <class T>                                                                        \
  T name(unsigned mask, T value, REC_EMULATOR_PLACE) {                                      \
    static_assert(std::is_integral_v<T> && sizeof(T) == 4, #name " takes 32-bit integers"); \
    return rec::emulator::reduce(                                                           \
        mask, value, [](T a, T b) -> T { return expression; }, #name, place);               \
  }
REC_EMULATOR_REDUCTION(__reduce_add_sync, T(unsigned(a) + unsigned(b)))
REC_EMULATOR_REDUCTION(__reduce_min_sync, a < b ? a : b)
REC_EMULATOR_REDUCTION(__reduce_max_sync, a > b ? a : b)
REC_EMULATOR_REDUCTION(__reduce_or_sync, a | b)
REC_EMULATOR_REDUCTION(__reduce_and_sync, a& b)

// ---- atomics: each returns the old value ----
template <class T>
T atomicAdd(T* p, std::type_identity_t<T> value) {
  return rec::emulator::read_modify_write(p, [value](T old) {
    if constexpr (std::is_integral_v<T>)
      return T(std::make_unsigned_t<T>(old) + std::make_unsigned_t<T>(value));
    else
      return T(old + value);
  });
}
template <class T>
T atomicMax(T* p, std::type_identity_t<T> value) {
  return rec::emulator::read_modify_write(p, [value](T old) { return old > value ? old : value; });
}
template <class T>
T atomicMin(T* p, std::type_identity_t<T> value) {
  return rec::emulator::read_modify_write(p, [value](T old) { return old < value ? old : value; });
}
template <class T>
T atomicOr(T* p, std::type_identity_t<T> value) {
  return rec::emulator::read_modify_write(p, [value](T old) { return T(old | value); });
}
template <class T>
T atomicExch(T* p, std::type_identity_t<T> value) {
  return rec::emulator::read_modify_write(p, [value](T) { return value; });
}
template <class T>
T atomicCAS(T* p, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return rec::emulator::read_modify_write(p, [=](T old) { return old == expected ? value : old; });
}

// ---- loads, stores, bits, maths ----
template <class T>
T __ldg(const T* p) {
  return *p;
}
template <class T>
T __ldcs(const T* p) {
  return *p;
}
template <class T>
T __ldcg(const T* p) {
  return *p;
}
template <class T>
void __stcs(T* p, std::type_identity_t<T> value) {
  *p = value;
}
template <class T>
void __stcg(T* p, std::type_identity_t<T> value) {
  *p = value;
}
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __popcll(unsigned long long x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(unsigned(x)); }
inline int __ffs(int x) { return x ? std::countr_zero(unsigned(x)) + 1 : 0; }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(uint64_t(a) * b >> 32); }
inline int __float_as_int(float f) { return std::bit_cast<int>(f); }
inline unsigned __float_as_uint(float f) { return std::bit_cast<unsigned>(f); }
inline float __int_as_float(int i) { return std::bit_cast<float>(i); }
inline float __uint_as_float(unsigned i) { return std::bit_cast<float>(i); }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
using std::max;
using std::min;

namespace rec::cuda {

template <class T>
T load_whole(const T* from) {
  return std::bit_cast<T>(
      *reinterpret_cast<const typename emulator::Piece<sizeof(T)>::Type*>(from));
}
template <class T>
void store_whole(T* to, const T& value) {
  using Piece = typename emulator::Piece<sizeof(T)>::Type;
  *reinterpret_cast<Piece*>(to) = std::bit_cast<Piece>(value);
}

// Puts the kernel into the stream; an empty grid is no work. It runs when the stream's work is
// waited for.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t dynamic_shared_bytes,
            Stream stream, Arguments&&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  std::tuple<std::remove_cv_t<Parameters>...> values(static_cast<Parameters>(arguments)...);
  emulator::enqueue(stream, [=] {
    emulator::run_grid(
        grid, block, dynamic_shared_bytes, [&] { std::apply(kernel, values); },
        reinterpret_cast<const void*>(kernel));
  });
}

}  // namespace rec::cuda
