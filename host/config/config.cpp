#include "host/config/config.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>

#include "engine/language_encoder.h"
#include "host/config/nearest_name.h"
#include "host/formats/file_error.h"
#include "host/formats/mapped_file.h"

namespace rec {
namespace {

// One key: how it is read from a TOML value (a sentence when it is refused, else "") and written.
struct Key {
  std::string name;
  std::vector<std::string> aliases;
  std::string allowed;  // the values it takes, in words
  std::function<std::string(Config&, const toml::node&)> read;
  std::function<std::string(const Config&)> write;
  std::string default_from = "";  // what its default follows from (resolve), "" when nothing
};

Key whole_number(std::string name, std::vector<std::string> aliases, int64_t Config::*field,
                 int64_t smallest, int64_t largest) {
  const std::string allowed = fmt::format("{} to {}", smallest, largest);
  return {std::move(name), std::move(aliases), allowed,
          [=](Config& config, const toml::node& value) -> std::string {
            const auto number = value.value_exact<int64_t>();
            if (!number) return "must be a whole number";
            if (*number < smallest || *number > largest)
              return fmt::format("must be {}, not {}", allowed, *number);
            config.*field = *number;
            return "";
          },
          [=](const Config& config) { return std::to_string(config.*field); }};
}

// exclusive: the smallest value itself is not allowed
Key real_number(std::string name, std::vector<std::string> aliases, double Config::*field,
                double smallest, bool exclusive, double largest) {
  const std::string allowed = fmt::format(
      "{} {} and at most {}", exclusive ? "greater than" : "at least", smallest, largest);
  return {std::move(name), std::move(aliases), allowed,
          [=](Config& config, const toml::node& value) -> std::string {
            const auto number = value.value<double>();
            if (!number || !(value.is_floating_point() || value.is_integer()))
              return "must be a number";
            if (!(exclusive ? *number > smallest : *number >= smallest) || !(*number <= largest))
              return fmt::format("must be {}, not {}", allowed, *number);
            config.*field = *number;
            return "";
          },
          [=](const Config& config) {
            std::string text = fmt::format("{}", config.*field);
            return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
          }};
}

std::string one_of(const std::vector<std::string>& choices) {
  return fmt::format("{}", fmt::join(choices, ", "));
}

std::string in_lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

Key word(std::string name, std::vector<std::string> aliases, std::string Config::*field,
         std::vector<std::string> choices) {
  const std::string allowed = one_of(choices);
  return {std::move(name), std::move(aliases), allowed,
          [=](Config& config, const toml::node& value) -> std::string {
            const auto text = value.value_exact<std::string>();
            if (!text) return "must be a word: " + allowed;
            const std::string choice = in_lower_case(*text);
            if (std::find(choices.begin(), choices.end(), choice) == choices.end())
              return fmt::format("'{}' is not available; choose from: {}", *text, allowed);
            config.*field = choice;
            return "";
          },
          [=](const Config& config) { return "\"" + config.*field + "\""; }};
}

// A key whose default follows from others; resolve() fills it in.
Key following(std::string from, Key key) {
  key.default_from = std::move(from);
  return key;
}

const std::vector<std::string> kMetrics = {"recall", "ndcg", "hr", "precision", "map", "mrr"};

Key cutoffs() {
  return {"topk",
          {"Ks", "topks", "topN"},
          "1 to 1000000, or a list of such",
          [](Config& config, const toml::node& value) -> std::string {
            std::vector<int64_t> ks;
            if (const auto one = value.value_exact<int64_t>()) ks.push_back(*one);
            if (const toml::array* many = value.as_array())
              for (const toml::node& each : *many) {
                const auto k = each.value_exact<int64_t>();
                if (!k) return "must be whole numbers, as [10, 20]";
                ks.push_back(*k);
              }
            if (ks.empty()) return "must be a whole number or a list of them, as [10, 20]";
            for (int64_t k : ks)
              if (k < 1 || k > 1'000'000) return fmt::format("must be 1 to 1000000, not {}", k);
            std::vector<int64_t> sorted = ks;
            std::sort(sorted.begin(), sorted.end());
            const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
            if (twice != sorted.end()) return fmt::format("names {} twice", *twice);
            config.topk = ks;
            return "";
          },
          [](const Config& config) { return fmt::format("[{}]", fmt::join(config.topk, ", ")); }};
}

Key text(std::string name, std::string Config::*field, std::string allowed) {
  return {std::move(name),
          {},
          std::move(allowed),
          [=](Config& config, const toml::node& value) -> std::string {
            const auto given = value.value_exact<std::string>();
            if (!given) return "must be text in quotation marks";
            config.*field = *given;
            return "";
          },
          [=](const Config& config) {
            std::ostringstream out;
            out << toml::value<std::string>(config.*field);
            return out.str();
          }};
}

Key shares() {
  return {"domain_shares",
          {},
          "a list of numbers greater than 0, one for each dataset",
          [](Config& config, const toml::node& value) -> std::string {
            const toml::array* list = value.as_array();
            if (list == nullptr) return "must be a list of numbers, as [1, 2.5]";
            std::vector<double> shares;
            for (const toml::node& each : *list) {
              const auto share = each.value<double>();
              if (!share || !(*share > 0) || !(*share <= 1e9))
                return "must be numbers greater than 0 and at most 1000000000";
              shares.push_back(*share);
            }
            config.domain_shares = shares;
            return "";
          },
          [](const Config& config) {
            return fmt::format("[{}]", fmt::join(config.domain_shares, ", "));
          }};
}

// "Recall@20" as "recall@20", with hr by any of its names;
// "" when it is not a metric with its cut-off.
std::string metric_with_cutoff(std::string text) {
  static const std::vector<std::string> names_of_hr = {"hit", "hit_ratio", "hitratio"};
  text = in_lower_case(std::move(text));
  const size_t at = text.find('@');
  if (at == std::string::npos) return "";
  std::string metric = text.substr(0, at);
  const std::string cutoff = text.substr(at + 1);
  if (std::find(names_of_hr.begin(), names_of_hr.end(), metric) != names_of_hr.end()) metric = "hr";
  const bool known = std::find(kMetrics.begin(), kMetrics.end(), metric) != kMetrics.end();
  const bool number =
      !cutoff.empty() && cutoff.size() <= 6 && cutoff[0] != '0' &&
      std::all_of(cutoff.begin(), cutoff.end(), [](char c) { return c >= '0' && c <= '9'; });
  return known && number ? metric + "@" + cutoff : "";
}

Key monitor() {
  return {"monitor",
          {"valid_metric"},
          one_of(kMetrics) + ", each with its cut-off: recall@20",
          [](Config& config, const toml::node& value) -> std::string {
            const auto text = value.value_exact<std::string>();
            if (!text) return "must be a metric with its cut-off, as \"recall@20\"";
            const std::string metric = metric_with_cutoff(*text);
            if (metric.empty())
              return fmt::format("'{}' is not a metric; use {} with @ and a cut-off, as recall@20",
                                 *text, one_of(kMetrics));
            config.monitor = metric;
            return "";
          },
          [](const Config& config) { return "\"" + config.monitor + "\""; }};
}

const std::vector<Key>& keys() {
  constexpr int64_t kMany = std::numeric_limits<int32_t>::max();
  static const std::vector<Key> table = {
      word("model", {"model_name"}, &Config::model, {"alpharec", "linear", "lightgcn", "mf"}),
      following("the model", word("projector", {}, &Config::projector, {"mlp", "linear", "none"})),
      following("the projector", whole_number("projector_layers", {"projector.layers"},
                                              &Config::projector_layers, 0, kMaxProjectorLayers)),
      following("the language width",
                whole_number("hidden", {"hidden_width"}, &Config::hidden, 0, 1 << 20)),
      whole_number("width", {"hidden_size", "embedding_size", "recdim", "embed_size", "n_factors"},
                   &Config::width, 1, 1 << 16),
      following("the model",
                whole_number("layers", {"n_layers", "layer", "layer_num", "num_layers"},
                             &Config::layers, 0, 64)),
      real_number("init_std", {}, &Config::init_std, 0, false, 1e3),
      following("the model", word("objective", {"loss"}, &Config::objective,
                                  {"infonce", "bpr", "softmax", "inbatch"})),
      following("the model", word("score", {}, &Config::score, {"cosine", "dot"})),
      following("compat", real_number("tau", {"temperature", "temp", "temp_cl"}, &Config::tau, 1e-6,
                                      false, 1e6)),
      whole_number("batch", {"batch_size", "train_batch_size", "bpr_batch"}, &Config::batch, 1,
                   kMany),
      whole_number("negatives",
                   {"neg_sample", "sample_num", "num_neg", "train_neg_sample_args.sample_num"},
                   &Config::negatives, 1, 1 << 20),
      word("negative_distribution", {}, &Config::negative_distribution, {"uniform", "popularity"}),
      real_number("negative_exponent", {}, &Config::negative_exponent, 0, true, 4),
      word("sampling", {}, &Config::sampling, {"user", "interaction", "random_user"}),
      real_number("lr", {"learning_rate", "learning.rate"}, &Config::lr, 0, true, 1e3),
      real_number("weight_decay", {}, &Config::weight_decay, 0, false, 1e3),
      following("the model", real_number("reg", {"regs", "decay", "reg_weight", "reg.lambda"},
                                         &Config::reg, 0, false, 1e3)),
      whole_number("epochs", {"max_epoch", "num_epochs"}, &Config::epochs, 1, kMany),
      whole_number("eval_every", {"verbose", "eval_step", "test_step"}, &Config::eval_every, 1,
                   kMany),
      following("compat", whole_number("patience", {"stopping_step"}, &Config::patience, 1, kMany)),
      monitor(),
      text("monitor_domain", &Config::monitor_domain, "the folder name of a dataset, or ''"),
      shares(),
      word("mask", {}, &Config::mask, {"others", "train"}),
      cutoffs(),
      whole_number("seed", {}, &Config::seed, 0, std::numeric_limits<int64_t>::max()),
      whole_number("threads", {"num_threads", "num_workers", "worker"}, &Config::threads, 0, 4096),
      word("precision", {}, &Config::precision, {"fp32", "tf32", "bf16"}),
      word("compat", {}, &Config::compat, {"none", "alpharec-release"}),
  };
  return table;
}

const Key* find_key(const std::string& name) {
  for (const Key& key : keys())
    if (key.name == name ||
        std::find(key.aliases.begin(), key.aliases.end(), name) != key.aliases.end())
      return &key;
  return nullptr;
}

// "the nearest known one is 'batch_size', which is 'batch'"
std::string advice_for(const std::string& name) {
  std::vector<std::string> known;
  for (const Key& key : keys()) {
    known.push_back(key.name);
    known.insert(known.end(), key.aliases.begin(), key.aliases.end());
  }
  std::string nearest = nearest_name(name, known);
  if (nearest.empty()) nearest = nearest_name(name.substr(name.rfind('.') + 1), known);
  if (nearest.empty()) {
    std::vector<std::string> names;
    for (const Key& key : keys()) names.push_back(key.name);
    return fmt::format("the known ones are {}", fmt::join(names, ", "));
  }
  const std::string& key = find_key(nearest)->name;
  return fmt::format("the nearest known one is '{}'{}", nearest,
                     key == nearest ? "" : fmt::format(", which is '{}'", key));
}

// Peers' names of what this program decides itself.
bool sizes_evaluation(const std::string& name) {
  return name == "eval_batch_size" || name == "testbatch";
}

// The sentence that refuses the setting, or "".
std::string apply(Config& config, const std::string& name, const toml::node& value) {
  const Key* key = find_key(name);
  if (key == nullptr && sizes_evaluation(name))
    return fmt::format("'{}': rec_engine sizes evaluation itself; leave it out", name);
  if (key == nullptr) return fmt::format("unknown key '{}'; {}", name, advice_for(name));
  const std::string refusal = key->read(config, value);
  return refusal.empty() ? "" : fmt::format("'{}' {}", name, refusal);
}

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t") + 1 - first);
}

// As above with the value as text: a TOML value, a list without its brackets, or a bare word for a
// string.
std::string apply_text(Config& config, const std::string& name, const std::string& text) {
  const auto parsed = [](const std::string& value) -> std::optional<toml::table> {
    try {
      return toml::parse("value = " + value);
    } catch (const toml::parse_error&) {
      return std::nullopt;
    }
  };
  const std::string word = trimmed(text);
  std::optional<toml::table> as_toml = parsed(word);
  if (!as_toml && word.find(',') != std::string::npos) as_toml = parsed("[" + word + "]");
  toml::table table = as_toml.value_or(toml::table());
  if (!as_toml) table.insert_or_assign("value", word);  // a bare word
  const toml::node* value = table.get("value");
  if (value == nullptr || table.size() != 1) return "must be key=value, one setting at a time";
  return apply(config, name, *value);
}

// A value of a TOML file and where it stands. Tables are flattened:
// [learning] rate is learning.rate.
struct Entry {
  std::string name;
  const toml::node* value;
  int64_t line;
};

void collect(const toml::table& table, const std::string& prefix, std::vector<Entry>& entries) {
  for (const auto& [key, value] : table) {
    const std::string name = prefix + std::string(key.str());
    const toml::table* inner = value.as_table();
    if (inner != nullptr && !inner->empty())
      collect(*inner, name + ".", entries);
    else
      entries.push_back({name, &value, static_cast<int64_t>(key.source().begin.line)});
  }
}

void apply_table(Config& config, const toml::table& table, const std::string& file) {
  std::vector<Entry> entries;
  collect(table, "", entries);
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.line < b.line; });
  std::map<const Key*, std::string> seen;  // and the name it was given
  for (const Entry& entry : entries) {
    if (const Key* key = find_key(entry.name)) {
      const auto [earlier, is_first] = seen.emplace(key, entry.name);
      if (!is_first)
        throw FileError(file, entry.line,
                        fmt::format("'{}' and '{}' are the same setting; keep one", earlier->second,
                                    entry.name));
    }
    const std::string refusal = apply(config, entry.name, *entry.value);
    if (!refusal.empty()) throw FileError(file, entry.line, refusal);
  }
}

// Of a config whose words are filled in.
void refuse_contradiction(const Config& config) {
  const auto refuse = [&](const std::string& setting, const std::string& why) {
    throw std::invalid_argument(fmt::format("{}, but {}; leave one of them out", setting, why));
  };
  const bool reads = reads_language(config.model);
  const std::string projector = fmt::format("projector is '{}'", config.projector);
  if (reads == (config.projector == "none"))
    refuse(projector,
           fmt::format("model is '{}', which {}", config.model,
                       reads ? "projects language vectors" : "reads no language vectors"));
  const int64_t layers = config.projector_layers;
  if (layers > 0 && (config.projector == "none" || (layers == 1) != (config.projector == "linear")))
    refuse(projector, fmt::format("projector_layers is {}", layers));
  if (config.model == "mf" && config.layers > 0)
    refuse(fmt::format("layers is {}", config.layers),
           "model is 'mf', which has none (lightgcn has)");
  if (reads && config.init_std > 0)
    refuse(fmt::format("init_std is {}", config.init_std),
           fmt::format("model is '{}', whose weights begin uniform (lightgcn and mf have rows that "
                       "begin normal)",
                       config.model));
  if (reads && config.reg > 0)
    refuse(fmt::format("reg is {}", config.reg),
           fmt::format("model is '{}' and has no rows of users and items to keep short (lightgcn "
                       "and mf have; weight_decay is for all)",
                       config.model));
}

}  // namespace

void apply_config_text(Config& config, const std::string& text, const std::string& name) {
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    throw FileError(name, static_cast<int64_t>(error.source().begin.line),
                    "is not TOML: " + std::string(error.description()));
  }
  apply_table(config, table, name);
}

void apply_config_file(Config& config, const std::string& file) {
  apply_config_text(config, std::string(MappedFile(file).bytes()), file);
}

void apply_setting(Config& config, const std::string& key_and_value) {
  const size_t equals = key_and_value.find('=');
  const std::string refusal = equals == std::string::npos || equals == 0
                                  ? "must be key=value"
                                  : apply_text(config, trimmed(key_and_value.substr(0, equals)),
                                               key_and_value.substr(equals + 1));
  if (!refusal.empty()) throw RefusedSetting(key_and_value, refusal);
}

bool reads_language(const std::string& model) { return model == "alpharec" || model == "linear"; }

bool as_release(const Config& config) { return config.compat == "alpharec-release"; }

Config resolve(Config config, int64_t language_width) {
  if (config.tau == 0) config.tau = as_release(config) ? 0.1 : 0.15;
  if (config.patience == 0) config.patience = as_release(config) ? 10 : 20;
  const bool reads = reads_language(config.model);
  if (config.projector.empty())
    config.projector = !reads                                                     ? "none"
                       : config.projector_layers > 1                              ? "mlp"
                       : config.projector_layers == 1 || config.model == "linear" ? "linear"
                                                                                  : "mlp";
  if (config.layers < 0)
    config.layers = config.model == "alpharec" ? 2 : config.model == "lightgcn" ? 3 : 0;
  if (config.objective.empty()) config.objective = reads ? "infonce" : "bpr";
  if (config.score.empty()) config.score = reads ? "cosine" : "dot";
  if (config.reg < 0) config.reg = reads ? 0 : 1e-4;
  refuse_contradiction(config);
  if (config.projector_layers == 0 && reads)
    config.projector_layers = config.projector == "mlp" ? 2 : 1;
  if (config.projector != "mlp")
    config.hidden = 0;
  else if (config.hidden == 0)
    config.hidden = default_hidden_width(language_width);
  // softmax and inbatch do not look at negatives; the sampler draws one at least.
  if (config.objective != "infonce") config.negatives = 1;
  if (config.objective == "softmax" || config.objective == "inbatch")
    config.negative_distribution = "uniform";
  return config;
}

std::string to_toml(const Config& config) {
  std::string text;
  for (const Key& key : keys()) text += key.name + " = " + key.write(config) + "\n";
  return text;
}

std::string first_difference(const Config& a, const Config& b) {
  for (const Key& key : keys())
    if (key.write(a) != key.write(b))
      return fmt::format("{} = {}, not {}", key.name, key.write(a), key.write(b));
  return "";
}

std::string setting_named(const std::string& name) {
  const Key* key = find_key(name);
  return key == nullptr ? "" : key->name;
}

std::string list_of_settings() {
  std::string text;
  for (const Key& key : keys()) {
    const std::string set_to =
        key.default_from.empty() ? key.write(Config()) : "by " + key.default_from;
    text += fmt::format("  {} = {}\n      {}\n", key.name, set_to, key.allowed);
    if (!key.aliases.empty()) text += "      also called: " + one_of(key.aliases) + "\n";
  }
  return text;
}

}  // namespace rec
