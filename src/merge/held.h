// Operations on hold, as the conflicts they are: everybody has them, nobody is shown them until a person decides.
//
// What is visible is the document without them (State::visible). A record names each one that nobody has answered yet, with
// the value its place would have; an operation on the same place, or above it, that has seen it is the answer.
#pragma once

#include "merge/show.h"

namespace oas::merge {

// Adds the records, by place, to what is shown otherwise. O(size + holds * operations above them).
void note_held(const State& state, const Rules& rules, Shown& shown);

}  // namespace oas::merge
