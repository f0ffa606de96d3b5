// The border of documents.wasm: one class, bytes in, bytes out (src/documents/session.h).
//
// Views into memory go stale when memory grows: the host takes a new one after each call and copies what it keeps.
#include <emscripten/bind.h>

#include "documents/session.h"
#include "wasm/lean_runtime.h"

namespace {

using emscripten::typed_memory_view;
using emscripten::val;

val view(oas::ByteView bytes) { return val(typed_memory_view(bytes.size(), bytes.data())); }

class WasmDocuments {
 public:
  // Where the host writes a request of this size.
  val input(std::uint32_t bytes) {
    request_.resize(bytes);
    return view(request_);
  }
  // Answers the request last written.
  val call() { return view(session_.call(request_)); }

 private:
  oas::documents::Session session_;
  oas::Bytes request_;
};

}  // namespace

EMSCRIPTEN_BINDINGS(oas_documents) {
  emscripten::class_<WasmDocuments>("WasmDocuments")
      .constructor<>()
      .function("input(bytes)", &WasmDocuments::input)
      .function("call()", &WasmDocuments::call);
}
