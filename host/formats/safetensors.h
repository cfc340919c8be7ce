// safetensors files of float32 tensors and string metadata.
//
// What is written here is deterministic (tensors in the order given, no time) and carries metadata
// "checksum": XXH3-64, in 16 hexadecimal digits, of the whole file with those digits as zeros, and
// "checksum_kind": "xxh3-64". A file with either is verified when read, so that any byte changed or
// cut is noticed; files from elsewhere need neither.
//
// Refused: tensors of another type, that overlap, leave gaps or lie outside the file; a name twice.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "host/formats/atomic_file.h"

namespace rec {

struct Tensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};

struct SafetensorsFile {
  std::vector<Tensor> tensors;                  // in the order they lie in the file
  std::map<std::string, std::string> metadata;  // without the checksum and its kind

  // The tensor of this name, or null.
  const Tensor* find(std::string_view name) const;
};

// bytes: the file; name: for the sentence of a refusal.
SafetensorsFile parse_safetensors(std::string_view bytes, const std::string& name);
SafetensorsFile read_safetensors(const std::string& path);
void write_safetensors(const std::string& path, const SafetensorsFile& file);
// The same into a file that the caller commits.
void write_safetensors(AtomicFile& out, const SafetensorsFile& file);

}  // namespace rec
