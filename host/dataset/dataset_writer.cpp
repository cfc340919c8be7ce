#include "host/dataset/dataset_writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "host/formats/atomic_file.h"
#include "host/formats/mapped_file.h"
#include "host/formats/npy.h"
#include "host/formats/text_file.h"
#include "host/formats/unfinished_folder.h"

namespace rec {

void write_split(const std::string& path, CsrView split, bool empty_too) {
  TextFile file(path);
  for (int64_t u = 0; u < split.rows; ++u) {
    if (split.degree(u) == 0 && !empty_too) continue;
    file.append(u);
    for (int64_t e = 0; e < split.degree(u); ++e) {
      file.append(" ");
      file.append(split.row(u)[e]);
    }
    file.append("\n");
  }
  file.commit();
}

namespace {

void write_table(const std::string& file, const char* what, const IdTable& table) {
  if (table.size() == 0) return;
  TextFile text(file);
  text.add("{}\toriginal_id\ttitle\n", what);
  for (int64_t i = 0; i < table.size(); ++i)
    text.add("{}\t{}\t{}\n", i, table.original_id[size_t(i)], table.title[size_t(i)]);
  text.commit();
}

// Where nothing else says how many items there are: a table of their numbers.
IdTable item_table_of(const Dataset& data) {
  int64_t named = 0;
  for (const HostCsr* split : {&data.train, &data.valid, &data.test})
    for (int32_t item : split->col) named = std::max(named, int64_t(item) + 1);
  if (data.item_table.size() > 0 || data.has_language() || named == data.items)
    return data.item_table;
  IdTable numbers;
  for (int64_t i = 0; i < data.items; ++i) numbers.original_id.push_back(std::to_string(i));
  numbers.title.resize(numbers.original_id.size());
  return numbers;
}

void write_files(const std::string& folder, const Dataset& data,
                 const std::vector<ExtraFile>& extra) {
  // Every user has a line in train.txt, so that none is missing from all splits.
  write_split(folder + "/train.txt", data.train.view(), /*empty_too=*/true);
  write_split(folder + "/valid.txt", data.valid.view(), /*empty_too=*/false);
  write_split(folder + "/test.txt", data.test.view(), /*empty_too=*/false);
  write_table(folder + "/items.tsv", "item", item_table_of(data));
  write_table(folder + "/users.tsv", "user", data.user_table);
  if (data.has_language()) {
    write_npy(folder + "/item_language.npy", data.language.view());
    nlohmann::ordered_json json = {{"width", data.language.width()}};
    if (!data.language_model.model.empty()) json["model"] = data.language_model.model;
    if (!data.language_model.basis.empty()) json["basis"] = data.language_model.basis;
    write_whole_file(folder + "/item_language.json", json.dump(2) + "\n");
  }
  if (!data.config_path.empty())
    write_whole_file(folder + "/config.toml", MappedFile(data.config_path).bytes());
  for (const ExtraFile& file : extra) write_whole_file(folder + "/" + file.name, file.text);
}

}  // namespace

void write_dataset(const std::string& folder, const Dataset& data,
                   const std::vector<ExtraFile>& extra) {
  UnfinishedFolder unfinished(folder);
  write_files(unfinished.path(), data, extra);
  unfinished.commit();
}

}  // namespace rec
