// The sampler against Random123, against what its header
// says in plain loops, and against statistics.
#include <Random123/philox.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#if defined(REC_CUDA)
#include <cuda_runtime_api.h>

#include "kernels/common/cuda_check.h"
#endif
#include "kernels/common/threads.h"
#include "kernels/sampler/philox.h"
#include "kernels/sampler/sampler.h"
#include "kernels/sampler/sampler_draws.h"
#include "kernels/sampler/sampler_order.h"
#include "tests/support/batches.h"
#include "tests/support/graphs.h"
#include "tests/support/on_backends.h"

namespace rec::test {
namespace {

using GivenIds = std::variant<MatrixView<const int32_t>, MatrixView<const int64_t>>;

struct Sampler {
  std::string backend;
  std::function<void(const SamplerTables&, const TrainingClock&, int64_t, const BatchView&)> draw;
  std::function<void(const BatchView&)> group;
  std::function<void(const GivenIds&, int64_t, MatrixView<int32_t>, double*)> take;
};

#if defined(REC_CUDA)
Values<std::byte> scratch_of(const BatchView& batch) {
  // A batch to be refused may be of any size.
  return Values<std::byte>(size_t(
      std::min(int64_t{1} << 26, cuda::draw_batch_scratch_bytes(batch.rows(), batch.negatives()))));
}
VectorView<std::byte> view_of(Values<std::byte>& scratch) {
  return {scratch.data(), int64_t(scratch.size())};
}
#endif

std::vector<Sampler> backends() {
  return on_backends<Sampler>(
      [] {
        return Sampler{"cpu", cpu::draw_batch, cpu::group_batch,
                       [](const GivenIds& given, auto... rest) {
                         std::visit([&](auto from) { cpu::take_ids(from, rest...); }, given);
                       }};
      },
      [](auto) {
        return Sampler {
#if defined(REC_CUDA)
          "cuda",
              [](const SamplerTables& tables, const TrainingClock& clock, int64_t ahead,
                 const BatchView& batch) {
                const Values<TrainingClock> its_clock = {clock};
                Values<std::byte> scratch = scratch_of(batch);
                on_device(cuda::draw_batch)(tables, its_clock.data(), ahead, batch,
                                            view_of(scratch));
              },
              [](const BatchView& batch) {
                Values<std::byte> scratch = scratch_of(batch);
                on_device(cuda::group_batch)(batch, view_of(scratch));
              },
              [](const GivenIds& given, auto... rest) {
                std::visit([&](auto from) { cuda::take_ids(from, rest..., test_stream()); }, given);
                wait_for_device();
              }
#endif
        };
      });
}

TrainingClock clock_at(uint64_t seed, int64_t epoch, int64_t step) {
  TrainingClock clock;
  clock.seed = seed, clock.epoch = epoch, clock.step = step;
  return clock;
}

constexpr SamplingRule kRules[] = {SamplingRule::user, SamplingRule::interaction,
                                   SamplingRule::random_user};

// A graph with its active users, and batches drawn from it.
struct Draws {
  HostGraph graph;
  SamplingRule rule;
  std::vector<Domain> domains;
  std::vector<int64_t> weight;  // [items]; empty: negatives are uniform
  std::vector<int64_t> places;  // [domains]; empty: one block of all
  Values<int32_t> active;
  Values<DomainStart> domain_start;
  Values<int64_t> before_item, outside_before_edge;
  Values<PlaceBlock> block;

  Draws(HostGraph from, SamplingRule by)
      : graph(std::move(from)), rule(by), domains({{owned().rows, owned().cols}}) {
    for (int64_t u = 0; u < owned().rows; ++u)
      if (owned().degree(u) > 0) active.push_back(int32_t(u));
    end_memory_behind(active);
  }

  Draws& of_domains(std::vector<Domain> them) {
    domains = std::move(them);
    domain_start = {{}};
    for (const Domain& d : domains)
      domain_start.push_back(
          {domain_start.back().user + d.users, domain_start.back().item + d.items});
    end_memory_behind(domain_start);
    return *this;
  }
  Draws& by_weight(std::vector<int64_t> of_items) {
    weight = std::move(of_items);
    before_item = {0};
    for (int64_t w : weight) before_item.push_back(before_item.back() + w);
    for (int64_t u = 0; u < owned().rows; ++u) {
      int64_t hers = 0;
      for (int64_t e = owned().row_start[u]; e < owned().row_start[u + 1]; ++e) {
        outside_before_edge.push_back(before_item[size_t(owned().col[e])] - hers);
        hers += weight[size_t(owned().col[e])];
      }
    }
    end_memory_behind(before_item, outside_before_edge);
    return *this;
  }
  // places of each domain, edges() together
  Draws& in_blocks(std::vector<int64_t> of_domains) {
    places = std::move(of_domains);
    PlaceBlock next;
    int64_t user = 0;
    for (size_t d = 0; d < domains.size(); ++d) {
      next.active_users = next.edges = 0;
      for (int64_t end = user + domains[d].users; user < end; ++user) {
        next.active_users += owned().degree(user) > 0;
        next.edges += owned().degree(user);
      }
      block.push_back(next);
      next.first_place += places[d];
      next.first_active += next.active_users;
      next.first_edge += next.edges;
    }
    end_memory_behind(block);
    return *this;
  }

  CsrView owned() const { return graph.view().items_of_user; }
  int64_t edges() const { return int64_t(graph.item_of_edge.size()); }
  SamplerTables tables() const {
    SamplerTables all{owned(), {active.data(), int64_t(active.size())}, rule};
    all.domain_start = {domain_start.data(), int64_t(domain_start.size())};
    all.weights = {{before_item.data(), int64_t(before_item.size())},
                   {outside_before_edge.data(), int64_t(outside_before_edge.size())}};
    all.block = {block.data(), int64_t(block.size())};
    return all;
  }

  HostBatch room(int64_t rows, int64_t negatives) const {
    HostBatch batch;
    batch.name = graph.name;
    batch.users = owned().rows;
    batch.items = owned().cols;
    batch.negatives = negatives;
    batch.user.assign(size_t(rows), -1);
    batch.positive.assign(size_t(rows), -1);
    batch.negative.assign(size_t(rows * negatives), -1);
    batch.user_start.assign(size_t(batch.users + 1), -1);
    batch.user_row.assign(size_t(rows), -1);
    batch.item_start.assign(size_t(batch.items + 1), -1);
    batch.item_use.assign(size_t(rows * (1 + negatives)), -1);
    return batch;
  }

  HostBatch draw(const Sampler& on, uint64_t seed, int64_t epoch, int64_t step, int64_t rows,
                 int64_t negatives, int64_t ahead = 0) const {
    HostBatch batch = room(rows, negatives);
    on.draw(tables(), clock_at(seed, epoch, step), ahead, batch.view());
    return batch;
  }
};

bool same_draws(const HostBatch& a, const HostBatch& b) {
  return a.user == b.user && a.positive == b.positive && a.negative == b.negative &&
         a.user_start == b.user_start && a.user_row == b.user_row && a.item_start == b.item_start &&
         a.item_use == b.item_use;
}

// Random123's word for one draw.
uint32_t word_of(uint64_t seed, int64_t epoch, int64_t step, int64_t row, int64_t draw) {
  const r123::Philox4x32::ctr_type counter = {
      {uint32_t(draw / 4), uint32_t(row), uint32_t(step), uint32_t(epoch)}};
  const r123::Philox4x32::key_type key = {{uint32_t(seed), uint32_t(seed >> 32)}};
  return r123::Philox4x32()(counter, key)[size_t(draw % 4)];
}

int64_t below(uint32_t word, int64_t n) { return int64_t(word * (uint64_t(n)) >> 32); }

__extension__ typedef unsigned __int128 Wide;

int64_t below(uint32_t high, uint32_t low, int64_t n) {
  return int64_t(Wide{uint64_t{high} << 32 | low} * uint64_t(n) >> 64);
}

// The items a user may get as negatives, and the sums of their weights up to and with each.
struct Others {
  std::vector<int32_t> item;
  std::vector<int64_t> sum;
};
Others others_of(const Draws& from, int64_t user) {
  const CsrView owned = from.owned();
  int64_t users = 0, items = 0;
  size_t d = 0;
  for (; users + from.domains[d].users <= user; ++d) {
    users += from.domains[d].users;
    items += from.domains[d].items;
  }
  Others others;
  int64_t sum = 0;
  for (int64_t i = items; i < items + from.domains[d].items; ++i) {
    if (std::binary_search(owned.row(user), owned.row(user) + owned.degree(user), int32_t(i)))
      continue;
    others.item.push_back(int32_t(i));
    others.sum.push_back(sum += from.weight.empty() ? 1 : from.weight[size_t(i)]);
  }
  return others;
}

// Users and edges that places are shared out among: of all, or of one domain.
struct Group {
  int64_t places = 0;
  std::vector<int64_t> user;
  std::vector<std::pair<int64_t, int32_t>> edge;
};
std::vector<Group> groups_of(const Draws& from) {
  const CsrView owned = from.owned();
  std::vector<Group> groups;
  int64_t user = 0;
  for (size_t d = 0; d < from.domains.size(); ++d) {
    if (d == 0 || !from.places.empty()) groups.emplace_back();
    Group& group = groups.back();
    if (!from.places.empty()) group.places = from.places[d];
    for (int64_t end = user + from.domains[d].users; user < end; ++user) {
      if (owned.degree(user) > 0) group.user.push_back(user);
      for (int64_t k = 0; k < owned.degree(user); ++k)
        group.edge.emplace_back(user, owned.row(user)[k]);
    }
  }
  if (from.places.empty()) groups[0].places = from.edges();
  return groups;
}

// The batch as the header describes it: complements written out, groupings by lists.
HostBatch plain_draw(const Draws& from, uint64_t seed, int64_t epoch, int64_t step, int64_t rows,
                     int64_t negatives) {
  const CsrView owned = from.owned();
  const EpochOrder order(seed, epoch, from.edges());
  const int64_t n = from.weight.empty() ? 1 : 2;
  const std::vector<Group> groups = groups_of(from);
  Values<int32_t> user, positive, negative;
  for (int64_t b = 0; b < rows; ++b) {
    const auto word = [&](int64_t draw) { return word_of(seed, epoch, step, b, draw); };
    int64_t place = order.at((step * rows + b) % from.edges());
    size_t g = 0;
    for (; place >= groups[g].places; ++g) place -= groups[g].places;
    const Group& group = groups[g];
    const int64_t users = int64_t(group.user.size());
    int64_t u = 0;
    if (from.rule == SamplingRule::interaction) {
      const auto& edge = group.edge[size_t(place) % group.edge.size()];
      u = edge.first;
      positive.push_back(edge.second);
    } else {
      const bool at_random = from.rule == SamplingRule::random_user;
      u = group.user[size_t(at_random ? below(word(n * (1 + negatives)), users) : place % users)];
      positive.push_back(owned.row(u)[below(word(0), owned.degree(u))]);
    }
    user.push_back(int32_t(u));
    const Others others = others_of(from, u);
    for (int64_t draw = n; draw < n * (1 + negatives); draw += n) {
      const int64_t rank = n == 1 ? below(word(draw), others.sum.back())
                                  : below(word(draw), word(draw + 1), others.sum.back());
      const auto at = std::upper_bound(others.sum.begin(), others.sum.end(), rank);
      negative.push_back(others.item[size_t(at - others.sum.begin())]);
    }
  }
  return make_batch(from.graph.name, owned.rows, owned.cols, negatives, user, positive, negative);
}

// Chi-square of counts against shares in proportion to weights stays below what chance exceeds once
// in a million (normal quantile 4.753, Wilson and Hilferty's approximation); nothing of weight 0.
// The seeds are fixed, so a failure repeats.
void check_shares(const std::vector<int64_t>& counts, const std::vector<double>& weights) {
  REQUIRE(counts.size() == weights.size());
  double total = 0, of_weights = 0, chi_square = 0, freedom = -1;
  for (int64_t count : counts) total += double(count);
  for (double weight : weights) of_weights += weight;
  for (size_t k = 0; k < counts.size(); ++k) {
    if (weights[k] == 0) {
      CHECK(counts[k] == 0);
      continue;
    }
    const double share = total * weights[k] / of_weights;
    REQUIRE(share >= 20);
    chi_square += (double(counts[k]) - share) * (double(counts[k]) - share) / share;
    freedom += 1;
  }
  const double ninth = 2.0 / (9.0 * freedom);
  CHECK(chi_square < freedom * std::pow(1 - ninth + 4.753 * std::sqrt(ninth), 3));
}
void check_equal_shares(const std::vector<int64_t>& counts) {
  check_shares(counts, std::vector<double>(counts.size(), 1));
}

std::vector<int32_t> all_but(int32_t items, int32_t missing) {
  std::vector<int32_t> list;
  for (int32_t i = 0; i < items; ++i)
    if (i != missing) list.push_back(i);
  return list;
}

std::vector<std::vector<int32_t>> lists_of(const HostGraph& graph) {
  std::vector<std::vector<int32_t>> lists;
  const CsrView owned = graph.view().items_of_user;
  for (int64_t u = 0; u < owned.rows; ++u)
    lists.emplace_back(owned.row(u), owned.row(u) + owned.degree(u));
  return lists;
}

// Users with every kind of history: nothing, one item,
// first and last item, all but one, a skewed crowd.
HostGraph mixed_graph() {
  HostGraph crowd = random_graph("crowd", 60, 41, 7, 5);
  std::vector<std::vector<int32_t>> lists = {
      {}, {0}, {40}, {0, 40}, all_but(41, 17), all_but(41, 0), all_but(41, 40), {}};
  for (std::vector<int32_t>& list : lists_of(crowd)) lists.push_back(std::move(list));
  return make_graph("mixed", lists, 41);
}

// Graphs as domains of one.
Draws side_by_side(const std::vector<HostGraph>& graphs, SamplingRule rule) {
  std::vector<std::vector<int32_t>> lists;
  std::vector<Domain> domains;
  int32_t items = 0;
  for (const HostGraph& graph : graphs) {
    for (std::vector<int32_t> list : lists_of(graph)) {
      for (int32_t& i : list) i += items;
      lists.push_back(std::move(list));
    }
    const GraphView view = graph.view();
    domains.push_back({view.users(), view.items()});
    items += int32_t(view.items());
  }
  Draws draws(make_graph("side by side", lists, items), rule);
  draws.of_domains(domains);
  return draws;
}

// Domains with everything between all items but one and none at all.
Draws mixed_domains(SamplingRule rule) {
  return side_by_side({make_graph("two items", {{0}, {1}}, 2), mixed_graph(),
                       make_graph("no users", {}, 3), make_graph("no items", {{}, {}}, 0),
                       make_graph("all but one", {all_but(9, 0), {}, {8}, all_but(9, 8)}, 9)},
                      rule);
}
// Its edges are cut so that one domain is drawn more often than it has edges, and some never.
std::vector<int64_t> uneven_places(const Draws& draws) {
  const int64_t edges = draws.edges();
  return {edges / 2, edges / 4, 0, 0, edges - edges / 2 - edges / 4};
}

// From 1 up to 2^57, and 0 for some of the items that nobody has.
std::vector<int64_t> uneven_weights(const Draws& draws) {
  std::mt19937_64 random(77);
  std::vector<int64_t> weights;
  const GraphView view = draws.graph.view();
  for (int64_t i = 0; i < view.items(); ++i) {
    const bool nobody_has = view.users_of_item.degree(i) == 0;
    weights.push_back(nobody_has ? 0 : int64_t{1} << random() % 58);
  }
  return weights;
}

// Items that repeat within a row; one user, one item; ids that hardly any row has, of 17 bits.
std::vector<HostBatch> batches_to_group() {
  return {random_batch("few users and items", 3, 4, 150, 9, 21),
          random_batch("one user, one item", 1, 1, 5, 3, 22),
          random_batch("one row", 6, 5, 1, 1, 23),
          random_batch("many users and items", 70001, 80001, 97, 33, 24)};
}

// Everything a batch may be drawn from, by one rule.
std::vector<Draws> all_kinds(SamplingRule rule) {
  std::vector<Draws> kinds = {Draws(mixed_graph(), rule), Draws(mixed_graph(), rule),
                              mixed_domains(rule), mixed_domains(rule), mixed_domains(rule)};
  for (Draws* weighted : {&kinds[1], &kinds[4]}) weighted->by_weight(uneven_weights(*weighted));
  for (Draws* shared : {&kinds[3], &kinds[4]}) shared->in_blocks(uneven_places(*shared));
  return kinds;
}

}  // namespace

TEST_CASE("philox: Random123's known answers", "[kernels]") {
  const auto check = [](PhiloxWords got, std::vector<uint32_t> want) {
    CHECK(std::vector<uint32_t>(got.word, got.word + 4) == want);
  };
  constexpr uint32_t kOnes = 0xffffffffu;
  check(philox(0, 0, 0, 0, 0, 0), {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  check(philox(kOnes, kOnes, kOnes, kOnes, kOnes, kOnes),
        {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  check(philox(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0),
        {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("philox: equals Random123 on random counters", "[kernels]") {
  std::mt19937 random(71);
  for (int n = 0; n < 2000; ++n) {
    const r123::Philox4x32::ctr_type counter = {
        {uint32_t(random()), uint32_t(random()), uint32_t(random()), uint32_t(random())}};
    const r123::Philox4x32::key_type key = {{uint32_t(random()), uint32_t(random())}};
    const auto want = r123::Philox4x32()(counter, key);
    const PhiloxWords got = philox(counter[0], counter[1], counter[2], counter[3], key[0], key[1]);
    REQUIRE(std::equal(want.begin(), want.end(), got.word));
  }
}

// docs/kernels/sampler.md, "A small example"
TEST_CASE("sampler: the example worked by hand", "[kernels]") {
  const int32_t owned[] = {1, 3, 4};  // of 7 items: the others are 0, 2, 5, 6
  const int32_t others[] = {0, 2, 5, 6};
  for (int32_t rank = 0; rank < 4; ++rank) CHECK(item_outside(rank, owned, 3) == others[rank]);
  CHECK(uniform_below(0, 4) == 0);
  CHECK(uniform_below(0x3fffffff, 4) == 0);
  CHECK(uniform_below(0x40000000, 4) == 1);
  CHECK(uniform_below(0xffffffff, 4) == 3);
}

// docs/kernels/sampler.md, "A small example"
TEST_CASE("sampler: the example by weight, worked by hand", "[kernels]") {
  const int64_t before_item[] = {0, 2, 3, 3, 6, 7, 11, 13};  // of 2, 1, 0, 3, 1, 4, 2
  const int32_t item[] = {1, 3, 4};
  const int64_t outside[] = {2, 2, 2};
  const OwnedWeights owned{before_item, item, outside, 3};
  CHECK(owned.outside_in({0, 7}) == 8);
  const int32_t want[] = {0, 0, 5, 5, 5, 5, 6, 6};
  for (int64_t rank = 0; rank < 8; ++rank)
    CHECK(weighted_item_outside(rank, owned, {0, 7}) == want[rank]);
}

TEST_CASE(
    "sampler: the item outside at every place of the weights, for every subset of eight items",
    "[kernels]") {
  constexpr int64_t kWeight[] = {3, 1, 0, 2, 5, 1, 0, 4};
  int64_t before_item[] = {10, 13, 14, 14, 16, 21, 22, 22, 26};  // 10: of another domain's items
  for (int subset = 0; subset < 256; ++subset) {
    std::vector<int32_t> owned, want;
    std::vector<int64_t> outside;
    int64_t hers = 0;
    for (int32_t i = 0; i < 8; ++i)
      if (subset >> i & 1) {
        owned.push_back(i);
        outside.push_back(before_item[i] - hers);
        hers += kWeight[i];
      } else {
        want.insert(want.end(), size_t(kWeight[i]), i);
      }
    const OwnedWeights weights{before_item, owned.data(), outside.data(), int32_t(owned.size())};
    REQUIRE(weights.outside_in({0, 8}) == int64_t(want.size()));
    for (size_t rank = 0; rank < want.size(); ++rank)
      REQUIRE(weighted_item_outside(10 + int64_t(rank), weights, {0, 8}) == want[rank]);
  }
}

TEST_CASE("sampler: the high half of a product of 64 bits", "[kernels]") {
  std::mt19937_64 random(41);
  constexpr uint64_t kOnes = ~uint64_t{0};
  CHECK(multiply_high(kOnes, kOnes) == kOnes - 1);
  CHECK(multiply_high(kOnes, 1) == 0);
  for (int n = 0; n < 20000; ++n) {
    // the carries between the halves need words of many ones
    const auto draw = [&] { return random() % 3 == 0 ? kOnes << random() % 64 : random(); };
    const uint64_t a = draw(), b = draw();
    REQUIRE(multiply_high(a, b) == uint64_t(Wide{a} * b >> 64));
  }
  CHECK(uniform_below(0, 0, int64_t{1} << 61) == 0);
  CHECK(uniform_below(0xffffffffu, 0xffffffffu, int64_t{1} << 61) == (int64_t{1} << 61) - 1);
  CHECK(uniform_below(1, 0, int64_t{1} << 40) == 256);
}

TEST_CASE("sampler: the rank-th item outside, for every subset of eight items", "[kernels]") {
  for (int subset = 0; subset < 256; ++subset) {
    std::vector<int32_t> owned, others;
    for (int32_t i = 0; i < 8; ++i) (subset >> i & 1 ? owned : others).push_back(i);
    for (size_t rank = 0; rank < others.size(); ++rank)
      REQUIRE(item_outside(int32_t(rank), owned.data(), int32_t(owned.size())) == others[rank]);
  }
}

TEST_CASE("epoch order: a permutation of every size", "[kernels]") {
  std::vector<int64_t> sizes;
  for (int64_t n = 1; n <= 70; ++n) sizes.push_back(n);
  for (int64_t power = 7; power <= 17; ++power)
    for (int64_t off : {-1, 0, 1}) sizes.push_back((int64_t{1} << power) + off);
  for (int64_t prime : {97, 1009, 10007, 100003}) sizes.push_back(prime);
  for (int64_t size : sizes) {
    CAPTURE(size);
    const EpochOrder order(0x123456789abcdefull, 3, size);
    std::vector<bool> seen(static_cast<size_t>(size), false);
    for (int64_t t = 0; t < size; ++t) {
      const int64_t place = order.at(t);
      if (place < 0 || place >= size || seen[size_t(place)]) FAIL("place " << place << " of " << t);
      seen[size_t(place)] = true;
    }
  }
}

TEST_CASE("epoch order: positions beyond 32 bits stay apart", "[kernels]") {
  const int64_t size = (int64_t{1} << 41) + 12345;
  const EpochOrder order(9, 0, size);
  std::set<int64_t> places;
  int64_t beyond = 0;
  for (int64_t t = 0; t < 20000; ++t) {
    const int64_t place = order.at(t % 2 == 0 ? t : size - t);
    REQUIRE((place >= 0 && place < size));
    beyond += place > (int64_t{1} << 32);
    places.insert(place);
  }
  CHECK(places.size() == 20000);
  CHECK(beyond > 19000);  // 99.8% of all places are
}

TEST_CASE("epoch order: every place equally likely, alone and in pairs", "[kernels]") {
  for (int64_t size : {2, 3, 5, 12, 60, 100}) {
    CAPTURE(size);
    std::vector<int64_t> first(static_cast<size_t>(size)), last(first);
    std::map<std::pair<int64_t, int64_t>, int64_t> pairs;
    for (uint64_t seed = 0; seed < 200000; ++seed) {
      const EpochOrder order(seed, int64_t(seed % 3), size);
      const int64_t a = order.at(0), b = order.at(size - 1);
      ++first[size_t(a)], ++last[size_t(b)], ++pairs[{a, b}];
    }
    check_equal_shares(first);
    check_equal_shares(last);
    std::vector<int64_t> of_pairs;
    for (const auto& [pair, count] : pairs) of_pairs.push_back(count);
    CHECK(int64_t(of_pairs.size()) == size * (size - 1));
    if (of_pairs.size() > 1) check_equal_shares(of_pairs);
  }
}

TEST_CASE("sampler: draws what the header says", "[kernels]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (SamplingRule rule : kRules) {
    int kind = 0;
    for (const Draws& draws : all_kinds(rule)) {
      for (int64_t negatives : {1, 3, 4, 7, 64, 65, 130}) {
        for (int64_t rows : {1, 2, 149}) {
          CAPTURE(int(rule), kind, negatives, rows);
          const HostBatch got = draws.draw(on, 0xfedcba9876543210ull, 2, 1, rows, negatives);
          REQUIRE(same_draws(got, plain_draw(draws, 0xfedcba9876543210ull, 2, 1, rows, negatives)));
        }
      }
      ++kind;
    }
  }
}

TEST_CASE("sampler: one domain, or one block of all, changes nothing", "[kernels]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (SamplingRule rule : kRules) {
    const Draws plain(mixed_graph(), rule);
    Draws one = plain;
    one.of_domains({{plain.owned().rows, plain.owned().cols}}).in_blocks({plain.edges()});
    CAPTURE(int(rule));
    CHECK(same_draws(one.draw(on, 5, 1, 3, 20, 9), plain.draw(on, 5, 1, 3, 20, 9)));
  }
}

TEST_CASE("sampler: a batch does not depend on what was drawn before", "[kernels]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const Draws draws(mixed_graph(), SamplingRule::user);
  const HostBatch third = draws.draw(on, 5, 1, 3, 20, 9), first = draws.draw(on, 5, 1, 1, 20, 9);
  CHECK(same_draws(draws.draw(on, 5, 1, 1, 20, 9), first));
  CHECK(same_draws(draws.draw(on, 5, 1, 3, 20, 9), third));
  CHECK(first.negative != third.negative);
  CHECK(draws.draw(on, 5, 2, 1, 20, 9).negative != first.negative);
  CHECK(draws.draw(on, 6, 1, 1, 20, 9).negative != first.negative);
  CHECK(draws.draw(on, 5 + (uint64_t{1} << 32), 1, 1, 20, 9).negative != first.negative);
}

TEST_CASE("sampler: ahead of the clock, what its later step draws", "[kernels]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (SamplingRule rule : kRules) {
    const Draws draws(mixed_graph(), rule);
    const int64_t steps = draws.edges() / 20;  // of an epoch: the last of these is none of them
    for (int64_t step : {int64_t{0}, int64_t{1}, steps - 1})
      for (int64_t ahead : {1, 2})
        CHECK(same_draws(draws.draw(on, 5, 1, step, 20, 9, ahead),
                         plain_draw(draws, 5, 1, step + ahead, 20, 9)));
  }
}

TEST_CASE("sampler: the same draws with 1, 2 and 3 threads", "[kernels][threads]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (SamplingRule rule : kRules) {
    for (const Draws& draws : all_kinds(rule)) {
      for (int64_t rows : {1, 2, 101}) {
        std::vector<HostBatch> batches;
        for (int threads : {1, 2, 3}) {
          const cpu::ThreadsInUse use(threads);
          batches.push_back(draws.draw(on, 8, 0, 0, rows, 33));
        }
        CHECK(same_draws(batches[0], batches[1]));
        CHECK(same_draws(batches[0], batches[2]));
      }
    }
  }
}

// The batch again, its groupings made of its ids alone.
HostBatch grouped_again(const Sampler& on, const HostBatch& batch) {
  HostBatch again = batch;
  again.user_start.assign(batch.user_start.size(), -1);
  again.item_start.assign(batch.item_start.size(), -1);
  again.user_row.assign(batch.user_row.size(), -1);
  again.item_use.assign(batch.item_use.size(), -1);
  on.group(again.view());
  return again;
}

namespace {

// Every other row of wider ones, and as a batch holds them.
template <class Id>
void check_taken_ids(const Sampler& on, int64_t rows, int64_t cols) {
  CAPTURE(sizeof(Id), rows, cols);
  constexpr int64_t kCount = 1000;
  const int64_t stride = cols + 3;
  Values<Id> given(size_t(rows * stride), Id{-5});
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c)
      given[size_t(r * stride + c)] = Id((r * 37 + c * 101) % kCount);
  given[0] = kCount - 1;
  Values<int32_t> ids(size_t(rows * cols), -7);
  Values<double> loss = {2.5};
  const auto take = [&] {
    on.take(MatrixView<const Id>(given.data(), rows, cols, stride), kCount,
            {ids.data(), rows, cols}, loss.data());
  };
  take();
  CHECK(loss[0] == 2.5);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c)
      REQUIRE(ids[size_t(r * cols + c)] == given[size_t(r * stride + c)]);

  std::vector<Id> wrong = {Id{-1}, Id{kCount}, std::numeric_limits<Id>::min(),
                           std::numeric_limits<Id>::max()};
  if (sizeof(Id) == 8) wrong.push_back(Id(int64_t{1} << 32));  // 0 in 32 bits
  for (Id id : wrong) {
    CAPTURE(id);
    const size_t last = size_t((rows - 1) * stride + cols - 1);
    const Id before = std::exchange(given[last], id);
    loss[0] = 2.5;
    take();
    CHECK(std::isnan(loss[0]));
    CHECK(ids.back() == 0);
    given[last] = before;
  }
}

}  // namespace

TEST_CASE("sampler: takes the caller's ids, and says of wrong ones that they are", "[kernels]") {
  const auto on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (const auto& [rows, cols] : {std::pair{1, 1}, {3, 5}, {300, 2}}) {
    check_taken_ids<int32_t>(on, rows, cols);
    check_taken_ids<int64_t>(on, rows, cols);
  }
}

TEST_CASE("sampler: refuses ids that do not fit where they go", "[kernels]") {
  const auto on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  Values<int64_t> given(6);
  Values<int32_t> ids(12);
  Values<double> loss(1);
  const auto take = [&](int64_t count, MatrixView<int32_t> to) {
    on.take(MatrixView<const int64_t>(given.data(), 3, 2), count, to, loss.data());
  };
  CHECK_THROWS_WITH(take(0, {ids.data(), 3, 2}), Catch::Contains("1 to 2^31"));
  CHECK_THROWS_WITH(take(int64_t{1} << 31, {ids.data(), 3, 2}), Catch::Contains("1 to 2^31"));
  CHECK_THROWS_WITH(take(5, {ids.data(), 2, 3}), Catch::Contains("as many"));
  CHECK_THROWS_WITH(take(5, {ids.data(), 3, 2, 4}), Catch::Contains("contiguous"));
}

TEST_CASE("sampler: a given batch is grouped as a drawn one", "[kernels]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (const Draws& draws : all_kinds(SamplingRule::user))
    for (int64_t negatives : {1, 64, 65}) {
      CAPTURE(negatives);
      const HostBatch drawn = draws.draw(on, 17, 0, 2, 149, negatives);
      CHECK(same_draws(grouped_again(on, drawn), drawn));
    }
}

TEST_CASE("sampler: groups of any batch, by plain lists", "[kernels]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (const HostBatch& batch : batches_to_group()) {
    CAPTURE(batch.name);
    CHECK(same_draws(grouped_again(on, batch), batch));
  }
}

TEST_CASE("sampler: the same groups with 1, 2 and 3 threads", "[kernels][threads]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (const HostBatch& batch : batches_to_group())
    for (int threads : {1, 2, 3}) {
      const cpu::ThreadsInUse use(threads);
      CAPTURE(batch.name, threads);
      CHECK(same_draws(grouped_again(on, batch), batch));
    }
}

TEST_CASE("sampler: refuses what it cannot group", "[kernels]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch room = random_batch("room", 5, 7, 8, 3, 18);
  const auto refused = [&](const BatchView& batch, const char* why) {
    CHECK_THROWS_WITH(on.group(batch), Catch::Contains(why));
  };
  BatchView batch = room.view();
  batch.positive.size = 7;
  refused(batch, "one row each");
  batch = room.view();
  batch.negative.stride = 4;
  refused(batch, "contiguous");
  batch = room.view();
  batch.item_use.size -= 1;
  refused(batch, "item_use");
  batch = room.view();
  batch.user_start.size = 1;
  refused(batch, "one user and one item");
  batch = room.view();
  batch.item_start.size = 0;
  refused(batch, "one user and one item");
}

TEST_CASE("sampler: rule user visits everyone equally often", "[kernels]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const Draws draws(mixed_graph(), SamplingRule::user);
  const int64_t edges = draws.edges(), active = int64_t(draws.active.size());
  for (int64_t epoch : {0, 1}) {
    std::vector<int64_t> visits(size_t(draws.owned().rows), 0);
    for (int64_t t = 0; t < edges; ++t) ++visits[size_t(draws.draw(on, 3, epoch, t, 1, 1).user[0])];
    for (int64_t u = 0; u < draws.owned().rows; ++u) {
      CAPTURE(epoch, u);
      if (draws.owned().degree(u) == 0)
        CHECK(visits[size_t(u)] == 0);
      else
        CHECK((visits[size_t(u)] == edges / active ||
               visits[size_t(u)] == (edges + active - 1) / active));
    }
  }
}

TEST_CASE("sampler: rule interaction visits each edge once", "[kernels]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const Draws draws(mixed_graph(), SamplingRule::interaction);
  std::vector<std::pair<int32_t, int32_t>> seen, want;
  for (int64_t t = 0; t < draws.edges(); ++t) {
    const HostBatch batch = draws.draw(on, 4, 1, t, 1, 1);
    seen.emplace_back(batch.user[0], batch.positive[0]);
  }
  CHECK_FALSE(std::is_sorted(seen.begin(), seen.end()));
  std::sort(seen.begin(), seen.end());
  for (int64_t u = 0; u < draws.owned().rows; ++u)
    for (int64_t e = 0; e < draws.owned().degree(u); ++e)
      want.emplace_back(int32_t(u), draws.owned().row(u)[e]);
  CHECK(seen == want);
}

TEST_CASE("sampler: positives and negatives are uniform over what they may be", "[kernels]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  // One user: of 30 items she owns 11. 40 batches of 11 rows, 256 negatives each.
  std::vector<int32_t> list;
  for (int32_t i = 0; i < 30; i += 3) list.push_back(i);
  list.push_back(29);
  const Draws draws(make_graph("one user", {list}, 30), SamplingRule::user);
  std::vector<int64_t> positives(30), negatives(30);
  for (int64_t epoch = 0; epoch < 40; ++epoch) {
    const HostBatch batch = draws.draw(on, 2, epoch, 0, 11, 256);
    for (int32_t i : batch.positive) ++positives[size_t(i)];
    for (int32_t i : batch.negative) ++negatives[size_t(i)];
  }
  std::vector<int64_t> owned_positives, other_negatives;
  for (int32_t i = 0; i < 30; ++i) {
    const bool owned = std::binary_search(list.begin(), list.end(), i);
    (owned ? owned_positives : other_negatives)
        .push_back(owned ? positives[size_t(i)] : negatives[size_t(i)]);
    CHECK((owned ? negatives : positives)[size_t(i)] == 0);
  }
  check_equal_shares(owned_positives);
  check_equal_shares(other_negatives);
}

TEST_CASE("sampler: by weight, negatives in proportion to it", "[kernels]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  // Three users of 12 items, the last of which nobody has; the heaviest item is user 0's alone.
  Draws draws(make_graph("three users", {{4}, {0, 2, 5, 10}, all_but(11, 7)}, 12),
              SamplingRule::user);
  std::vector<int64_t> weight;
  for (int64_t i = 0; i < 11; ++i) weight.push_back(i == 4 ? 1 << 30 : (i + 1) << 25);
  weight.push_back(0);
  draws.by_weight(weight);
  std::vector<std::vector<int64_t>> counts(3, std::vector<int64_t>(12));
  for (int64_t epoch = 0; epoch < 60; ++epoch) {
    const HostBatch batch = draws.draw(on, 21, epoch, 0, 15, 256);
    for (int64_t b = 0; b < 15; ++b)
      for (int64_t j = 1; j <= 256; ++j)
        ++counts[size_t(batch.user[size_t(b)])][size_t(batch.item_of(b, j))];
  }
  for (int64_t u = 0; u < 3; ++u) {
    CAPTURE(u);
    std::vector<double> want(12, 0);
    for (int64_t i = 0; i < 12; ++i)
      if (!std::binary_search(draws.owned().row(u), draws.owned().row(u + 1), int32_t(i)))
        want[size_t(i)] = double(weight[size_t(i)]);
    if (u == 2)  // one item is left
      CHECK(counts[2][7] == std::accumulate(counts[2].begin(), counts[2].end(), int64_t{0}));
    else
      check_shares(counts[size_t(u)], want);
  }
}

TEST_CASE("sampler: equal weights, uniform negatives", "[kernels]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  Draws draws(make_graph("one user", {{0, 3, 4, 19}}, 20), SamplingRule::user);
  draws.by_weight(std::vector<int64_t>(20, 1));
  std::vector<int64_t> counts(20);
  for (int64_t epoch = 0; epoch < 10; ++epoch)
    for (int32_t i : draws.draw(on, 22, epoch, 0, 4, 512).negative) ++counts[size_t(i)];
  std::vector<double> want(20, 1);
  for (int32_t i : {0, 3, 4, 19}) want[size_t(i)] = 0;
  check_shares(counts, want);
}

TEST_CASE("sampler: rule random_user takes users alike, and their items", "[kernels]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  // 7 users, two of them without items; degrees differ.
  const Draws draws(
      make_graph("seven users", {{1}, {}, {0, 2, 3, 4}, all_but(9, 3), {8}, {}, {0, 8}}, 10),
      SamplingRule::random_user);
  std::vector<int64_t> visits(7);
  std::vector<std::vector<int64_t>> positives(7, std::vector<int64_t>(10));
  constexpr int64_t kRows = 400;
  for (int64_t epoch = 0; epoch < 12; ++epoch) {
    const HostBatch batch = draws.draw(on, 23, epoch, 0, kRows, 2);
    for (int64_t b = 0; b < kRows; ++b) {
      ++visits[size_t(batch.user[size_t(b)])];
      ++positives[size_t(batch.user[size_t(b)])][size_t(batch.positive[size_t(b)])];
    }
  }
  check_shares(visits, {1, 0, 1, 1, 1, 0, 1});
  for (int64_t u : {2, 3, 6}) {
    std::vector<double> want(10, 0);
    for (int64_t k = 0; k < draws.owned().degree(u); ++k) want[size_t(draws.owned().row(u)[k])] = 1;
    CAPTURE(u);
    check_shares(positives[size_t(u)], want);
  }
}

TEST_CASE("sampler: negatives come from the user's own domain", "[kernels]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const bool weighted = GENERATE(false, true);
  CAPTURE(weighted);
  Draws draws = side_by_side({make_graph("a", {{0, 4}, {1}}, 5), make_graph("b", {{2}}, 4),
                              make_graph("c", {{0, 1}, {3, 5}}, 7)},
                             SamplingRule::user);
  std::vector<int64_t> weight(16, 1);
  if (weighted) {
    for (size_t i = 0; i < 16; ++i) weight[i] = int64_t(1 + i % 5) << 30;
    draws.by_weight(weight);
  }
  std::vector<std::vector<int64_t>> counts(5, std::vector<int64_t>(16));
  for (int64_t epoch = 0; epoch < 60; ++epoch) {
    const HostBatch batch = draws.draw(on, 24, epoch, 0, 8, 64);
    for (int64_t b = 0; b < 8; ++b)
      for (int64_t j = 1; j <= 64; ++j)
        ++counts[size_t(batch.user[size_t(b)])][size_t(batch.item_of(b, j))];
  }
  constexpr int64_t kFirst[] = {0, 0, 5, 9, 9}, kEnd[] = {5, 5, 9, 16, 16};
  for (int64_t u = 0; u < 5; ++u) {
    std::vector<double> want(16, 0);
    for (int64_t i = kFirst[u]; i < kEnd[u]; ++i)
      if (!std::binary_search(draws.owned().row(u), draws.owned().row(u + 1), int32_t(i)))
        want[size_t(i)] = double(weight[size_t(i)]);
    CAPTURE(u);
    check_shares(counts[size_t(u)], want);
  }
}

TEST_CASE("sampler: blocks of an epoch's places, and who is drawn in them", "[kernels]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (SamplingRule rule : kRules) {
    CAPTURE(int(rule));
    Draws draws = mixed_domains(rule);
    const std::vector<int64_t> places = uneven_places(draws);
    draws.in_blocks(places);
    std::map<std::pair<int32_t, int32_t>, int64_t> edges;
    std::vector<int64_t> visits(size_t(draws.owned().rows), 0);
    const HostBatch epoch = draws.draw(on, 25, 3, 0, draws.edges(), 1);
    for (size_t b = 0; b < epoch.user.size(); ++b) {
      ++visits[size_t(epoch.user[b])];
      ++edges[{epoch.user[b], epoch.positive[b]}];
    }
    int64_t user = 0;
    for (size_t d = 0; d < draws.domains.size(); ++d) {
      const PlaceBlock& block = draws.block[d];
      int64_t of_domain = 0;
      for (int64_t end = user + draws.domains[d].users; user < end; ++user) {
        const int64_t count = visits[size_t(user)], degree = draws.owned().degree(user);
        of_domain += count;
        if (rule == SamplingRule::user && degree > 0)
          CHECK((count == places[d] / block.active_users ||
                 count == (places[d] + block.active_users - 1) / block.active_users));
        for (int64_t k = 0; rule == SamplingRule::interaction && k < degree; ++k) {
          const int64_t of_edge = edges[{int32_t(user), draws.owned().row(user)[k]}];
          CHECK((of_edge == places[d] / block.edges ||
                 of_edge == (places[d] + block.edges - 1) / block.edges));
        }
      }
      CHECK(of_domain == places[d]);
    }
  }
}

TEST_CASE("sampler: a user who owns all items but one", "[kernels]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const Draws draws(make_graph("all but one", {all_but(500, 311)}, 500), SamplingRule::interaction);
  const HostBatch batch = draws.draw(on, 1, 0, 0, 16, 100);
  CHECK(batch.negative == Values<int32_t>(1600, 311));
  Draws by_weight = draws;
  by_weight.by_weight(std::vector<int64_t>(500, int64_t{1} << 30));
  CHECK(by_weight.draw(on, 1, 0, 0, 16, 100).negative == batch.negative);
}

TEST_CASE("sampler: refuses what it cannot draw", "[kernels]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const Draws draws(mixed_graph(), SamplingRule::user);
  const auto refused = [&](const SamplerTables& tables, const BatchView& batch, const char* why) {
    CHECK_THROWS_WITH(on.draw(tables, {}, 0, batch), Catch::Contains(why));
  };
  HostBatch room = draws.room(8, 3), none = draws.room(0, 3), without = draws.room(8, 0);
  refused(draws.tables(), none.view(), "at least one row");
  refused(draws.tables(), without.view(), "at least one negative");
  BatchView batch = room.view();
  batch.positive.size = 7;
  refused(draws.tables(), batch, "one row each");
  batch = room.view();
  batch.negative.stride = 4;
  refused(draws.tables(), batch, "contiguous");
  batch = room.view();
  batch.item_use.size -= 1;
  refused(draws.tables(), batch, "item_use");
  batch = room.view();
  batch.item_start.size -= 1;
  refused(draws.tables(), batch, "groupings");
  batch = room.view();
  // no memory behind it: the check comes first
  batch.user.size = batch.positive.size = batch.user_row.size = batch.negative.rows = int64_t{1}
                                                                                      << 29;
  batch.item_use.size = int64_t{1} << 31;
  refused(draws.tables(), batch, "2^31");

  SamplerTables tables = draws.tables();
  const DomainStart start{};
  tables.domain_start = {&start, 1};
  refused(tables, room.view(), "where all end");
  Draws weighted(mixed_graph(), SamplingRule::user);
  weighted.by_weight(uneven_weights(weighted));
  tables = weighted.tables();
  tables.weights.before_item.size -= 1;
  refused(tables, room.view(), "cover all items");
  tables = weighted.tables();
  tables.weights.outside_before_edge.size = 0;
  refused(tables, room.view(), "both items and edges");

  SamplerTables nobody = draws.tables();
  nobody.active_user.size = 0;
  refused(nobody, room.view(), "no user");
}

TEST_CASE("sampler: three epochs, batch by batch", "[kernels]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (SamplingRule rule : kRules) {
    const Draws draws(mixed_graph(), rule);
    constexpr int64_t kRows = 64;
    for (int64_t epoch = 0; epoch < 3; ++epoch)
      for (int64_t step = 0; step < draws.edges() / kRows; ++step) {
        CAPTURE(int(rule), epoch, step);
        REQUIRE(same_draws(draws.draw(on, 11, epoch, step, kRows, 6),
                           plain_draw(draws, 11, epoch, step, kRows, 6)));
      }
  }
}

TEST_CASE("sampler: a clock as far on as it goes", "[kernels]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  constexpr int64_t kLast = 0xffffffff;
  for (SamplingRule rule : kRules) {
    const Draws draws(mixed_graph(), rule);
    for (int64_t epoch : {int64_t{0}, kLast / 2 + 1, kLast})
      for (int64_t step : {kLast / 2, kLast}) {
        CAPTURE(int(rule), epoch, step);
        REQUIRE(same_draws(draws.draw(on, ~uint64_t{0}, epoch, step, 33, 5),
                           plain_draw(draws, ~uint64_t{0}, epoch, step, 33, 5)));
      }
  }
}

TEST_CASE("sampler: a batch of all interactions, and one user", "[kernels]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (SamplingRule rule : kRules) {
    for (const HostGraph& graph : {mixed_graph(), make_graph("one user", {{1, 2, 5}}, 7),
                                   make_graph("one edge", {{1}}, 2)}) {
      const Draws draws(graph, rule);
      const int64_t edges = draws.edges();
      CAPTURE(graph.name, int(rule));
      const HostBatch got = draws.draw(on, 12, 1, 0, edges, 2);
      REQUIRE(same_draws(got, plain_draw(draws, 12, 1, 0, edges, 2)));
      if (rule != SamplingRule::interaction) continue;
      Values<int32_t> positive = got.positive, owned = graph.item_of_edge;
      std::sort(positive.begin(), positive.end());
      std::sort(owned.begin(), owned.end());
      CHECK(positive == owned);
    }
  }
}

TEST_CASE("sampler: ids of 17 bits, and more rows than a sort takes at once", "[kernels]") {
  const Sampler on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  std::mt19937 random(13);
  // users of any degree far apart, among many without items
  const auto sparse_users = [&](int64_t users, int32_t items) {
    std::vector<std::vector<int32_t>> lists(static_cast<size_t>(users));
    for (size_t u = 0; u < lists.size(); u += 1 + random() % 30)
      for (int32_t i = int32_t(random() % 200); i < items; i += 1 + int32_t(random() % 400))
        lists[u].push_back(i);
    lists.back() = {items - 1};
    return lists;
  };
  const Draws many_users(make_graph("many users", sparse_users(70001, 300), 300),
                         SamplingRule::user);
  REQUIRE(same_draws(many_users.draw(on, 14, 0, 1, 4200, 1),
                     plain_draw(many_users, 14, 0, 1, 4200, 1)));
  const Draws many_items(make_graph("many items", sparse_users(50, 70001), 70001),
                         SamplingRule::interaction);
  REQUIRE(same_draws(many_items.draw(on, 15, 0, 1, 21, 257),
                     plain_draw(many_items, 15, 0, 1, 21, 257)));
}

#if defined(REC_CUDA)
TEST_CASE("sampler: a recorded draw follows the clock", "[kernels]") {
  if (!backend_wanted("cuda") || test_stream() == nullptr) return;
  const Draws draws(mixed_graph(), SamplingRule::user);
  constexpr int64_t kRows = 20, kNegatives = 9;
  HostBatch batch = draws.room(kRows, kNegatives);
  Values<TrainingClock> clock = {clock_at(16, 2, 3)};
  clock[0].updates = 70;
  const int64_t bytes = cuda::draw_batch_scratch_bytes(kRows, kNegatives);
  Values<std::byte> scratch(static_cast<size_t>(bytes));

  cudaGraph_t recorded = nullptr;
  cudaGraphExec_t replay = nullptr;
  REC_CUDA_CHECK(cudaStreamBeginCapture(test_stream(), cudaStreamCaptureModeThreadLocal));
  cuda::draw_batch(draws.tables(), clock.data(), 0, batch.view(), {scratch.data(), bytes},
                   test_stream());
  cuda::advance_clock(clock.data(), test_stream());
  REC_CUDA_CHECK(cudaStreamEndCapture(test_stream(), &recorded));
  REC_CUDA_CHECK(cudaGraphInstantiate(&replay, recorded, 0));
  for (int64_t step = 3; step < 6; ++step) {
    REC_CUDA_CHECK(cudaGraphLaunch(replay, test_stream()));
    wait_for_device();
    CAPTURE(step);
    CHECK(same_draws(batch, plain_draw(draws, 16, 2, step, kRows, kNegatives)));
    CHECK(clock[0].step == step + 1);
    CHECK(clock[0].updates == 70 + step - 2);
  }
  CHECK((clock[0].seed == 16 && clock[0].epoch == 2 && clock[0].loss_sum == 0));
  REC_CUDA_CHECK(cudaGraphExecDestroy(replay));
  REC_CUDA_CHECK(cudaGraphDestroy(recorded));
}

TEST_CASE("sampler: refuses scratch that is too small", "[kernels]") {
  const Draws draws(mixed_graph(), SamplingRule::user);
  HostBatch batch = draws.room(8, 3);
  const int64_t bytes = cuda::draw_batch_scratch_bytes(8, 3);
  Values<std::byte> scratch(static_cast<size_t>(bytes));
  const TrainingClock clock;
  CHECK_THROWS_WITH(cuda::draw_batch(draws.tables(), &clock, 0, batch.view(),
                                     {scratch.data(), bytes - 1}, test_stream()),
                    Catch::Contains("draw_batch_scratch_bytes"));
  CHECK_THROWS_WITH(cuda::group_batch(batch.view(), {scratch.data(), bytes - 1}, test_stream()),
                    Catch::Contains("draw_batch_scratch_bytes"));
}
#endif

}  // namespace rec::test
