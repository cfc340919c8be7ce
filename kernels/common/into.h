// What becomes of a product's old values.
#pragma once

namespace rec {

enum class Into { overwrite, add };

}  // namespace rec
