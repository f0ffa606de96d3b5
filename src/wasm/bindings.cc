// The border of core.wasm: one class, bytes in, bytes out.
//
// `step` drives the client engine with a block of inputs (engine/io_codec.h); `call` answers at once (engine/calls.h).
// Views into memory go stale when memory grows: the host takes a new one after each call and copies what it keeps.
#include <emscripten/bind.h>

#include "base/assert.h"
#include "engine/calls.h"
#include "engine/engine.h"
#include "engine/io_codec.h"

// The library's default prints what went wrong before it aborts, and printing costs 3 kB. The host sees the trap.
namespace std {
inline namespace _LIBCPP_ABI_NAMESPACE {
[[noreturn]] void __libcpp_verbose_abort(const char*, ...) { __builtin_trap(); }
}  // namespace _LIBCPP_ABI_NAMESPACE
}  // namespace std

// embind formats a type's address for errors about unbound types, of which there are none: no need for printf either.
extern "C" int siprintf(char* out, const char*, ...) {
  out[0] = 0;
  return 0;
}

namespace {

using emscripten::typed_memory_view;
using emscripten::val;

val view(oas::ByteView bytes) { return val(typed_memory_view(bytes.size(), bytes.data())); }

class Core {
 public:
  // Where the host writes `bytes` bytes of input before it calls `step` or `call`.
  val input(std::uint32_t bytes) {
    input_.resize(bytes);
    return view(input_);
  }

  val step(double mono_ms, double wall_ms) {
    const auto inputs = oas::engine::read_inputs(input_);
    OAS_ASSERT(inputs.has_value());  // the host writes this block: a bad one is a defect, and ends the instance
    const oas::engine::Now now{{static_cast<std::int64_t>(mono_ms)}, {static_cast<std::int64_t>(wall_ms)}};
    output_.clear();
    oas::engine::write_outputs(engine_.step(now, *inputs), output_);
    return view(output_);
  }

  val call(std::uint32_t op) { return view(calls_.call(op, input_)); }

 private:
  oas::engine::Engine engine_;
  oas::engine::Calls calls_;
  oas::Bytes input_;
  oas::Bytes output_;
};

}  // namespace

EMSCRIPTEN_BINDINGS(oas_core) {
  emscripten::class_<Core>("Core")
      .constructor<>()
      .function("input(bytes)", &Core::input)
      .function("step(monoMs, wallMs)", &Core::step)
      .function("call(op)", &Core::call);
}
