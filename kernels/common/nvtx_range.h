// A named range in a profiler's timeline, over what the host issues while it lives (NVTX). Without
// NVTX's headers (they come with the CUDA toolkit), and without a profiler, it is nothing.
//
// A replayed graph has no ranges of its own: its nodes are shown under those of the recording.
#pragma once

#if defined(__has_include)
#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#endif
#endif

namespace rec::cuda {

class NvtxRange {
 public:
#if defined(NVTX_VERSION)
  explicit NvtxRange(const char* name) { nvtxRangePushA(name); }
  ~NvtxRange() { nvtxRangePop(); }
#else
  explicit NvtxRange(const char*) {}
  ~NvtxRange() {}
#endif
  NvtxRange(const NvtxRange&) = delete;
  NvtxRange& operator=(const NvtxRange&) = delete;
};

}  // namespace rec::cuda
