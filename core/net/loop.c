/* SPDX-License-Identifier: MIT */
#include "net/loop.h"

#include <stdio.h>
#include <stdlib.h>

const char *dl_loop_problem(int error, const char *what, char message[256]) {
  snprintf(message, 256, "the system did not give %s: %s; give the process more memory or descriptors", what, uv_strerror(error));
  return message;
}

void dl_loop_expect(int error, const char *what) {
  char message[256];
  if (error == 0) return;
  fprintf(stderr, "demilune: %s\n", dl_loop_problem(error, what, message));
  abort();
}
