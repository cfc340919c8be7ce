// Whole models against plain double-precision loops (tests/support/plain_model.h): the
// representations, the loss, and the gradient by directional derivatives of the plain loss.
#include <catch2/catch.hpp>

#include <cmath>
#include <string>

#include "engine/training.h"
#include "tests/support/agreement.h"
#include "tests/support/backend_memory.h"
#include "tests/support/on_backends.h"
#include "tests/support/plain_model.h"
#include "tests/support/small_data.h"

namespace rec::test {
namespace {

struct Case {
  const char* name;
  ModelSettings model;
  ObjectiveSettings objective;
  float l2 = 0;
};

ModelSettings node_table(int64_t dim, int layers, Score score) {
  ModelSettings settings;
  settings.node_table = {dim, 0.5};
  settings.propagation_layers = layers;
  settings.score = score;
  return settings;
}

std::vector<Case> cases() {
  const ProjectorShape mlp{2, 7, 5, true}, linear{1, 0, 5, false}, deep{3, 6, 5, true};
  const ObjectiveSettings info_nce{Objective::infonce, 0.2f}, bpr{Objective::bpr, 0},
      softmax{Objective::softmax, 0.2f}, inbatch{Objective::inbatch, 0.2f};
  return {{"AlphaRec", {mlp, 2, Score::cosine}, info_nce},
          {"AlphaRec without propagation", {mlp, 0, Score::cosine}, info_nce},
          {"AlphaRec, one layer", {mlp, 1, Score::cosine}, info_nce},
          {"AlphaRec, three layers", {mlp, 3, Score::cosine}, info_nce},
          {"the linear mapping", {linear, 0, Score::cosine}, info_nce},
          {"a linear projector, propagated", {linear, 2, Score::cosine}, info_nce},
          {"three projector layers", {deep, 2, Score::cosine}, info_nce},
          {"scores as dot products, BPR", {mlp, 2, Score::dot}, bpr},
          {"cosine, BPR", {linear, 1, Score::cosine}, bpr},
          {"AlphaRec, full softmax", {mlp, 2, Score::cosine}, softmax},
          {"the linear mapping, full softmax of dot products", {linear, 0, Score::dot}, softmax},
          {"MF", node_table(5, 0, Score::dot), bpr, 0.3f},
          {"LightGCN", node_table(5, 3, Score::dot), bpr, 0.3f},
          {"LightGCN, InfoNCE of cosines", node_table(6, 2, Score::cosine), info_nce},
          {"AlphaRec, softmax within the batch", {mlp, 2, Score::cosine}, inbatch},
          {"dot products, softmax within the batch", {linear, 0, Score::dot}, inbatch}};
}

HostBatch batch_for(const SmallData& data, const Case& c) {
  const int64_t negatives = c.objective.kind == Objective::infonce ? 4 : 1;
  return random_batch("encoder", data.users(), data.items, 9, negatives, 92);
}

// The model and, of one step on the batch, what it started from and the gradient it found.
struct OneStep {
  std::unique_ptr<Backend> backend;
  Model model;
  std::vector<double> parameter;
  std::vector<float> e, grad;
  double loss = 0;

  OneStep(const std::string& device, const SmallData& data, const Case& c, HostBatch& batch)
      : backend(make_backend(device, 2).backend),
        model(*backend, c.model, data.language(), data.train.view()) {
    model.parameters().initialise(*backend, 93);
    const ParameterSlabs slabs = model.parameters().slabs();
    for (float w : to_host(*backend, slabs.weight)) parameter.push_back(w);
    TrainingSettings settings;
    settings.objective = c.objective;
    settings.l2 = c.l2;
    settings.batch = batch.rows();
    settings.negatives = batch.negatives;
    Training training(model, settings);
    model.embed();  // a step finishes its batch's users alone
    e = to_host(*backend, model.representations().raw());
    const BatchView view = batch.view();
    training.step_on(view.user, view.positive, view.negative);
    grad = to_host(*backend, slabs.grad);
    loss = training.clock().loss_sum;
  }
};

class PlainModel {
 public:
  PlainModel(const SmallData& data, const Case& c, const HostBatch& batch)
      : data_(data),
        case_(c),
        batch_(batch),
        table_(c.model.node_table ? NodeTable::table(*c.model.node_table, data.users(), data.items)
                                  : projector_table(c.model.projector, data.width)) {
    int64_t offset = 0;
    for (ParameterInfo& p : table_) {
      p.offset = offset;
      offset += p.size();
    }
  }
  const std::vector<ParameterInfo>& table() const { return table_; }
  Rows e(const std::vector<double>& parameter) const {
    return plain_mean(plain_layers(data_.lists, e0(parameter), case_.model.propagation_layers));
  }
  double loss(const std::vector<double>& parameter) const {
    return plain_loss(case_.objective, case_.model.score, e(parameter), data_.lists, batch_) +
           (case_.l2 > 0
                ? plain_batch_l2(double(case_.l2), e0(parameter), data_.lists.size(), batch_)
                : 0.0);
  }
  // d loss / d t of loss(parameter + t direction), by central differences with the h^2 term
  // removed, and how far it may be off: the h^2 term's own size,
  // and the rounding of the loss in double.
  std::pair<double, double> slope(const std::vector<double>& parameter,
                                  const std::vector<double>& direction) const {
    constexpr double kStep = 1e-5;
    const auto central = [&](double h) {
      std::vector<double> up = parameter, down = parameter;
      for (size_t p = 0; p < parameter.size(); ++p) {
        up[p] += h * direction[p];
        down[p] -= h * direction[p];
      }
      return (loss(up) - loss(down)) / (2 * h);
    };
    const double wide = central(kStep), narrow = central(kStep / 2);
    const double rounding =
        1000 * std::numeric_limits<double>::epsilon() * std::abs(loss(parameter)) / kStep;
    return {narrow + (narrow - wide) / 3, std::abs(narrow - wide) + rounding};
  }

 private:
  Rows e0(const std::vector<double>& parameter) const {
    if (case_.model.node_table) return plain_node_table(case_.model.dim(), parameter);
    return plain_e0(data_.lists, data_.language_rows(), case_.model.projector, table_, parameter);
  }

  const SmallData& data_;
  const Case& case_;
  const HostBatch& batch_;
  std::vector<ParameterInfo> table_;
};

}  // namespace

TEST_CASE("encoder: representations and loss as plain loops make them", "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  CAPTURE(device);
  const SmallData data = small_data(91);
  for (const Case& c : cases()) {
    CAPTURE(c.name);
    HostBatch batch = batch_for(data, c);
    const OneStep step(device, data, c, batch);
    const PlainModel plain(data, c, batch);
    const Rows want = plain.e(step.parameter);
    double largest = 0;
    for (const auto& row : want)
      for (double value : row) largest = std::max(largest, std::abs(value));
    Agreement agreement;
    for (size_t r = 0; r < want.size(); ++r)
      for (size_t d = 0; d < want[r].size(); ++d)
        agreement.compare(step.e[r * want[r].size() + d], want[r][d], kArrayBound * largest,
                          "node ", r, ", column ", d);
    INFO(agreement.text());
    CHECK(agreement.holds());
    const double loss = plain.loss(step.parameter);
    CHECK(std::abs(step.loss - loss) <= kArrayBound * loss);
  }
}

TEST_CASE("encoder: the gradient is the derivative of the plain loss", "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  CAPTURE(device);
  const SmallData data = small_data(91);
  std::mt19937_64 random(94);
  std::normal_distribution<double> normal;
  for (const Case& c : cases()) {
    HostBatch batch = batch_for(data, c);
    const OneStep step(device, data, c, batch);
    const PlainModel plain(data, c, batch);
    for (const ParameterInfo& p : plain.table()) {
      CAPTURE(c.name, p.name);
      const auto first = size_t(p.offset), last = size_t(p.offset + p.size());
      double largest = 0;
      for (size_t i = first; i < last; ++i)
        largest = std::max(largest, std::abs(double(step.grad[i])));
      REQUIRE(largest > 0);
      // Along the gradient itself, where nothing cancels, and along directions of chance.
      for (int trial = 0; trial < 4; ++trial) {
        std::vector<double> direction(step.parameter.size(), 0.0);
        double slope = 0, length = 0;
        for (size_t i = first; i < last; ++i) {
          direction[i] = trial == 0 ? double(step.grad[i]) / largest : normal(random);
          slope += double(step.grad[i]) * direction[i];
          length += std::abs(direction[i]);
        }
        const auto [want, error] = plain.slope(step.parameter, direction);
        INFO("direction " << trial << ": got " << slope << ", want " << want);
        CHECK(std::abs(slope - want) <= kArrayBound * largest * length + error);
      }
    }
  }
}

TEST_CASE("encoder: hidden width and parameter shapes by the authors' table", "[engine]") {
  CHECK(default_hidden_width(768) == 6144);
  CHECK(default_hidden_width(1536) == 3072);
  CHECK(default_hidden_width(3072) == 1536);
  CHECK(default_hidden_width(4096) == 1152);
  CHECK(default_hidden_width(384) == 768);
  const std::vector<ParameterInfo> table = projector_table({2, 7, 5, true}, 3);
  REQUIRE(table.size() == 4);
  CHECK((table[0].name == "w1" && table[0].rows == 7 && table[0].cols == 3));
  CHECK((table[3].name == "b2" && table[3].rows == 5 && table[3].cols == 0));
  CHECK(table[0].spread == Approx(1 / std::sqrt(3.0)));
  CHECK(table[2].spread == Approx(1 / std::sqrt(7.0)));
  CHECK_THROWS_AS(projector_table({0, 7, 5, true}, 3), std::invalid_argument);
  CHECK_THROWS_AS(projector_table({2, 0, 5, true}, 3), std::invalid_argument);
}

TEST_CASE("encoder: a node table has a row for every node, Xavier's deviation or one that is given",
          "[engine]") {
  const std::vector<ParameterInfo> table = NodeTable::table({8, 0}, 56, 92);
  REQUIRE(table.size() == 2);
  CHECK((table[0].name == "user" && table[0].rows == 56 && table[0].cols == 8));
  CHECK((table[1].name == "item" && table[1].rows == 92 && table[1].cols == 8));
  CHECK(table[0].spread == Approx(std::sqrt(2.0 / 64)));
  CHECK(table[1].spread == Approx(std::sqrt(2.0 / 100)));
  CHECK(NodeTable::table({8, 0.1}, 56, 92)[1].spread == 0.1);
  CHECK_THROWS_AS(NodeTable::table({0, 0.1}, 56, 92), std::invalid_argument);
}

TEST_CASE("parameters: normal with their deviation, drawn by the seed alone", "[engine]") {
  const MadeBackend made = make_backend("cpu", 2);
  Parameters parameters(*made.backend, NodeTable::table({8, 0.25}, 2000, 1501));
  parameters.initialise(*made.backend, 1);
  const std::vector<float> values = to_host(*made.backend, parameters.slabs().weight);
  const double n = double(values.size());
  // Standardised moments of n normal values: mean 0 +- 1/sqrt(n), square 1 +- sqrt(2/n), fourth
  // power 3 +- sqrt(96/n); neighbours, which are made of the same words, do not correlate.
  double sum = 0, square = 0, fourth = 0, neighbours = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double x = values[i] / 0.25;
    sum += x / n;
    square += x * x / n;
    fourth += x * x * x * x / n;
    if (i % 2 == 1) neighbours += x * values[i - 1] / 0.25 / (n / 2);
  }
  CHECK(std::abs(sum) < 5 / std::sqrt(n));
  CHECK(std::abs(square - 1) < 5 * std::sqrt(2 / n));
  CHECK(std::abs(fourth - 3) < 5 * std::sqrt(96 / n));
  CHECK(std::abs(neighbours) < 5 / std::sqrt(n / 2));
}

TEST_CASE("parameters: uniform within their bounds, drawn by the seed alone", "[engine]") {
  const MadeBackend made = make_backend("cpu", 2);
  const auto drawn = [&](uint64_t seed) {
    Parameters parameters(*made.backend, projector_table({2, 50, 40, true}, 30));
    parameters.initialise(*made.backend, seed);
    return to_host(*made.backend, parameters.slabs().weight);
  };
  const std::vector<float> values = drawn(1);
  CHECK(drawn(1) == values);
  CHECK(drawn(2) != values);
  Parameters layout(*made.backend, projector_table({2, 50, 40, true}, 30));
  // Every tensor has draws of its own.
  const ParameterInfo &w1 = layout.table()[0], &w2 = layout.table()[2];
  const auto unit = [&](const ParameterInfo& p) { return values[size_t(p.offset)] / p.spread; };
  CHECK(std::abs(unit(w1) - unit(w2)) > 1e-6);
  for (const ParameterInfo& p : layout.table()) {
    double largest = 0, sum = 0;
    for (int64_t i = p.offset; i < p.offset + p.size(); ++i) {
      largest = std::max(largest, std::abs(double(values[size_t(i)])));
      sum += values[size_t(i)];
    }
    INFO(p.name);
    // float rounding of a value just below the bound may reach it
    CHECK(largest <= double(float(p.spread)));
    // of n uniform values: the largest is under 0.5 of the bound with probability 2^-n, and the
    // mean deviates by bound / sqrt(3 n)
    CHECK(largest > 0.5 * p.spread);
    CHECK(std::abs(sum / double(p.size())) < 5 * p.spread / std::sqrt(3.0 * double(p.size())));
  }
}

}  // namespace rec::test
