// What language vectors are made of: columns of items.tsv, one text an item, and their checksum.
// That data/item_texts.py reads the same is tested in tests/program/test_embed.py.
#include <catch2/catch.hpp>

#include "host/formats/item_texts.h"
#include "tests/host/files.h"

namespace rec::test {
namespace {

using Texts = std::vector<std::string>;

Texts texts_of(std::string_view table, const std::vector<std::string>& columns = {"title"}) {
  return parse_item_texts(table, "items.tsv", columns).text;
}

TEST_CASE("item texts: columns by the header's names, in the order asked for") {
  const std::string table =
      "item\toriginal_id\tbrand\ttitle\n1\tb\tAcme\tBlue kettle\n0\ta\t\tRed kettle\n";
  CHECK(texts_of(table) == Texts{"Red kettle", "Blue kettle"});
  CHECK(texts_of(table, {"title", "brand"}) == Texts{"Red kettle", "Blue kettle, Acme"});
  CHECK(texts_of(table, {"brand", "title", "item"}) ==
        Texts{"Red kettle, 0", "Acme, Blue kettle, 1"});
  CHECK(parse_item_texts(table, "items.tsv", {"title"}).line == std::vector<int64_t>{3, 2});
}

TEST_CASE("item texts: a table without a header has item, original_id and title") {
  CHECK(texts_of("0\ta\tRed kettle\n1\tb\n2\tc\t\n") == Texts{"Red kettle", "", ""});
  CHECK(texts_of("0\ta\tRed kettle\n", {"original_id", "title"}) == Texts{"a, Red kettle"});
}

TEST_CASE("item texts: the last column holds the rest of the line, and blanks go from the ends") {
  CHECK(texts_of("0\ta\t Red\tkettle \t\r\n") == Texts{"Red kettle"});
  CHECK(texts_of("item\toriginal_id\n0\ta\tb\tc\n", {"original_id"}) == Texts{"a b c"});
  // One of one byte, of two and of three, twice over; none of them goes from within.
  const std::string blanks = "\x1F\xC2\xA0\xE3\x80\x80\x1F\xC2\xA0\xE3\x80\x80";
  CHECK(texts_of("0\ta\t" + blanks + "Tea" + blanks + "pot" + blanks + "\n") ==
        Texts{"Tea" + blanks + "pot"});
  CHECK(texts_of("0\ta\t" + blanks + "\n") == Texts{""});
}

TEST_CASE("item texts: what is refused") {
  const auto refused = [](std::string_view table, const std::vector<std::string>& columns) {
    return refusal([&] { parse_item_texts(table, "items.tsv", columns); });
  };
  CHECK(refused("item\toriginal_id\ttitle\n0\ta\tb\n", {"brand"}) ==
        "items.tsv:1: has no column 'brand'; there are item, original_id, title");
  CHECK(refused("0\ta\tb\n", {"title", ""}) ==
        "items.tsv:1: has no column ''; there are item, original_id, title");
  CHECK(refused("0\ta\tb\n2\tb\tc\n", {"title"}).find("items.tsv:2: id 2 leaves a gap") == 0);
  CHECK(refused("0\ta\t\xFF\n", {"title"}).find("items.tsv:1: is not UTF-8") == 0);
}

TEST_CASE("item texts: the checksum is CRC-32 of the texts, a line each") {
  CHECK(checksum_of_texts({"123456789"}) == "cbf43926");  // the check value of CRC-32
  CHECK(checksum_of_texts({"1234", "6789"}) == checksum_of_texts({"1234\n6789"}));
  CHECK(checksum_of_texts({"Red kettle", "Tea pot"}) == "8b41be97");
  CHECK(checksum_of_texts({""}) == "00000000");
}

}  // namespace
}  // namespace rec::test
