// hidden_layer against plain loops in double precision.
#include <catch2/catch.hpp>

#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/common/threads.h"
#include "kernels/hidden_layer/hidden_layer.h"
#include "tests/support/agreement.h"
#include "tests/support/closeness.h"
#include "tests/support/guarded_matrix.h"
#include "tests/support/on_backends.h"
#include "tests/support/operands.h"

namespace rec::test {
namespace {

// One version of the kernel. Every matrix is given in float; in bf16 the arrays of the kernel hold
// these values rounded, and lie as the given ones do.
struct Hidden {
  std::string backend;
  Precision precision;
  bool rounds_y;  // y and grad_y hold Bf16
  std::function<void(MatrixView<float>, const LinearView&, MatrixView<float>)> forward;
  std::function<void(MatrixView<float>, const LinearView&, MatrixView<const float>,
                     const LinearGradientView&)>
      backward;

  std::string name() const {
    const char* const of[] = {"fp32", "tf32", "bf16"};
    return backend + " " + of[int(precision)] + (rounds_y ? " y too" : "");
  }
};

// In T what a matrix of float holds.
template <class T>
class Copy {
 public:
  explicit Copy(MatrixView<const float> from)
      : matrix_(reinterpret_cast<uintptr_t>(from.data) % 16 == 0
                    ? GuardedMatrixOf<T>::aligned(from.rows, from.cols)
                    : GuardedMatrixOf<T>(from.rows, from.cols)) {
    for (int64_t r = 0; r < from.rows; ++r)
      for (int64_t c = 0; c < from.cols; ++c) matrix_.view()(r, c) = rounded(from(r, c));
  }
  MatrixView<T> view() { return matrix_.view(); }
  void back_to(MatrixView<float> to) {
    CHECK(matrix_.guards_untouched());
    for (int64_t r = 0; r < to.rows; ++r)
      for (int64_t c = 0; c < to.cols; ++c) to(r, c) = widened(matrix_.view()(r, c));
  }

 private:
  static T rounded(float x) {
    if constexpr (std::is_same_v<T, Bf16>)
      return to_bf16(x);
    else
      return x;
  }
  static float widened(T x) {
    if constexpr (std::is_same_v<T, Bf16>)
      return to_float(x);
    else
      return x;
  }
  GuardedMatrixOf<T> matrix_;
};

// backward(scratch): one call of a backward pass on the device.
template <class Backward>
void with_scratch(const LinearView& layer, int64_t rows, Backward backward) {
  Values<std::byte> scratch(
      size_t(cuda::hidden_layer_scratch_bytes(rows, layer.weight.cols, layer.weight.rows)));
  backward(VectorView<std::byte>(scratch.data(), int64_t(scratch.size())), test_stream());
  wait_for_device();
}

// The parameter keeps a build without CUDA from compiling what it calls.
Hidden on_cuda(Precision precision, auto) {
  return {"cuda", precision, false,
          [=](auto act, const LinearView& layer, auto y) {
            cuda::hidden_layer(act, layer, y, precision, test_stream());
            wait_for_device();
          },
          [=](auto act, const LinearView& layer, auto grad_y, const auto& grad) {
            with_scratch(layer, act.rows, [&](auto scratch, Stream stream) {
              cuda::hidden_layer_backward(act, layer, grad_y, grad, scratch, precision, stream);
            });
          }};
}
template <class Y>
Hidden on_cuda_in_bf16(auto) {
  return {"cuda", Precision::bf16, std::is_same_v<Y, Bf16>,
          [](auto act, const LinearView& layer, auto y) {
            Copy<Bf16> own_act(act), own_weight(layer.weight);
            Copy<Y> own_y(y);
            cuda::hidden_layer(own_act.view(), {own_weight.view(), layer.bias}, own_y.view(),
                               test_stream());
            wait_for_device();
            own_act.back_to(act);
            own_y.back_to(y);
          },
          [](auto act, const LinearView& layer, auto grad_y, const auto& grad) {
            Copy<Bf16> own_act(act), own_weight(layer.weight);
            Copy<Y> own_grad_y(grad_y);
            with_scratch(layer, act.rows, [&](auto scratch, Stream stream) {
              cuda::hidden_layer_backward(own_act.view(), {own_weight.view(), layer.bias},
                                          MatrixView<const Y>(own_grad_y.view()), grad, scratch,
                                          stream);
            });
            own_act.back_to(act);
          }};
}

std::vector<Hidden> backends() {
  return on_backends<Hidden>(
      [] {
        return Hidden{"cpu", Precision::fp32, false, cpu::hidden_layer, cpu::hidden_layer_backward};
      },
      [](auto) { return on_cuda(Precision::fp32, 0); });
}
// In every precision that they have.
std::vector<Hidden> versions() {
  std::vector<Hidden> all = backends();
  if constexpr (kCudaInBuild)
    if (all.back().backend == "cuda") {
      all.push_back(on_cuda(Precision::tf32, 0));
      all.push_back(on_cuda_in_bf16<float>(0));
      all.push_back(on_cuda_in_bf16<Bf16>(0));
    }
  return all;
}

struct Case {
  int64_t rows, in, out;
};
// Every awkward width on either side; rows around the panels of both backends (32, 128, 256), and
// more panels than groups.
constexpr Case kCases[] = {
    {0, 3, 2},     {0, 200, 2},   {1, 1, 1},      {1, 200, 64},   {33, 31, 33},  {64, 32, 31},
    {100, 33, 32}, {70, 64, 200}, {128, 130, 64}, {129, 128, 65}, {255, 33, 1},  {256, 64, 33},
    {35, 5, 128},  {257, 31, 64}, {700, 200, 5},  {2048, 1, 32},  {2049, 33, 3}, {4400, 16, 16}};

// The emulator is slow. All meet few rows without a bias and with one, float32 in either layout too;
// many rows once: of 700 tensor cores make several groups and slabs, of 4400 float32 makes groups of
// more panels than the fewest.
bool is_run(const Hidden& on, Case shape, bool has_bias, int64_t alignment) {
  if (on.backend == "cpu") return true;
  const bool is_float = on.precision == Precision::fp32;
  if (shape.rows <= 260) return is_float || alignment == (has_bias ? 4 : 0);
  if (alignment != 4 || !has_bias) return false;
  return is_float ? shape.rows == 700 || shape.rows == 4400
                  : shape.rows == 700 && !kThreadSanitizer;
}

// A matrix in double, and of every entry the sum of |terms| that made it.
struct Plain {
  int64_t rows = 0, cols = 0;
  std::vector<double> value, magnitude;

  Plain(int64_t row_count, int64_t col_count)
      : rows(row_count), cols(col_count), value(size_t(rows * cols), 0.0), magnitude(value) {}
  explicit Plain(MatrixView<const float> from) : Plain(from.rows, from.cols) {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < cols; ++c) add(r, c, from(r, c));
  }
  double operator()(int64_t r, int64_t c) const { return value[size_t(r * cols + c)]; }
  void add(int64_t r, int64_t c, double term) {
    value[size_t(r * cols + c)] += term;
    magnitude[size_t(r * cols + c)] += std::abs(term);
  }
};

// terms: how many roundings the way to an entry has met. last_rounding: the share of it that the
// last one may take, where it is stored with fewer bits.
void check(MatrixView<const float> got, const Plain& want, int64_t terms,
           double last_rounding = 0.0) {
  Agreement agreement;
  for (int64_t r = 0; r < want.rows; ++r)
    for (int64_t c = 0; c < want.cols; ++c) {
      const double bound = rounding_bound(terms, want.magnitude[size_t(r * want.cols + c)]);
      agreement.compare(got(r, c), want(r, c),
                        bound + last_rounding * (std::abs(want(r, c)) + bound), "row ", r,
                        ", column ", c);
    }
  INFO(agreement.text());
  CHECK(agreement.holds());
}

double slope_at(double pre) { return pre > 0 ? 1.0 : double(kLeakySlope); }

// f(x) of every entry
template <class F>
Plain each(const Plain& from, F f) {
  Plain to(from.rows, from.cols);
  for (int64_t r = 0; r < from.rows; ++r)
    for (int64_t c = 0; c < from.cols; ++c) to.add(r, c, f(from(r, c)));
  return to;
}
Plain leaky(const Plain& pre) {
  return each(pre, [](double x) { return slope_at(x) * x; });
}

// bias [1, out] or no rows
Plain plain_forward(const Plain& act, const Plain& weight, const Plain& bias) {
  Plain y(act.rows, weight.rows);
  for (int64_t r = 0; r < act.rows; ++r)
    for (int64_t o = 0; o < weight.rows; ++o) {
      if (bias.rows > 0) y.add(r, o, bias(0, o));
      for (int64_t i = 0; i < act.cols; ++i) y.add(r, o, act(r, i) * weight(o, i));
    }
  return y;
}

struct PlainGradient {
  Plain weight, pre;
};
PlainGradient plain_backward(const Plain& act, const Plain& weight, const Plain& grad_y) {
  PlainGradient grad{{weight.rows, weight.cols}, {act.rows, act.cols}};
  for (int64_t r = 0; r < act.rows; ++r)
    for (int64_t o = 0; o < weight.rows; ++o)
      for (int64_t i = 0; i < act.cols; ++i) {
        grad.weight.add(o, i, grad_y(r, o) * act(r, i));
        grad.pre.add(r, i, grad_y(r, o) * weight(o, i) * slope_at(act(r, i)));
      }
  return grad;
}
Plain column_sums(const Plain& grad_y) {
  Plain sum(1, grad_y.cols);
  for (int64_t r = 0; r < grad_y.rows; ++r)
    for (int64_t o = 0; o < grad_y.cols; ++o) sum.add(0, o, grad_y(r, o));
  return sum;
}

// What goes into both passes of a case, what comes out, and the roundings each way meets.
struct Layer {
  Case shape;
  GuardedMatrix pre, weight, bias, grad_y;
  GuardedMatrix act, y, grad_weight, grad_bias;  // act: grad_pre after run()
  GuardedMatrix forward_act;                     // act between the passes

  // alignment of all rows, in floats; 0: rows that are not aligned
  Layer(Case of, bool has_bias, uint64_t seed, int64_t alignment = 0)
      : shape(of),
        pre(matrix(of.rows, of.in, 3, alignment)),
        weight(matrix(of.out, of.in, 3, alignment)),
        bias(has_bias ? 1 : 0, of.out),
        grad_y(matrix(of.rows, of.out, 3, alignment)),
        act(pre),
        y(of.rows, of.out, 5),
        grad_weight(matrix(of.out, of.in, 1, alignment)),
        grad_bias(has_bias ? 1 : 0, of.out),
        forward_act(pre) {
    std::mt19937_64 random(seed);
    for (GuardedMatrix* input : {&pre, &weight, &bias, &grad_y}) input->fill_normal(random);
  }

  static GuardedMatrix matrix(int64_t rows, int64_t cols, int64_t padding, int64_t alignment) {
    return alignment > 0 ? GuardedMatrix::aligned(rows, cols, alignment)
                         : GuardedMatrix(rows, cols, padding);
  }
  Layer& run(const Hidden& on) {
    act = pre;
    on.forward(act.view(), parameters(), y.view());
    forward_act = act;
    on.backward(act.view(), parameters(), grad_y.view(), gradient());
    for (const GuardedMatrix* output : {&act, &forward_act, &y, &grad_weight, &grad_bias})
      CHECK(output->guards_untouched());
    return *this;
  }
  LinearView parameters() { return {weight.view(), as_vector(bias)}; }
  LinearGradientView gradient() { return {grad_weight.view(), as_vector(grad_bias)}; }
  static VectorView<float> as_vector(GuardedMatrix& row) {
    return {row.view().data, row.view().rows * row.view().cols};
  }

  int64_t y_terms() const { return shape.in + 2; }          // slope, sum of products, bias
  int64_t weight_terms() const { return shape.rows + 33; }  // slope, sum of products, 32 groups
  int64_t pre_terms() const { return shape.out + 1; }       // sum of products, slope
};

// What a version must make of a layer: what it stores and what it multiplies rounded as it says, and
// all else in double.
struct Wanted {
  Plain act, y, grad_bias;
  PlainGradient grad;
  double stored_rounding, y_rounding;  // shares of a value
};
Wanted wanted(const Layer& layer, const Hidden& on) {
  const bool bf16 = on.precision == Precision::bf16;
  const auto stored = [&](double x) { return bf16 ? bf16_value(x) : x; };
  const auto operand = [&](double x) { return operand_value(on.precision, x); };
  const auto given_y = [&](double x) { return on.rounds_y ? bf16_value(x) : x; };
  // One multiplication: its rounding is known, so act is known to the bit.
  const Plain act = each(Plain(layer.pre.view()), [&](double x) {
    const double pre = stored(x);
    return stored(float(slope_at(pre) * pre));
  });
  const Plain multiplied = each(act, operand);
  const Plain weight = each(Plain(layer.weight.view()), operand);
  const Plain grad_y = each(Plain(layer.grad_y.view()), given_y);
  return {act,
          plain_forward(multiplied, weight, Plain(layer.bias.view())),
          column_sums(grad_y),
          plain_backward(multiplied, weight, each(grad_y, operand)),
          bf16 ? kBf16Rounding : 0.0,
          on.rounds_y ? kBf16Rounding : 0.0};
}

}  // namespace

// docs/kernels/hidden_layer.md, "A small example"
TEST_CASE("hidden_layer: the example worked by hand", "[kernels]") {
  const Hidden on = GENERATE(from_range(versions()));
  CAPTURE(on.name());
  Layer layer({2, 2, 1}, true, 1);
  layer.pre.view()(0, 0) = 4, layer.pre.view()(0, 1) = -100;
  layer.pre.view()(1, 0) = -300, layer.pre.view()(1, 1) = 1;
  layer.weight.view()(0, 0) = 2, layer.weight.view()(0, 1) = 5;
  layer.bias.view()(0, 0) = 10;
  layer.grad_y.view()(0, 0) = 1, layer.grad_y.view()(1, 0) = 3;
  layer.run(on);
  // 0.01 is not a float, so -1 and -3 come out within a rounding. All else is exact in bf16 too.
  const auto near = [&](float got, double want) {
    const double rounding = on.precision == Precision::bf16 ? kBf16Rounding : 0.0;
    return std::abs(got - want) <= rounding_bound(3, std::abs(want)) + rounding * std::abs(want);
  };
  CHECK(layer.forward_act.view()(0, 0) == 4);
  CHECK(near(layer.forward_act.view()(0, 1), -1));
  CHECK(near(layer.forward_act.view()(1, 0), -3));
  CHECK(layer.forward_act.view()(1, 1) == 1);
  CHECK(near(layer.y.view()(0, 0), 13));
  CHECK(near(layer.y.view()(1, 0), 9));
  CHECK(near(layer.grad_weight.view()(0, 0), -5));
  CHECK(near(layer.grad_weight.view()(0, 1), 2));
  CHECK(layer.grad_bias.view()(0, 0) == 4);
  CHECK(layer.act.view()(0, 0) == 2);
  CHECK(near(layer.act.view()(0, 1), 0.05));
  CHECK(near(layer.act.view()(1, 0), 0.06));
  CHECK(layer.act.view()(1, 1) == 15);
}

TEST_CASE("hidden_layer: both passes match plain loops", "[kernels]") {
  const Hidden on = GENERATE(from_range(versions()));
  CAPTURE(on.name());
  const int64_t alignment = on.backend == "cpu" ? 0 : GENERATE(0, 4);
  for (Case shape : kCases)
    for (bool has_bias : {true, false}) {
      CAPTURE(shape.rows, shape.in, shape.out, has_bias, alignment);
      if (!is_run(on, shape, has_bias, alignment)) continue;
      Layer layer(shape, has_bias, 101, alignment);
      layer.run(on);
      const Wanted want = wanted(layer, on);
      Agreement act;
      for (int64_t r = 0; r < shape.rows; ++r)
        for (int64_t i = 0; i < shape.in; ++i)
          act.compare(layer.forward_act.view()(r, i), want.act(r, i), 0, "row ", r, ", column ", i);
      INFO(act.text());
      CHECK(act.holds());

      check(layer.y.view(), want.y, layer.y_terms(), want.y_rounding);
      check(layer.grad_weight.view(), want.grad.weight, layer.weight_terms());
      check(layer.act.view(), want.grad.pre, layer.pre_terms(), want.stored_rounding);
      for (int64_t o = 0; o < layer.grad_bias.view().rows * shape.out; ++o) {
        // Summed in double, rounded once.
        const double sum = want.grad_bias(0, o);
        CHECK(std::abs(layer.grad_bias.view()(0, o) - sum) <=
              rounding_bound(1, std::abs(sum)) + double(shape.rows) *
                                                     std::numeric_limits<double>::epsilon() *
                                                     want.grad_bias.magnitude[size_t(o)]);
      }
    }
}

// leaky'(0) is the slope, for either zero and for values so small that slope * pre is -0.
// kTiniest: the least above 0 that is not 0 as an operand.
TEST_CASE("hidden_layer: the sign at 0", "[kernels]") {
  const Hidden on = GENERATE(from_range(versions()));
  CAPTURE(on.name());
  const float kTiniest = on.precision == Precision::fp32   ? 0x1p-149f
                         : on.precision == Precision::tf32 ? 0x1p-137f
                                                           : 0x1p-133f;
  const float pre[] = {0.0f, -0.0f, kTiniest, -kTiniest, 1.0f, -1.0f};
  const float act[] = {0.0f, 0.0f, kTiniest, -kLeakySlope * kTiniest, 1.0f, -kLeakySlope};
  const float slope[] = {kLeakySlope, kLeakySlope, 1.0f, kLeakySlope, 1.0f, kLeakySlope};
  const auto stored = [&](float x) {
    return on.precision == Precision::bf16 ? float(bf16_value(x)) : x;
  };
  for (int64_t copies : {1, 7}) {  // six values alone, then across vector registers
    Layer layer({1, 6 * copies, 1}, false, 102);
    layer.grad_y.view()(0, 0) = 1;
    for (int64_t i = 0; i < 6 * copies; ++i) {
      layer.pre.view()(0, i) = pre[i % 6];
      layer.weight.view()(0, i) = 1;
    }
    layer.run(on);
    for (int64_t i = 0; i < 6 * copies; ++i) {
      CAPTURE(copies, i);
      CHECK(layer.forward_act.view()(0, i) == stored(act[i % 6]));
      CHECK(layer.act.view()(0, i) == stored(slope[i % 6]));
    }
  }
}

// The reference itself, in double: along a direction in pre, weight and bias at once <grad_y, y> is
// a polynomial of degree 2 as long as no pre changes its sign,
// so a central difference has no error but rounding.
TEST_CASE("hidden_layer: the formula is the derivative", "[kernels]") {
  for (Case shape : {Case{1, 1, 1}, Case{3, 5, 2}, Case{17, 4, 9}}) {
    CAPTURE(shape.rows, shape.in, shape.out);
    Layer layer(shape, true, 103);
    Layer direction(shape, true, 104);
    constexpr double kStep = 1e-3;
    for (int64_t r = 0; r < shape.rows; ++r)
      for (int64_t i = 0; i < shape.in; ++i)
        layer.pre.view()(r, i) += std::copysign(0.1f, layer.pre.view()(r, i));
    const auto moved = [](const GuardedMatrix& from, const GuardedMatrix& along, double t) {
      Plain sum(from.view());
      for (int64_t r = 0; r < sum.rows; ++r)
        for (int64_t c = 0; c < sum.cols; ++c) sum.add(r, c, t * along.view()(r, c));
      return sum;
    };
    const Plain grad_y(layer.grad_y.view());
    double magnitude = 0;
    const auto value = [&](double t) {
      const Plain y = plain_forward(leaky(moved(layer.pre, direction.pre, t)),
                                    moved(layer.weight, direction.weight, t),
                                    moved(layer.bias, direction.bias, t));
      Sum sum;
      for (size_t at = 0; at < y.value.size(); ++at) {
        sum.add(grad_y.value[at] * y.value[at]);
        magnitude += std::abs(grad_y.value[at]) * y.magnitude[at];
      }
      return sum.value;
    };
    const double measured = (value(kStep) - value(-kStep)) / (2 * kStep);
    const PlainGradient grad =
        plain_backward(leaky(Plain(layer.pre.view())), Plain(layer.weight.view()), grad_y);
    Sum slope;
    const auto along = [&](const Plain& gradient, const GuardedMatrix& way) {
      for (int64_t r = 0; r < gradient.rows; ++r)
        for (int64_t c = 0; c < gradient.cols; ++c) slope.add(gradient(r, c) * way.view()(r, c));
    };
    along(grad.weight, direction.weight);
    along(column_sums(grad_y), direction.bias);
    along(grad.pre, direction.pre);
    const double terms = double(shape.rows * shape.out * (shape.in + 2));
    CHECK(std::abs(measured - slope.value) <= 4 * terms * std::numeric_limits<double>::epsilon() *
                                                  (magnitude / kStep + slope.magnitude));
  }
}

// y - b is linear in W, and grows as pre does: leaky(s pre) = s leaky(pre) for s > 0. So
// <grad_y, y - b> = <grad_W, W> = <grad_pre, pre>.
TEST_CASE("hidden_layer: backward is the transpose of forward", "[kernels]") {
  const Hidden on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (Case shape : kCases) {
    CAPTURE(shape.rows, shape.in, shape.out);
    if (on.backend == "cuda" && shape.rows > 260) continue;  // slow there
    Layer layer(shape, false, 105);
    layer.run(on);
    const Plain pre(layer.pre.view()), weight(layer.weight.view()), grad_y(layer.grad_y.view());
    const Plain act = leaky(pre);
    const PlainGradient grad = plain_backward(act, weight, grad_y);
    struct Product {
      double value = 0, bound = 0;
    };
    const auto product = [](MatrixView<const float> got, const Plain& want, int64_t terms,
                            const Plain& with) {
      Product sum;
      for (int64_t r = 0; r < got.rows; ++r)
        for (int64_t c = 0; c < got.cols; ++c) {
          sum.value += got(r, c) * with(r, c);
          sum.bound += rounding_bound(terms, want.magnitude[size_t(r * want.cols + c)]) *
                       std::abs(with(r, c));
        }
      return sum;
    };
    const Product by_y =
        product(layer.y.view(), plain_forward(act, weight, Plain(0, 0)), layer.y_terms(), grad_y);
    const Product by_weight =
        product(layer.grad_weight.view(), grad.weight, layer.weight_terms(), weight);
    const Product by_pre = product(layer.act.view(), grad.pre, layer.pre_terms(), pre);
    CHECK(std::abs(by_y.value - by_weight.value) <= by_y.bound + by_weight.bound);
    CHECK(std::abs(by_y.value - by_pre.value) <= by_y.bound + by_pre.bound);
  }
}

TEST_CASE("hidden_layer: same bits with 1, 2 and 3 threads", "[kernels][threads]") {
  for (Case shape : {Case{257, 33, 31}, Case{2049, 64, 5}}) {
    const auto run = [&](int threads) {
      const cpu::ThreadsInUse count(threads);
      return Layer(shape, true, 106)
          .run({"cpu", Precision::fp32, false, cpu::hidden_layer, cpu::hidden_layer_backward});
    };
    const Layer one = run(1);
    for (int threads : {2, 3}) {
      const Layer more = run(threads);
      CHECK(same_bits(more.forward_act.view(), one.forward_act.view()));
      CHECK(same_bits(more.y.view(), one.y.view()));
      CHECK(same_bits(more.act.view(), one.act.view()));
      CHECK(same_bits(more.grad_weight.view(), one.grad_weight.view()));
      CHECK(same_bits(more.grad_bias.view(), one.grad_bias.view()));
    }
  }
}

TEST_CASE("hidden_layer: two runs have the same bits", "[kernels]") {
  const Hidden on = GENERATE(from_range(versions()));
  CAPTURE(on.name());
  for (Case shape : {Case{257, 100, 64}, Case{70, 31, 70}}) {
    const Layer one = Layer(shape, true, 108, 4).run(on),
                again = Layer(shape, true, 108, 4).run(on);
    CHECK(same_bits(again.y.view(), one.y.view()));
    CHECK(same_bits(again.act.view(), one.act.view()));
    CHECK(same_bits(again.grad_weight.view(), one.grad_weight.view()));
    CHECK(same_bits(again.grad_bias.view(), one.grad_bias.view()));
  }
}

TEST_CASE("hidden_layer: refuses shapes that do not match", "[kernels]") {
  const Hidden on = GENERATE(from_range(versions()));
  CAPTURE(on.name());
  GuardedMatrix act(4, 3), y(4, 2), weight(2, 3), few(3, 2), narrow(4, 1), turned(3, 2);
  std::mt19937_64 random(107);
  for (GuardedMatrix* m : {&act, &y, &weight}) m->fill_normal(random);
  Values<float> bias(2, 0.0f);
  const LinearView layer{weight.view(), {bias.data(), 2}};
  GuardedMatrix grad_weight(2, 3);
  const LinearGradientView grad{grad_weight.view(), {bias.data(), 2}};
  CHECK_NOTHROW(on.forward(act.view(), layer, y.view()));
  CHECK_THROWS_AS(on.forward(act.view(), layer, few.view()), std::invalid_argument);
  CHECK_THROWS_AS(on.forward(act.view(), layer, narrow.view()), std::invalid_argument);
  CHECK_THROWS_AS(on.forward(act.view(), {turned.view(), {}}, y.view()), std::invalid_argument);
  CHECK_THROWS_AS(on.forward(act.view(), {weight.view(), {bias.data(), 1}}, y.view()),
                  std::invalid_argument);
  CHECK_NOTHROW(on.backward(act.view(), layer, y.view(), grad));
  CHECK_THROWS_AS(on.backward(act.view(), layer, few.view(), grad), std::invalid_argument);
  CHECK_THROWS_AS(on.backward(act.view(), layer, y.view(), {turned.view(), {bias.data(), 2}}),
                  std::invalid_argument);
  CHECK_THROWS_AS(on.backward(act.view(), layer, y.view(), {grad_weight.view(), {}}),
                  std::invalid_argument);
}

}  // namespace rec::test
