// SHA-256 (FIPS 180-4): the trailing checksum of a model file, and the hash splits of data sets.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"

namespace oas::infer {

using Sha256 = std::array<std::uint8_t, 32>;

[[nodiscard]] Sha256 sha256(ByteView bytes);

}  // namespace oas::infer
