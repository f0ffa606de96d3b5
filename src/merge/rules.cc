#include "merge/rules.h"

#include <algorithm>
#include <optional>

#include "base/hash.h"
#include "merge/codec.h"
#include "merge/path.h"

namespace oas::merge {

struct Rules::Entry {
  std::vector<std::shared_ptr<Entry>> children;  // the part "*" matches every step
  std::string part;
  std::optional<Policy> policy;  // complete: what is inherited was filled in when the tree was built
  Type type = Type::kAuto;
  std::string list_key;
  std::string pattern;
  std::string words;

  // A schema has a handful of patterns at one place.
  [[nodiscard]] Entry* child(std::string_view wanted) const {
    for (const auto& one : children) {
      if (one->part == wanted) return one.get();
    }
    return nullptr;
  }
};

namespace {

const Policy kDefaultPolicy;

template <class Each>
bool for_words(std::string_view words, Each each) {
  while (!words.empty()) {
    const std::size_t space = words.find(' ');
    const std::string_view word = words.substr(0, space);
    if (!word.empty() && !each(word)) return false;
    words = space == std::string_view::npos ? std::string_view{} : words.substr(space + 1);
  }
  return true;
}

bool read_comparator(std::string_view word, Policy& policy) {
  const std::size_t colon = word.find(':');
  const std::string_view name = colon == std::string_view::npos ? "number" : word.substr(colon + 1);
  if (name == "number") {
    policy.comparator = Comparator::kNumber;
  } else if (name == "date") {
    policy.comparator = Comparator::kDate;
  } else if (name == "semver") {
    policy.comparator = Comparator::kSemver;
  } else {
    return false;
  }
  return true;
}

bool read_policy(std::string_view word, Policy& policy) {
  static constexpr std::pair<std::string_view, Choice> kChoices[] = {
      {"merge", Choice::kMerge}, {"merge:manual", Choice::kMergeManual}, {"manual", Choice::kManual},
      {"lww", Choice::kLww},     {"server-wins", Choice::kServerWins},   {"local-wins", Choice::kLocalWins},
  };
  for (const auto& [name, choice] : kChoices) {
    if (word == name) {
      policy.choice = choice;
      return true;
    }
  }
  if (word == "delete-wins")
    policy.on_delete = OnDelete::kDeleteWins;
  else if (word == "edit-wins")
    policy.on_delete = OnDelete::kEditWins;
  else if (word == "delete-manual")
    policy.on_delete = OnDelete::kManual;
  else if (word == "strict")
    policy.strict = true;
  else if (word == "max" || word.starts_with("max:"))
    policy.choice = Choice::kMax;
  else if (word == "min" || word.starts_with("min:"))
    policy.choice = Choice::kMin;
  else if (word.starts_with("fn:") && word.size() > 3)
    policy.choice = Choice::kFunction;
  else
    return false;
  if (policy.choice == Choice::kFunction) policy.function = word.substr(3);
  if (word.starts_with("max") || word.starts_with("min")) return read_comparator(word, policy);
  return true;
}

bool read_type(std::string_view word, Type& type, std::string& list_key) {
  constexpr std::string_view kKeyed = "list:key=";
  if (word == "register")
    type = Type::kRegister;
  else if (word == "counter")
    type = Type::kCounter;
  else if (word == "set")
    type = Type::kSet;
  else if (word == "list")
    type = Type::kList;
  else if (word == "text")
    type = Type::kText;
  else if (word.starts_with(kKeyed) && word.size() > kKeyed.size()) {
    type = Type::kList;
    list_key = word.substr(kKeyed.size());
  } else {
    return false;
  }
  return true;
}

// "" and "/" are the whole document.
std::vector<std::string> parts_of(std::string_view pattern) {
  std::vector<std::string> parts;
  if (pattern == "/") return parts;
  while (!pattern.empty()) {
    pattern.remove_prefix(1);
    const std::size_t slash = pattern.find('/');
    parts.emplace_back(pattern.substr(0, slash));
    pattern = slash == std::string_view::npos ? std::string_view{} : pattern.substr(slash);
  }
  return parts;
}

}  // namespace

Result<void> Rules::apply(std::string_view words, Entry& entry) {
  // Words are checked here and read again when policies are completed, where the inherited one is known.
  const bool known = for_words(words, [&](std::string_view word) {
    Policy scratch;
    return read_type(word, entry.type, entry.list_key) || read_policy(word, scratch);
  });
  if (!known) return fail(ErrorCode::kUnsupportedValue);
  entry.words = words;
  return {};
}

Result<Rules> Rules::parse(const Value& schema) {
  Rules rules;
  if (schema.kind() == Value::Kind::kNull) return rules;
  if (!schema.is_object()) return fail(ErrorCode::kUnsupportedValue);
  rules.root_ = std::make_shared<Entry>();
  rules.hash_ = hash64(encode_value(schema)) | 1;
  for (std::size_t i = 0; i < schema.members().size(); ++i) {
    const Member& member = schema.members()[i];
    const bool well_formed = member.key.empty() || member.key[0] == '/';
    if (!well_formed || !member.value.is_string()) return fail(ErrorCode::kUnsupportedValue, i);
    Entry* entry = rules.root_.get();
    for (const std::string& part : parts_of(member.key)) {
      Entry* child = entry->child(part);
      if (child == nullptr) {
        child = entry->children.emplace_back(std::make_shared<Entry>()).get();
        child->part = part;
      }
      entry = child;
    }
    entry->pattern = member.key;
    if (!apply(member.value.text(), *entry)) return fail(ErrorCode::kUnsupportedValue, i);
  }
  // A policy is completed from the pattern above it, so that a scope only has to find the nearest one.
  const auto complete = [](auto&& self, Entry& entry, const Policy& inherited) -> void {
    Policy policy = inherited;
    bool own = false;
    for_words(entry.words, [&](std::string_view word) {
      own = read_policy(word, policy) || own;
      return true;
    });
    if (own) {
      policy.source = entry.pattern.empty() ? "/" : entry.pattern;
      entry.policy = policy;
    }
    for (const auto& child : entry.children) self(self, *child, policy);
  };
  complete(complete, *rules.root_, kDefaultPolicy);
  return rules;
}

Scope::Scope(const Rules& rules) : policy_(&kDefaultPolicy) {
  if (!rules.root_) return;
  entries_.push_back(rules.root_.get());
  settle();
}

Scope Scope::below(std::string_view step) const {
  Scope scope;
  scope.policy_ = policy_;
  if (entries_.empty()) return scope;
  const std::string part = pointer_part(step);
  // A literal part beats `*` at the first place where two patterns differ, so the order of the parents comes first.
  for (const Rules::Entry* entry : entries_) {
    if (const Rules::Entry* child = entry->child(part)) scope.entries_.push_back(child);
    if (part == "*") continue;
    if (const Rules::Entry* child = entry->child("*")) scope.entries_.push_back(child);
  }
  scope.settle();
  return scope;
}

void Scope::settle() {
  const auto typed = std::find_if(entries_.begin(), entries_.end(),
                                  [](const Rules::Entry* entry) { return entry->type != Type::kAuto; });
  if (typed != entries_.end()) {
    type_ = (*typed)->type;
    list_key_ = (*typed)->list_key;
  }
  const auto ruled = std::find_if(entries_.begin(), entries_.end(),
                                  [](const Rules::Entry* entry) { return entry->policy.has_value(); });
  if (ruled != entries_.end()) policy_ = &*(*ruled)->policy;
}

}  // namespace oas::merge
