// Replays what the fuzzers found (tests/fuzz/corpus/<reader>/) through the functions they fed.
#include <catch2/catch.hpp>

#include "tests/fuzz/readers.h"
#include "tests/host/files.h"

namespace rec::test {
namespace {

TEST_CASE("fuzz corpus: every file is read or refused") {
  const std::filesystem::path corpus = std::filesystem::path(REC_TESTS_FOLDER) / "fuzz/corpus";
  for (const auto& [name, read] : std::vector<std::pair<std::string, void (*)(std::string_view)>>{
           {"text", fuzz_text},
           {"records", fuzz_records},
           {"sources", fuzz_sources},
           {"times", fuzz_times},
           {"npy", fuzz_npy},
           {"toml", fuzz_toml},
           {"safetensors", fuzz_safetensors}}) {
    int files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(corpus / name)) {
      CAPTURE(entry.path());
      CHECK_NOTHROW(read(get(entry.path().string())));
      ++files;
    }
    CAPTURE(name);
    CHECK(files > 0);
  }
}

}  // namespace
}  // namespace rec::test
