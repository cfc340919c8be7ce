// adam against the formula in double precision.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/adam/adam.h"
#include "kernels/common/threads.h"
#include "tests/support/agreement.h"
#include "tests/support/closeness.h"
#include "tests/support/guarded_matrix.h"
#include "tests/support/on_backends.h"
#include "tests/support/operands.h"

namespace rec::test {
namespace {

struct Adam {
  std::string backend;
  std::function<void(const AdamSettings&, int64_t, VectorView<float>, VectorView<const float>,
                     VectorView<float>, VectorView<float>)>
      step;
};
std::vector<Adam> backends() {
  return on_backends<Adam>(
      [] {
        return Adam{"cpu", cpu::adam};
      },
      [](auto) {
        return Adam{"cuda", [](const AdamSettings& settings, int64_t t, auto... slabs) {
                      const Values<int64_t> updates = {t - 1};
                      on_device(cuda::adam)(settings, updates.data(), slabs..., {});
                    }};
      });
}

// A value in double, and how far the same operations in float may be from it. Every operation
// passes on the errors of its operands and adds its own: epsilon of the result, which is two
// roundings (room for writing the formula in another order), or the spacing of the subnormals.
struct Rounded {
  double value = 0, error = 0;

  static Rounded result(double value, double passed_on) {
    return {value,
            passed_on +
                double(std::numeric_limits<float>::epsilon()) * (std::abs(value) + passed_on) +
                double(std::numeric_limits<float>::denorm_min())};
  }
};
Rounded operator+(Rounded a, Rounded b) {
  return Rounded::result(a.value + b.value, a.error + b.error);
}
Rounded operator-(Rounded a, Rounded b) {
  return Rounded::result(a.value - b.value, a.error + b.error);
}
Rounded operator*(Rounded a, Rounded b) {
  return Rounded::result(a.value * b.value, std::abs(a.value) * b.error +
                                                std::abs(b.value) * a.error + a.error * b.error);
}
// b further from 0 than its error
Rounded operator/(Rounded a, Rounded b) {
  const double quotient = a.value / b.value;
  return Rounded::result(quotient,
                         (a.error + std::abs(quotient) * b.error) / (std::abs(b.value) - b.error));
}
Rounded sqrt(Rounded a) {
  const double root = std::sqrt(a.value), least = std::sqrt(std::max(0.0, a.value - a.error));
  return Rounded::result(root, std::max(root - least, std::sqrt(a.value + a.error) - root));
}

// One parameter's way through the header's formula.
struct PlainAdam {
  Rounded w, m, v;

  void step(const AdamSettings& s, int64_t t, float grad) {
    const auto exact = [](double value) { return Rounded{value, 0}; };
    const Rounded lr = exact(s.learning_rate), epsilon = exact(s.epsilon);
    const Rounded beta1 = exact(s.beta1), beta2 = exact(s.beta2);
    // 1 - beta is exact in float for beta in [1/2, 1].
    const Rounded rest1 = exact(1.0 - s.beta1), rest2 = exact(1.0 - s.beta2);
    const Rounded correction1 = exact(1.0 - std::pow(double(s.beta1), double(t)));
    const Rounded correction2 = exact(1.0 - std::pow(double(s.beta2), double(t)));
    const Rounded g = exact(grad) + exact(s.weight_decay) * w;
    m = beta1 * m + rest1 * g;
    v = beta2 * v + rest2 * (g * g);
    w = w - lr * (m / correction1) / (sqrt(v / correction2) + epsilon);
  }
};

// The four slabs of one parameter set, guarded.
struct Slabs {
  GuardedMatrix weight, grad, first_moment, second_moment;

  explicit Slabs(int64_t size, bool aligned = false)
      : weight(aligned ? GuardedMatrix::aligned(1, size) : GuardedMatrix(1, size)),
        grad(weight),
        first_moment(weight),
        second_moment(weight) {
    for (int64_t i = 0; i < size; ++i)
      first_moment.view()(0, i) = second_moment.view()(0, i) = 0.0f;
  }

  int64_t size() const { return weight.view().cols; }
  static VectorView<float> vector(GuardedMatrix& slab) {
    return {slab.view().row(0), slab.view().cols};
  }
  void step(const Adam& on, const AdamSettings& settings, int64_t t) {
    on.step(settings, t, vector(weight), vector(grad), vector(first_moment), vector(second_moment));
  }
  PlainAdam plain(int64_t i) const {
    return {
        {weight.view()(0, i), 0}, {first_moment.view()(0, i), 0}, {second_moment.view()(0, i), 0}};
  }
  bool guards_untouched() const {
    return weight.guards_untouched() && grad.guards_untouched() &&
           first_moment.guards_untouched() && second_moment.guards_untouched();
  }
};

// Gradients of every size there is between the subnormals and a square that still fits a float.
void fill_gradient(GuardedMatrix& grad, std::mt19937_64& random) {
  constexpr float kScales[] = {1.0f, 1e-3f, 1e-8f, 1e-12f, 1e-20f, 1e-40f, 1e5f, 1e18f, 0.0f};
  grad.fill_normal(random);
  for (int64_t i = 0; i < grad.view().cols; ++i)
    grad.view()(0, i) *= kScales[size_t(i) % std::size(kScales)];
}

void check(const Slabs& got, const std::vector<PlainAdam>& want) {
  Agreement agreement;
  for (int64_t i = 0; i < got.size(); ++i) {
    const PlainAdam& one = want[size_t(i)];
    agreement.compare(got.weight.view()(0, i), one.w.value, one.w.error, "weight ", i);
    agreement.compare(got.first_moment.view()(0, i), one.m.value, one.m.error, "first moment ", i);
    agreement.compare(got.second_moment.view()(0, i), one.v.value, one.v.error, "second moment ",
                      i);
  }
  INFO(agreement.text());
  CHECK(agreement.holds());
  CHECK(got.guards_untouched());
}

}  // namespace

// docs/kernels/adam.md, "A small example"
TEST_CASE("adam: the example worked by hand", "[kernels]") {
  const Adam on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  AdamSettings settings;
  settings.learning_rate = 0.5f, settings.beta1 = 0.5f, settings.beta2 = 0.75f,
  settings.epsilon = 0;
  Slabs slabs(1);
  slabs.weight.view()(0, 0) = 3;
  slabs.grad.view()(0, 0) = 2;
  slabs.step(on, settings, 1);
  CHECK(slabs.first_moment.view()(0, 0) == 1);
  CHECK(slabs.second_moment.view()(0, 0) == 1);
  CHECK(slabs.weight.view()(0, 0) == 2.5f);
  slabs.grad.view()(0, 0) = -2;
  slabs.step(on, settings, 2);
  CHECK(slabs.first_moment.view()(0, 0) == -0.5f);
  CHECK(slabs.second_moment.view()(0, 0) == 1.75f);
  CHECK(std::abs(slabs.weight.view()(0, 0) - 8.0 / 3) <= rounding_bound(2, 8.0 / 3));

  // Weight decay 1/2 makes the first step of it out of no gradient at all.
  settings.weight_decay = 0.5f;
  Slabs decayed(1);
  decayed.weight.view()(0, 0) = 4;
  decayed.grad.view()(0, 0) = 0;
  decayed.step(on, settings, 1);
  CHECK(decayed.weight.view()(0, 0) == 3.5f);
}

TEST_CASE("adam: one step matches the formula", "[kernels]") {
  const Adam on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const bool aligned = GENERATE(false, true);
  for (int64_t size :
       {0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 16383, 16384, 16385, 40001})
    for (int64_t t : {int64_t{1}, int64_t{2}, int64_t{1000}, int64_t{5'000'000'000}})
      for (float weight_decay : {0.0f, 0.3f}) {
        CAPTURE(size, t, weight_decay, aligned);
        AdamSettings settings;
        settings.weight_decay = weight_decay;
        std::mt19937_64 random(111);
        Slabs slabs(size, aligned);
        slabs.weight.fill_normal(random);
        fill_gradient(slabs.grad, random);
        if (t > 1) {
          fill_gradient(slabs.first_moment, random);
          fill_gradient(slabs.second_moment, random);
          for (int64_t i = 0; i < size; ++i)
            slabs.second_moment.view()(0, i) = std::abs(slabs.second_moment.view()(0, i));
        }
        std::vector<PlainAdam> want;
        for (int64_t i = 0; i < size; ++i) {
          want.push_back(slabs.plain(i));
          want.back().step(settings, t, slabs.grad.view()(0, i));
        }
        slabs.step(on, settings, t);
        check(slabs, want);
      }
}

TEST_CASE("adam: many steps stay with the formula", "[kernels]") {
  const Adam on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (float weight_decay : {0.0f, 0.01f}) {
    CAPTURE(weight_decay);
    AdamSettings settings;
    settings.weight_decay = weight_decay;
    std::mt19937_64 random(112);
    Slabs slabs(131);
    slabs.weight.fill_normal(random);
    std::vector<PlainAdam> want;
    for (int64_t i = 0; i < slabs.size(); ++i) want.push_back(slabs.plain(i));
    for (int64_t t = 1; t <= 300; ++t) {
      fill_gradient(slabs.grad, random);
      for (int64_t i = 0; i < slabs.size(); ++i)
        want[size_t(i)].step(settings, t, slabs.grad.view()(0, i));
      slabs.step(on, settings, t);
    }
    check(slabs, want);
  }
}

// At t = 1 with empty moments, m / (1 - beta1) is g and v / (1 - beta2) is g^2: the step is
// lr * g / (|g| + eps), whatever the betas.
TEST_CASE("adam: the first step is the learning rate in the gradient's direction", "[kernels]") {
  const Adam on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (float beta1 : {0.5f, 0.9f})
    for (float beta2 : {0.75f, 0.999f}) {
      AdamSettings settings;
      settings.beta1 = beta1, settings.beta2 = beta2;
      const float grad[] = {3.0f, -0.02f, 1e-4f, -1e15f, 0.0f};
      Slabs slabs(5);
      for (int64_t i = 0; i < 5; ++i) {
        slabs.weight.view()(0, i) = 0;
        slabs.grad.view()(0, i) = grad[i];
      }
      slabs.step(on, settings, 1);
      for (int64_t i = 0; i < 5; ++i) {
        const double want = -double(settings.learning_rate) * grad[i] /
                            (std::abs(double(grad[i])) + double(settings.epsilon));
        // Nine operations and two corrections lie on the way: fewer roundings than the 16 allowed.
        CHECK(std::abs(slabs.weight.view()(0, i) - want) <= rounding_bound(2, std::abs(want)));
      }
    }
}

TEST_CASE("adam: parameters that never had a gradient keep their bits", "[kernels]") {
  const Adam on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  std::mt19937_64 random(113);
  Slabs slabs(100);
  slabs.weight.fill_normal(random);
  for (int64_t i = 0; i < 100; ++i) slabs.grad.view()(0, i) = 0;
  const GuardedMatrix before = slabs.weight;
  for (int64_t t = 1; t <= 3; ++t) slabs.step(on, AdamSettings(), t);
  CHECK(same_bits(slabs.weight.view(), before.view()));
}

TEST_CASE("adam: same bits with 1, 2 and 3 threads", "[kernels][threads]") {
  const auto run = [](int threads) {
    const cpu::ThreadsInUse count(threads);
    std::mt19937_64 random(114);
    Slabs slabs(5 * 16384 + 7);
    slabs.weight.fill_normal(random);
    for (int64_t t = 1; t <= 3; ++t) {
      fill_gradient(slabs.grad, random);
      slabs.step({"cpu", cpu::adam}, AdamSettings(), t);
    }
    return slabs;
  };
  const Slabs one = run(1);
  for (int threads : {2, 3}) {
    const Slabs more = run(threads);
    CHECK(same_bits(more.weight.view(), one.weight.view()));
    CHECK(same_bits(more.first_moment.view(), one.first_moment.view()));
    CHECK(same_bits(more.second_moment.view(), one.second_moment.view()));
  }
}

TEST_CASE("adam: refuses slabs of unequal size and steps before the first", "[kernels]") {
  const Adam on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  Values<float> w(4, 1.0f), g(4, 1.0f), m(4, 0.0f), v(4, 0.0f);
  const auto call = [&](int64_t t, int64_t grads, int64_t firsts, int64_t seconds) {
    on.step(AdamSettings(), t, {w.data(), 4}, {g.data(), grads}, {m.data(), firsts},
            {v.data(), seconds});
  };
  CHECK_NOTHROW(call(1, 4, 4, 4));
  CHECK_THROWS_AS(call(1, 3, 4, 4), std::invalid_argument);
  CHECK_THROWS_AS(call(1, 4, 3, 4), std::invalid_argument);
  CHECK_THROWS_AS(call(1, 4, 4, 3), std::invalid_argument);
  // On a device the steps made so far are read by the kernel, and never below 0.
  if (on.backend == "cpu") CHECK_THROWS_AS(call(0, 4, 4, 4), std::invalid_argument);
}

#if defined(REC_CUDA)
TEST_CASE("adam: on a device, the weights are also given rounded", "[kernels]") {
  if (test_stream() == nullptr) return;
  const bool aligned = GENERATE(false, true);
  const auto step = [&](Slabs& slabs, VectorView<Bf16> rounded) {
    const Values<int64_t> updates = {4};
    on_device(cuda::adam)(AdamSettings(), updates.data(), Slabs::vector(slabs.weight),
                          Slabs::vector(slabs.grad), Slabs::vector(slabs.first_moment),
                          Slabs::vector(slabs.second_moment), rounded);
  };
  for (int64_t size : {0, 1, 2, 3, 5, 8, 31, 1000, 40001}) {
    CAPTURE(size, aligned);
    std::mt19937_64 random(115);
    Slabs slabs(size, aligned);
    slabs.weight.fill_normal(random);
    fill_gradient(slabs.grad, random);
    Slabs alone = slabs;
    auto rounded =
        aligned ? GuardedMatrixOf<Bf16>::aligned(1, size) : GuardedMatrixOf<Bf16>(1, size);
    step(slabs, {rounded.view().row(0), size});
    step(alone, {});
    CHECK(same_bits(slabs.weight.view(), alone.weight.view()));
    CHECK(rounded.guards_untouched());
    Agreement agreement;
    for (int64_t i = 0; i < size; ++i)
      agreement.compare(to_float(rounded.view()(0, i)), bf16_value(slabs.weight.view()(0, i)), 0,
                        "weight ", i);
    INFO(agreement.text());
    CHECK(agreement.holds());
  }
  Slabs slabs(4);
  GuardedMatrixOf<Bf16> three(1, 3);
  CHECK_THROWS_AS(step(slabs, {three.view().row(0), 3}), std::invalid_argument);
}
#endif

}  // namespace rec::test
