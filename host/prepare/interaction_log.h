// Interactions as a source has them, line after line, before anything is filtered: ids in memory
// once, and 8 bytes an interaction; 8 more where times are kept, 8 where ratings are, and 1 where a
// split that the source brings is kept.
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

struct InteractionLog {
  IdDictionary users, items;
  std::vector<int32_t> user, item;
  std::vector<int64_t> time;   // seconds or whatever the source counts; empty where not kept
  std::vector<double> rating;  // empty where not kept
  std::vector<uint8_t> split;  // as Split; empty where not kept

  int64_t size() const { return int64_t(user.size()); }
  // Keeps the interactions n for which keep(n), in their order. Returns how many went.
  template <class Keep>
  int64_t keep_if(Keep keep);
};

// The places of equal keys, together: those of key k are line[start[k]] .. line[start[k + 1]), in
// their order.
struct LinesOfKeys {
  std::vector<int64_t> start;  // [kinds + 1]
  std::vector<uint32_t> line;  // [keys]
};
LinesOfKeys lines_of_keys(const std::vector<int32_t>& key, int64_t kinds);

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
  size_t kept = 0;
  for (size_t n = 0; n < user.size(); ++n) {
    if (!keep(int64_t(n))) continue;
    user[kept] = user[n];
    item[kept] = item[n];
    if (!time.empty()) time[kept] = time[n];
    if (!rating.empty()) rating[kept] = rating[n];
    if (!split.empty()) split[kept] = split[n];
    ++kept;
  }
  const auto gone = int64_t(user.size() - kept);
  user.resize(kept);
  item.resize(kept);
  if (!time.empty()) time.resize(kept);
  if (!rating.empty()) rating.resize(kept);
  if (!split.empty()) split.resize(kept);
  return gone;
}

}  // namespace rec
