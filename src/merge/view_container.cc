// Objects and lists of the evaluator: who writes to which field or element, and where elements stand.
#include <algorithm>

#include "merge/identity.h"
#include "merge/order.h"
#include "merge/position.h"
#include "merge/view_doubts.h"

namespace oas::merge {
namespace {

// What an operation on a container writes to one of its parts: the part's value, or its end.
Write part_of(const Write& whole, const Value* part, std::string_view pos = {}) {
  return {whole.op, whole.stamp, part, pos, whole.creates};
}

}  // namespace

Value View::object(const Place& at, const Writes& pushes) {
  static const std::vector<Member> kNoMembers;
  const auto& base = at.base != nullptr && at.base->is_object() ? at.base->members() : kNoMembers;
  std::vector<std::string_view> keys;
  keys.reserve(base.size());
  for (const Member& member : base) keys.push_back(member.key);
  const std::size_t from_base = keys.size();
  for (const Write& push : pushes) {
    if (!push.value || !push.value->is_object()) continue;
    for (const Member& member : push.value->members()) keys.push_back(member.key);
  }
  if (at.node != nullptr) {
    for (const auto& [step, child] : at.node->children) {
      if (is_field(step)) keys.push_back(field_key(step));
    }
  }
  if (keys.size() != from_base) {
    order(keys);
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  }
  std::vector<Member> members;
  members.reserve(keys.size());
  auto member = base.begin();
  const bool entries =
      base.size() > 1 && std::all_of(base.begin(), base.end(), [](const Member& one) { return one.value.is_object(); });
  Doubts doubts;
  for (const std::string_view key : keys) {
    while (member != base.end() && member->key < key) ++member;
    const Value* own = member != base.end() && member->key == key ? &member->value : nullptr;
    const Node* node = nullptr;
    path_.push_back(field_step(key));
    if (at.node != nullptr) node = at.node->child(path_.back());
    Maybe value;
    if (node == nullptr && pushes.empty()) {
      value = *own;
    } else {
      Writes writes;
      for (const Write& push : pushes)
        writes.push_back(part_of(push, push.value != nullptr ? push.value->find(key) : nullptr));
      const Scope scope = at.scope.below(path_.back());
      value = place({node, own, scope, false, entries}, std::move(writes));
    }
    if (node != nullptr && own != nullptr && !value) doubts.end(key, *own, *node);
    if (node != nullptr && own == nullptr && value)
      doubts.add(std::string(key), path_.back(), *value, *node, OpKind::kCreate);
    path_.pop_back();
    if (value) members.push_back({std::string(key), std::move(*value)});
  }
  note_renames(at, doubts);
  return Value::object(std::move(members));
}

// One mention of an element: by the snapshot, by a pushed array, or by operations on it.
struct View::Part {
  static constexpr std::uint32_t kBase = 0;
  static constexpr std::uint32_t kNode = 0xFFFFFFFF;
  std::string_view id;
  std::uint32_t source = kBase;  // 1 + i: push i
  std::uint32_t index = 0;
};

struct View::Element {
  std::string_view id;
  std::string pos;
  Value value;
  bool touched = false;
};

std::vector<View::Part> View::parts_of(const Place& at, const std::vector<const std::vector<Identity>*>& ids) {
  std::vector<Part> parts;
  for (std::uint32_t source = 0; source < ids.size(); ++source) {
    for (std::uint32_t i = 0; ids[source] != nullptr && i < ids[source]->size(); ++i)
      parts.push_back({(*ids[source])[i].id, source, i});
  }
  if (at.node != nullptr) {
    for (std::uint32_t i = 0; i < at.node->children.size(); ++i) {
      if (!is_field(at.node->children[i].first)) parts.push_back({at.node->children[i].first, Part::kNode, i});
    }
  }
  order(parts, [](const Part& a, const Part& b) { return a.id != b.id ? a.id < b.id : a.source < b.source; });
  return parts;
}

std::string View::position(const Node* node, std::string_view base, Writes candidates) {
  if (node != nullptr) {
    for (const Op& op : node->ops) {
      if (op.places()) candidates.push_back({&op, state_.stamp_of(op.dot), nullptr, op.pos, false});
    }
  }
  // An edit can outlive, or arrive before, the insertion that said where its element stands.
  if (candidates.empty()) return base.empty() ? literal_position(0, 1) : std::string(base);
  const auto tops = uncovered(candidates, all_indices(candidates));
  const auto last = *std::max_element(
      tops.begin(), tops.end(), [&](std::uint32_t a, std::uint32_t b) { return before(candidates[a], candidates[b]); });
  return std::string(candidates[last].pos);
}

Value View::array(const Place& at, const Writes& pushes) {
  const std::string_view key = at.scope.list_key();
  const bool own_base = at.base != nullptr && at.base->is_array();
  // ids[0] is the snapshot's array, ids[1 + i] that of push i.
  std::vector<const std::vector<Identity>*> ids(1 + pushes.size());
  std::vector<std::vector<Identity>> spares(ids.size());
  if (own_base) ids[0] = &identities_of(*at.base, key, spares[0]);
  for (std::size_t i = 0; i < pushes.size(); ++i) {
    if (pushes[i].value != nullptr && pushes[i].value->is_array())
      ids[i + 1] = &identities_of(*pushes[i].value, key, spares[i + 1]);
  }
  const std::vector<Part> parts = parts_of(at, ids);
  std::vector<Element> elements;
  elements.reserve(parts.size());
  Doubts doubts;
  for (auto part = parts.begin(); part != parts.end();) {
    const auto end = std::find_if(part, parts.end(), [&](const Part& other) { return other.id != part->id; });
    const bool touched = !pushes.empty() || end - part > 1 || part->source != Part::kBase;
    const Value* base = part->source == Part::kBase && own_base ? &at.base->items()[part->index] : nullptr;
    const std::string_view base_pos = base != nullptr ? (*ids[0])[part->index].pos : std::string_view{};
    if (!touched) {
      doubts.stay(base_pos);
      elements.push_back({part->id, std::string(base_pos), *base, false});
      part = end;
      continue;
    }
    const Node* node = nullptr;
    Writes writes;
    Writes places;
    for (const Write& push : pushes) writes.push_back(part_of(push, nullptr));
    for (auto one = part; one != end; ++one) {
      if (one->source == Part::kNode) node = at.node->children[one->index].second.get();
      if (one->source == Part::kNode || one->source == Part::kBase) continue;
      const Write& push = pushes[one->source - 1];
      writes[one->source - 1] = part_of(push, &push.value->items()[one->index]);
      places.push_back(part_of(push, nullptr, (*ids[one->source])[one->index].pos));
    }
    path_.emplace_back(part->id);
    const Scope scope = at.scope.below(part->id);
    Maybe value = place({node, base, scope, at.scope.declared_keyed()}, std::move(writes));
    if (!value && base != nullptr && node != nullptr) doubts.end(base_pos, *base, *node);
    if (value) {
      const std::string pos = position(node, base_pos, std::move(places));
      if (base != nullptr) doubts.stay(pos);
      if (node != nullptr) doubts.touch(path_.back(), *value, *node);
      if (base == nullptr && node != nullptr) doubts.add(pos, path_.back(), *value, *node, OpKind::kInsert);
      elements.push_back({part->id, pos, std::move(*value), true});
      if (node != nullptr) note_order({node, {}, scope}, pos);
    }
    path_.pop_back();
    part = end;
  }
  note_doubts(at, doubts);
  return list_of(std::move(elements), key);
}

// R15: several sides moved one element to different places; it stands exactly once, where the last of them put it.
void View::note_order(const Place& at, std::string_view pos) {
  Writes moves;
  for (const Op& op : at.node->ops) {
    if (op.kind == OpKind::kMove) moves.push_back({&op, state_.stamp_of(op.dot), nullptr, op.pos, false});
  }
  if (moves.size() < 2) return;
  const auto tops = uncovered(moves, all_indices(moves));
  const auto elsewhere = [&](std::uint32_t i) { return moves[i].pos != moves[tops.front()].pos; };
  if (std::none_of(tops.begin(), tops.end(), elsewhere)) return;
  Record record;
  record.kind = ConflictKind::kOrder;
  record.winner = Value::string(std::string(pos));
  for (const std::uint32_t i : tops)
    record.siblings.push_back(sibling(*moves[i].op, Value::string(std::string(moves[i].pos))));
  note(at, std::move(record));
}

// Puts the elements in order and drops what a set would hold twice.
Value View::list_of(std::vector<Element> elements, std::string_view key) {
  // Elements come by id here. One that was edited into the scalar another element is made of says nothing new.
  const auto holds = [&](const Step& id, const Value& value) {
    const auto found = std::lower_bound(elements.begin(), elements.end(), id,
                                        [](const Element& element, const Step& wanted) { return element.id < wanted; });
    return found != elements.end() && found->id == id && found->value == value;
  };
  std::vector<bool> doubled(elements.size(), false);
  for (std::size_t i = 0; i < elements.size(); ++i) {
    const Element& element = elements[i];
    if (!element.touched || element.value.is_container() || element.id[0] != 'v') continue;
    const Step own = scalar_step(element.value);
    doubled[i] = own != element.id && holds(own, element.value);
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < elements.size(); ++i) {
    if (doubled[i]) continue;
    if (kept != i) elements[kept] = std::move(elements[i]);
    ++kept;
  }
  elements.resize(kept);
  const auto by_place = [&](std::uint32_t a, std::uint32_t b) {
    const Element& x = elements[a];
    const Element& y = elements[b];
    return x.pos != y.pos ? x.pos < y.pos : x.id < y.id;
  };
  std::vector<Value> items;
  std::vector<Identity> identities;
  items.reserve(kept);
  identities.reserve(kept);
  for (const std::uint32_t i : order_of(kept, by_place)) {
    items.push_back(std::move(elements[i].value));
    identities.push_back({Step(elements[i].id), std::move(elements[i].pos)});
  }
  // What the content alone says is not said again.
  std::vector<Identity> spare;
  Value list = Value::array(std::move(items));
  if (identities == identities_of(list, key, spare)) return list;
  return Value::array(list.items(), std::move(identities));
}

}  // namespace oas::merge
