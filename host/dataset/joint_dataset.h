// Datasets that are trained together: side by side, the users and items of each behind those of the
// one before. One dataset alone is the common case.
#pragma once
#include <string>
#include <vector>

#include "host/dataset/dataset.h"
#include "kernels/common/domains.h"

namespace rec {

class JointDataset {
 public:
  JointDataset(Dataset data);
  // One at least. Refuses two of one name (the folder's), and language vectors of different widths
  // or, as far as that is known, of different language models.
  explicit JointDataset(std::vector<Dataset> parts);

  const std::vector<Dataset>& parts() const { return parts_; }
  bool is_joint() const { return parts_.size() > 1; }
  // All parts as one dataset. Its fingerprint is those of the parts with + between them.
  const Dataset& whole() const { return is_joint() ? whole_ : parts_[0]; }
  // The parts' sizes, in their order.
  std::vector<Domain> domains() const;

 private:
  std::vector<Dataset> parts_;
  Dataset whole_;
};

// Whether a dataset of this fingerprint is among those that a training was on.
bool is_part_of(const std::string& fingerprint, const std::string& trained_on);

}  // namespace rec
