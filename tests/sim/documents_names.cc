#include "sim/documents_names.h"

#include <array>
#include <charconv>
#include <map>

#include "merge/rules.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace oas::sim {
namespace {

constexpr std::string_view kSchemas = "$schema/";
constexpr std::size_t kDotBytes = 16;

Bytes record_key(char letter, std::initializer_list<std::string_view> names) {
  Bytes key{'d', static_cast<std::uint8_t>(letter)};
  for (const std::string_view name : names) {
    key.insert(key.end(), name.begin(), name.end());
    key.push_back(0);
  }
  return key;
}

void big_endian(Bytes& out, std::uint64_t word) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(word >> shift));
}

std::string hex(ByteView bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

Bytes unhex(std::string_view text) {
  Bytes bytes(text.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    (void)std::from_chars(text.data() + 2 * i, text.data() + 2 * i + 2, bytes[i], 16);
  return bytes;
}

}  // namespace

std::optional<DocumentName> schema_of(const DocumentName& name) {
  if (name.key.starts_with(kSchemas)) return std::nullopt;
  return DocumentName{name.space, std::string(kSchemas) + name.key.substr(0, name.key.find('/'))};
}

const merge::Rules& rules_from(const std::string& json) {
  static std::map<std::string, merge::Rules> known;
  const auto at = known.find(json);
  if (at != known.end()) return at->second;
  merge::Rules rules;
  if (const auto schema = merge::parse_json(json))
    if (auto parsed = merge::Rules::parse(*schema)) rules = *std::move(parsed);
  return known.emplace(json, std::move(rules)).first->second;
}

std::string write_edit_event(const EditEvent& edit) {
  return "{\"n\":" + std::to_string(edit.number) + ",\"space\":\"" + edit.name.space + "\",\"key\":\"" + edit.name.key +
         "\",\"by\":\"" + edit.writer + "\",\"delta\":\"" + hex(edit.delta) + "\"}";
}

std::optional<EditEvent> read_edit_event(std::string_view json) {
  if (!json.starts_with("{\"n\":")) return std::nullopt;
  const auto event = merge::parse_json(json);
  if (!event) return std::nullopt;
  const merge::Value* const number = event->find("n");
  const merge::Value* const space = event->find("space");
  const merge::Value* const key = event->find("key");
  const merge::Value* const delta = event->find("delta");
  const merge::Value* const writer = event->find("by");
  if (number == nullptr || space == nullptr || key == nullptr || delta == nullptr || writer == nullptr)
    return std::nullopt;
  return EditEvent{static_cast<std::uint32_t>(number->as_integer()),
                   {std::string(space->text()), std::string(key->text())},
                   std::string(writer->text()),
                   unhex(delta->text())};
}

Bytes encode_cursor(const SpaceCursor& cursor) {
  Bytes bytes;
  wire::Writer out(bytes);
  out.i64(cursor.incarnation.minted_at.value);
  for (const std::uint64_t word : {cursor.incarnation.random, cursor.n, cursor.sum}) out.u64(word);
  return bytes;
}

SpaceCursor decode_cursor(ByteView bytes) {
  wire::Reader in(bytes);
  SpaceCursor cursor;
  cursor.incarnation.minted_at.value = *in.i64();
  for (std::uint64_t* word : {&cursor.incarnation.random, &cursor.n, &cursor.sum}) *word = *in.u64();
  return cursor;
}

Bytes encode_numbers(const EditNumbers& numbers) {
  Bytes bytes;
  wire::Writer out(bytes);
  for (const std::uint32_t number : numbers) out.u32(number);
  return bytes;
}

EditNumbers decode_numbers(ByteView bytes) {
  EditNumbers numbers;
  for (wire::Reader in(bytes); in.left() > 0;) numbers.insert(numbers.end(), *in.u32());
  return numbers;
}

Bytes space_prefix(char letter, const std::string& space) { return record_key(letter, {space}); }
Bytes state_key(const DocumentName& name) { return record_key('a', {name.space, name.key}); }
Bytes holds_key(const DocumentName& name) { return record_key('h', {name.space, name.key}); }
Bytes resent_key() { return {'d', 'r'}; }

Bytes cursor_key(const std::string& space) { return record_key('c', {space}); }

Bytes edit_key(const DocumentName& name, const merge::Dot& first) {
  Bytes key = record_key('p', {name.space, name.key});
  big_endian(key, first.epoch.value);
  big_endian(key, first.n);
  return key;
}

merge::Dot edit_of_key(ByteView key) {
  std::array<std::uint64_t, 2> words{};
  for (std::size_t i = 0; i < kDotBytes; ++i) words[i / 8] = words[i / 8] << 8 | key[key.size() - kDotBytes + i];
  return {{words[0]}, words[1]};
}

DocumentName name_of_record(ByteView key) {
  const std::string_view names = as_text(key).substr(2);
  const std::size_t first = names.find('\0');
  return {std::string(names.substr(0, first)),
          std::string(names.substr(first + 1, names.find('\0', first + 1) - first - 1))};
}

engine::KeyRange below(Bytes prefix) {
  Bytes end = prefix;
  ++end.back();
  return {std::move(prefix), std::move(end)};
}
engine::KeyRange edit_range(const DocumentName& name) { return below(record_key('p', {name.space, name.key})); }
engine::KeyRange one_record(const Bytes& key) {
  Bytes behind = key;
  behind.push_back(0);
  return {key, std::move(behind)};
}
engine::KeyRange waiting_range(const std::string& space) {
  return below(space.empty() ? Bytes{'d', 'p'} : record_key('p', {space}));
}

}  // namespace oas::sim
