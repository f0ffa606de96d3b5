#include "merge/view_doubts.h"

#include <algorithm>

#include "merge/align.h"
#include "merge/identity.h"
#include "merge/limits.h"
#include "merge/order.h"

namespace oas::merge {
namespace {

bool concurrent(const State& state, const Op& a, const Op& b) {
  const Write left{&a, state.stamp_of(a.dot), {}, {}, false};
  const Write right{&b, state.stamp_of(b.dot), {}, {}, false};
  return a.dot.epoch != b.dot.epoch && !sees(left, right) && !sees(right, left);
}

// Two deletions of one element that did not know of each other.
bool both_deleted(const State& state, const Node& node) {
  for (const Op& a : node.ops) {
    for (const Op& b : node.ops) {
      if (a.kind == OpKind::kDelete && b.kind == OpKind::kDelete && a.dot < b.dot && concurrent(state, a, b))
        return true;
    }
  }
  return false;
}

// Somebody who saw both has since touched one of them, and so settled the question.
bool settled(const State& state, const Node& node, const Op& a, const Op& b) {
  return std::any_of(node.ops.begin(), node.ops.end(), [&](const Op& op) {
    const Write later{&op, state.stamp_of(op.dot), {}, {}, false};
    return sees(later, a, state.stamp_of(a.dot)) && sees(later, b, state.stamp_of(b.dot));
  });
}

}  // namespace

void View::note_both(const Place& at, ConflictKind kind, const Value* base, std::vector<Sibling> siblings) {
  Record record;
  record.kind = kind;
  record.rule = Rule::kBothKept;
  record.cls = at.scope.policy().choice == Choice::kMergeManual ? ConflictClass::kManual : ConflictClass::kLossless;
  record.base = base;
  record.siblings = std::move(siblings);
  note(at, std::move(record));
}

// R07 for lists: without a base, all that both sides named is here, and nobody knows whether both or one was meant.
void View::note_list_twice(const Place& at, const std::vector<const Write*>& lists) {
  const bool declared =
      at.scope.type() != Type::kAuto || shape_of(lists.back()->value->items()).kind == ListKind::kKeyed;
  if (declared) return;
  std::vector<Sibling> siblings;
  for (const Write* write : lists) siblings.push_back(sibling(*write->op, write->value));
  note_both(at, ConflictKind::kAddAdd, nullptr, std::move(siblings));
}

void View::note_doubts(const Place& at, const Doubts& doubts) {
  if (records_ == nullptr || at.scope.type() != Type::kAuto || doubts.touched.size() < 2) return;
  note_doubles(at, doubts);
  if (doubts.added.size() < 2) return;
  std::vector<std::string_view> bounds(doubts.bounds.begin(), doubts.bounds.end());
  order(bounds);
  const auto gap_of = [&bounds](std::string_view pos) {
    return std::upper_bound(bounds.begin(), bounds.end(), pos) - bounds.begin();
  };
  std::vector<const Doubts::Added*> added;
  for (const Doubts::Added& one : doubts.added) added.push_back(&one);
  order(added, [](const auto* a, const auto* b) { return a->insert->dot < b->insert->dot; });
  std::uint32_t noted = 0;
  for (std::size_t i = 0; i < added.size() && noted < kSiblingsMax; ++i) {
    const Doubts::Added& a = *added[i];
    for (std::size_t j = i + 1; j < added.size() && j - i <= kSiblingsMax; ++j) {
      const Doubts::Added& b = *added[j];
      if (gap_of(a.pos) != gap_of(b.pos) || !concurrent(state_, *a.insert, *b.insert)) continue;
      const auto replaced = std::find_if(doubts.ended.begin(), doubts.ended.end(), [&](const Doubts::Ended& one) {
        return gap_of(one.pos) == gap_of(a.pos) && (bounds.empty() || both_deleted(state_, *one.node));
      });
      const bool twice = similar(a.value, b.value);
      if (replaced == doubts.ended.end() && !twice) continue;
      if (settled(state_, *a.node, *a.insert, *b.insert) || settled(state_, *b.node, *a.insert, *b.insert)) continue;
      path_.push_back(a.step);
      note_both(at, twice ? ConflictKind::kSimilar : ConflictKind::kReplaceReplace,
                replaced == doubts.ended.end() ? nullptr : replaced->base,
                {sibling(*a.insert, a.value), sibling(*b.insert, b.value)});
      path_.pop_back();
      ++noted;
    }
  }
}

// Whether every element of the base has its own scalar under `key`.
bool tells_apart(const std::vector<Value>& base, std::string_view key) {
  std::vector<std::uint64_t> hashes;
  for (const Value& item : base) {
    const Value* value = key_value(item, key);
    if (value == nullptr) return false;
    hashes.push_back(value->hash());
  }
  order(hashes);
  return std::adjacent_find(hashes.begin(), hashes.end()) == hashes.end();
}

void View::note_doubles(const Place& at, const Doubts& doubts) {
  if (at.base == nullptr || !at.base->is_array() || at.base->items().size() < 2 || doubts.touched.size() < 2) return;
  const auto& items = at.base->items();
  if (!items.front().is_object()) return;
  std::uint32_t noted = 0;
  for (const Member& member : items.front().members()) {
    if (member.value.is_container()) continue;
    // Asked late and once: most fields have no equal values among the few elements that were touched.
    std::optional<bool> apart;
    for (std::size_t i = 0; i < doubts.touched.size(); ++i) {
      const Value* a = key_value(doubts.touched[i].value, member.key);
      for (std::size_t j = i - std::min<std::size_t>(i, kSiblingsMax); a != nullptr && j < i && noted < kSiblingsMax;
           ++j) {
        const Value* b = key_value(doubts.touched[j].value, member.key);
        if (b == nullptr || *a != *b) continue;
        if (!apart) apart = tells_apart(items, member.key);
        if (!*apart) break;
        std::vector<const Op*> left;
        std::vector<const Op*> right;
        collect_unseen(state_, *doubts.touched[i].node, {}, left);
        collect_unseen(state_, *doubts.touched[j].node, {}, right);
        if (left.empty() || right.empty() || !concurrent(state_, *left.front(), *right.front())) continue;
        if (settled(state_, *doubts.touched[i].node, *left.front(), *right.front()) ||
            settled(state_, *doubts.touched[j].node, *left.front(), *right.front()))
          continue;
        path_.push_back(doubts.touched[j].step);
        note_both(at, ConflictKind::kSimilar, nullptr,
                  {sibling(*left.front(), doubts.touched[i].value), sibling(*right.front(), doubts.touched[j].value)});
        path_.pop_back();
        ++noted;
      }
    }
  }
}

namespace {

bool settled_rename(const State& state, const Node& node, const std::vector<Sibling>& siblings) {
  return std::any_of(node.ops.begin(), node.ops.end(), [&](const Op& op) {
    return std::all_of(siblings.begin(), siblings.end(), [&](const Sibling& one) {
      return op.cause->context.contains(one.dot, state.stamp_of(one.dot).change);
    });
  });
}

}  // namespace

void View::note_renames(const Place& at, const Doubts& doubts) {
  if (records_ == nullptr || doubts.added.empty()) return;
  std::uint32_t noted = 0;
  for (const Doubts::Ended& ended : doubts.ended) {
    // Under which new names those who removed the field put its content, and who touched it without knowing.
    std::vector<Sibling> siblings;
    bool twice = false;
    bool edited = false;
    const Op* first = nullptr;
    for (const Op& removal : ended.node->ops) {
      if (removal.kind != OpKind::kDelete) continue;
      for (const Doubts::Added& added : doubts.added) {
        const bool same_hand =
            added.insert->dot.epoch == removal.dot.epoch && added.insert->cause->hlc == removal.cause->hlc;
        if (!same_hand || !(added.value == *ended.base || similar(added.value, *ended.base))) continue;
        siblings.push_back(sibling(*added.insert, added.value));
        twice =
            twice || (first != nullptr && first->dot.epoch != removal.dot.epoch && concurrent(state_, *first, removal));
        first = &removal;
      }
    }
    if (first == nullptr) continue;
    const Write removal{first, state_.stamp_of(first->dot), {}, {}, false};
    std::vector<const Op*> unseen;
    collect_unseen(state_, *ended.node, {&removal}, unseen);
    for (const Op* op : unseen) {
      if (op->kind == OpKind::kDelete) continue;
      edited = true;
      siblings.push_back(sibling(*op, op->value));
    }
    if ((!twice && !edited) || settled_rename(state_, *ended.node, siblings) || ++noted > kSiblingsMax) continue;
    path_.push_back(field_step(ended.pos));
    note_both(at, ConflictKind::kRename, ended.base, std::move(siblings));
    path_.pop_back();
  }
}

}  // namespace oas::merge
