// Documents in the simulator: their names, the events that carry edits, and the keys of records on a device.
//
// The same words as js-glue/documents/names.ts, but for two things a simulation needs: an event says the number of the edit
// in the judge's books, and its delta is hexadecimal instead of base64.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "engine/io.h"
#include "merge/document.h"

namespace oas::sim {

struct DocumentName {
  std::string space;
  std::string key;  // collection/id
  friend auto operator<=>(const DocumentName&, const DocumentName&) = default;
};
[[nodiscard]] inline std::string entity_of(const DocumentName& name) { return name.space + "/" + name.key; }
// The document that holds the rules of this one's collection; nothing for such a document itself.
[[nodiscard]] std::optional<DocumentName> schema_of(const DocumentName& name);
// By the JSON text of a schema; what says nothing usable gives the defaults, on every replica alike.
[[nodiscard]] const merge::Rules& rules_from(const std::string& json);

struct EditEvent {
  std::uint32_t number{};
  DocumentName name;
  std::string writer;  // whose edits of one document come in order
  Bytes delta;
};
[[nodiscard]] std::string write_edit_event(const EditEvent& edit);
// Nothing for an event that carries no edit.
[[nodiscard]] std::optional<EditEvent> read_edit_event(std::string_view json);

// Edits by their numbers in the judge's books.
using EditNumbers = std::set<std::uint32_t>;

// Where a replica stands in a space's change order.
struct SpaceCursor {
  Incarnation incarnation;
  std::uint64_t n{};
  std::uint64_t sum{};  // over all changes up to it
  friend bool operator==(const SpaceCursor&, const SpaceCursor&) = default;
};
[[nodiscard]] Bytes encode_cursor(const SpaceCursor& cursor);
[[nodiscard]] SpaceCursor decode_cursor(ByteView bytes);

[[nodiscard]] Bytes state_key(const DocumentName& name);
// What the accepted state holds, for the judge alone; written with it.
[[nodiscard]] Bytes holds_key(const DocumentName& name);
[[nodiscard]] Bytes encode_numbers(const EditNumbers& numbers);
[[nodiscard]] EditNumbers decode_numbers(ByteView bytes);
[[nodiscard]] Bytes cursor_key(const std::string& space);
// The server that was sent again what one before it had taken.
[[nodiscard]] Bytes resent_key();
[[nodiscard]] Bytes edit_key(const DocumentName& name, const merge::Dot& first);
[[nodiscard]] merge::Dot edit_of_key(ByteView key);
[[nodiscard]] DocumentName name_of_record(ByteView key);
[[nodiscard]] engine::KeyRange edit_range(const DocumentName& name);
// Of all states ('a') or what they hold ('h') of a space.
[[nodiscard]] Bytes space_prefix(char letter, const std::string& space);
// Whatever begins with these bytes.
[[nodiscard]] engine::KeyRange below(Bytes prefix);
[[nodiscard]] engine::KeyRange one_record(const Bytes& key);
// Edits that wait for the server: of one space, or of all.
[[nodiscard]] engine::KeyRange waiting_range(const std::string& space = "");

}  // namespace oas::sim
