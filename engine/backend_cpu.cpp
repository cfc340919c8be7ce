#include "engine/backend_cpu.h"

#include <omp.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>

#include "kernels/bpr/bpr.h"
#include "kernels/common/simd.h"
#include "kernels/common/threads.h"
#include "kernels/hidden_layer/hidden_layer.h"
#include "kernels/info_nce/info_nce.h"
#include "kernels/normalisation/normalisation.h"
#include "kernels/propagation/propagation.h"
#include "kernels/softmax/softmax.h"

namespace rec {
namespace {

constexpr std::align_val_t kCacheLine{64};

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(int threads) : threads_(threads > 0 ? threads : omp_get_num_procs()) {}

  std::string name() const override {
    return "cpu, " + std::to_string(threads_) + (threads_ == 1 ? " thread, " : " threads, ") +
           simd_level();
  }

  std::shared_ptr<void> allocate(size_t bytes) override {
    void* memory = ::operator new(bytes, kCacheLine);
    std::memset(memory, 0, bytes);
    return {memory, [](void* p) { ::operator delete(p, kCacheLine); }};
  }
  void upload(void* to, const void* from_host, size_t bytes) override {
    if (bytes > 0) std::memcpy(to, from_host, bytes);
  }
  void download(void* to_host, const void* from, size_t bytes) override {
    if (bytes > 0) std::memcpy(to_host, from, bytes);
  }
  void wait() override {}
  std::optional<int64_t> own_memory() const override { return std::nullopt; }

  Element stored_element() const override { return Element::float32; }
  int64_t hybrid_degree(int64_t language_width) const override {
    return cpu::hybrid_degree(language_width);
  }

  // What drawing and ranking take is little beside it.
  int64_t scratch_bytes(const OperationSizes& sizes) const override {
    const cpu::ThreadsInUse threads(threads_);
    const ProjectionSize& size = sizes.projection;
    const int64_t first = size.layers == 1 ? size.dim : size.hidden;
    int64_t most = size.layers > 0 ? cpu::projection_scratch_bytes(size.users, size.items,
                                                                   size.heavy_users, first)
                                   : 0;
    for (int l = 1; l < size.layers; ++l) {
      const int64_t out = l == size.layers - 1 ? size.dim : size.hidden;
      most = std::max(most, cpu::hidden_layer_scratch_bytes(size.hidden, out));
    }
    if (sizes.batch > 0 && sizes.objective == Objective::softmax)
      most = std::max(most, cpu::softmax_scratch_bytes(sizes.batch, size.items, size.dim));
    if (sizes.batch > 0 && sizes.objective == Objective::inbatch)
      most = std::max(most, cpu::in_batch_softmax_scratch_bytes(sizes.batch, size.items, size.dim));
    return most;
  }
  void reserve_scratch(const OperationSizes&) override {}

  void step(const void*, const std::function<void()>& operations) override {
    const cpu::ThreadsInUse threads(threads_);
    operations();
  }
  void forget_step(const void*) override {}
  void side_by_side(const std::function<void()>& aside,
                    const std::function<void()>& meanwhile) override {
    aside();
    meanwhile();
  }

  void draw_batch(const SamplerTables& from, const TrainingClock* clock, int64_t ahead,
                  const BatchView& batch) override {
    const cpu::ThreadsInUse threads(threads_);
    cpu::draw_batch(from, *clock, ahead, batch);
  }
  void take_ids(const GivenIds& given, int64_t count, MatrixView<int32_t> ids,
                double* loss_sum) override {
    std::visit([&](auto from) { cpu::take_ids(from, count, ids, loss_sum); }, given);
  }
  void group_batch(const BatchView& batch) override {
    const cpu::ThreadsInUse threads(threads_);
    cpu::group_batch(batch);
  }

  void project(const StoredLanguage& z, const GraphView& graph, const ProjectorView& projector,
               const ProjectorTape& tape, MatrixView<float> e0) override {
    const cpu::ThreadsInUse threads(threads_);
    const int last = projector.layers - 1;
    const auto output = [&](int l) { return l == last ? e0 : tape.hidden[l].as<float>(); };
    cpu::project_language(z.as<float>(), graph, projector.layer[0].as<float>(), output(0));
    for (int l = 1; l <= last; ++l)
      cpu::hidden_layer(output(l - 1), projector.layer[l].as<float>(), output(l));
  }

  void project_adjoint(const StoredLanguage& z, const GraphView& graph,
                       const ProjectorView& projector, const ProjectorTape& tape,
                       MatrixView<float> grad_e0, const ProjectorGradientView& grad) override {
    const cpu::ThreadsInUse threads(threads_);
    MatrixView<float> grad_output = grad_e0;
    for (int l = projector.layers - 1; l >= 1; --l) {
      const MatrixView<float> act = tape.hidden[l - 1].as<float>();
      cpu::hidden_layer_backward(act, projector.layer[l].as<float>(), grad_output, grad.layer[l]);
      grad_output = act;
    }
    cpu::project_language_backward(z.as<float>(), graph, grad_output, grad.layer[0]);
  }

  void mean_of_items(const GraphView& graph, MatrixView<const float> x,
                     MatrixView<float> out) override {
    const cpu::ThreadsInUse threads(threads_);
    cpu::mean_of_items(graph, x, out);
  }
  void mean_of_items_adjoint(const GraphView& graph, MatrixView<const float> grad_out,
                             MatrixView<float> grad_x) override {
    const cpu::ThreadsInUse threads(threads_);
    cpu::mean_of_items_adjoint(graph, grad_out, grad_x);
  }

  void propagate(const GraphView& graph, int layers, const PropagationUsers& users,
                 MatrixView<const float> x, MatrixView<float> scratch,
                 MatrixView<float> e) override {
    const cpu::ThreadsInUse threads(threads_);
    cpu::propagate(graph, layers, users, x, scratch, e);
  }

  void normalise(MatrixView<const float> e, MatrixView<float> n, VectorView<float> norm) override {
    const cpu::ThreadsInUse threads(threads_);
    cpu::normalise(e, n, norm);
  }
  void normalise_adjoint(MatrixView<const float> n, VectorView<const float> norm,
                         MatrixView<float> grad) override {
    const cpu::ThreadsInUse threads(threads_);
    cpu::normalise_backward(n, norm, grad);
  }

  void objective(const ObjectiveSettings& settings, MatrixView<const float> user,
                 MatrixView<const float> item, const BatchView& batch, CsrView items_of_user,
                 const BatchGradientView& scratch, MatrixView<float> grad_user,
                 MatrixView<float> grad_item, double* loss_sum) override {
    const cpu::ThreadsInUse threads(threads_);
    switch (settings.kind) {
      case Objective::infonce:
        *loss_sum += cpu::info_nce(user, item, batch, settings.tau, scratch);
        break;
      case Objective::bpr: *loss_sum += cpu::bpr(user, item, batch, scratch); break;
      case Objective::softmax:
        *loss_sum += cpu::softmax(user, item, batch, view_of(settings.domains), settings.tau,
                                  {scratch.user_row, scratch.row_loss, grad_item});
        return cpu::user_gradient(batch, scratch.user_row, grad_user);
      case Objective::inbatch:
        *loss_sum +=
            cpu::in_batch_softmax(user, item, batch, items_of_user, view_of(settings.domains),
                                  settings.tau, {scratch.user_row, scratch.row_loss, grad_item});
        return cpu::user_gradient(batch, scratch.user_row, grad_user);
    }
    cpu::batch_gradient(user, batch, scratch, grad_user, grad_item);
  }

  void batch_l2(MatrixView<const float> x, const BatchView& batch, float weight,
                MatrixView<float> grad, VectorView<double> node_loss, double* loss_sum) override {
    const cpu::ThreadsInUse threads(threads_);
    *loss_sum += cpu::batch_l2(x, batch, weight, grad, node_loss);
  }

  void optimiser_step(const AdamSettings& settings, const ParameterSlabs& slabs,
                      TrainingClock* clock) override {
    const cpu::ThreadsInUse threads(threads_);
    cpu::adam(settings, clock->updates + 1, slabs.weight, slabs.grad, slabs.first_moment,
              slabs.second_moment);
    ++clock->updates;
    ++clock->step;
  }

  void rank(const RankingRequest& request, MatrixView<int32_t> top_item,
            MatrixView<float> top_score) override {
    const cpu::ThreadsInUse threads(threads_);
    cpu::rank(request, top_item, top_score);
  }

 private:
  int threads_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(int threads) {
  return std::make_unique<CpuBackend>(threads);
}

}  // namespace rec
