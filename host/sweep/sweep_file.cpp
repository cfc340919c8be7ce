#include "host/sweep/sweep_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <sstream>

#include "host/config/nearest_name.h"
#include "host/formats/file_error.h"
#include "host/formats/mapped_file.h"

namespace rec {
namespace {

constexpr size_t kMostRuns = 10'000;

int64_t line_of(const toml::node& node) { return std::max<int64_t>(1, node.source().begin.line); }

// The keys of a table in the file's order.
std::vector<std::pair<std::string, const toml::node*>> entries_of(const toml::table& table) {
  std::vector<std::pair<std::string, const toml::node*>> entries;
  for (const auto& [key, value] : table) entries.emplace_back(std::string(key.str()), &value);
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    const auto place = [](const auto& entry) {
      const toml::source_position& at = entry.second->source().begin;
      return std::pair(at.line, at.column);
    };
    return place(a) < place(b);
  });
  return entries;
}

std::string toml_of(const toml::node& value) {
  if (const auto number = value.value_exact<double>()) {
    const std::string shortest = fmt::format("{}", *number);
    const bool whole = shortest.find_first_not_of("-0123456789") == std::string::npos;
    return whole ? shortest + ".0" : shortest;
  }
  std::ostringstream text;
  value.visit([&](const auto& each) { text << each; });
  return text.str();
}

// A value as part of a folder's name.
std::string word_of(const toml::node& value) {
  if (const auto text = value.value_exact<std::string>()) return *text;
  if (const toml::array* many = value.as_array()) {
    std::vector<std::string> words;
    for (const toml::node& each : *many) words.push_back(word_of(each));
    return fmt::format("{}", fmt::join(words, "+"));
  }
  return toml_of(value);
}

std::string folder_name(std::string text) {
  for (char& c : text)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 &&
        std::string("._=+,-").find(c) == std::string::npos)
      c = '_';
  return text;
}

// Some settings and what they are called.
struct Part {
  std::vector<std::string> words;
  std::vector<SweepSetting> settings;

  Part with(const Part& more) const {
    Part both = *this;
    both.words.insert(both.words.end(), more.words.begin(), more.words.end());
    both.settings.insert(both.settings.end(), more.settings.begin(), more.settings.end());
    return both;
  }
};

class SweepReader {
 public:
  explicit SweepReader(const std::string& name) : name_(name) {}

  SweepFile read(const toml::table& table) {
    SweepFile sweep;
    sweep.path = name_;
    std::vector<int64_t> seeds;
    Part settings;
    std::vector<Part> variants = {{}}, grid = {{}};
    for (const auto& [key, value] : entries_of(table)) {
      if (key == "data")
        sweep.data = text_of(key, *value);
      else if (key == "out")
        sweep.out = text_of(key, *value);
      else if (key == "language")
        sweep.language = text_of(key, *value);
      else if (key == "seeds")
        seeds = seeds_of(*value);
      else if (key == "settings")
        settings.settings = settings_of_table(table_of(key, *value));
      else if (key == "grid")
        grid = combinations(table_of(key, *value));
      else if (key == "variant")
        variants = variants_of(*value);
      else
        refuse(*value, fmt::format("unknown key '{}'; {}", key, advice_for(key)));
    }
    for (const auto& [key, given] : {std::pair("data", &sweep.data), std::pair("out", &sweep.out)})
      if (given->empty())
        throw FileError(name_, fmt::format("does not say '{}'; {} = \"FOLDER\"", key, key));
    add_runs(sweep, settings, variants, grid, seeds);
    return sweep;
  }

 private:
  [[noreturn]] void refuse(const toml::node& at, const std::string& sentence) const {
    throw FileError(name_, line_of(at), sentence);
  }

  std::string advice_for(const std::string& key) const {
    if (!setting_named(key).empty())
      return "a setting stands under [settings], [grid] or a [[variant]]";
    const std::vector<std::string> known = {"data",     "out",  "language", "seeds",
                                            "settings", "grid", "variant"};
    const std::string nearest = nearest_name(key, known);
    return nearest.empty() ? fmt::format("there are: {}", fmt::join(known, ", "))
                           : fmt::format("the nearest known one is '{}'", nearest);
  }

  std::string text_of(const std::string& key, const toml::node& value) const {
    const auto text = value.value_exact<std::string>();
    if (!text || text->empty()) refuse(value, "'" + key + "' must be a word in quotation marks");
    return *text;
  }

  const toml::table& table_of(const std::string& key, const toml::node& value) const {
    if (value.as_table() == nullptr) refuse(value, "'" + key + "' must be a table, [" + key + "]");
    return *value.as_table();
  }

  std::vector<int64_t> seeds_of(const toml::node& value) const {
    std::vector<int64_t> seeds;
    if (const toml::array* many = value.as_array())
      for (const toml::node& each : *many) {
        const auto seed = each.value_exact<int64_t>();
        if (!seed || *seed < 0) refuse(each, "'seeds' must be whole numbers from 0, as [101, 102]");
        if (std::find(seeds.begin(), seeds.end(), *seed) != seeds.end())
          refuse(each, fmt::format("'seeds' names {} twice", *seed));
        seeds.push_back(*seed);
      }
    if (seeds.empty()) refuse(value, "'seeds' must be a list of whole numbers, as [101, 102]");
    return seeds;
  }

  SweepSetting setting_of(const std::string& key, const toml::node& value) const {
    if (key == "seed") refuse(value, "'seed' is not swept as a setting; give seeds = [101, 102]");
    return {key + " = " + toml_of(value), line_of(value)};
  }

  // Of every key but the one whose value is left_out.
  std::vector<SweepSetting> settings_of_table(const toml::table& table,
                                              const toml::node* left_out = nullptr) const {
    std::vector<SweepSetting> settings;
    for (const auto& [key, value] : entries_of(table))
      if (value != left_out) settings.push_back(setting_of(key, *value));
    refuse_two_names(settings);
    return settings;
  }

  // One setting under two names of one table, which would each be taken for a setting of its own.
  void refuse_two_names(const std::vector<SweepSetting>& settings) const {
    std::string text;
    int64_t line = 1;
    for (const SweepSetting& setting : settings) {
      for (; line < setting.line; ++line) text += "\n";
      text += setting.toml + "\n";
      ++line;
    }
    Config ignored;
    apply_config_text(ignored, text, name_);
  }

  std::vector<Part> combinations(const toml::table& table) const {
    std::vector<Part> all = {{}};
    std::vector<SweepSetting> firsts;
    for (const auto& [key, value] : entries_of(table)) {
      const toml::array* many = value->as_array();
      if (many == nullptr || many->empty())
        refuse(*value, "'" + key + "' must be a list of values, as " + key + " = [1, 2]");
      firsts.push_back(setting_of(key, *many->get(0)));
      std::vector<Part> longer;
      for (const Part& part : all)
        for (const toml::node& each : *many)
          longer.push_back(part.with({{key + "=" + word_of(each)}, {setting_of(key, each)}}));
      if (longer.size() > kMostRuns)
        refuse(*value, fmt::format("the grid is more than {} runs", kMostRuns));
      all = std::move(longer);
    }
    refuse_two_names(firsts);
    return all;
  }

  std::vector<Part> variants_of(const toml::node& value) const {
    const toml::array* many = value.as_array();
    if (many == nullptr || !many->is_homogeneous(toml::node_type::table))
      refuse(value, "'variant' must be tables, each under [[variant]]");
    std::vector<Part> variants;
    for (const toml::node& each : *many) {
      const toml::table& table = *each.as_table();
      const toml::node* name = table.get("name");
      if (name == nullptr) refuse(each, "a [[variant]] needs a name, as name = \"w/o GCN\"");
      variants.push_back({{text_of("name", *name)}, settings_of_table(table, name)});
    }
    return variants;
  }

  void add_runs(SweepFile& sweep, const Part& settings, const std::vector<Part>& variants,
                const std::vector<Part>& grid, const std::vector<int64_t>& seeds) const {
    std::set<std::string> names;
    const auto add = [&](const Part& part, std::optional<int64_t> seed) {
      std::vector<std::string> words = part.words;
      if (seed) words.push_back(fmt::format("seed={}", *seed));
      const std::string name =
          words.empty() ? "run" : folder_name(fmt::format("{}", fmt::join(words, ",")));
      if (!names.insert(name).second)
        throw FileError(name_,
                        "gives two runs the name '" + name + "'; a value or a name stands twice");
      sweep.runs.push_back({name, settings.with(part).settings, seed});
      if (sweep.runs.size() > kMostRuns)
        throw FileError(name_, fmt::format("is more than {} runs", kMostRuns));
    };
    for (const Part& variant : variants)
      for (const Part& point : grid) {
        if (seeds.empty()) add(variant.with(point), std::nullopt);
        for (int64_t seed : seeds) add(variant.with(point), seed);
      }
  }

  const std::string& name_;
};

}  // namespace

SweepFile parse_sweep_file(std::string_view text, const std::string& name) {
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    throw FileError(name, int64_t(error.source().begin.line),
                    "is not TOML: " + std::string(error.description()));
  }
  return SweepReader(name).read(table);
}

SweepFile read_sweep_file(const std::string& path) {
  return parse_sweep_file(MappedFile(path).bytes(), path);
}

Config settings_of(const SweepFile& sweep, const SweepRun& run, Config base) {
  // Under so many empty lines a refusal names the setting's own.
  for (const SweepSetting& setting : run.settings)
    apply_config_text(base, std::string(size_t(setting.line - 1), '\n') + setting.toml, sweep.path);
  if (run.seed) base.seed = *run.seed;
  return base;
}

}  // namespace rec
