#include "host/commands/list_printer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace rec {

ListPrinter::ListPrinter(const Dataset& data, std::string format, std::string key)
    : data_(data), format_(std::move(format)), key_(std::move(key)) {
  if (format_ == "tsv") fmt::print("{}\trank\titem\tscore\ttitle\n", key_);
}

void ListPrinter::print(const std::string& name, const std::string& heading, const TopLists& lists,
                        int64_t row) {
  using Json = nlohmann::ordered_json;
  if (format_ == "table") fmt::print("{}\n", heading);
  Json items = Json::array();
  for (int64_t c = 0; c < lists.k; ++c) {
    const int32_t item = lists.items_of(row)[c];
    if (item < 0) break;
    const float score = lists.score[size_t(row * lists.k + c)];
    const std::string id = data_.item_name(item), title = data_.item_title(item);
    if (format_ == "tsv")
      fmt::print("{}\t{}\t{}\t{:.6f}\t{}\n", name, c + 1, id, score, title);
    else if (format_ == "jsonl")
      items.push_back({{"rank", c + 1}, {"item", id}, {"score", score}, {"title", title}});
    else
      fmt::print("{:>4}  {:.4f}  {}{}\n", c + 1, score, title.empty() ? id : title,
                 title.rfind(id, 0) == 0 || title.empty() ? "" : "  [" + id + "]");
  }
  if (format_ == "jsonl")
    fmt::print("{}\n", Json{{key_, name}, {"items", items}}.dump(-1, ' ', false,
                                                                 Json::error_handler_t::replace));
  if (format_ == "table") fmt::print("\n");
}

}  // namespace rec
