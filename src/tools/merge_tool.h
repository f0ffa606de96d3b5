// `oas merge`: the three-way merge of JSON documents, as devices and server do it.
#pragma once

#include <span>
#include <string_view>

namespace oas::tools {

// BASE OURS THEIRS   files with one JSON value each; an empty one says that there is no document on that side
// --lines            instead: standard input holds one {"base"?, "ours"?, "theirs"?} a line, standard output one
//                    {"merged"?, "records": [...], "deltaBytes"} a line
// --schema FILE      types and policies by path pattern (merge/rules.h)
// --policy WORDS     the policy of the whole document, in the words of a schema; a schema's own "/" goes before it
// --first SIDE       ours or theirs: which side reached the server first, for server-wins and local-wins
// --later SIDE       ours or theirs: which side wrote later, for lww; without it ids decide, never sides
// --records FILE     where the conflict records go, one JSON object a line; standard error by default
// --indent N         spaces a level of the merged JSON, 0 to 8; 2 by default
// Returns the process's exit code: 0 merged automatically, 2 something waits for a person, 1 bad input, 64 bad usage.
int merge(std::span<const std::string_view> arguments);

}  // namespace oas::tools
