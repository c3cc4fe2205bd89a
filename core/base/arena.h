/* SPDX-License-Identifier: MIT */
/*
 * Arena: memory that is given out piece by piece and taken back all at once.
 * A request has one, a generation has one. Nothing in an arena is freed alone.
 * Not thread-safe: one owner at a time.
 */
#ifndef DL_BASE_ARENA_H
#define DL_BASE_ARENA_H

#include "base/str.h"

#include <stdint.h>

typedef struct dl_arena_block dl_arena_block;

typedef struct dl_arena {
  char *next;            /* first free byte of the current block */
  char *end;             /* one past its last byte */
  dl_arena_block *block; /* newest block; older ones hang behind it */
  size_t block_bytes;    /* size of a fresh ordinary block */
  size_t used_bytes;     /* given out since the last reset; for limits and metrics */
} dl_arena;

/* Prepares an arena; allocates nothing until asked. block_bytes 0 means 4,096. */
void dl_arena_init(dl_arena *arena, size_t block_bytes);

/* Gives size bytes aligned for any type, never NULL: the process ends with a
 * message when the system has no memory, since no request could be answered. */
void *dl_arena_alloc_slow(dl_arena *arena, size_t size);

/* As dl_arena_alloc, for what is as much as a client likes: NULL when there is no such memory. Never takes the reserve. */
void *dl_arena_try_alloc(dl_arena *arena, size_t size);

static inline void *dl_arena_alloc(dl_arena *arena, size_t size) {
  size_t rounded = (size + (size == 0) + 15u) & ~(size_t)15u; /* nothing is a piece too */
  if (rounded >= size && rounded <= (size_t)(arena->end - arena->next)) {
    void *piece = arena->next;
    arena->next += rounded;
    arena->used_bytes += rounded;
    return piece;
  }
  return dl_arena_alloc_slow(arena, size);
}

/* As dl_arena_alloc for count items, zeroed; refuses overflow by ending the process. */
void *dl_arena_zalloc(dl_arena *arena, size_t count, size_t size);

/* Copies. The copy has a NUL behind it that its length does not count. */
dl_str dl_arena_copy(dl_arena *arena, dl_str s);
char *dl_arena_format(dl_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Forgets everything given out and keeps one block for the next use. */
void dl_arena_reset(dl_arena *arena);

/* Frees all blocks; the arena can be used again as if just initialised. */
void dl_arena_free(dl_arena *arena);

#endif
