// Groups of an evaluation's users and of items: who falls into which, and that nobody is lost.
#include <catch2/catch.hpp>

#include "host/commands/evaluation_groups.h"
#include "tests/host/files.h"
#include "tests/support/small_data.h"

namespace rec::test {
namespace {

// Train degrees 1 to `users`; everyone looks for the item of her own number, which degree(u) made
// popular: item i is in the train lists of users i .. users - 1, but never her own.
Dataset stairs(int64_t users) {
  Dataset data;
  data.users = users;
  data.items = users + 1;
  Lists train, test;
  for (int64_t u = 0; u < users; ++u) {
    std::vector<int32_t> own;
    for (int64_t i = 0; i <= u; ++i) own.push_back(int32_t(i));
    train.push_back(own);
    test.push_back({int32_t(u + 1)});
  }
  data.train = csr_of(train, data.items);
  data.test = csr_of(test, data.items);
  data.valid = csr_of(Lists(size_t(users)), data.items);
  return data;
}

// recall@1 of user u is u.
Evaluation evaluation_of(const std::vector<int32_t>& users) {
  Evaluation evaluation;
  evaluation.cutoffs = {1};
  evaluation.users = int64_t(users.size());
  for (int32_t u : users) evaluation.per_user.push_back({u, {{double(u), 0, 0, 0, 0, 0}}});
  return evaluation;
}

}  // namespace

TEST_CASE("groups: quarters of users by history") {
  const Dataset data = stairs(8);
  const auto groups = user_groups(data, evaluation_of({0, 1, 2, 3, 4, 5, 6, 7}));
  REQUIRE(groups.size() == 4);
  CHECK(groups[0].name == "history 1 to below 3");
  CHECK(groups[3].name == "history 7 and more");
  for (size_t g = 0; g < 4; ++g) {
    CHECK(groups[g].mean.users == 2);
    CHECK(groups[g].mean.at[0][0] == 2 * double(g) + 0.5);
  }
}

TEST_CASE("groups: equal users stay together, and only evaluated ones count") {
  const Dataset data = stairs(8);
  const auto one = user_groups(data, evaluation_of({5}));
  REQUIRE(one.size() == 1);
  CHECK(one[0].name == "history 6 and more");
  CHECK(one[0].mean.users == 1);
  CHECK(user_groups(data, evaluation_of({})).empty());

  Dataset flat = stairs(8);
  flat.train = csr_of(Lists(8, {0}), flat.items);
  const auto same = user_groups(flat, evaluation_of({0, 1, 2, 3, 4, 5, 6, 7}));
  REQUIRE(same.size() == 1);
  CHECK(same[0].mean.users == 8);
}

TEST_CASE("groups: quarters of items by training interactions, the cold apart") {
  // Item i < 8 is in 8 - i train lists, item 8 in none.
  const Dataset data = stairs(8);
  const ItemGroups groups = group_items(data);
  CHECK(groups.name == std::vector<std::string>{"cold items, no training interaction",
                                                "items with 1 to below 3 training interactions",
                                                "items with 3 to below 5 training interactions",
                                                "items with 5 to below 7 training interactions",
                                                "items with 7 and more training interactions"});
  CHECK(groups.group_of_item == std::vector<int32_t>{4, 4, 3, 3, 2, 2, 1, 1, 0});

  Dataset flat = stairs(2);
  flat.train = csr_of({{0, 1}, {0, 2}}, 3);
  CHECK(group_items(flat).name.front() == "items with 1 to below 2 training interactions");

  Evaluation evaluation = evaluation_of({0});
  evaluation.by_item_group = {{1, {{1}}}, {0, {{0}}}, {0, {{0}}}, {2, {{3}}}, {0, {{0}}}};
  const auto found = item_groups(groups, evaluation);
  REQUIRE(found.size() == 2);
  CHECK(found[0].name == groups.name[0]);
  CHECK(found[1].name == groups.name[3]);
  CHECK(found[1].mean.at[0][0] == 3);
}

}  // namespace rec::test
