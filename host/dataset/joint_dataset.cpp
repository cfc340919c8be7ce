#include "host/dataset/joint_dataset.h"

#include <fmt/format.h>

#include <stdexcept>

#include "host/formats/file_error.h"

namespace rec {
namespace {

// Behind what the joint split has already, with ids moved on.
void append(HostCsr& joint, const HostCsr& part, int64_t items_before) {
  const int64_t entries_before = joint.entries();
  for (int64_t u = 0; u < part.rows; ++u)
    joint.row_start.push_back(entries_before + part.row_start[size_t(u) + 1]);
  for (int32_t item : part.col) joint.col.push_back(static_cast<int32_t>(item + items_before));
  joint.rows += part.rows;
  joint.cols += part.cols;
}

void refuse_differences(const Dataset& first, const Dataset& other) {
  if (first.name == other.name)
    throw FileError(other.path, "is called " + other.name + ", as " + first.path +
                                    " is; datasets trained together need different folder names");
  if (first.has_language() != other.has_language())
    throw FileError((first.has_language() ? other : first).path,
                    "has no language vectors, but another dataset trained with it has");
  if (first.language.width() != other.language.width())
    throw FileError(other.path,
                    fmt::format("has language vectors {} wide, but those of {} are {} wide; embed "
                                "the titles of both with one language model",
                                other.language.width(), first.path, first.language.width()));
  const LanguageModel &a = first.language_model, &b = other.language_model;
  if (differ(a, b))
    throw FileError(other.path, fmt::format("has vectors of language model {}, but {} has those of "
                                            "{}; embed the titles of both with one",
                                            described(b), first.path, described(a)));
}

std::vector<Dataset> alone(Dataset data) {
  std::vector<Dataset> parts;
  parts.push_back(std::move(data));
  return parts;
}

}  // namespace

JointDataset::JointDataset(Dataset data) : JointDataset(alone(std::move(data))) {}

JointDataset::JointDataset(std::vector<Dataset> parts) : parts_(std::move(parts)) {
  if (!is_joint()) return;
  std::vector<const LanguageMatrix*> language;
  for (size_t p = 0; p < parts_.size(); ++p) {
    const Dataset& part = parts_[p];
    for (size_t earlier = 0; earlier < p; ++earlier) refuse_differences(parts_[earlier], part);
    append(whole_.train, part.train, whole_.items);
    append(whole_.valid, part.valid, whole_.items);
    append(whole_.test, part.test, whole_.items);
    whole_.users += part.users;
    whole_.items += part.items;
    whole_.duplicates += part.duplicates;
    whole_.name += (p > 0 ? "+" : "") + part.name;
    whole_.path += (p > 0 ? " " : "") + part.path;
    whole_.fingerprint += (p > 0 ? "+" : "") + part.fingerprint;
    if (whole_.language_model.model.empty()) whole_.language_model = part.language_model;
    if (part.has_language()) language.push_back(&part.language);
  }
  whole_.language = LanguageMatrix(language);
}

std::vector<Domain> JointDataset::domains() const {
  std::vector<Domain> sizes;
  for (const Dataset& part : parts_) sizes.push_back({part.users, part.items});
  return sizes;
}

bool is_part_of(const std::string& fingerprint, const std::string& trained_on) {
  return ("+" + trained_on + "+").find("+" + fingerprint + "+") != std::string::npos;
}

}  // namespace rec
