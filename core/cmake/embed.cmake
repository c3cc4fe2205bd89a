# SPDX-License-Identifier: MIT
# dl_embed(TARGET NAME FILE...) puts files into the binary as they are.
# NAME becomes `const dl_embedded NAME[]` (core/base/embedded.h), one entry per
# file in the order given, closed by an entry without a name. A FILE may be
# written as name=path to be known by another name than the file's own.
function(dl_embed target name)
  set(asm ".section .note.GNU-stack,\"\",@progbits\n.section .rodata\n")
  set(declarations "#include \"base/embedded.h\"\n")
  set(table "")
  set(number 0)
  set(inputs "")
  foreach(item IN LISTS ARGN)
    if(item MATCHES "^([^=]+)=(.+)$")
      set(known_as ${CMAKE_MATCH_1})
      set(path ${CMAKE_MATCH_2})
    else()
      set(path ${item})
      get_filename_component(known_as ${item} NAME)
    endif()
    set(symbol ${name}_${number})
    string(APPEND asm ".hidden ${symbol}\n.hidden ${symbol}_end\n.global ${symbol}\n.global ${symbol}_end\n.balign 16\n${symbol}:\n.incbin \"${path}\"\n${symbol}_end:\n.byte 0\n")
    string(APPEND declarations "extern const char ${symbol}[], ${symbol}_end[];\n")
    string(APPEND table "    {\"${known_as}\", ${symbol}, ${symbol}_end},\n")
    list(APPEND inputs ${path})
    math(EXPR number "${number} + 1")
  endforeach()
  set(base ${CMAKE_CURRENT_BINARY_DIR}/${name})
  file(CONFIGURE OUTPUT ${base}.S CONTENT "${asm}" @ONLY)
  file(CONFIGURE OUTPUT ${base}.c CONTENT "${declarations}const dl_embedded ${name}[] = {\n${table}    {0},\n};\n" @ONLY)
  # The target may be another folder's; a file's properties count only there.
  set_source_files_properties(${base}.S TARGET_DIRECTORY ${target} PROPERTIES OBJECT_DEPENDS "${inputs}")
  target_sources(${target} PRIVATE ${base}.S ${base}.c)
endfunction()
