#include "host/commands/list_printer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "host/commands/output_file.h"

namespace rec {
namespace {

// "curl: command line tool [curl]"; the id is left out where the title begins with it.
std::string title_and_id(const std::string& title, const std::string& id) {
  if (title.empty()) return id;
  return title.rfind(id, 0) == 0 ? title : title + "  [" + id + "]";
}

std::string dumped(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

ListPrinter::ListPrinter(const Dataset& data, std::string format, std::string key,
                         const std::string& file)
    : data_(data), format_(std::move(format)), key_(std::move(key)), out_(output_path(file)) {
  if (format_ == "tsv") out_.add("{}\trank\titem\tscore\ttitle\n", key_);
  if (format_ == "jsonl") json_of_item_.resize(size_t(data.items));
}

void ListPrinter::print(const std::string& name, const std::string& heading, const TopLists& lists,
                        int64_t row) {
  const std::vector<Entry> entries = entries_of(lists, row);
  if (format_ == "table")
    print_table(heading, entries);
  else if (format_ == "tsv")
    print_tsv(name, entries);
  else
    print_json_line(fmt::format("{}:{}", dumped(key_), dumped(name)), entries);
}

void ListPrinter::print_for_history(const std::vector<std::string>& history,
                                    const std::string& called, const std::string& heading,
                                    const TopLists& lists, int64_t row) {
  if (format_ != "jsonl") return print(called, heading, lists, row);
  print_json_line(fmt::format("{}:null,\"history\":{}", dumped(key_), dumped(history)),
                  entries_of(lists, row));
}

std::vector<ListPrinter::Entry> ListPrinter::entries_of(const TopLists& lists, int64_t row) {
  std::vector<Entry> entries;
  for (int64_t c = 0; c < lists.k; ++c) {
    const int32_t item = lists.items_of(row)[c];
    if (item < 0) break;
    entries.push_back({c + 1, lists.score[size_t(row * lists.k + c)], item});
  }
  return entries;
}

void ListPrinter::print_table(const std::string& heading, const std::vector<Entry>& entries) {
  out_.add("{}\n", heading);
  for (const Entry& e : entries)
    out_.add("{:>4}  {:.4f}  {}\n", e.rank, e.score,
             title_and_id(data_.item_title(e.item), data_.item_name(e.item)));
  out_.append("\n");
}

void ListPrinter::print_tsv(const std::string& name, const std::vector<Entry>& entries) {
  for (const Entry& e : entries)
    out_.add("{}\t{}\t{}\t{:.6f}\t{}\n", name, e.rank, data_.item_name(e.item), e.score,
             data_.item_title(e.item));
}

void ListPrinter::print_json_line(const std::string& whose, const std::vector<Entry>& entries) {
  out_.add("{{{},\"items\":[", whose);
  for (const Entry& e : entries)
    out_.add("{}{{\"rank\":{},\"score\":{},{}}}", e.rank == 1 ? "" : ",", e.rank, e.score,
             json_of(e.item));
  out_.append("]}\n");
}

const std::string& ListPrinter::json_of(int32_t item) {
  std::string& json = json_of_item_[size_t(item)];
  if (json.empty())
    json = fmt::format("\"item\":{},\"title\":{}", dumped(data_.item_name(item)),
                       dumped(data_.item_title(item)));
  return json;
}

}  // namespace rec
