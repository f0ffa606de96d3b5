// What an app declares about its documents: types and policies by path pattern.
//
// A pattern is a JSON Pointer whose parts may be `*`: "/cart/*/qty". Of several that match, the one whose first differing
// part is literal is the more specific. A type holds exactly where it is declared; a policy holds for everything below,
// until a longer pattern says otherwise. The same text on every replica: a schema is itself an operation.
//
//   types      register, counter, set, list, list:key=<field>, text (a register until the text engine is built in)
//   policies   merge (default), merge:manual (what the rules cannot merge waits for a person), manual, lww, server-wins,
//              local-wins, max[:number|date|semver], min[:number|date|semver], fn:<name>
//   deletes    delete-wins, edit-wins, delete-manual: who wins when one side edits what the other deletes
//   strict     registers and objects only, nothing inferred
// One pattern may combine them with spaces: "list:key=sku edit-wins".
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "merge/value.h"

namespace oas::merge {

enum class Type : std::uint8_t { kAuto, kRegister, kCounter, kSet, kList, kText };
enum class Choice : std::uint8_t {
  kMerge,
  kMergeManual,
  kManual,
  kLww,
  kServerWins,
  kLocalWins,
  kMax,
  kMin,
  kFunction
};
enum class Comparator : std::uint8_t { kNumber, kDate, kSemver };
enum class OnDelete : std::uint8_t { kByRule, kDeleteWins, kEditWins, kManual };

struct Policy {
  Choice choice = Choice::kMerge;
  Comparator comparator = Comparator::kNumber;
  OnDelete on_delete = OnDelete::kByRule;
  bool strict = false;
  std::string function;  // fn:<name>
  std::string source;  // the pattern that chose, "" for the default
};

class Rules {
 public:
  // Errors: kUnsupportedValue (detail: index of the pattern in canonical order) for an unknown word or a bad pattern.
  // `schema` is an object of pattern -> words; null gives the defaults.
  static Result<Rules> parse(const Value& schema);

  [[nodiscard]] bool empty() const { return root_ == nullptr; }
  // What the `$meta` document states and peers compare: hash of the canonical schema, 0 for none.
  [[nodiscard]] std::uint64_t hash() const { return hash_; }

 private:
  friend class Scope;
  struct Entry;
  static Result<void> apply(std::string_view words, Entry& entry);

  std::shared_ptr<Entry> root_;
  std::uint64_t hash_ = 0;
};

// The rules that hold at one place of a document; made at the root and carried down with each step.
class Scope {
 public:
  explicit Scope(const Rules& rules);
  // O(matching patterns); free where no pattern reaches.
  [[nodiscard]] Scope below(std::string_view step) const;

  [[nodiscard]] Type type() const { return type_; }
  [[nodiscard]] std::string_view list_key() const { return list_key_; }
  [[nodiscard]] const Policy& policy() const { return *policy_; }
  [[nodiscard]] bool declared_keyed() const { return !list_key_.empty(); }
  // Whether arrays here merge by element.
  [[nodiscard]] bool lists_merge() const {
    return type_ != Type::kRegister && !(policy_->strict && type_ == Type::kAuto);
  }

 private:
  Scope() = default;
  void settle();

  std::vector<const Rules::Entry*> entries_;  // most specific first
  const Policy* policy_ = nullptr;
  Type type_ = Type::kAuto;
  std::string_view list_key_;
};

}  // namespace oas::merge
