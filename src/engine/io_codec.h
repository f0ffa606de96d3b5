// Inputs and outputs of the client engine as one byte block each: what crosses the WASM border, and traces.
//
// A block is a run of records: kind u8 | size u32 | body. Kinds are the variants' indices, from 0, in io.h's order;
// bodies are the fields in io.h's order with these forms: bool u8; std::uint8_t and enums u8; std::uint16_t u16;
// std::uint32_t u32; std::uint64_t, Millis and ids u64; Bytes = u32 size, then the bytes; vector = u32 count, then the
// elements; DeviceId 16 raw bytes; Seed 32 raw bytes; StreamId = epoch u64, lane u8; EventId = StreamId, seq u64.
// Everything little-endian and fixed width, so that JavaScript reads it with a DataView. A Notice inside Deliver is its
// index u8, then its fields.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "engine/io.h"

namespace oas::engine {

Result<std::vector<Input>> read_inputs(ByteView block);
void write_outputs(std::span<const Output> outputs, Bytes& block);  // appends

// The other direction, for tests, traces and the simulator.
void write_inputs(std::span<const Input> inputs, Bytes& block);
Result<std::vector<Output>> read_outputs(ByteView block);

}  // namespace oas::engine
