// What stands at a place of a document.
#pragma once

#include "merge/path.h"
#include "merge/rules.h"
#include "merge/value.h"

namespace oas::merge {

// Null when there is nothing. The view lives as long as `root`. O(steps * size of the lists on the way).
[[nodiscard]] const Value* value_at(const MaybeValue& root, const Path& path, const Rules& rules);

}  // namespace oas::merge
