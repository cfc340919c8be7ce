// What a matrix product refuses, for both implementations of cuda::Gemm.
#pragma once
#include "kernels/common/check.h"
#include "kernels/common/stored_view.h"

namespace rec::cuda {

// The three products, and how each reads its operands.
enum class Product { a_bt, a_b, at_b };

struct ProductShape {
  int64_t m, n, k;
};

// Throws std::invalid_argument when the operands do not fit each other or c.
inline ProductShape product_shape(Product product, ConstStoredView a, ConstStoredView b,
                                  ConstStoredView bias, ConstStoredView c) {
  const bool a_turned = product == Product::at_b, b_turned = product == Product::a_bt;
  const ProductShape shape{a_turned ? a.cols : a.rows, b_turned ? b.rows : b.cols,
                           a_turned ? a.rows : a.cols};
  require(shape.k == (b_turned ? b.cols : b.rows) && c.rows == shape.m && c.cols == shape.n,
          "gemm: shapes do not fit");
  require(bias.rows == 0 || (bias.rows == 1 && bias.cols == shape.n && shape.k > 0),
          "gemm: a bias needs one value per column of the result, and a product");
  require(a.element == b.element, "gemm: both operands must be stored alike");
  require(c.element == Element::float32 || a.element == Element::bfloat16,
          "gemm: a product of floats must be stored as float");
  require(bias.rows == 0 || bias.element == c.element,
          "gemm: a bias must be stored as the result is");
  return shape;
}

}  // namespace rec::cuda
