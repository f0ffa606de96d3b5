// Why the visible document is what it is: one record for every place where concurrent writes differ.
//
// A record is a pure function of the state and the rules, so every replica makes the same one, byte for byte, and a server
// that stores them needs no more than its id to drop doubles. It is provisional until every sibling is stamped. Places
// that only one side touched, or that both sides changed alike, leave no record.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "merge/clock.h"
#include "merge/operation.h"

namespace oas::merge {

enum class ConflictKind : std::uint8_t {
  kScalar,
  kAddAdd,
  kDeleteEdit,
  kReplaceEdit,
  kKind,
  kOrder,
  kReset,
  kText,
  kReplaceReplace,
  kSimilar,
  kRename,
  kHeld
};

// What the app should count. `lossless`: every side's change is visible. `lossy`: decided by rule, a loser is kept.
// `manual`: the last agreed value is visible until a person decides. `failed`: a function could not be asked.
enum class ConflictClass : std::uint8_t { kLossless, kLossy, kManual, kFailed };

enum class Rule : std::uint8_t {
  kLww,
  kServerWins,
  kLocalWins,
  kMax,
  kMin,
  kTokenMerge,
  kDeleteWins,
  kEditWins,
  kManual,
  kFunction,
  kCountLate,
  kForced,
  kBothKept,
  kHeld
};

struct Sibling {
  MaybeValue value;  // nothing: this side deleted
  Dot dot;
  Hlc hlc;
  Stamp stamp;
  OpKind op = OpKind::kAssign;
};

struct Record {
  std::string id;  // 32 hex digits over the sibling dots and the path
  Path path;
  ConflictKind kind = ConflictKind::kScalar;
  ConflictClass cls = ConflictClass::kLossy;
  Rule rule = Rule::kLww;
  MaybeValue base;  // the last agreed value
  std::vector<Sibling> siblings;  // by dot
  MaybeValue winner;  // what is visible; nothing: deleted
  std::string policy;  // the pattern that chose, "" for the default; of an operation on hold, why it is
  Hlc at;  // greatest effective clock among the siblings
  std::uint64_t margin_ms = 0;  // how much later the winner of a last-writer decision was
  bool provisional = true;  // a sibling has no stamp yet
};

// Sorts the siblings and derives id, at and provisional from them.
void seal(Record& record);

// One JSON object, keys in a fixed order; the bytes replicas compare. `doc` may be empty.
[[nodiscard]] std::string record_json(const Record& record, std::string_view doc = {});

[[nodiscard]] std::string_view name_of(ConflictKind kind);
[[nodiscard]] std::string_view name_of(ConflictClass cls);
// "R03 lww: 3.2 s later"
[[nodiscard]] std::string reason_of(const Record& record);

}  // namespace oas::merge
