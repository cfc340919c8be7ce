// Lists moved towards an intention: the closed form against propagating everything again, in plain
// double-precision loops and by the engine, with the items that moved shown.
#include <catch2/catch.hpp>

#include <cmath>

#include "engine/intention.h"
#include "tests/support/agreement.h"
#include "tests/support/closeness.h"
#include "tests/support/on_backends.h"
#include "tests/support/plain_model.h"
#include "tests/support/small_data.h"

namespace rec::test {
namespace {

double largest_of(const Rows& rows) {
  double largest = 0;
  for (const auto& row : rows)
    for (double value : row) largest = std::max(largest, std::abs(value));
  return largest;
}

double norm_of(const std::vector<double>& row) {
  double square = 0;
  for (double value : row) square += value * value;
  return std::sqrt(square);
}

// A score of two float vectors, each off by kArrayBound * largest in every component at most.
struct Bounded {
  double score, bound;
};
Bounded plain_score(std::vector<double> user, std::vector<double> item, Score score,
                    double largest) {
  const double off = std::sqrt(double(user.size())) * kArrayBound * largest;
  const double user_norm = norm_of(user), item_norm = norm_of(item);
  double bound = off * (user_norm + item_norm) + off * off;
  if (score == Score::cosine) {
    // A vector's direction is off by at most twice its error over its length.
    bound = 2 * off / user_norm + 2 * off / item_norm;
    plain_normalise(user);
    plain_normalise(item);
  }
  Sum sum;
  for (size_t c = 0; c < user.size(); ++c) sum.add(user[c] * item[c]);
  return {sum.value, bound + rounding_bound(sum)};
}

struct Moved {
  SmallData data = small_data(107, 14, 12);
  ProjectorShape shape{2, 7, 5, true};
  std::unique_ptr<Backend> backend;
  Model model;
  std::vector<double> parameter;
  std::vector<float> query = std::vector<float>(size_t(data.width));  // a language vector

  Moved(const std::string& device, int layers, Score score)
      : backend(make_backend(device, 2).backend),
        model(*backend, {shape, layers, score}, data.language(), data.train.view()) {
    model.parameters().initialise(*backend, 109);
    model.embed();
    const ParameterSlabs slabs = model.parameters().slabs();
    std::vector<float> weight(size_t(slabs.weight.size));
    backend->download(weight.data(), slabs.weight.data, sizeof(float) * weight.size());
    parameter.assign(weight.begin(), weight.end());
    for (size_t c = 0; c < query.size(); ++c) query[c] = float(std::cos(double(3 * c + 1)));
  }
  std::vector<float> projected() {
    std::vector<float> out(size_t(shape.dim));
    project_vectors(*backend, shape, model.parameters(), {query.data(), 1, data.width}, out.data());
    return out;
  }
  std::vector<double> plain_projected() {
    return plain_project(shape, model.parameters().table(), parameter,
                         {query.begin(), query.end()});
  }
  // e of all nodes after the user's e0 has moved, all propagated again.
  Rows plain_moved(int32_t user, double alpha) {
    Rows e0 =
        plain_e0(data.lists, data.language_rows(), shape, model.parameters().table(), parameter);
    const std::vector<double> q = plain_projected();
    for (size_t c = 0; c < q.size(); ++c) {
      double& value = e0[size_t(user)][c];
      value = (1 - alpha) * value + alpha * q[c];
    }
    return plain_mean(plain_layers(data.lists, e0, model.settings().propagation_layers));
  }
  // Larger than any value on the way.
  double largest(const Rows& e) {
    return std::max({largest_of(e), largest_of({plain_projected()}),
                     largest_of(plain_e0(data.lists, data.language_rows(), shape,
                                         model.parameters().table(), parameter))});
  }
};

void check_list(const TopLists& got, int64_t row, const Rows& e, int32_t user, Score score,
                double largest, const std::vector<int32_t>& candidates, int64_t users) {
  const VectorView<const int32_t> list = got.items_of(row);
  std::vector<int32_t> sorted(list.begin(), list.begin() + ptrdiff_t(candidates.size()));
  std::sort(sorted.begin(), sorted.end());
  REQUIRE(sorted == candidates);
  for (size_t c = candidates.size(); c < size_t(got.k); ++c) REQUIRE(list[int64_t(c)] == -1);
  Agreement agreement;
  for (size_t c = 0; c < candidates.size(); ++c) {
    const float value = got.score[size_t(row * got.k) + c];
    if (c > 0) REQUIRE(value <= got.score[size_t(row * got.k) + c - 1]);
    const auto [want, bound] =
        plain_score(e[size_t(user)], e[size_t(users + list[int64_t(c)])], score, largest);
    agreement.compare(value, want, bound, "user ", user, ", item ", list[int64_t(c)]);
  }
  INFO(agreement.text());
  CHECK(agreement.holds());
}

}  // namespace

TEST_CASE("intention: how far a user reaches, by hand", "[engine]") {
  // The user of docs/kernels/propagation.md: four items of degree 1, every edge is worth 1/2.
  const HostCsr train = csr_of({{0, 1, 2, 3}}, 5);
  const double want_user[] = {1, 1.0 / 2, 2.0 / 3, 2.0 / 4, 3.0 / 5};
  // Half an edge for one layer; a walk of three layers is worth as much as one, as |r|^2 = 1.
  const double want_item[] = {0, 1.0 / 4, 1.0 / 6, 2.0 / 8, 2.0 / 10};
  for (int layers = 0; layers <= 4; ++layers) {
    CAPTURE(layers);
    const Reach reach = GraphReach(train.view(), layers).of(0);
    CHECK(reach.user == Approx(want_user[layers]));
    REQUIRE(reach.item == (layers == 0 ? std::vector<int32_t>{} : std::vector{0, 1, 2, 3}));
    for (double weight : reach.weight) CHECK(weight == Approx(want_item[layers]));
  }
}

TEST_CASE("intention: how far a user reaches, against propagating a one", "[engine]") {
  SmallData data = small_data(113, 20, 16);
  const bool repeats = GENERATE(false, true);  // of interactions, each an edge
  CAPTURE(repeats);
  if (repeats)
    for (std::vector<int32_t>& list : data.lists) {
      const std::vector<int32_t> some(list.begin(), list.begin() + ptrdiff_t(list.size() / 2));
      for (int32_t item : some) list.insert(list.end(), {item, item});
      std::sort(list.begin(), list.end());
    }
  data.train = csr_of(data.lists, data.items);
  for (int layers = 0; layers <= 6; ++layers) {
    GraphReach graph(data.train.view(), layers);
    for (int32_t user = 0; user < data.users(); ++user) {
      Rows one(size_t(data.users() + data.items), std::vector<double>(1, 0.0));
      one[size_t(user)][0] = 1;
      const Rows want = plain_mean(plain_layers(data.lists, one, layers));
      const Reach reach = graph.of(user);
      CAPTURE(layers, user);
      CHECK(reach.user == Approx(want[size_t(user)][0]).epsilon(1e-12));
      size_t n = 0;
      for (int32_t item = 0; item < data.items; ++item) {
        const double value = want[size_t(data.users() + item)][0];
        if (value == 0) continue;
        REQUIRE(n < reach.item.size());
        CHECK(reach.item[n] == item);
        CHECK(reach.weight[n] == Approx(value).epsilon(1e-12));
        ++n;
      }
      CHECK(n == reach.item.size());
    }
  }
}

TEST_CASE("intention: lists as after propagating everything again, seen items shown", "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  for (Score score : {Score::cosine, Score::dot})
    for (int layers = 0; layers <= 4; ++layers) {
      Moved moved(device, layers, score);
      const SmallData& data = moved.data;
      std::vector<int32_t> users, items;
      for (int32_t u = 0; u < data.users(); ++u) users.push_back(u);
      const std::vector<float> q = moved.projected();
      for (int32_t i = 0; i < data.items; ++i) items.push_back(i);
      IntentionRanker ranker(moved.model, data.train.view(), {}, {});
      for (double alpha : {0.0, 0.3, 1.0}) {
        CAPTURE(device, score, layers, alpha);
        const MatrixView<const float> query(q.data(), 1, moved.shape.dim);
        const TopLists closed = ranker.rank(users, query, alpha, data.items),
                       exact = ranker.rank_exactly(users, query, alpha, data.items);
        for (int32_t u : users) {
          const Rows e = moved.plain_moved(u, alpha);
          const double largest = moved.largest(e);
          check_list(closed, u, e, u, score, largest, items, data.users());
          check_list(exact, u, e, u, score, largest, items, data.users());
        }
      }
    }
}

TEST_CASE("intention: what is left out, and lists longer than what is left", "[engine]") {
  for (int layers : {2, 3}) {
    Moved moved("cpu", layers, Score::cosine);
    const SmallData& data = moved.data;
    Lists other(size_t(data.users()));
    for (size_t u = 0; u < other.size(); ++u) other[u] = {int32_t(u % 5)};
    const HostCsr second = csr_of(other, data.items);
    std::vector<uint8_t> allowed(size_t(data.items), 1);
    allowed[7] = 0;
    const std::vector<std::vector<CsrView>> masks = {
        {}, {data.train.view()}, {second.view()}, {data.train.view(), second.view()}};
    for (const auto& mask : masks) {
      IntentionRanker ranker(moved.model, data.train.view(), mask, allowed);
      const std::vector<float> q = moved.projected();
      // The order of the requests is theirs, and a user may come twice.
      for (int32_t u : {5, 2, 1, 5}) {
        std::vector<int32_t> left;
        for (int32_t i = 0; i < data.items; ++i) {
          const bool masked = std::any_of(mask.begin(), mask.end(), [&](CsrView m) {
            return std::binary_search(m.row(u), m.row(u) + m.degree(u), i);
          });
          if (!masked && i != 7) left.push_back(i);
        }
        CAPTURE(layers, mask.size(), u);
        const MatrixView<const float> query(q.data(), 1, moved.shape.dim);
        const Rows e = moved.plain_moved(u, 0.4);
        for (const TopLists& got : {ranker.rank({u}, query, 0.4, data.items),
                                    ranker.rank_exactly({u}, query, 0.4, data.items)})
          check_list(got, 0, e, u, Score::cosine, moved.largest(e), left, data.users());
      }
    }
  }
}

TEST_CASE("intention: without any the lists are the plain ones", "[engine]") {
  Moved moved("cpu", 2, Score::cosine);
  const SmallData& data = moved.data;
  const DeviceCsr seen(*moved.backend, data.train.view());
  const Representations& vectors = moved.model.representations();
  const std::vector<int32_t> users = {3, 0, 9};
  const TopLists want = VectorRanker(*moved.backend, vectors.user(), vectors.item())
                            .rank(users, {seen.view()}, {}, 4);
  const std::vector<float> q = moved.projected();
  IntentionRanker ranker(moved.model, data.train.view(), {data.train.view()}, {});
  const TopLists got = ranker.rank(users, {q.data(), 1, moved.shape.dim}, 0, 4);
  CHECK(got.item == want.item);
}

TEST_CASE("intention: a query for each list, of the model's width", "[engine]") {
  Moved moved("cpu", 2, Score::cosine);
  const SmallData& data = moved.data;
  const std::vector<float> q(size_t(2 * moved.shape.dim), 1.0f);
  IntentionRanker ranker(moved.model, data.train.view(), {}, {});
  CHECK_THROWS_AS(ranker.rank({0, 1, 2}, {q.data(), 2, moved.shape.dim}, 0.5, 3),
                  std::invalid_argument);
  CHECK_THROWS_AS(ranker.rank_exactly({0}, {q.data(), 1, moved.shape.dim - 1}, 0.5, 3),
                  std::invalid_argument);
}

}  // namespace rec::test
