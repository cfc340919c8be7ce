// Interactions as a source has them, before anything is filtered: ids in memory once, and 4 bytes an
// interaction; 8 more where times are kept, 8 where ratings are, and 1 where a source's split is kept.
// Putting a user's together takes 12 bytes, 24 with times or ratings, 32 with both, and 1 for a split.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "host/dataset/dataset.h"
#include "host/prepare/id_dictionary.h"
#include "host/prepare/source.h"

namespace rec {

// Line after line.
struct InteractionLines {
  IdDictionary users, items;
  std::vector<int32_t> user, item;
  std::vector<int64_t> time;   // seconds or whatever the source counts; empty where not kept
  std::vector<double> rating;  // empty where not kept
  std::vector<uint8_t> split;  // as Split; empty where not kept
};

// A user's interactions together, in the order of the lines: those of u are start[u] .. start[u + 1).
struct InteractionLog {
  IdDictionary users, items;
  std::vector<int64_t> start;  // [users + 1]
  std::vector<int32_t> item;
  std::vector<int64_t> time;
  std::vector<double> rating;
  std::vector<uint8_t> split;

  int64_t size() const { return int64_t(item.size()); }
  int64_t degree(int64_t user) const { return start[size_t(user) + 1] - start[size_t(user)]; }
  // Keeps the interactions n of users u for which keep(u, n), in their order. Returns how many went.
  template <class Keep>
  int64_t keep_if(Keep keep);
};

// What the lines held is given back on the way.
InteractionLog grouped(InteractionLines&& lines);

struct TimeLimit {
  int64_t time = 0;
  bool is_date = false;  // it was given as one
};

struct ReadingOptions {
  std::optional<double> least_rating;
  std::optional<TimeLimit> since, until;  // from `since` on, before `until`
  bool keep_times = false, keep_ratings = false;
  bool keep_split = false;     // of a source that is split
  int64_t most_bad_lines = 0;  // passed over; one more is refused
};

struct SourceFacts {
  std::string file;  // without its folder
  int64_t bytes = 0;
  std::string hash;  // XXH3 of its bytes
};

struct Reading {
  InteractionLog log;
  std::vector<SourceFacts> sources;
  // Of the log's users and items, where a table of the source has them.
  std::vector<std::string> user_title, item_title;
  int64_t lines = 0;  // of interactions, bad ones too
  int64_t below_rating = 0, outside_time = 0;
  int64_t bad_interactions = 0;        // lines that were passed over
  std::vector<std::string> bad_lines;  // what was wrong with each
};

// told(bytes read, bytes in all) comes now and then.
using Told = std::function<void(int64_t, int64_t)>;

Reading read_interactions_of(const Source& source, const ReadingOptions& options, const Told& told);

// title [items]: of those that the file of items names; the others stay empty. Titles are their
// columns' texts, those that are there, with `separator` between them and blanks for tabs and line
// ends. Of an item that stands there several times the first counts.
struct Titles {
  std::vector<std::string> title;
  SourceFacts source;
};
Titles read_titles(const ItemFile& file, const IdDictionary& items, const std::string& separator,
                   int64_t most_bad_lines, std::vector<std::string>& bad_lines);

template <class Keep>
int64_t InteractionLog::keep_if(Keep keep) {
  const auto of_all = [&](const auto& each) {
    each(item);
    if (!time.empty()) each(time);
    if (!rating.empty()) each(rating);
    if (!split.empty()) each(split);
  };
  size_t kept = 0, n = 0;
  for (size_t u = 0; u + 1 < start.size(); ++u) {
    for (const auto last = size_t(start[u + 1]); n < last; ++n) {
      if (!keep(int64_t(u), int64_t(n))) continue;
      of_all([&](auto& values) { values[kept] = values[n]; });
      ++kept;
    }
    start[u + 1] = int64_t(kept);
  }
  of_all([&](auto& values) { values.resize(kept); });
  return int64_t(n - kept);
}

}  // namespace rec
