// Settings of a run: the paper's defaults, then the dataset's config.toml, a --config file, and
// --set, each over the one before. One table of keys (config.cpp) defines names, aliases, ranges
// and how each is written.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace rec {

struct Config {
  std::string model = "alpharec";  // alpharec | linear | lightgcn | mf
  std::string projector;           // mlp | linear | none; empty: the model's own
  int64_t projector_layers = 0;    // 0: the projector's own (mlp 2, linear 1)
  int64_t hidden = 0;              // 0: by the language width (engine/language_encoder.h)
  int64_t width = 64;              // d
  int64_t layers = -1;    // K; -1: the model's own (alpharec 2, linear 0, lightgcn 3, mf 0)
  double init_std = 0;    // of lightgcn and mf; 0: Xavier's
  std::string objective;  // infonce | bpr | softmax | inbatch; empty: the model's own
  std::string score;      // cosine | dot; empty: the model's own
  double tau = 0;         // 0: 0.15, with compat the release's
  int64_t batch = 4096;
  int64_t negatives = 256;                        // with all but infonce always 1
  std::string negative_distribution = "uniform";  // uniform | popularity
  double negative_exponent = 0.75;                // of popularity
  std::string sampling = "user";                  // user | interaction | random_user
  double lr = 5e-4;
  double weight_decay = 0;
  double reg = -1;  // -1: the model's own (lightgcn and mf 1e-4, others 0)
  int64_t epochs = 500;
  int64_t eval_every = 5;  // epochs
  // Evaluations without a better monitor; 0: 20, with compat the release's.
  int64_t patience = 0;
  std::string monitor = "recall@20";  // on validation, with compat on test
  std::string monitor_domain;         // of several datasets; empty: the mean over them
  std::vector<double> domain_shares;  // of several datasets, in order; empty: by their users
  std::string mask = "others";        // others: every split but the evaluated one | train
  std::vector<int64_t> topk = {20};
  int64_t seed = 101;
  int64_t threads = 0;  // 0: all processors
  std::string precision = "fp32";
  std::string compat = "none";  // none | alpharec-release (docs/fidelity.md)
};

// file: TOML. Throws FileError naming the line; refused are an unknown key (with the nearest known
// one), a value of another type, out of range or not available, and one setting under two names.
// Tables are flattened: "rate" under [learning] is the key "learning.rate".
void apply_config_file(Config& config, const std::string& file);
// As above from memory; name is for the sentence of a refusal.
void apply_config_text(Config& config, const std::string& text, const std::string& name);
// "key=value" with a TOML value, a list without brackets (5,10), or a bare word for a string; over
// what was set before. Throws RefusedSetting.
void apply_setting(Config& config, const std::string& key_and_value);

// "key=value: sentence"
class RefusedSetting : public std::invalid_argument {
 public:
  RefusedSetting(const std::string& key_and_value, const std::string& sentence)
      : std::invalid_argument(key_and_value + ": " + sentence), sentence_(sentence) {}
  const std::string& sentence() const { return sentence_; }

 private:
  std::string sentence_;
};

// Fills in what follows from other keys: projector, layers, objective, score and reg from model;
// projector_layers from projector; tau and patience from compat; hidden from language_width (D), 0
// where there is nothing between layers. One negative with bpr, and with softmax and inbatch, which
// look at none, so that these become uniform too. Throws std::invalid_argument naming two settings
// that contradict each other.
Config resolve(Config config, int64_t language_width);

// Whether it does as the authors' release does where that differs (docs/fidelity.md): the best epoch
// by the test split, over several datasets by the mean over their users, and an edge for every time
// that an interaction stands in train.txt.
bool as_release(const Config& config);

// Whether the model reads language vectors, or has a representation of its own for every node.
bool reads_language(const std::string& model);

// Every key of a resolved config, one a line, as TOML; the same settings give the same bytes, and
// reading them gives the same settings.
std::string to_toml(const Config& config);

// "lr = 0.1, not 0.2": the first key whose values differ, with a's and b's; "" when none does.
std::string first_difference(const Config& a, const Config& b);

// The key that goes by this name, or by it as one of its aliases; "" for none.
std::string setting_named(const std::string& name);

// For people: every key with its default, what it takes and its other names (docs/settings.md).
std::string list_of_settings();

}  // namespace rec
