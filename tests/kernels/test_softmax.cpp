// softmax against plain sums over all items, or over the batch's positives, in extended precision.
// The bounds are those of docs/kernels/info_nce.md with what docs/kernels/softmax.md adds.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/common/ceil_div.h"
#include "kernels/softmax/softmax.h"
#include "tests/support/graphs.h"
#include "tests/support/objectives.h"
#include "tests/support/on_backends.h"

namespace rec::test {
namespace {

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();

using Domains = VectorView<const DomainStart>;

struct Softmax {
  std::string backend;
  std::function<void(MatrixView<const float>, MatrixView<const float>, const BatchView&, Domains,
                     float, const SoftmaxGradientView&, double*)>
      add_loss;
  std::function<void(MatrixView<const float>, MatrixView<const float>, const BatchView&, CsrView,
                     Domains, float, const SoftmaxGradientView&, double*)>
      add_in_batch_loss;
  double exp_error;      // of a weight in (0, 1], relative
  double scaling_error;  // of a row's sums so far, each time they are scaled anew

  double run(MatrixView<const float> user, MatrixView<const float> item, const BatchView& batch,
             float tau, const SoftmaxGradientView& grad, Domains domains = {}) const {
    Values<double> loss = {0.0};
    add_loss(user, item, batch, domains, tau, grad, loss.data());
    return loss[0];
  }
  double run_in_batch(MatrixView<const float> user, MatrixView<const float> item,
                      const BatchView& batch, CsrView items_of_user, float tau,
                      const SoftmaxGradientView& grad, Domains domains = {}) const {
    Values<double> loss = {0.0};
    add_in_batch_loss(user, item, batch, items_of_user, domains, tau, grad, loss.data());
    return loss[0];
  }
};
std::vector<Softmax> backends() {
  return on_backends<Softmax>(
      [] {
        return Softmax{
            "cpu",
            [](auto user, auto item, auto& batch, Domains domains, float tau, auto& grad,
               double* loss) { *loss += cpu::softmax(user, item, batch, domains, tau, grad); },
            [](auto user, auto item, auto& batch, CsrView owned, Domains domains, float tau,
               auto& grad, double* loss) {
              *loss += cpu::in_batch_softmax(user, item, batch, owned, domains, tau, grad);
            },
            kEpsilon, kEpsilon};
      },
      [](auto) {
        return Softmax{
            "cuda",
            [](auto user, auto item, auto& batch, Domains domains, float tau, auto& grad,
               double* loss) {
              const int64_t bytes =
                  cuda::softmax_scratch_bytes(batch.rows(), item.rows, item.cols, domains);
              Values<std::byte> scratch(static_cast<size_t>(bytes), std::byte{0xFF});  // NaN
              on_device(cuda::softmax)(user, item, batch, domains, tau, grad, loss,
                                       {scratch.data(), bytes});
            },
            [](auto user, auto item, auto& batch, CsrView owned, Domains domains, float tau,
               auto& grad, double* loss) {
              const int64_t bytes =
                  cuda::in_batch_softmax_scratch_bytes(batch.rows(), item.rows, item.cols, domains);
              Values<std::byte> scratch(static_cast<size_t>(bytes), std::byte{0xFF});
              on_device(cuda::in_batch_softmax)(user, item, batch, owned, domains, tau, grad, loss,
                                                {scratch.data(), bytes});
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

// Of each row, the items that stand against its positive.
using Against = std::vector<std::vector<int32_t>>;

Against all_items(const HostBatch& batch) {
  Against against(size_t(batch.rows()));
  for (size_t b = 0; b < against.size(); ++b)
    for (int32_t i = 0; i < batch.items; ++i)
      if (i != batch.positive[b]) against[b].push_back(i);
  return against;
}

// The other rows' positives that are not among the user's items.
Against others_positives(const HostBatch& batch, CsrView owned) {
  Against against(size_t(batch.rows()));
  for (size_t b = 0; b < against.size(); ++b)
    for (int32_t i : batch.positive) {
      const int32_t* const first = owned.row(batch.user[b]);
      if (!std::binary_search(first, first + owned.degree(batch.user[b]), i))
        against[b].push_back(i);
    }
  return against;
}

// weight_error: of a weight in (0, 1], relative.
void check_gradient(double weight_error, MatrixView<const float> user, MatrixView<const float> item,
                    const HostBatch& batch, const Against& against, float tau, HostGradient& got,
                    double loss, bool exact_scores) {
  const int64_t dim = user.cols;
  std::vector<Sum> item_sum(size_t(batch.items * dim));
  std::vector<double> item_error(item_sum.size(), 0.0);
  Agreement rows, items, losses;
  Sum loss_sum;
  double loss_error = 0;
  for (int64_t b = 0; b < batch.rows(); ++b) {
    std::vector<int32_t> of_row = {batch.positive[size_t(b)]};
    of_row.insert(of_row.end(), against[size_t(b)].begin(), against[size_t(b)].end());
    const float* const own = user.row(batch.user[size_t(b)]);
    const RowOracle want =
        contrast(score_items(own, item, of_row, exact_scores), tau, batch.rows(), weight_error);
    losses.compare(got.row_loss[size_t(b)], want.loss, want.loss_error, "row ", b);
    loss_sum.add(want.loss);
    loss_error += want.loss_error;
    for (int64_t c = 0; c < dim; ++c) {
      Sum sum;
      double carried = 0;
      for (size_t j = 0; j < of_row.size(); ++j) {
        const int32_t i = of_row[j];
        const double grad = want.grad[j], error = want.grad_error[j];
        sum.add(grad * item(i, c));
        carried += error * std::abs(item(i, c));
        item_sum[size_t(i * dim + c)].add(grad * own[c]);
        item_error[size_t(i * dim + c)] += error * std::abs(double(own[c]));
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

// A weighted sum of so many items is scaled anew at most once for every 64.
double scaling_error(const Softmax& on, int64_t items) {
  return double(ceil_div(items, 64)) * on.scaling_error;
}

void check_case(const Softmax& on, const GuardedMatrix& user, const GuardedMatrix& item,
                HostBatch& batch, float tau, bool exact_scores, bool aligned = false) {
  CAPTURE(batch.name, tau, user.view().cols, aligned);
  HostGradient got(batch, user.view().cols, aligned);
  const double loss = on.run(user.view(), item.view(), batch.view(), tau, got.view());
  check_gradient(on.exp_error + scaling_error(on, batch.items), user.view(), item.view(), batch,
                 all_items(batch), tau, got, loss, exact_scores);
}

// owned: the items of each user.
void check_in_batch(const Softmax& on, const GuardedMatrix& user, const GuardedMatrix& item,
                    HostBatch& batch, const HostGraph& owned, float tau, bool exact_scores,
                    bool aligned = false) {
  CAPTURE(batch.name, tau, user.view().cols, aligned);
  const CsrView items_of_user = owned.view().items_of_user;
  HostGradient got(batch, user.view().cols, aligned);
  const double loss =
      on.run_in_batch(user.view(), item.view(), batch.view(), items_of_user, tau, got.view());
  // A weight is multiplied by how often its item stands there, which rounds once.
  const double weight_error =
      on.exp_error + kEpsilon + scaling_error(on, std::min(batch.items, batch.rows()));
  check_gradient(weight_error, user.view(), item.view(), batch,
                 others_positives(batch, items_of_user), tau, got, loss, exact_scores);
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

// A graph in which every user has her positives, and each other item with the given chance.
HostGraph graph_around(const HostBatch& batch, double chance, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  std::vector<std::vector<int32_t>> lists(size_t(batch.users));
  std::vector<bool> has(size_t(batch.users * batch.items));
  for (size_t b = 0; b < batch.user.size(); ++b)
    has[size_t(batch.user[b] * batch.items + batch.positive[b])] = true;
  for (int64_t u = 0; u < batch.users; ++u)
    for (int32_t i = 0; i < batch.items; ++i)
      if (uniform(random) < chance || has[size_t(u * batch.items + i)])
        lists[size_t(u)].push_back(i);
  return make_graph("around a batch", lists, batch.items);
}

void check_in_batch(const Softmax& on, HostBatch batch, double chance, std::vector<int64_t> dims,
                    std::vector<float> taus) {
  const HostGraph owned = graph_around(batch, chance, 31);
  for (int64_t dim : dims)
    for (float tau : taus)
      for (bool exact : {false, true}) {
        const bool aligned = exact == (dim % 8 == 0);
        std::mt19937_64 random(7);
        GuardedMatrix user = guarded(batch.users, dim, aligned);
        GuardedMatrix item = guarded(batch.items, dim, aligned);
        const auto fill = exact ? fill_dyadic : fill_unit_rows;
        fill(user, random);
        fill(item, random);
        check_in_batch(on, user, item, batch, owned, tau, exact, aligned);
      }
}

// Unit rows for a batch's users and items.
struct UnitRows {
  GuardedMatrix user, item;

  UnitRows(const HostBatch& batch, int64_t dim, uint64_t seed)
      : user(batch.users, dim), item(batch.items, dim) {
    std::mt19937_64 random(seed);
    fill_unit_rows(user, random);
    fill_unit_rows(item, random);
  }
};

// run(n, got) makes the loss and its gradients for the n-th time; dim: of the vectors.
template <class Run>
void check_same_bits_each_time(const HostBatch& batch, int64_t dim, int times, Run run) {
  HostGradient one(batch, dim);
  const double loss = run(1, one);
  for (int time = 2; time <= times; ++time) {
    CAPTURE(time);
    HostGradient more(batch, dim);
    CHECK(run(time, more) == loss);
    CHECK(same_bits(more.user_row.view(), one.user_row.view()));
    CHECK(same_bits(more.item.view(), one.item.view()));
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
  on.add_loss(user.view(), item.view(), batch.view(), {}, 0.15f, got.view(), sum.data());
  CHECK(sum[0] == 2.5 + loss);
  on.add_loss(user.view(), item.view(), none.view(), {}, 0.15f, nothing.view(), sum.data());
  CHECK(sum[0] == 2.5 + loss);
  for (int64_t i = 0; i < 9; ++i)
    for (int64_t c = 0; c < 8; ++c) CHECK(nothing.item.view()(i, c) == 0.0f);
}

TEST_CASE("softmax: two runs give the same bits", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = random_batch("two runs", 50, 300, 140, 1, 22);
  const UnitRows rows(batch, 33, 23);
  check_same_bits_each_time(batch, 33, 2, [&](int, HostGradient& got) {
    return on.run(rows.user.view(), rows.item.view(), batch.view(), 0.15f, got.view());
  });
}

TEST_CASE("softmax: same bits with 1, 2 and 3 threads", "[kernels][threads]") {
  HostBatch batch = random_batch("threads", 50, 160, 97, 1, 24);
  const UnitRows rows(batch, 33, 25);
  check_same_bits_each_time(batch, 33, 3, [&](int threads, HostGradient& got) {
    const cpu::ThreadsInUse count(threads);
    return cpu::softmax(rows.user.view(), rows.item.view(), batch.view(), {}, 0.15f, got.view());
  });
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

// docs/kernels/softmax.md, "A small example"
TEST_CASE("softmax: the example within a batch worked by hand", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = make_batch("hand", 3, 4, 1, {1, 0, 2, 0}, {0, 1, 1, 0}, {3, 3, 3, 3});
  // Users 0 and 2 have items 0 and 1, user 1 has item 0 alone.
  const HostGraph owned = make_graph("hand", {{0, 1}, {0}, {0, 1}}, 4);
  GuardedMatrix user(3, 2), item(4, 2);
  const float log_2 = std::log(2.0f);
  const float users[3][2] = {{0, 1}, {1, 0}, {1, 1}};
  const float items[4][2] = {{0, 1}, {log_2, 0}, {5, 5}, {7, 7}};
  for (int64_t c = 0; c < 2; ++c) {
    for (int64_t u = 0; u < 3; ++u) user.view()(u, c) = users[u][c];
    for (int64_t i = 0; i < 4; ++i) item.view()(i, c) = items[i][c];
  }
  HostGradient got(batch, 2);
  const double loss = on.run_in_batch(user.view(), item.view(), batch.view(),
                                      owned.view().items_of_user, 1.0f, got.view());
  const double bound = 4 * kEpsilon;
  CHECK(std::abs(got.row_loss[0] - std::log(5.0)) <= bound);
  CHECK(std::abs(loss - std::log(5.0) / 4) <= bound);
  for (size_t b : {1, 2, 3}) {
    CHECK(got.row_loss[b] == 0.0);
    for (int64_t c = 0; c < 2; ++c) CHECK(got.user_row.view()(int64_t(b), c) == 0.0f);
  }
  const double by_user[2] = {std::log(2.0) / 5, -1.0 / 5};
  const double by_item[4][2] = {{-1.0 / 5, 0}, {1.0 / 5, 0}, {0, 0}, {0, 0}};
  for (int64_t c = 0; c < 2; ++c) {
    CHECK(std::abs(got.user_row.view()(0, c) - by_user[c]) <= bound);
    for (int64_t i = 0; i < 4; ++i) CHECK(std::abs(got.item.view()(i, c) - by_item[i][c]) <= bound);
  }
}

TEST_CASE("softmax: within a batch, matches plain sums", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const std::vector<float> taus = {0.2f, 0.05f, 1e-3f};
  check_in_batch(on, random_batch("users and positives repeat", 6, 9, 21, 1, 2), 0.2, {3, 64},
                 taus);
  check_in_batch(on, random_batch("several negatives are drawn", 6, 40, 21, 5, 2), 0.2, {33}, taus);
  check_in_batch(on, random_batch("nobody has more than positives", 40, 90, 60, 1, 28), 0.0, {32},
                 {0.15f});
  check_in_batch(on, random_batch("all but a few are left out", 20, 150, 140, 1, 29), 0.95, {5},
                 taus);
  // A GPU's tiles of 128 and 64, and words of 64, and one more or less of each.
  check_in_batch(on, random_batch("63 items, 129 rows", 40, 63, 129, 1, 3), 0.1, {31, 64}, {0.15f});
  check_in_batch(on, random_batch("64 items, 127 rows", 40, 64, 127, 1, 4), 0.3, {32}, {0.15f});
  check_in_batch(on, random_batch("65 items, 512 rows", 90, 65, 512, 1, 5), 0.1, {66}, {0.15f});
  // As many candidates as there may be, and a word of them.
  Values<int32_t> user, each;
  for (int32_t b = 0; b < 64; ++b) user.push_back(b % 7), each.push_back(b);
  check_in_batch(on, make_batch("64 items, each once", 7, 64, 1, user, each, each), 0.1, {8},
                 {0.15f});
  check_in_batch(on, random_batch("many items, 200 rows", 90, 4000, 200, 1, 6), 0.05, {4, 65},
                 {0.05f});
}

TEST_CASE("softmax: within a batch, matches plain sums where the walk is cut", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  // On a GPU shares are of 256 vectors at least: of rows, and of as many candidates as there may be.
  check_in_batch(on, random_batch("900 items, 600 rows", 99, 900, 600, 1, 9), 0.1, {5}, {0.15f});
  check_in_batch(on, random_batch("9 items, 641 rows", 50, 9, 641, 1, 11), 0.2, {6, 64}, {0.15f});
}

TEST_CASE("softmax: within a batch, matches plain sums over several panels", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  if (on.backend != "cpu") return;
  check_in_batch(on, random_batch("wide, many items", 9, 900, 140, 1, 12), 0.3, {2049}, {0.15f});
  check_in_batch(on, random_batch("wide, many rows", 9, 5, 140, 1, 14), 0.3, {2049}, {0.15f});
}

// The others of user 0 are left out but for the last candidate; user 1 has nobody's positive but her
// own; user 2 has every candidate.
TEST_CASE("softmax: within a batch, whole tiles and panels are left out", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  constexpr int32_t kItems = 300;
  Values<int32_t> users, positives;
  std::vector<std::vector<int32_t>> lists(3);
  for (int32_t b = 0; b < kItems; ++b) {
    users.push_back(b == 299 ? 1 : b % 2 * 2);
    positives.push_back(b);
    if (b < 299) lists[0].push_back(b);
    lists[2].push_back(b);
  }
  lists[1].push_back(299);
  const HostGraph owned = make_graph("left out", lists, kItems);
  HostBatch batch =
      make_batch("left out", 3, kItems, 1, users, positives, Values<int32_t>(size_t(kItems), 0));
  // A GPU's tiles are of 64 candidates, and a CPU's panels where vectors are wide.
  const int64_t dim = on.backend == "cpu" ? 2049 : 6;
  for (float tau : {0.2f, 1e-3f}) {
    std::mt19937_64 random(32);
    GuardedMatrix user(3, dim), item(kItems, dim);
    fill_unit_rows(user, random);
    fill_unit_rows(item, random);
    check_in_batch(on, user, item, batch, owned, tau, false);
    HostGradient got(batch, dim);
    on.run_in_batch(user.view(), item.view(), batch.view(), owned.view().items_of_user, tau,
                    got.view());
    for (int64_t b = 1; b < kItems; b += 2)
      if (b < 299) CHECK(got.row_loss[size_t(b)] == 0.0);
  }
}

TEST_CASE("softmax: within a batch, rows that nothing stands against have no loss", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const std::vector<HostBatch> batches = {
      make_batch("one row", 4, 70, 1, {2}, {69}, {0}),
      make_batch("one item", 4, 70, 1, {2, 0, 1}, {5, 5, 5}, {0, 1, 69}),
      random_batch("every user has every item", 4, 70, 90, 1, 33)};
  for (HostBatch batch : batches)
    for (int64_t dim : {1, 5, 64}) {
      CAPTURE(batch.name, dim);
      const HostGraph owned = graph_around(batch, batch.rows() > 3 ? 1.0 : 0.0, 34);
      std::mt19937_64 random(16);
      GuardedMatrix user(4, dim), item(70, dim);
      fill_unit_rows(user, random);
      fill_unit_rows(item, random);
      HostGradient got(batch, dim);
      CHECK(on.run_in_batch(user.view(), item.view(), batch.view(), owned.view().items_of_user,
                            0.15f, got.view()) == 0.0);
      for (int64_t c = 0; c < dim; ++c) {
        for (int64_t i = 0; i < 70; ++i) CHECK(got.item.view()(i, c) == 0.0f);
        for (int64_t b = 0; b < batch.rows(); ++b) CHECK(got.user_row.view()(b, c) == 0.0f);
      }
    }
}

TEST_CASE("softmax: within a batch, finite for the smallest tau and for huge scores", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = random_batch("finite", 9, 90, 80, 1, 17);
  const HostGraph owned = graph_around(batch, 0.3, 35);
  std::mt19937_64 random(18);
  GuardedMatrix user(9, 8), item(90, 8);
  fill_unit_rows(user, random);
  fill_unit_rows(item, random);
  for (float length : {1.0f, 1e15f})
    for (float tau : {0.15f, 1e-20f, std::numeric_limits<float>::min(),
                      std::numeric_limits<float>::denorm_min()}) {
      CAPTURE(length, tau);
      GuardedMatrix long_user(user), long_item(item);
      for (int64_t c = 0; c < 8; ++c) {
        for (int64_t u = 0; u < 9; ++u) long_user.view()(u, c) *= length;
        for (int64_t i = 0; i < 90; ++i) long_item.view()(i, c) *= length;
      }
      HostGradient got(batch, 8);
      CHECK(std::isfinite(on.run_in_batch(long_user.view(), long_item.view(), batch.view(),
                                          owned.view().items_of_user, tau, got.view())));
      if (double(length) / double(tau) > 1e30) continue;  // gradients are not within float
      for (int64_t c = 0; c < 8; ++c) {
        for (int64_t b = 0; b < batch.rows(); ++b) CHECK(std::isfinite(got.user_row.view()(b, c)));
        for (int64_t i = 0; i < 90; ++i) CHECK(std::isfinite(got.item.view()(i, c)));
      }
    }
}

TEST_CASE("softmax: within a batch, a NaN shows in the loss", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = make_batch("NaN", 3, 140, 1, {0, 1, 0, 2}, {0, 70, 139, 3}, {1, 1, 1, 1});
  const HostGraph owned = graph_around(batch, 0.0, 36);
  for (int64_t at : {0, 3, 70, 139}) {
    CAPTURE(at);
    std::mt19937_64 random(19);
    GuardedMatrix user(3, 5), item(140, 5);
    fill_unit_rows(user, random);
    fill_unit_rows(item, random);
    item.view()(at, 2) = std::numeric_limits<float>::quiet_NaN();
    HostGradient got(batch, 5);
    CHECK(std::isnan(on.run_in_batch(user.view(), item.view(), batch.view(),
                                     owned.view().items_of_user, 0.15f, got.view())));
  }
}

TEST_CASE("softmax: within a batch, the loss is added, and is nothing without rows", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = random_batch("added", 7, 9, 20, 1, 20);
  HostBatch none = make_batch("none", 7, 9, 1, {}, {}, {});
  const HostGraph owned = graph_around(batch, 0.1, 37);
  const CsrView items_of_user = owned.view().items_of_user;
  std::mt19937_64 random(21);
  GuardedMatrix user(7, 8), item(9, 8);
  fill_unit_rows(user, random);
  fill_unit_rows(item, random);
  HostGradient got(batch, 8), nothing(none, 8);
  const double loss =
      on.run_in_batch(user.view(), item.view(), batch.view(), items_of_user, 0.15f, got.view());
  CHECK(loss > 0);
  Values<double> sum = {2.5};
  on.add_in_batch_loss(user.view(), item.view(), batch.view(), items_of_user, {}, 0.15f, got.view(),
                       sum.data());
  CHECK(sum[0] == 2.5 + loss);
  on.add_in_batch_loss(user.view(), item.view(), none.view(), items_of_user, {}, 0.15f,
                       nothing.view(), sum.data());
  CHECK(sum[0] == 2.5 + loss);
  for (int64_t i = 0; i < 9; ++i)
    for (int64_t c = 0; c < 8; ++c) CHECK(nothing.item.view()(i, c) == 0.0f);
}

TEST_CASE("softmax: within a batch, two runs give the same bits", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = random_batch("two runs", 50, 300, 340, 1, 22);
  const HostGraph owned = graph_around(batch, 0.1, 38);
  const UnitRows rows(batch, 33, 23);
  check_same_bits_each_time(batch, 33, 2, [&](int, HostGradient& got) {
    return on.run_in_batch(rows.user.view(), rows.item.view(), batch.view(),
                           owned.view().items_of_user, 0.15f, got.view());
  });
}

TEST_CASE("softmax: within a batch, same bits with 1, 2 and 3 threads", "[kernels][threads]") {
  HostBatch batch = random_batch("threads", 50, 160, 297, 1, 24);
  const HostGraph owned = graph_around(batch, 0.2, 39);
  const UnitRows rows(batch, 33, 25);
  check_same_bits_each_time(batch, 33, 3, [&](int threads, HostGradient& got) {
    const cpu::ThreadsInUse count(threads);
    return cpu::in_batch_softmax(rows.user.view(), rows.item.view(), batch.view(),
                                 owned.view().items_of_user, {}, 0.15f, got.view());
  });
}

TEST_CASE("softmax: within a batch, refuses wrong use", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = random_batch("refused", 3, 4, 6, 1, 26);
  const HostGraph owned = graph_around(batch, 0.0, 40);
  GuardedMatrix user(3, 8), item(4, 8);
  HostGradient got(batch, 8);
  const auto refused = [&](const BatchView& of, CsrView items_of_user, float tau) {
    CHECK_THROWS_AS(on.run_in_batch(user.view(), item.view(), of, items_of_user, tau, got.view()),
                    std::invalid_argument);
  };
  CsrView fewer_users = owned.view().items_of_user, fewer_items = fewer_users;
  fewer_users.rows = 2;
  fewer_items.cols = 3;
  BatchView ungrouped = batch.view(), short_uses = batch.view();
  ungrouped.item_start = {};
  short_uses.item_use.size = 11;
  refused(batch.view(), owned.view().items_of_user, 0.0f);
  refused(batch.view(), fewer_users, 0.1f);
  refused(batch.view(), fewer_items, 0.1f);
  refused(ungrouped, owned.view().items_of_user, 0.1f);
  refused(short_uses, owned.view().items_of_user, 0.1f);
}

namespace {

// Users 0 to 3 with items 0 to 8, users 4 to 9 with items 9 to 209, users 10 to 13 with items 210 to
// 219, and one user with one item.
const std::vector<DomainStart> kDomains = {{0, 0}, {4, 9}, {10, 210}, {14, 220}, {15, 221}};
Domains domains() { return {kDomains.data(), int64_t(kDomains.size())}; }
constexpr int64_t kUsers = 15, kItems = 221;

size_t domain_of(int32_t item) {
  size_t domain = 0;
  while (kDomains[domain + 1].item <= item) ++domain;
  return domain;
}

// Rows of the domains in this order, their users and positives drawn uniformly.
HostBatch batch_of_domains(const std::vector<size_t>& of_row, uint64_t seed) {
  std::mt19937_64 random(seed);
  Values<int32_t> users, positives, negatives;
  const auto draw = [&](int64_t first, int64_t end) {
    return std::uniform_int_distribution<int32_t>(int32_t(first), int32_t(end - 1))(random);
  };
  for (size_t d : of_row) {
    users.push_back(draw(kDomains[d].user, kDomains[d + 1].user));
    positives.push_back(draw(kDomains[d].item, kDomains[d + 1].item));
    negatives.push_back(draw(kDomains[d].item, kDomains[d + 1].item));
  }
  return make_batch("domains", kUsers, kItems, 1, users, positives, negatives);
}

// The same without those of other domains than the row's.
Against within_domains(const HostBatch& batch, Against against) {
  for (size_t b = 0; b < against.size(); ++b)
    std::erase_if(against[b],
                  [&](int32_t i) { return domain_of(i) != domain_of(batch.positive[b]); });
  return against;
}

}  // namespace

TEST_CASE("softmax: of several domains, the row's own alone stands against it", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  std::vector<size_t> mixed, without_one;
  for (size_t b = 0; b < 150; ++b) {
    mixed.push_back(b % 7 < 4 ? 1 : b % 7 == 4 ? 3 : b % 7 == 5 ? 0 : 2);
    without_one.push_back(b % 3 == 0 ? 2 : 0);
  }
  for (const auto& of_row : {mixed, without_one, std::vector<size_t>{1}})
    for (int64_t dim : {5, 64}) {
      HostBatch batch = batch_of_domains(of_row, 41);
      CAPTURE(of_row.size(), dim);
      // Others' items in nobody's history.
      std::vector<std::vector<int32_t>> lists(static_cast<size_t>(kUsers));
      std::mt19937_64 random(42);
      for (size_t b = 0; b < of_row.size(); ++b)
        lists[size_t(batch.user[b])].push_back(batch.positive[b]);
      for (auto& list : lists) {
        std::sort(list.begin(), list.end());
        list.erase(std::unique(list.begin(), list.end()), list.end());
      }
      const HostGraph owned = make_graph("domains", lists, kItems);
      const CsrView items_of_user = owned.view().items_of_user;
      GuardedMatrix user(kUsers, dim), item(kItems, dim);
      fill_unit_rows(user, random);
      fill_unit_rows(item, random);
      const double weight_error = on.exp_error + kEpsilon + scaling_error(on, kItems);
      for (float tau : {0.15f, 1e-3f}) {
        HostGradient all(batch, dim), in_batch(batch, dim);
        double loss = on.run(user.view(), item.view(), batch.view(), tau, all.view(), domains());
        check_gradient(weight_error, user.view(), item.view(), batch,
                       within_domains(batch, all_items(batch)), tau, all, loss, false);
        loss = on.run_in_batch(user.view(), item.view(), batch.view(), items_of_user, tau,
                               in_batch.view(), domains());
        check_gradient(weight_error, user.view(), item.view(), batch,
                       within_domains(batch, others_positives(batch, items_of_user)), tau, in_batch,
                       loss, false);
      }
    }
}

TEST_CASE("softmax: one domain that is given is as none", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = random_batch("one domain", 50, 300, 140, 1, 43);
  const HostGraph owned = graph_around(batch, 0.1, 44);
  const CsrView items_of_user = owned.view().items_of_user;
  const std::vector<DomainStart> starts = {{0, 0}, {50, 300}};
  const Domains one(starts.data(), int64_t(starts.size()));
  std::mt19937_64 random(45);
  GuardedMatrix user(50, 33), item(300, 33);
  fill_unit_rows(user, random);
  fill_unit_rows(item, random);
  HostGradient without(batch, 33), with(batch, 33);
  const auto check_same = [&](double loss, double loss_of_one) {
    CHECK(loss == loss_of_one);
    CHECK(same_bits(with.user_row.view(), without.user_row.view()));
    CHECK(same_bits(with.item.view(), without.item.view()));
  };
  check_same(on.run(user.view(), item.view(), batch.view(), 0.15f, without.view()),
             on.run(user.view(), item.view(), batch.view(), 0.15f, with.view(), one));
  check_same(
      on.run_in_batch(user.view(), item.view(), batch.view(), items_of_user, 0.15f, without.view()),
      on.run_in_batch(user.view(), item.view(), batch.view(), items_of_user, 0.15f, with.view(),
                      one));
}

TEST_CASE("softmax: refuses domains that are not of these users and items", "[kernels]") {
  const Softmax on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = random_batch("refused", 3, 4, 6, 1, 26);
  const HostGraph owned = graph_around(batch, 0.0, 40);
  GuardedMatrix user(3, 8), item(4, 8);
  HostGradient got(batch, 8);
  const std::vector<DomainStart> wrong[] = {
      {{0, 0}}, {{0, 0}, {3, 3}}, {{0, 0}, {2, 4}}, {{1, 0}, {3, 4}}, {{0, 1}, {3, 4}}};
  for (const auto& starts : wrong) {
    const Domains given(starts.data(), int64_t(starts.size()));
    CHECK_THROWS_AS(on.run(user.view(), item.view(), batch.view(), 0.1f, got.view(), given),
                    std::invalid_argument);
    CHECK_THROWS_AS(on.run_in_batch(user.view(), item.view(), batch.view(),
                                    owned.view().items_of_user, 0.1f, got.view(), given),
                    std::invalid_argument);
  }
  const std::vector<DomainStart> right = {{0, 0}, {1, 2}, {3, 4}};
  BatchView ungrouped = batch.view();
  ungrouped.user_start = {};
  CHECK_THROWS_AS(on.run(user.view(), item.view(), ungrouped, 0.1f, got.view(),
                         {right.data(), int64_t(right.size())}),
                  std::invalid_argument);
}

}  // namespace rec::test
