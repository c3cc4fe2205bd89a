/* SPDX-License-Identifier: MIT */
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void dl_memory_exhausted(size_t wanted_bytes) {
  fprintf(stderr, "demilune: out of memory: %zu bytes were not to be had; give the process more, or lower max_body and max_connections\n", wanted_bytes);
  abort();
}

void *dl_malloc(size_t bytes) {
  void *piece = malloc(bytes ? bytes : 1);
  if (!piece) dl_memory_exhausted(bytes);
  return piece;
}

void *dl_calloc(size_t count, size_t bytes) {
  void *piece = calloc(count ? count : 1, bytes ? bytes : 1);
  if (!piece) dl_memory_exhausted(bytes);
  return piece;
}

void *dl_realloc(void *old, size_t bytes) {
  void *piece = realloc(old, bytes ? bytes : 1);
  if (!piece) dl_memory_exhausted(bytes);
  return piece;
}

char *dl_strndup(const char *text, size_t length) {
  char *copy = dl_malloc(length + 1);
  if (length) memcpy(copy, text, length);
  copy[length] = '\0';
  return copy;
}

char *dl_strdup(const char *text) { return dl_strndup(text, strlen(text)); }

void dl_free(void *piece) { free(piece); }
