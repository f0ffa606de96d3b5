// The document people see: a pure function of the state and the rules, with a record for every conflict.
#pragma once

#include <optional>
#include <vector>

#include "merge/record.h"
#include "merge/resolve.h"
#include "merge/rules.h"
#include "merge/state.h"

namespace oas::merge {

// What a writer looks at while he edits, and the context of the change he then makes. A device keeps it with the edit.
struct Basis {
  MaybeValue value;  // nothing: the document does not exist
  Version version;             // what was seen
};

struct Shown : Basis {
  std::vector<Record> records;  // in path order; then what is on hold, in path order
};

struct ShowOptions {
  std::vector<NamedFunction> functions;
  bool with_records = true;
};

// O(size of the places that operations touch + conflicts); untouched parts are shared with the snapshot, not copied.
[[nodiscard]] Shown show(const State& state, const Rules& rules, const ShowOptions& options = {});

}  // namespace oas::merge
