#include "tests/host/files.h"

#include <stdlib.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace rec::test {

namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (fs::temp_directory_path() / "rec_tests_XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::vector<std::string> TemporaryFolder::names() const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(path_))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

void put(const std::string& path, std::string_view bytes) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) throw std::runtime_error("the test could not write " + path);
}

std::string get(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("the test could not read " + path);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

std::string npy_bytes(const NpyText& text, std::string_view values) {
  std::string header = "{'descr': '" + text.descr + "', 'fortran_order': " + text.order +
                       ", 'shape': " + text.shape + ", }";
  const size_t prefix = text.version == 1 ? 10 : 12;
  while ((prefix + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string bytes = std::string("\x93NUMPY") + static_cast<char>(text.version) + '\0';
  for (size_t b = 0; b < prefix - 8; ++b)
    bytes += static_cast<char>((header.size() >> (8 * b)) & 0xFF);
  return bytes + header + std::string(values);
}

std::string safetensors_bytes(const std::string& header, std::string_view data) {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + header +
         std::string(data);
}

void put_small_dataset(const TemporaryFolder& folder, const std::string& below) {
  const std::string at = below.empty() ? "" : below + "/";
  put(folder / (at + "train.txt"), "0 0 1 2\n1 1 3\n2 0 3\n3 2\n");
  put(folder / (at + "valid.txt"), "0 3\n1 0\n2 1\n");
  put(folder / (at + "test.txt"), "0 4\n1 2\n3 0 1\n");
  put(folder / (at + "items.tsv"),
      "item\toriginal_id\ttitle\n0\ta\tOne\n1\tb\tTwo\n2\tc\tThree\n3\td\tFour\n4\te\tFive\n5\tf\t"
      "Six\n");
  put(folder / (at + "item_language.npy"),
      npy_bytes({"<f4", "(6, 2)"}, raw<float>({1, 0, 0, 1, 1, 1, -1, 0, 0, -1, 2, 1})));
}

}  // namespace rec::test
