# SPDX-License-Identifier: MIT
# What `cmake --install` puts where a system expects it. The Lua layer is inside the program and the library.
install(TARGETS demilune RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# The library is one object, in which what the header does not name is nobody else's to name: a program may have functions of these names, and an
# llhttp of its own. What was optimised across files is made machine code here, once: left as it is, every program that links the library would do
# that again, with this very compiler, in ten seconds instead of a fifth of one.
if(NOT CMAKE_INTERPROCEDURAL_OPTIMIZATION)
  set(whole -r -nostdlib)
elseif(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  set(whole ${CMAKE_C_FLAGS} ${CMAKE_C_FLAGS_RELEASE} -fPIC -flto=auto -flinker-output=nolto-rel -r -nostdlib)
endif()
if(whole)
  string(REPLACE ";" " " whole "${whole}")
  set(installed ${PROJECT_BINARY_DIR}/installed)
  install(CODE "
    file(REMOVE_RECURSE ${installed})
    file(MAKE_DIRECTORY ${installed})
    execute_process(COMMAND ${CMAKE_C_COMPILER} ${whole} -o ${installed}/demilune.o
                    -Wl,--whole-archive $<TARGET_FILE:demilune_core> -Wl,--no-whole-archive COMMAND_ERROR_IS_FATAL ANY)
    execute_process(COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${installed}/demilune.o COMMAND_ERROR_IS_FATAL ANY)
    execute_process(COMMAND ${CMAKE_AR} rcs ${installed}/libdemilune.a ${installed}/demilune.o COMMAND_ERROR_IS_FATAL ANY)")
  install(FILES ${installed}/libdemilune.a DESTINATION ${CMAKE_INSTALL_LIBDIR})
else()
  install(TARGETS demilune_core ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
install(FILES core/include/demilune.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES core/cli/demilune.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES README.md CHANGELOG.md SECURITY.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# For C programs: cc app.c $(pkg-config --cflags --libs demilune)
file(RELATIVE_PATH DEMILUNE_PREFIX_FROM_PC /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(core/cmake/demilune.pc.in demilune.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/demilune.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
