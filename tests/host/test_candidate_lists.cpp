// Files of candidate lists: what they mean, and what is refused.
#include <catch2/catch.hpp>

#include "host/run/candidate_lists.h"
#include "tests/host/files.h"

namespace rec::test {
namespace {

using Items = std::vector<int32_t>;

// Test items: 4 of user 0, 2 of user 1, 0 and 1 of user 3. User 2 has none.
struct SmallDataset {
  TemporaryFolder folder;
  Dataset data;

  SmallDataset() {
    put_small_dataset(folder);
    data = load_dataset(folder.path());
  }
  CandidateLists parse(const std::string& text, bool pooled = false) const {
    return parse_candidate_lists(text, "lists.txt", data, Split::test, pooled);
  }
};

}  // namespace

TEST_CASE("candidate lists: a line a list, users ascending, the positive anywhere") {
  const SmallDataset small;
  const CandidateLists lists = small.parse("3 1 4\r\n1 4 5 2\n\n0 4\t5\n3 5 0 3\n");
  CHECK(lists.user == Items{0, 1, 3, 3});
  CHECK(lists.candidate.col == Items{4, 5, 2, 4, 5, 1, 4, 0, 3, 5});
  CHECK(lists.candidate.row_start == std::vector<int64_t>{0, 2, 5, 7, 10});
  CHECK(lists.positive.col == Items{4, 2, 1, 0});
}

TEST_CASE("candidate lists: pooled, a line may hold negatives alone") {
  const SmallDataset small;
  const CandidateLists lists = small.parse("3 4\n1 4 5\n3 1 5\n", true);
  CHECK(lists.user == Items{1, 3});
  CHECK(lists.candidate.col == Items{2, 4, 5, 0, 1, 4, 5});
  CHECK(lists.positive.col == Items{2, 0, 1});
}

TEST_CASE("candidate lists: written and read back") {
  const SmallDataset small;
  const std::string file = small.folder / "lists.txt";
  for (const bool pooled : {false, true}) {
    const CandidateLists lists = small.parse("1 4 5 2\n3 1 4\n3 5 0 4\n", pooled);
    write_candidate_lists(file, lists);
    const CandidateLists again = read_candidate_lists(file, small.data, Split::test, pooled);
    CHECK(again.user == lists.user);
    CHECK(again.candidate.col == lists.candidate.col);
    CHECK(again.candidate.row_start == lists.candidate.row_start);
    CHECK(again.positive.col == lists.positive.col);
    CHECK(get(file).substr(0, 8) == "1 2 4 5\n");
  }
}

TEST_CASE("candidate lists: what is refused") {
  const SmallDataset small;
  struct Case {
    std::string text, sentence;
    bool pooled = false;
  };
  for (const Case& c : std::vector<Case>{
           {"", "lists.txt: holds no candidates"},
           {"0 4 x\n", "lists.txt:1: 'x' is not a number"},
           {"0 4 5\n0 4 -1\n", "lists.txt:2: id -1 is negative"},
           {"0 4 99999999999\n", "lists.txt:1: id 99999999999 is too large"},
           {"4 4 5\n", "lists.txt:1: user 4 is not in"},
           {"0 4 6\n", "lists.txt:1: item 6 is not in"},
           {"0 4 5 5\n", "lists.txt:1: item 5 stands twice"},
           {"0 4\n", "lists.txt:1: holds no negative"},
           {"0\n", "lists.txt:1: holds no negative"},
           {"0 4 5\n1 5 4\n", "lists.txt:2: holds 0 items of user 1's test split"},
           {"3 0 1 5\n", "lists.txt:1: holds 2 items of user 3's test split"},
           {"0 4 1\n", "lists.txt:1: item 1 is in user 0's train split"},
           {"0 4 3\n", "lists.txt:1: item 3 is in user 0's valid split"},
           {"2 4\n", "lists.txt:1: user 2 has no item in the test split", true},
       }) {
    CAPTURE(c.text);
    CHECK_THAT(refusal([&] { small.parse(c.text, c.pooled); }), Catch::StartsWith(c.sentence));
  }
}

}  // namespace rec::test
