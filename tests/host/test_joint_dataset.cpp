// Datasets side by side: ids, splits, vectors and what does not fit together.
#include <catch2/catch.hpp>

#include "host/dataset/joint_dataset.h"
#include "tests/host/files.h"

namespace rec::test {
namespace {

Dataset dataset(const TemporaryFolder& folder, const std::string& name) {
  if (!std::filesystem::exists(folder / (name + "/train.txt"))) put_small_dataset(folder, name);
  return load_dataset(folder / name);
}

JointDataset join(Dataset a, Dataset b) {
  std::vector<Dataset> parts;
  parts.push_back(std::move(a));
  parts.push_back(std::move(b));
  return JointDataset(std::move(parts));
}

}  // namespace

TEST_CASE("joint dataset: users and items of each behind those of the one before") {
  const TemporaryFolder folder;
  put_small_dataset(folder, "b");
  put(folder / "b/train.txt", "0 5\n1 1 3\n2 0 3\n3 2\n");
  const JointDataset joint = join(dataset(folder, "a"), dataset(folder, "b"));
  const Dataset& whole = joint.whole();
  CHECK(joint.is_joint());
  CHECK(whole.users == 8);
  CHECK(whole.items == 12);
  CHECK(whole.name == "a+b");
  CHECK(whole.train.row_start == std::vector<int64_t>{0, 3, 5, 7, 8, 9, 11, 13, 14});
  CHECK(whole.train.col == std::vector<int32_t>{0, 1, 2, 1, 3, 0, 3, 2, 11, 7, 9, 6, 9, 8});
  CHECK(whole.valid.col == std::vector<int32_t>{3, 0, 1, 9, 6, 7});
  CHECK(whole.test.rows == 8);
  CHECK(whole.test.cols == 12);
  const MatrixView<const float> z = whole.language.view();
  REQUIRE(z.rows == 12);
  for (int64_t i = 0; i < 6; ++i)
    for (int64_t c = 0; c < 2; ++c) {
      CHECK(z(i, c) == joint.parts()[0].language.view()(i, c));
      CHECK(z(6 + i, c) == joint.parts()[1].language.view()(i, c));
    }
  const std::vector<Domain> domains = joint.domains();
  REQUIRE(domains.size() == 2);
  CHECK((domains[1].users == 4 && domains[1].items == 6));
  CHECK(is_part_of(joint.parts()[1].fingerprint, whole.fingerprint));
  CHECK_FALSE(is_part_of("0123", whole.fingerprint));
  CHECK_FALSE(is_part_of("", "0123456789abcdef"));
}

TEST_CASE("joint dataset: one alone is itself") {
  const TemporaryFolder folder;
  const JointDataset one(dataset(folder, "a"));
  CHECK_FALSE(one.is_joint());
  CHECK(&one.whole() == &one.parts()[0]);
  CHECK(one.domains().size() == 1);
}

TEST_CASE("joint dataset: refuses what does not fit together, naming both") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& a, const std::string& b) {
    return refusal([&] { join(dataset(folder, a), dataset(folder, b)); });
  };
  CHECK_THAT(refused("a", "other/a"), Catch::Contains("is called a") && Catch::Contains("other/a"));
  put_small_dataset(folder, "narrow");
  put(folder / "narrow/item_language.npy",
      npy_bytes({"<f4", "(6, 1)"}, raw<float>({1, 2, 3, 4, 5, 6})));
  CHECK_THAT(refused("a", "narrow"), Catch::Contains("1 wide") && Catch::Contains("2 wide"));
  put_small_dataset(folder, "none");
  std::filesystem::remove(folder / "none/item_language.npy");
  CHECK_THAT(refused("a", "none"), Catch::Contains("/none: has no language vectors"));
  put_small_dataset(folder, "lsa");
  put(folder / "lsa/item_language.json", "{\"model\": \"lsa\", \"basis\": \"1\"}");
  put_small_dataset(folder, "lsa2");
  put(folder / "lsa2/item_language.json", "{\"model\": \"lsa\", \"basis\": \"2\"}");
  CHECK(refused("a", "lsa") == "");  // nothing says which model a's vectors are of
  CHECK_THAT(refused("lsa", "lsa2"), Catch::Contains("basis 1") && Catch::Contains("basis 2"));
}

}  // namespace rec::test
