/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>

struct dl_arena_block {
  dl_arena_block *older;
  size_t bytes; /* capacity behind this header */
};

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

void *dl_arena_alloc_slow(dl_arena *arena, size_t size) {
  if (size > SIZE_MAX / 2) dl_memory_exhausted(size);
  size_t rounded = (size + 15u) & ~(size_t)15u;
  size_t bytes = rounded > arena->block_bytes ? rounded : arena->block_bytes;
  dl_arena_block *block = dl_malloc(sizeof(*block) + bytes);
  block->bytes = bytes;
  arena->used_bytes += rounded;
  /* A piece larger than a block gets its own, behind the current one, so that
   * the room left in the current block is not lost. */
  if (rounded > arena->block_bytes && arena->block) {
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
  }
}

void dl_arena_free(dl_arena *arena) {
  for (dl_arena_block *block = arena->block, *older; block; block = older) {
    older = block->older;
    dl_free(block);
  }
  dl_arena_init(arena, arena->block_bytes);
}
