// Where a bench's arrays lie and its calls run: on the processors, or on the GPU of a CUDA build.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>
#include <vector>

#include "kernels/batch_gradient/batch_gradient.h"
#include "kernels/common/stream.h"
#include "kernels/common/views.h"
#include "kernels/language_projection/language_projection.h"
#include "kernels/sampler/sampler.h"

namespace rec::bench {

// A GPU that is emulated is slow: sizes and repetitions are as small as can be.
#if defined(REC_EMULATED_GPU)
inline constexpr bool kEmulatedGpu = true;
#else
inline constexpr bool kEmulatedGpu = false;
#endif

// The first device of this build's CUDA; null on the CPU and where there is no device.
Stream bench_stream();
// Of undefined content. Throws std::bad_alloc where there is none to be had.
std::shared_ptr<void> gpu_memory(size_t bytes);
// Returns when it is done.
void upload_to_gpu(void* to, const void* from_host, size_t bytes);

class Place {
 public:
  enum class Kind {
    cpu,
    gpu,          // the caches as the call before left them
    gpu_flushed,  // before every call the GPU's L2 holds other data
  };
  explicit Place(Kind kind) : kind_(kind) {}

  Kind kind() const { return kind_; }
  bool is_gpu() const { return kind_ != Kind::cpu; }

  // The same array where this place's calls reach it: on the CPU the view itself, on a GPU a copy
  // that lives as long as the place.
  template <class T>
  VectorView<T> put(VectorView<T> v) {
    return {taken(v.data, v.size), v.size};
  }
  // Rows without gaps.
  template <class T>
  MatrixView<T> put(MatrixView<T> m) {
    return m.stride == m.cols || !is_gpu() ? MatrixView<T>(taken(m.data, m.rows * m.cols), m.rows,
                                                           m.cols, is_gpu() ? m.cols : m.stride)
                                           : put_rows(m);
  }
  CsrView put(const CsrView& csr);
  GraphView put(const GraphView& graph);
  SamplerTables put(const SamplerTables& tables);
  BatchView put(const BatchView& batch);
  BatchGradientView put(const BatchGradientView& grad);
  LanguageView put(const LanguageView& z);

  // Memory for a call itself, of undefined content; on the CPU as well.
  VectorView<std::byte> scratch(int64_t bytes);
  // on_gpu(0) for calls on a GPU, otherwise on_cpu(). on_gpu: `[&](auto)`, so that a build without
  // CUDA does not compile what it calls.
  template <class OnCpu, class OnGpu>
  std::invoke_result_t<OnCpu> choose(OnCpu on_cpu, OnGpu on_gpu) {
#if defined(REC_CUDA)
    if (is_gpu()) return on_gpu(0);
#endif
    (void)on_gpu;
    return on_cpu();
  }
  // Scratch of bytes_of(0) bytes for calls on a GPU, nothing on the CPU; bytes_of: `[&](auto)`.
  template <class BytesOf>
  VectorView<std::byte> gpu_scratch(BytesOf bytes_of) {
    return choose([] { return VectorView<std::byte>(); },
                  [&](auto gpu) { return scratch(bytes_of(gpu)); });
  }

 private:
  void* copied(const void* from_host, size_t bytes);
  template <class T>
  T* taken(T* from, int64_t count) {
    return is_gpu() ? static_cast<T*>(copied(from, size_t(count) * sizeof(T))) : from;
  }
  template <class T>
  MatrixView<T> put_rows(MatrixView<T> m) {
    std::vector<std::remove_const_t<T>> rows;
    for (int64_t r = 0; r < m.rows; ++r) rows.insert(rows.end(), m.row(r), m.row(r) + m.cols);
    return {static_cast<T*>(copied(rows.data(), rows.size() * sizeof(T))), m.rows, m.cols};
  }

  Kind kind_;
  std::vector<std::shared_ptr<void>> memory_;
};

// Milliseconds that the GPU takes for what `enqueue` puts into the stream. With `flush`, what was
// in the GPU's L2 before is not there when it begins.
double gpu_milliseconds(const std::function<void(Stream)>& enqueue, bool flush);

}  // namespace rec::bench
