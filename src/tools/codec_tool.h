// `oas codec`: how small and how fast segments of given events are, beside the truth that they come back.
#pragma once

#include <span>
#include <string_view>

namespace oas::tools {

int codec(std::span<const std::string_view> arguments);

}  // namespace oas::tools
