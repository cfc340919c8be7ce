#include "host/commands/intention_queries.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <stdexcept>

#include "host/commands/item_names.h"
#include "host/formats/file_error.h"
#include "host/formats/npy.h"

namespace rec {
namespace {

constexpr double kMostAlphas = 1001;

[[noreturn]] void refuse_alpha(const std::string& text, const std::string& why) {
  throw std::invalid_argument("--alpha " + text + ": " + why);
}

double number_in(const std::string& text, const std::string& word) {
  double value = 0;
  const auto [rest, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || rest != word.data() + word.size() || !std::isfinite(value))
    refuse_alpha(text, fmt::format("'{}' is not a number; give 0.3, or 0,0.3,1, or 0:1:0.1", word));
  return value;
}

}  // namespace

std::vector<float> read_intent_vector(const std::string& file, const Dataset& data) {
  const NpyFile npy(file);
  const std::vector<int64_t>& shape = npy.header().shape;
  const bool is_vector = shape.size() == 1 || (shape.size() == 2 && shape[0] == 1);
  if (!is_vector)
    throw FileError(file, fmt::format("has the shape [{}]; an intention is one language vector, "
                                      "[width] or [1, width]",
                                      fmt::join(shape, ", ")));
  if (shape.back() != data.language.width())
    throw FileError(file, fmt::format("is a vector {} wide, but the language vectors of {} are {} "
                                      "wide; embed the query with their model",
                                      shape.back(), data.path, data.language.width()));
  std::vector<float> vector = npy.as_float32();
  require_directions({vector.data(), 1, shape.back()}, file);
  return vector;
}

std::vector<double> parse_alphas(const std::string& text) {
  std::vector<double> alphas;
  if (const size_t first = text.find(':'); first != std::string::npos) {
    const size_t second = text.find(':', first + 1);
    if (second == std::string::npos || text.find(':', second + 1) != std::string::npos)
      refuse_alpha(text, "a range is FROM:TO:STEP, as 0:1:0.1");
    const double from = number_in(text, text.substr(0, first)),
                 to = number_in(text, text.substr(first + 1, second - first - 1)),
                 step = number_in(text, text.substr(second + 1));
    if (!(step > 0)) refuse_alpha(text, "the step must be greater than 0");
    if (to < from) refuse_alpha(text, "the range ends before it begins");
    const double steps = std::floor((to - from) / step + 1e-6);
    if (steps >= kMostAlphas)
      refuse_alpha(text, fmt::format("the range holds more than {} values", kMostAlphas));
    // To 9 decimals, so that 0.1 three times is 0.3.
    for (double n = 0; n <= steps; ++n) alphas.push_back(std::round((from + n * step) * 1e9) / 1e9);
  } else {
    for (const std::string& word : split_list(text, "--alpha"))
      alphas.push_back(number_in(text, word));
  }
  for (double alpha : alphas)
    if (alpha < 0 || alpha > 1) refuse_alpha(text, fmt::format("{} is not from 0 to 1", alpha));
  return alphas;
}

}  // namespace rec
