/* SPDX-License-Identifier: MIT */
/* A path for a target's one unix socket, in a folder of its own that goes when the fuzzer has come to its end. */
#ifndef DL_TESTS_SOCKET_PATH_H
#define DL_TESTS_SOCKET_PATH_H

#include "fuzz.h"

#include <unistd.h>

static char socket_folder[] = "/tmp/demilune-fuzz-XXXXXX", socket_path[sizeof socket_folder + 8];

static inline void remove_socket(void) {
  unlink(socket_path);
  rmdir(socket_folder);
}

static inline const char *make_socket_path(void) {
  require(mkdtemp(socket_folder) && atexit(remove_socket) == 0, "there is a folder");
  snprintf(socket_path, sizeof socket_path, "%s/socket", socket_folder);
  return socket_path;
}

#endif
