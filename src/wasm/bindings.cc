// The border of core.wasm: bytes in, bytes out.
//
// `step` drives the client engine with a block of inputs (engine/io_codec.h); `Content` serves the cache (cache/service.h);
// `Ladder` says what gives way when storage runs out (device/ladder.h).
// Views into memory go stale when memory grows: the host takes a new one after each call and copies what it keeps.
#include <emscripten/bind.h>

#include "base/assert.h"
#include "cache/service.h"
#include "device/ladder.h"
#include "engine/engine.h"
#include "engine/io_codec.h"
#include "wasm/lean_runtime.h"

namespace {

using emscripten::typed_memory_view;
using emscripten::val;

val view(oas::ByteView bytes) { return val(typed_memory_view(bytes.size(), bytes.data())); }

class Core {
 public:
  // Where the host writes `bytes` bytes of input before it calls `step`.
  val input(std::uint32_t bytes) {
    input_.resize(bytes);
    return view(input_);
  }

  val step(double mono_ms, double wall_ms) {
    auto inputs = oas::engine::read_inputs(input_);
    OAS_ASSERT(inputs.has_value());  // the host writes this block: a bad one is a defect, and ends the instance
    const oas::engine::Now now{{static_cast<std::int64_t>(mono_ms)}, {static_cast<std::int64_t>(wall_ms)}};
    output_.clear();
    oas::engine::write_outputs(engine_.step(now, *inputs), output_);
    return view(output_);
  }

 private:
  oas::engine::Engine engine_;
  oas::Bytes input_;
  oas::Bytes output_;
};

class Content {
 public:
  val input(std::uint32_t bytes) {
    input_.resize(bytes);
    return view(input_);
  }
  // The output; or a number, the error's code, when the input was refused.
  val call(std::uint32_t op) {
    const auto called = service_.call(op, input_, output_);
    return called ? view(output_) : val(static_cast<std::uint32_t>(called.error().code));
  }

 private:
  oas::cache::Service service_;
  oas::Bytes input_;
  oas::Bytes output_;
};

class Ladder {
 public:
  // Bytes, whole and not negative.
  std::uint32_t look(double usage, double quota) {
    return static_cast<std::uint32_t>(
        ladder_.look(static_cast<std::uint64_t>(usage), static_cast<std::uint64_t>(quota)));
  }
  std::uint32_t refused() { return static_cast<std::uint32_t>(ladder_.refused()); }

 private:
  oas::device::Ladder ladder_;
};

}  // namespace

EMSCRIPTEN_BINDINGS(oas_core) {
  emscripten::class_<Core>("Core")
      .constructor<>()
      .function("input(bytes)", &Core::input)
      .function("step(monoMs, wallMs)", &Core::step);
  emscripten::class_<Content>("Content")
      .constructor<>()
      .function("input(bytes)", &Content::input)
      .function("call(op)", &Content::call);
  emscripten::class_<Ladder>("Ladder")
      .constructor<>()
      .function("look(usage, quota)", &Ladder::look)
      .function("refused()", &Ladder::refused);
}
