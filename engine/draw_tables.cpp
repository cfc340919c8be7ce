#include "engine/draw_tables.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/host_csr.h"
#include "engine/training.h"

namespace rec {
namespace {

// The heaviest item of a domain; the sum over 2^31 items stays below 2^62.
constexpr double kMostWeight = 1 << 30;

std::vector<DomainStart> starts_in(const std::vector<Domain>& domains, CsrView train) {
  return starts_of(domains.empty() ? std::vector<Domain>{{train.rows, train.cols}} : domains);
}

void require_domains_fit(const std::vector<DomainStart>& start, CsrView train) {
  for (size_t d = 0; d + 1 < start.size(); ++d)
    require(start[d].user <= start[d + 1].user && start[d].item <= start[d + 1].item,
            "training: a domain cannot have fewer than no users or items");
  require(start.back().user == train.rows && start.back().item == train.cols,
          "training: the domains together must have the graph's users and items");
  for (size_t d = 0; d + 1 < start.size(); ++d)
    for (int64_t u = start[d].user; u < start[d + 1].user; ++u) {
      const int64_t degree = train.degree(u);
      if (degree > 0 &&
          (train.row(u)[0] < start[d].item || train.row(u)[degree - 1] >= start[d + 1].item))
        throw std::invalid_argument("training: user " + std::to_string(u - start[d].user) +
                                    " of domain " + std::to_string(d + 1) +
                                    " has an item of another domain");
    }
}

// How negatives weigh each item: degree^exponent, the domain's most popular item kMostWeight.
std::vector<int64_t> weights_of(const std::vector<DomainStart>& start, CsrView train,
                                double exponent) {
  require(exponent > 0 && std::isfinite(exponent),
          "training: the exponent of popularity must be a number greater than 0");
  std::vector<int64_t> degree(static_cast<size_t>(train.cols), 0);
  for (int64_t e = 0; e < train.row_start[train.rows]; ++e)
    ++degree[static_cast<size_t>(train.col[e])];
  std::vector<int64_t> weight(degree.size(), 0);
  for (size_t d = 0; d + 1 < start.size(); ++d) {
    int64_t most = 0;
    for (int64_t i = start[d].item; i < start[d + 1].item; ++i)
      most = std::max(most, degree[static_cast<size_t>(i)]);
    for (int64_t i = start[d].item; i < start[d + 1].item; ++i) {
      const int64_t its = degree[static_cast<size_t>(i)];
      if (its > 0)
        weight[static_cast<size_t>(i)] = std::max<int64_t>(
            1, std::llround(kMostWeight * std::pow(double(its) / double(most), exponent)));
    }
  }
  return weight;
}

// How many of the places each domain gets: by largest remainder, the earlier of equal ones first.
std::vector<int64_t> shared_out(int64_t places, const std::vector<double>& shares) {
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  std::vector<int64_t> given;
  std::vector<double> remainder;
  int64_t left = places;
  for (double share : shares) {
    const double exact = share / sum * double(places);
    given.push_back(int64_t(exact));
    remainder.push_back(exact - std::floor(exact));
    left -= given.back();
  }
  std::vector<size_t> order(shares.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return remainder[a] > remainder[b]; });
  for (size_t n = 0; left > 0; ++n, --left) ++given[order[n]];
  return given;
}

std::vector<PlaceBlock> blocks_of(const std::vector<DomainStart>& start, CsrView train,
                                  const std::vector<double>& shares) {
  require(shares.size() + 1 == start.size(),
          "training: every domain needs a share, or none has one");
  require(std::all_of(shares.begin(), shares.end(), [](double share) { return share > 0; }) &&
              std::isfinite(std::accumulate(shares.begin(), shares.end(), 0.0)),
          "training: the domains' shares must be numbers greater than 0");
  const std::vector<int64_t> places = shared_out(train.row_start[train.rows], shares);
  std::vector<PlaceBlock> blocks;
  PlaceBlock next;
  for (size_t d = 0; d + 1 < start.size(); ++d) {
    next.first_edge = train.row_start[start[d].user];
    next.edges = train.row_start[start[d + 1].user] - next.first_edge;
    next.active_users = 0;
    for (int64_t u = start[d].user; u < start[d + 1].user; ++u)
      next.active_users += train.degree(u) > 0;
    if (next.edges == 0)
      throw std::invalid_argument("training: domain " + std::to_string(d + 1) +
                                  " has a share and no training interactions; leave it out");
    blocks.push_back(next);
    next.first_place += places[d];
    next.first_active += next.active_users;
  }
  return blocks;
}

// What is never drawn has no negatives to leave: only users with training items are asked. weight:
// of the items; empty where each weighs 1 and stands once in a row.
void require_negatives(const std::vector<DomainStart>& start, CsrView train,
                       const std::vector<int64_t>& weight, bool by_popularity) {
  for (size_t d = 0; d + 1 < start.size(); ++d) {
    int64_t of_domain = start[d + 1].item - start[d].item;
    if (!weight.empty())
      of_domain = std::accumulate(weight.begin() + start[d].item,
                                  weight.begin() + start[d + 1].item, int64_t{0});
    for (int64_t u = start[d].user; u < start[d + 1].user; ++u) {
      int64_t hers = weight.empty() ? train.degree(u) : 0;
      if (!weight.empty())
        for (const int32_t* item = train.row(u); item != train.row(u + 1); ++item)
          if (item == train.row(u) || item[0] != item[-1]) hers += weight[size_t(*item)];
      if (train.degree(u) > 0 && hers == of_domain)
        throw std::invalid_argument(
            "training: user " + std::to_string(u - start[d].user) +
            (start.size() > 2 ? " of domain " + std::to_string(d + 1) : "") + " owns every item" +
            (start.size() > 2 ? " of it" : "") + (by_popularity ? " that anybody has" : "") +
            " and has no negatives" + (by_popularity ? " by popularity; draw them uniformly" : ""));
    }
  }
}

bool is_weighted(const TrainingSettings& settings) {
  return settings.repeated_edges ||
         settings.negative_distribution == NegativeDistribution::popularity;
}

std::vector<int64_t> sums_before(const std::vector<int64_t>& weight) {
  std::vector<int64_t> before(weight.size() + 1, 0);
  std::partial_sum(weight.begin(), weight.end(), before.begin() + 1);
  return before;
}

// As NegativeWeights has it.
std::vector<int64_t> outside_before_edges(CsrView train, const std::vector<int64_t>& before_item) {
  std::vector<int64_t> outside;
  outside.reserve(static_cast<size_t>(train.row_start[train.rows]));
  for (int64_t u = 0; u < train.rows; ++u) {
    int64_t hers = 0;
    for (int64_t e = train.row_start[u]; e < train.row_start[u + 1]; ++e) {
      const auto i = static_cast<size_t>(train.col[e]);
      const bool again = e > train.row_start[u] && train.col[e] == train.col[e - 1];
      outside.push_back(again ? outside.back() : before_item[i] - hers);
      if (!again) hers += before_item[i + 1] - before_item[i];
    }
  }
  return outside;
}

HostCsr to_host(Backend& backend, const Graph& graph) {
  const CsrView there = graph.view().items_of_user;
  HostCsr m{there.rows, there.cols, {}, {}};
  m.row_start.resize(static_cast<size_t>(there.rows) + 1);
  m.col.resize(static_cast<size_t>(graph.edges()));
  backend.download(m.row_start.data(), there.row_start, sizeof(int64_t) * m.row_start.size());
  if (!m.col.empty()) backend.download(m.col.data(), there.col, sizeof(int32_t) * m.col.size());
  return m;
}

}  // namespace

DrawTables::DrawTables(Backend& backend, const Graph& graph, const TrainingSettings& settings)
    : graph_(graph), rule_(settings.sampling) {
  const HostCsr host = to_host(backend, graph);
  const CsrView train = host.view();
  const std::vector<DomainStart> start = starts_in(settings.domains, train);
  require_domains_fit(start, train);
  std::vector<int64_t> weight;
  if (settings.negative_distribution == NegativeDistribution::popularity)
    weight = weights_of(start, train, settings.negative_exponent);
  else if (is_weighted(settings))
    weight.assign(static_cast<size_t>(train.cols), 1);
  require_negatives(start, train, weight,
                    settings.negative_distribution == NegativeDistribution::popularity);

  if (!settings.domains.empty()) domain_start_ = Array<DomainStart>(backend, start);
  if (!weight.empty()) {
    const std::vector<int64_t> before_item = sums_before(weight);
    before_item_ = Array<int64_t>(backend, before_item);
    outside_before_edge_ = Array<int64_t>(backend, outside_before_edges(train, before_item));
  }
  if (!settings.domain_shares.empty())
    block_ = Array<PlaceBlock>(backend, blocks_of(start, train, settings.domain_shares));
}

SamplerTables DrawTables::view() const {
  return {graph_.view().items_of_user,
          graph_.active_users(),
          rule_,
          domain_start_.view(),
          {before_item_.view(), outside_before_edge_.view()},
          block_.view()};
}

int64_t DrawTables::bytes_needed(const TrainingSettings& settings, int64_t items, int64_t edges) {
  const auto domains = static_cast<int64_t>(settings.domains.size());
  const auto blocks = static_cast<int64_t>(settings.domain_shares.size());
  return (domains > 0 ? int64_t{sizeof(DomainStart)} * (domains + 1) : 0) +
         (is_weighted(settings) ? int64_t{sizeof(int64_t)} * (items + 1 + edges) : 0) +
         int64_t{sizeof(PlaceBlock)} * blocks;
}

}  // namespace rec
