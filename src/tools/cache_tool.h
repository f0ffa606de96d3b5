// `oas cache`: replays requests against every eviction policy.
#pragma once

#include <span>
#include <string_view>

namespace oas::tools {

int cache(std::span<const std::string_view> arguments);

}  // namespace oas::tools
