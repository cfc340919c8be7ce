#include "kernels/hidden_layer/hidden_layer.h"

#include <omp.h>

#include <algorithm>
#include <vector>

#include "kernels/common/ceil_div.h"
#include "kernels/common/gemm.h"
#include "kernels/common/row_ops.h"
#include "kernels/common/scratch.h"
#include "kernels/common/simd.h"

namespace rec::cpu {
namespace {

constexpr int64_t kPanel = 256;  // rows at once: 256 x 768 floats stay in L2 between the steps
// Partial sums of the weight's gradient, added in order: enough to share out, few enough to add up.
constexpr int64_t kMostGroups = 32;
constexpr int64_t kPanelsPerGroup = 4;

REC_SIMD_CLONES void leaky(float* x, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) x[i] = x[i] > 0.0f ? x[i] : kLeakySlope * x[i];
}

// x *= leaky'(pre), where act has the sign of pre
REC_SIMD_CLONES void scale_by_slope(const float* act, float* x, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) x[i] = act[i] > 0.0f ? x[i] : kLeakySlope * x[i];
}

}  // namespace

int64_t hidden_layer_scratch_bytes(int64_t in, int64_t out) {
  const int64_t floats = kMostGroups * out * in + omp_get_max_threads() * kPanel * in;
  return floats * int64_t(sizeof(float));
}

void hidden_layer(MatrixView<float> act, const LinearView& layer, MatrixView<float> y) {
  require_hidden_shapes(act, layer, y);
  const int64_t panels = ceil_div(act.rows, kPanel);
#pragma omp parallel for schedule(static)
  for (int64_t p = 0; p < panels; ++p) {
    const int64_t first = p * kPanel;
    const int64_t rows = std::min(kPanel, act.rows - first);
    const MatrixView<float> input = act.rows_from(first, rows);
    const MatrixView<float> output = y.rows_from(first, rows);
    for (int64_t r = 0; r < rows; ++r) {
      leaky(input.row(r), input.cols);
      if (layer.bias.size > 0) std::copy_n(layer.bias.data, output.cols, output.row(r));
    }
    gemm_a_bt(input, layer.weight, layer.bias.size > 0 ? Into::add : Into::overwrite, output);
  }
}

void hidden_layer_backward(MatrixView<float> act, const LinearView& layer,
                           MatrixView<const float> grad_y, const LinearGradientView& grad) {
  require_hidden_shapes(act, layer, grad_y);
  require_hidden_gradient_shapes(layer, grad);
  const int64_t out = layer.weight.rows, in = layer.weight.cols;
  // The rows are cut into groups that depend on the shape alone; each group sums its panels in
  // order.
  const int64_t panels = ceil_div(act.rows, kPanel);
  const int64_t groups = std::clamp<int64_t>(panels / kPanelsPerGroup, 1, kMostGroups);
  std::vector<float> group_weight(static_cast<size_t>(groups * out * in), 0.0f);
  std::vector<double> group_bias(static_cast<size_t>(groups * out), 0.0);
  const auto grad_inputs = make_scratch<float>(omp_get_max_threads() * kPanel * in);
#pragma omp parallel
  {
    float* const grad_input = grad_inputs.get() + omp_get_thread_num() * kPanel * in;
#pragma omp for schedule(dynamic, 1)
    for (int64_t g = 0; g < groups; ++g) {
      const MatrixView<float> sum(group_weight.data() + g * out * in, out, in);
      for (int64_t p = g * panels / groups; p < (g + 1) * panels / groups; ++p) {
        const int64_t first = p * kPanel;
        const int64_t rows = std::min(kPanel, act.rows - first);
        const MatrixView<float> input = act.rows_from(first, rows);
        const MatrixView<const float> grad_output = grad_y.rows_from(first, rows);
        gemm_at_b(grad_output, input, Into::add, sum);
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t c = 0; c < out; ++c)
            group_bias[static_cast<size_t>(g * out + c)] += double(grad_output(r, c));
        const MatrixView<float> panel(grad_input, rows, in);
        gemm_a_b(grad_output, layer.weight, Into::overwrite, panel);
        for (int64_t r = 0; r < rows; ++r) {
          scale_by_slope(input.row(r), panel.row(r), in);
          std::copy_n(panel.row(r), in, input.row(r));
        }
      }
    }
#pragma omp for schedule(static)
    for (int64_t r = 0; r < out; ++r) {
      std::copy_n(group_weight.data() + r * in, in, grad.weight.row(r));
      for (int64_t g = 1; g < groups; ++g)
        add_scaled(1.0f, group_weight.data() + (g * out + r) * in, grad.weight.row(r), in);
    }
  }
  for (int64_t c = 0; c < grad.bias.size; ++c) {
    double sum = 0;
    for (int64_t g = 0; g < groups; ++g) sum += group_bias[static_cast<size_t>(g * out + c)];
    grad.bias[c] = float(sum);
  }
}

}  // namespace rec::cpu
