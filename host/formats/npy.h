// NumPy's .npy format, versions 1 to 3, C order, little-endian float16/32/64 and int32/64.
//
// Refused: another type, big-endian values, records, Fortran order of a matrix (of a vector it
// changes nothing), a shape that is not the file's size, values cut short, bytes after the values.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "host/formats/atomic_file.h"
#include "host/formats/mapped_file.h"
#include "kernels/common/views.h"

namespace rec {

enum class NpyType { float16, float32, float64, int32, int64 };

// What a .npy file's header says, and where its values begin.
struct NpyHeader {
  NpyType type = NpyType::float32;
  std::vector<int64_t> shape;
  int64_t values = 0;       // product of the shape
  int64_t data_offset = 0;  // bytes
};

// Reads the header and checks that exactly the values follow it.
// name is for the sentence of a refusal.
NpyHeader parse_npy(std::string_view file, const std::string& name);

class NpyFile {
 public:
  explicit NpyFile(const std::string& path);
  // From memory, which must outlive this; name is for the sentence of a refusal.
  NpyFile(std::string_view bytes, const std::string& name);

  const NpyHeader& header() const { return header_; }
  const std::string& path() const { return path_; }
  // All values as float32, converted from float16 or float64 when need be; integers are refused.
  std::vector<float> as_float32() const;
  std::vector<double> as_float64() const;  // from any float type
  std::vector<int64_t> as_int64() const;   // from any integer type
  // The values where they lie in the file; only when the type
  // is float32 and they are aligned, else null.
  const float* float32_in_place() const;

 private:
  const char* data() const { return bytes_.data() + header_.data_offset; }

  std::string path_;
  MappedFile file_;         // empty when read from memory
  std::string_view bytes_;  // of the whole file
  NpyHeader header_;
};

float half_to_float(uint16_t half);

// Throws FileError naming the first row that holds a value that is not finite, or that is all zero:
// such a language vector has no direction, so its cosine with
// anything is undefined. z: [items, width]
void require_directions(MatrixView<const float> z, const std::string& name);

// An array on its way into a file: as many bytes as its shape has follow, in C order.
class NpyStream {
 public:
  // type: as NumPy writes it, "'<f4'" or "[('a', '<i4'), ('b', '<f4')]". shape: "2, 3", or "2,".
  NpyStream(const std::string& path, const std::string& type, const std::string& shape);
  void write(const void* data, size_t bytes) { file_.write(data, bytes); }
  void commit() { file_.commit(); }

 private:
  AtomicFile file_;
};

// C order, version 1; bytes depend on nothing but the values.
void write_npy(const std::string& path, MatrixView<const float> values);
void write_npy(const std::string& path, VectorView<const int32_t> values);

}  // namespace rec
