#include "host/formats/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "host/formats/atomic_file.h"
#include "host/formats/content_hash.h"
#include "host/formats/file_error.h"
#include "host/formats/mapped_file.h"

namespace rec {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kLengthBytes = 8;
constexpr uint64_t kLongestHeader = 100'000'000;  // the format's own limit
constexpr size_t kDeepest = 8;                    // a header has 3 levels
constexpr std::string_view kNoChecksum = "0000000000000000";
// How a file with a checksum begins after its length. A second key names the kind, so that damage
// to either key cannot turn the check off.
constexpr std::string_view kBeforeChecksum = R"({"__metadata__":{"checksum":")";
constexpr std::string_view kChecksumKey = "checksum", kKindKey = "checksum_kind", kKind = "xxh3-64";

// Header length, header and data, hashed with the checksum's digits as zeros.
// header: begins with kBeforeChecksum and the digits.
std::string checksum_of(std::string_view length, std::string_view header, std::string_view data) {
  const std::string_view after = header.substr(kBeforeChecksum.size() + kNoChecksum.size());
  ContentHash hash;
  for (std::string_view part : {length, kBeforeChecksum, kNoChecksum, after, data}) hash.add(part);
  return hash.text();
}

// Takes the checksum's keys out of the metadata and refuses a file that does not match them.
void verify_checksum(std::map<std::string, std::string>& metadata, std::string_view length,
                     std::string_view header, std::string_view data, const std::string& name) {
  const auto take = [&](std::string_view key) {
    const auto node = metadata.extract(std::string(key));
    return node.empty() ? std::string() : node.mapped();
  };
  const std::string checksum = take(kChecksumKey), kind = take(kKindKey);
  if (checksum.empty() && kind.empty()) return;  // from elsewhere
  const bool in_its_place = header.substr(0, kBeforeChecksum.size()) == kBeforeChecksum &&
                            checksum.size() == kNoChecksum.size() &&
                            header.substr(kBeforeChecksum.size(), checksum.size()) == checksum;
  if (!in_its_place || checksum_of(length, header, data) != checksum)
    throw FileError(name,
                    "is damaged: its checksum does not match its content; use an earlier copy");
}

// Walks the header without building it, and stops where it is nested too deeply or a name stands
// twice, which the parser itself would let pass.
class HeaderCheck final : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::string refusal;

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool start_array(size_t) override { return open(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (!names_.back().insert(name).second) refusal = "holds '" + name + "' twice in its header";
    return refusal.empty();
  }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception&) override {
    refusal = "has a damaged header; it is not a JSON object";
    return false;
  }

 private:
  bool open() {
    names_.emplace_back();
    if (names_.size() > kDeepest) refusal = "has a header nested too deeply to be one";
    return refusal.empty();
  }
  bool close() {
    names_.pop_back();
    return true;
  }

  std::vector<std::set<std::string>> names_;  // of each open object; an array's stay empty
};

nlohmann::json parse_header(std::string_view text, const std::string& name) {
  HeaderCheck check;
  if (!nlohmann::json::sax_parse(text, &check)) throw FileError(name, check.refusal);
  nlohmann::json header = nlohmann::json::parse(text);
  if (!header.is_object()) throw FileError(name, "has a damaged header; it is not a JSON object");
  return header;
}

// A tensor's description in the header.
struct Entry {
  std::string name;
  std::vector<int64_t> shape;
  uint64_t begin, end;  // bytes of the data
};

// data_bytes: of all tensors
Entry read_entry(const std::string& key, const nlohmann::json& json, uint64_t data_bytes,
                 const std::string& name) {
  const auto refuse = [&](const std::string& sentence) {
    throw FileError(name, "tensor '" + key + "' " + sentence);
  };
  const auto field = [&](const char* wanted) {
    const auto at = json.find(wanted);
    return at == json.end() ? nlohmann::json() : *at;
  };
  if (!json.is_object()) refuse("has a damaged description");
  const nlohmann::json type = field("dtype"), shape = field("shape"),
                       offsets = field("data_offsets");
  if (!type.is_string() || !shape.is_array() || !offsets.is_array() || offsets.size() != 2)
    refuse("has a damaged description");
  if (type != "F32")
    refuse("is " + type.get<std::string>() + ", not float32 (F32); convert it first");
  for (const nlohmann::json& offset : offsets)
    if (!offset.is_number_unsigned()) refuse("has damaged offsets");
  Entry entry{key, {}, offsets[0].get<uint64_t>(), offsets[1].get<uint64_t>()};
  int64_t count = 1;
  for (const nlohmann::json& size : shape) {
    if (!size.is_number_unsigned()) refuse("has a damaged shape");
    const uint64_t value = size.get<uint64_t>();
    if (value > data_bytes / sizeof(float) ||
        __builtin_mul_overflow(count, static_cast<int64_t>(value), &count) ||
        static_cast<uint64_t>(count) > data_bytes / sizeof(float))
      refuse("claims a shape larger than the file; it was cut short or damaged");
    entry.shape.push_back(static_cast<int64_t>(value));
  }
  if (entry.begin > entry.end || entry.end > data_bytes)
    refuse("lies outside the file; it was cut short or damaged");
  if (entry.end - entry.begin != static_cast<uint64_t>(count) * sizeof(float))
    refuse("has a shape that is not its size");
  return entry;
}

// Sorts by place, and refuses overlaps, gaps and bytes that no tensor owns, as the format does.
void require_gapless(std::vector<Entry>& entries, uint64_t data_bytes, const std::string& name) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t end = 0;
  for (const Entry& entry : entries) {
    if (entry.begin < end)
      throw FileError(name, "tensor '" + entry.name + "' overlaps another tensor");
    if (entry.begin > end)
      throw FileError(name, "has a gap before tensor '" + entry.name + "'; it is damaged");
    end = entry.end;
  }
  if (end != data_bytes)
    throw FileError(name, "has " + std::to_string(data_bytes - end) +
                              " bytes that belong to no tensor; it is damaged");
}

}  // namespace

const Tensor* SafetensorsFile::find(std::string_view name) const {
  const auto at =
      std::find_if(tensors.begin(), tensors.end(), [&](const Tensor& t) { return t.name == name; });
  return at == tensors.end() ? nullptr : &*at;
}

SafetensorsFile parse_safetensors(std::string_view bytes, const std::string& name) {
  if (bytes.size() < kLengthBytes) throw FileError(name, "is too short to be a safetensors file");
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > kLongestHeader || length > bytes.size() - kLengthBytes)
    throw FileError(name, "is not a safetensors file, or it is cut short or damaged");
  const std::string_view header_text = bytes.substr(kLengthBytes, length);
  const std::string_view data = bytes.substr(kLengthBytes + length);
  const nlohmann::json header = parse_header(header_text, name);

  SafetensorsFile file;
  std::vector<Entry> entries;
  if (const auto metadata = header.find("__metadata__"); metadata != header.end()) {
    if (!metadata->is_object()) throw FileError(name, "has damaged metadata");
    for (const auto& [key, value] : metadata->items()) {
      if (!value.is_string()) throw FileError(name, "has damaged metadata");
      file.metadata[key] = value.get<std::string>();
    }
  }
  verify_checksum(file.metadata, bytes.substr(0, kLengthBytes), header_text, data, name);
  for (const auto& [key, json] : header.items())
    if (key != "__metadata__") entries.push_back(read_entry(key, json, data.size(), name));
  require_gapless(entries, data.size(), name);
  for (Entry& entry : entries) {
    Tensor tensor{std::move(entry.name), std::move(entry.shape), {}};
    tensor.values.resize((entry.end - entry.begin) / sizeof(float));
    if (!tensor.values.empty())
      std::memcpy(tensor.values.data(), data.data() + entry.begin, entry.end - entry.begin);
    file.tensors.push_back(std::move(tensor));
  }
  return file;
}

SafetensorsFile read_safetensors(const std::string& path) {
  return parse_safetensors(MappedFile(path).bytes(), path);
}

void write_safetensors(const std::string& path, const SafetensorsFile& file) {
  AtomicFile out(path);
  write_safetensors(out, file);
  out.commit();
}

void write_safetensors(AtomicFile& out, const SafetensorsFile& file) {
  Json header;
  Json metadata;
  metadata[std::string(kChecksumKey)] = kNoChecksum;
  metadata[std::string(kKindKey)] = kKind;
  for (const auto& [key, value] : file.metadata) metadata[key] = value;
  header["__metadata__"] = metadata;
  std::string data;
  for (const Tensor& tensor : file.tensors) {
    const uint64_t begin = data.size();
    data.append(reinterpret_cast<const char*>(tensor.values.data()),
                tensor.values.size() * sizeof(float));
    header[tensor.name] = {
        {"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
  }
  std::string text = header.dump();
  while (text.size() % 8 != 0) text += ' ';  // keeps the data aligned
  const uint64_t length = text.size();
  const std::string_view length_bytes(reinterpret_cast<const char*>(&length), sizeof(length));
  const std::string checksum = checksum_of(length_bytes, text, data);
  text.replace(kBeforeChecksum.size(), checksum.size(), checksum);

  out.write(length_bytes);
  out.write(text);
  out.write(data);
}

}  // namespace rec
