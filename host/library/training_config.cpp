#include "host/library/training_config.h"

#include "host/dataset/joint_dataset.h"
#include "host/run/model_of_config.h"

namespace rec {

Config training_config(const std::vector<std::string>& settings, const Dataset* data) {
  Config config;
  if (data != nullptr && !data->config_path.empty()) apply_config_file(config, data->config_path);
  for (const std::string& setting : settings) apply_setting(config, setting);
  return config;
}

std::string resolved_settings(const std::vector<std::string>& settings, const Dataset* data) {
  const Config config = training_config(settings, data);
  return to_toml(data != nullptr ? fit_to(JointDataset(*data), config) : config);
}

}  // namespace rec
