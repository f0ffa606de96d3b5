// What Calls answers of a session, as bytes. Layout: calls.h.
#pragma once

#include <cstddef>
#include <vector>

#include "base/bytes.h"
#include "sync/server_session.h"
#include "wire/writer.h"

namespace oas::engine {

void write_count(wire::Writer& out, std::size_t count);
void write_bytes(wire::Writer& out, ByteView bytes);
void write_id(wire::Writer& out, const EventId& id);

void write_needs(wire::Writer& out, const std::vector<sync::StreamNeed>& needs);
void write_plan(wire::Writer& out, const sync::ServerSession& session);
void write_plain(Bytes& bytes, const sync::ServerSession& session);
void write_writes(wire::Writer& out, const sync::Writes& writes);

}  // namespace oas::engine
