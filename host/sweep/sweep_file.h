// The file of a sweep (TOML): which runs are trained, and where.
//
//   data = "data/debian-deps"      a dataset; language = "v3" chooses vectors of the authors' tree
//   out = "runs/tau"               the folder of the run folders
//   seeds = [101, 102, 103]        without it, the settings' own
//   [settings]                     of every run
//   epochs = 20
//   [grid]                         every combination is a run
//   tau = [0.1, 0.15, 0.2]
//   [[variant]]                    named settings; each is combined with the grid
//   name = "w/o GCN"
//   layers = 0
//
// A later one wins: the dataset's config.toml, [settings], the variant, the grid, the seed. Refused
// with the line: what is not TOML, an unknown key, a value of another kind, an empty list, a seed
// among the settings, a variant without a name, two runs of one name, more than 10,000 runs.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/config/config.h"

namespace rec {

struct SweepSetting {
  std::string toml;  // "tau = 0.2"
  int64_t line;      // of the file
};

struct SweepRun {
  std::string name;  // of its folder: "w_o_GCN,tau=0.2,seed=101"
  std::vector<SweepSetting> settings;
  std::optional<int64_t> seed;
};

struct SweepFile {
  std::string path, data, language, out;
  std::vector<SweepRun> runs;  // variants, then the grid, its last key fastest, then seeds
};

// text: the file's bytes; name: its path.
SweepFile parse_sweep_file(std::string_view text, const std::string& name);
SweepFile read_sweep_file(const std::string& path);

// The run's settings over `base`. Throws FileError naming the sweep's file and line.
Config settings_of(const SweepFile& sweep, const SweepRun& run, Config base);

}  // namespace rec
