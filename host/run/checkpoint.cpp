#include "host/run/checkpoint.h"

#include <fmt/format.h>

#include <bit>
#include <charconv>

#include "host/formats/file_error.h"

namespace rec {
namespace {

constexpr const char* kFormat = "rec_engine 1";

// Each slab's tensors carry the parameter's name behind a prefix.
struct Slab {
  const char* prefix;
  VectorView<float> values;
};

void add_slab(SafetensorsFile& file, Model& model, const Slab& slab) {
  for (const ParameterInfo& p : model.parameters().table()) {
    Tensor tensor{slab.prefix + p.name, {p.rows}, std::vector<float>(size_t(p.size()))};
    if (p.cols > 0) tensor.shape.push_back(p.cols);
    model.backend().download(tensor.values.data(), slab.values.data + p.offset,
                             sizeof(float) * tensor.values.size());
    file.tensors.push_back(std::move(tensor));
  }
}

// Calls put(parameter, values) with what the file has under prefix and each parameter's name.
template <class Put>
void restore_tensors(const SafetensorsFile& file, Model& model, const std::string& prefix,
                     const std::string& path, Put put) {
  for (const ParameterInfo& p : model.parameters().table()) {
    const std::string name = prefix + p.name;
    const Tensor* tensor = file.find(name);
    if (tensor == nullptr)
      throw FileError(path, "has no tensor '" + name + "'; it belongs to a model of another shape");
    std::vector<int64_t> wanted = {p.rows};
    if (p.cols > 0) wanted.push_back(p.cols);
    if (tensor->shape != wanted)
      throw FileError(path,
                      fmt::format("tensor '{}' is [{}], but this model and dataset need [{}]", name,
                                  fmt::join(tensor->shape, ", "), fmt::join(wanted, ", ")));
    put(p, tensor->values);
  }
}

void restore_slab(const SafetensorsFile& file, Model& model, const Slab& slab,
                  const std::string& path) {
  restore_tensors(file, model, slab.prefix, path,
                  [&](const ParameterInfo& p, const std::vector<float>& values) {
                    model.backend().upload(slab.values.data + p.offset, values.data(),
                                           sizeof(float) * values.size());
                  });
}

std::string exact(double value) { return fmt::format("{:016x}", std::bit_cast<uint64_t>(value)); }

class Metadata {
 public:
  Metadata(const SafetensorsFile& file, const std::string& path) : file_(file), path_(path) {}

  std::string text(const std::string& key) const {
    const auto at = file_.metadata.find(key);
    if (at == file_.metadata.end())
      throw FileError(path_, "is not a checkpoint of this program: it lacks '" + key + "'");
    return at->second;
  }
  uint64_t number(const std::string& key, int base) const {
    const std::string word = text(key);
    uint64_t value = 0;
    const auto [rest, error] = std::from_chars(word.data(), word.data() + word.size(), value, base);
    if (error != std::errc() || rest != word.data() + word.size())
      throw FileError(path_, "has a damaged value for '" + key + "'");
    return value;
  }
  int64_t count(const std::string& key) const { return static_cast<int64_t>(number(key, 10)); }
  double exact_double(const std::string& key) const {
    return std::bit_cast<double>(number(key, 16));
  }

 private:
  const SafetensorsFile& file_;
  const std::string& path_;
};

}  // namespace

SafetensorsFile make_checkpoint(Model& model, const CheckpointFacts& facts, bool with_moments) {
  SafetensorsFile file;
  const ParameterSlabs slabs = model.parameters().slabs();
  add_slab(file, model, {"", slabs.weight});
  if (with_moments) {
    add_slab(file, model, {"first_moment.", slabs.first_moment});
    add_slab(file, model, {"second_moment.", slabs.second_moment});
  }
  file.metadata = {{"format", kFormat},
                   {"config", facts.config},
                   {"dataset", facts.dataset},
                   {"language_model", facts.language_model.model},
                   {"language_basis", facts.language_model.basis},
                   {"language_width", std::to_string(facts.language_width)},
                   {"seed", std::to_string(facts.clock.seed)},
                   {"epoch", std::to_string(facts.clock.epoch)},
                   {"step", std::to_string(facts.clock.step)},
                   {"updates", std::to_string(facts.clock.updates)},
                   {"loss_sum", exact(facts.clock.loss_sum)},
                   {"best", exact(facts.selection.best)},
                   {"best_epoch", std::to_string(facts.selection.best_epoch)},
                   {"without_gain", std::to_string(facts.selection.without_gain)}};
  return file;
}

CheckpointFacts read_facts(const SafetensorsFile& file, const std::string& path) {
  const Metadata metadata(file, path);
  if (metadata.text("format") != kFormat)
    throw FileError(path, "was written by another version ('" + metadata.text("format") + "')");
  CheckpointFacts facts;
  facts.config = metadata.text("config");
  facts.dataset = metadata.text("dataset");
  facts.language_model = {metadata.text("language_model"), metadata.text("language_basis")};
  facts.language_width = metadata.count("language_width");
  facts.clock = {metadata.number("seed", 10), metadata.count("epoch"), metadata.count("step"),
                 metadata.count("updates"), metadata.exact_double("loss_sum")};
  facts.selection = {metadata.exact_double("best"), metadata.count("best_epoch"),
                     metadata.count("without_gain")};
  return facts;
}

void require_same_width(const Dataset& data, int64_t trained_width, const std::string& path) {
  if (data.language.width() != trained_width)
    throw FileError(
        data.path,
        fmt::format("has language vectors {} wide, but {} was trained on vectors {} wide",
                    data.language.width(), path, trained_width));
}

std::string language_difference(const Dataset& data, const LanguageModel& trained_on,
                                const std::string& path) {
  const LanguageModel &a = trained_on, &b = data.language_model;
  if (!differ(a, b)) return "";
  return fmt::format("has vectors of language model {}, but {} was trained on {}", described(b),
                     path, described(a));
}

void require_same_language(const Dataset& data, const LanguageModel& trained_on,
                           int64_t trained_width, const std::string& path) {
  require_same_width(data, trained_width, path);
  const std::string difference = language_difference(data, trained_on, path);
  if (!difference.empty())
    throw FileError(data.path, difference + "; embed the titles with the same model");
}

void restore_weights(Model& model, const SafetensorsFile& file, const std::string& path) {
  restore_tensors(file, model, "", path,
                  [&](const ParameterInfo& p, const std::vector<float>& values) {
                    model.parameters().set(model.backend(), p, values);
                  });
}

void restore_moments(Model& model, const SafetensorsFile& file, const std::string& path) {
  restore_slab(file, model, {"first_moment.", model.parameters().slabs().first_moment}, path);
  restore_slab(file, model, {"second_moment.", model.parameters().slabs().second_moment}, path);
}

}  // namespace rec
