#include "host/dataset/conversion.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "host/dataset/dataset_writer.h"
#include "host/formats/blanks.h"
#include "host/formats/excerpt.h"
#include "host/formats/file_error.h"
#include "host/formats/file_names.h"
#include "host/formats/text_file.h"
#include "host/formats/unfinished_folder.h"

namespace rec {
namespace {

constexpr std::array<Split, 3> kSplits = {Split::train, Split::valid, Split::test};

// What no id of a format may be.
struct IdRule {
  bool (*is_broken)(std::string_view id);
  const char* why;
};

bool has_carriage_return(std::string_view id) { return id.find('\r') != std::string_view::npos; }
bool has_blank(std::string_view id) {
  return std::any_of(kBlanks.begin(), kBlanks.end(), [&](std::string_view blank) {
    return id.find(blank) != std::string_view::npos;
  });
}
bool begins_quoted(std::string_view id) { return id.starts_with('"'); }
// What pandas.read_csv takes for a missing value, which RecBole drops with its whole line.
bool is_missing_value(std::string_view id) {
  constexpr std::array<std::string_view, 18> kMissing = {
      "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
      "<NA>", "N/A",      "NA",  "NULL",    "NaN",      "None", "n/a",  "nan",    "null"};
  return std::find(kMissing.begin(), kMissing.end(), id) != kMissing.end();
}

void require_ids(const Dataset& data, OtherFormat format) {
  std::vector<IdRule> rules = {
      {has_carriage_return, "holds a carriage return, which ends a line; give it another id"}};
  if (format == OtherFormat::lightgcn)
    rules.push_back({has_blank,
                     "holds a blank, which stands between the columns of LightGCN's lists; choose "
                     "--to csv or --to recbole"});
  if (format == OtherFormat::recbole) {
    rules.push_back({begins_quoted,
                     "begins with a quote, which RecBole takes for the beginning of quoted text; "
                     "choose --to csv"});
    rules.push_back({is_missing_value,
                     "is what RecBole takes for a missing value, and it drops such lines; give it "
                     "another id, or choose --to csv"});
  }
  for (const auto& [file, table] :
       {std::pair{"/users.tsv", &data.user_table}, std::pair{"/items.tsv", &data.item_table}})
    for (const std::string& id : table->original_id)
      for (const IdRule& rule : rules)
        if (rule.is_broken(id))
          throw FileError(data.path + file, fmt::format("the id '{}' {}", excerpt(id), rule.why));
}

// A field of CSV as RFC 4180 has it.
std::string quoted(const std::string& field) {
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string text = "\"";
  for (const char c : field) {
    if (c == '"') text += '"';
    text += c;
  }
  return text + '"';
}

// A title as RecBole reads it: no line ends inside, and no quote at the beginning.
std::string title_of_recbole(std::string title) {
  std::replace(title.begin(), title.end(), '\r', ' ');
  return begins_quoted(title) ? " " + title : title;
}

class Conversion {
 public:
  Conversion(const Dataset& data, const std::string& folder,
             const std::function<void(int64_t)>& told)
      : data_(data), folder_(folder), told_(told) {}

  void to_recbole(const std::string& name) {
    for (const Split split : kSplits) {
      TextFile file(path_of(fmt::format("{}.{}{}", name, name_of(split), kAtomicInteractions)));
      file.add("user_id:token\titem_id:token\n");
      for_each_interaction(split, [&](int64_t user, int32_t item) {
        file.add("{}\t{}\n", data_.user_name(user), data_.item_name(item));
      });
      file.commit();
    }
    if (data_.item_table.size() == 0) return;
    TextFile file(path_of(fmt::format("{}{}", name, kAtomicItems)));
    file.add("item_id:token\ttitle:token_seq\n");
    for (int64_t i = 0; i < data_.items; ++i)
      file.add("{}\t{}\n", data_.item_name(i), title_of_recbole(data_.item_title(i)));
    file.commit();
  }

  void to_lightgcn() {
    for (const Split split : kSplits) {
      const HostCsr& rows = data_.split(split);
      if (split == Split::valid && rows.entries() == 0) continue;
      // LightGCN's own reader fails at a user without items.
      write_split(path_of(kSplitFiles[size_t(split)]), rows.view(), /*empty_too=*/false);
      tell(rows.entries());
    }
    write_list(kUserList, data_.users, &Dataset::user_name);
    write_list(kItemList, data_.items, &Dataset::item_name);
    write_titles();
  }

  void to_csv() {
    TextFile file(path_of(kCsvInteractions));
    file.add("user_id,item_id,split\n");
    for (const Split split : kSplits)
      for_each_interaction(split, [&](int64_t user, int32_t item) {
        file.add("{},{},{}\n", quoted(data_.user_name(user)), quoted(data_.item_name(item)),
                 name_of(split));
      });
    file.commit();
    write_titles();
  }

  std::vector<std::string> names() && { return std::move(names_); }

 private:
  static std::string_view name_of(Split split) { return kSplitNames[size_t(split)]; }

  std::string path_of(std::string_view name) {
    names_.emplace_back(name);
    return folder_ + "/" + names_.back();
  }

  void tell(int64_t more) {
    constexpr int64_t kBetween = 1 << 16;
    done_ += more;
    if (done_ - told_of_ < kBetween) return;
    told_of_ = done_;
    told_(done_);
  }

  template <class Each>
  void for_each_interaction(Split split, Each each) {
    const CsrView rows = data_.split(split).view();
    for (int64_t u = 0; u < rows.rows; ++u) {
      for (const int32_t* item = rows.row(u); item != rows.row(u + 1); ++item) each(u, *item);
      tell(rows.degree(u));
    }
  }

  void write_list(std::string_view name, int64_t count,
                  std::string (Dataset::*called)(int64_t) const) {
    TextFile file(path_of(name));
    file.add("org_id remap_id\n");
    for (int64_t n = 0; n < count; ++n) file.add("{} {}\n", (data_.*called)(n), n);
    file.commit();
  }

  void write_titles() {
    if (data_.item_table.size() == 0) return;
    TextFile file(path_of(kCsvItems));
    file.add("item_id,title\n");
    for (int64_t i = 0; i < data_.items; ++i)
      file.add("{},{}\n", quoted(data_.item_name(i)), quoted(data_.item_title(i)));
    file.commit();
  }

  const Dataset& data_;
  const std::string folder_;
  const std::function<void(int64_t)>& told_;
  int64_t done_ = 0, told_of_ = 0;
  std::vector<std::string> names_;
};

}  // namespace

std::vector<std::string> convert_dataset(const Dataset& data, OtherFormat format,
                                         const std::string& name, const std::string& folder,
                                         const std::function<void(int64_t)>& told) {
  require_ids(data, format);
  UnfinishedFolder unfinished(folder);
  Conversion conversion(data, unfinished.path(), told);
  if (format == OtherFormat::recbole) conversion.to_recbole(name);
  if (format == OtherFormat::lightgcn) conversion.to_lightgcn();
  if (format == OtherFormat::csv) conversion.to_csv();
  unfinished.commit();
  return std::move(conversion).names();
}

}  // namespace rec
