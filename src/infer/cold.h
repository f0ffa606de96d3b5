// Marks a stretch of a source file as run rarely: in WebAssembly, bytes that travel matter more there than speed.
#pragma once

#if defined(__clang__) && defined(__wasm__)
#define OAS_COLD_BEGIN _Pragma("clang attribute push(__attribute__((minsize)), apply_to = function)")
#define OAS_COLD_END _Pragma("clang attribute pop")
#else
#define OAS_COLD_BEGIN
#define OAS_COLD_END
#endif
