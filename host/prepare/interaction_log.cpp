#include "host/prepare/interaction_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <future>
#include <numeric>
#include <utility>

#include "host/formats/excerpt.h"
#include "host/formats/file_error.h"
#include "host/formats/file_names.h"
#include "host/formats/id_line.h"
#include "host/formats/mapped_file.h"
#include "host/prepare/numbered_ids.h"
#include "host/prepare/time_text.h"

namespace rec {
namespace {

double finite_number(const RecordReader& reader, std::string_view text, const char* what) {
  double value = 0;
  const char* last = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), last, value);
  if (error == std::errc::result_out_of_range)
    reader.refuse(
        fmt::format("the {} '{}' is too large or too small for a number", what, excerpt(text)));
  if (error != std::errc() || rest != last || !std::isfinite(value))
    reader.refuse(fmt::format("the {} '{}' is not a number", what, excerpt(text)));
  return value;
}

int64_t time_of(const RecordReader& reader, std::string_view text) {
  const std::optional<int64_t> time = parsed_time(text);
  if (!time)
    reader.refuse(fmt::format("the time '{}' is neither a number nor a date such as 2018-01-31",
                              excerpt(text)));
  return *time;
}

Split split_named(const RecordReader& reader, std::string_view name) {
  const auto* known = std::find(kSplitNames.begin(), kSplitNames.end(), name);
  if (known == kSplitNames.end())
    reader.refuse(
        fmt::format("the split '{}' is none of train, valid and test; with --split the "
                    "column is not looked at",
                    excerpt(name)));
  return Split(known - kSplitNames.begin());
}

void require_id(const RecordReader& reader, std::string_view id, const char* what) {
  if (id.empty()) reader.refuse(fmt::format("has no {} id; every interaction needs one", what));
  if (id.find_first_of(std::string_view("\t\n\r\0", 4)) != std::string_view::npos)
    reader.refuse(
        fmt::format("the {} id '{}' holds a tab, a line end or a NUL byte, which no id may", what,
                    excerpt(id)));
}

// As many columns as the header has, or as are looked at where there is none.
void require_width(const RecordReader& reader, size_t header, int last) {
  const size_t columns = reader.fields().size();
  if (header > 0 ? columns != header : int(columns) <= last)
    reader.refuse(fmt::format("has {} columns, not {}", columns,
                              header > 0 ? fmt::format("the {} of the header", header)
                                         : fmt::format("at least {}", last + 1)));
}

SourceFacts facts_of(const RecordReader& reader) {
  const ByteSource& source = reader.source();
  return {std::filesystem::path(source.path()).filename().string(), source.bytes_read(),
          source.hash()};
}

SourceFacts facts_of_file(const std::string& path) {
  const MappedFile file(path);
  ContentHash hash;
  hash.add(file.bytes());
  return {std::filesystem::path(path).filename().string(), file.size(), hash.text()};
}

// Calls take() for every record; what is wrong with one goes to bad_lines while there is room.
// Returns how many there were, bad ones too.
template <class Take>
int64_t for_each_record(RecordReader& reader, int64_t most_bad_lines,
                        std::vector<std::string>& bad_lines, Take take) {
  for (int64_t records = 0;; ++records) {
    try {
      if (!reader.next()) return records;
      take();
    } catch (const FileError& bad) {
      if (!reader.can_go_on() || int64_t(bad_lines.size()) >= most_bad_lines) throw;
      bad_lines.emplace_back(bad.what());
    }
  }
}

// A blank for each tab, line end and NUL byte.
void make_one_line(std::string& text) {
  size_t kept = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\r' && at + 1 < text.size() && text[at + 1] == '\n') continue;
    text[kept++] = c == '\t' || c == '\n' || c == '\r' || c == '\0' ? ' ' : c;
  }
  text.resize(kept);
}

class Reader {
 public:
  Reader(const Source& source, const ReadingOptions& options, Reading& reading)
      : options_(options),
        reading_(reading),
        user_ids_(source.user_ids, kind_of(source), lines_.users, reading.user_title),
        item_ids_(source.item_ids, kind_of(source), lines_.items, reading.item_title) {}

  // What was read, once.
  InteractionLines take_lines() {
    number_ids();
    numbering_.get();
    return std::move(lines_);
  }

  void read(const InteractionFile& file, const std::function<void(int64_t)>& told) {
    RecordReader records(file.path, file.dialect);
    require_columns(file);
    std::vector<std::string> header;
    if (file.has_header && records.next())
      header.assign(records.fields().begin(), records.fields().end());
    int64_t until_told = 0;
    reading_.lines += for_each_record(records, options_.most_bad_lines, reading_.bad_lines, [&] {
      constexpr int64_t kLinesBetween = 1 << 16;
      if (--until_told < 0) {
        told(records.source().bytes_read());
        until_told = kLinesBetween;
      }
      if (file.is_numbered)
        take_numbered(file, records);
      else
        take(file, records, header);
    });
    told(records.source().bytes_read());
    reading_.sources.push_back(facts_of(records));
  }

 private:
  static NumberedIds::Kind kind_of(const Source& source) {
    return source.format == "lightgcn" ? NumberedIds::Kind::list : NumberedIds::Kind::table;
  }

  void require_columns(const InteractionFile& file) const {
    if ((options_.least_rating || options_.keep_ratings) && file.at(Column::rating) < 0)
      throw FileError(
          file.path,
          fmt::format("has no {}leave out --min-rating and --dedup sum",
                      file.is_numbered ? "ratings; "
                                       : "column of ratings; name it with --rating-col, or "));
    if ((options_.since || options_.until || options_.keep_times) && file.at(Column::time) < 0)
      throw FileError(
          file.path,
          fmt::format(
              "has no {}leave out what needs times (--since, --until, --split "
              "temporal and leave-one-out)",
              file.is_numbered ? "times; " : "column of times; name it with --time-col, or "));
  }

  void take(const InteractionFile& file, const RecordReader& records,
            const std::vector<std::string>& header) {
    const std::vector<std::string_view>& fields = records.fields();
    const int last = *std::max_element(file.place.begin(), file.place.end());
    require_width(records, header.size(), last);
    if (std::equal(fields.begin(), fields.end(), header.begin(), header.end()))
      records.refuse("is the header once more; take that line out");
    const std::string_view user = fields[size_t(file.at(Column::user))],
                           item = fields[size_t(file.at(Column::item))];
    require_id(records, user, "user");
    require_id(records, item, "item");
    double rating = 0;
    if (options_.least_rating || options_.keep_ratings)
      rating = finite_number(records, fields[size_t(file.at(Column::rating))], "rating");
    int64_t time = 0;
    if (options_.since || options_.until || options_.keep_times)
      time = time_of(records, fields[size_t(file.at(Column::time))]);
    Split split = file.split.value_or(Split::train);
    if (options_.keep_split && file.at(Column::split) >= 0)
      split = split_named(records, fields[size_t(file.at(Column::split))]);
    if (options_.least_rating && rating < *options_.least_rating) {
      ++reading_.below_rating;
      return;
    }
    if ((options_.since && is_before(time, *options_.since)) ||
        (options_.until && !is_before(time, *options_.until))) {
      ++reading_.outside_time;
      return;
    }
    if (options_.keep_times) lines_.time.push_back(time);
    if (options_.keep_ratings) lines_.rating.push_back(rating);
    if (options_.keep_split) lines_.split.push_back(uint8_t(split));
    users_.add(user);
    items_.add(item);
    constexpr size_t kIdsAtOnce = 1 << 14;
    if (users_.size() == kIdsAtOnce) number_ids();
  }

  // Beside the reading of the next ones.
  void number_ids() {
    if (numbering_.valid()) numbering_.get();
    std::swap(users_, numbered_users_);
    std::swap(items_, numbered_items_);
    users_.clear();
    items_.clear();
    numbering_ = std::async(std::launch::async, [this] {
      lines_.users.add_numbers_of(numbered_users_, lines_.user);
      lines_.items.add_numbers_of(numbered_items_, lines_.item);
    });
  }

  // A user's number and those of her items. No file has such lines beside others.
  void take_numbered(const InteractionFile& file, const RecordReader& records) {
    IdLine line(records.fields()[0], records.line(), file.path, "user item item ...");
    int32_t user = 0, item = 0;
    if (!line.next(user)) return;
    row_.clear();  // a line is read whole before anything of it counts
    while (line.next(item)) row_.push_back(item);
    user = user_ids_.number_of(user, records);
    for (int32_t& each : row_) each = item_ids_.number_of(each, records);
    lines_.user.insert(lines_.user.end(), row_.size(), user);
    lines_.item.insert(lines_.item.end(), row_.begin(), row_.end());
    if (options_.keep_split)
      lines_.split.insert(lines_.split.end(), row_.size(), uint8_t(*file.split));
  }

  // A date stands for seconds; times of thousands of years are milliseconds.
  static bool is_before(int64_t time, const TimeLimit& limit) {
    constexpr int64_t kMilliseconds = 100'000'000'000;
    const bool is_large = time >= kMilliseconds || time <= -kMilliseconds;
    return (limit.is_date && is_large ? time / 1000 : time) < limit.time;
  }

  const ReadingOptions& options_;
  Reading& reading_;
  InteractionLines lines_;
  IdBatch users_, items_;                    // of the interactions taken last
  IdBatch numbered_users_, numbered_items_;  // of those before, while they are numbered
  std::future<void> numbering_;
  NumberedIds user_ids_, item_ids_;
  std::vector<int32_t> row_;  // of a line of numbers, the items
};

}  // namespace

InteractionLog grouped(InteractionLines&& lines) {
  InteractionLog log{std::move(lines.users), std::move(lines.items), {}, {}, {}, {}, {}};
  log.start.assign(size_t(log.users.size()) + 1, 0);
  for (const int32_t user : lines.user) ++log.start[size_t(user) + 1];
  std::partial_sum(log.start.begin(), log.start.end(), log.start.begin());
  // One after the other, each given back when it is done.
  const auto group = [&](auto& from, auto& to) {
    std::vector<int64_t> place(log.start.begin(), log.start.end() - 1);
    to.resize(from.size());
    for (size_t n = 0; n < from.size(); ++n) to[size_t(place[size_t(lines.user[n])]++)] = from[n];
    from = {};
  };
  group(lines.item, log.item);
  if (!lines.time.empty()) group(lines.time, log.time);
  if (!lines.rating.empty()) group(lines.rating, log.rating);
  if (!lines.split.empty()) group(lines.split, log.split);
  return log;
}

Reading read_interactions_of(const Source& source, const ReadingOptions& options,
                             const Told& told) {
  Reading reading;
  Reader reader(source, options, reading);
  int64_t all = 0, before = 0;
  for (const InteractionFile& file : source.interactions) all += ByteSource(file.path).bytes();
  for (const InteractionFile& file : source.interactions) {
    reader.read(file, [&](int64_t bytes) { told(before + bytes, all); });
    before += reading.sources.back().bytes;
  }
  for (const std::string& ids : {source.user_ids, source.item_ids})
    if (!ids.empty()) reading.sources.push_back(facts_of_file(ids));
  reading.log = grouped(reader.take_lines());
  reading.bad_interactions = int64_t(reading.bad_lines.size());
  if (reading.log.size() == 0)
    throw FileError(source.interactions.front().path,
                    fmt::format("holds no interaction that is kept, of {} lines", reading.lines));
  return reading;
}

Titles read_titles(const ItemFile& file, const IdDictionary& items, const std::string& separator,
                   int64_t most_bad_lines, std::vector<std::string>& bad_lines) {
  Titles titles;
  titles.title.resize(size_t(items.size()));
  std::vector<uint8_t> has_come(size_t(items.size()), 0);
  RecordReader records(file.path, file.dialect);
  const size_t header = file.has_header && records.next() ? records.fields().size() : 0;
  const int last = std::max(file.id, *std::max_element(file.text.begin(), file.text.end()));
  for_each_record(records, most_bad_lines, bad_lines, [&] {
    const std::vector<std::string_view>& fields = records.fields();
    require_width(records, header, last);
    const int32_t item = items.find(fields[size_t(file.id)]);
    if (item < 0 || has_come[size_t(item)] == 1) return;
    has_come[size_t(item)] = 1;
    std::string& title = titles.title[size_t(item)];
    for (const int column : file.text) {
      const std::string_view text = fields[size_t(column)];
      if (text.empty()) continue;
      if (!title.empty()) title += separator;
      title += text;
    }
    make_one_line(title);
  });
  titles.source = facts_of(records);
  return titles;
}

}  // namespace rec
