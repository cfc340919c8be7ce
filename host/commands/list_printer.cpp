#include "host/commands/list_printer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace rec {
namespace {

using Json = nlohmann::ordered_json;

// "curl: command line tool [curl]"; the id is left out where the title begins with it.
std::string title_and_id(const std::string& title, const std::string& id) {
  if (title.empty()) return id;
  return title.rfind(id, 0) == 0 ? title : title + "  [" + id + "]";
}

}  // namespace

ListPrinter::ListPrinter(const Dataset& data, std::string format, std::string key)
    : data_(data), format_(std::move(format)), key_(std::move(key)) {
  if (format_ == "tsv") fmt::print("{}\trank\titem\tscore\ttitle\n", key_);
}

void ListPrinter::print(const std::string& name, const std::string& heading, const TopLists& lists,
                        int64_t row) {
  print(name, {}, heading, lists, row);
}

void ListPrinter::print_for_history(const std::vector<std::string>& history,
                                    const std::string& called, const std::string& heading,
                                    const TopLists& lists, int64_t row) {
  print(called, history, heading, lists, row);
}

void ListPrinter::print(const std::string& name, const std::vector<std::string>& history,
                        const std::string& heading, const TopLists& lists, int64_t row) const {
  std::vector<Entry> entries;
  for (int64_t c = 0; c < lists.k; ++c) {
    const int32_t item = lists.items_of(row)[c];
    if (item < 0) break;
    entries.push_back({c + 1, lists.score[size_t(row * lists.k + c)], data_.item_name(item),
                       data_.item_title(item)});
  }
  if (format_ == "table")
    print_table(heading, entries);
  else if (format_ == "tsv")
    print_tsv(name, entries);
  else
    print_json_line(name, history, entries);
}

void ListPrinter::print_table(const std::string& heading, const std::vector<Entry>& entries) const {
  fmt::print("{}\n", heading);
  for (const Entry& e : entries)
    fmt::print("{:>4}  {:.4f}  {}\n", e.rank, e.score, title_and_id(e.title, e.id));
  fmt::print("\n");
}

void ListPrinter::print_tsv(const std::string& name, const std::vector<Entry>& entries) const {
  for (const Entry& e : entries)
    fmt::print("{}\t{}\t{}\t{:.6f}\t{}\n", name, e.rank, e.id, e.score, e.title);
}

void ListPrinter::print_json_line(const std::string& name, const std::vector<std::string>& history,
                                  const std::vector<Entry>& entries) const {
  Json line = {{key_, name}};
  if (!history.empty()) line = {{key_, nullptr}, {"history", history}};
  line["items"] = Json::array();
  for (const Entry& e : entries)
    line["items"].push_back(
        {{"rank", e.rank}, {"item", e.id}, {"score", e.score}, {"title", e.title}});
  fmt::print("{}\n", line.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace rec
