// What `prepare` is made of: records of delimited text, compressed bytes, times, filters and splits.
// Whole sources are tested from outside, in tests/program/test_prepare.py.
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <vector>

#include "host/prepare/byte_source.h"
#include "host/prepare/filters.h"
#include "host/prepare/record_reader.h"
#include "host/prepare/splitter.h"
#include "host/prepare/time_text.h"
#include "tests/host/files.h"

namespace rec::test {
namespace {

using Fields = std::vector<std::string>;

std::vector<Fields> records_of(const std::string& text, const Dialect& dialect = {}) {
  const TemporaryFolder folder;
  put(folder / "a.csv", text);
  RecordReader reader(folder / "a.csv", dialect);
  std::vector<Fields> records;
  while (reader.next()) records.emplace_back(reader.fields().begin(), reader.fields().end());
  return records;
}

std::string gzipped(const std::string& text) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = uInt(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = uInt(packed.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

std::string zstandard(const std::string& text) {
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  const size_t size = ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 3);
  REQUIRE(ZSTD_isError(size) == 0);
  packed.resize(size);
  return packed;
}

std::string bytes_of(const std::string& path, size_t at_once) {
  ByteSource source(path);
  std::string all, some(at_once, '\0');
  while (const size_t got = source.read(some.data(), at_once)) all.append(some, 0, got);
  CHECK(source.bytes_read() == source.bytes());
  return all;
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

// user and item of each line.
InteractionLines lines_of(const Pairs& pairs) {
  InteractionLines lines;
  for (const auto& [user, item] : pairs) {
    lines.user.push_back(lines.users.number_of(user));
    lines.item.push_back(lines.items.number_of(item));
  }
  return lines;
}
InteractionLog log_of(const Pairs& pairs) { return grouped(lines_of(pairs)); }
Pairs pairs_of(const InteractionLog& log) {
  Pairs pairs;
  for (int32_t u = 0; u < int32_t(log.users.size()); ++u)
    for (auto n = size_t(log.start[size_t(u)]); n < size_t(log.start[size_t(u) + 1]); ++n)
      pairs.emplace_back(log.users.id(u), log.items.id(log.item[n]));
  return pairs;
}

}  // namespace

TEST_CASE("records: fields, quotes and line ends") {
  CHECK(records_of("a,b\n\n1,,3\r\nx") == std::vector<Fields>{{"a", "b"}, {"1", "", "3"}, {"x"}});
  CHECK(records_of("\xEF\xBB\xBF"
                   "a,b\n") == std::vector<Fields>{{"a", "b"}});
  CHECK(records_of("\"a,b\",\"c\"\"d\",\"\"\n\"two\nlines\",e\n") ==
        std::vector<Fields>{{"a,b", "c\"d", ""}, {"two\nlines", "e"}});
  CHECK(records_of("a \"b\" c,\"d\",\n") == std::vector<Fields>{{"a \"b\" c", "d", ""}});
  CHECK(records_of("1::a:b::2\n", {"::", false}) == std::vector<Fields>{{"1", "a:b", "2"}});
  CHECK(records_of("\"a\tb\n", {"\t", false}) == std::vector<Fields>{{"\"a", "b"}});
  CHECK(records_of("\"say \\\"hi\\\"\";b\n", {";", true, true}) ==
        std::vector<Fields>{{"say \"hi\"", "b"}});
  CHECK(records_of("caf\xE9|b\n", {"|", false, false, true}) ==
        std::vector<Fields>{{"caf\xC3\xA9", "b"}});
  CHECK(records_of("").empty());
}

TEST_CASE("records: lines are counted as a person counts them") {
  const TemporaryFolder folder;
  put(folder / "a.csv", "a\n\n\"two\nlines\"\nlast\n");
  RecordReader reader(folder / "a.csv", {});
  std::vector<int64_t> lines;
  while (reader.next()) lines.push_back(reader.line());
  CHECK(lines == std::vector<int64_t>{1, 3, 5});
}

TEST_CASE("records: longer than the reader's memory at first") {
  const std::string longest(3 << 20, 'x');
  CHECK(records_of("a," + longest + "\nb,c\n") == std::vector<Fields>{{"a", longest}, {"b", "c"}});
}

TEST_CASE("records: what is refused is named with its line") {
  const auto refusal = [](const std::string& text) {
    try {
      records_of(text);
    } catch (const FileError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK_THAT(refusal("a,b\n\"c,d\n"), Catch::Contains(":2: the quote before 'c,d' is not closed"));
  CHECK_THAT(refusal("\"a\"b,c\n"), Catch::Contains(":1: text stands behind the closing quote"));
  CHECK_THAT(refusal("a\nb\xE9\n"), Catch::Contains(":2: is not UTF-8"));
  CHECK_THAT(refusal(std::string("a\nb\0c\n", 6)), Catch::Contains(":2: holds a NUL byte"));
  CHECK_THAT(refusal("a\n" + std::string(17 << 20, 'x')),
             Catch::Contains(":2: is longer than 16 MB"));
}

TEST_CASE("records: an object a line, as JSON or as Python prints it") {
  Dialect objects;
  objects.objects = true;
  CHECK(records_of("{\"a\": 1, \"b\": {\"c\": 2}}\n{}\n", objects) ==
        std::vector<Fields>{{"a", "b"}, {}});
  objects.keys = {"b", "a"};
  CHECK(records_of("{\"a\": \"x\\u00e9\", \"b\": 1.50}\n"
                   "{\"b\": [\"p\", [\"q\", 3], {\"a\": \"r\"}], \"c\": {\"a\": 4}}\n"
                   "{\"a\": null, \"b\": true}\n",
                   objects) ==
        std::vector<Fields>{{"1.50", "x\xC3\xA9"}, {"p q 3", ""}, {"true", ""}});
  CHECK(records_of("{'a': \"it's\", 'b': None}\n{u'b': u'\\xe9 \\'\"', u'a': True}\n", objects) ==
        std::vector<Fields>{{"", "it's"}, {"\xC3\xA9 '\"", "true"}});
  for (const char* line : {"1", "[1]", "\"a\"", "{\"a\": 1", "{\"a\" 1}", "{} {}", "{'a': 1",
                           "{'a': '1}", "{\"a\": \"\\ud800\"}", "x"})
    CHECK_THROWS_WITH(records_of(line, objects), Catch::Contains(":1: is neither a JSON object"));
}

TEST_CASE("compressed bytes are read as if they were plain") {
  const TemporaryFolder folder;
  std::string text;
  for (int n = 0; n < 200'000; ++n) text += std::to_string(n * 7919 % 100'003) + ",";
  put(folder / "plain", text);
  put(folder / "gzip", gzipped(text));
  put(folder / "members", gzipped(text.substr(0, 1000)) + gzipped(text.substr(1000)));
  put(folder / "zstd", zstandard(text));
  put(folder / "frames", zstandard(text.substr(0, 1000)) + zstandard(text.substr(1000)));
  put(folder / "empty", gzipped(""));
  for (const char* name : {"plain", "gzip", "members", "zstd", "frames"})
    for (const size_t at_once : {size_t{1000}, size_t{1} << 20}) {
      CAPTURE(name, at_once);
      CHECK(bytes_of(folder / name, at_once) == text);
    }
  CHECK(bytes_of(folder / "empty", 100).empty());
  put(folder / "one", "a");
  ByteSource one(folder / "one");
  char letter = 0;
  CHECK(one.read(&letter, 1) == 1);
  CHECK(one.hash() == "e6c632b61e964e1f");  // XXH3 of "a", as xxhsum says
}

TEST_CASE("compressed bytes that are cut short or damaged are refused") {
  const TemporaryFolder folder;
  const std::string text(100'000, 'x');
  for (const std::string& packed : {gzipped(text), zstandard(text + std::to_string(text.size()))}) {
    put(folder / "cut", packed.substr(0, packed.size() - 5));
    CHECK_THROWS_WITH(bytes_of(folder / "cut", 1000),
                      Catch::Contains("ends in the midst of its compressed data"));
  }
  std::string damaged = gzipped("0 1 2 3 4 5 6 7 8 9 " + text);
  damaged[20] = char(damaged[20] ^ 0x55);
  put(folder / "damaged", damaged);
  CHECK_THROWS_AS(bytes_of(folder / "damaged", 1000), FileError);
}

TEST_CASE("times: numbers and dates") {
  CHECK(parsed_time("964982703") == 964982703);
  CHECK(parsed_time("-5") == -5);
  CHECK(parsed_time("964982703.9") == 964982703);
  CHECK(parsed_time("1970-01-02") == 86400);
  CHECK(parsed_time("2000-03-01 00:00:01") == 951868801);
  CHECK(parsed_time("2000-03-01T00:00:01Z") == 951868801);
  for (const char* text : {"", "x", "2018-02-30", "2018-1-1", "1e300", "nan", "2018-01-01 25:00:00",
                           "12 monkeys", "2018/01/01"})
    CHECK_FALSE(parsed_time(text).has_value());
}

TEST_CASE("ids: numbers in the order in which they come, one by one and many at once") {
  IdDictionary ids;
  CHECK(ids.number_of("b") == 0);
  IdBatch batch;
  for (const char* id : {"a", "", "b", "a", "c"}) batch.add(id);
  std::vector<int32_t> numbers = {7};
  ids.add_numbers_of(batch, numbers);
  CHECK(numbers == std::vector<int32_t>{7, 1, 2, 0, 1, 3});
  batch.clear();
  batch.add("d");
  ids.add_numbers_of(batch, numbers);
  CHECK(numbers.back() == 4);
  CHECK(ids.find("c") == 3);
  CHECK(ids.find("e") == -1);
  CHECK(ids.id(2).empty());
}

TEST_CASE("interactions: a user's together, in the order of the lines") {
  InteractionLines lines = lines_of({{"b", "x"}, {"a", "x"}, {"b", "y"}, {"a", "z"}, {"b", "x"}});
  lines.time = {5, 4, 3, 2, 1};
  lines.rating = {1, 2, 3, 4, 5};
  lines.split = {0, 1, 2, 0, 1};
  const InteractionLog log = grouped(std::move(lines));
  CHECK(pairs_of(log) == Pairs{{"b", "x"}, {"b", "y"}, {"b", "x"}, {"a", "x"}, {"a", "z"}});
  CHECK(log.time == std::vector<int64_t>{5, 3, 1, 4, 2});
  CHECK(log.rating == std::vector<double>{1, 3, 5, 2, 4});
  CHECK(log.split == std::vector<uint8_t>{0, 2, 1, 1, 0});
}

// Worked by hand: c has one item, x one user after c is gone, so a loses x, and then has one item.
TEST_CASE("filters: once, and until nothing changes") {
  const Pairs all = {{"a", "x"}, {"a", "y"}, {"b", "y"}, {"b", "z"},
                     {"d", "y"}, {"d", "z"}, {"c", "x"}};
  InteractionLog once = log_of(all);
  CHECK(drop_rare_users(once, 2) == 1);
  CHECK(pairs_of(once) == Pairs(all.begin(), all.end() - 1));
  CHECK(drop_rare_items(once, 2) == 1);
  InteractionLog core = log_of(all);
  CHECK(keep_core(core, 2, 2) == 3);
  CHECK(pairs_of(core) == Pairs(all.begin() + 2, all.end() - 1));
}

TEST_CASE("filters: one of repeated interactions stays") {
  const Pairs all = {{"a", "x"}, {"b", "x"}, {"a", "x"}, {"a", "y"}, {"a", "x"}};
  const auto dropped = [&](Dedup which, std::vector<int64_t> times) {
    InteractionLines lines = lines_of(all);
    lines.rating = {1, 2, 3, 4, 5};
    lines.time = std::move(times);
    InteractionLog log = grouped(std::move(lines));
    CHECK(drop_repeats(log, which) == 2);
    return log.rating;
  };
  using Ratings = std::vector<double>;
  CHECK(dropped(Dedup::first, {}) == Ratings{1, 4, 2});
  CHECK(dropped(Dedup::last, {}) == Ratings{4, 5, 2});
  CHECK(dropped(Dedup::first, {30, 0, 10, 0, 20}) == Ratings{3, 4, 2});
  CHECK(dropped(Dedup::last, {30, 0, 10, 0, 20}) == Ratings{1, 4, 2});
  CHECK(dropped(Dedup::first, {10, 0, 10, 0, 10}) == Ratings{1, 4, 2});  // of equal times by line
  CHECK(dropped(Dedup::last, {10, 0, 10, 0, 10}) == Ratings{4, 5, 2});
  CHECK(dropped(Dedup::sum, {}) == Ratings{9, 4, 2});
}

TEST_CASE("splits: shares by largest remainder, one at least to train") {
  using Shares = std::array<int64_t, 3>;
  CHECK(shares_of(10, {4, 3, 3}) == Shares{4, 3, 3});
  CHECK(shares_of(11, {4, 3, 3}) == Shares{5, 3, 3});  // 4.4, 3.3, 3.3
  CHECK(shares_of(12, {4, 3, 3}) == Shares{5, 4, 3});  // 4.8, 3.6, 3.6
  CHECK(shares_of(3, {8, 1, 1}) == Shares{3, 0, 0});   // 2.4, 0.3, 0.3
  CHECK(shares_of(1, {1, 1, 8}) == Shares{1, 0, 0});
  CHECK(shares_of(2, {1, 0, 9}) == Shares{1, 0, 1});
  CHECK(shares_of(2, {7, 1, 2}) == Shares{2, 0, 0});  // 1.4, 0.2, 0.4: the first of equal ones
  CHECK(shares_of(0, {4, 3, 3}) == Shares{0, 0, 0});
}

TEST_CASE("splits: words that name none are refused") {
  for (const char* word : {"", "4", "4:3", "4:3:", "4:3:3:1", "0:1:1", "-1:1:1", "4:x:3", "nan:1:1",
                           "temporally", "temporal:", "temporal:0:1:1", "leave"})
    CHECK_THROWS_AS(split_plan(word), std::invalid_argument);
  CHECK(split_plan("temporal:6:2:2").parts == std::array<double, 3>{6, 2, 2});
  CHECK(split_plan("leave-one-out").rule == SplitRule::leave_one_out);
}

TEST_CASE("splits: by a draw, every interaction once, and cold items leave") {
  Pairs all;
  for (int u = 0; u < 30; ++u)
    for (int i = 0; i < 12; ++i)
      all.emplace_back("u" + std::to_string(u), "i" + std::to_string((u + i * i) % 17));
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  all.emplace_back("u9", "z: nobody else's");  // the last of the sorted ones
  const InteractionLog log = log_of(all);
  const auto pairs_of_split = [&](const SplitLog& split) {
    std::set<std::pair<std::string, std::string>> pairs;
    for (const HostCsr* m : {&split.train, &split.valid, &split.test})
      for (int64_t u = 0; u < m->rows; ++u)
        for (int64_t e = m->row_start[size_t(u)]; e < m->row_start[size_t(u) + 1]; ++e)
          CHECK(pairs
                    .emplace(log.users.id(split.user_of[size_t(u)]),
                             log.items.id(split.item_of[size_t(m->col[size_t(e)])]))
                    .second);
    return pairs;
  };
  std::set<std::vector<int32_t>> trains;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const SplitLog split = rec::split(log, {SplitRule::random, {4, 3, 3}, seed});
    trains.insert(split.train.col);
    const auto pairs = pairs_of_split(split);
    CHECK(int64_t(pairs.size()) + split.without_training == int64_t(all.size()));
    CHECK(std::includes(all.begin(), all.end(), pairs.begin(), pairs.end()));
    // Who is missing is missing as an item.
    std::set<std::string> items;
    for (const int32_t item : split.item_of) items.emplace(log.items.id(item));
    for (const auto& pair : all) CHECK(pairs.count(pair) == items.count(pair.second));
    const std::set<int32_t> trained(split.train.col.begin(), split.train.col.end());
    CHECK(trained.size() == split.item_of.size());
    for (int64_t u = 0; u < split.train.rows; ++u)
      CHECK(split.train.row_start[size_t(u) + 1] > split.train.row_start[size_t(u)]);
  }
  CHECK(trains.size() == 20);
}

TEST_CASE("splits: by time") {
  InteractionLines lines = lines_of({{"a", "p"},
                                     {"a", "q"},
                                     {"a", "r"},
                                     {"a", "s"},
                                     {"b", "s"},
                                     {"b", "r"},
                                     {"b", "q"},
                                     {"b", "p"}});
  lines.time = {4, 3, 2, 1, 1, 1, 1, 0};  // of equal times the order of lines
  const SplitLog last_out = rec::split(grouped(std::move(lines)), {SplitRule::leave_one_out});
  // a: s r | q | p, b: p s | r | q, of which q is in nobody's train. p r s are then 0 1 2.
  CHECK(last_out.train.col == std::vector<int32_t>{1, 2, 0, 2});
  CHECK(last_out.valid.col == std::vector<int32_t>{1});
  CHECK(last_out.test.col == std::vector<int32_t>{0});
  CHECK(last_out.without_training == 2);
}

}  // namespace rec::test
