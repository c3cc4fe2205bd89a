# SPDX-License-Identifier: MIT
# What every file of ours is compiled and linked with.
include(CheckCCompilerFlag)
include(CheckIPOSupported)

add_library(demilune_flags INTERFACE)
target_compile_options(demilune_flags INTERFACE -Wall -Wextra -Wshadow -Wconversion -Werror -Wstrict-prototypes -Wmissing-prototypes -Wvla
                       -fno-omit-frame-pointer -fno-strict-aliasing -fvisibility=hidden)
target_compile_definitions(demilune_flags INTERFACE _GNU_SOURCE)
target_include_directories(demilune_flags INTERFACE ${PROJECT_SOURCE_DIR}/core ${PROJECT_SOURCE_DIR}/core/include)

if(NOT DEMILUNE_SANITIZERS MATCHES "^(ON|OFF|thread)$")
  message(FATAL_ERROR "DEMILUNE_SANITIZERS is ${DEMILUNE_SANITIZERS}; write ON, OFF or thread")
endif()
if(DEMILUNE_SANITIZERS STREQUAL "thread")
  set(sanitizers -fsanitize=thread)
elseif(DEMILUNE_SANITIZERS)
  set(sanitizers -fsanitize=address,undefined -fno-sanitize-recover=undefined)
endif()
if(sanitizers)
  target_compile_options(demilune_flags INTERFACE ${sanitizers})
  target_link_options(demilune_flags INTERFACE ${sanitizers})
else()
  # Hardening. Unwind tables stay on: Lua errors cross C frames.
  target_compile_options(demilune_flags INTERFACE -fstack-protector-strong $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
  foreach(flag -fstack-clash-protection -fcf-protection=full)
    string(MAKE_C_IDENTIFIER "have${flag}" have)
    check_c_compiler_flag(${flag} ${have})
    if(${have})
      target_compile_options(demilune_flags INTERFACE ${flag})
    endif()
  endforeach()
endif()
target_link_options(demilune_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)

if(DEMILUNE_MEMCHECK)
  target_compile_definitions(demilune_flags INTERFACE DL_MEMCHECK)
endif()

if(DEMILUNE_FUZZ)
  target_compile_options(demilune_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Counters of every line and branch, for tests/coverage/run. They live in a file that is mapped as the program starts, shared: a worker that is
# forked, confined or killed leaves its counts there. Programs of one build share one file each; additions are atomic, as branches are counted
# by differences.
if(DEMILUNE_COVERAGE)
  if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "DEMILUNE_COVERAGE needs clang, this is ${CMAKE_C_COMPILER_ID}: configure a new build folder with CC=clang")
  endif()
  target_compile_options(demilune_flags INTERFACE -fprofile-instr-generate=${PROJECT_BINARY_DIR}/counts/%m%c.profraw -fcoverage-mapping
                         -fprofile-update=atomic "SHELL:-mllvm -runtime-counter-relocation")
  target_link_options(demilune_flags INTERFACE -fprofile-instr-generate)
endif()

# Across files the compiler sees that most of the pipeline's calls can be one
# function: a tenth of the instructions of a request.
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT DEMILUNE_SANITIZERS AND NOT DEMILUNE_FUZZ AND NOT DEMILUNE_COVERAGE)
  check_ipo_supported(RESULT have_ipo OUTPUT ipo_problem LANGUAGES C)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ${have_ipo})
  if(have_ipo AND DEMILUNE_TESTS)
    # Objects hold machine code too, so that the many test programs link without
    # optimising the whole core again, each for itself (tests/CMakeLists.txt).
    check_c_compiler_flag(-ffat-lto-objects have_fat_objects)
    if(have_fat_objects)
      add_compile_options(-ffat-lto-objects)
    endif()
  endif()
endif()
