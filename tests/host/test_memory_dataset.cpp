// Datasets of arrays: the same as the folder that holds the same data, and refused likewise.
#include <catch2/catch.hpp>
#include <limits>

#include "host/dataset/dataset_writer.h"
#include "host/library/memory_dataset.h"
#include "tests/host/arrays.h"
#include "tests/host/files.h"

namespace rec::test {
namespace {

void check_refused(const SmallArrays& small, const std::vector<std::string>& words) {
  const std::string sentence = refusal([&] { dataset_of(small.arrays()); });
  for (const std::string& word : words) CHECK_THAT(sentence, Catch::Contains(word));
}

}  // namespace

TEST_CASE("memory dataset: the same as the folder of the same data") {
  const TemporaryFolder folder;
  put_small_dataset(folder, "data");
  const Dataset read = load_dataset(folder / "data"), made = dataset_of(SmallArrays().arrays());
  CHECK(made.fingerprint == read.fingerprint);
  CHECK(made.in_memory);
  CHECK_FALSE(read.in_memory);
  CHECK(made.name == read.name);
  CHECK(made.users == read.users);
  CHECK(made.items == read.items);
  for (Split split : {Split::train, Split::valid, Split::test}) {
    CHECK(made.split(split).row_start == read.split(split).row_start);
    CHECK(made.split(split).col == read.split(split).col);
    CHECK(made.split(split).rows == read.split(split).rows);
    CHECK(made.split(split).cols == read.split(split).cols);
  }
  CHECK(made.item_table.original_id == read.item_table.original_id);
  CHECK(made.item_table.title == read.item_table.title);
  CHECK(made.user_name(3) == "3");
}

TEST_CASE("memory dataset: language vectors are the caller's, for as long as a dataset has them") {
  SmallArrays small;
  const std::weak_ptr<const float> watched = small.language;
  const float* const values = small.language.get();
  Dataset first = dataset_of(small.arrays());
  small.language.reset();
  CHECK(first.language.view().data == values);
  {
    const Dataset copy = first;
    first.language = {};
    CHECK(copy.language.view().data == values);
    CHECK_FALSE(watched.expired());
  }
  CHECK(watched.expired());
}

TEST_CASE("memory dataset: only train must be there") {
  SmallArrays small;
  small.valid = small.test = HostCsr();
  small.language.reset();
  small.item_ids.clear();
  small.titles.clear();
  const Dataset data = dataset_of(small.arrays());
  CHECK(data.items == 6);
  CHECK_FALSE(data.has_language());
  CHECK(data.valid.rows == 4);
  CHECK(data.item_name(5) == "5");
  CHECK(data.item_title(5) == "");
  SECTION("and the folder of it has as many items, though no split names the last") {
    const TemporaryFolder folder;
    write_dataset(folder / "data", data);
    const Dataset read = load_dataset(folder / "data");
    CHECK(read.items == 6);
    CHECK(read.fingerprint == data.fingerprint);
    CHECK(read.item_name(5) == "5");
    CHECK(read.item_title(5) == "");
  }
}

TEST_CASE("memory dataset: accepted and counted") {
  const std::string before = dataset_of(SmallArrays().arrays()).fingerprint;
  SmallArrays small;
  SECTION("rows in any order") {
    small.train.col = {2, 0, 1, 3, 1, 0, 3, 2};
    CHECK(dataset_of(small.arrays()).fingerprint == before);
  }
  SECTION("repeats, once or each time") {
    small.train.col = {2, 0, 1, 3, 1, 0, 3, 2, 2};
    small.train.row_start = {0, 3, 5, 7, 9};
    CHECK(dataset_of(small.arrays()).fingerprint == before);
    CHECK(dataset_of(small.arrays()).duplicates == 1);
    DatasetOptions options;
    options.repeats = Repeats::each;
    CHECK(dataset_of(small.arrays(), options).train.col ==
          std::vector<int32_t>{0, 1, 2, 1, 3, 0, 3, 2, 2});
  }
  SECTION("an overlap, and a user who owns everything, when asked to") {
    small.train.col = {0, 1, 2, 3, 4, 5, 0, 2};
    small.train.row_start = {0, 6, 6, 7, 8};
    DatasetOptions options;
    options.allow_overlap = options.allow_owning_all = true;
    CHECK(dataset_of(small.arrays(), options).train.entries() == 8);
  }
  SECTION("titles without ids, ids without titles, tabs in titles") {
    small.item_ids.clear();
    small.titles[1] = "a\tb\nc";
    CHECK(dataset_of(small.arrays()).item_name(1) == "1");
    CHECK(dataset_of(small.arrays()).item_title(1) == "a b c");
    small = SmallArrays();
    small.titles.clear();
    CHECK(dataset_of(small.arrays()).item_title(1) == "b");
    small.user_ids = {"ann", "bob", "cy", "di"};
    CHECK(dataset_of(small.arrays()).user_name(2) == "cy");
  }
}

TEST_CASE("memory dataset: what does not fit together is refused") {
  SmallArrays small;
  SECTION("no interactions") {
    small.train.col.clear();
    small.train.row_start.assign(5, 0);
    check_refused(small, {"train", "holds no interactions"});
  }
  SECTION("ids out of range") {
    small.test.col[0] = 6;
    check_refused(small, {"test: user 0 has item 6", "0 to 5"});
    small.test.col[0] = -1;
    check_refused(small, {"test: user 0 has item -1", "0 to 5"});
  }
  SECTION("offsets that fall") {
    small.train.row_start[2] = 1;
    check_refused(small, {"train: user 1", "never fall"});
  }
  SECTION("offsets that begin elsewhere") {
    small.train.row_start[0] = 1;
    check_refused(small, {"train: user 0", "begin with 0"});
  }
  SECTION("an interaction in two splits") {
    small.valid.col[0] = 2;
    check_refused(small, {"user 0 has item 2", "both train and valid"});
  }
  SECTION("a user who owns everything") {
    small.train.col = {0, 1, 2, 3, 4, 5, 0, 2};
    small.train.row_start = {0, 6, 6, 7, 8};
    check_refused(small, {"train: user 0", "all 6 items"});
  }
  SECTION("fewer vectors than items") {
    small.language_items = 5;
    check_refused(small, {"language vectors: has 5 rows", "one row per item"});
  }
  SECTION("a vector without a direction, or that is no number") {
    small.language.get()[4] = small.language.get()[5] = 0;
    check_refused(small, {"language vectors: row 2", "all zero"});
    small.language.get()[5] = std::numeric_limits<float>::quiet_NaN();
    check_refused(small, {"language vectors: row 2", "not finite"});
  }
  SECTION("other numbers of ids and titles") {
    small.titles.pop_back();
    check_refused(small, {"6 ids", "5 titles"});
    small.item_ids.pop_back();
    check_refused(small, {"item ids", "names 5 items"});
    small = SmallArrays();
    small.user_ids = {"ann"};
    check_refused(small, {"user ids", "names 1 users"});
  }
  SECTION("ids that cannot stand in a table") {
    for (const char* id : {"", "a", "x\ty", "x\ny", "\xFF"}) {
      small.item_ids[3] = id;
      CAPTURE(id);
      check_refused(small, {"item ids: number 3"});
    }
  }
  SECTION("items far apart") {
    small.language.reset();
    small.item_ids.clear();
    small.titles.clear();
    small.train.cols = 50'000'000;
    check_refused(small, {"data: item 49999999", "numbered 0, 1, 2"});
  }
}

}  // namespace rec::test
