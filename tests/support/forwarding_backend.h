// A backend that leaves the work to another: the base of those that watch what a backend is asked.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "engine/backend.h"

namespace rec::test {

class ForwardingBackend : public Backend {
 public:
  explicit ForwardingBackend(std::unique_ptr<Backend> worker) : worker_(std::move(worker)) {}

  std::string name() const override { return worker_->name(); }
  Element stored_element() const override { return worker_->stored_element(); }
  int64_t hybrid_degree(int64_t language_width) const override {
    return worker_->hybrid_degree(language_width);
  }
  int64_t scratch_bytes(const OperationSizes& sizes) const override {
    return worker_->scratch_bytes(sizes);
  }
  void reserve_scratch(const OperationSizes& sizes) override { worker_->reserve_scratch(sizes); }
  std::shared_ptr<void> allocate(size_t bytes) override { return worker_->allocate(bytes); }
  void step(const void* key, const std::function<void()>& operations) override {
    worker_->step(key, operations);
  }
  void forget_step(const void* key) override { worker_->forget_step(key); }
  void side_by_side(const std::function<void()>& aside,
                    const std::function<void()>& meanwhile) override {
    worker_->side_by_side(aside, meanwhile);
  }
  std::optional<int64_t> own_memory() const override { return worker_->own_memory(); }
  void wait() override {
    work([&] { worker_->wait(); });
  }
  void upload(void* to, const void* from_host, size_t bytes) override {
    work([&] { worker_->upload(to, from_host, bytes); });
  }
  void download(void* to_host, const void* from, size_t bytes) override {
    work([&] { worker_->download(to_host, from, bytes); });
  }
  void draw_batch(const SamplerTables& from, const TrainingClock* clock, int64_t ahead,
                  const BatchView& batch) override {
    work([&] { worker_->draw_batch(from, clock, ahead, batch); });
  }
  void group_batch(const BatchView& batch) override {
    work([&] { worker_->group_batch(batch); });
  }
  void project(const StoredLanguage& z, const GraphView& graph, const ProjectorView& projector,
               const ProjectorTape& tape, MatrixView<float> e0) override {
    work([&] { worker_->project(z, graph, projector, tape, e0); });
  }
  void project_adjoint(const StoredLanguage& z, const GraphView& graph,
                       const ProjectorView& projector, const ProjectorTape& tape,
                       MatrixView<float> grad_e0, const ProjectorGradientView& grad) override {
    work([&] { worker_->project_adjoint(z, graph, projector, tape, grad_e0, grad); });
  }
  void take_ids(const GivenIds& given, int64_t count, MatrixView<int32_t> ids,
                double* loss_sum) override {
    work([&] { worker_->take_ids(given, count, ids, loss_sum); });
  }
  void mean_of_items(const GraphView& graph, MatrixView<const float> x,
                     MatrixView<float> out) override {
    work([&] { worker_->mean_of_items(graph, x, out); });
  }
  void mean_of_items_adjoint(const GraphView& graph, MatrixView<const float> grad_out,
                             MatrixView<float> grad_x) override {
    work([&] { worker_->mean_of_items_adjoint(graph, grad_out, grad_x); });
  }
  void propagate(const GraphView& graph, int layers, const PropagationUsers& users,
                 MatrixView<const float> x, MatrixView<float> scratch,
                 MatrixView<float> e) override {
    work([&] { worker_->propagate(graph, layers, users, x, scratch, e); });
  }
  void normalise(MatrixView<const float> e, MatrixView<float> n, VectorView<float> norm) override {
    work([&] { worker_->normalise(e, n, norm); });
  }
  void normalise_adjoint(MatrixView<const float> n, VectorView<const float> norm,
                         MatrixView<float> grad) override {
    work([&] { worker_->normalise_adjoint(n, norm, grad); });
  }
  void objective(const ObjectiveSettings& settings, MatrixView<const float> user,
                 MatrixView<const float> item, const BatchView& batch, CsrView items_of_user,
                 const BatchGradientView& scratch, MatrixView<float> grad_user,
                 MatrixView<float> grad_item, double* loss_sum) override {
    work([&] {
      worker_->objective(settings, user, item, batch, items_of_user, scratch, grad_user, grad_item,
                         loss_sum);
    });
  }
  void batch_l2(MatrixView<const float> x, const BatchView& batch, float weight,
                MatrixView<float> grad, VectorView<double> node_loss, double* loss_sum) override {
    work([&] { worker_->batch_l2(x, batch, weight, grad, node_loss, loss_sum); });
  }
  void optimiser_step(const AdamSettings& settings, const ParameterSlabs& slabs,
                      TrainingClock* clock) override {
    work([&] { worker_->optimiser_step(settings, slabs, clock); });
  }
  void rank(const RankingRequest& request, MatrixView<int32_t> top_item,
            MatrixView<float> top_score) override {
    work([&] { worker_->rank(request, top_item, top_score); });
  }

 protected:
  // Every operation on backend memory goes through here.
  virtual void work(const std::function<void()>& operation) { operation(); }

 private:
  std::unique_ptr<Backend> worker_;
};

}  // namespace rec::test
