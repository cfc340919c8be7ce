// REC_SIMD_CLONES: compiles a leaf function for AVX-512, AVX2 and the baseline, chosen when the
// program starts by the CPU that runs it. Put it on functions that hold the loop and no OpenMP
// region (an outlined region would stay at the baseline). ThreadSanitizer cannot run the chooser,
// so there the baseline alone is built. On other architectures it means nothing.
#pragma once

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define REC_NO_SIMD_CLONES
#endif
#endif

#if defined(__x86_64__) && !defined(REC_NO_SIMD_CLONES) && !defined(__CUDACC__)
#if defined(__clang__)
#define REC_SIMD_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define REC_SIMD_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
#else
#define REC_SIMD_CLONES
#endif

namespace rec {

// The instruction set that the clones use on this CPU: "AVX-512", "AVX2" or "baseline".
inline const char* simd_level() {
#if defined(__x86_64__) && !defined(REC_NO_SIMD_CLONES) && !defined(__CUDACC__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return "AVX-512";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "AVX2";
#endif
  return "baseline";
}

}  // namespace rec
