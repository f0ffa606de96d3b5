// A JSON value as documents hold it: immutable, shared, compared and hashed by its canonical form.
//
// Numbers are int64 when exactly integral and in range; every other number is its canonical decimal spelling (json.h), so
// equal numbers are equal text and nothing is ever rounded. Objects are sorted by the bytes of their keys. Strings are
// byte-exact UTF-8, never normalised. Copying a value copies a pointer; the counter behind it is not atomic, because the
// core has no threads.
//
// An array that came out of a document carries the identity of each element where it cannot be derived from the content
// (identity.h). Identities take no part in equality or hashing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oas::merge {

struct Member;

// Which element of a list this is, and where it stands.
struct Identity {
  std::string id;  // a path step (path.h)
  std::string pos;  // a fractional index (position.h)
  friend bool operator==(const Identity&, const Identity&) = default;
};

class Value {
 public:
  enum class Kind : std::uint8_t { kNull, kBool, kInteger, kDecimal, kString, kArray, kObject };

  Value() noexcept : kind_(Kind::kNull), bits_{.integer = 0} {}
  Value(const Value& other) noexcept;
  Value(Value&& other) noexcept : kind_(other.kind_), bits_(other.bits_) { other.kind_ = Kind::kNull; }
  Value& operator=(const Value& other) noexcept;
  Value& operator=(Value&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Value();
  void swap(Value& other) noexcept {
    std::swap(kind_, other.kind_);
    std::swap(bits_, other.bits_);
  }

  static Value boolean(bool value);
  static Value integer(std::int64_t value);
  static Value decimal(std::string canonical);  // what canonical_number made, and not an int64
  static Value string(std::string text);
  static Value array(std::vector<Value> items, std::vector<Identity> identities = {});
  static Value object(std::vector<Member> sorted_members);

  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] bool is_array() const { return kind_ == Kind::kArray; }
  [[nodiscard]] bool is_object() const { return kind_ == Kind::kObject; }
  [[nodiscard]] bool is_string() const { return kind_ == Kind::kString; }
  [[nodiscard]] bool is_integer() const { return kind_ == Kind::kInteger; }
  [[nodiscard]] bool is_container() const { return kind_ >= Kind::kArray; }

  // Each asserts its kind.
  [[nodiscard]] bool as_bool() const;
  [[nodiscard]] std::int64_t as_integer() const;
  [[nodiscard]] std::string_view text() const;  // of a string or decimal
  [[nodiscard]] const std::vector<Value>& items() const;
  [[nodiscard]] const std::vector<Identity>& identities() const;  // empty: derive them
  // Where identity.h keeps what it derived; no part of the value.
  [[nodiscard]] std::vector<Identity>& derived_identities() const;
  [[nodiscard]] const std::vector<Member>& members() const;

  // O(log n); null when this is no object or has no such key.
  [[nodiscard]] const Value* find(std::string_view key) const;
  // 64 bits over the canonical form, computed once for each container.
  [[nodiscard]] std::uint64_t hash() const;

  friend bool operator==(const Value& a, const Value& b);

 private:
  struct Rep;
  struct TextRep;
  struct ArrayRep;
  struct ObjectRep;
  union Bits {
    std::int64_t integer;
    Rep* rep;
  };

  friend class MaybeValue;
  Value(Kind kind, Bits bits) noexcept : kind_(kind), bits_(bits) {}
  [[nodiscard]] bool has_rep() const { return kind_ >= Kind::kDecimal; }
  void release() noexcept;

  Kind kind_;
  Bits bits_;
};

// A value or nothing. Costs no more than a value: nothing is a null with another payload, which no value has.
class MaybeValue {
 public:
  MaybeValue() noexcept { clear(); }
  MaybeValue(std::nullopt_t) noexcept { clear(); }
  MaybeValue(Value value) noexcept : value_(std::move(value)) {}
  MaybeValue(const Value* value) noexcept : MaybeValue() {
    if (value != nullptr) value_ = *value;
  }

  [[nodiscard]] bool has_value() const { return value_.kind_ != Value::Kind::kNull || value_.bits_.integer == 0; }
  explicit operator bool() const { return has_value(); }
  const Value& operator*() const { return value_; }
  const Value* operator->() const { return &value_; }
  // Null when there is nothing.
  [[nodiscard]] const Value* get() const { return has_value() ? &value_ : nullptr; }
  void reset() { *this = MaybeValue(); }

  friend bool operator==(const MaybeValue& a, const MaybeValue& b) { return a.value_ == b.value_; }

 private:
  void clear() { value_.bits_.integer = 1; }
  Value value_;
};

struct Member {
  std::string key;
  Value value;
  friend bool operator==(const Member&, const Member&) = default;
};

// A total order over values: kind first, then content. For tie-breaks that must not depend on who wrote.
[[nodiscard]] bool canonical_less(const Value& a, const Value& b);

// Leaves below (and including) a value: scalars and empty containers. For similarity.
[[nodiscard]] std::uint64_t leaf_count(const Value& value);

}  // namespace oas::merge
