// `oas segment encode|decode`: events as JSON lines to one segment's bytes, and back to readable lines.
#pragma once

#include <span>
#include <string_view>

namespace oas::tools {

// encode [--epoch HEX] [--lane 0..4] [--first N] [--type TYPE]
//   Standard input: one event a line, {"type", "module"?, "entity"?, "dedupeKey"?, "replaces"?, "hlc"?, "json"}; with
//   --type every line is the JSON of one event of that type. Standard output: the segment. An event's JSON keeps its
//   bytes. Without "hlc" a line's clock is one above the line before.
// decode
//   Segment bytes to one line for the head and one an event. `encode` takes these lines and gives the same bytes back.
// Returns the process's exit code: 0, 1 for bad input, 2 for bad usage.
int segment(std::span<const std::string_view> arguments);

}  // namespace oas::tools
