# The few shapes every target of this project has. CMakeLists.txt says what exists; this file says how it is built.

# Warnings, determinism and the C++ dialect, for everything that we wrote ourselves.
add_library(oas_flags INTERFACE)
target_compile_features(oas_flags INTERFACE cxx_std_23)
target_include_directories(oas_flags INTERFACE "${PROJECT_SOURCE_DIR}/src")
target_compile_definitions(oas_flags INTERFACE "OAS_VERSION=\"${PROJECT_VERSION}\"")
target_compile_options(oas_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wold-style-cast -Wnon-virtual-dtor
  -Woverloaded-virtual -Wimplicit-fallthrough -Wunused -Wcast-align -Wformat=2 -Werror
  # A designated initialiser names what differs from the defaults; the rest is left out on purpose.
  $<IF:$<CXX_COMPILER_ID:GNU>,-Wno-missing-field-initializers,-Wno-missing-designated-field-initializers>
  # std::stable_sort of libstdc++ 12 calls a function that it declares deprecated.
  $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>
  # Where pointers have 32 bits, `begin() + count` of an unsigned 32-bit count changes a sign; native builds watch the rest.
  $<$<PLATFORM_ID:Emscripten>:-Wno-sign-conversion>
  # g++ 12 sees overflows and uninitialised reads in correct inlined code of std::optional and std::vector.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized;-Wno-stringop-overflow;-Wno-array-bounds>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overread;-Wno-restrict;-Wno-nonnull>)

# What the product is made of: no exceptions, no RTTI. Tests and trainers leave this one out.
add_library(oas_core_flags INTERFACE)
target_link_libraries(oas_core_flags INTERFACE oas_flags)
target_compile_options(oas_core_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions;-fno-rtti>)

# oas_sources(<variable> <pattern>): the sources that exist now; a new file makes the next build configure again.
function(oas_sources variable pattern)
  file(GLOB found CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${pattern}")
  set(${variable} "${found}" PARENT_SCOPE)
endfunction()

# oas_program_sources(<variable> <pattern>): like oas_sources, but nothing as long as none of the files has a main.
function(oas_program_sources variable pattern)
  oas_sources(found "${pattern}")
  foreach(source IN LISTS found)
    file(STRINGS "${source}" hit REGEX "^(int|auto) main\\(" LIMIT_COUNT 1)
    if(hit)
      set(${variable} "${found}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${found})
  set(${variable} "" PARENT_SCOPE)
endfunction()

# oas_module(<folder of src/> <modules it may use...>) makes oas_<folder> and its twin oas_<folder>_sim.
#
# The twin holds the places where the simulator may inject a fault or switch a mutant on (OAS_SIM); only the simulator
# links it, so a shipped build cannot contain one. A folder without sources is an interface library.
function(oas_module name)
  oas_sources(sources "src/${name}/*.cc")
  foreach(suffix "" "_sim")
    set(target "oas_${name}${suffix}")
    if(sources)
      add_library(${target} STATIC ${sources})
      target_link_libraries(${target} PRIVATE oas_core_flags)
      set(scope PUBLIC)
    else()
      add_library(${target} INTERFACE)
      set(scope INTERFACE)
    endif()
    if(sources AND EMSCRIPTEN AND NOT name STREQUAL "infer")
      # Pages download it: all but the kernels is built for size.
      target_compile_options(${target} PRIVATE -Oz)
    endif()
    target_include_directories(${target} ${scope} "${PROJECT_SOURCE_DIR}/src")
    foreach(dependency IN LISTS ARGN)
      target_link_libraries(${target} ${scope} "oas_${dependency}${suffix}")
    endforeach()
    if(suffix STREQUAL "_sim")
      target_compile_definitions(${target} ${scope} OAS_SIM=1)
    endif()
    if(EMSCRIPTEN OR suffix STREQUAL "_sim")
      # Built for the programs that link it, not for its own sake.
      set_target_properties(${target} PROPERTIES EXCLUDE_FROM_ALL ON)
    endif()
  endforeach()
endfunction()

# oas_boost_test(<target> <sources...>): one Boost.Test program, known to ctest. A `main` is added unless a source has one.
function(oas_boost_test target)
  set(sources ${ARGN})
  set(has_main OFF)
  foreach(source IN LISTS sources)
    file(STRINGS "${source}" hit REGEX "define BOOST_TEST_MODULE" LIMIT_COUNT 1)
    if(hit)
      set(has_main ON)
    endif()
  endforeach()
  if(NOT has_main)
    set(main "${CMAKE_CURRENT_BINARY_DIR}/generated/${target}_main.cc")
    file(CONFIGURE OUTPUT "${main}" CONTENT "#define BOOST_TEST_MODULE ${target}\n#include <boost/test/unit_test.hpp>\n")
    list(APPEND sources "${main}")
  endif()
  add_executable(${target} ${sources})
  target_compile_definitions(${target} PRIVATE BOOST_TEST_DYN_LINK "OAS_SOURCE_DIR=\"${PROJECT_SOURCE_DIR}\"")
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${target} PRIVATE oas_flags oas_json Boost::unit_test_framework)
  add_test(NAME ${target} COMMAND ${target} --color_output=no WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
endfunction()

# oas_wasm_page(<target> <sources...>): one .mjs + .wasm for page, worker and Service Worker; Node hands it `wasmBinary`.
# The stack comes first in memory: growing too deep traps there instead of eating the heap. -lexports.js keeps the names of imports
# and exports whole, so that one glue serves every module.
function(oas_wasm_page target)
  add_executable(${target} ${ARGN})
  target_link_libraries(${target} PRIVATE oas_core_flags embind)
  set_target_properties(${target} PROPERTIES SUFFIX .mjs)
  if(target STREQUAL "core")
    target_compile_options(${target} PRIVATE -Oz)
    target_link_options(${target} PRIVATE -Oz)
  endif()
  target_link_options(${target} PRIVATE
    -sMODULARIZE -sEXPORT_ES6 -sSTRICT --no-entry -sENVIRONMENT=web,worker -sFILESYSTEM=0 -sDYNAMIC_EXECUTION=0
    -sALLOW_MEMORY_GROWTH -sINITIAL_MEMORY=2MB -sMAXIMUM_MEMORY=256MB -sSTACK_SIZE=256KB -Wl,--stack-first
    -sMALLOC=emmalloc -sINCOMING_MODULE_JS_API=wasmBinary,instantiateWasm,locateFile,onAbort
    -lexports.js
    "-Wl,-Map=$<TARGET_FILE_DIR:${target}>/${target}.map")
endfunction()

# oas_wasm_program(<target> <node|web> <sources...>): a command-line program, called by `callMain(arguments)`.
#   node  the files, standard input and exit code of the process
#   web   for a page or worker: files in memory, reached through `FS`; output through the options `print` and `printErr`
function(oas_wasm_program target host)
  add_executable(${target} ${ARGN})
  target_link_libraries(${target} PRIVATE oas_core_flags)
  set_target_properties(${target} PROPERTIES SUFFIX .mjs)
  target_link_options(${target} PRIVATE
    -sMODULARIZE -sEXPORT_ES6 -sAUTO_JS_LIBRARIES=0 -sAUTO_NATIVE_LIBRARIES=0 -sINVOKE_RUN=0 -sEXIT_RUNTIME
    -sALLOW_MEMORY_GROWTH -sINITIAL_MEMORY=16MB -sMAXIMUM_MEMORY=2GB -sSTACK_SIZE=1MB -Wl,--stack-first)
  if(host STREQUAL "node")
    target_link_options(${target} PRIVATE
      -sENVIRONMENT=node -sNODERAWFS -lnodefs.js -lnoderawfs.js -sEXPORTED_RUNTIME_METHODS=callMain)
  else()
    target_link_options(${target} PRIVATE
      -sENVIRONMENT=web,worker -sDYNAMIC_EXECUTION=0 -sFORCE_FILESYSTEM -sEXPORTED_RUNTIME_METHODS=callMain,FS)
  endif()
endfunction()
