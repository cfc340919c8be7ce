#include "host/report/page.h"

#include <fmt/format.h>

#include "host/version.h"

namespace rec {
namespace {

constexpr const char* kStyle =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1180px;margin:2em auto;padding:0 "
    "1em;color:#1a1a1a}"
    "svg{width:560px;max-width:100%;margin:0 12px 12px 0;border:1px solid #ddd}"
    "table{border-collapse:collapse;margin:1em "
    "0;font-variant-numeric:tabular-nums;display:block;overflow-x:auto}"
    "td,th{border:1px solid #ddd;padding:3px "
    "9px;text-align:right}td:first-child,th:first-child{text-align:left}"
    "pre{background:#f6f6f6;padding:1em;overflow-x:auto}.grid{stroke:#e5e5e5}text{font-size:12px;"
    "fill:#555}"
    ".title{font-size:14px;fill:#1a1a1a}.y{text-anchor:end}.x{text-anchor:middle}.legend{text-"
    "anchor:end}";

}  // namespace

std::string escape(const std::string& text) {
  std::string safe;
  for (char c : text) {
    if (c == '&')
      safe += "&amp;";
    else if (c == '<')
      safe += "&lt;";
    else if (c == '>')
      safe += "&gt;";
    else if (c == '"')
      safe += "&quot;";
    else
      safe += c;
  }
  return safe;
}

std::string html_page(const std::string& title, const std::string& body) {
  return "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>" + escape(title) +
         "</title><style>" + kStyle + "</style></head><body><h1>" + escape(title) + "</h1>" + body +
         fmt::format("<p>rec_engine {} ({})</p></body></html>\n", kVersion, kCommit);
}

}  // namespace rec
