// The settings of a training, as a caller in a program gives them.
#pragma once
#include <string>
#include <vector>

#include "host/config/config.h"
#include "host/dataset/dataset.h"

namespace rec {

// The defaults, then the dataset's config.toml, where there is a dataset and it has one, then settings, "key=value" each.
// Not yet resolved. Throws what host/config throws.
Config training_config(const std::vector<std::string>& settings, const Dataset* data);
// The same as TOML: with data as training resolves it for them.
std::string resolved_settings(const std::vector<std::string>& settings, const Dataset* data);

}  // namespace rec
