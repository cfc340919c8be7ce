// Files of ids, as people and their editors write them.
#include <catch2/catch.hpp>

#include "host/commands/item_names.h"
#include "tests/host/files.h"

namespace rec::test {
namespace {

const std::string kMark = "\xEF\xBB\xBF";  // the byte order mark of UTF-8

}  // namespace

TEST_CASE("item names: a file of ids, whatever the editor") {
  const TemporaryFolder folder;
  const std::vector<std::string> want = {"libmad0", "abcde fg"};
  for (const std::string& text :
       {std::string("libmad0\nabcde fg\n"), std::string("libmad0\nabcde fg"),
        std::string("libmad0\r\nabcde fg\r\n"), std::string("\n\nlibmad0\n\nabcde fg\n\n"),
        kMark + "libmad0\nabcde fg\n", kMark + "libmad0\r\nabcde fg\r\n"}) {
    CAPTURE(text);
    put(folder / "ids.txt", text);
    CHECK(read_names(folder / "ids.txt") == want);
  }
  put(folder / "ids.txt", "");
  CHECK(read_names(folder / "ids.txt").empty());
  put(folder / "ids.txt", kMark + "\r\n");
  CHECK(read_names(folder / "ids.txt").empty());
}

TEST_CASE("item names: a file with a byte order mark allows the items it names") {
  const TemporaryFolder folder;
  Dataset data;
  data.items = 3;
  data.item_table.original_id = {"a", "b", "c"};
  put(folder / "ids.txt", kMark + "b\r\nc\r\n");
  CHECK(allowed_items(data, folder / "ids.txt", "") == std::vector<uint8_t>{0, 1, 1});
  CHECK(allowed_items(data, "", folder / "ids.txt") == std::vector<uint8_t>{1, 0, 0});
}

}  // namespace rec::test
