#include "host/run/run_folder.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "host/formats/atomic_file.h"
#include "host/formats/file_error.h"
#include "host/formats/lines.h"
#include "host/formats/mapped_file.h"
#include "host/run/metrics_json.h"

namespace rec {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

bool RunFolder::holds_a_run() const { return is_there(last_file()) || is_there(config_file()); }

void RunFolder::remove_leftovers() const {
  for (const std::string& file :
       {config_file(), facts_file(), metrics_file(), best_file(), last_file(), report_file()})
    remove_leftovers_of(file);
}

void RunFolder::write_facts(const RunFacts& facts) const {
  Json json;
  if (facts.datasets.size() == 1)
    json["dataset"] = facts.datasets[0];
  else
    json["datasets"] = facts.datasets;
  json.update({{"fingerprint", facts.fingerprint},
               {"language", facts.language},
               {"device", facts.device},
               {"version", facts.version},
               {"commit", facts.commit}});
  write_whole_file(facts_file(), json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

RunFacts RunFolder::read_facts() const {
  const Json json = Json::parse(MappedFile(facts_file()).bytes(), nullptr, false);
  if (!json.is_object()) throw FileError(facts_file(), "is damaged", Remedy::name_dataset);
  const auto text = [&](const char* key) {
    return json.contains(key) && json[key].is_string() ? json[key].get<std::string>()
                                                       : std::string();
  };
  std::vector<std::string> datasets;
  const auto add = [&](const std::string& path) {  // an absolute one stays as it is
    datasets.push_back((std::filesystem::path(path_) / path).string());
  };
  if (const std::string one = text("dataset"); !one.empty()) add(one);
  if (json.contains("datasets") && json["datasets"].is_array())
    for (const Json& each : json["datasets"])
      if (each.is_string()) add(each.get<std::string>());
  return {std::move(datasets), text("fingerprint"), text("language"),
          text("device"),      text("version"),     text("commit")};
}

void RunFolder::write_metrics(const std::vector<MetricsLine>& lines) const {
  std::string text;
  for (const MetricsLine& line : lines) {
    Json json = {{"epoch", line.epoch}, {"loss", line.loss}};
    if (!line.valid.empty()) json["valid"] = to_json(line.valid);
    if (!line.test.empty()) json["test"] = to_json(line.test);
    json["seconds"] = line.seconds;
    text += json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  write_whole_file(metrics_file(), text);
}

std::vector<MetricsLine> RunFolder::read_metrics() const {
  std::error_code ignored;
  if (!std::filesystem::exists(metrics_file(), ignored)) return {};
  const MappedFile file(metrics_file());
  std::vector<MetricsLine> lines;
  for_each_line(file.bytes(), [&](std::string_view text, int64_t number) {
    try {
      const Json json = Json::parse(text);
      MetricsLine line{json.at("epoch").get<int64_t>(),
                       json.at("loss").get<double>(),
                       {},
                       {},
                       json.at("seconds").get<double>()};
      if (json.contains("valid")) line.valid = named_metrics_of(json["valid"]);
      if (json.contains("test")) line.test = named_metrics_of(json["test"]);
      lines.push_back(std::move(line));
    } catch (const Json::exception&) {
      throw FileError(metrics_file(), number,
                      "is damaged; remove the file to go on without its curves");
    }
  });
  return lines;
}

}  // namespace rec
