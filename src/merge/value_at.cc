#include "merge/value_at.h"

#include <algorithm>

#include "base/cold.h"
#include "merge/identity.h"

OAS_COLD_BEGIN

namespace oas::merge {

const Value* value_at(const MaybeValue& root, const Path& path, const Rules& rules) {
  const Value* at = root ? &*root : nullptr;
  Scope scope(rules);
  for (const Step& step : path) {
    if (at == nullptr) return nullptr;
    if (is_field(step)) {
      at = at->find(field_key(step));
    } else {
      if (!at->is_array()) return nullptr;
      std::vector<Identity> spare;
      const std::vector<Identity>& ids = identities_of(*at, scope.list_key(), spare);
      const auto one = std::find_if(ids.begin(), ids.end(), [&](const Identity& id) { return id.id == step; });
      at = one == ids.end() ? nullptr : &at->items()[static_cast<std::size_t>(one - ids.begin())];
    }
    scope = scope.below(step);
  }
  return at;
}

}  // namespace oas::merge

OAS_COLD_END
