// What the outside world was promised and what has come of it: the judge. It knows nothing of segments or streams.
//
//   I1 acknowledged work survives every fault its durability covers      I2 no effect twice
//   I4 events of an entity apply in the order in which they were made    I10 created = applied + rejected + void
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace oas::sim {

// The text of an event names it: "123" is event 123, "[123]" its corrected form, "\"click\"" an anonymous one.
struct Label {
  std::uint32_t number{};  // 0 = anonymous
  bool fixed{};
};
[[nodiscard]] Label read_label(std::string_view json);
// Handlers reject these until they are corrected.
[[nodiscard]] inline bool is_poison(std::uint32_t number) { return number % 23 == 7; }

struct Fate {
  bool accepted{};
  bool refused{};
  bool corrected{};  // somebody has tried to correct it
  std::uint32_t corrected_at{};  // the newest event when that was last tried
  bool retried{};  // its corrected form was accepted
  bool excused{};  // may be lost: a relaxed promise and a power cut, a rolled back profile, a damaged record
  bool analytics{};  // made in that lane: consent may be withdrawn
  std::uint8_t device{};  // who made it, as the first byte of its device's id
  bool document{};  // an edit: what must have come of it is for the documents' own judge
  bool disordered{};  // may come out of order: recovered after it was given up, or corrected
};

// Effects at the server. Part of its database: a restored backup takes them back.
struct Effects {
  std::vector<std::uint8_t> applied;                // by event number
  std::map<std::string, std::uint32_t> last_of;     // entity → newest event applied
  std::uint64_t clicks{};
};

class Ledger {
 public:
  std::uint32_t create() {
    fates.emplace_back();
    return static_cast<std::uint32_t>(fates.size() - 1);
  }
  // One event takes effect. Records a violation of I2 or I4 at once.
  void apply(Effects& effects, std::string_view json, std::string_view entity, bool out_of_order);
  void fail(std::string what) {
    if (!violation) violation = std::move(what);
  }
  // When all is quiet: I1 and I2 for every event.
  void judge(const Effects& effects);

  std::vector<Fate> fates{1};  // by number; 0 is nobody
  std::uint64_t clicks_made{}, clicks_accepted{}, clicks_excused{};
  std::optional<std::string> violation;
};

}  // namespace oas::sim
