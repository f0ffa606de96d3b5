// Marks a stretch of a source file as run rarely: in WebAssembly, bytes that travel matter more there than speed.
// Not inlined either: with one caller the optimiser would, and then compress far worse.
#pragma once

#if defined(__clang__) && defined(__wasm__)
#define OAS_COLD_BEGIN _Pragma("clang attribute push(__attribute__((minsize, noinline)), apply_to = function)")
#define OAS_COLD_END _Pragma("clang attribute pop")
#else
#define OAS_COLD_BEGIN
#define OAS_COLD_END
#endif
