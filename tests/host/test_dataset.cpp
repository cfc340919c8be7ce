// Loading datasets: the folder format, the authors' release tree, what is accepted and counted, and
// what does not fit together.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "host/dataset/dataset.h"
#include "host/dataset/dataset_facts.h"
#include "tests/host/files.h"

namespace rec::test {
namespace {

std::string refused(const TemporaryFolder& folder, const DatasetOptions& options = {}) {
  return refusal([&] { load_dataset(folder.path(), options); });
}

TEST_CASE("dataset: a folder loads as it says") {
  const TemporaryFolder folder;
  put_small_dataset(folder);
  put(folder / "config.toml", "");
  put(folder / "item_language.json", R"({"model":"tiny","width":2,"basis":"abc"})");
  const Dataset data = load_dataset(folder.path() + "/");
  CHECK(data.name == std::filesystem::path(folder.path()).filename());
  CHECK(data.users == 4);
  CHECK(data.items == 6);
  CHECK(data.train.row_start == std::vector<int64_t>{0, 3, 5, 7, 8});
  CHECK(data.train.col == std::vector<int32_t>{0, 1, 2, 1, 3, 0, 3, 2});
  CHECK(data.valid.row_start == std::vector<int64_t>{0, 1, 2, 3, 3});
  CHECK(data.test.col == std::vector<int32_t>{4, 2, 0, 1});
  for (const HostCsr* split : {&data.train, &data.valid, &data.test}) {
    CHECK(split->rows == 4);
    CHECK(split->cols == 6);
  }
  CHECK(data.language.view()(5, 0) == 2);
  CHECK(data.language_model.model == "tiny");
  CHECK(data.language_model.basis == "abc");
  CHECK(data.item_name(4) == "e");
  CHECK(data.item_title(4) == "Five");
  CHECK(data.user_name(3) == "3");
  CHECK(data.config_path == folder / "config.toml");
  CHECK(data.duplicates == 0);
}

TEST_CASE("dataset: float16 vectors are the float32 ones") {
  const TemporaryFolder folder;
  put_small_dataset(folder);
  const Dataset before = load_dataset(folder.path());
  const uint16_t one = 0x3C00, minus = 0xBC00, two = 0x4000;
  put(folder / "item_language.npy",
      npy_bytes({"<f2", "(6, 2)"},
                raw<uint16_t>({one, 0, 0, one, one, one, minus, 0, 0, minus, two, one})));
  CHECK(load_dataset(folder.path()).fingerprint == before.fingerprint);
}

TEST_CASE("dataset: the fingerprint follows splits and vectors, and nothing else") {
  const TemporaryFolder folder;
  put_small_dataset(folder);
  const std::string before = load_dataset(folder.path()).fingerprint;
  CHECK(before.size() == 16);
  put(folder / "items.tsv", get(folder / "items.tsv") + "\n");
  put(folder / "train.txt", "3 2\r\n2 3 0\r\n1 1 3\r\n0 0 1 2 2\r\n");  // the same interactions
  CHECK(load_dataset(folder.path()).fingerprint == before);
  put(folder / "test.txt", "0 4\n1 2\n3 0\n");
  CHECK(load_dataset(folder.path()).fingerprint != before);
  put(folder / "test.txt", "0 5\n1 2\n3 0 1\n");  // another item, as many
  CHECK(load_dataset(folder.path()).fingerprint != before);
  put_small_dataset(folder);
  put(folder / "item_language.npy",
      npy_bytes({"<f4", "(6, 2)"}, raw<float>({1, 0, 0, 1, 1, 1, -1, 0, 0, -1, 2, 1.5f})));
  CHECK(load_dataset(folder.path()).fingerprint != before);
}

TEST_CASE("dataset: only train.txt must be there") {
  const TemporaryFolder folder;
  put(folder / "train.txt", "0 0 5\n1 2\n");
  const Dataset data = load_dataset(folder.path());
  CHECK(data.items == 6);
  CHECK_FALSE(data.has_language());
  CHECK(data.valid.entries() == 0);
  CHECK(data.valid.rows == 2);
  CHECK(data.test.entries() == 0);
  CHECK(data.item_name(5) == "5");
  CHECK(data.item_title(5) == "");
  CHECK(data.language_model.model == "");
}

TEST_CASE("dataset: accepted and counted") {
  const TemporaryFolder folder;
  put_small_dataset(folder);
  SECTION("repeated interactions") {
    put(folder / "train.txt", "0 0 1 2 2\n1 1 3\n2 0 3\n3 2\n3 2\n");
    CHECK(load_dataset(folder.path()).duplicates == 2);
  }
  SECTION("users without training items, items in test only") {
    put(folder / "train.txt", "0 0 1 2\n1 1 3\n2 0 3\n");
    const DatasetFacts facts = facts_of(load_dataset(folder.path()));
    CHECK(facts.users.zero == 1);
    CHECK(facts.items.zero == 2);  // 4 is in test, 5 nowhere
    CHECK(facts.cold_items_asked_for == 1);
  }
  SECTION("a user who is in test alone") {
    put(folder / "test.txt", "0 4\n1 2\n3 0 1\n4 2\n");
    const Dataset data = load_dataset(folder.path());
    CHECK(data.users == 5);
    CHECK(data.train.view().degree(4) == 0);
  }
  SECTION("an overlap, when asked to") {
    put(folder / "test.txt", "0 4 0 3\n1 2\n");
    const Dataset data = load_dataset(folder.path(), {"", true});
    const DatasetFacts facts = facts_of(data);
    CHECK(facts.train_and_test == 1);
    CHECK(facts.valid_and_test == 1);
    CHECK(facts.train_and_valid == 0);
  }
  SECTION("more titles than the splits name items, without vectors") {
    std::filesystem::remove(folder / "item_language.npy");
    CHECK(load_dataset(folder.path()).items == 6);
  }
}

TEST_CASE("dataset: what does not fit together is refused") {
  struct Case {
    std::string name, file, content;
    std::vector<std::string> words;
  };
  const std::string titles = "0\ta\tOne\n1\tb\tTwo\n2\tc\tThree\n";
  const std::vector<Case> cases = {
      {"no interactions", "train.txt", "0\n1\n2\n3\n", {"train.txt", "holds no interactions"}},
      {"gap in users", "train.txt", "0 0\n1 1\n2 3\n3 2\n5 0\n", {"user 4", "no gap"}},
      {"item beyond the vectors", "test.txt", "0 6\n", {"item_language.npy", "6 rows", "item 6"}},
      {"user who owns everything",
       "train.txt",
       "0 0\n1 5 4 3 2 1 0\n2 0\n",
       {"user 1", "all 6 items"}},
      {"train and valid", "valid.txt", "2 3\n", {"user 2", "item 3", "train.txt and valid.txt"}},
      {"train and test", "test.txt", "3 2\n", {"user 3", "item 2", "train.txt and test.txt"}},
      {"valid and test", "test.txt", "0 3\n", {"user 0", "item 3", "valid.txt and test.txt"}},
      {"fewer titles", "items.tsv", titles, {"items.tsv", "3 items", "there are 6"}},
      {"more titles",
       "items.tsv",
       titles + "3\td\n4\te\n5\tf\n6\tg\n",
       {"items.tsv", "7 items", "6 rows"}},
      {"no titles", "items.tsv", "item\toriginal_id\ttitle\n", {"items.tsv", "holds no ids"}},
      {"another number of users", "users.tsv", "0\tann\n", {"users.tsv", "1 users", "have 4"}},
      {"vector of one dimension",
       "item_language.npy",
       npy_bytes({"<f4", "(6,)"}, raw<float>({1, 2, 3, 4, 5, 6})),
       {"1 dimensions"}},
      {"no vectors", "item_language.npy", npy_bytes({"<f4", "(0, 2)"}, ""), {"holds no vectors"}},
      {"whole numbers",
       "item_language.npy",
       npy_bytes({"<i4", "(3, 1)"}, raw<int32_t>({1, 2, 3})),
       {"whole numbers"}},
      {"zero vector",
       "item_language.npy",
       npy_bytes({"<f4", "(6, 1)"}, raw<float>({1, 2, 3, 0, 5, 6})),
       {"row 3", "all zero"}},
      {"float64 beyond float32",
       "item_language.npy",
       npy_bytes({"<f8", "(6, 1)"}, raw<double>({1, 2, 1e300, 4, 5, 6})),
       {"row 2", "not finite"}},
      {"damaged json", "item_language.json", "{", {"item_language.json", "not a JSON object"}},
      {"json of another kind", "item_language.json", "[]", {"not a JSON object"}},
      {"json with a number", "item_language.json", R"({"basis":7})", {"'basis'", "string"}},
      {"json of another width", "item_language.json", R"({"width":3})", {"width 3", "2 wide"}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const TemporaryFolder folder;
    put_small_dataset(folder);
    put(folder / c.file, c.content);
    const std::string sentence = refused(folder);
    for (const std::string& word : c.words) CHECK_THAT(sentence, Catch::Contains(word));
    CHECK_THAT(sentence, Catch::StartsWith(folder.path()));
  }
}

TEST_CASE("dataset: an item far beyond the others is a mistake, not a reason to ask for memory") {
  const TemporaryFolder folder;
  put(folder / "train.txt", "0 1 2147483646\n");
  CHECK_THAT(refused(folder), Catch::Contains("item 2147483646") && Catch::Contains("numbered"));
}

TEST_CASE("dataset: what is no dataset folder") {
  const TemporaryFolder folder;
  CHECK_THAT(refusal([&] { load_dataset(folder / "no"); }), Catch::Contains("no such dataset"));
  put(folder / "file", "");
  CHECK_THAT(refusal([&] { load_dataset(folder / "file"); }), Catch::Contains("is a file"));
  CHECK_THAT(refused(folder), Catch::Contains("train.txt: there is no such file"));
  std::filesystem::create_directory(folder / "train.txt");
  CHECK_THAT(refused(folder), Catch::Contains("train.txt: is a folder"));
}

TEST_CASE("dataset: a link that leads nowhere is not taken for a missing file") {
  const TemporaryFolder folder;
  put_small_dataset(folder);
  std::filesystem::remove(folder / "valid.txt");
  CHECK(refused(folder) == "");
  REQUIRE(::symlink("/nowhere/valid.txt", (folder / "valid.txt").c_str()) == 0);
  CHECK_THAT(refused(folder), Catch::Contains("valid.txt: there is no such file"));
}

TEST_CASE("dataset: the authors' release tree, vectors chosen by name") {
  const TemporaryFolder small, folder;
  put_small_dataset(small);
  for (const char* split : {"train.txt", "valid.txt", "test.txt"})
    put(folder / ("cf_data/" + std::string(split)), get(small / split));
  const auto vectors = [](float first) {
    return npy_bytes({"<f4", "(6, 1)"}, raw<float>({first, 2, 3, 4, 5, 6}));
  };
  const auto first_of = [&](const std::string& language) {
    return load_dataset(folder.path(), {language}).language.view()(0, 0);
  };
  CHECK_FALSE(load_dataset(folder.path()).has_language());
  CHECK_THAT(refused(folder, {"v3"}), Catch::Contains("no language vectors named 'v3'"));

  put(folder / "item_info/item_cf_embeds_large3_array.npy", vectors(3));
  put(folder / "item_info/raw_titles.npy", "not language vectors");
  CHECK(first_of("") == 3);  // the only one needs no name

  put(folder / "item_info/item_cf_embeds_array.npy", vectors(2));
  put(folder / "item_info/item_cf_embeds_bert_array.npy", vectors(1));
  put(folder / "item_info/item_cf_embeds_bert_array.json", R"({"model":"bert"})");
  CHECK_THAT(refused(folder),
             Catch::Contains("several language vectors") && Catch::Contains("bert, large3, v2"));
  CHECK_THAT(refused(folder, {"gpt"}),
             Catch::Contains("'gpt'") && Catch::Contains("bert, large3, v2"));
  CHECK(first_of("bert") == 1);
  CHECK(first_of("v2") == 2);
  CHECK(first_of("large3") == 3);
  CHECK(first_of("v3") == 3);
  CHECK(load_dataset(folder.path(), {"bert"}).language_model.model == "bert");
  CHECK(load_dataset(folder.path(), {"v2"}).language_model.model == "v2");
  CHECK(load_dataset(folder.path(), {"v3"}).language_model.model == "large3");
  CHECK(load_dataset(folder.path(), {"", false, true}).language_model.model == "bert");
  put(folder / "item_info/item_language.json", R"({"model":"ada","basis":"7"})");
  CHECK(load_dataset(folder.path(), {"bert"}).language_model.model == "bert");
  CHECK(load_dataset(folder.path(), {"v2"}).language_model.model == "ada");
  CHECK(load_dataset(folder.path(), {"v2"}).language_model.basis == "7");
}

TEST_CASE("dataset: --language means nothing to a dataset folder") {
  const TemporaryFolder folder;
  put_small_dataset(folder);
  CHECK_THAT(refused(folder, {"bert"}), Catch::Contains("item_language.npy only"));
}

TEST_CASE("dataset facts: degrees, density") {
  const TemporaryFolder folder;
  put_small_dataset(folder);
  const DatasetFacts facts = facts_of(load_dataset(folder.path()));
  CHECK(facts.density == 8.0 / 24);
  // users 3 2 2 1, items 2 2 2 2 0 0: sorted, and the element at floor(q * (n - 1))
  CHECK(facts.users.at == std::array<int64_t, 6>{1, 1, 2, 2, 2, 3});
  CHECK(facts.users.mean == 2);
  CHECK(facts.users.zero == 0);
  CHECK(facts.items.at == std::array<int64_t, 6>{0, 0, 2, 2, 2, 2});
  CHECK(facts.items.mean == Approx(8.0 / 6));
  CHECK(facts.items.zero == 2);
  CHECK(facts.cold_items_asked_for == 1);
  CHECK(facts.train_and_valid + facts.train_and_test + facts.valid_and_test == 0);
}

TEST_CASE("dataset: the real ones have their known sizes", "[data]") {
  struct Known {
    std::string name;
    int64_t users, items, interactions, width;
  };
  const char* named = std::getenv("REC_SHARED_DATA");
  const std::filesystem::path root = named ? named : "../shared/data";
  for (const Known& known :
       {Known{"ml-1m", 6040, 3043, 995492, 384}, Known{"amazon-scientific", 8442, 4217, 58145, 384},
        Known{"yelp", 30431, 19294, 300517, 384},
        Known{"gowalla", 29858, 40981, 810128 + 217242, 0}}) {
    const std::filesystem::path path = root / known.name;
    if (!std::filesystem::exists(path)) {
      WARN("not run: there is no " << path << "; name the folder of datasets in REC_SHARED_DATA");
      continue;
    }
    CAPTURE(known.name);
    const Dataset data = load_dataset(path.string());
    CHECK(data.users == known.users);
    CHECK(data.items == known.items);
    CHECK(data.train.entries() + data.valid.entries() + data.test.entries() == known.interactions);
    CHECK(data.language.width() == known.width);
  }
}

}  // namespace
}  // namespace rec::test
