/* SPDX-License-Identifier: MIT */
#include "crypto/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

void dl_random_bytes(void *out, size_t length) {
  char *next = out;
  while (length) {
    ssize_t got = getrandom(next, length, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      fputs("demilune: the system gives no random bytes (getrandom)\n", stderr);
      abort();
    }
    next += got;
    length -= (size_t)got;
  }
}
