// `oas segment encode|decode`: events as JSON lines to one segment's bytes, and back to readable lines.
#pragma once

#include <span>
#include <string_view>

namespace oas::tools {

// encode [--epoch HEX] [--lane N] [--first N]: lines {"type","module"?,"entity"?,"dedupeKey"?,"hlc"?,"json"} on standard
//   input to segment bytes on standard output; the events' JSON is kept as it is printed by the parser.
// decode: segment bytes to one line for the head and one per event.
// Returns the process's exit code: 0, 1 for bad input, 2 for bad usage.
int segment(std::span<const std::string_view> arguments);

}  // namespace oas::tools
