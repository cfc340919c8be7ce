#include "host/formats/fvecs.h"

#include <cstdint>

#include "host/formats/atomic_file.h"

namespace rec {

void write_fvecs(const std::string& path, MatrixView<const float> values) {
  AtomicFile file(path);
  const auto width = int32_t(values.cols);
  std::string rows;
  for (int64_t r = 0; r < values.rows; ++r) {
    rows.append(reinterpret_cast<const char*>(&width), sizeof width);
    rows.append(reinterpret_cast<const char*>(values.row(r)), sizeof(float) * size_t(values.cols));
    constexpr size_t kMuch = size_t{1} << 20;
    if (rows.size() < kMuch && r + 1 < values.rows) continue;
    file.write(rows);
    rows.clear();
  }
  file.commit();
}

}  // namespace rec
