# Where scripts/toolchain.sh put things. Environment variables win over what it recorded, and the folder is remembered,
# so that a build folder can configure itself again without them.
if(DEFINED ENV{OAS_TOOLCHAIN_DIR})
  set(OAS_TOOLCHAIN_DIR "$ENV{OAS_TOOLCHAIN_DIR}" CACHE PATH "where scripts/toolchain.sh unpacks" FORCE)
elseif(NOT DEFINED OAS_TOOLCHAIN_DIR)
  get_filename_component(oas_default "${CMAKE_CURRENT_LIST_DIR}/../../.toolchain" ABSOLUTE)
  set(OAS_TOOLCHAIN_DIR "${oas_default}" CACHE PATH "where scripts/toolchain.sh unpacks")
endif()
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES OAS_TOOLCHAIN_DIR)

include("${OAS_TOOLCHAIN_DIR}/paths.cmake" OPTIONAL)
if(NOT "$ENV{OAS_LZ4_DIR}" STREQUAL "")
  set(OAS_PATH_LZ4 "$ENV{OAS_LZ4_DIR}")
endif()
if(NOT "$ENV{EMSCRIPTEN_ROOT}" STREQUAL "")
  set(OAS_PATH_EMSCRIPTEN "$ENV{EMSCRIPTEN_ROOT}")
endif()
