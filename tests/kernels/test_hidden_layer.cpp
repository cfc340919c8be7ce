// hidden_layer against plain loops in double precision.
#include <catch2/catch.hpp>

#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/common/threads.h"
#include "kernels/hidden_layer/hidden_layer.h"
#include "tests/support/agreement.h"
#include "tests/support/closeness.h"
#include "tests/support/guarded_matrix.h"
#include "tests/support/on_backends.h"

namespace rec::test {
namespace {

struct Hidden {
  std::string backend;
  std::function<void(MatrixView<float>, const LinearView&, MatrixView<float>)> forward;
  std::function<void(MatrixView<float>, const LinearView&, MatrixView<const float>,
                     const LinearGradientView&)>
      backward;
};
std::vector<Hidden> backends() {
  return on_backends<Hidden>(
      [] {
        return Hidden{"cpu", cpu::hidden_layer, cpu::hidden_layer_backward};
      },
      [](auto) {
        return Hidden{
            "cuda", on_device(cuda::hidden_layer),
            [](MatrixView<float> act, const LinearView& layer, auto grad_y, const auto& grad) {
              Values<std::byte> scratch(
                  size_t(cuda::hidden_layer_scratch_bytes(act.rows, act.cols, layer.weight.rows)));
              on_device(cuda::hidden_layer_backward)(act, layer, grad_y, grad,
                                                     {scratch.data(), int64_t(scratch.size())});
            }};
      });
}

struct Case {
  int64_t rows, in, out;
};
// Every awkward width on either side; rows around the panels of both backends (32, 128, 256), and
// more panels than groups.
constexpr Case kCases[] = {
    {0, 3, 2},     {0, 200, 2},   {1, 1, 1},      {1, 200, 64},   {33, 31, 33},  {64, 32, 31},
    {100, 33, 32}, {70, 64, 200}, {128, 130, 64}, {129, 128, 65}, {255, 33, 1},  {256, 64, 33},
    {257, 31, 64}, {700, 200, 5}, {2048, 1, 32},  {2049, 33, 3},  {4400, 16, 16}};

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

// terms: how many roundings the way to an entry has met.
void check(MatrixView<const float> got, const Plain& want, int64_t terms) {
  Agreement agreement;
  for (int64_t r = 0; r < want.rows; ++r)
    for (int64_t c = 0; c < want.cols; ++c)
      agreement.compare(got(r, c), want(r, c),
                        rounding_bound(terms, want.magnitude[size_t(r * want.cols + c)]), "row ", r,
                        ", column ", c);
  INFO(agreement.text());
  CHECK(agreement.holds());
}

double slope_at(double pre) { return pre > 0 ? 1.0 : double(kLeakySlope); }

// bias [1, out] or no rows
Plain plain_forward(const Plain& pre, const Plain& weight, const Plain& bias) {
  Plain y(pre.rows, weight.rows);
  for (int64_t r = 0; r < pre.rows; ++r)
    for (int64_t o = 0; o < weight.rows; ++o) {
      if (bias.rows > 0) y.add(r, o, bias(0, o));
      for (int64_t i = 0; i < pre.cols; ++i)
        y.add(r, o, slope_at(pre(r, i)) * pre(r, i) * weight(o, i));
    }
  return y;
}

struct PlainGradient {
  Plain weight, bias, pre;
};
PlainGradient plain_backward(const Plain& pre, const Plain& weight, const Plain& grad_y) {
  PlainGradient grad{{weight.rows, weight.cols}, {1, weight.rows}, {pre.rows, pre.cols}};
  for (int64_t r = 0; r < pre.rows; ++r)
    for (int64_t o = 0; o < weight.rows; ++o) {
      grad.bias.add(0, o, grad_y(r, o));
      for (int64_t i = 0; i < pre.cols; ++i) {
        const double slope = slope_at(pre(r, i));
        grad.weight.add(o, i, grad_y(r, o) * slope * pre(r, i));
        grad.pre.add(r, i, grad_y(r, o) * weight(o, i) * slope);
      }
    }
  return grad;
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

}  // namespace

// docs/kernels/hidden_layer.md, "A small example"
TEST_CASE("hidden_layer: the example worked by hand", "[kernels]") {
  const Hidden on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  Layer layer({2, 2, 1}, true, 1);
  layer.pre.view()(0, 0) = 4, layer.pre.view()(0, 1) = -100;
  layer.pre.view()(1, 0) = -300, layer.pre.view()(1, 1) = 1;
  layer.weight.view()(0, 0) = 2, layer.weight.view()(0, 1) = 5;
  layer.bias.view()(0, 0) = 10;
  layer.grad_y.view()(0, 0) = 1, layer.grad_y.view()(1, 0) = 3;
  layer.run(on);
  // 0.01 is not a float, so -1 and -3 come out within a rounding.
  const auto near = [](float got, double want) {
    return std::abs(got - want) <= rounding_bound(3, std::abs(want));
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
  const Hidden on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const int64_t alignment = on.backend == "cpu" ? 0 : GENERATE(0, 2, 4);
  for (Case shape : kCases)
    for (bool has_bias : {true, false}) {
      CAPTURE(shape.rows, shape.in, shape.out, has_bias, alignment);
      if (on.backend == "cuda" && shape.rows > 260 && alignment != 4) continue;  // slow there
      Layer layer(shape, has_bias, 101, alignment);
      layer.run(on);
      // One multiplication: its rounding is known, so act is known to the bit.
      Agreement act;
      for (int64_t r = 0; r < shape.rows; ++r)
        for (int64_t i = 0; i < shape.in; ++i) {
          const float pre = layer.pre.view()(r, i);
          act.compare(layer.forward_act.view()(r, i), float(slope_at(pre) * double(pre)), 0, "row ",
                      r, ", column ", i);
        }
      INFO(act.text());
      CHECK(act.holds());

      const Plain pre(layer.pre.view()), weight(layer.weight.view());
      check(layer.y.view(), plain_forward(pre, weight, Plain(layer.bias.view())), layer.y_terms());
      const PlainGradient grad = plain_backward(pre, weight, Plain(layer.grad_y.view()));
      check(layer.grad_weight.view(), grad.weight, layer.weight_terms());
      check(layer.act.view(), grad.pre, layer.pre_terms());
      for (int64_t o = 0; o < layer.grad_bias.view().rows * shape.out; ++o) {
        // Summed in double, rounded once.
        const double want = grad.bias(0, o);
        CHECK(std::abs(layer.grad_bias.view()(0, o) - want) <=
              rounding_bound(1, std::abs(want)) + double(shape.rows) *
                                                      std::numeric_limits<double>::epsilon() *
                                                      grad.bias.magnitude[size_t(o)]);
      }
    }
}

// leaky'(0) is the slope, for either zero and for values so small that slope * pre is -0.
TEST_CASE("hidden_layer: the sign at 0", "[kernels]") {
  const Hidden on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  constexpr float kTiniest = std::numeric_limits<float>::denorm_min();
  const float pre[] = {0.0f, -0.0f, kTiniest, -kTiniest, 1.0f, -1.0f};
  const float act[] = {0.0f, 0.0f, kTiniest, 0.0f, 1.0f, -kLeakySlope};
  const float slope[] = {kLeakySlope, kLeakySlope, 1.0f, kLeakySlope, 1.0f, kLeakySlope};
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
      CHECK(layer.forward_act.view()(0, i) == act[i % 6]);
      CHECK(layer.act.view()(0, i) == slope[i % 6]);
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
      const Plain y = plain_forward(moved(layer.pre, direction.pre, t),
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
        plain_backward(Plain(layer.pre.view()), Plain(layer.weight.view()), grad_y);
    Sum slope;
    const auto along = [&](const Plain& gradient, const GuardedMatrix& way) {
      for (int64_t r = 0; r < gradient.rows; ++r)
        for (int64_t c = 0; c < gradient.cols; ++c) slope.add(gradient(r, c) * way.view()(r, c));
    };
    along(grad.weight, direction.weight);
    along(grad.bias, direction.bias);
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
    const PlainGradient grad = plain_backward(pre, weight, grad_y);
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
        product(layer.y.view(), plain_forward(pre, weight, Plain(0, 0)), layer.y_terms(), grad_y);
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
      return Layer(shape, true, 106).run({"cpu", cpu::hidden_layer, cpu::hidden_layer_backward});
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
  const Hidden on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (Case shape : {Case{257, 132, 64}, Case{300, 31, 70}}) {
    const Layer one = Layer(shape, true, 108, 4).run(on),
                again = Layer(shape, true, 108, 4).run(on);
    CHECK(same_bits(again.y.view(), one.y.view()));
    CHECK(same_bits(again.act.view(), one.act.view()));
    CHECK(same_bits(again.grad_weight.view(), one.grad_weight.view()));
    CHECK(same_bits(again.grad_bias.view(), one.grad_bias.view()));
  }
}

TEST_CASE("hidden_layer: refuses shapes that do not match", "[kernels]") {
  const Hidden on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
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
