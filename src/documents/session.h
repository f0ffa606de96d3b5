// Bytes in, bytes out: everything a host can ask of documents.wasm, on a device and on the server.
//
// A request is a command byte and its arguments as wire::Writer writes them; the answer is 0 and the result, or 1, a u16
// error code and a u64 detail. text, bytes and list are a varint size and the content; value is u8 (0 = nothing) and JSON
// text; dot is epoch u64, n varint; place is epoch u64, first n varint, wall i64; rules and document are the varint handles that kRules and kOpen gave.
//
//   kRules     schema text ("" = defaults)                     → rules, hash u64
//   kOpen      accepted bytes, list of pending bytes           → document, list of dot: accepted already, not pending
//   kClose     document                                        → nothing
//   kPut       document, rules, place, value                   → edit: dots varint, delta bytes
//   kPatch     document, rules, place, edits text              → edit
//   kResolve   document, rules, place, record id text, value   → edit
//   kAccept    document, rules, list of change bytes           → list of dot: no longer pending
//   kDrop      document, epoch u64, n varint                   → u8: it was pending
//   kView      document, rules, u8: somebody may edit it       → view: value, digest u64, pending varint, list of record
//   kState     document                                        → accepted bytes
//   kJudge     state bytes, rules, edit bytes, stamp, seen, list of aside
//                                                              → changed u8, state bytes, change bytes, operations varint, view
//   kVoid      state bytes, edit bytes                         → change bytes
//   kFold      state bytes, rules, cut varint                  → reached varint, state bytes, change bytes
//   kShow      state bytes, rules                              → view
//   kKeep      document, edit bytes                            → nothing; another context's edit
//   kRemake    document, rules, place, stood-on bytes, edit bytes
//                                                              → known u8, edit, contested bytes, stranded varint, stood-on bytes
//   kMend      as kJudge: state, rules, offered bytes, …       → as kJudge
//   kLost      state bytes, state bytes of a restored server, last change in common varint
//              → offered bytes; empty: it has lost nothing
//   kRefresh   document, accepted bytes, list of pending bytes → list of dot: accepted already, not pending
//
// stamp is minted-at i64, random u64, change varint, received-at i64; seen is a varint and aside
// operation varint, why text, ascending (authority.h); a record is id text, class u8, provisional u8, JSON text. The digest is that of the accepted state.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "documents/authority.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace oas::documents {

enum class Command : std::uint8_t {
  kRules = 1,
  kOpen = 2,
  kClose = 3,
  kPut = 4,
  kPatch = 5,
  kResolve = 6,
  kAccept = 7,
  kDrop = 8,
  kView = 9,
  kState = 10,
  kJudge = 11,
  kVoid = 12,
  kFold = 13,
  kShow = 14,
  kKeep = 15,
  kRefresh = 16,
  kRemake = 17,
  kMend = 18,
  kLost = 19,
};

inline constexpr std::uint32_t kRulesHandlesMax = 1'024;
inline constexpr std::uint32_t kDocumentHandlesMax = 100'000;

class Session {
 public:
  // The view is valid until the next call.
  [[nodiscard]] ByteView call(ByteView request);

 private:
  Result<void> run(Command command, wire::Reader& in, wire::Writer& out);
  Result<void> on_replica(Command command, wire::Reader& in, wire::Writer& out);
  Result<void> on_state(Command command, wire::Reader& in, wire::Writer& out);
  Result<void> add_rules(wire::Reader& in, wire::Writer& out);
  Result<void> open(wire::Reader& in, wire::Writer& out);
  Result<const merge::Rules*> rules(wire::Reader& in);

  std::vector<merge::Rules> rules_;
  std::vector<std::unique_ptr<Replica>> replicas_;  // null once closed
  std::vector<std::uint32_t> free_;
  Bytes answer_;
};

}  // namespace oas::documents
