// A place to compute: the seam between the models and the machine.
//
// One virtual per operation of the paper, so that a backend which forgets one does not compile. A
// backend may fuse inside an operation; models and the trainer never ask which backend they have.
// The shapes and promises of each operation are its kernel's header under kernels/.
//
// Memory: every view an operation takes lies in this backend's memory (allocate) unless it says
// "host". Nothing is allocated from a backend inside a training step; what operations take for
// themselves while they run, the backend says beforehand (scratch_bytes) and may take at once
// (reserve_scratch). Operations may return before the work is done; download(), wait() and rank()
// do not.
#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kernels/adam/adam.h"
#include "kernels/batch_gradient/batch_gradient.h"
#include "kernels/batch_l2/batch_l2.h"
#include "kernels/common/bf16.h"
#include "kernels/common/domains.h"
#include "kernels/common/precision.h"
#include "kernels/common/stored_view.h"
#include "kernels/common/views.h"
#include "kernels/language_projection/language_projection.h"
#include "kernels/propagation/propagation.h"
#include "kernels/ranking/ranking.h"
#include "kernels/sampler/sampler.h"

namespace rec {

inline constexpr int kMaxProjectorLayers = 4;

// The frozen language vectors as the backend stores them: kernels/language_projection says what
// each is.
struct StoredLanguage {
  StoredView item;   // [items, language_width]
  StoredView heavy;  // [heavy users, language_width]
  VectorView<const int32_t> heavy_user, light_user;
  CsrView light_users_of_item;

  template <class T>
  LanguageViewOf<T> as() const {
    return {item.as<T>(), heavy.as<T>(), heavy_user, light_user, light_users_of_item};
  }
};

// A linear layer; its weight, or the rounded copy of it where the backend multiplies that.
struct StoredLinear {
  ConstStoredView weight;        // [out, in]
  VectorView<const float> bias;  // [out] or empty

  template <class T>
  LinearViewOf<T> as() const {
    return {weight.as<T>(), bias};
  }
};

// The projector's parameters: layer 0 reads language vectors, each later one a LeakyReLU of the one
// before.
struct ProjectorView {
  StoredLinear layer[kMaxProjectorLayers];
  int layers = 0;
};
struct ProjectorGradientView {
  LinearGradientView layer[kMaxProjectorLayers];
};
// What the forward pass leaves for the backward pass: the output of every layer but the last,
// hidden[l] [nodes, width of layer l].
struct ProjectorTape {
  StoredView hidden[kMaxProjectorLayers - 1];
};

// How much there is to project: users, items, users whose mean is kept, and the projector's widths.
struct ProjectionSize {
  int64_t users = 0, items = 0, heavy_users = 0;
  int layers = 0;      // 0: nothing is projected
  int64_t hidden = 0;  // of all layers but the last; unused for one layer
  int64_t dim = 0;     // of the last
};

enum class Objective { infonce, bpr, softmax, inbatch };

// How large operations get: of a training, of a ranking, or of both.
struct OperationSizes {
  ProjectionSize projection;
  int64_t batch = 0, negatives = 0;          // of a step; 0: nothing is drawn
  Objective objective = Objective::infonce;  // of a step
  std::vector<DomainStart> domains = {};     // as in ObjectiveSettings
  int64_t lists = 0, k = 0;                  // of a ranking of the items; 0: nothing is ranked
};

struct ObjectiveSettings {
  Objective kind = Objective::infonce;
  float tau = 0.15f;  // not of bpr
  // Of softmax and inbatch, which keep the items of domains apart: [domains + 1], or empty for one.
  std::vector<DomainStart> domains = {};  // by Training, from its settings' domains
};

// Ids of a caller's, of either width.
using GivenIds = std::variant<MatrixView<const int32_t>, MatrixView<const int64_t>>;

inline VectorView<const DomainStart> view_of(const std::vector<DomainStart>& domains) {
  return {domains.data(), int64_t(domains.size())};
}

// Parameters, their gradient and Adam's moments: equal layout, [parameters] each.
struct ParameterSlabs {
  VectorView<float> weight;
  VectorView<Bf16> rounded;  // weight, rounded, where the backend stores bfloat16; else empty
  VectorView<float> grad;
  VectorView<float> first_moment;
  VectorView<float> second_moment;
};

class Backend {
 public:
  virtual ~Backend() = default;
  // "cpu, 2 threads, AVX-512"
  virtual std::string name() const = 0;

  // Memory this backend's operations can read, zeroed; freed with the returned handle.
  // Throws std::bad_alloc when there is none left.
  virtual std::shared_ptr<void> allocate(size_t bytes) = 0;
  virtual void upload(void* to, const void* from_host, size_t bytes) = 0;
  virtual void download(void* to_host, const void* from, size_t bytes) = 0;
  virtual void wait() = 0;
  // Bytes of memory left, where the backend has memory of its own; none where it uses the host's.
  virtual std::optional<int64_t> own_memory() const = 0;

  // What it stores language vectors, what lies between the projector's layers, and the weights it
  // multiplies by in. All else is float.
  virtual Element stored_element() const = 0;
  // Histories longer than this are cheaper as rows of the first layer's GEMM.
  virtual int64_t hybrid_degree(int64_t language_width) const = 0;
  // Bytes of memory that operations of these sizes take for themselves while they run, at most.
  virtual int64_t scratch_bytes(const OperationSizes& sizes) const = 0;
  // Takes it now and keeps it, where a backend keeps such memory: operations of these sizes then
  // allocate nothing. Without it their first calls may.
  virtual void reserve_scratch(const OperationSizes& sizes) = 0;

  // Runs one training step. A backend may record the operations that `operations` issues and replay
  // them on later calls with the same key; they must then be the same calls with the same views,
  // until forget_step(key), which whoever is called key must call before the views die.
  virtual void step(const void* key, const std::function<void()>& operations) = 0;
  virtual void forget_step(const void* key) = 0;

  // Issues the operations of both. Those of `aside` and those of `meanwhile` may run at the same
  // time; what is issued afterwards runs after them. aside may only draw, and neither may write
  // what the other reads or writes, where the clock's values count one by one.
  virtual void side_by_side(const std::function<void()>& aside,
                            const std::function<void()>& meanwhile) = 0;

  // kernels/sampler: draws the batch of the step that comes `ahead` steps after the clock's.
  virtual void draw_batch(const SamplerTables& from, const TrainingClock* clock, int64_t ahead,
                          const BatchView& batch) = 0;
  // kernels/sampler: ids of the caller's as a batch holds them, *loss_sum NaN where one is wrong.
  virtual void take_ids(const GivenIds& given, int64_t count, MatrixView<int32_t> ids,
                        double* loss_sum) = 0;
  // kernels/sampler: the groupings of a batch that was not drawn.
  virtual void group_batch(const BatchView& batch) = 0;
  // kernels/language_projection, then kernels/hidden_layer per further layer: e0 [nodes, dim]
  // overwritten.
  virtual void project(const StoredLanguage& z, const GraphView& graph,
                       const ProjectorView& projector, const ProjectorTape& tape,
                       MatrixView<float> e0) = 0;
  // Its adjoint: grad overwritten. tape and grad_e0 are scratch afterwards.
  virtual void project_adjoint(const StoredLanguage& z, const GraphView& graph,
                               const ProjectorView& projector, const ProjectorTape& tape,
                               MatrixView<float> grad_e0, const ProjectorGradientView& grad) = 0;
  // kernels/language_projection's gathers alone: out [users, width], grad_x [items, width]
  // overwritten.
  virtual void mean_of_items(const GraphView& graph, MatrixView<const float> x,
                             MatrixView<float> out) = 0;
  virtual void mean_of_items_adjoint(const GraphView& graph, MatrixView<const float> grad_out,
                                     MatrixView<float> grad_x) = 0;
  // kernels/propagation; its own adjoint.
  virtual void propagate(const GraphView& graph, int layers, const PropagationUsers& users,
                         MatrixView<const float> x, MatrixView<float> scratch,
                         MatrixView<float> e) = 0;
  // kernels/normalisation
  virtual void normalise(MatrixView<const float> e, MatrixView<float> n,
                         VectorView<float> norm) = 0;
  virtual void normalise_adjoint(MatrixView<const float> n, VectorView<const float> norm,
                                 MatrixView<float> grad) = 0;
  // kernels/info_nce or kernels/bpr, then kernels/batch_gradient; or kernels/softmax (inbatch: its
  // in_batch_softmax), then batch_gradient's users' half: grad_user and grad_item overwritten, the
  // loss added to *loss_sum. scratch is overwritten; softmax and inbatch leave the derivatives by
  // scores alone. items_of_user [users, items]: training interactions, of inbatch alone.
  virtual void objective(const ObjectiveSettings& settings, MatrixView<const float> user,
                         MatrixView<const float> item, const BatchView& batch,
                         CsrView items_of_user, const BatchGradientView& scratch,
                         MatrixView<float> grad_user, MatrixView<float> grad_item,
                         double* loss_sum) = 0;
  // kernels/batch_l2 of a node table x [nodes, dim]: grad added to, the loss added to *loss_sum;
  // node_loss [nodes] is overwritten.
  virtual void batch_l2(MatrixView<const float> x, const BatchView& batch, float weight,
                        MatrixView<float> grad, VectorView<double> node_loss, double* loss_sum) = 0;
  // kernels/adam with t = clock->updates + 1, and the weights rounded where a slab for them is
  // given; moves the clock's step and updates on by one.
  virtual void optimiser_step(const AdamSettings& settings, const ParameterSlabs& slabs,
                              TrainingClock* clock) = 0;
  // kernels/ranking
  virtual void rank(const RankingRequest& request, MatrixView<int32_t> top_item,
                    MatrixView<float> top_score) = 0;
};

// A backend and, where "auto" had to settle for less than it looked for, one line that says so.
struct MadeBackend {
  std::unique_ptr<Backend> backend;
  std::string notice;
};

// device: "auto", "cpu", "cuda" or "cuda:N"; threads: 0 = all processors this process may use.
// Asking for "cuda" where it cannot be had throws UnavailableDevice, as does asking for tf32
// or bf16 where the CPU would have to compute; only "auto" in fp32 falls back.
MadeBackend make_backend(std::string_view device, int threads,
                         Precision precision = Precision::fp32);

}  // namespace rec
