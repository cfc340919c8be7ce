#include "tests/fuzz/readers.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "host/config/config.h"
#include "host/formats/file_error.h"
#include "host/formats/id_table.h"
#include "host/formats/interactions.h"
#include "host/formats/npy.h"
#include "host/formats/safetensors.h"
#include "host/prepare/interaction_log.h"
#include "host/prepare/record_reader.h"
#include "host/prepare/source.h"
#include "host/prepare/time_text.h"

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

// One folder for all that a process tries, which goes away at its end.
class FuzzFolder {
 public:
  FuzzFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "rec_fuzz.XXXXXX").string();
    promise(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~FuzzFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  FuzzFolder(const FuzzFolder&) = delete;
  FuzzFolder& operator=(const FuzzFolder&) = delete;

  void clear() const {
    for (const auto& entry : std::filesystem::directory_iterator(path_))
      std::filesystem::remove_all(entry);
  }
  std::string operator/(std::string_view name) const { return (path_ / name).string(); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

// The files of a source. Where `named`, SOURCE is the first and --items the second, else SOURCE is
// their folder.
struct SourceLayout {
  bool named;
  std::vector<std::string_view> files;
};
const std::array<SourceLayout, 11> kSourceLayouts = {{
    {true, {"log.txt", "things.txt"}},  // 'a', and so on
    {false, {"x.inter", "x.item"}},
    {false, {"x.train.inter", "x.test.inter", "x.item"}},
    {false, {"ratings.csv", "movies.csv"}},
    {false, {"ratings.dat", "movies.dat"}},
    {false, {"u.data", "u.item"}},
    {false, {"BX-Book-Ratings.csv", "BX-Books.csv"}},
    {false, {"interactions.csv", "items.csv"}},
    {false, {"train.txt", "user_list.txt", "item_list.txt", "test.txt"}},
    {false, {"train.txt", "users.tsv", "items.tsv", "test.txt"}},
    {true, {"train.txt", "things.item"}},
}};

// Text that a table of ids and titles can hold.
void promise_line(std::string_view text) {
  promise(first_invalid_utf8(text) == std::string_view::npos);
  promise(text.find_first_of(std::string_view("\t\n\0", 3)) == std::string_view::npos);
}

void promise_reading(const Reading& reading, bool keeps_split) {
  const InteractionLog& log = reading.log;
  promise(log.size() > 0 && int64_t(log.start.size()) == log.users.size() + 1);
  promise(log.start.front() == 0 && log.start.back() == log.size());
  promise(std::is_sorted(log.start.begin(), log.start.end()));
  promise(log.split.size() == (keeps_split ? log.item.size() : 0));
  for (const int32_t item : log.item) promise(item >= 0 && item < log.items.size());
  for (const IdDictionary* ids : {&log.users, &log.items})
    for (int32_t number = 0; number < ids->size(); ++number) {
      promise(!ids->id(number).empty());
      promise_line(ids->id(number));
    }
  for (const auto& [titles, ids] :
       {std::pair{&reading.user_title, &log.users}, std::pair{&reading.item_title, &log.items}})
    promise(titles->empty() || int64_t(titles->size()) == ids->size());
}

}  // namespace

void fuzz_text(std::string_view bytes) {
  read_or_refuse([&] { promise_ascending(parse_interactions(bytes, "fuzz").items_of_user); });
  read_or_refuse([&] {
    const IdTable table = parse_id_table(bytes, "fuzz");
    promise(table.title.size() == table.original_id.size());
    for (const std::string& title : table.title)
      promise(first_invalid_utf8(title) == std::string_view::npos);
  });
  read_or_refuse([&] {
    for (const std::string& id : parse_id_list(bytes, "fuzz").original_id) {
      promise(!id.empty());
      promise_line(id);
    }
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

void fuzz_sources(std::string_view bytes) {
  static const FuzzFolder folder;
  if (bytes.empty()) return;
  const SourceLayout& layout =
      kSourceLayouts[static_cast<unsigned char>(bytes[0] - 'a') % kSourceLayouts.size()];
  bytes.remove_prefix(1);
  folder.clear();
  size_t files = 0;
  for (bool is_last = false; files < layout.files.size() && !is_last; ++files) {
    const size_t end = std::min(bytes.find('\x1E'), bytes.size());
    std::ofstream(folder / layout.files[files], std::ios::binary) << bytes.substr(0, end);
    is_last = end == bytes.size();
    bytes.remove_prefix(end + (is_last ? 0 : 1));
  }
  read_or_refuse([&] {
    SourceOptions options;
    if (layout.named && files > 1) options.items = folder / layout.files[1];
    const Source source =
        find_source(layout.named ? folder / layout.files[0] : folder.path(), options);
    const InteractionFile& file = source.interactions.front();
    promise(file.is_numbered || (file.at(Column::user) >= 0 && file.at(Column::item) >= 0 &&
                                 file.at(Column::user) != file.at(Column::item)));
    ReadingOptions wanted;
    wanted.keep_split = source.is_split();
    wanted.keep_times = file.at(Column::time) >= 0;
    wanted.keep_ratings = file.at(Column::rating) >= 0;
    wanted.most_bad_lines = 2;
    Reading reading = read_interactions_of(source, wanted, [](int64_t, int64_t) {});
    promise_reading(reading, wanted.keep_split);
    if (!source.items) return;
    const Titles titles = read_titles(*source.items, reading.log.items, " ", 2, reading.bad_lines);
    promise(int64_t(titles.title.size()) == reading.log.items.size());
    for (const std::string& title : titles.title) promise_line(title);
  });
}

void fuzz_times(std::string_view bytes) {
  const std::optional<int64_t> time = parsed_time(bytes), date = parsed_date(bytes);
  if (time) promise(parsed_time(std::to_string(*time)) == time);
  if (!date) return;
  promise(time == date);
  const bool has_leap_second = bytes.size() > 10 && bytes.substr(17, 2) == "60";
  if (has_leap_second) return;  // the next minute's first
  const std::time_t seconds = *date;
  std::tm parts{};
  promise(::gmtime_r(&seconds, &parts) != nullptr);
  std::string again =
      fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
  promise(bytes.substr(0, 10) == again);
  again = fmt::format("{:02}:{:02}:{:02}", parts.tm_hour, parts.tm_min, parts.tm_sec);
  promise(bytes.size() > 10 ? bytes.substr(11, 8) == again : again == "00:00:00");
}

}  // namespace rec::test
