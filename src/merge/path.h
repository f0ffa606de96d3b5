// Where a value stands in a document: a sequence of steps, each a field of an object or an element of a list.
//
// A step is bytes whose first one tells its kind, so that the fields and the elements at one place never meet:
//   f<key>            field of an object
//   k<scalar>         list element known by the value of its key field (id, _id, uuid, key)
//   v<scalar>         list element of a set of scalars: the scalar itself
//   c<hash><count>    list element known by its first content, and which of several equal ones
//   d<epoch><n>       list element known by the dot that inserted it
// <scalar> is the canonical encoding (codec.h). Bytes compare as unsigned, so steps have one order everywhere.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "merge/clock.h"
#include "merge/value.h"

namespace oas::merge {

using Step = std::string;
using Path = std::vector<Step>;

[[nodiscard]] Step field_step(std::string_view key);
[[nodiscard]] Step key_step(const Value& scalar);
[[nodiscard]] Step scalar_step(const Value& scalar);
[[nodiscard]] Step content_step(std::uint64_t hash, std::uint64_t occurrence);
[[nodiscard]] Step dot_step(const Dot& dot);

[[nodiscard]] inline bool is_field(std::string_view step) { return !step.empty() && step[0] == 'f'; }
[[nodiscard]] inline std::string_view field_key(std::string_view step) { return step.substr(1); }

// Whether a peer's bytes are a step at all.
[[nodiscard]] bool is_step(std::string_view step);

// For people and records: JSON Pointer, elements by key or scalar, others as @hex. "" is the whole document.
[[nodiscard]] std::string pointer_of(const Path& path);
// The part for one step, without the slash.
[[nodiscard]] std::string pointer_part(std::string_view step);

}  // namespace oas::merge
