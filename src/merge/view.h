// The evaluator behind show(): one place at a time, from the root down. Not part of the public surface.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "merge/record.h"
#include "merge/resolve.h"
#include "merge/rules.h"
#include "merge/state.h"
#include "merge/writes.h"

namespace oas::merge {

using Maybe = MaybeValue;
using Writes = std::vector<Write>;

// Edits at and below `node` that none of `writers` had seen; moves alone are no edit. At most kSiblingsMax.
void collect_unseen(const State& state, const Node& node, const std::vector<const Write*>& writers,
                    std::vector<const Op*>& out);

class View {
 public:
  // `records` null: decide, but leave no record.
  View(const State& state, const std::vector<NamedFunction>& functions, std::vector<Record>* records)
      : state_(state), functions_(functions), records_(records) {}

  Maybe root(const Rules& rules);

 private:
  // One place: the operations on and below it, what stands there by the snapshot, and the rules.
  struct Place {
    const Node* node = nullptr;
    const Value* base = nullptr;
    const Scope& scope;
    bool declared_element = false;  // of a list that the schema declares as keyed
    bool entry = false;  // of an object that holds nothing but objects: an element by another name
  };
  // The choice among uncovered values, before anything below is looked at.
  struct Choosing {
    Maybe value;
    const Write* winner = nullptr;
    std::vector<const Write*> summed;  // concurrent beginnings of one counter, all of them in `value`
    std::vector<const Op*> losers;  // siblings whose content is not visible
    bool recorded = false;
  };

  // `inherited`: what operations further up write here.
  Maybe place(const Place& at, Writes inherited);
  Maybe alive(const Place& at, const Writes& writes, const std::vector<std::uint32_t>& siblings);
  Maybe ended(const Place& at, const Writes& writes, const Standing& standing);
  Choosing choose(const Place& at, const Writes& writes, const std::vector<std::uint32_t>& siblings);
  void contest(const Place& at, Choosing& choosing, const Value* base, std::vector<const Write*> distinct);

  Value object(const Place& at, const Writes& pushes);
  Value array(const Place& at, const Writes& pushes);
  struct Part;
  struct Element;
  static std::vector<Part> parts_of(const Place& at, const std::vector<const std::vector<Identity>*>& ids);
  std::string position(const Node* node, std::string_view base, Writes candidates);
  void note_order(const Place& at, std::string_view pos);
  void note_list_twice(const Place& at, const std::vector<const Write*>& lists);
  struct Doubts;
  void note_doubts(const Place& at, const Doubts& doubts);
  void note_doubles(const Place& at, const Doubts& doubts);
  void note_renames(const Place& at, const Doubts& doubts);
  void note_both(const Place& at, ConflictKind kind, const Value* base, std::vector<Sibling> siblings);
  Value list_of(std::vector<Element> elements, std::string_view key);

  [[nodiscard]] bool merges(const Scope& scope, Value::Kind kind) const;
  [[nodiscard]] Writes with_own(const Node* node, Writes inherited) const;
  Value count(const Place& at, Value value, const Choosing& choosing, const Writes& writes);
  static bool begin_counter(Choosing& choosing, const std::vector<const Write*>& order);
  void strand(const Place& at, const Value& visible, const Writes& writes, const Choosing& choosing);
  void note(const Place& at, Record record);
  [[nodiscard]] Sibling sibling(const Op& op, Maybe value) const;
  Maybe quietly(const Place& at, const Writes& writes, const std::vector<std::uint32_t>& siblings);

  const State& state_;
  const std::vector<NamedFunction>& functions_;
  std::vector<Record>* records_;
  Path path_;
};

}  // namespace oas::merge
