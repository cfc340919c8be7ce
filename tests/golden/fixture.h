// Fixtures from double-precision autograd (PyTorch), as files in a folder each. REC_GOLDEN_DIR =
// DIR[:DIR...] names fixture folders (they hold params.txt) or folders of such; without it
// ../shared/golden is looked for.
#pragma once
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "engine/buffer.h"
#include "engine/model.h"
#include "engine/training.h"
#include "host/formats/npy.h"

namespace rec::test {

namespace fs = std::filesystem;

inline std::vector<fs::path> fixtures() {
  const char* named = std::getenv("REC_GOLDEN_DIR");
  std::istringstream folders(named ? named : "../shared/golden");
  std::vector<fs::path> found;
  for (std::string folder; std::getline(folders, folder, ':');) {
    const size_t before = found.size();
    if (fs::exists(fs::path(folder) / "params.txt"))
      found.push_back(folder);
    else if (fs::is_directory(folder))
      for (const auto& entry : fs::directory_iterator(folder))
        if (fs::exists(entry.path() / "params.txt")) found.push_back(entry.path());
    if (named != nullptr && found.size() == before)
      FAIL("REC_GOLDEN_DIR: no fixture in " << folder);
  }
  if (named != nullptr && found.empty()) FAIL("REC_GOLDEN_DIR: names no folder");
  std::sort(found.begin(), found.end());
  return found;
}

class Fixture {
 public:
  explicit Fixture(const fs::path& folder) : folder_(folder) {
    std::ifstream file(folder / "params.txt");
    for (std::string key, value; file >> key >> value;) params_[key] = value;
    start_ = ids64("train_indptr");
    const std::vector<int64_t> edges = ids64("train_indices");
    item_.assign(edges.begin(), edges.end());
    z_ = floats("item_language");
  }

  double number(const std::string& key) const { return std::stod(params_.at(key)); }
  int64_t whole(const std::string& key) const { return std::stoll(params_.at(key)); }
  std::string word(const std::string& key) const { return params_.at(key); }
  bool has(const std::string& array) const { return fs::exists(folder_ / (array + ".npy")); }
  std::vector<double> doubles(const std::string& array) const {
    return NpyFile((folder_ / (array + ".npy")).string()).as_float64();
  }
  std::vector<float> floats(const std::string& array) const {
    return NpyFile((folder_ / (array + ".npy")).string()).as_float32();
  }
  std::vector<int64_t> ids64(const std::string& array) const {
    return NpyFile((folder_ / (array + ".npy")).string()).as_int64();
  }
  std::vector<int32_t> ids(const std::string& array) const {
    const std::vector<int64_t> wide = ids64(array);
    return {wide.begin(), wide.end()};
  }
  CsrView train() const {
    return {int64_t(start_.size()) - 1, whole("I"), start_.data(), item_.data()};
  }
  MatrixView<const float> language() const { return {z_.data(), whole("I"), whole("D")}; }

 private:
  fs::path folder_;
  std::map<std::string, std::string> params_;
  std::vector<int64_t> start_;
  std::vector<int32_t> item_;
  std::vector<float> z_;
};

inline void load_weights(Model& model, const Fixture& fixture, const std::string& prefix) {
  for (const ParameterInfo& p : model.parameters().table()) {
    model.parameters().set(model.backend(), p, fixture.floats(prefix + p.name));
  }
}

inline std::vector<float> slab_part(Backend& backend, VectorView<float> slab,
                                    const ParameterInfo& p) {
  std::vector<float> host(size_t(p.size()));
  backend.download(host.data(), slab.data + p.offset, sizeof(float) * host.size());
  return host;
}

inline ModelSettings model_settings(const Fixture& fixture) {
  const bool mlp = fixture.word("encoder") == "mlp";
  ModelSettings settings;
  settings.projector = {mlp ? 2 : 1, mlp ? fixture.whole("H") : 0, fixture.whole("d"), mlp};
  settings.propagation_layers = int(fixture.whole("layers"));
  return settings;
}

inline TrainingSettings training_settings(const Fixture& fixture) {
  TrainingSettings settings;
  settings.objective.kind =
      fixture.word("objective") == "bpr" ? Objective::bpr : Objective::infonce;
  settings.objective.tau = float(fixture.number("tau"));
  settings.adam.learning_rate = float(fixture.number("lr"));
  settings.adam.beta1 = float(fixture.number("adam_beta1"));
  settings.adam.beta2 = float(fixture.number("adam_beta2"));
  settings.adam.epsilon = float(fixture.number("adam_eps"));
  settings.batch = fixture.whole("batch");
  settings.negatives = fixture.whole("negatives");
  return settings;
}

}  // namespace rec::test
