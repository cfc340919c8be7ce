#include "host/embed/randomised_svd.h"

#include <cblas.h>
#include <omp.h>

#include <algorithm>
#include <stdexcept>

#include "engine/draw_kinds.h"
#include "engine/normal_draw.h"
#include "kernels/common/check.h"
#include "kernels/common/gemm.h"
#include "kernels/common/simd.h"

// LAPACK as OpenBLAS brings it, without a header for it. The last arguments are the lengths of the
// strings, which Fortran passes unseen.
extern "C" {
void dgelqf_(const int* m, const int* n, double* a, const int* lda, double* tau, double* work,
             const int* lwork, int* info);
void dorglq_(const int* m, const int* n, const int* k, double* a, const int* lda, const double* tau,
             double* work, const int* lwork, int* info);
void dgesvd_(const char* jobu, const char* jobvt, const int* m, const int* n, double* a,
             const int* lda, double* s, double* u, const int* ldu, double* vt, const int* ldvt,
             double* work, const int* lwork, int* info, size_t jobu_length, size_t jobvt_length);
}

namespace rec {
namespace {

constexpr int64_t kOversampling = 10;  // enough for the bound of corollary 10.9 to mean something
constexpr int64_t kBlockRows = 2048;   // of a factorisation: some MB, near a core's cache

// y [l] += weight x [l]
REC_SIMD_CLONES void add_scaled(double weight, const double* x, int64_t l, double* y) {
  for (int64_t c = 0; c < l; ++c) y[c] += weight * x[c];
}

// y [a.rows, l] = a x [a.cols, l]
void multiply(const SparseMatrix& a, const std::vector<double>& x, int64_t l,
              std::vector<double>& y) {
#pragma omp parallel for schedule(dynamic, 64)
  for (int64_t r = 0; r < a.rows; ++r) {
    double* out = y.data() + r * l;
    std::fill_n(out, l, 0.0);
    for (int64_t e = a.row_start[size_t(r)]; e < a.row_start[size_t(r) + 1]; ++e)
      add_scaled(double(a.value[size_t(e)]), x.data() + a.col[size_t(e)] * l, l, out);
  }
}

void draw_normal(std::vector<double>& g, int64_t l, uint64_t seed) {
  const int64_t rows = int64_t(g.size()) / l;
#pragma omp parallel for
  for (int64_t r = 0; r < rows; ++r) {
    PhiloxWords words{};
    for (int64_t c = 0; c < l; ++c) {
      if (c % 4 == 0)
        words = philox(uint32_t(r), uint32_t(c / 4), 0, uint32_t(DrawKind::svd_sketch),
                       uint32_t(seed), uint32_t(seed >> 32));
      g[size_t(r * l + c)] = normal_draw(words, c % 4);
    }
  }
}

// Rows cut into blocks of about the same size, none shorter than the matrix is wide.
struct Blocks {
  int64_t rows, count;
  Blocks(int64_t row_count, int64_t l)
      : rows(row_count), count(std::max<int64_t>(1, rows / std::max(kBlockRows, 2 * l))) {}
  int64_t begin(int64_t block) const { return rows * block / count; }
  int64_t size(int64_t block) const { return begin(block + 1) - begin(block); }
  int64_t largest() const { return (rows + count - 1) / count; }
};

// Memory for each thread that works on a block.
class Scratch {
 public:
  Scratch(int64_t each, const Blocks& blocks)
      : each_(each),
        threads_(int(std::min<int64_t>(omp_get_max_threads(), blocks.count))),
        values_(size_t(each) * size_t(threads_)) {}
  int threads() const { return threads_; }
  double* mine() { return values_.data() + each_ * omp_get_thread_num(); }

 private:
  int64_t each_;
  int threads_;
  std::vector<double> values_;
};

// q [rows, l] = Q R: Q with orthonormal columns in the place of q, R upper triangular into r [l, l].
// What is row after row here is column after column to LAPACK, and so its LQ of the transpose.
// work: at least l (l + kWorkColumns)
constexpr int64_t kWorkColumns = 64;  // the widest block of columns that LAPACK takes at once
void factorise_block(double* q, int64_t rows, int64_t l, double* r, double* work) {
  const int m = int(l), n = int(rows), size = int(l * kWorkColumns);
  double* tau = work + l * kWorkColumns;
  int info = 0;
  dgelqf_(&m, &n, q, &m, tau, work, &size, &info);
  for (int64_t i = 0; i < l; ++i)
    for (int64_t c = 0; c < l; ++c) r[i * l + c] = c < i ? 0.0 : q[i * l + c];
  dorglq_(&m, &n, &m, q, &m, tau, work, &size, &info);
}

// The same for any number of rows from l on: the blocks' own, then that of their R one under the
// other (Demmel, Grigori, Hoemmen and Langou 2012).
std::vector<double> factorise(std::vector<double>& q, int64_t l) {
  const Blocks blocks(int64_t(q.size()) / l, l);
  std::vector<double> r(size_t(blocks.count * l * l));
  Scratch scratch(std::max(blocks.largest(), kWorkColumns + 1) * l, blocks);
#pragma omp parallel for schedule(dynamic) num_threads(scratch.threads())
  for (int64_t b = 0; b < blocks.count; ++b)
    factorise_block(q.data() + blocks.begin(b) * l, blocks.size(b), l, r.data() + b * l * l,
                    scratch.mine());
  if (blocks.count == 1) return r;
  std::vector<double> top = factorise(r, l);
  const int width = int(l);
#pragma omp parallel for schedule(dynamic) num_threads(scratch.threads())
  for (int64_t b = 0; b < blocks.count; ++b) {
    double* block = q.data() + blocks.begin(b) * l;
    const int rows = int(blocks.size(b));
    std::copy_n(block, rows * l, scratch.mine());
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, width, width, 1.0, scratch.mine(),
                width, r.data() + b * l * l, width, 0.0, block, width);
  }
  return top;
}

struct SmallSvd {
  std::vector<double> singular;  // [l]
  std::vector<double> left;      // [l, l]
};

// r [l, l] = X S Y^T: S and X. To LAPACK r is its transpose, whose right vectors these are.
SmallSvd svd_of(std::vector<double> r, int64_t l) {
  SmallSvd svd{std::vector<double>(size_t(l)), std::vector<double>(size_t(l * l))};
  const int n = int(l), one = 1, query = -1;
  double unused = 0, size = 0;
  int info = 0;
  const auto call = [&](double* work, const int* lwork) {
    dgesvd_("N", "A", &n, &n, r.data(), &n, svd.singular.data(), &unused, &one, svd.left.data(), &n,
            work, lwork, &info, 1, 1);
  };
  call(&size, &query);
  std::vector<double> work(static_cast<size_t>(size));
  const int lwork = int(work.size());
  call(work.data(), &lwork);
  if (info != 0)
    throw std::runtime_error(
        "the singular value decomposition did not converge; try another "
        "--seed or --width");
  return svd;
}

// p [rows, l] times the first columns of x [l, l], rounded.
std::vector<float> product(const std::vector<double>& p, const std::vector<double>& x, int64_t l,
                           int64_t columns) {
  const Blocks blocks(int64_t(p.size()) / l, l);
  std::vector<float> result(size_t(blocks.rows * columns));
  Scratch scratch(blocks.largest() * columns, blocks);
#pragma omp parallel for schedule(dynamic) num_threads(scratch.threads())
  for (int64_t b = 0; b < blocks.count; ++b) {
    double* block = scratch.mine();
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, int(blocks.size(b)), int(columns),
                int(l), 1.0, p.data() + blocks.begin(b) * l, int(l), x.data(), int(l), 0.0, block,
                int(columns));
    std::transform(block, block + blocks.size(b) * columns,
                   result.begin() + blocks.begin(b) * columns,
                   [](double value) { return float(value); });
  }
  return result;
}

}  // namespace

TruncatedSvd randomised_svd(const SparseMatrix& a, int64_t wanted, uint64_t seed,
                            const std::function<void()>& done) {
  const int64_t most = std::min(a.rows, a.cols);
  require(wanted >= 1 && wanted <= most,
          "randomised_svd: wanted must be from 1 to the smaller side of the matrix");
  cpu::blas_in_use();  // settles one thread
  const int64_t l = std::min(wanted + kOversampling, most);
  const SparseMatrix transpose = transposed(a);
  std::vector<double> q(size_t(a.rows * l)), p(size_t(a.cols * l));
  const auto multiply_and_tell = [&](const SparseMatrix& matrix, const std::vector<double>& x,
                                     std::vector<double>& y) {
    multiply(matrix, x, l, y);
    done();
  };
  draw_normal(p, l, seed);
  multiply_and_tell(a, p, q);
  for (int i = 0; i < kSvdPowerIterations; ++i) {
    factorise(q, l);
    multiply_and_tell(transpose, q, p);
    factorise(p, l);
    multiply_and_tell(a, p, q);
  }
  factorise(q, l);
  multiply_and_tell(transpose, q, p);
  SmallSvd small = svd_of(factorise(p, l), l);
  return {std::move(small.singular), product(p, small.left, l, wanted)};
}

}  // namespace rec
