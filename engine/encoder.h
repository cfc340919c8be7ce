// An encoder makes the behaviour representations of all nodes from its parameters, and carries a
// gradient back to them: what it says of the nodes itself (layer 0), then propagation. A model is
// an encoder and an objective (engine/training.h).
#pragma once
#include <cstdint>
#include <vector>

#include "engine/parameters.h"
#include "engine/propagation.h"
#include "kernels/common/views.h"

namespace rec {

class Encoder {
 public:
  virtual ~Encoder() = default;
  virtual int64_t nodes() const = 0;  // users, then items
  virtual int64_t dim() const = 0;
  // The parameters it needs, in the order of its slab.
  virtual std::vector<ParameterInfo> parameter_table() const = 0;

  // e [nodes, dim] overwritten; of users who are not wanted it holds no representation, but numbers.
  virtual void forward(const Parameters& parameters, MatrixView<float> e,
                       const UserSubset& wanted) = 0;
  // After forward with the same parameters and users: the gradient slab is overwritten; grad_e,
  // zero for users who are not wanted, is scratch afterwards.
  virtual void backward(const Parameters& parameters, MatrixView<float> grad_e,
                        const UserSubset& wanted) = 0;

  // e0 [nodes, dim] of the last forward; backward may take its memory.
  virtual MatrixView<const float> initial() const = 0;
  virtual Propagation& propagation() = 0;
};

}  // namespace rec
