#include "tests/fuzz/readers.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "host/config/config.h"
#include "host/formats/file_error.h"
#include "host/formats/id_table.h"
#include "host/formats/interactions.h"
#include "host/formats/npy.h"
#include "host/formats/safetensors.h"
#include "host/prepare/record_reader.h"

namespace rec::test {
namespace {

template <class Read>
void read_or_refuse(Read read) {
  try {
    read();
  } catch (const FileError&) {
  } catch (const std::invalid_argument&) {
  }
}

void promise(bool kept) {
  if (!kept) std::abort();
}

void promise_ascending(const HostCsr& m) {
  promise(int64_t(m.row_start.size()) == m.rows + 1 && m.row_start.back() == m.entries());
  for (int64_t r = 0; r < m.rows; ++r)
    for (int64_t e = m.row_start[size_t(r)]; e < m.row_start[size_t(r) + 1]; ++e) {
      const int32_t item = m.col[size_t(e)];
      promise(item >= 0 && item < m.cols);
      promise(e == m.row_start[size_t(r)] || m.col[size_t(e) - 1] < item);
    }
}

// Bytes as a file that lies in memory alone.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : file_(::memfd_create("fuzz", 0)) {
    promise(file_ >= 0 && ::write(file_, bytes.data(), bytes.size()) == ssize_t(bytes.size()));
  }
  ~MemoryFile() { ::close(file_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

 private:
  int file_;
};

}  // namespace

void fuzz_text(std::string_view bytes) {
  read_or_refuse([&] { promise_ascending(parse_interactions(bytes, "fuzz").items_of_user); });
  read_or_refuse([&] {
    const IdTable table = parse_id_table(bytes, "fuzz");
    promise(table.title.size() == table.original_id.size());
    for (const std::string& title : table.title)
      promise(first_invalid_utf8(title) == std::string_view::npos);
  });
}

void fuzz_npy(std::string_view bytes) {
  read_or_refuse([&] {
    const NpyFile file(bytes, "fuzz");
    promise(file.header().values >= 0);
    read_or_refuse([&] { promise(int64_t(file.as_float32().size()) == file.header().values); });
    read_or_refuse([&] { promise(int64_t(file.as_float64().size()) == file.header().values); });
    read_or_refuse([&] { promise(int64_t(file.as_int64().size()) == file.header().values); });
    const std::vector<int64_t>& shape = file.header().shape;
    if (shape.size() == 2 && shape[1] > 0)
      require_directions({file.as_float32().data(), shape[0], shape[1]}, "fuzz");
  });
}

void fuzz_toml(std::string_view bytes) {
  const std::string text(bytes);
  read_or_refuse([&] {
    Config config;
    apply_config_text(config, text, "fuzz");
    const std::string written = to_toml(resolve(config, 384));
    Config again;
    apply_config_text(again, written, "fuzz");
    promise(to_toml(again) == written);
  });
  read_or_refuse([&] {
    Config config;
    apply_setting(config, text);
  });
}

void fuzz_safetensors(std::string_view bytes) {
  read_or_refuse([&] {
    const SafetensorsFile file = parse_safetensors(bytes, "fuzz");
    for (const Tensor& tensor : file.tensors) {
      int64_t count = 1;
      for (int64_t size : tensor.shape) count *= size;
      promise(count == int64_t(tensor.values.size()));
      promise(file.find(tensor.name) != nullptr);
    }
  });
}

void fuzz_records(std::string_view bytes) {
  const MemoryFile file(bytes);
  Dialect objects;
  objects.objects = true;
  objects.keys = {"a", "b"};
  for (const Dialect& dialect : {Dialect{}, Dialect{";", true, true, true}, Dialect{"::", false},
                                 Dialect{"\t", false}, objects}) {
    read_or_refuse([&] {
      RecordReader reader(file.path(), dialect);
      for (int64_t line = 0; reader.next(); line = reader.line()) {
        promise(reader.line() > line);
        for (const std::string_view field : reader.fields())
          promise(first_invalid_utf8(field) == std::string_view::npos);
      }
    });
  }
}

}  // namespace rec::test
