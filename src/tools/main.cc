// `oas`: looks into the core from outside. Natively and as WebAssembly in Node: same input, same bytes out.
#include <string>
#include <string_view>
#include <vector>

#include "tools/cache_tool.h"
#include "tools/codec_tool.h"
#include "tools/io.h"
#include "tools/merge_tool.h"
#include "tools/predict_tool.h"
#include "tools/segment_tool.h"
#include "wire/json_check.h"

namespace {

using namespace oas;
using tools::write_text;

constexpr std::string_view kUsage =
    "usage: oas <command>\n"
    "  check                    one JSON value (an eventData) on standard input: accepted, or refused <code>\n"
    "  segment encode|decode    events as JSON lines to a segment's bytes, and back\n"
    "  cache BUDGET             replays requests against every eviction policy\n"
    "  codec                    JSON lines to their size and speed as segments\n"
    "  predict MODEL            one input a line to one JSON answer a line\n"
    "  merge BASE OURS THEIRS   three-way merge of JSON documents\n"
    "  errors                   the table of error codes\n";

// Exit code 0 = accepted, 1 = refused.
int check() {
  const Bytes input = tools::read_all();
  const Result<void> checked = wire::check_json(input);
  write_text(checked ? "accepted\n" : "refused " + std::string(error_info(checked.error().code).name) + "\n");
  return checked ? 0 : 1;
}

int errors() {
  for (std::uint32_t number = 0; number < 1'000; ++number) {
    const ErrorInfo* info = find_error(static_cast<std::uint16_t>(number));
    if (info == nullptr) continue;
    write_text(std::to_string(number) + " " + std::string(info->name) + " " + std::to_string(info->http_status) + " " +
               std::string(info->sentence) + "\n");
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  if (arguments.empty() || arguments[0] == "help" || arguments[0] == "--help") {
    write_text(kUsage);
    return arguments.empty() ? 2 : 0;
  }
  const std::span<const std::string_view> rest = std::span(arguments).subspan(1);
  if (arguments[0] == "check" && rest.empty()) return check();
  if (arguments[0] == "segment") return tools::segment(rest);
  if (arguments[0] == "cache") return tools::cache(rest);
  if (arguments[0] == "codec") return tools::codec(rest);
  if (arguments[0] == "predict") return tools::predict(rest);
  if (arguments[0] == "errors" && rest.empty()) return errors();
  if (arguments[0] == "merge") return tools::merge(rest);
  write_text(kUsage, stderr);
  return 2;
}
