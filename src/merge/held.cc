#include "merge/held.h"

#include <algorithm>

#include "base/cold.h"
#include "merge/value_at.h"
#include "merge/view.h"

OAS_COLD_BEGIN

namespace oas::merge {
namespace {

class Held {
 public:
  Held(const State& state, const Rules& rules, Shown& shown) : state_(state), rules_(rules), shown_(shown) {}

  void walk(const Node& node) {
    way_.push_back(&node);
    for (const Op& op : node.ops) {
      const Hold* hold = hold_of(op.dot);
      if (hold != nullptr && !answered(op)) note(*hold, op);
    }
    for (const auto& [step, child] : node.children) {
      path_.push_back(step);
      walk(*child);
      path_.pop_back();
    }
    way_.pop_back();
  }

 private:
  [[nodiscard]] const Hold* hold_of(const Dot& dot) const {
    const auto& holds = state_.holds();
    const auto at = std::lower_bound(holds.begin(), holds.end(), dot,
                                     [](const Hold& hold, const Dot& wanted) { return hold.dot < wanted; });
    return at != holds.end() && at->dot == dot ? &*at : nullptr;
  }

  [[nodiscard]] bool answered(const Op& held) const {
    const Stamp stamp = state_.stamp_of(held.dot);
    return std::any_of(way_.begin(), way_.end(), [&](const Node* node) {
      // From the end: of a long change at one place the last operation has seen all others.
      return std::any_of(node->ops.rbegin(), node->ops.rend(), [&](const Op& op) {
        // Counting on, or moving what somebody else changed, says nothing about it.
        const bool says = op.gives_value() || op.kind == OpKind::kDelete || op.kind == held.kind;
        return says && op.kind != OpKind::kAdd && op.dot != held.dot && sees({&op, {}, {}, {}, false}, held, stamp);
      });
    });
  }

  void note(const Hold& hold, const Op& op) {
    if (!whole_) {
      View view(state_, functions_, nullptr);
      whole_ = {true, view.root(rules_)};
    }
    Record record;
    record.path = path_;
    record.kind = ConflictKind::kHeld;
    record.cls = ConflictClass::kManual;
    record.rule = Rule::kHeld;
    record.policy = hold.why;
    record.base = value_at(shown_.value, path_, rules_);
    record.winner = record.base;
    Sibling side{{}, op.dot, op.cause->hlc, state_.stamp_of(op.dot), op.kind};
    // What was built on it since belongs to it, and an increment is shown as what it would come to.
    const bool alone = op.gives_value() && way_.back()->children.empty();
    if (alone) {
      side.value = op.value;
    } else if (op.kind != OpKind::kDelete) {
      side.value = value_at(whole_.value, path_, rules_);
    }
    record.siblings.push_back(std::move(side));
    seal(record);
    shown_.records.push_back(std::move(record));
  }

  struct Whole {
    bool made = false;
    MaybeValue value;
    explicit operator bool() const { return made; }
  };

  const State& state_;
  const Rules& rules_;
  Shown& shown_;
  const std::vector<NamedFunction> functions_;
  Whole whole_;  // everything, as if nothing were on hold
  Path path_;
  std::vector<const Node*> way_;  // from the root to the place at hand
};

}  // namespace

void note_held(const State& state, const Rules& rules, Shown& shown) { Held(state, rules, shown).walk(state.root()); }

}  // namespace oas::merge

OAS_COLD_END
