// Ranks items by random vectors, evaluates the lists, then smooths the vectors over the training
// graph and evaluates again.
#include <cstdio>
#include <random>
#include <set>
#include <vector>

#include "engine/backend_cpu.h"
#include "engine/evaluator.h"
#include "engine/graph.h"
#include "engine/host_csr.h"
#include "engine/operations.h"
#include "engine/ranker.h"

namespace {

constexpr int64_t kUsers = 200, kItems = 100, kDim = 16, kHad = 8;

// Users have items near a place of their own.
rec::HostCsr draw_interactions(std::mt19937& draws) {
  rec::HostCsr csr;
  csr.cols = kItems;
  std::uniform_int_distribution<int64_t> step(0, 19);
  for (int64_t u = 0; u < kUsers; ++u) {
    std::set<int32_t> row;
    while (int64_t(row.size()) < kHad)
      row.insert(int32_t((u * kItems / kUsers + step(draws)) % kItems));
    rec::add_row(csr, {row.begin(), row.end()});
  }
  return csr;
}

std::vector<float> draw_vectors(std::mt19937& draws) {
  std::normal_distribution<float> value;
  std::vector<float> x(size_t((kUsers + kItems) * kDim));
  for (float& v : x) v = value(draws);
  return x;
}

// Users' rows and then items', as every array over nodes has them.
double recall(rec::Backend& backend, const std::vector<float>& x, rec::CsrView truth) {
  rec::VectorRanker ranker(backend, {x.data(), kUsers, kDim},
                           {x.data() + kUsers * kDim, kItems, kDim});
  return rec::evaluate(ranker, truth, {}, {10}).value(rec::Metric::recall, 10);
}

}  // namespace

int main() {
  std::mt19937 draws(7);
  const auto backend = rec::make_cpu_backend(/*threads=*/0);
  const rec::HostCsr train = draw_interactions(draws), test = draw_interactions(draws);
  const rec::Graph graph(*backend, train.view());

  const std::vector<float> x = draw_vectors(draws);
  std::vector<float> smooth(x.size());
  rec::propagate(*backend, graph, /*layers=*/2, {x.data(), graph.nodes(), kDim},
                 {smooth.data(), graph.nodes(), kDim});

  rec::VectorRanker ranker(*backend, {smooth.data(), kUsers, kDim},
                           {smooth.data() + kUsers * kDim, kItems, kDim});
  const rec::TopLists lists = ranker.rank({0}, {train.view()}, {}, /*k=*/3);
  std::printf("for user 0: items %d, %d, %d\n", lists.item[0], lists.item[1], lists.item[2]);
  std::printf("recall@10: %.3f by random vectors, %.3f propagated\n",
              recall(*backend, x, test.view()), recall(*backend, smooth, test.view()));
}
