// The client engine: queue, drain and recovery behind one synchronous step.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/io.h"

namespace oas::engine {

class Engine {
 public:
  Engine();
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Consumes every input (their bytes are moved out), in order, and returns everything the host must now do. Nothing stays half done between
  // calls. The view is valid until the next call. `now.mono` never goes backwards; an older value counts as the newest
  // seen.
  std::span<const Output> step(Now now, std::span<Input> inputs);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace oas::engine
