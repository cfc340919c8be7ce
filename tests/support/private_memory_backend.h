// A backend whose memory only its own operations can reach, as a GPU's is: pages without
// permissions, opened while an operation runs. Whoever reads or writes them from outside ends the
// test with a segmentation fault. And the other way about: what an operation is given must lie in
// such pages, and what upload reads and download writes must not.
#pragma once
#include <sys/mman.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>

#include "tests/support/forwarding_backend.h"

namespace rec::test {

class PrivateMemoryBackend final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;

  std::shared_ptr<void> allocate(size_t bytes) override {
    bytes = std::max<size_t>(bytes, 1);
    void* begin =
        ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (begin == MAP_FAILED) throw std::bad_alloc();
    (*pages_)[static_cast<const char*>(begin)] = bytes;
    return {begin, [pages = pages_](void* p) {
              ::munmap(p, pages->at(static_cast<const char*>(p)));
              pages->erase(static_cast<const char*>(p));
            }};
  }

  void upload(void* to, const void* from_host, size_t bytes) override {
    require_host(from_host);
    require_own(to);
    ForwardingBackend::upload(to, from_host, bytes);
  }
  void download(void* to_host, const void* from, size_t bytes) override {
    require_host(to_host);
    require_own(from);
    ForwardingBackend::download(to_host, from, bytes);
  }
  void draw_batch(const SamplerTables& from, const TrainingClock* clock, int64_t ahead,
                  const BatchView& batch) override {
    require_own(from.items_of_user, from.active_user, from.domain_start, from.weights.before_item,
                from.weights.outside_before_edge, from.block, clock, batch);
    ForwardingBackend::draw_batch(from, clock, ahead, batch);
  }
  void group_batch(const BatchView& batch) override {
    require_own(batch);
    ForwardingBackend::group_batch(batch);
  }
  void take_ids(const GivenIds& given, int64_t count, MatrixView<int32_t> ids,
                double* loss_sum) override {
    std::visit([&](auto from) { require_own(from); }, given);
    require_own(ids, loss_sum);
    ForwardingBackend::take_ids(given, count, ids, loss_sum);
  }
  void project(const StoredLanguage& z, const GraphView& graph, const ProjectorView& projector,
               const ProjectorTape& tape, MatrixView<float> e0) override {
    require_own(z, graph, projector, e0);
    for (int l = 0; l + 1 < projector.layers; ++l) require_own(tape.hidden[l]);
    ForwardingBackend::project(z, graph, projector, tape, e0);
  }
  void project_adjoint(const StoredLanguage& z, const GraphView& graph,
                       const ProjectorView& projector, const ProjectorTape& tape,
                       MatrixView<float> grad_e0, const ProjectorGradientView& grad) override {
    require_own(z, graph, projector, grad_e0);
    for (int l = 0; l + 1 < projector.layers; ++l) require_own(tape.hidden[l]);
    for (int l = 0; l < projector.layers; ++l)
      require_own(grad.layer[l].weight, grad.layer[l].bias);
    ForwardingBackend::project_adjoint(z, graph, projector, tape, grad_e0, grad);
  }
  void mean_of_items(const GraphView& graph, MatrixView<const float> x,
                     MatrixView<float> out) override {
    require_own(graph, x, out);
    ForwardingBackend::mean_of_items(graph, x, out);
  }
  void mean_of_items_adjoint(const GraphView& graph, MatrixView<const float> grad_out,
                             MatrixView<float> grad_x) override {
    require_own(graph, grad_out, grad_x);
    ForwardingBackend::mean_of_items_adjoint(graph, grad_out, grad_x);
  }
  void propagate(const GraphView& graph, int layers, const PropagationUsers& users,
                 MatrixView<const float> x, MatrixView<float> scratch,
                 MatrixView<float> e) override {
    require_own(graph, users.nonzero.row_start, users.wanted.row_start, x, scratch, e);
    ForwardingBackend::propagate(graph, layers, users, x, scratch, e);
  }
  void normalise(MatrixView<const float> e, MatrixView<float> n, VectorView<float> norm) override {
    require_own(e, n, norm);
    ForwardingBackend::normalise(e, n, norm);
  }
  void normalise_adjoint(MatrixView<const float> n, VectorView<const float> norm,
                         MatrixView<float> grad) override {
    require_own(n, norm, grad);
    ForwardingBackend::normalise_adjoint(n, norm, grad);
  }
  void objective(const ObjectiveSettings& settings, MatrixView<const float> user,
                 MatrixView<const float> item, const BatchView& batch, CsrView items_of_user,
                 const BatchGradientView& scratch, MatrixView<float> grad_user,
                 MatrixView<float> grad_item, double* loss_sum) override {
    require_own(user, item, batch, items_of_user, scratch.score, scratch.user_row, scratch.row_loss,
                grad_user, grad_item, loss_sum);
    ForwardingBackend::objective(settings, user, item, batch, items_of_user, scratch, grad_user,
                                 grad_item, loss_sum);
  }
  void optimiser_step(const AdamSettings& settings, const ParameterSlabs& slabs,
                      TrainingClock* clock) override {
    require_own(slabs.weight, slabs.rounded, slabs.grad, slabs.first_moment, slabs.second_moment,
                clock);
    ForwardingBackend::optimiser_step(settings, slabs, clock);
  }
  void rank(const RankingRequest& request, MatrixView<int32_t> top_item,
            MatrixView<float> top_score) override {
    require_own(request.user, request.item, request.user_row, request.user_id, request.allowed,
                top_item, top_score);
    for (int m = 0; m < request.masks; ++m) require_own(request.mask[m]);
    ForwardingBackend::rank(request, top_item, top_score);
  }

 protected:
  void work(const std::function<void()>& operation) override {
    struct Opened {
      explicit Opened(const PrivateMemoryBackend& of) : backend(of) {
        backend.allow(PROT_READ | PROT_WRITE);
      }
      ~Opened() { backend.allow(PROT_NONE); }
      const PrivateMemoryBackend& backend;
    };
    const Opened opened(*this);
    operation();
  }

 private:
  using Pages = std::map<const char*, size_t>;  // where each allocation begins, and its bytes

  void allow(int protection) const {
    for (const auto& [begin, bytes] : *pages_)
      ::mprotect(const_cast<char*>(begin), bytes, protection);
  }
  bool owns(const void* place) const {
    const char* at = static_cast<const char*>(place);
    const auto after = pages_->upper_bound(at);
    if (after == pages_->begin()) return false;
    const auto& [begin, bytes] = *std::prev(after);
    return at < begin + bytes;
  }
  void require_host(const void* place) const {
    if (owns(place)) throw std::logic_error("backend memory where host memory belongs");
  }

  void require_own(const void* place) const {
    if (place != nullptr && !owns(place))
      throw std::logic_error("host memory where backend memory belongs");
  }
  template <class T>
  void require_own(VectorView<T> v) const {
    if (v.size > 0) require_own(static_cast<const void*>(v.data));
  }
  template <class T>
  void require_own(MatrixView<T> m) const {
    if (m.rows > 0 && m.cols > 0) require_own(static_cast<const void*>(m.data));
  }
  void require_own(ConstStoredView m) const {
    if (m.rows > 0 && m.cols > 0) require_own(static_cast<const void*>(m.data));
  }
  void require_own(const CsrView& m) const {
    require_own(static_cast<const void*>(m.row_start));
    require_own(static_cast<const void*>(m.col));
  }
  void require_own(const GraphView& graph) const {
    require_own(graph.items_of_user, graph.users_of_item, graph.user_scale, graph.item_scale);
  }
  void require_own(const StoredLanguage& z) const {
    require_own(z.item, z.heavy, z.heavy_user, z.light_user, z.light_users_of_item);
  }
  void require_own(const ProjectorView& projector) const {
    for (int l = 0; l < projector.layers; ++l)
      require_own(projector.layer[l].weight, projector.layer[l].bias);
  }
  void require_own(const BatchView& batch) const {
    require_own(batch.user, batch.positive, batch.negative, batch.user_start, batch.user_row,
                batch.item_start, batch.item_use);
  }
  template <class First, class Second, class... More>
  void require_own(const First& first, const Second& second, const More&... more) const {
    require_own(first);
    require_own(second, more...);
  }

  // Shared with the memory handed out, which may outlive the backend.
  std::shared_ptr<Pages> pages_ = std::make_shared<Pages>();
};

}  // namespace rec::test
