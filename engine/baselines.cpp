#include "engine/baselines.h"

#include <algorithm>
#include <numeric>

#include "engine/graph.h"
#include "engine/language_vectors.h"
#include "kernels/common/ceil_div.h"
#include "kernels/common/simd.h"
#include "kernels/sampler/philox.h"

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
  // user (host): [users, dim], item (host): [items, dim]
  OwnVectors(Backend& backend, MatrixView<const float> user, MatrixView<const float> item)
      : backend_(backend), user_(backend, user), item_(backend, item) {}
  Matrix<float>& user() { return user_; }
  Matrix<float>& item() { return item_; }
  TopLists rank(const std::vector<int32_t>& users, const std::vector<CsrView>& masks,
                VectorView<const uint8_t> allowed, int64_t k) override {
    return VectorRanker(backend_, user_.view(), item_.view()).rank(users, masks, allowed, k);
  }
  std::vector<float> scores(const std::vector<int32_t>& users, CsrView items) override {
    return VectorRanker(backend_, user_.view(), item_.view()).scores(users, items);
  }

 private:
  Backend& backend_;
  Matrix<float> user_, item_;
};

// [0, 1), 24 bits
constexpr float unit_interval(uint32_t word) { return float(int32_t(word >> 8)) * 0x1p-24f; }

// score[i] = a draw in [0, 1) keyed by (seed, user, i). Word i % 4 of Philox's block i / 4.
REC_SIMD_CLONES void draw_scores(uint64_t seed, uint32_t user, int64_t blocks, float* score) {
#pragma omp simd
  for (int64_t b = 0; b < blocks; ++b) {
    const PhiloxWords words = philox(uint32_t(b), user, 0, 0, uint32_t(seed), uint32_t(seed >> 32));
    score[4 * b] = unit_interval(words.word[0]);
    score[4 * b + 1] = unit_interval(words.word[1]);
    score[4 * b + 2] = unit_interval(words.word[2]);
    score[4 * b + 3] = unit_interval(words.word[3]);
  }
}

// Some lists at a time through the ordinary ranking kernel: user n of them has the n-th unit vector
// and finds her drawn scores in the items' n-th column. All other products are 0, so the scores are
// exact.
class RandomRanker final : public Ranker {
 public:
  // handicap [items]: 0, or -1 for items that come after all those without.
  RandomRanker(Backend& backend, std::vector<float> handicap, uint64_t seed)
      : backend_(backend),
        seed_(seed),
        handicap_(std::move(handicap)),
        unit_(backend, kAtOnce, kAtOnce),
        score_(backend, int64_t(handicap_.size()), kAtOnce) {
    const float one = 1.0f;
    for (int64_t n = 0; n < kAtOnce; ++n)
      backend.upload(unit_.view().row(n) + n, &one, sizeof(float));
  }

  TopLists rank(const std::vector<int32_t>& users, const std::vector<CsrView>& masks,
                VectorView<const uint8_t> allowed, int64_t k) override {
    TopLists lists{int64_t(users.size()), k, {}, {}};
    std::vector<float> score, columns(handicap_.size() * size_t(kAtOnce), 0.0f);
    for (size_t first = 0; first < users.size(); first += size_t(kAtOnce)) {
      const size_t count = std::min(users.size() - first, size_t(kAtOnce));
      std::vector<int32_t> id, row;
      for (size_t n = 0; n < count; ++n) {
        id.push_back(users[first + n]);
        row.push_back(int32_t(n));
        all_scores(id[n], score);
        for (size_t i = 0; i < handicap_.size(); ++i) columns[i * size_t(kAtOnce) + n] = score[i];
      }
      backend_.upload(score_.data(), columns.data(), sizeof(float) * columns.size());
      const TopLists some =
          rank_rows(backend_, unit_.view(), score_.view(), row, id, masks, allowed, k);
      lists.item.insert(lists.item.end(), some.item.begin(), some.item.end());
      lists.score.insert(lists.score.end(), some.score.begin(), some.score.end());
    }
    return lists;
  }

  std::vector<float> scores(const std::vector<int32_t>& users, CsrView items) override {
    std::vector<float> scores, all;
    for (size_t row = 0; row < users.size(); ++row) {
      if (row == 0 || users[row] != users[row - 1]) all_scores(users[row], all);
      for (int64_t e = 0; e < items.degree(int64_t(row)); ++e)
        scores.push_back(all[size_t(items.row(int64_t(row))[e])]);
    }
    return scores;
  }

 private:
  static constexpr int64_t kAtOnce = 32;

  // score [items, rounded up to a multiple of 4]
  void all_scores(int32_t user, std::vector<float>& score) const {
    const int64_t blocks = ceil_div(int64_t(handicap_.size()), 4);
    score.resize(4 * size_t(blocks));
    draw_scores(seed_, uint32_t(user), blocks, score.data());
    for (size_t i = 0; i < handicap_.size(); ++i) score[i] += handicap_[i];
  }

  Backend& backend_;
  uint64_t seed_;
  std::vector<float> handicap_;
  Matrix<float> unit_;   // [kAtOnce, kAtOnce]
  Matrix<float> score_;  // [items, kAtOnce]
};

}  // namespace

std::unique_ptr<Ranker> make_popularity(Backend& backend, CsrView train) {
  const std::vector<int64_t> count = training_counts(train);
  const std::vector<float> user(static_cast<size_t>(train.rows), 1.0f);
  const std::vector<float> item(count.begin(), count.end());
  return std::make_unique<OwnVectors>(backend, MatrixView<const float>(user.data(), train.rows, 1),
                                      MatrixView<const float>(item.data(), train.cols, 1));
}

std::unique_ptr<Ranker> make_embedding_knn(Backend& backend, MatrixView<const float> z,
                                           CsrView train) {
  std::vector<float> means(static_cast<size_t>(train.rows * z.cols));
  const MatrixView<float> mean(means.data(), train.rows, z.cols);
  for (int64_t u = 0; u < train.rows; ++u)
    mean_language_vector(z, {train.row(u), train.degree(u)}, mean.row(u));
  auto ranker = std::make_unique<OwnVectors>(backend, mean, z);
  Array<float> norm(backend, std::max(train.rows, train.cols));
  for (Matrix<float>* m : {&ranker->user(), &ranker->item()})
    backend.normalise(m->view(), m->view(), {norm.data(), m->rows()});
  return ranker;
}

std::unique_ptr<Ranker> make_random(Backend& backend, CsrView train, int64_t pool, uint64_t seed) {
  std::vector<float> handicap(static_cast<size_t>(train.cols), 0.0f);
  if (pool > 0) {
    const std::vector<int64_t> count = training_counts(train);
    std::vector<int32_t> order(count.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return count[size_t(a)] > count[size_t(b)]; });
    for (size_t place = size_t(pool); place < order.size(); ++place)
      handicap[size_t(order[place])] = -1.0f;
  }
  return std::make_unique<RandomRanker>(backend, std::move(handicap), seed);
}

}  // namespace rec
