// The border of infer.wasm: one class, bytes in, bytes out (src/infer/session.h).
//
// Views into memory go stale when memory grows: the host takes a new one after each call and copies what it keeps.
#include <emscripten/bind.h>

#include "infer/session.h"
#include "wasm/lean_runtime.h"

namespace {

using emscripten::typed_memory_view;
using emscripten::val;

val view(oas::ByteView bytes) { return val(typed_memory_view(bytes.size(), bytes.data())); }

class WasmInfer {
 public:
  // Where the host writes a request of this size.
  val input(std::uint32_t bytes) {
    request_.resize(bytes);
    return view(request_);
  }
  // Answers the request last written. A model file moves in: `input` must be asked for anew before the next call.
  val call() { return view(session_.call_owned(std::move(request_))); }

 private:
  oas::infer::Session session_;
  oas::Bytes request_;
};

}  // namespace

EMSCRIPTEN_BINDINGS(oas_infer) {
  emscripten::class_<WasmInfer>("WasmInfer")
      .constructor<>()
      .function("input(bytes)", &WasmInfer::input)
      .function("call()", &WasmInfer::call);
}
