#include "host/formats/npy.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "host/formats/atomic_file.h"
#include "host/formats/file_error.h"

namespace rec {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr int64_t kLongestHeader = 1 << 16;  // NumPy itself refuses longer ones

int64_t bytes_of(NpyType type) {
  switch (type) {
    case NpyType::float16: return 2;
    case NpyType::float32:
    case NpyType::int32: return 4;
    case NpyType::float64:
    case NpyType::int64: return 8;
  }
  return 0;
}

// The header is a Python dictionary with three known keys in any order; this reads just that.
class HeaderText {
 public:
  HeaderText(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  NpyHeader read() {
    NpyHeader header;
    bool has_type = false, has_order = false, has_shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && !has_type) {
        if (accept('[')) refuse("holds records; save one plain array with numpy.save");
        header.type = type_of(quoted());
        has_type = true;
      } else if (key == "fortran_order" && !has_order) {
        fortran_ = boolean();
        has_order = true;
      } else if (key == "shape" && !has_shape) {
        header.shape = shape();
        has_shape = true;
      } else {
        refuse("its header has an unknown or repeated key '" + key + "'");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (!has_type || !has_order || !has_shape)
      refuse("its header lacks one of 'descr', 'fortran_order' and 'shape'");
    skip();
    if (at_ != text_.size()) refuse("its header is damaged: it goes on after the closing '}'");
    if (fortran_ && header.shape.size() > 1)
      refuse("is stored in Fortran order; save it with numpy.ascontiguousarray(x)");
    return header;
  }

  [[noreturn]] void refuse(const std::string& sentence) const { throw FileError(name_, sentence); }

 private:
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t'))
      ++at_;
  }
  bool accept(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) refuse(std::string("its header is damaged: '") + c + "' is missing");
  }
  std::string quoted() {
    skip();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '\'' && quote != '"') refuse("its header is damaged: a quoted word is missing");
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) refuse("its header is damaged: a quote is never closed");
    std::string word(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return word;
  }
  bool boolean() {
    skip();
    for (const auto& [word, value] :
         {std::pair<std::string_view, bool>{"True", true}, {"False", false}})
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return value;
      }
    refuse("its header is damaged: fortran_order must be True or False");
  }
  std::vector<int64_t> shape() {
    std::vector<int64_t> sizes;
    expect('(');
    while (!accept(')')) {
      skip();
      int64_t size = 0;
      const char* end = text_.data() + text_.size();
      const auto [rest, error] = std::from_chars(text_.data() + at_, end, size);
      if (error != std::errc() || size < 0)
        refuse("its header is damaged: the shape must be numbers from 0");
      at_ = static_cast<size_t>(rest - text_.data());
      sizes.push_back(size);
      (void)accept('L');  // how Python 2 wrote a number
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return sizes;
  }
  NpyType type_of(const std::string& name) const {
    if (name == "<f4" || name == "|f4") return NpyType::float32;
    if (name == "<f2") return NpyType::float16;
    if (name == "<f8") return NpyType::float64;
    if (name == "<i4") return NpyType::int32;
    if (name == "<i8") return NpyType::int64;
    if (!name.empty() && name[0] == '>')
      refuse("is big-endian ('" + name + "'); save it with x.astype('<f4')");
    refuse("holds values of type '" + name + "'; float16, float32 or float64 is needed");
  }

  std::string_view text_;
  std::string name_;
  size_t at_ = 0;
  bool fortran_ = false;
};

template <class Stored, class Wanted>
std::vector<Wanted> convert(const char* data, int64_t count) {
  std::vector<Wanted> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    Stored stored;
    std::memcpy(&stored, data + i * static_cast<int64_t>(sizeof(Stored)), sizeof(Stored));
    values[static_cast<size_t>(i)] = static_cast<Wanted>(stored);
  }
  return values;
}

template <class Wanted>
std::vector<Wanted> convert_halves(const char* data, int64_t count) {
  std::vector<Wanted> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    uint16_t half;
    std::memcpy(&half, data + 2 * i, sizeof(half));
    values[static_cast<size_t>(i)] = half_to_float(half);
  }
  return values;
}

template <class Wanted>
std::vector<Wanted> floats(const NpyHeader& header, const char* data, const std::string& path) {
  switch (header.type) {
    case NpyType::float16: return convert_halves<Wanted>(data, header.values);
    case NpyType::float32: return convert<float, Wanted>(data, header.values);
    case NpyType::float64: return convert<double, Wanted>(data, header.values);
    default:
      throw FileError(path, "holds whole numbers where float16, float32 or float64 is needed");
  }
}

}  // namespace

float half_to_float(uint16_t half) {
  const uint32_t sign = uint32_t(half & 0x8000) << 16;
  const uint32_t exponent = (half >> 10) & 0x1F, fraction = half & 0x3FF;
  if (exponent == 0) {  // zero or subnormal: fraction * 2^-24
    const float value = float(fraction) * 0x1p-24f;
    return sign ? -value : value;
  }
  const uint32_t wide = exponent == 31 ? 255u : exponent + 112u;
  return std::bit_cast<float>(sign | (wide << 23) | (fraction << 13));
}

NpyHeader parse_npy(std::string_view file, const std::string& name) {
  if (file.empty()) throw FileError(name, "is empty; a .npy file is expected");
  if (file.substr(0, kMagic.size()) != kMagic || file.size() < 10)
    throw FileError(name, "is not a .npy file; save the array with numpy.save");
  const int version = static_cast<unsigned char>(file[6]);
  if (version < 1 || version > 3)
    throw FileError(name,
                    "is .npy version " + std::to_string(version) + "; versions 1 to 3 are known");
  const int64_t length_bytes = version == 1 ? 2 : 4;
  int64_t length = 0;
  const int64_t prefix = 8 + length_bytes;
  if (int64_t(file.size()) < prefix) throw FileError(name, "is cut short inside its header");
  for (int64_t b = 0; b < length_bytes; ++b)
    length |= int64_t(static_cast<unsigned char>(file[size_t(8 + b)])) << (8 * b);
  if (length > kLongestHeader) throw FileError(name, "has a header too long to be one");
  if (int64_t(file.size()) < prefix + length)
    throw FileError(name, "is cut short inside its header");

  NpyHeader header = HeaderText(file.substr(size_t(prefix), size_t(length)), name).read();
  header.data_offset = prefix + length;
  header.values = 1;
  for (int64_t size : header.shape)
    if (__builtin_mul_overflow(header.values, size, &header.values) ||
        header.values > std::numeric_limits<int64_t>::max() / 8)
      throw FileError(name, "claims a shape too large for any memory");
  const int64_t expected = header.values * bytes_of(header.type);
  const int64_t present = int64_t(file.size()) - header.data_offset;
  if (present < expected)
    throw FileError(name, "is cut short: " + std::to_string(expected) +
                              " bytes of values are promised, " + std::to_string(present) +
                              " are there");
  if (present > expected)
    throw FileError(name,
                    "has " + std::to_string(present - expected) +
                        " bytes after its values; it is damaged or holds more than one array");
  return header;
}

NpyFile::NpyFile(const std::string& path)
    : path_(path), file_(path), bytes_(file_.bytes()), header_(parse_npy(bytes_, path)) {}

NpyFile::NpyFile(std::string_view bytes, const std::string& name)
    : path_(name), bytes_(bytes), header_(parse_npy(bytes, name)) {}

std::vector<float> NpyFile::as_float32() const { return floats<float>(header_, data(), path_); }

std::vector<double> NpyFile::as_float64() const { return floats<double>(header_, data(), path_); }

std::vector<int64_t> NpyFile::as_int64() const {
  if (header_.type == NpyType::int32) return convert<int32_t, int64_t>(data(), header_.values);
  if (header_.type == NpyType::int64) return convert<int64_t, int64_t>(data(), header_.values);
  throw FileError(path_, "holds real numbers where whole numbers are needed");
}

const float* NpyFile::float32_in_place() const {
  const bool aligned = reinterpret_cast<uintptr_t>(data()) % alignof(float) == 0;
  if (header_.type != NpyType::float32 || !aligned) return nullptr;
  return reinterpret_cast<const float*>(data());
}

void require_directions(MatrixView<const float> z, const std::string& name) {
  for (int64_t r = 0; r < z.rows; ++r) {
    bool zero = true;
    const std::string row = "row " + std::to_string(r) + " (item " + std::to_string(r) + ") ";
    for (int64_t c = 0; c < z.cols; ++c) {
      if (!std::isfinite(z(r, c)))
        throw FileError(name, row + "holds a value that is not finite (" + std::to_string(z(r, c)) +
                                  "); embed that title again");
      zero &= z(r, c) == 0.0f;
    }
    if (zero)
      throw FileError(name, row + "is all zero; an empty title has no direction: give it a text");
  }
}

NpyStream::NpyStream(const std::string& path, const std::string& type, const std::string& shape)
    : file_(path) {
  std::string header =
      "{'descr': " + type + ", 'fortran_order': False, 'shape': (" + shape + "), }";
  constexpr size_t kPrefix = 10, kAlignment = 64;
  while ((kPrefix + header.size() + 1) % kAlignment != 0) header += ' ';
  header += '\n';
  file_.write(kMagic);
  const char version_and_length[4] = {1, 0, static_cast<char>(header.size() & 0xFF),
                                      static_cast<char>(header.size() >> 8)};
  file_.write(version_and_length, 4);
  file_.write(header);
}

void write_npy(const std::string& path, MatrixView<const float> values) {
  NpyStream file(path, "'<f4'", std::to_string(values.rows) + ", " + std::to_string(values.cols));
  const int64_t parts = values.stride == values.cols ? 1 : values.rows;
  for (int64_t r = 0; r < parts; ++r)
    file.write(values.row(r), size_t(values.rows / parts * values.cols) * sizeof(float));
  file.commit();
}

void write_npy(const std::string& path, VectorView<const int32_t> values) {
  NpyStream file(path, "'<i4'", std::to_string(values.size) + ",");
  file.write(values.data, size_t(values.size) * sizeof(int32_t));
  file.commit();
}

}  // namespace rec
