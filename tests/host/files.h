// What the tests of files share: a folder that goes away,
// bytes in and out, and small valid files to hurt.
#pragma once
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "host/formats/file_error.h"

namespace rec::test {

class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string path() const { return path_.string(); }
  // Names of what lies in it, sorted.
  std::vector<std::string> names() const;

 private:
  std::filesystem::path path_;
};

// Makes the folders above it too.
void put(const std::string& path, std::string_view bytes);
std::string get(const std::string& path);

template <class T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

struct NpyText {
  std::string descr = "<f4";
  std::string shape = "(2, 3)";
  std::string order = "False";
  int version = 1;
};
// A .npy file with this header and these bytes as values.
std::string npy_bytes(const NpyText& text, std::string_view values);

// A safetensors file with this header and data.
std::string safetensors_bytes(const std::string& header, std::string_view data);

// The sentence by which f refuses, or "" when it does not. Anything but FileError and
// std::invalid_argument goes through and fails the test.
template <class F>
std::string refusal(F f) {
  try {
    f();
  } catch (const FileError& error) {
    return error.what();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

// 4 users, 6 items, width 2: what the dataset tests hurt. below: "books" for a folder in the folder.
void put_small_dataset(const TemporaryFolder& folder, const std::string& below = "");

}  // namespace rec::test
