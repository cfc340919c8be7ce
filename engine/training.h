// Training: a model and an objective, a batch, and the optimiser, one step at a time.
//
//   draw a batch -> e = encoder(parameters) -> scores' loss and gradients -> adjoint -> Adam
//
// A step draws the batch of the one after it beside its own work, so there are two batches, which
// take turns. What is drawn does not depend on that: draws are functions of the clock.
//
// Everything a step needs is allocated here, once. Stopping, evaluating and saving are the
// caller's.
#pragma once
#include <cstdint>
#include <vector>

#include "engine/backend.h"
#include "engine/batch.h"
#include "engine/buffer.h"
#include "engine/draw_tables.h"
#include "engine/model.h"

namespace rec {

struct TrainingSettings {
  ObjectiveSettings objective;
  float l2 = 0;  // kernels/batch_l2's weight; of models with a node table
  AdamSettings adam;
  SamplingRule sampling = SamplingRule::user;
  int64_t batch = 4096;     // rows a step; no more than the graph has edges
  int64_t negatives = 256;  // per row; bpr takes one, softmax and inbatch look at none
  NegativeDistribution negative_distribution = NegativeDistribution::uniform;
  double negative_exponent = 0.75;  // of popularity; greater than 0
  bool repeated_edges = false;      // whether the graph may have an interaction several times
  // Datasets trained together, as they lie side by side in the graph; empty: one domain.
  std::vector<Domain> domains;
  // How often each domain is drawn, in proportion, above 0; empty: every user equally often.
  std::vector<double> domain_shares;
};

class Training {
 public:
  // model must outlive the training, which writes its parameters and representations.
  // Throws std::invalid_argument when the settings do not fit the graph, or a user leaves no
  // negatives.
  Training(Model& model, const TrainingSettings& settings);
  ~Training();
  Training(const Training&) = delete;
  Training& operator=(const Training&) = delete;

  // Bytes a training takes beside the model's own.
  static int64_t bytes_needed(const TrainingSettings& settings, int64_t users, int64_t items,
                              int64_t edges, int64_t dim);

  int64_t steps_per_epoch() const { return model_.graph().edges() / settings_.batch; }

  // One training step at the clock's position; moves the clock on.
  void step();
  // One step on a batch of the caller's (host): the draw is left out. For checking against other
  // programs.
  void step_on(VectorView<const int32_t> user, VectorView<const int32_t> positive,
               MatrixView<const int32_t> negative);

  // The clock, read back from and written to the backend: waits for the steps issued so far.
  TrainingClock clock() const;
  void set_clock(const TrainingClock& clock);

  // The batch of the last step.
  BatchView batch() const { return batch_[1 - next_].view(); }
  // d loss / d e of the last step, [nodes, dim].
  MatrixView<const float> gradient() const { return grad_.view(); }

 private:
  // The parameters' gradient from a batch.
  void differentiate(const BatchView& batch);
  void update();

  Model& model_;
  Backend& backend_;
  TrainingSettings settings_;
  DrawTables tables_;
  Batch batch_[2];
  int next_ = 0;        // the next step's
  bool drawn_ = false;  // whether it holds the draw of the clock's position already
  Matrix<float> grad_;  // [nodes, dim]
  BatchGradient batch_grad_;
  Array<double> node_loss_;     // [nodes] where there is an l2
  Array<TrainingClock> clock_;  // one value
};

}  // namespace rec
