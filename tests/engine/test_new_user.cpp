// A user never seen, against a graph rebuilt with her (K <= 1) and against the stated formula (K =
// 2), both in plain double-precision loops.
#include <catch2/catch.hpp>

#include <cmath>

#include "engine/new_user.h"
#include "tests/support/agreement.h"
#include "tests/support/backend_memory.h"
#include "tests/support/plain_model.h"
#include "tests/support/small_data.h"

namespace rec::test {
namespace {

struct Served {
  SmallData data = small_data(101);
  ProjectorShape shape{2, 7, 5, true};
  std::unique_ptr<Backend> backend = make_backend("cpu", 2).backend;
  Model model;
  std::vector<double> parameter;

  Served(int layers, Score score)
      : model(*backend, {shape, layers, score}, data.language(), data.train.view()) {
    model.parameters().initialise(*backend, 103);
    model.embed();
    for (float w : to_host(*backend, model.parameters().slabs().weight)) parameter.push_back(w);
  }
  std::vector<float> vector_of(const std::vector<int32_t>& history) {
    return new_user_vector(model, data.language(), data.train.view(), history);
  }
  Rows e0_of(const Lists& lists) const {
    return plain_e0(lists, data.language_rows(), shape,
                    const_cast<Model&>(model).parameters().table(), parameter);
  }
  // With the new user's list in the graph as one more user: her own representation.
  std::vector<double> rebuilt(const std::vector<int32_t>& history, int layers) const {
    Lists lists = data.lists;
    lists.push_back(history);
    return plain_mean(plain_layers(lists, e0_of(lists), layers))[data.lists.size()];
  }
  // (e0_u + sum_{i in h} S_i / sqrt(n (d_i + 1))) / (K + 1), S_i = sum_{k < K} e_i^(k)
  std::vector<double> by_formula(const std::vector<int32_t>& history, int layers) const {
    Lists lists = data.lists;
    lists.push_back(history);
    std::vector<double> e = e0_of(lists)[data.lists.size()];
    const std::vector<Rows> frozen = plain_layers(data.lists, e0_of(data.lists), layers);
    for (int32_t i : history) {
      double degree = 1;
      for (const auto& list : data.lists) degree += double(std::count(list.begin(), list.end(), i));
      for (int k = 0; k < layers; ++k)
        for (size_t c = 0; c < e.size(); ++c)
          e[c] += frozen[size_t(k)][data.lists.size() + size_t(i)][c] /
                  std::sqrt(double(history.size()) * degree);
    }
    for (double& value : e) value /= double(layers + 1);
    return e;
  }
};

void check_close(const std::vector<float>& got, std::vector<double> want, Score score) {
  if (score == Score::cosine) plain_normalise(want);
  REQUIRE(got.size() == want.size());
  double largest = 0;
  for (double value : want) largest = std::max(largest, std::abs(value));
  for (size_t c = 0; c < want.size(); ++c) {
    INFO("column " << c << ": got " << got[c] << ", want " << want[c]);
    CHECK(std::abs(double(got[c]) - want[c]) <= kArrayBound * largest);
  }
}

// Among them an item nobody has (9), one alone, and as many as make a heavy user.
const std::vector<std::vector<int32_t>> kHistories = {
    {3}, {9}, {0, 4, 9}, {0, 1, 2, 3, 4, 5, 6, 8}};

}  // namespace

TEST_CASE("new user: as in a graph rebuilt with her, for K = 0 and 1", "[engine]") {
  for (Score score : {Score::cosine, Score::dot})
    for (int layers : {0, 1}) {
      Served served(layers, score);
      for (const auto& history : kHistories) {
        CAPTURE(layers, history.size());
        check_close(served.vector_of(history), served.rebuilt(history, layers), score);
      }
    }
}

TEST_CASE("new user: the stated formula on the frozen graph, for K = 2 and 3", "[engine]") {
  for (Score score : {Score::cosine, Score::dot})
    for (int layers : {2, 3}) {
      Served served(layers, score);
      for (const auto& history : kHistories) {
        CAPTURE(layers, history.size());
        check_close(served.vector_of(history), served.by_formula(history, layers), score);
      }
    }
}

TEST_CASE("new user: a history of nothing is refused", "[engine]") {
  Served served(2, Score::cosine);
  CHECK_THROWS_AS(served.vector_of({}), std::invalid_argument);
}

}  // namespace rec::test
