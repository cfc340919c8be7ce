// A page of HTML that needs nothing but itself.
#pragma once
#include <string>

namespace rec {

// Text as it may stand in HTML, also in an attribute.
std::string escape(const std::string& text);

// title: plain text, also the page's heading. body: HTML. The version stands at its end.
std::string html_page(const std::string& title, const std::string& body);

}  // namespace rec
