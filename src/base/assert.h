// Assertions stay on in release builds: a broken invariant ends the instance, and the host rebuilds it from storage.
#pragma once

#define OAS_ASSERT(condition)           \
  do {                                  \
    if (!(condition)) __builtin_trap(); \
  } while (false)
