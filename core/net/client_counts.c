/* SPDX-License-Identifier: MIT */
#include "net/client_counts.h"

#include "base/memory.h"

static uint64_t not_zero(uint64_t hash) { return hash ? hash : 1; }

/* The slot of that hash, or the empty one where it would go. */
static dl_client_count *locate(const dl_client_counts *counts, uint64_t hash) {
  size_t at = hash & (counts->capacity - 1);
  while (counts->slots[at].hash && counts->slots[at].hash != hash) at = (at + 1) & (counts->capacity - 1);
  return &counts->slots[at];
}

static void grow(dl_client_counts *counts) {
  dl_client_counts bigger = {.capacity = counts->capacity ? counts->capacity * 2 : 64, .used = counts->used};
  bigger.slots = dl_calloc(bigger.capacity, sizeof *bigger.slots);
  for (size_t i = 0; i < counts->capacity; i++)
    if (counts->slots[i].hash) *locate(&bigger, counts->slots[i].hash) = counts->slots[i];
  dl_free(counts->slots);
  *counts = bigger;
}

uint32_t dl_client_counts_add(dl_client_counts *counts, uint64_t hash) {
  hash = not_zero(hash);
  if ((counts->used + 1) * 2 > counts->capacity) grow(counts);
  dl_client_count *slot = locate(counts, hash);
  if (!slot->hash) {
    slot->hash = hash;
    counts->used++;
  }
  return ++slot->count;
}

/* Deletion closes the gap: what was pushed past the freed slot moves back into it. */
void dl_client_counts_remove(dl_client_counts *counts, uint64_t hash) {
  hash = not_zero(hash);
  if (!counts->capacity) return;
  dl_client_count *slot = locate(counts, hash);
  if (!slot->hash || --slot->count) return;
  size_t mask = counts->capacity - 1, gap = (size_t)(slot - counts->slots);
  for (size_t at = (gap + 1) & mask; counts->slots[at].hash; at = (at + 1) & mask) {
    size_t home = counts->slots[at].hash & mask;
    if (((at - home) & mask) < ((at - gap) & mask)) continue;
    counts->slots[gap] = counts->slots[at];
    gap = at;
  }
  counts->slots[gap] = (dl_client_count){0};
  counts->used--;
}

void dl_client_counts_free(dl_client_counts *counts) {
  dl_free(counts->slots);
  *counts = (dl_client_counts){0};
}
