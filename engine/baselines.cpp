#include "engine/baselines.h"

#include <Random123/philox.h>

#include <algorithm>
#include <numeric>

#include "engine/graph.h"
#include "engine/language_vectors.h"

namespace rec {
namespace {

std::vector<int64_t> training_counts(CsrView train) {
  std::vector<int64_t> count(static_cast<size_t>(train.cols), 0);
  for (int64_t e = 0; e < train.row_start[train.rows]; ++e) ++count[size_t(train.col[e])];
  return count;
}

// A vector ranker that owns its vectors.
class OwnVectors final : public Ranker {
 public:
  OwnVectors(Backend& backend, int64_t users, int64_t items, int64_t dim)
      : backend_(backend), user_(backend, users, dim), item_(backend, items, dim) {}
  Matrix<float>& user() { return user_; }
  Matrix<float>& item() { return item_; }
  TopLists rank(const std::vector<int32_t>& users, const std::vector<CsrView>& masks,
                VectorView<const uint8_t> allowed, int64_t k) override {
    return VectorRanker(backend_, user_.view(), item_.view()).rank(users, masks, allowed, k);
  }

 private:
  Backend& backend_;
  Matrix<float> user_, item_;
};

void upload(Backend& backend, Matrix<float>& to, const std::vector<float>& from) {
  if (!from.empty()) backend.upload(to.data(), from.data(), sizeof(float) * from.size());
}

// One list at a time through the ordinary ranking kernel, with the user's drawn scores as the item
// vectors.
class RandomRanker final : public Ranker {
 public:
  RandomRanker(Backend& backend, std::vector<uint8_t> in_pool, uint64_t seed)
      : backend_(backend),
        seed_(seed),
        in_pool_(std::move(in_pool)),
        one_(backend, std::vector<float>{1.0f}),
        score_(backend, int64_t(in_pool_.size()), 1),
        zero_(backend, 1),
        user_id_(backend, 1) {}

  TopLists rank(const std::vector<int32_t>& users, const std::vector<CsrView>& masks,
                VectorView<const uint8_t> allowed, int64_t k) override {
    TopLists lists{int64_t(users.size()), k, {}, {}};
    Matrix<int32_t> top_item(backend_, 1, k);
    Matrix<float> top_score(backend_, 1, k);
    std::vector<float> score(in_pool_.size());
    for (int32_t user : users) {
      for (size_t i = 0; i < score.size(); ++i)
        score[i] = draw(user, i) - (in_pool_[i] ? 0.0f : 1.0f);
      upload(backend_, score_, score);
      backend_.upload(user_id_.data(), &user, sizeof(user));
      RankingRequest request;
      request.user = {one_.data(), 1, 1};
      request.item = score_.view();
      request.user_row = zero_.view();
      request.user_id = user_id_.view();
      for (CsrView mask : masks) request.mask[request.masks++] = mask;
      request.allowed = allowed;
      backend_.rank(request, top_item.view(), top_score.view());
      const std::vector<int32_t> items = top_item.to_host(backend_);
      const std::vector<float> scores = top_score.to_host(backend_);
      lists.item.insert(lists.item.end(), items.begin(), items.end());
      lists.score.insert(lists.score.end(), scores.begin(), scores.end());
    }
    return lists;
  }

 private:
  // uniform in [0, 1)
  float draw(int32_t user, size_t item) const {
    const auto words = r123::Philox4x32()({{uint32_t(item), uint32_t(user), 0, 0}},
                                          {{uint32_t(seed_), uint32_t(seed_ >> 32)}});
    return float(words[0] >> 8) * 0x1p-24f;
  }

  Backend& backend_;
  uint64_t seed_;
  std::vector<uint8_t> in_pool_;
  Array<float> one_;
  Matrix<float> score_;
  Array<int32_t> zero_, user_id_;
};

}  // namespace

std::unique_ptr<Ranker> make_popularity(Backend& backend, CsrView train) {
  auto ranker = std::make_unique<OwnVectors>(backend, train.rows, train.cols, 1);
  const std::vector<int64_t> count = training_counts(train);
  upload(backend, ranker->user(), std::vector<float>(static_cast<size_t>(train.rows), 1.0f));
  upload(backend, ranker->item(), {count.begin(), count.end()});
  return ranker;
}

std::unique_ptr<Ranker> make_embedding_knn(Backend& backend, MatrixView<const float> z,
                                           CsrView train) {
  auto ranker = std::make_unique<OwnVectors>(backend, train.rows, train.cols, z.cols);
  std::vector<float> mean(static_cast<size_t>(z.cols));
  for (int64_t u = 0; u < train.rows; ++u) {
    mean_language_vector(z, {train.row(u), train.degree(u)}, mean.data());
    backend.upload(ranker->user().view().row(u), mean.data(), sizeof(float) * mean.size());
  }
  for (int64_t i = 0; i < z.rows; ++i)
    backend.upload(ranker->item().view().row(i), z.row(i), sizeof(float) * mean.size());
  Array<float> norm(backend, std::max(train.rows, train.cols));
  for (Matrix<float>* m : {&ranker->user(), &ranker->item()})
    backend.normalise(m->view(), m->view(), {norm.data(), m->rows()});
  return ranker;
}

std::unique_ptr<Ranker> make_random(Backend& backend, CsrView train, int64_t pool, uint64_t seed) {
  std::vector<uint8_t> in_pool(static_cast<size_t>(train.cols), 1);
  if (pool > 0 && pool < train.cols) {
    const std::vector<int64_t> count = training_counts(train);
    std::vector<int32_t> order(count.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return count[size_t(a)] > count[size_t(b)]; });
    for (size_t place = size_t(pool); place < order.size(); ++place)
      in_pool[size_t(order[place])] = 0;
  }
  return std::make_unique<RandomRanker>(backend, std::move(in_pool), seed);
}

}  // namespace rec
