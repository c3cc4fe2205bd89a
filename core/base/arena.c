/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include "base/forget.h"
#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>

struct dl_arena_block {
  dl_arena_block *older;
  size_t bytes; /* capacity behind this header */
};

enum { LARGE_FROM = 64 * 1024, LARGE_BLOCK = 512 * 1024 };

/* The header keeps the 16-byte alignment of what follows it. */
_Static_assert(sizeof(dl_arena_block) == 16, "arena blocks must stay aligned");

void dl_arena_init(dl_arena *arena, size_t block_bytes) {
  memset(arena, 0, sizeof(*arena));
  arena->block_bytes = block_bytes ? block_bytes : 4096;
}

static void arena_enter(dl_arena *arena, dl_arena_block *block) {
  arena->next = (char *)(block + 1);
  arena->end = arena->next + block->bytes;
}

static size_t round_up(size_t size) { return (size + (size == 0) + 15u) & ~(size_t)15u; }

static size_t block_for(const dl_arena *arena, size_t rounded) { return rounded > arena->block_bytes ? rounded : arena->block_bytes; }

/* The piece of rounded bytes in a fresh block. */
static void *take_from(dl_arena *arena, dl_arena_block *block, size_t bytes, size_t rounded) {
  block->bytes = bytes;
  arena->used_bytes += rounded;
  /* A piece larger than a block gets its own, behind the current one, so that
   * the room left in the current block is not lost. */
  if (bytes == rounded && rounded > arena->block_bytes && arena->block) {
    block->older = arena->block->older;
    arena->block->older = block;
    return block + 1;
  }
  block->older = arena->block;
  arena->block = block;
  arena_enter(arena, block);
  arena->next += rounded;
  return block + 1;
}

void *dl_arena_alloc_slow(dl_arena *arena, size_t size) {
  if (size > SIZE_MAX / 2) dl_memory_exhausted(size);
  size_t rounded = round_up(size), bytes = block_for(arena, rounded);
  return take_from(arena, dl_malloc(sizeof(dl_arena_block) + bytes), bytes, rounded);
}

void *dl_arena_try_alloc(dl_arena *arena, size_t size) {
  if (size > SIZE_MAX / 2) return NULL;
  size_t rounded = round_up(size), bytes = block_for(arena, rounded);
  if (rounded <= (size_t)(arena->end - arena->next)) return dl_arena_alloc(arena, size);
  /* Who has taken much takes it in large blocks: where there is none, what is small still is. */
  if (arena->used_bytes > LARGE_FROM && bytes < LARGE_BLOCK) bytes = LARGE_BLOCK;
  dl_arena_block *block = dl_try_realloc(NULL, sizeof(*block) + bytes);
  return block ? take_from(arena, block, bytes, rounded) : NULL;
}

void *dl_arena_zalloc(dl_arena *arena, size_t count, size_t size) {
  if (size && count > SIZE_MAX / size) dl_memory_exhausted(SIZE_MAX);
  void *piece = dl_arena_alloc(arena, count * size);
  memset(piece, 0, count * size);
  return piece;
}

dl_str dl_arena_copy(dl_arena *arena, dl_str s) {
  char *copy = dl_arena_alloc(arena, s.len + 1);
  if (s.len) memcpy(copy, s.ptr, s.len);
  copy[s.len] = '\0';
  return dl_str_from(copy, s.len);
}

char *dl_arena_format(dl_arena *arena, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  size_t bytes = length < 0 ? 1 : (size_t)length + 1;
  char *text = dl_arena_alloc(arena, bytes);
  text[0] = '\0';
  vsnprintf(text, bytes, format, again);
  va_end(again);
  return text;
}

void dl_arena_reset(dl_arena *arena) {
  dl_arena_block *kept = NULL;
  for (dl_arena_block *block = arena->block, *older; block; block = older) {
    older = block->older;
    /* An oversized block is not kept: one large request must not make every
     * idle connection large. */
    if (!kept && block->bytes == arena->block_bytes) kept = block;
    else dl_free(block);
  }
  arena->block = kept;
  arena->used_bytes = 0;
  arena->next = arena->end = NULL;
  if (kept) {
    kept->older = NULL;
    arena_enter(arena, kept);
    dl_forget(arena->next, kept->bytes);
  }
}

void dl_arena_free(dl_arena *arena) {
  for (dl_arena_block *block = arena->block, *older; block; block = older) {
    older = block->older;
    dl_free(block);
  }
  dl_arena_init(arena, arena->block_bytes);
}
