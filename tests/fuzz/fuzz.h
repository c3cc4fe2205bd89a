/* SPDX-License-Identifier: MIT */
/* What the targets share: the fuzzer's entry, and the way to say what was broken. */
#ifndef DL_TESTS_FUZZ_H
#define DL_TESTS_FUZZ_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* what: the sentence that does not hold. */
static inline void require(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "broken: %s\n", what);
  abort();
}

/* Takes what stands before the first c, and c itself, off the front. */
static inline dl_str take_until(dl_str *rest, char c) {
  const char *end = rest->len ? memchr(rest->ptr, c, rest->len) : NULL;
  dl_str part = dl_str_from(rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len);
  *rest = dl_str_skip(*rest, part.len + (end ? 1 : 0));
  return part;
}

/* A copy in memory of its exact size, so that a sanitizer sees one byte too far. */
static inline char *exact_copy(dl_str text) {
  char *copy = malloc(text.len ? text.len : 1);
  require(copy != NULL, "there is memory");
  if (text.len) memcpy(copy, text.ptr, text.len);
  return copy;
}

#endif
