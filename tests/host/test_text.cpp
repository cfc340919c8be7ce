// Reading lines, interactions and id tables: what is accepted, and what it means. What is refused
// stands in test_bad_input_files.cpp.
#include <catch2/catch.hpp>

#include "host/formats/id_table.h"
#include "host/formats/interactions.h"
#include "host/formats/lines.h"
#include "tests/host/files.h"

namespace rec::test {
namespace {

using Items = std::vector<int32_t>;
using Starts = std::vector<int64_t>;
const std::string kMark = "\xEF\xBB\xBF";  // the byte order mark of UTF-8

TEST_CASE("lines: their ends and the first one's byte order mark are left out") {
  using Lines = std::vector<std::pair<std::string, int64_t>>;
  const auto lines_of = [](std::string_view text) {
    Lines lines;
    for_each_line(text,
                  [&](std::string_view line, int64_t number) { lines.emplace_back(line, number); });
    return lines;
  };
  const Lines want = {{"a", 1}, {"", 2}, {"b c", 3}};
  for (const std::string& text : {std::string("a\n\nb c"), std::string("a\n\nb c\n"),
                                  std::string("a\r\n\r\nb c\r\n"), kMark + "a\n\nb c"}) {
    CAPTURE(text);
    CHECK(lines_of(text) == want);
  }
  CHECK(lines_of("").empty());
  CHECK(lines_of(kMark).empty());
  CHECK(lines_of("\n") == Lines{{"", 1}});
  // Only an end loses its carriage return, and only the beginning its mark.
  CHECK(lines_of("a\rb\n" + kMark + "c\r\r\n") == Lines{{"a\rb", 1}, {kMark + "c\r", 2}});
  CHECK(lines_of("\xEF\xBB\n") == Lines{{"\xEF\xBB", 1}});
}

TEST_CASE("interactions: rows by user, ascending") {
  const Interactions read = parse_interactions("2 7 1\n0 5\n", "train.txt");
  CHECK(read.items_of_user.rows == 3);
  CHECK(read.items_of_user.cols == 8);
  CHECK(read.items_of_user.row_start == Starts{0, 1, 1, 3});
  CHECK(read.items_of_user.col == Items{5, 1, 7});
  CHECK(read.listed == std::vector<uint8_t>{1, 0, 1});
  CHECK(read.duplicates == 0);
}

TEST_CASE("interactions: ways of writing the same") {
  const std::string plain = "0 3 1\n1 2\n";
  for (const std::string& text :
       {plain, std::string("0 3 1\r\n1 2\r\n"), "\xEF\xBB\xBF" + plain,
        std::string("0\t3\t1\n1\t2\n"), std::string("0 3 1\n1 2"),
        std::string("\n\n0 3 1\n\n1 2\n\n"), std::string("  0  3 1 \n1 2 \r\n"),
        std::string("1 2\n0 3\n0 1\n"), std::string("00 03 1\n1 2\n")}) {
    CAPTURE(text);
    const Interactions read = parse_interactions(text, "train.txt");
    CHECK(read.items_of_user.row_start == Starts{0, 2, 3});
    CHECK(read.items_of_user.col == Items{1, 3, 2});
    CHECK(read.duplicates == 0);
  }
}

TEST_CASE("interactions: repeated ones count once and are counted, on one line and on several") {
  const Interactions read = parse_interactions("0 4 4 4\n1 2\n0 4 5\n", "train.txt");
  CHECK(read.items_of_user.col == Items{4, 5, 2});
  CHECK(read.duplicates == 3);
}

TEST_CASE("interactions: a user without items is listed; an empty file has nobody") {
  const Interactions lonely = parse_interactions("0\n1 2\n", "train.txt");
  CHECK(lonely.items_of_user.row_start == Starts{0, 0, 1});
  CHECK(lonely.listed == std::vector<uint8_t>{1, 1});
  const Interactions empty = parse_interactions("", "train.txt");
  CHECK(empty.items_of_user.rows == 0);
  CHECK(empty.items_of_user.row_start == Starts{0});
}

TEST_CASE("interactions: the largest id") {
  CHECK(parse_interactions("0 2147483646\n", "train.txt").items_of_user.cols == 2147483647);
}

TEST_CASE("id table: with and without header, byte order mark, CRLF, order and titles") {
  const std::string plain = "0\ta\tOne\n1\tb\tTwo\n";
  for (const std::string& text :
       {plain, "item\toriginal_id\ttitle\n" + plain, "\xEF\xBB\xBF" + plain,
        "\xEF\xBB\xBFitem\toriginal_id\ttitle\n" + plain, std::string("0\ta\tOne\r\n1\tb\tTwo\r\n"),
        std::string("1\tb\tTwo\n\n0\ta\tOne")}) {
    CAPTURE(text);
    const IdTable table = parse_id_table(text, "items.tsv");
    CHECK(table.original_id == std::vector<std::string>{"a", "b"});
    CHECK(table.title == std::vector<std::string>{"One", "Two"});
  }
}

TEST_CASE("id table: tabs in a title become spaces, a missing title is the original id") {
  const IdTable table = parse_id_table("0\ta\tOne\tmore\t\n1\tb\n2\tc\t\n", "items.tsv");
  CHECK(table.title == std::vector<std::string>{"One more ", "b", ""});
}

TEST_CASE("id list: columns by the header's names, any blanks, rows in any order") {
  for (const char* text :
       {"org_id remap_id\na 0\nb 1\n", "\xEF\xBB\xBForg_id\tremap_id\r\n\r\nb  1 \r\n a\t0",
        "remap_id org_id more\n1 b x\n0 a y\n"}) {
    CAPTURE(text);
    const IdTable table = parse_id_list(text, "item_list.txt");
    CHECK(table.original_id == std::vector<std::string>{"a", "b"});
    CHECK(table.title == table.original_id);
  }
}

TEST_CASE("UTF-8: the first byte that is none") {
  const auto ok = std::string_view::npos;
  // Smallest and largest code of each length, and the neighbours of the surrogates.
  for (const char* good : {"", "a", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF",
                           "\xEE\x80\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"})
    CHECK(first_invalid_utf8(good) == ok);
  // Overlong, surrogate, too large, continuation alone, cut short, never a lead.
  for (const char* bad : {"\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF",
                          "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\x80",
                          "\xE2\x82", "\xFF", "\xF8\x88\x80\x80\x80", "\xC3 "}) {
    CAPTURE(bad);
    CHECK(first_invalid_utf8(std::string("ok") + bad) == 2);
  }
}

}  // namespace
}  // namespace rec::test
