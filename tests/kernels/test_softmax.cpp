// softmax against plain sums over all items in extended precision. The bounds are those of
// docs/kernels/info_nce.md with what docs/kernels/softmax.md adds.
#include <catch2/catch.hpp>

#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/common/ceil_div.h"
#include "kernels/softmax/softmax.h"
#include "tests/support/objectives.h"
#include "tests/support/on_backends.h"

namespace rec::test {
namespace {

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();

struct Softmax {
  std::string backend;
  std::function<void(MatrixView<const float>, MatrixView<const float>, const BatchView&, float,
                     const SoftmaxGradientView&, double*)>
      add_loss;
  double exp_error;      // of a weight in (0, 1], relative
  double scaling_error;  // of a row's sums so far, each time they are scaled anew

  double run(MatrixView<const float> user, MatrixView<const float> item, const BatchView& batch,
             float tau, const SoftmaxGradientView& grad) const {
    Values<double> loss = {0.0};
    add_loss(user, item, batch, tau, grad, loss.data());
    return loss[0];
  }
};
std::vector<Softmax> backends() {
  return on_backends<Softmax>(
      [] {
        return Softmax{"cpu",
                       [](auto user, auto item, auto& batch, float tau, auto& grad, double* loss) {
                         *loss += cpu::softmax(user, item, batch, tau, grad);
                       },
                       kEpsilon, kEpsilon};
      },
      [](auto) {
        return Softmax{
            "cuda",
            [](auto user, auto item, auto& batch, float tau, auto& grad, double* loss) {
              const int64_t bytes = cuda::softmax_scratch_bytes(batch.rows(), item.rows, item.cols);
              Values<std::byte> scratch(static_cast<size_t>(bytes), std::byte{0xFF});  // NaN
              on_device(cuda::softmax)(user, item, batch, tau, grad, loss, {scratch.data(), bytes});
            },
            2 * kEpsilon, 3 * kEpsilon};
      });
}

// Owns what softmax makes of a batch, with guards around both matrices.
struct HostGradient {
  GuardedMatrix user_row, item;
  Values<double> row_loss;

  HostGradient(const HostBatch& batch, int64_t dim, bool aligned = false)
      : user_row(guarded(batch.rows(), dim, aligned)),
        item(guarded(batch.items, dim, aligned)),
        row_loss(static_cast<size_t>(batch.rows()), -1e300) {}

  SoftmaxGradientView view() {
    return {user_row.view(), {row_loss.data(), int64_t(row_loss.size())}, item.view()};
  }
};

// Row b against every item: slot 0 is its positive, slot 1 + k the k-th of the other items.
HostBatch against_all(const HostBatch& batch) {
  Values<int32_t> others;
  for (int32_t positive : batch.positive)
    for (int32_t i = 0; i < batch.items; ++i)
      if (i != positive) others.push_back(i);
  return make_batch(batch.name, batch.users, batch.items, batch.items - 1, batch.user,
                    batch.positive, std::move(others));
}

void check_gradient(const Softmax& on, MatrixView<const float> user, MatrixView<const float> item,
                    const HostBatch& batch, float tau, HostGradient& got, double loss,
                    bool exact_scores) {
  const HostBatch all = against_all(batch);
  const int64_t dim = user.cols;
  // At most once for every 64 items.
  const double weight_error = on.exp_error + double(ceil_div(batch.items, 64)) * on.scaling_error;
  std::vector<Sum> item_sum(size_t(batch.items * dim));
  std::vector<double> item_error(item_sum.size(), 0.0);
  Agreement rows, items, losses;
  Sum loss_sum;
  double loss_error = 0;
  for (int64_t b = 0; b < batch.rows(); ++b) {
    const RowOracle want =
        contrast(score_row(user, item, all, b, exact_scores), tau, batch.rows(), weight_error);
    losses.compare(got.row_loss[size_t(b)], want.loss, want.loss_error, "row ", b);
    loss_sum.add(want.loss);
    loss_error += want.loss_error;
    for (int64_t c = 0; c < dim; ++c) {
      const double of_user = user(batch.user[size_t(b)], c);
      Sum sum;
      double carried = 0;
      for (int64_t j = 0; j <= all.negatives; ++j) {
        const int32_t i = all.item_of(b, j);
        const double grad = want.grad[size_t(j)], error = want.grad_error[size_t(j)];
        sum.add(grad * item(i, c));
        carried += error * std::abs(item(i, c));
        item_sum[size_t(i * dim + c)].add(grad * of_user);
        item_error[size_t(i * dim + c)] += error * std::abs(of_user);
      }
      rows.compare(got.user_row.view()(b, c), sum.value, carried + rounding_bound(sum), "row ", b,
                   ", column ", c);
    }
  }
  for (int64_t i = 0; i < batch.items; ++i)
    for (int64_t c = 0; c < dim; ++c) {
      const Sum& sum = item_sum[size_t(i * dim + c)];
      items.compare(got.item.view()(i, c), sum.value,
                    item_error[size_t(i * dim + c)] + rounding_bound(sum), "item ", i, ", column ",
                    c);
    }
  INFO("derivatives by users: " << rows.text());
  CHECK(rows.holds());
  INFO("derivatives by items: " << items.text());
  CHECK(items.holds());
  INFO("row losses: " << losses.text());
  CHECK(losses.holds());
  const double in_double = 4.0 * double(batch.rows()) * std::numeric_limits<double>::epsilon();
  CHECK(std::abs(loss - loss_sum.value / double(batch.rows())) <=
        loss_error / double(batch.rows()) + in_double * loss_sum.magnitude);
  CHECK(got.user_row.guards_untouched());
  CHECK(got.item.guards_untouched());
}

void check_case(const Softmax& on, const GuardedMatrix& user, const GuardedMatrix& item,
                HostBatch& batch, float tau, bool exact_scores, bool aligned = false) {
  CAPTURE(batch.name, tau, user.view().cols, aligned);
  HostGradient got(batch, user.view().cols, aligned);
  const double loss = on.run(user.view(), item.view(), batch.view(), tau, got.view());
  check_gradient(on, user.view(), item.view(), batch, tau, got, loss, exact_scores);
}

void check_batch(const Softmax& on, HostBatch batch, std::vector<int64_t> dims,
                 std::vector<float> taus) {
  for (int64_t dim : dims)
    for (float tau : taus)
      for (bool exact : {false, true}) {
        const bool aligned = exact == (dim % 8 == 0);  // both ways for the widths together
        std::mt19937_64 random(7);
        GuardedMatrix user = guarded(batch.users, dim, aligned);
        GuardedMatrix item = guarded(batch.items, dim, aligned);
        const auto fill = exact ? fill_dyadic : fill_unit_rows;
        fill(user, random);
        fill(item, random);
        check_case(on, user, item, batch, tau, exact, aligned);
      }
}

}  // namespace

// docs/kernels/softmax.md, "A small example"
TEST_CASE("softmax: the example worked by hand", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = make_batch("hand", 2, 3, 1, {1, 0}, {0, 2}, {1, 1});
  GuardedMatrix user(2, 2), item(3, 2);
  user.view()(0, 0) = 0, user.view()(0, 1) = 1;
  user.view()(1, 0) = 1, user.view()(1, 1) = 0;
  const float log_2 = std::log(2.0f);
  const float items[3][2] = {{0, log_2}, {0, 0}, {0, 0}};
  for (int64_t i = 0; i < 3; ++i)
    for (int64_t c = 0; c < 2; ++c) item.view()(i, c) = items[i][c];
  HostGradient got(batch, 2);
  const double loss = on.run(user.view(), item.view(), batch.view(), 1.0f, got.view());
  // log_2 is a float: half an epsilon off, and so are the weight 2 and what follows from it.
  const double bound = 4 * kEpsilon;
  CHECK(std::abs(got.row_loss[0] - std::log(3.0)) <= bound);
  CHECK(std::abs(got.row_loss[1] - std::log(4.0)) <= bound);
  CHECK(std::abs(loss - std::log(12.0) / 2) <= bound);
  const double by_user[2][2] = {{0, -std::log(2.0) / 3}, {0, std::log(2.0) / 4}};
  const double by_item[3][2] = {{-1.0 / 3, 1.0 / 4}, {1.0 / 6, 1.0 / 8}, {1.0 / 6, -3.0 / 8}};
  for (int64_t c = 0; c < 2; ++c) {
    for (int64_t b = 0; b < 2; ++b)
      CHECK(std::abs(got.user_row.view()(b, c) - by_user[b][c]) <= bound);
    for (int64_t i = 0; i < 3; ++i) CHECK(std::abs(got.item.view()(i, c) - by_item[i][c]) <= bound);
  }
}

TEST_CASE("softmax: matches plain sums", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const std::vector<float> taus = {0.2f, 0.05f, 0.01f, 1e-3f};
  check_batch(on, random_batch("two items", 3, 2, 5, 1, 1), {1, 64}, taus);
  check_batch(on, random_batch("users and positives repeat", 3, 4, 21, 1, 2), {3, 33, 64}, taus);
  // A GPU's tiles of 128 and 64, and one more or less of each.
  check_batch(on, random_batch("63 items, 129 rows", 40, 63, 129, 1, 3), {31, 64}, {0.15f});
  check_batch(on, random_batch("64 items, 127 rows", 40, 64, 127, 1, 4), {32}, {0.15f});
  check_batch(on, random_batch("65 items, 128 rows", 40, 65, 128, 1, 5), {66}, {0.15f});
  check_batch(on, random_batch("129 items, 65 rows", 40, 129, 65, 1, 6), {4, 65}, {0.05f});
  check_batch(on, random_batch("128 items, 64 rows", 40, 128, 64, 1, 7), {128}, {0.15f});
  check_batch(on, random_batch("one row, three slabs of columns", 2, 130, 1, 1, 8), {129, 200},
              {0.15f});
}

TEST_CASE("softmax: matches plain sums where the walk is cut", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  // On a GPU shares begin at multiples of 64, of 256 vectors at least: two and three of them.
  check_batch(on, random_batch("577 items, 7 rows", 5, 577, 7, 1, 9), {5, 64}, {0.15f, 0.01f});
  check_batch(on, random_batch("768 items, 3 rows", 5, 768, 3, 1, 10), {70}, {0.15f});
  check_batch(on, random_batch("9 items, 641 rows", 50, 9, 641, 1, 11), {6, 64}, {0.15f});
}

// On a CPU panels are of 2048 vectors, or 64 where they are wide.
TEST_CASE("softmax: matches plain sums over several panels", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  if (on.backend != "cpu") return;
  check_batch(on, random_batch("wide, 130 items", 3, 130, 5, 1, 12), {2049}, {0.15f});
  check_batch(on, random_batch("wide, 130 rows", 9, 3, 130, 1, 27), {2049}, {0.15f});
  check_batch(on, random_batch("many items", 5, 4500, 9, 1, 13), {3}, {0.15f, 1e-3f});
  check_batch(on, random_batch("many rows", 50, 5, 4500, 1, 14), {3}, {0.15f});
}

// Scores of user (1, 0) are exactly the items' first column. All are below 0, so that a score of 0
// from outside the items would be the largest.
TEST_CASE("softmax: the largest score comes first, last or in the middle, or is the positive's",
          "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  constexpr int32_t kItems = 200;
  GuardedMatrix user(1, 2), item(kItems, 2);
  user.view()(0, 0) = 1, user.view()(0, 1) = 0;
  for (float tau : {1.0f, 0.05f, 1e-3f})
    for (int32_t step : {1, -1, 77}) {  // ascending, descending, mixed
      for (int32_t i = 0; i < kItems; ++i) {
        item.view()(i, 0) = float((i * step % kItems + kItems) % kItems) / 256.0f - 1.0f;
        item.view()(i, 1) = float(i % 3) / 4.0f;
      }
      HostBatch batch =
          make_batch("exact", 1, kItems, 1, {0, 0, 0, 0, 0}, {0, 1, 63, 199, 64}, {0, 0, 0, 0, 0});
      CAPTURE(step);
      check_case(on, user, item, batch, tau, true);
    }
}

TEST_CASE("softmax: no digit of a loss is lost when the positive has nearly won", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  GuardedMatrix user(1, 1), item(2, 1);
  user.view()(0, 0) = 1;
  const float below = std::nextafter(kSmallestExponent, -100.0f);
  for (float other : {-30.0f, -60.0f, kSmallestExponent, below}) {
    CAPTURE(other);
    item.view()(0, 0) = 0, item.view()(1, 0) = other;
    HostBatch batch = make_batch("won", 1, 2, 1, {0}, {0}, {1});
    HostGradient got(batch, 1);
    const double loss = on.run(user.view(), item.view(), batch.view(), 1.0f, got.view());
    const double want = other < kSmallestExponent ? 0.0 : std::exp(double(other));
    CHECK(std::abs(loss - want) <= 4 * kEpsilon * want);
    CHECK(std::abs(got.item.view()(0, 0) + want) <= 8 * kEpsilon * want);
    CHECK(std::abs(got.item.view()(1, 0) - want) <= 8 * kEpsilon * want);
  }
}

TEST_CASE("softmax: a single item has no loss and no gradient", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (int64_t dim : {1, 5, 64}) {
    HostBatch batch = random_batch("one item", 4, 1, 6, 1, 15);
    std::mt19937_64 random(16);
    GuardedMatrix user(4, dim), item(1, dim);
    fill_unit_rows(user, random);
    fill_unit_rows(item, random);
    HostGradient got(batch, dim);
    CHECK(on.run(user.view(), item.view(), batch.view(), 0.15f, got.view()) == 0.0);
    for (int64_t c = 0; c < dim; ++c) {
      CHECK(got.item.view()(0, c) == 0.0f);
      for (int64_t b = 0; b < 6; ++b) CHECK(got.user_row.view()(b, c) == 0.0f);
    }
  }
}

TEST_CASE("softmax: finite for the smallest tau there is", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = random_batch("smallest tau", 3, 90, 12, 1, 17);
  std::mt19937_64 random(18);
  GuardedMatrix user(3, 8), item(90, 8);
  fill_unit_rows(user, random);
  fill_unit_rows(item, random);
  for (float tau :
       {1e-20f, std::numeric_limits<float>::min(), std::numeric_limits<float>::denorm_min()}) {
    CAPTURE(tau);
    HostGradient got(batch, 8);
    CHECK(std::isfinite(on.run(user.view(), item.view(), batch.view(), tau, got.view())));
    for (int64_t c = 0; tau == 1e-20f && c < 8; ++c) {
      for (int64_t b = 0; b < 12; ++b) CHECK(std::isfinite(got.user_row.view()(b, c)));
      for (int64_t i = 0; i < 90; ++i) CHECK(std::isfinite(got.item.view()(i, c)));
    }
  }
}

TEST_CASE("softmax: a NaN shows in the loss, wherever it stands", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = make_batch("NaN", 2, 140, 1, {0, 1, 0}, {0, 70, 139}, {1, 1, 1});
  for (int64_t at : {0, 1, 70, 100, 139}) {
    CAPTURE(at);
    std::mt19937_64 random(19);
    GuardedMatrix user(2, 5), item(140, 5);
    fill_unit_rows(user, random);
    fill_unit_rows(item, random);
    item.view()(at, 2) = std::numeric_limits<float>::quiet_NaN();
    HostGradient got(batch, 5);
    CHECK(std::isnan(on.run(user.view(), item.view(), batch.view(), 0.15f, got.view())));
  }
}

// Arrays that end with their last value: AddressSanitizer reports what is touched after it.
TEST_CASE("softmax: touches nothing past the arrays", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (int64_t dim : {31, 33, 60, 66, 132}) {
    CAPTURE(dim);
    HostBatch batch = make_batch("last user, last item", 2, 3, 1, {1, 0}, {2, 2}, {0, 1});
    const Values<float> user(size_t(2 * dim), 0.125f), item(size_t(3 * dim), 0.125f);
    Values<float> user_row(size_t(2 * dim)), grad_item(size_t(3 * dim));
    Values<double> row_loss(2);
    const double loss =
        on.run({user.data(), 2, dim}, {item.data(), 3, dim}, batch.view(), 0.15f,
               {{user_row.data(), 2, dim}, {row_loss.data(), 2}, {grad_item.data(), 3, dim}});
    CHECK(std::abs(loss - std::log(3.0)) < 1e-15);  // all scores are equal
  }
}

TEST_CASE("softmax: the loss is added, and is nothing without rows", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = random_batch("added", 3, 9, 20, 1, 20), none = batch;
  none.user.clear(), none.positive.clear(), none.negative.clear();
  std::mt19937_64 random(21);
  GuardedMatrix user(3, 8), item(9, 8);
  fill_unit_rows(user, random);
  fill_unit_rows(item, random);
  HostGradient got(batch, 8), nothing(none, 8);
  const double loss = on.run(user.view(), item.view(), batch.view(), 0.15f, got.view());
  Values<double> sum = {2.5};
  on.add_loss(user.view(), item.view(), batch.view(), 0.15f, got.view(), sum.data());
  CHECK(sum[0] == 2.5 + loss);
  on.add_loss(user.view(), item.view(), none.view(), 0.15f, nothing.view(), sum.data());
  CHECK(sum[0] == 2.5 + loss);
  for (int64_t i = 0; i < 9; ++i)
    for (int64_t c = 0; c < 8; ++c) CHECK(nothing.item.view()(i, c) == 0.0f);
}

TEST_CASE("softmax: two runs give the same bits", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = random_batch("two runs", 50, 300, 140, 1, 22);
  std::mt19937_64 random(23);
  GuardedMatrix user(50, 33), item(300, 33);
  fill_unit_rows(user, random);
  fill_unit_rows(item, random);
  HostGradient one(batch, 33), two(batch, 33);
  const double loss = on.run(user.view(), item.view(), batch.view(), 0.15f, one.view());
  CHECK(on.run(user.view(), item.view(), batch.view(), 0.15f, two.view()) == loss);
  CHECK(same_bits(two.user_row.view(), one.user_row.view()));
  CHECK(same_bits(two.item.view(), one.item.view()));
}

TEST_CASE("softmax: same bits with 1, 2 and 3 threads", "[kernels][threads]") {
  HostBatch batch = random_batch("threads", 50, 160, 97, 1, 24);
  std::mt19937_64 random(25);
  GuardedMatrix user(50, 33), item(160, 33);
  fill_unit_rows(user, random);
  fill_unit_rows(item, random);
  const auto run = [&](int threads, HostGradient& got) {
    const cpu::ThreadsInUse count(threads);
    return cpu::softmax(user.view(), item.view(), batch.view(), 0.15f, got.view());
  };
  HostGradient one(batch, 33);
  const double loss = run(1, one);
  for (int threads : {2, 3}) {
    CAPTURE(threads);
    HostGradient more(batch, 33);
    CHECK(run(threads, more) == loss);
    CHECK(same_bits(more.user_row.view(), one.user_row.view()));
    CHECK(same_bits(more.item.view(), one.item.view()));
  }
}

TEST_CASE("softmax: refuses wrong use", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = random_batch("refused", 3, 4, 6, 1, 26);
  GuardedMatrix user(3, 8), item(4, 8), narrow(4, 7), fewer(3, 8);
  HostGradient got(batch, 8), wrong(batch, 7);
  const auto refused = [&](MatrixView<const float> items, float tau,
                           const SoftmaxGradientView& grad) {
    CHECK_THROWS_AS(on.run(user.view(), items, batch.view(), tau, grad), std::invalid_argument);
  };
  for (float tau : {0.0f, -0.1f, std::numeric_limits<float>::quiet_NaN()})
    refused(item.view(), tau, got.view());
  refused(narrow.view(), 0.1f, got.view());
  refused(fewer.view(), 0.1f, got.view());
  refused(item.view(), 0.1f, wrong.view());
  SoftmaxGradientView short_losses = got.view();
  short_losses.row_loss.size = 5;
  refused(item.view(), 0.1f, short_losses);
}

}  // namespace rec::test
