#include "merge/view.h"

#include <algorithm>

#include "base/sim_points.h"
#include "merge/held.h"
#include "merge/limits.h"
#include "merge/order.h"
#include "merge/show.h"

namespace oas::merge {
namespace {

// An inherited value creates only what its writer had not seen alive; the operation itself cannot tell for every field.
void settle_creation(Writes& writes, std::size_t inherited, bool has_base) {
  const auto deletes = [](const Write& write) { return write.value == nullptr; };
  if (std::none_of(writes.begin(), writes.end(), deletes)) return;
  for (std::size_t i = 0; i < inherited; ++i) {
    const Write& own = writes[i];
    if (own.creates || !own.value) continue;
    const auto ended = [&](const Write* before_own) {
      return std::any_of(writes.begin(), writes.end(), [&](const Write& d) {
        return deletes(d) && sees(own, d) && (before_own == nullptr || sees(d, *before_own));
      });
    };
    const bool existed =
        (has_base && !ended(nullptr)) || std::any_of(writes.begin(), writes.end(), [&](const Write& w) {
          return w.value && &w != &own && sees(own, w) && !ended(&w);
        });
    writes[i].creates = !existed;
  }
}

// A sum of any number of increments in any order; only the result saturates. The total is high * 2^64 + low.
struct Sum {
  std::uint64_t low = 0;
  std::int64_t high = 0;

  void add(std::int64_t value) {
    const std::uint64_t before = low;
    low += static_cast<std::uint64_t>(value);
    high += (low < before ? 1 : 0) - (value < 0 ? 1 : 0);
  }
  [[nodiscard]] std::int64_t clamped() const {
    const auto value = static_cast<std::int64_t>(low);
    if (high == (value < 0 ? -1 : 0)) return value;
    return high < 0 ? INT64_MIN : INT64_MAX;
  }
};

bool edit_wins(const Policy& policy, bool declared_element, bool is_root) {
  if (OAS_MUTANT(kMergeDeleteBeatsEdit)) return false;
  if (policy.on_delete != OnDelete::kByRule) return policy.on_delete == OnDelete::kEditWins;
  return is_root || declared_element;
}

}  // namespace

void collect_unseen(const State& state, const Node& node, const std::vector<const Write*>& writers,
                    std::vector<const Op*>& out) {
  for (const Op& op : node.ops) {
    if (out.size() >= kSiblingsMax) return;
    if (op.kind == OpKind::kMove) continue;
    const Stamp stamp = state.stamp_of(op.dot);
    if (std::none_of(writers.begin(), writers.end(), [&](const Write* writer) { return sees(*writer, op, stamp); }))
      out.push_back(&op);
  }
  for (const auto& [step, child] : node.children) collect_unseen(state, *child, writers, out);
}

Maybe View::root(const Rules& rules) {
  const Scope scope(rules);
  return place({&state_.root(), state_.snapshot().get(), scope}, {});
}

Writes View::with_own(const Node* node, Writes writes) const {
  if (node == nullptr) return writes;
  for (const Op& op : node->ops) {
    if (op.gives_value()) {
      writes.push_back({&op, state_.stamp_of(op.dot), &op.value, {}, op.creates()});
    } else if (op.kind == OpKind::kDelete) {
      writes.push_back({&op, state_.stamp_of(op.dot), {}, {}, false});
    }
  }
  return writes;
}

Maybe View::place(const Place& at, Writes inherited) {
  if (at.node == nullptr && inherited.empty()) return at.base;
  const std::size_t from_above = inherited.size();
  Writes writes = with_own(at.node, std::move(inherited));
  if (from_above > 0) settle_creation(writes, from_above, at.base != nullptr);
  const Standing standing = standing_of(writes, at.base != nullptr);
  return standing.alive ? alive(at, writes, standing.siblings) : ended(at, writes, standing);
}

Maybe View::alive(const Place& at, const Writes& writes, const std::vector<std::uint32_t>& siblings) {
  Choosing choosing = choose(at, writes, siblings);
  if (!choosing.value) return std::nullopt;
  Value value = *choosing.value;
  const bool nothing_below = at.node == nullptr || at.node->children.empty();
  if (value.is_container() && merges(at.scope, value.kind())) {
    // One write that saw everything else here is the whole truth.
    const bool settled =
        nothing_below && siblings.size() == 1 && std::all_of(writes.begin(), writes.end(), [&](const Write& other) {
          return &other == choosing.winner || sees(*choosing.winner, other);
        });
    if (!settled && !(writes.empty() && nothing_below)) {
      Writes pushes = writes;
      std::erase_if(pushes, [&](const Write& write) {
        return std::find(choosing.losers.begin(), choosing.losers.end(), write.op) != choosing.losers.end();
      });
      value = value.is_object() ? object(at, pushes) : array(at, pushes);
    }
  }
  if (at.node != nullptr) {
    value = count(at, std::move(value), choosing, writes);
    if (!nothing_below && !writes.empty()) strand(at, value, writes, choosing);
  }
  return value;
}

View::Choosing View::choose(const Place& at, const Writes& writes, const std::vector<std::uint32_t>& siblings) {
  Choosing choosing{.value = at.base, .winner = nullptr, .summed = {}, .losers = {}, .recorded = false};
  if (siblings.empty()) return choosing;
  if (siblings.size() == 1) {
    choosing.winner = &writes[siblings.front()];
    choosing.value = choosing.winner->value;
    return choosing;
  }
  const Value* base = common_base(writes, siblings, at.base);
  std::vector<const Write*> list;
  for (const std::uint32_t i : siblings) list.push_back(&writes[i]);
  order(list, [](const Write* a, const Write* b) { return before(*a, *b); });
  if (at.scope.type() == Type::kCounter && begin_counter(choosing, list)) return choosing;
  // R01: equal values are one; what equals the base is no edit as long as somebody did edit. To an extreme (R27) it is a value
  // like any other.
  const Choice choice = at.scope.policy().choice;
  const bool extreme = choice == Choice::kMax || choice == Choice::kMin;
  std::vector<const Write*> distinct;
  for (const Write* write : list) {
    if (base != nullptr && !extreme && *write->value == *base) continue;
    std::erase_if(distinct, [&](const Write* other) { return *other->value == *write->value; });
    distinct.push_back(write);
  }
  if (distinct.empty()) distinct.push_back(list.back());
  const Value::Kind kind = (*distinct.back()->value).kind();
  const bool one_kind =
      std::all_of(distinct.begin(), distinct.end(), [&](const Write* write) { return write->value->kind() == kind; });
  const bool structural = one_kind && kind >= Value::Kind::kArray && merges(at.scope, kind);
  if (distinct.size() > 1 && structural && kind == Value::Kind::kArray && !base) note_list_twice(at, distinct);
  if (distinct.size() == 1 || structural) {
    choosing.winner = distinct.back();
    choosing.value = choosing.winner->value;
    return choosing;
  }
  contest(at, choosing, base, std::move(distinct));
  return choosing;
}

void View::contest(const Place& at, Choosing& choosing, const Value* base, std::vector<const Write*> distinct) {
  const Contest arena{.step = path_.empty() ? std::string_view{} : path_.back(),
                      .parent = path_.size() < 2 ? std::string_view{} : path_[path_.size() - 2],
                      .base = base,
                      .siblings = distinct};
  Decision decision = decide(arena, at.scope.policy(), functions_);
  choosing.value = decision.value;
  choosing.winner = decision.winner;
  choosing.recorded = true;
  const auto kind_of = [](const Write* write) {
    return write->value->is_container() ? write->value->kind() : Value::Kind::kNull;
  };
  const bool mixed = std::any_of(distinct.begin(), distinct.end(),
                                 [&](const Write* write) { return kind_of(write) != kind_of(distinct.front()); });
  for (const Write* write : distinct) {
    // Containers of the winner's kind merge into it; everything else is kept out of sight.
    if (!decision.value || !decision.value->is_container() || write->value->kind() != decision.value->kind())
      choosing.losers.push_back(write->op);
  }
  Record record;
  record.kind = mixed                                ? ConflictKind::kKind
                : decision.rule == Rule::kTokenMerge ? ConflictKind::kText
                : arena.base                         ? ConflictKind::kScalar
                                                     : ConflictKind::kAddAdd;
  record.cls = decision.cls;
  record.rule = decision.rule;
  record.margin_ms = decision.margin_ms;
  record.base = arena.base;
  record.winner = decision.value;
  for (const Write* write : distinct) record.siblings.push_back(sibling(*write->op, write->value));
  note(at, std::move(record));
}

Maybe View::ended(const Place& at, const Writes& writes, const Standing& standing) {
  std::vector<const Write*> killers;
  for (const std::uint32_t i : standing.killers) killers.push_back(&writes[i]);
  if (killers.empty()) return std::nullopt;
  const auto unseen = [&](const Write& write) {
    return std::none_of(killers.begin(), killers.end(), [&](const Write* killer) { return sees(*killer, write); });
  };
  Record record;
  for (const std::uint32_t i : standing.siblings) {
    if (!unseen(writes[i])) continue;
    if (!at.base || *writes[i].value != *at.base) record.siblings.push_back(sibling(*writes[i].op, writes[i].value));
  }
  std::vector<const Op*> below;
  if (at.node != nullptr) {
    for (const auto& [step, child] : at.node->children) collect_unseen(state_, *child, killers, below);
    for (const Op& op : at.node->ops) {
      const bool late_add = op.kind == OpKind::kAdd && unseen({&op, state_.stamp_of(op.dot), {}, {}, false});
      if (late_add) below.push_back(&op);
    }
  }
  if (record.siblings.empty() && below.empty()) return std::nullopt;

  const Policy& policy = at.scope.policy();
  const bool edit = edit_wins(policy, at.declared_element, path_.empty());
  // Without the deletions, what those had seen is there again, and the edits stand on top of it.
  Writes others = writes;
  std::erase_if(others, [](const Write& write) { return !write.value; });
  const std::vector<std::uint32_t> siblings = uncovered(others, all_indices(others));
  const Maybe restored = edit ? alive(at, others, siblings) : quietly(at, others, siblings);
  const bool replaced = std::none_of(killers.begin(), killers.end(),
                                     [](const Write* killer) { return killer->op->kind == OpKind::kDelete; });
  record.kind = replaced ? ConflictKind::kReplaceEdit : ConflictKind::kDeleteEdit;
  record.rule = edit ? Rule::kEditWins : Rule::kDeleteWins;
  record.base = at.base;
  Maybe visible = edit ? restored : Maybe();
  // People kept the deletion of a field 154 times of 158, but that of a list element no more often than the edit.
  const bool undecided = policy.choice == Choice::kMergeManual && policy.on_delete == OnDelete::kByRule && !edit &&
                         !path_.empty() && (at.entry || !is_field(path_.back()));
  if (policy.on_delete == OnDelete::kManual || policy.choice == Choice::kManual || undecided) {
    record.cls = ConflictClass::kManual;
    record.rule = Rule::kManual;
    visible = at.base;
  }
  record.winner = visible;
  for (const Write* killer : killers) record.siblings.push_back(sibling(*killer->op, {}));
  for (const Op* op : below) record.siblings.push_back(sibling(*op, restored));
  note(at, std::move(record));
  return visible;
}

Maybe View::quietly(const Place& at, const Writes& writes, const std::vector<std::uint32_t>& siblings) {
  std::vector<Record>* loud = std::exchange(records_, nullptr);
  Maybe value = alive(at, writes, siblings);
  records_ = loud;
  return value;
}

// R19 where there was no counter before: each side counted from nothing, so both counts are meant.
bool View::begin_counter(Choosing& choosing, const std::vector<const Write*>& order) {
  const auto begins = [](const Write* write) { return write->creates && write->value->is_integer(); };
  if (!std::all_of(order.begin(), order.end(), begins)) return false;
  Sum total;
  for (const Write* write : order) total.add(write->value->as_integer());
  choosing.winner = order.back();
  choosing.value = Value::integer(total.clamped());
  choosing.summed = order;
  return true;
}

Value View::count(const Place& at, Value value, const Choosing& choosing, const Writes& writes) {
  if (!value.is_integer()) return value;
  const Write* set = choosing.winner;
  Record record;
  Sum total;
  total.add(value.as_integer());
  for (const Op& op : at.node->ops) {
    if (op.kind != OpKind::kAdd) continue;
    const Stamp stamp = state_.stamp_of(op.dot);
    const auto knows = [&](const Write* one) { return sees(*one, op, stamp); };
    // Counting begins with a value, and ends with a deletion.
    const auto ends = [&](const Write& one) { return !one.value && knows(&one); };
    if (std::any_of(writes.begin(), writes.end(), ends)) continue;
    if (set != nullptr && (knows(set) || std::any_of(choosing.summed.begin(), choosing.summed.end(), knows))) continue;
    if (OAS_MUTANT(kMergeLastIncrementOnly) && &op != &at.node->ops.back()) continue;
    total.add(op.value.as_integer());
    const Write add{&op, {}, {}, {}, false};
    const bool late = set != nullptr && set->op->kind == OpKind::kAssign && !sees(add, *set);
    if (late) record.siblings.push_back(sibling(op, op.value));
  }
  Value sum = Value::integer(total.clamped());
  if (!record.siblings.empty()) {
    record.kind = ConflictKind::kReset;
    record.rule = Rule::kCountLate;
    record.base = at.base;
    record.winner = sum;
    record.siblings.push_back(sibling(*set->op, set->value));
    note(at, std::move(record));
  }
  return sum;
}

// Edits inside what is no longer there: somebody made this place another kind of thing.
void View::strand(const Place& at, const Value& visible, const Writes& writes, const Choosing& choosing) {
  if (choosing.recorded) return;
  std::vector<const Write*> writers;
  for (const Write& write : writes) {
    if (write.value) writers.push_back(&write);
  }
  if (writers.empty()) return;
  std::vector<const Op*> lost;
  for (const auto& [step, child] : at.node->children) {
    const bool reachable =
        merges(at.scope, visible.kind()) && (is_field(step) ? visible.is_object() : visible.is_array());
    if (!reachable) collect_unseen(state_, *child, writers, lost);
  }
  if (lost.empty()) return;
  Record record;
  record.kind = ConflictKind::kReplaceEdit;
  record.rule = Rule::kLww;
  record.base = at.base;
  record.winner = visible;
  if (choosing.winner != nullptr) record.siblings.push_back(sibling(*choosing.winner->op, choosing.winner->value));
  for (const Op* op : lost) record.siblings.push_back(sibling(*op, op->value));
  note(at, std::move(record));
}

bool View::merges(const Scope& scope, Value::Kind kind) const {
  if (kind == Value::Kind::kArray) return scope.lists_merge();
  return kind == Value::Kind::kObject && scope.type() != Type::kRegister;
}

Sibling View::sibling(const Op& op, Maybe value) const {
  return {std::move(value), op.dot, op.cause->hlc, state_.stamp_of(op.dot), op.kind};
}

void View::note(const Place& at, Record record) {
  if (records_ == nullptr) return;
  record.path = path_;
  record.policy = at.scope.policy().source;
  seal(record);
  records_->push_back(std::move(record));
}

Shown show(const State& state, const Rules& rules, const ShowOptions& options) {
  Shown shown;
  shown.version = state.version();
  const bool held = !state.holds().empty();
  const State without = held ? state.visible() : State();
  View view(held ? without : state, options.functions, options.with_records ? &shown.records : nullptr);
  shown.value = view.root(rules);
  if (held && options.with_records) note_held(state, rules, shown);
  return shown;
}

}  // namespace oas::merge
