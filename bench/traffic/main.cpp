// rec_traffic: what each CUDA kernel asks of memory, counted in the emulation, beside the ledger.
//
//   rec_traffic [--scale N] [--stage NAME]...
//
// Prints JSON, places in the code as addresses in this program; bench/traffic.py runs it, names them
// and prints tables.
#include <elf.h>
#include <fmt/format.h>
#include <link.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/traffic/counter.h"
#include "bench/traffic/stages.h"

namespace rec::bench {
namespace {

using Json = nlohmann::ordered_json;

// Where the program was loaded, less where its file says it lies.
uintptr_t load_offset() {
  uintptr_t offset = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* to) {
        *static_cast<uintptr_t*>(to) = info->dlpi_addr;
        return 1;  // the program is the first
      },
      &offset);
  return offset;
}
std::string address_in_file(const void* p, uintptr_t back) {
  return fmt::format("{:#x}", reinterpret_cast<uintptr_t>(p) - load_offset() - back);
}

Json to_json(const SiteTraffic& site) {
  Json json = {{"kernel", address_in_file(site.kernel, 0)},
               {"site", address_in_file(site.site, 1)},  // within the instruction, not after it
               {"writes", site.writes},
               {"bytes_of_lane", site.bytes_of_lane},
               {"requests", site.requests},
               {"bytes", site.bytes}};
  if (site.shared) {
    json["passes"] = site.passes;
    json["passes_needed"] = site.passes_needed;
  } else {
    json["sectors"] = site.sectors;
    json["sectors_needed"] = site.sectors_needed;
  }
  return json;
}

Json counted(const Stage& stage, const Shape& shape) {
  Place place(Place::Kind::gpu);
  traffic_counter().take();
  stage.run(shape, place);
  const Ledger ledger = stage.ledger(shape);
  Json json = {{"stage", stage.name},          {"gathered", ledger.gathered},
               {"streamed", ledger.streamed},  {"ledger", ledger.what},
               {"why_bytes", stage.why_bytes}, {"why_sectors", stage.why_sectors}};
  for (const SiteTraffic& site : traffic_counter().take()) json["sites"].push_back(to_json(site));
  return json;
}

}  // namespace
}  // namespace rec::bench

int main(int argc, char** argv) {
  using namespace rec::bench;
  int64_t scale = 16;
  std::vector<std::string> wanted, names;
  for (const Stage& stage : stages()) names.push_back(stage.name);
  CLI::App app("What each CUDA kernel asks of memory, beside the ledger, as JSON");
  app.add_option("--scale", scale, "divides the sizes of the Games dataset")->capture_default_str();
  app.add_option("--stage", wanted, "only this")->check(CLI::IsMember(names));
  CLI11_PARSE(app, argc, argv);
  try {
    rec::emulator::set_schedule({rec::emulator::Order::forward, 0});
    const Shape shape = games_sample(scale);
    Json result = {{"scale", scale},           {"users", shape.users},
                   {"items", shape.items},     {"edges", shape.edges},
                   {"hidden", shape.hidden},   {"dim", shape.dim},
                   {"batch", shape.batch},     {"negatives", shape.negatives},
                   {"most_asked", kMostAsked}, {"most_sectors", kMostSectors}};
    for (const Stage& stage : stages())
      if (wanted.empty() || std::count(wanted.begin(), wanted.end(), stage.name) > 0)
        result["stages"].push_back(counted(stage, shape));
    fmt::print("{}\n", result.dump(1));
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "rec_traffic: {}\n", error.what());
    return 1;
  }
}
