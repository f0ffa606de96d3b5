# Toolchain file of the wasm presets: Emscripten's own one, wherever scripts/toolchain.sh found it.
include("${CMAKE_CURRENT_LIST_DIR}/paths.cmake")
set(oas_platform "${OAS_PATH_EMSCRIPTEN}/cmake/Modules/Platform/Emscripten.cmake")
if(NOT OAS_PATH_EMSCRIPTEN OR NOT EXISTS "${oas_platform}")
  message(FATAL_ERROR "No Emscripten. Run scripts/toolchain.sh, or set EMSCRIPTEN_ROOT.")
endif()
include("${oas_platform}")
