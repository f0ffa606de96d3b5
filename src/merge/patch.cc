// patch(): single edits by JSON Pointer. They change a copy of what the writer saw, and the diff says what that means.
#include <algorithm>
#include <charconv>

#include "merge/changes.h"
#include "merge/document.h"
#include "merge/identity.h"

namespace oas::merge {
namespace {

// One part of a pointer, with ~1 and ~0 undone; nothing when there is no such part.
std::optional<std::string> take_part(std::string_view& pointer) {
  if (pointer.empty() || pointer[0] != '/') return std::nullopt;
  pointer.remove_prefix(1);
  const std::size_t end = std::min(pointer.find('/'), pointer.size());
  std::string part;
  for (std::size_t i = 0; i < end; ++i) {
    if (pointer[i] != '~') {
      part.push_back(pointer[i]);
      continue;
    }
    if (++i == end || (pointer[i] != '0' && pointer[i] != '1')) return std::nullopt;
    part.push_back(pointer[i] == '0' ? '~' : '/');
  }
  pointer.remove_prefix(end);
  return part;
}

std::optional<std::size_t> index_of(std::string_view part, std::size_t size) {
  if (part == "-") return size;
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
  const bool whole = error == std::errc{} && end == part.data() + part.size() && (part.size() == 1 || part[0] != '0');
  if (!whole || index > size) return std::nullopt;
  return index;
}

enum class Edit : std::uint8_t { kSet, kDelete, kInsert };

// `at` with the edit done below it; nothing when the pointer leads nowhere.
MaybeValue edited(const Value& at, std::string_view pointer, Edit edit, const Value& value);

MaybeValue edited_object(const Value& at, const std::string& key, std::string_view rest, Edit edit,
                         const Value& value) {
  std::vector<Member> members = at.members();
  const auto member = std::lower_bound(members.begin(), members.end(), key,
                                       [](const Member& one, const std::string& wanted) { return one.key < wanted; });
  const bool here = member != members.end() && member->key == key;
  if (!rest.empty()) {
    if (!here) return std::nullopt;
    auto below = edited(member->value, rest, edit, value);
    if (!below) return std::nullopt;
    member->value = std::move(*below);
  } else if (edit == Edit::kDelete) {
    if (here) members.erase(member);
  } else if (here) {
    member->value = value;
  } else {
    members.insert(member, {key, value});
  }
  return Value::object(std::move(members));
}

MaybeValue edited_array(const Value& at, std::string_view part, std::string_view rest, Edit edit, const Value& value) {
  std::vector<Value> items = at.items();
  const auto index = index_of(part, items.size());
  if (!index) return std::nullopt;
  const auto item = items.begin() + static_cast<std::ptrdiff_t>(*index);
  const bool adds = rest.empty() && edit == Edit::kInsert;
  if (!adds && item == items.end()) return std::nullopt;
  if (!rest.empty()) {
    auto below = edited(*item, rest, edit, value);
    if (!below) return std::nullopt;
    *item = std::move(*below);
  } else if (adds) {
    items.insert(item, value);
  } else if (edit == Edit::kDelete) {
    items.erase(item);
  } else {
    *item = value;
  }
  return Value::array(std::move(items));
}

MaybeValue edited(const Value& at, std::string_view pointer, Edit edit, const Value& value) {
  if (pointer.empty()) return edit == Edit::kSet ? MaybeValue(value) : MaybeValue();
  const auto part = take_part(pointer);
  if (!part) return std::nullopt;
  if (at.is_object()) return edited_object(at, *part, pointer, edit, value);
  if (at.is_array()) return edited_array(at, *part, pointer, edit, value);
  return std::nullopt;
}

// Where a counter stands: its path by identities, as operations name it.
struct Spot {
  Path path;
  const Value* value = nullptr;
  Type type = Type::kAuto;
};

std::optional<Spot> spot_of(const Value& root, std::string_view pointer, const Rules& rules) {
  Spot spot{.path = {}, .value = &root};
  Scope scope(rules);
  while (!pointer.empty()) {
    const auto part = take_part(pointer);
    if (!part || spot.value == nullptr) return std::nullopt;
    if (spot.value->is_object()) {
      spot.path.push_back(field_step(*part));
      spot.value = spot.value->find(*part);
    } else {
      if (!spot.value->is_array()) return std::nullopt;
      const auto index = index_of(*part, spot.value->items().size());
      if (!index || *index == spot.value->items().size()) return std::nullopt;
      std::vector<Identity> spare;
      spot.path.push_back(identities_of(*spot.value, scope.list_key(), spare)[*index].id);
      spot.value = &spot.value->items()[*index];
    }
    scope = scope.below(spot.path.back());
  }
  spot.type = scope.type();
  return spot;
}

std::string_view text_of(const Value& edit, std::string_view key) {
  const Value* value = edit.find(key);
  return value != nullptr && value->is_string() ? value->text() : std::string_view{};
}

class Patch {
 public:
  Patch(const Basis& base, const Rules& rules, const Author& author)
      : base_(base), rules_(rules), author_(author), next_(base.value) {}

  bool take(const Value& edit) {
    const std::string_view op = text_of(edit, "op");
    const Value* path = edit.find("path");
    const Value* value = edit.find(op == "inc" ? "by" : "value");
    if (path == nullptr || !path->is_string() || (value == nullptr && op != "delete")) return false;
    if (op == "inc") return count(path->text(), *value);
    if (op == "set") return set(path->text(), *value);
    if (op == "insert") return change(path->text(), Edit::kInsert, *value);
    return op == "delete" && change(path->text(), Edit::kDelete, Value());
  }

  Delta finish() {
    Delta delta = put(base_, next_, rules_, author_);
    Author author = author_;
    author.first_n += delta.ops.size();
    Changes typed(base_.version, author);
    for (auto& [path, value, is_set] : typed_) {
      if (is_set)
        typed.assign(path, value);
      else
        typed.count(path, value.as_integer());
    }
    Delta more = typed.take();
    std::move(more.ops.begin(), more.ops.end(), std::back_inserter(delta.ops));
    // One change has one cause, so that its operations see each other in order.
    for (PlacedOp& placed : delta.ops) placed.op.cause = delta.ops.front().op.cause;
    return delta;
  }

 private:
  bool count(std::string_view pointer, const Value& by) {
    const auto spot = base_.value ? spot_of(*base_.value, pointer, rules_) : std::nullopt;
    if (!spot || spot->value == nullptr || !spot->value->is_integer() || !by.is_integer()) return false;
    typed_.push_back({spot->path, by, false});
    return true;
  }
  bool set(std::string_view pointer, const Value& value) {
    const auto spot = base_.value ? spot_of(*base_.value, pointer, rules_) : std::nullopt;
    const bool counter = spot && spot->value != nullptr && spot->type == Type::kCounter && value.is_integer();
    if (!counter) return change(pointer, Edit::kSet, value);
    typed_.push_back({spot->path, value, true});
    return true;
  }
  bool change(std::string_view pointer, Edit edit, const Value& value) {
    if (pointer.empty()) {
      if (edit == Edit::kInsert) return false;
      next_ = edit == Edit::kSet ? MaybeValue(value) : MaybeValue();
      return true;
    }
    auto next = next_ ? edited(*next_, pointer, edit, value) : std::nullopt;
    if (!next) return false;
    next_ = std::move(next);
    return true;
  }

  struct Typed {
    Path path;
    Value value;
    bool is_set;
  };
  const Basis& base_;
  const Rules& rules_;
  const Author& author_;
  MaybeValue next_;
  std::vector<Typed> typed_;
};

}  // namespace

Result<Delta> patch(const Basis& base, const Value& edits, const Rules& rules, const Author& author) {
  if (!edits.is_array()) return fail(ErrorCode::kUnsupportedValue);
  Patch patch(base, rules, author);
  for (std::size_t i = 0; i < edits.items().size(); ++i) {
    if (!patch.take(edits.items()[i])) return fail(ErrorCode::kUnsupportedValue, i);
  }
  return patch.finish();
}

}  // namespace oas::merge
