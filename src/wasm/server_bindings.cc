// The border of server.wasm: the sync server's half of the core. Bytes in, bytes out (engine/calls.h).
//
// A build of its own, so that no page downloads what only a server runs.
#include <emscripten/bind.h>

#include "engine/calls.h"
#include "wasm/lean_runtime.h"

namespace {

using emscripten::typed_memory_view;
using emscripten::val;

val view(oas::ByteView bytes) { return val(typed_memory_view(bytes.size(), bytes.data())); }

class Server {
 public:
  // Where the host writes `bytes` bytes of input before it calls.
  val input(std::uint32_t bytes) {
    input_.resize(bytes);
    return view(input_);
  }
  val call(std::uint32_t op) { return view(calls_.call(op, input_)); }

 private:
  oas::engine::Calls calls_;
  oas::Bytes input_;
};

}  // namespace

EMSCRIPTEN_BINDINGS(oas_server) {
  emscripten::class_<Server>("Server")
      .constructor<>()
      .function("input(bytes)", &Server::input)
      .function("call(op)", &Server::call);
}
