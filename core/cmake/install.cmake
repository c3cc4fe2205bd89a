# SPDX-License-Identifier: MIT
# What `cmake --install` puts where a system expects it. The Lua layer is inside the program and the library.
install(TARGETS demilune RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS demilune_core ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES core/include/demilune.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES core/cli/demilune.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES README.md CHANGELOG.md SECURITY.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# For C programs: cc app.c $(pkg-config --static --cflags --libs demilune)
file(RELATIVE_PATH DEMILUNE_PREFIX_FROM_PC /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(core/cmake/demilune.pc.in demilune.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/demilune.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
