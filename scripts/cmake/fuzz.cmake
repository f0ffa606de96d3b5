# One libFuzzer program per tests/fuzz/fuzz_<what>.cc. Exceptions are on there, so that a throwing oracle is seen.
oas_sources(fuzz_sources "tests/fuzz/fuzz_*.cc")
foreach(source IN LISTS fuzz_sources)
  get_filename_component(target "${source}" NAME_WE)
  add_executable(${target} "${source}")
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  target_link_libraries(${target} PRIVATE oas_flags oas_engine oas_infer oas_documents oas_json)
  target_link_options(${target} PRIVATE -fsanitize=fuzzer)
endforeach()
