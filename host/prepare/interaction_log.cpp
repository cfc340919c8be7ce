#include "host/prepare/interaction_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>

#include "host/formats/file_error.h"
#include "host/prepare/time_text.h"

namespace rec {
namespace {

std::string shortened(std::string_view text) {
  constexpr size_t kShown = 40;
  return text.size() <= kShown ? std::string(text) : std::string(text.substr(0, kShown)) + "...";
}

double finite_number(const RecordReader& reader, std::string_view text, const char* what) {
  double value = 0;
  const char* last = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), last, value);
  if (error == std::errc::result_out_of_range)
    reader.refuse(
        fmt::format("the {} '{}' is too large or too small for a number", what, shortened(text)));
  if (error != std::errc() || rest != last || !std::isfinite(value))
    reader.refuse(fmt::format("the {} '{}' is not a number", what, shortened(text)));
  return value;
}

int64_t time_of(const RecordReader& reader, std::string_view text) {
  const std::optional<int64_t> time = parsed_time(text);
  if (!time)
    reader.refuse(fmt::format("the time '{}' is neither a number nor a date such as 2018-01-31",
                              shortened(text)));
  return *time;
}

void require_id(const RecordReader& reader, std::string_view id, const char* what) {
  if (id.empty()) reader.refuse(fmt::format("has no {} id; every interaction needs one", what));
  if (id.find_first_of("\t\n\r") != std::string_view::npos)
    reader.refuse(fmt::format("the {} id '{}' holds a tab or a line end, which no id may", what,
                              shortened(id)));
}

SourceFacts facts_of(const RecordReader& reader) {
  const ByteSource& source = reader.source();
  return {std::filesystem::path(source.path()).filename().string(), source.bytes_read(),
          source.hash()};
}

// Calls take() for every record; what is wrong with one goes to bad_lines while there is room.
template <class Take>
void for_each_record(RecordReader& reader, int64_t most_bad_lines,
                     std::vector<std::string>& bad_lines, Take take) {
  for (bool more = true; more;) {
    try {
      more = reader.next();
      if (more) take();
    } catch (const FileError& bad) {
      if (!reader.can_go_on() || int64_t(bad_lines.size()) >= most_bad_lines) throw;
      bad_lines.emplace_back(bad.what());
    }
  }
}

class Reader {
 public:
  Reader(const ReadingOptions& options, Reading& reading) : options_(options), reading_(reading) {}

  void read(const InteractionFile& file, const std::function<void(int64_t)>& told) {
    RecordReader records(file.path, file.dialect);
    if (file.has_header && !records.next()) return;
    const size_t columns = file.has_header ? records.fields().size() : 0;
    require_columns(file);
    constexpr int64_t kLinesBetween = 1 << 16;
    for_each_record(records, options_.most_bad_lines, reading_.bad_lines, [&] {
      if (++reading_.lines % kLinesBetween == 0) told(records.source().bytes_read());
      take(file, records, columns);
    });
    told(records.source().bytes_read());
    reading_.sources.push_back(facts_of(records));
  }

 private:
  void require_columns(const InteractionFile& file) const {
    if ((options_.least_rating || options_.keep_ratings) && file.at(Column::rating) < 0)
      throw FileError(file.path,
                      "has no column of ratings; name it with --rating-col, or leave out "
                      "--min-rating and --dedup sum");
    if ((options_.since || options_.until || options_.keep_times) && file.at(Column::time) < 0)
      throw FileError(file.path,
                      "has no column of times; name it with --time-col, or leave out what "
                      "needs times (--since, --until, --split temporal and leave-one-out)");
  }

  void take(const InteractionFile& file, const RecordReader& records, size_t columns) {
    const std::vector<std::string_view>& fields = records.fields();
    const int last = *std::max_element(file.place.begin(), file.place.end());
    if (columns > 0 ? fields.size() != columns : int(fields.size()) <= last)
      records.refuse(fmt::format("has {} columns, not {}", fields.size(),
                                 columns > 0 ? fmt::format("the {} of the header", columns)
                                             : fmt::format("at least {}", last + 1)));
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
    if (options_.least_rating && rating < *options_.least_rating) {
      ++reading_.below_rating;
      return;
    }
    if ((options_.since && time < *options_.since) || (options_.until && time >= *options_.until)) {
      ++reading_.outside_time;
      return;
    }
    InteractionLog& log = reading_.log;
    if (log.size() == UINT32_MAX) records.refuse("there are more than 4294967295 interactions");
    log.user.push_back(log.users.number_of(user));
    log.item.push_back(log.items.number_of(item));
    if (options_.keep_times) log.time.push_back(time);
    if (options_.keep_ratings) log.rating.push_back(float(rating));
    if (file.split) log.split.push_back(uint8_t(*file.split));
  }

  const ReadingOptions& options_;
  Reading& reading_;
};

}  // namespace

Reading read_interactions_of(const Source& source, const ReadingOptions& options,
                             const Told& told) {
  Reading reading;
  Reader reader(options, reading);
  int64_t all = 0, before = 0;
  for (const InteractionFile& file : source.interactions) all += ByteSource(file.path).bytes();
  for (const InteractionFile& file : source.interactions) {
    reader.read(file, [&](int64_t bytes) { told(before + bytes, all); });
    before += reading.sources.empty() ? 0 : reading.sources.back().bytes;
  }
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
  if (file.has_header) records.next();
  const int last = std::max(file.id, *std::max_element(file.text.begin(), file.text.end()));
  for_each_record(records, most_bad_lines, bad_lines, [&] {
    const std::vector<std::string_view>& fields = records.fields();
    if (int(fields.size()) <= last)
      records.refuse(fmt::format("has {} columns, not at least {}", fields.size(), last + 1));
    const int32_t item = items.find(fields[size_t(file.id)]);
    if (item < 0) {
      ++titles.unknown;
      return;
    }
    if (has_come[size_t(item)]) return;
    has_come[size_t(item)] = 1;
    std::string& title = titles.title[size_t(item)];
    for (const int column : file.text) {
      const std::string_view text = fields[size_t(column)];
      if (text.empty()) continue;
      if (!title.empty()) title += separator;
      title += text;
    }
    for (char& c : title)
      if (c == '\t' || c == '\n' || c == '\r') c = ' ';
  });
  titles.source = facts_of(records);
  return titles;
}

}  // namespace rec
