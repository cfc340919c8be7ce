#include "host/dataset/dataset_writer.h"

#include <nlohmann/json.hpp>

#include "host/formats/atomic_file.h"
#include "host/formats/mapped_file.h"
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

void write_files(const std::string& folder, const Dataset& data,
                 const std::vector<ExtraFile>& extra) {
  // Every user has a line in train.txt, so that none is missing from all splits.
  write_split(folder + "/train.txt", data.train.view(), /*empty_too=*/true);
  write_split(folder + "/valid.txt", data.valid.view(), /*empty_too=*/false);
  write_split(folder + "/test.txt", data.test.view(), /*empty_too=*/false);
  write_table(folder + "/items.tsv", "item", data.item_table);
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
