#include "host/formats/safetensors.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "host/formats/atomic_file.h"
#include "host/formats/file_error.h"
#include "host/formats/mapped_file.h"

namespace rec {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kLongestHeader = 100'000'000;  // the format's own limit
constexpr std::string_view kNoChecksum = "0000000000000000";
constexpr std::string_view kChecksumKey = "\"checksum\":\"";

std::string hexadecimal(uint64_t value) {
  std::string text(16, '0');
  for (size_t d = 16; d-- > 0; value >>= 4) text[d] = "0123456789abcdef"[value & 15];
  return text;
}

// Header length, header and data, hashed with the checksum's digits as zeros.
std::string checksum_of(std::string_view length, std::string header, std::string_view data) {
  const size_t key = header.find(kChecksumKey);
  std::copy(kNoChecksum.begin(), kNoChecksum.end(), header.begin() + ptrdiff_t(key + kChecksumKey.size()));
  XXH3_state_t* state = XXH3_createState();
  XXH3_64bits_reset(state);
  for (std::string_view part : {length, std::string_view(header), data})
    XXH3_64bits_update(state, part.data(), part.size());
  const uint64_t hash = XXH3_64bits_digest(state);
  XXH3_freeState(state);
  return hexadecimal(hash);
}

Json parse_header(std::string_view text, const std::string& name) {
  // Depth is bounded before parsing: the parser's own recursion is not.
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') ++i;
    else if (text[i] == '"') quoted = !quoted;
    else if (!quoted && (text[i] == '{' || text[i] == '[') && ++depth > 8)
      throw FileError(name, "has a header nested too deeply to be one");
    else if (!quoted && (text[i] == '}' || text[i] == ']')) --depth;
  }
  Json header = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (header.is_discarded() || !header.is_object())
    throw FileError(name, "has a damaged header; it is not JSON");
  return header;
}

Tensor read_tensor(const std::string& key, const Json& entry, std::string_view data,
                   std::vector<std::pair<uint64_t, uint64_t>>& taken, const std::string& name) {
  const auto refuse = [&](const std::string& sentence) {
    throw FileError(name, "tensor '" + key + "' " + sentence);
  };
  if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") ||
      !entry.contains("data_offsets") || !entry["dtype"].is_string() || !entry["shape"].is_array() ||
      !entry["data_offsets"].is_array() || entry["data_offsets"].size() != 2)
    refuse("has a damaged description");
  if (entry["dtype"] != "F32") refuse("is not float32 (F32); convert it first");
  Tensor tensor{key, {}, {}};
  int64_t count = 1;
  for (const Json& size : entry["shape"]) {
    if (!size.is_number_unsigned()) refuse("has a damaged shape");
    const uint64_t value = size.get<uint64_t>();
    if (value > data.size() / sizeof(float) ||
        __builtin_mul_overflow(count, static_cast<int64_t>(value), &count))
      refuse("claims a shape larger than the file");
    tensor.shape.push_back(static_cast<int64_t>(value));
  }
  for (const Json& offset : entry["data_offsets"])
    if (!offset.is_number_unsigned()) refuse("has damaged offsets");
  const uint64_t begin = entry["data_offsets"][0].get<uint64_t>();
  const uint64_t end = entry["data_offsets"][1].get<uint64_t>();
  if (begin > end || end > data.size()) refuse("lies outside the file; it was cut short or damaged");
  if (end - begin != static_cast<uint64_t>(count) * sizeof(float)) refuse("has a shape that is not its size");
  for (const auto& [other_begin, other_end] : taken)
    if (begin < other_end && other_begin < end) refuse("overlaps another tensor");
  taken.push_back({begin, end});
  tensor.values.resize(static_cast<size_t>(count));
  if (count > 0) std::memcpy(tensor.values.data(), data.data() + begin, end - begin);
  return tensor;
}

}  // namespace

const Tensor* SafetensorsFile::find(std::string_view name) const {
  const auto at = std::find_if(tensors.begin(), tensors.end(), [&](const Tensor& t) { return t.name == name; });
  return at == tensors.end() ? nullptr : &*at;
}

SafetensorsFile parse_safetensors(std::string_view bytes, const std::string& name) {
  if (bytes.size() < 8) throw FileError(name, "is too short to be a safetensors file");
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  if (length > kLongestHeader || length > bytes.size() - 8)
    throw FileError(name, "is not a safetensors file, or it is cut short or damaged");
  const std::string header_text(bytes.substr(8, length));
  const std::string_view data = bytes.substr(8 + length);
  const Json header = parse_header(header_text, name);

  SafetensorsFile file;
  if (header.contains("__metadata__")) {
    const Json& metadata = header["__metadata__"];
    if (!metadata.is_object()) throw FileError(name, "has damaged metadata");
    for (const auto& [key, value] : metadata.items()) {
      if (!value.is_string()) throw FileError(name, "has damaged metadata");
      file.metadata[key] = value.get<std::string>();
    }
  }
  if (const auto checksum = file.metadata.find("checksum"); checksum != file.metadata.end()) {
    const size_t key = header_text.find(kChecksumKey);
    if (key == std::string::npos || checksum->second.size() != kNoChecksum.size() ||
        checksum_of(bytes.substr(0, 8), header_text, data) != checksum->second)
      throw FileError(name, "is damaged: its checksum does not match its content; use an earlier copy");
    file.metadata.erase(checksum);
  }
  std::vector<std::pair<uint64_t, uint64_t>> taken;
  for (const auto& [key, entry] : header.items()) {
    if (key == "__metadata__") continue;
    if (file.find(key) != nullptr) throw FileError(name, "holds tensor '" + key + "' twice");
    file.tensors.push_back(read_tensor(key, entry, data, taken, name));
  }
  return file;
}

SafetensorsFile read_safetensors(const std::string& path) {
  return parse_safetensors(MappedFile(path).bytes(), path);
}

void write_safetensors(const std::string& path, const SafetensorsFile& file) {
  Json header;
  Json metadata;
  metadata["checksum"] = kNoChecksum;
  for (const auto& [key, value] : file.metadata) metadata[key] = value;
  header["__metadata__"] = metadata;
  std::string data;
  for (const Tensor& tensor : file.tensors) {
    const uint64_t begin = data.size();
    data.append(reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size() * sizeof(float));
    header[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
  }
  std::string text = header.dump();
  while (text.size() % 8 != 0) text += ' ';  // keeps the data aligned
  const uint64_t length = text.size();
  const std::string_view length_bytes(reinterpret_cast<const char*>(&length), sizeof(length));
  const std::string checksum = checksum_of(length_bytes, text, data);
  std::copy(checksum.begin(), checksum.end(),
            text.begin() + ptrdiff_t(text.find(kChecksumKey) + kChecksumKey.size()));

  AtomicFile out(path);
  out.write(length_bytes);
  out.write(text);
  out.write(data);
  out.commit();
}

}  // namespace rec
