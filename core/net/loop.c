/* SPDX-License-Identifier: MIT */
#include "net/loop.h"

#include <stdio.h>
#include <stdlib.h>

void dl_loop_expect(int error, const char *what) {
  if (error == 0) return;
  fprintf(stderr, "demilune: the system did not give %s: %s; give the process more memory or descriptors\n", what, uv_strerror(error));
  abort();
}
