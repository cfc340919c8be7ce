// ranking against plain double-precision scores and a sort of all items.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "kernels/common/threads.h"
#include "kernels/ranking/ranking.h"
#include "tests/support/agreement.h"
#include "tests/support/closeness.h"
#include "tests/support/graphs.h"
#include "tests/support/guarded_matrix.h"
#include "tests/support/on_backends.h"

namespace rec::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Ranking {
  std::string backend;
  // Returns how many lists a search in reduced precision left to fp32.
  std::function<int64_t(const RankingRequest&, MatrixView<int32_t>, MatrixView<float>)> rank;
};

Ranking on_cpu() {
  return {"cpu", [](const RankingRequest& request, MatrixView<int32_t> top_item,
                    MatrixView<float> top_score) {
            cpu::rank(request, top_item, top_score);
            return int64_t{0};
          }};
}

// most_scratch: of a device. None leaves one block, which makes all tiles in turn.
constexpr int64_t kAmpleScratch = int64_t{1} << 30;
std::vector<Ranking> backends(int64_t most_scratch = kAmpleScratch,
                              Precision precision = Precision::fp32) {
  return on_backends<Ranking>(on_cpu, [&](auto) {
    return Ranking{"cuda", [most_scratch, precision](const RankingRequest& request,
                                                     MatrixView<int32_t> top_item,
                                                     MatrixView<float> top_score) {
                     constexpr size_t kGuards = 64;
                     constexpr std::byte kGuard{0xA5};
                     const size_t bytes = size_t(cuda::rank_scratch_bytes(
                         request.user_row.size, request.item.rows, request.item.cols, top_item.cols,
                         precision, most_scratch));
                     Values<std::byte> scratch(bytes + kGuards, kGuard);
                     const int64_t left =
                         cuda::rank(request, top_item, top_score, {scratch.data(), int64_t(bytes)},
                                    precision, test_stream());
                     CHECK(std::count(scratch.begin() + int64_t(bytes), scratch.end(), kGuard) ==
                           int64_t(kGuards));
                     return left;
                   }};
  });
}

// The device's ways of reduced precision; none where there is no device.
std::vector<Ranking> searches(int64_t most_scratch = kAmpleScratch) {
  std::vector<Ranking> all;
  for (const auto& [precision, name] :
       {std::pair(Precision::tf32, "cuda tf32"), std::pair(Precision::bf16, "cuda bf16")}) {
    for (const Ranking& on : backends(most_scratch, precision))
      if (on.backend == "cuda") all.push_back({name, on.rank});
  }
  return all;
}
std::vector<Ranking> every_way() {
  std::vector<Ranking> all = backends();
  for (const Ranking& on : searches()) all.push_back(on);
  return all;
}

// Lists to make, everything they need, and where they go.
struct Case {
  GuardedMatrix user, item;
  Values<int32_t> user_row, user_id;
  std::vector<HostGraph> masks;
  Values<uint8_t> allowed;

  Case(int64_t vectors, int64_t items, int64_t dim, bool aligned = false)
      : user(aligned ? GuardedMatrix::aligned(vectors, dim) : GuardedMatrix(vectors, dim)),
        item(aligned ? GuardedMatrix::aligned(items, dim) : GuardedMatrix(items, dim)) {
    user_row.resize(size_t(vectors));
    std::iota(user_row.begin(), user_row.end(), 0);
    user_id = user_row;
  }

  // Small whole numbers: every sum of products is exact, and many scores tie.
  Case& fill_whole(std::mt19937_64& random, int largest) {
    std::uniform_int_distribution<int> whole(-largest, largest);
    for (GuardedMatrix* m : {&user, &item})
      for (int64_t r = 0; r < m->view().rows; ++r)
        for (int64_t c = 0; c < m->view().cols; ++c) m->view()(r, c) = float(whole(random));
    return *this;
  }
  Case& mask_random(std::mt19937_64& random, double mean_degree) {
    masks.push_back(
        random_graph("mask", user.view().rows, item.view().rows, mean_degree, random()));
    return *this;
  }

  RankingRequest request() const {
    RankingRequest r;
    r.user = user.view();
    r.item = item.view();
    r.user_row = {user_row.data(), int64_t(user_row.size())};
    r.user_id = {user_id.data(), int64_t(user_id.size())};
    for (const HostGraph& mask : masks) r.mask[r.masks++] = mask.view().items_of_user;
    r.allowed = {allowed.data(), int64_t(allowed.size())};
    return r;
  }

  bool may_show(size_t list, int32_t item_id) const {
    if (!allowed.empty() && !allowed[size_t(item_id)]) return false;
    for (const HostGraph& mask : masks) {
      const CsrView seen = mask.view().items_of_user;
      const int32_t* row = seen.row(user_id[list]);
      if (std::find(row, row + seen.degree(user_id[list]), item_id) !=
          row + seen.degree(user_id[list]))
        return false;
    }
    return true;
  }
  Sum score(size_t list, int64_t item_id) const {
    Sum sum;
    for (int64_t c = 0; c < item.view().cols; ++c)
      sum.add(double(user.view()(user_row[list], c)) * item.view()(item_id, c));
    return sum;
  }
};

struct Lists {
  static constexpr int64_t kPadding = 2;
  static constexpr int32_t kGuard = -77;
  int64_t lists, k;
  int64_t left_to_fp32 = 0;
  Values<int32_t> item;
  GuardedMatrix score;

  Lists(int64_t list_count, int64_t length)
      : lists(list_count),
        k(length),
        item(size_t(list_count * (length + kPadding)), kGuard),
        score(list_count, length) {}
  MatrixView<int32_t> items() { return {item.data(), lists, k, k + kPadding}; }
  int32_t item_at(int64_t list, int64_t place) const {
    return item[size_t(list * (k + kPadding) + place)];
  }
  bool guards_untouched() const {
    for (int64_t l = 0; l < lists; ++l)
      for (int64_t p = k; p < k + kPadding; ++p)
        if (item_at(l, p) != kGuard) return false;
    return score.guards_untouched();
  }
};

Lists ranked(const Ranking& on, const Case& from, int64_t k) {
  Lists got(int64_t(from.user_row.size()), k);
  got.left_to_fp32 = on.rank(from.request(), got.items(), got.score.view());
  return got;
}

// Scores must be exact: ids and scores then equal the oracle's. Returns the lists left to fp32.
int64_t check_exactly(const Ranking& on, const Case& from, int64_t k) {
  const Lists got = ranked(on, from, k);
  const int64_t items = from.item.view().rows;
  for (size_t l = 0; l < from.user_row.size(); ++l) {
    std::vector<std::pair<double, int32_t>> order;  // -score, id
    for (int32_t i = 0; i < items; ++i)
      if (from.may_show(l, i)) order.emplace_back(-from.score(l, i).value, i);
    std::sort(order.begin(), order.end());
    for (int64_t place = 0; place < k; ++place) {
      const bool some = place < int64_t(order.size());
      const int32_t want_item = some ? order[size_t(place)].second : -1;
      const float want_score = some ? float(-order[size_t(place)].first) : -kInfinity;
      if (got.item_at(int64_t(l), place) == want_item &&
          got.score.view()(int64_t(l), place) == want_score)
        continue;
      FAIL("list " << l << ", place " << place << ": got item " << got.item_at(int64_t(l), place)
                   << " with score " << got.score.view()(int64_t(l), place) << ", want "
                   << want_item << " with " << want_score);
    }
  }
  CHECK(got.guards_untouched());
  return got.left_to_fp32;
}

// All give the bits of fp32.
void check_like_fp32(const std::vector<Ranking>& ways, const Case& from, int64_t k) {
  if (ways.empty()) return;
  const Lists want = ranked(backends().back(), from, k);
  for (const Ranking& on : ways) {
    CAPTURE(on.backend);
    const Lists got = ranked(on, from, k);
    CHECK(got.item == want.item);
    CHECK(same_bits(got.score.view(), want.score.view()));
    CHECK(got.guards_untouched());
  }
}

}  // namespace

// docs/kernels/ranking.md, "A small example"
TEST_CASE("ranking: the example worked by hand", "[kernels]") {
  const Ranking on = GENERATE(from_range(every_way()));
  CAPTURE(on.backend);
  Case from(1, 6, 1);
  from.user.view()(0, 0) = 1;
  const float scores[] = {2, 5, 3, 5, 7, 1};
  for (int64_t i = 0; i < 6; ++i) from.item.view()(i, 0) = scores[i];
  from.masks.push_back(make_graph("seen", {{4}}, 6));
  const Lists got = ranked(on, from, 3);
  CHECK((got.item_at(0, 0) == 1 && got.item_at(0, 1) == 3 && got.item_at(0, 2) == 2));
  CHECK(
      (got.score.view()(0, 0) == 5 && got.score.view()(0, 1) == 5 && got.score.view()(0, 2) == 3));
}

TEST_CASE("ranking: equals sorting everything, with many ties", "[kernels]") {
  const Ranking on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  std::mt19937_64 random(81);
  const bool emulated = on.backend == "cuda";
  for (int64_t items : {1, 2, 19, 20, 21, 64, 127, 128, 129, 255, 256, 257, 320, 1000}) {
    for (int64_t k : {1, 2, 20, 21, 22, 31, 32, 33, 64, 65, 300}) {
      if (emulated && (k == 2 || k == 22 || k == 31 || items == 19 || items == 255)) continue;
      if (emulated && items == 1000 && k != 20 && k != 33 && k != 300) continue;
      for (int largest : {1, 9}) {  // 1: hardly any score is alone
        if (emulated && largest == 9 && items != 129) continue;
        CAPTURE(items, k, largest);
        check_exactly(on, Case(5, items, 6).fill_whole(random, largest), k);
        check_exactly(on, Case(5, items, 6).fill_whole(random, largest).mask_random(random, 5), k);
      }
    }
  }
}

TEST_CASE("ranking: long lists and item tables of several panels", "[kernels]") {
  const int64_t scratch = GENERATE(int64_t{0}, kAmpleScratch);
  const Ranking on = GENERATE_COPY(from_range(backends(scratch)));
  if (on.backend == "cpu" && scratch == 0) return;
  CAPTURE(on.backend);
  std::mt19937_64 random(82);
  for (int64_t items : {5119, 5120, 5121, 10241, 15361}) {
    for (int64_t k : {1, 20, 1000}) {
      if (on.backend == "cuda" && items != 5120 && items != 5121) continue;
      CAPTURE(items, k);
      check_exactly(on, Case(3, items, 4).fill_whole(random, 3).mask_random(random, 40), k);
      check_exactly(on, Case(3, items, 4).fill_whole(random, 200), k);
    }
  }
}

TEST_CASE("ranking: panels of wide vectors hold fewer items on the CPU", "[kernels]") {
  const Ranking on = GENERATE(from_range(backends()));
  if (on.backend != "cpu") return;
  std::mt19937_64 random(89);
  for (int64_t dim : {1000, 5000}) {
    for (int64_t k : {5, 300}) {
      CAPTURE(dim, k);
      check_exactly(on, Case(3, 1100, dim).fill_whole(random, 2).mask_random(random, 9), k);
    }
  }
}

// More splits than a block has threads; lists that fit no shared memory.
TEST_CASE("ranking: one list of very many items, and lists of thousands", "[kernels]") {
  const Ranking on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  std::mt19937_64 random(89);
  for (int64_t k : {1, 20, 40}) {
    CAPTURE(k);
    check_exactly(on, Case(1, 33'000, 1).fill_whole(random, 1000).mask_random(random, 30), k);
  }
  for (int64_t k : {2047, 2049}) {  // 4096 candidates of a list, and 8192
    CAPTURE(k);
    check_exactly(on, Case(2, 2100, 2).fill_whole(random, 30).mask_random(random, 30), k);
  }
}

TEST_CASE("ranking: rising scores, each better than all before", "[kernels]") {
  const int64_t scratch = GENERATE(int64_t{0}, kAmpleScratch);
  const Ranking on = GENERATE_COPY(from_range(backends(scratch)));
  if (on.backend == "cpu" && scratch == 0) return;
  CAPTURE(on.backend);
  for (int64_t k : {1, 20, 32, 50}) {
    CAPTURE(k);
    Case rising(65, 700, 1);
    for (int64_t u = 0; u < 65; ++u) rising.user.view()(u, 0) = u % 2 == 0 ? 1.0f : -1.0f;
    for (int64_t i = 0; i < 700; ++i) rising.item.view()(i, 0) = float(i);
    check_exactly(on, rising, k);
  }
}

TEST_CASE("ranking: zeros of either sign tie", "[kernels]") {
  const Ranking on = GENERATE(from_range(every_way()));
  CAPTURE(on.backend);
  Case from(2, 200, 1);
  from.user.view()(0, 0) = 1.0f, from.user.view()(1, 0) = -1.0f;
  for (int64_t i = 0; i < 200; ++i) from.item.view()(i, 0) = i % 3 == 0 ? -0.0f : 0.0f;
  check_exactly(on, from, 30);
}

TEST_CASE("ranking: the same bits again, and with other lists beside on a device", "[kernels]") {
  const Ranking on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  std::mt19937_64 random(90);
  for (int64_t k : {20, 70}) {
    Case from(66, 300, 36, true);
    from.user.fill_normal(random);
    from.item.fill_normal(random);
    from.mask_random(random, 6);
    const Lists all = ranked(on, from, k), again = ranked(on, from, k);
    CHECK(all.item == again.item);
    CHECK(same_bits(all.score.view(), again.score.view()));
    if (on.backend == "cpu") continue;
    const Lists in_turn = ranked(backends(0).back(), from, k);
    CHECK(all.item == in_turn.item);
    CHECK(same_bits(all.score.view(), in_turn.score.view()));
    const Values<int32_t> alone = {65};
    from.user_row = from.user_id = alone;
    const Lists one = ranked(on, from, k);
    CHECK(same_bits(one.score.view(), all.score.view().rows_from(65, 1)));
    for (int64_t place = 0; place < k; ++place)
      CHECK(one.item_at(0, place) == all.item_at(65, place));
  }
}

TEST_CASE("ranking: lists of several tiles, vectors and masks in any order", "[kernels]") {
  const int64_t scratch = GENERATE(int64_t{0}, kAmpleScratch);
  const Ranking on = GENERATE_COPY(from_range(backends(scratch)));
  if (on.backend == "cpu" && scratch == 0) return;
  CAPTURE(on.backend);
  std::mt19937_64 random(83);
  for (int64_t lists : {63, 64, 65, 127, 128, 129, 300}) {
    if (on.backend == "cuda" && (lists == 63 || lists == 127 || lists == 129)) continue;
    CAPTURE(lists);
    Case from(40, 330, 3);
    from.fill_whole(random, 5).mask_random(random, 4).mask_random(random, 9).mask_random(random, 1);
    from.user_row.clear(), from.user_id.clear();
    for (int64_t l = 0; l < lists; ++l) {
      from.user_row.push_back(int32_t(random() % 40));
      from.user_id.push_back(int32_t(random() % 40));
    }
    end_memory_behind(from.user_row, from.user_id);
    check_exactly(on, from, 10);
  }
}

TEST_CASE("ranking: all scores equal, everything masked, only some items allowed", "[kernels]") {
  const int64_t scratch = GENERATE(int64_t{0}, kAmpleScratch);
  const Ranking on = GENERATE_COPY(from_range(backends(scratch)));
  if (on.backend == "cpu" && scratch == 0) return;
  CAPTURE(on.backend);
  std::mt19937_64 random(84);
  for (int64_t items : {7, 300, on.backend == "cpu" ? 5000 : 600}) {
    for (int64_t k : {3, 20, 100}) {
      CAPTURE(items, k);
      Case equal(2, items, 2);
      equal.fill_whole(random, 0);
      check_exactly(on, equal, k);

      Case masked(3, items, 4);
      masked.fill_whole(random, 4);
      std::vector<int32_t> all(static_cast<size_t>(items));
      std::iota(all.begin(), all.end(), 0);
      std::vector<int32_t> all_but_one = all;
      all_but_one.erase(all_but_one.begin() + items / 2);
      masked.masks.push_back(make_graph("most", {all, all_but_one, {}}, items));
      check_exactly(on, masked, k);

      Case allowed(3, items, 4);
      allowed.fill_whole(random, 4).mask_random(random, 3);
      for (int64_t i = 0; i < items; ++i) allowed.allowed.push_back(i % 9 == 4);
      check_exactly(on, allowed, k);
      std::fill(allowed.allowed.begin(), allowed.allowed.end(), uint8_t{0});
      check_exactly(on, allowed, k);
    }
  }
}

TEST_CASE("ranking: no items, no lists, no dimensions", "[kernels]") {
  const Ranking on = GENERATE(from_range(every_way()));
  CAPTURE(on.backend);
  check_exactly(on, Case(3, 0, 4), 5);
  check_exactly(on, Case(0, 9, 4), 5);
  check_exactly(on, Case(3, 9, 0), 5);
}

TEST_CASE("ranking: real-valued scores, within rounding", "[kernels]") {
  const Ranking on = GENERATE(from_range(backends(0)));  // a block has all tiles and chunks in turn
  CAPTURE(on.backend);
  std::mt19937_64 random(85);
  const bool aligned = GENERATE(false, true), emulated = on.backend == "cuda";
  const int64_t items = emulated ? 190 : 700;  // a tile and a half
  for (int64_t dim : {1, 2, 31, 32, 33, 64, 128, 129, 132, 200}) {
    for (int64_t k : {1, 20, 150}) {
      if (aligned && dim % 2 != 0) continue;
      if (emulated && (dim == 200 || (dim % 2 == 0 && aligned == (dim == 128)))) continue;
      if (emulated && k != 20 && dim != 33 && dim != 132) continue;
      CAPTURE(dim, k, aligned);
      Case from(6, items, dim, aligned);
      from.user.fill_normal(random);
      from.item.fill_normal(random);
      from.mask_random(random, 6);
      const Lists got = ranked(on, from, k);
      Agreement agreement;
      for (size_t l = 0; l < 6; ++l) {
        std::vector<bool> listed(size_t(items), false);
        double last = 0, last_bound = 0;
        for (int64_t place = 0; place < k; ++place) {
          const int32_t id = got.item_at(int64_t(l), place);
          REQUIRE((id >= 0 && id < items && from.may_show(l, id) && !listed[size_t(id)]));
          listed[size_t(id)] = true;
          const Sum sum = from.score(l, id);
          const float score = got.score.view()(int64_t(l), place);
          agreement.compare(score, sum.value, rounding_bound(sum), "list ", l, ", item ", id);
          last = sum.value, last_bound = rounding_bound(sum);
          if (place == 0) continue;
          const float before = got.score.view()(int64_t(l), place - 1);
          REQUIRE((before > score || (before == score && got.item_at(int64_t(l), place - 1) < id)));
        }
        for (int32_t i = 0; i < items; ++i) {
          if (listed[size_t(i)] || !from.may_show(l, i)) continue;
          const Sum sum = from.score(l, i);
          REQUIRE(sum.value <= last + last_bound + rounding_bound(sum));
        }
      }
      INFO(agreement.text());
      CHECK(agreement.holds());
    }
  }
}

TEST_CASE("ranking: a list is the same whichever others are asked for on the CPU", "[kernels]") {
  const Ranking on = GENERATE(from_range(backends()));
  if (on.backend != "cpu") return;
  std::mt19937_64 random(90);
  Case from(100, 6000, 40);
  from.user.fill_normal(random);
  from.item.fill_normal(random);
  from.mask_random(random, 6);
  const Lists all = ranked(on, from, 20);
  for (int32_t l : {0, 13, 47, 48, 99}) {
    CAPTURE(l);
    from.user_row = from.user_id = {l};
    const Lists alone = ranked(on, from, 20);
    for (int64_t place = 0; place < 20; ++place) {
      CHECK(alone.item_at(0, place) == all.item_at(l, place));
      CHECK(alone.score.view()(0, place) == all.score.view()(l, place));
    }
  }
}

TEST_CASE("ranking: the same lists with 1, 2 and 3 threads", "[kernels][threads]") {
  std::mt19937_64 random(86);
  Case from(300, 500, 33);
  from.user.fill_normal(random);
  from.item.fill_normal(random);
  from.mask_random(random, 6);
  std::vector<Lists> lists;
  for (int threads : {1, 2, 3}) {
    const cpu::ThreadsInUse use(threads);
    lists.push_back(ranked(on_cpu(), from, 20));
  }
  for (size_t n : {size_t{1}, size_t{2}}) {
    CHECK(lists[0].item == lists[n].item);
    CHECK(same_bits(lists[0].score.view(), lists[n].score.view()));
  }
}

TEST_CASE("ranking: refuses scores that are not finite, masked or not", "[kernels]") {
  const Ranking on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  std::mt19937_64 random(87);
  const int64_t lists = on.backend == "cpu" ? 200 : 70;
  const auto refused = [&](int64_t row, float user_value, int64_t item, float item_value) {
    for (bool masked : {false, true}) {
      Case from(lists, 310, 5);
      from.fill_whole(random, 3);
      if (masked) {
        std::vector<std::vector<int32_t>> seen(static_cast<size_t>(lists));
        for (int32_t i = 0; i < 310; ++i) seen[size_t(row)].push_back(i);
        from.masks.push_back(make_graph("seen", seen, 310));
        from.allowed.assign(310, 0);
      }
      from.user.view()(row, 2) = user_value;
      from.item.view()(item, 2) = item_value;
      Lists got(lists, 20);
      CHECK_THROWS_AS(on.rank(from.request(), got.items(), got.score.view()), std::domain_error);
    }
  };
  refused(lists * 3 / 4, kNan, 0, 1);
  refused(0, 1, 309, kNan);
  refused(3, kInfinity, 7, 1);
  refused(3, 1, 7, -kInfinity);
  refused(lists - 1, 1e30f, 300, 1e30f);  // finite vectors, a product that is not

  // The first place is named, though its panel of items comes later.
  const int64_t many = on.backend == "cpu" ? 5200 : 520;
  Case panels(30, many, 2);
  panels.fill_whole(random, 1);
  panels.item.view()(many - 1, 0) = kInfinity;
  panels.user.view()(7, 1) = kNan;
  Lists none(30, 4);
  CHECK_THROWS_WITH(on.rank(panels.request(), none.items(), none.score.view()),
                    Catch::Contains("list 0 for item " + std::to_string(many - 1)));

  Case from(2, 300, 3);
  from.fill_whole(random, 1);
  from.user.view()(1, 0) = kNan;
  Lists got(2, 4);
  CHECK_THROWS_WITH(on.rank(from.request(), got.items(), got.score.view()),
                    Catch::Contains("list 1 for item 0 is not finite"));
}

TEST_CASE("ranking: accepts large scores that are finite", "[kernels]") {
  const Ranking on = GENERATE(from_range(every_way()));
  CAPTURE(on.backend);
  Case from(1, 3, 2);
  from.user.view()(0, 0) = 1e19f, from.user.view()(0, 1) = 0;
  for (int64_t i = 0; i < 3; ++i)
    from.item.view()(i, 0) = float(1 + i) * 1e19f, from.item.view()(i, 1) = 0;
  const Lists got = ranked(on, from, 3);
  CHECK((got.item_at(0, 0) == 2 && got.item_at(0, 1) == 1 && got.item_at(0, 2) == 0));
}

TEST_CASE("ranking: refuses shapes that do not fit", "[kernels]") {
  const Ranking on = GENERATE(from_range(every_way()));
  CAPTURE(on.backend);
  std::mt19937_64 random(88);
  Case from(4, 30, 3);
  from.fill_whole(random, 2).mask_random(random, 3);
  Lists got(4, 5);
  const auto refused = [&](const RankingRequest& request, const char* why) {
    CHECK_THROWS_WITH(on.rank(request, got.items(), got.score.view()), Catch::Contains(why));
  };
  RankingRequest request = from.request();
  request.item.cols = 2;
  refused(request, "same width");
  request = from.request();
  request.user_id.size = 3;
  refused(request, "one user id per list");
  request = from.request();
  request.masks = 4;
  refused(request, "at most 3 masks");
  request = from.request();
  request.mask[0].cols = 29;
  refused(request, "cover all items");
  request = from.request();
  const Values<uint8_t> flags(29);
  request.allowed = {flags.data(), 29};
  refused(request, "one allowed flag per item");
  request = from.request();
  request.user_row.size = request.user_id.size = 3;
  refused(request, "[lists, k]");
  const Values<int32_t> beyond = {0, 1, 4, 2};
  request = from.request();
  request.user_row = {beyond.data(), 4};
  refused(request, "user_row");
  request = from.request();
  request.user_id = {beyond.data(), 4};
  refused(request, "user_id");
}

// ---- reduced precision: lists and bits of fp32, and how many lists have to be made in it ----

namespace {

// Item i scores shift + i - items / 2, by its last column; the others are 0. With an odd number of
// items their mean is the shift; up to 512 are exact in bfloat16 then.
Case line_of_items(int64_t lists, int64_t items, int64_t dim = 1, float shift = 0) {
  Case from(lists, items, dim);
  std::mt19937_64 unused(1);
  from.fill_whole(unused, 0);
  for (int64_t u = 0; u < lists; ++u) from.user.view()(u, dim - 1) = 1;
  for (int64_t i = 0; i < items; ++i) from.item.view()(i, dim - 1) = shift + float(i - items / 2);
  return from;
}

// Unit rows around one direction, as before training.
void fill_nearly_parallel(GuardedMatrix& m, std::mt19937_64& random) {
  m.fill_normal(random, 0.04f / std::sqrt(float(m.view().cols)));
  for (int64_t r = 0; r < m.view().rows; ++r) {
    double square = 0;
    m.view()(r, 0) += 1.0f;
    for (int64_t c = 0; c < m.view().cols; ++c) square += double(m.view()(r, c)) * m.view()(r, c);
    for (int64_t c = 0; c < m.view().cols; ++c) m.view()(r, c) /= float(std::sqrt(square));
  }
}

// Half the distance of neighbours above 1: how far rounding goes at most.
float half_step(const Ranking& on) { return on.backend == "cuda tf32" ? 0x1p-11f : 0x1p-8f; }

}  // namespace

// What is dropped is at least k below the last on the list, and the margin about 2^-7 of the
// largest: 1/2 of 64, 1 of 128.
TEST_CASE("ranking: searched lists far from the rest are certain", "[kernels]") {
  const int64_t scratch = GENERATE(int64_t{0}, kAmpleScratch);
  for (const Ranking& on : searches(scratch)) {
    CAPTURE(on.backend, scratch);
    for (int64_t k : {1, 20, 32}) {
      for (int64_t items :
           {k - 1, k, k + 1, 2 * k - 1, 2 * k, 2 * k + 1, int64_t{k == 1 ? 129 : 257}}) {
        if (scratch == 0 && items < 129) continue;
        CAPTURE(k, items);
        CHECK(check_exactly(on, line_of_items(3, items), k) == 0);
      }
    }
    if (scratch == 0) continue;
    for (int64_t dim : {32, 128, 129, 256, 257}) {
      CAPTURE(dim);
      CHECK(check_exactly(on, line_of_items(3, 129, dim), 20) == 0);
    }
    CHECK(check_exactly(on, line_of_items(65, 129, 65), 20) == 0);
  }
}

// The second best is 1 below the best: 2^-10 of 1064 is more, 2^-7 of 64 less.
TEST_CASE("ranking: a search knows items by their distance from the mean", "[kernels]") {
  for (const Ranking& on : searches()) {
    CAPTURE(on.backend);
    CHECK(check_exactly(on, line_of_items(2, 129, 3, 1000), 1) == 0);
  }
}

TEST_CASE("ranking: a search passes over masked and forbidden items", "[kernels]") {
  const int64_t scratch = GENERATE(int64_t{0}, kAmpleScratch);
  std::vector<int32_t> best(200), few = {256, 254, 100, 3};
  std::iota(best.begin(), best.end(), 57);
  std::sort(few.begin(), few.end());
  for (const Ranking& on : searches(scratch)) {
    CAPTURE(on.backend, scratch);
    Case from = line_of_items(4, 257);
    from.masks.push_back(make_graph("best", {best, {}, few, {256}}, 257));
    from.masks.push_back(make_graph("more", {{0, 56}, {255}, {}, best}, 257));
    from.user_id = Values<int32_t>{2, 0, 3, 1};
    CHECK(check_exactly(on, from, 20) == 0);
    for (int64_t i = 0; i < 257; ++i) from.allowed.push_back(i % 3 != 1);
    CHECK(check_exactly(on, from, 20) == 0);
    std::fill(from.allowed.begin() + 19, from.allowed.end(), uint8_t{0});
    CHECK(check_exactly(on, from, 20) == 0);
  }
}

// More than 2k items tie for the positive users: which of them are dropped must not matter.
TEST_CASE("ranking: lists that a search cannot tell are made in fp32, and only these",
          "[kernels]") {
  const int64_t scratch = GENERATE(int64_t{0}, kAmpleScratch);
  for (const Ranking& on : searches(scratch)) {
    CAPTURE(on.backend, scratch);
    constexpr int64_t kLists = 130;
    Case from = line_of_items(kLists, 257);
    for (int64_t i = 150; i < 257; ++i) from.item.view()(i, 0) = 99;
    int64_t positive = 0;
    for (int64_t u = 0; u < kLists; ++u) {
      from.user.view()(u, 0) = u % 3 == 1 ? 1.0f : -1.0f;
      positive += u % 3 == 1;
    }
    // What list l shows is neither of vector l's user nor of the l-th list of a launch.
    std::reverse(from.user_row.begin(), from.user_row.end());
    std::mt19937_64 random(94);
    from.mask_random(random, 20);
    CHECK(check_exactly(on, from, 20) == positive);
    // Of two 2k-th best items with one score, the one dropped is no better than the one kept.
    Case two = line_of_items(1, 257);
    two.item.view()(256 - 40, 0) = two.item.view()(256 - 39, 0);
    CHECK(check_exactly(on, two, 20) == 0);
  }
}

// Items 40 to 59 belong on the list; rounding makes them equal to 20 to 39, which are found first.
// What is kept is better than all that rounding makes of the rest, by three quarters of what it
// errs: users and items are both rounded down by all that rounding can.
TEST_CASE("ranking: a search whose rounding misleads it knows", "[kernels]") {
  for (const Ranking& on : searches()) {
    CAPTURE(on.backend);
    const float half = half_step(on), below = half - 0x1p-20f;
    Case from(2, 120, 2);
    for (int64_t u = 0; u < 2; ++u) {
      from.user.view()(u, 0) = 1 + below;
      from.user.view()(u, 1) = 0x1p-4f;
    }
    for (int64_t i = 0; i < 60; ++i) {
      const float value[] = {i < 40 ? 1 : 1 + below, i < 20 ? 8 * half : 0};
      for (int64_t c = 0; c < 2; ++c) {
        from.item.view()(i, c) = value[c];
        from.item.view()(i + 60, c) = -value[c];
      }
    }
    CHECK(check_exactly(on, from, 20) == 2);
  }
}

TEST_CASE("ranking: a search gives the bits of fp32", "[kernels]") {
  const int64_t scratch = GENERATE(int64_t{0}, kAmpleScratch);
  const std::vector<Ranking> ways = searches(scratch);
  std::mt19937_64 random(91);
  for (int64_t dim : {1, 31, 33, 64, 65, 132, 257}) {
    for (int64_t k : {1, 20, 32}) {
      if (k != 20 && dim != 33) continue;
      if (scratch == 0 && dim != 64) continue;
      for (bool parallel : {false, true}) {
        if (parallel && dim != 31 && dim != 64) continue;
        CAPTURE(scratch, dim, k, parallel);
        Case from(dim == 64 ? 66 : 3, 140, dim, dim % 4 == 0);
        for (GuardedMatrix* m : {&from.user, &from.item}) {
          if (parallel)
            fill_nearly_parallel(*m, random);
          else
            m->fill_normal(random);
        }
        from.mask_random(random, 20);
        check_like_fp32(ways, from, k);
      }
    }
  }
}

TEST_CASE("ranking: a search among items one unit in the last place apart", "[kernels]") {
  const std::vector<Ranking> ways = searches();
  std::mt19937_64 random(92);
  Case from(5, 260, 8);
  from.user.fill_normal(random);
  for (int64_t i = 0; i < 260; ++i)
    for (int64_t c = 0; c < 8; ++c)
      from.item.view()(i, c) = 0.25f + float(int64_t(random() % 5)) * 0x1p-25f;
  check_like_fp32(ways, from, 20);
  for (int64_t i = 0; i < 260; ++i)  // three clusters
    for (int64_t c = 0; c < 8; ++c) from.item.view()(i, c) *= float(i % 3 + 1);
  check_like_fp32(ways, from, 20);
}

TEST_CASE("ranking: a search with zero, tiny and huge vectors", "[kernels]") {
  const std::vector<Ranking> ways = searches();
  std::mt19937_64 random(93);
  Case from(7, 140, 5);
  const auto scale = [](MatrixView<float> m, int64_t row, float by) {
    for (int64_t c = 0; c < m.cols; ++c) m(row, c) *= by;
  };
  from.user.fill_normal(random);
  from.item.fill_normal(random);
  scale(from.user.view(), 0, 0);
  scale(from.user.view(), 1, 0x1p-149f);
  scale(from.user.view(), 2, 0x1p-130f);
  scale(from.user.view(), 3, 0x1p60f);
  scale(from.user.view(), 4, 0x1p100f);
  check_like_fp32(ways, from, 20);
  for (int64_t i = 0; i < 140; i += 2) scale(from.item.view(), i, 0);
  check_like_fp32(ways, from, 20);
  for (int64_t i = 1; i < 140; i += 2) scale(from.item.view(), i, 0x1p-126f);
  check_like_fp32(ways, from, 20);
  from.user.fill_normal(random);
  from.item.fill_normal(random);
  for (int64_t i = 0; i < 140; ++i) scale(from.item.view(), i, 0x1p123f);
  for (int64_t u = 0; u < 7; ++u) scale(from.user.view(), u, 0x1p-4f);
  check_like_fp32(ways, from, 20);
  for (int64_t i = 0; i < 140; ++i) scale(from.item.view(), i, 0x1p-110f);
  for (int64_t u = 0; u < 7; ++u) scale(from.user.view(), u, 0x1p-120f);
  check_like_fp32(ways, from, 20);
}

// A list that cannot be told is made again as itself, and named as itself.
TEST_CASE("ranking: a search names the list and the item that fp32 refuses", "[kernels]") {
  for (const Ranking& on : searches()) {
    CAPTURE(on.backend);
    Case from = line_of_items(80, 257);
    for (int64_t u : {71, 75}) from.user.view()(u, 0) = 1e38f;
    from.user.view()(71, 0) = -1e38f;
    from.item.view()(9, 0) = 5;
    for (int64_t i = 0; i < 257; ++i)
      if (i != 30) from.item.view()(i, 0) *= 0x1p-8f;
    Lists got(80, 20);
    CHECK_THROWS_WITH(on.rank(from.request(), got.items(), got.score.view()),
                      Catch::Contains("list 71 for item 30 is not finite"));
    from.user.view()(70, 0) = kNan;
    CHECK_THROWS_WITH(on.rank(from.request(), got.items(), got.score.view()),
                      Catch::Contains("list 70 for item 0 is not finite"));
    for (float value : {kNan, kInfinity}) {
      from.item.view()(256, 0) = value;
      CHECK_THROWS_WITH(on.rank(from.request(), got.items(), got.score.view()),
                        Catch::Contains("list 0 for item 256 is not finite"));
    }
  }
}

TEST_CASE("ranking: a search with ids out of range", "[kernels]") {
  for (const Ranking& on : searches()) {
    CAPTURE(on.backend);
    for (int32_t id : {-1, 3}) {
      CAPTURE(id);
      Case from = line_of_items(3, 257);
      from.masks.push_back(make_graph("seen", {{}, {}, {}}, 257));
      Lists got(3, 20);
      from.user_id[1] = id;
      CHECK_THROWS_WITH(on.rank(from.request(), got.items(), got.score.view()),
                        Catch::Contains("user_id"));
      from.user_id[1] = 1;
      from.user_row[2] = id;
      CHECK_THROWS_WITH(on.rank(from.request(), got.items(), got.score.view()),
                        Catch::Contains("user_row"));
    }
  }
}

TEST_CASE("ranking: long lists are made in fp32 at once", "[kernels]") {
  for (const Ranking& on : searches()) {
    CAPTURE(on.backend);
    CHECK(check_exactly(on, line_of_items(2, 257), 33) == 0);
    CHECK(check_exactly(on, line_of_items(2, 257), 300) == 0);
  }
}

}  // namespace rec::test
