#include "engine/training.h"

namespace rec {

Training::Training(Model& model, const TrainingSettings& settings)
    : model_(model),
      backend_(model.backend()),
      settings_(settings),
      tables_(backend_, model.graph(), settings),
      batch_{{backend_, model.graph().users(), model.graph().items(), settings.batch,
              settings.negatives},
             {backend_, model.graph().users(), model.graph().items(), settings.batch,
              settings.negatives}},
      grad_(backend_, model.graph().nodes(), model.encoder().dim()),
      batch_grad_(backend_, settings.batch, settings.negatives, model.encoder().dim()),
      node_loss_(backend_, settings.l2 > 0 ? model.graph().nodes() : 0),
      clock_(backend_, 1) {
  require(settings.l2 == 0 || model.settings().node_table,
          "training: l2 is of the rows of a node table, which this model does not have");
  require(settings.batch >= 1 && settings.batch <= model.graph().edges(),
          "training: a batch must have at least one row and no more than training interactions");
  if (!settings.domains.empty()) settings_.objective.domains = starts_of(settings.domains);
  set_clock({});
}

Training::~Training() {
  for (const Batch& batch : batch_) backend_.forget_step(&batch);
}

int64_t Training::bytes_needed(const TrainingSettings& settings, int64_t users, int64_t items,
                               int64_t edges, int64_t dim) {
  const int64_t rows = settings.batch, uses = rows * (1 + settings.negatives);
  const int64_t floats = (users + items) * dim  // gradient of e
                         + uses + rows * dim;   // of the scores, of the batch's users
  const int64_t doubles = rows + (settings.l2 > 0 ? users + items : 0);  // losses
  // Of each of two batches.
  const int64_t ids = 2 * uses     // users and their negatives; item_use
                      + 2 * rows;  // positives; user_row
  const int64_t offsets = (users + 1) + (items + 1);
  return 4 * (floats + 2 * ids) + 8 * (doubles + 2 * offsets) + int64_t{sizeof(TrainingClock)} +
         DrawTables::bytes_needed(settings, items, edges);
}

void Training::step() {
  const Batch& now = batch_[next_];
  const BatchView after = batch_[1 - next_].view();
  if (!drawn_) backend_.draw_batch(tables_.view(), clock_.data(), 0, now.view());
  drawn_ = false;  // until the next draw has been issued
  backend_.step(&now, [&] {
    // Joined before update() moves the clock, which drawing reads.
    backend_.side_by_side([&] { backend_.draw_batch(tables_.view(), clock_.data(), 1, after); },
                          [&] { differentiate(now.view()); });
    update();
  });
  next_ = 1 - next_;
  drawn_ = true;
}

void Training::step_on(VectorView<const int32_t> user, VectorView<const int32_t> positive,
                       MatrixView<const int32_t> negative) {
  const BatchView batch = batch_[next_].view();
  require(user.size == batch.rows() && positive.size == batch.rows() &&
              negative.rows == batch.rows() && negative.cols == batch.negatives(),
          "training: the given batch must have the shape of the settings");
  backend_.upload(batch.user.data, user.data, sizeof(int32_t) * static_cast<size_t>(user.size));
  backend_.upload(batch.positive.data, positive.data,
                  sizeof(int32_t) * static_cast<size_t>(positive.size));
  upload(backend_, batch.negative, negative);
  backend_.group_batch(batch);
  drawn_ = false;
  differentiate(batch);
  update();
  next_ = 1 - next_;
}

void Training::differentiate(const BatchView& batch) {
  const UserSubset of_batch{batch.user_start};
  model_.embed(of_batch);

  const int64_t users = model_.graph().users();
  const int64_t items = model_.graph().items();
  const MatrixView<float> grad = grad_.view();
  double* const loss_sum = &clock_.data()->loss_sum;  // its place, in backend memory
  backend_.objective(settings_.objective, model_.representations().user(),
                     model_.representations().item(), batch, model_.graph().view().items_of_user,
                     batch_grad_.view(), grad.rows_from(0, users), grad.rows_from(users, items),
                     loss_sum);
  model_.representations().gradient_to_raw(grad);

  const Parameters& parameters = model_.parameters();
  model_.encoder().backward(parameters, grad, of_batch);
  if (settings_.l2 > 0)
    backend_.batch_l2(node_rows(parameters, parameters.slabs().weight), batch, settings_.l2,
                      node_rows(parameters, parameters.slabs().grad), node_loss_.view(), loss_sum);
}

void Training::update() {
  backend_.optimiser_step(settings_.adam, model_.parameters().slabs(), clock_.data());
}

TrainingClock Training::clock() const { return clock_.to_host(backend_)[0]; }

void Training::set_clock(const TrainingClock& clock) {
  backend_.upload(clock_.data(), &clock, sizeof(clock));
  drawn_ = false;
}

}  // namespace rec
