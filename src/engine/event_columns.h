// Events of a push as columns, for a host that writes them to its database without looking at any of them.
//
// A column is its values one after another, each a size u32 and that many bytes, big-endian: the elements of an array in
// PostgreSQL's binary form (src/backend/utils/adt/arrayfuncs.c, array_recv), which is also easy to read one by one.
//
//   epoch 8 | lane 2 | seq 8 | rolling hash 8 | type | module | entity | hlc 8 | JSON
#pragma once

#include <vector>

#include "base/bytes.h"
#include "sync/server_session.h"

namespace oas::engine {

// Appends u32 count, then each column behind its size in bytes (u32); these numbers are little-endian as all of calls.h.
void write_event_columns(Bytes& out, const std::vector<sync::PlannedEvent>& events);

// How many events there are of each kind, for whoever counts: events of one stream, type and module that were queued within a
// second, as far as they come close together. u32 count, then lane u8, type, module (Bytes), u32 events, hlc u64 (the first).
void write_event_groups(Bytes& out, const std::vector<sync::PlannedEvent>& events);

}  // namespace oas::engine
