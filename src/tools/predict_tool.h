// `oas predict MODEL`: one input a line on standard input, one JSON answer a line on standard output.
#pragma once

#include <span>
#include <string_view>

namespace oas::tools {

// Arguments behind the command's name; returns the process's exit code.
int predict(std::span<const std::string_view> arguments);

}  // namespace oas::tools
