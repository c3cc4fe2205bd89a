/* SPDX-License-Identifier: MIT */
#include "base/memory.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum {
  MAPPED_FROM_BYTES = 32 * 1024,
  RESERVE_BYTES = 1024 * 1024,
  LARGE_BYTES = 64 * 1024,
  SPARE_BYTES = 4 * 1024 * 1024,
  WAIT_FOR_BYTES = 256 * 1024 * 1024, /* more than a master ever needs: a mistake of ours, and no lack */
  WAIT_NS = 50 * 1000 * 1000
};

_Noreturn void dl_memory_exhausted(size_t wanted_bytes) {
  fprintf(stderr, "demilune: out of memory: %zu bytes were not to be had; give the process more, or lower max_body and max_connections\n", wanted_bytes);
  abort();
}

/* The process' own, as its heap is. */
static _Atomic(void *) reserve;
static _Atomic(dl_memory_policy) policy;

void dl_memory_set_policy(dl_memory_policy wanted) { policy = wanted; }

void dl_memory_give_back_large(void) { mallopt(M_MMAP_THRESHOLD, MAPPED_FROM_BYTES); }

void dl_memory_trim(void) { malloc_trim(0); }

void dl_memory_keep_reserve(void) {
  if (reserve) return;
  void *laid_by = malloc(RESERVE_BYTES), *none = NULL;
  if (!atomic_compare_exchange_strong(&reserve, &none, laid_by)) free(laid_by);
}

/* Comes back when it may be tried again. */
static void find_memory(size_t wanted_bytes, unsigned *tries) {
  void *laid_by = atomic_exchange(&reserve, NULL);
  free(laid_by);
  if (laid_by) return;
  if (policy == DL_MEMORY_END || wanted_bytes > WAIT_FOR_BYTES) dl_memory_exhausted(wanted_bytes);
  if ((*tries)++ == 0) fprintf(stderr, "demilune: out of memory: the master waits for %zu bytes\n", wanted_bytes);
  nanosleep(&(struct timespec){.tv_nsec = WAIT_NS}, NULL);
}

void *dl_malloc(size_t bytes) {
  void *piece;
  unsigned tries = 0;
  while (!(piece = malloc(bytes ? bytes : 1))) find_memory(bytes, &tries);
  return piece;
}

void *dl_calloc(size_t count, size_t bytes) {
  void *piece;
  unsigned tries = 0;
  while (!(piece = calloc(count ? count : 1, bytes ? bytes : 1)))
    find_memory(count > SIZE_MAX / (bytes ? bytes : 1) ? SIZE_MAX : count * bytes, &tries);
  return piece;
}

void *dl_realloc(void *old, size_t bytes) {
  void *piece;
  unsigned tries = 0;
  while (!(piece = realloc(old, bytes ? bytes : 1))) find_memory(bytes, &tries);
  return piece;
}

/* Held while what is large is asked for, and given back to the system at once: no heap keeps it. */
void *dl_try_realloc(void *old, size_t bytes) {
  if (bytes < LARGE_BYTES) return realloc(old, bytes ? bytes : 1);
  void *spare = mmap(NULL, SPARE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (spare == MAP_FAILED) return NULL;
  void *piece = realloc(old, bytes);
  munmap(spare, SPARE_BYTES);
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
