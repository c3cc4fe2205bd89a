/* SPDX-License-Identifier: MIT */
/*
 * Finding, placing and evicting in a shard of the table. Eviction follows the
 * Space-Saving summary (Metwally, Agrawal, El Abbadi: Efficient Computation of
 * Frequent and Top-k Elements in Data Streams, ICDT 2005): whoever takes the place
 * of the key with the least count inherits that count. So an estimate is never below
 * the truth, a key that lost its place finds at least what it had when it returns,
 * and a flood of keys raises only what strangers to the same limit start from.
 */
#include "limit/internal.h"

static uint32_t group_of(const dl_limit *limit) { return (uint32_t)limit->id; }

static uint64_t length_of(uint32_t seconds) { return (uint64_t)seconds * 1000000u; }

static bool is_live(const dl_record *record, uint64_t now_us) {
  return record->seconds && dl_window_live(&record->window, length_of(record->seconds), record->fixed, now_us);
}

/* Units that a live record, of whatever limit, has used by now. */
static uint64_t used_by(const dl_record *record, uint64_t now_us) {
  dl_window window = record->window;
  dl_window_roll(&window, length_of(record->seconds), record->fixed, now_us);
  return dl_window_used(&window, length_of(record->seconds), record->fixed, now_us);
}

dl_record *dl_shard_find(const dl_shard *shard, dl_place place, const dl_limit *limit) {
  for (size_t i = 0; i < DL_SET_SLOTS; i++) {
    dl_record *record = &place.set->records[i];
    if (place.set->tags[i] != place.tag || !record->seconds) continue;
    dl_window_roll(&record->window, dl_window_length(limit), limit->fixed, shard->now_us);
    return record;
  }
  return NULL;
}

/* --- floors --------------------------------------------------------------------- */

static uint64_t turn_of(uint32_t seconds, uint64_t now_us) { return now_us / length_of(seconds); }

/* A clock that went back leaves a floor where it is, as long as it is near. */
static bool floor_live(const dl_floor *floor, uint64_t now_us) {
  uint64_t turn = turn_of(floor->seconds ? floor->seconds : 1, now_us);
  return floor->seconds && turn < floor->turn + 3 && turn + 3 > floor->turn;
}

static dl_floor *find_floor(const dl_shard *shard, uint32_t group, uint32_t seconds) {
  for (size_t i = 0; i < DL_SHARD_FLOORS; i++) {
    dl_floor *floor = &shard->floors[i];
    if (floor->group == group && floor->seconds == seconds && floor_live(floor, shard->now_us)) return floor;
  }
  return NULL;
}

/* The heights of the turns that are still near, counted from now. */
static uint32_t floor_height(const dl_floor *floor, uint64_t now_us) {
  uint64_t turn = turn_of(floor->seconds, now_us);
  uint32_t height = 0;
  for (uint64_t age = 0; age < 3; age++)
    if ((floor->turn + 3 - age > turn) && floor->highest[age] > height) height = floor->highest[age];
  return height;
}

uint32_t dl_shard_floor(const dl_shard *shard, const dl_limit *limit) {
  if (shard->now_us >= shard->lock->floors_until_us) return 0;
  const dl_floor *floor = find_floor(shard, group_of(limit), limit->seconds);
  return floor ? floor_height(floor, shard->now_us) : 0;
}

/* Moves the heights so that highest[0] belongs to the present turn; a death in
 * between repeats a height, which is strict. */
static void floor_advance(dl_floor *floor, uint64_t now_us) {
  uint64_t turn = turn_of(floor->seconds, now_us);
  while (floor->turn < turn) {
    floor->highest[2] = floor->highest[1];
    dl_store_fence();
    floor->highest[1] = floor->highest[0];
    dl_store_fence();
    floor->turn++;
    dl_store_fence();
    floor->highest[0] = 0;
  }
}

/* A floor for the group: its own, or one that nobody needs any more. */
static dl_floor *claim_floor(dl_shard *shard, uint32_t group, uint32_t seconds) {
  dl_floor *floor = find_floor(shard, group, seconds);
  for (size_t i = 0; !floor && i < DL_SHARD_FLOORS; i++) {
    if (floor_live(&shard->floors[i], shard->now_us)) continue;
    floor = &shard->floors[i];
    *floor = (dl_floor){.turn = turn_of(seconds, shard->now_us), .group = group, .seconds = seconds};
  }
  return floor;
}

/* False when too many limits have floors here already: then nothing may be evicted,
 * since its count could not be kept. */
static bool raise_floor(dl_shard *shard, uint32_t group, uint32_t seconds, uint64_t used) {
  dl_floor *floor = claim_floor(shard, group, seconds);
  if (!floor) return false;
  floor_advance(floor, shard->now_us);
  if (used > floor->highest[0]) floor->highest[0] = (uint32_t)used;
  uint64_t until_us = shard->now_us + 4 * length_of(seconds);
  if (until_us > shard->lock->floors_until_us) shard->lock->floors_until_us = until_us;
  return true;
}

/* --- places --------------------------------------------------------------------- */

typedef struct victim {
  size_t slot; /* DL_SET_SLOTS: none */
  uint64_t used;
} victim;

static size_t free_slot(const dl_set *set, uint64_t now_us) {
  size_t slot = 0;
  while (slot < DL_SET_SLOTS && is_live(&set->records[slot], now_us)) slot++;
  return slot;
}

static victim least_of(const dl_set *set, uint32_t group, uint64_t now_us) {
  victim least = {.slot = DL_SET_SLOTS};
  for (size_t i = 0; i < DL_SET_SLOTS; i++) {
    if (set->records[i].group != group) continue;
    uint64_t used = used_by(&set->records[i], now_us);
    if (least.slot == DL_SET_SLOTS || used < least.used) least = (victim){i, used};
  }
  return least;
}

/* The limit that fills the set most: the one under attack, or the one most used. */
static uint32_t crowding_group(const dl_set *set) {
  uint32_t group = 0, most = 0;
  for (size_t i = 0; i < DL_SET_SLOTS; i++) {
    uint32_t count = 0;
    for (size_t j = 0; j < DL_SET_SLOTS; j++) count += set->records[j].group == set->records[i].group;
    if (count > most) most = count, group = set->records[i].group;
  }
  return group;
}

/* The slot for a key of this limit in a full set. Each limit pays for its own flood:
 * a key of the same limit goes first, and *floor becomes what the newcomer inherits;
 * only a limit that has nobody here takes from the one that has most. */
static victim choose_victim(const dl_shard *shard, const dl_set *set, const dl_limit *limit, uint32_t *floor) {
  victim chosen = least_of(set, group_of(limit), shard->now_us);
  if (chosen.slot == DL_SET_SLOTS) return least_of(set, crowding_group(set), shard->now_us);
  if (chosen.used > *floor) *floor = (uint32_t)chosen.used;
  return chosen;
}

static bool evict(dl_shard *shard, dl_record *record, uint64_t used) {
  if (!raise_floor(shard, record->group, record->seconds, used)) return false;
  dl_store_fence();
  __atomic_fetch_add(&shard->table->stats.evicted, 1, __ATOMIC_RELAXED);
  return true;
}

dl_record *dl_shard_insert(dl_shard *shard, dl_place place, const dl_limit *limit) {
  uint32_t floor = dl_shard_floor(shard, limit);
  size_t slot = free_slot(place.set, shard->now_us);
  if (slot == DL_SET_SLOTS) {
    victim chosen = choose_victim(shard, place.set, limit, &floor);
    if (floor + limit->cost > limit->count) return NULL;
    if (!evict(shard, &place.set->records[chosen.slot], chosen.used)) return NULL;
    slot = chosen.slot;
  }
  dl_record *record = &place.set->records[slot];
  record->seconds = 0; /* nothing is here until all of it is */
  dl_store_fence();
  place.set->tags[slot] = place.tag;
  record->window = (dl_window){.start_us = shard->now_us, .current = floor};
  record->group = group_of(limit);
  record->fixed = limit->fixed;
  dl_store_fence();
  record->seconds = limit->seconds & 0x7fffffffu;
  return record;
}
