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

/* Copies, to decide by: what is shared may change between two looks, so the compiler must not look again. */
#define COPIED __asm__ volatile("" ::: "memory")

static dl_record read_record(const dl_record *shared) {
  dl_record copy = *shared;
  COPIED;
  return copy;
}

static dl_floor read_floor(const dl_floor *shared) {
  dl_floor copy = *shared;
  COPIED;
  return copy;
}

static bool copy_is_live(dl_record record, uint64_t now_us) {
  return record.seconds && dl_window_live(&record.window, length_of(record.seconds), record.fixed, now_us);
}

static bool is_live(const dl_record *shared, uint64_t now_us) { return copy_is_live(read_record(shared), now_us); }

/* Units that a copy of a live record, of whatever limit, has used by now. */
static uint64_t used_by(dl_record record, uint64_t now_us) {
  dl_window_roll(&record.window, length_of(record.seconds), record.fixed, now_us);
  return dl_window_used(&record.window, length_of(record.seconds), record.fixed, now_us);
}

static dl_record *find_in(dl_set *set, uint64_t tag) {
  for (size_t i = 0; i < DL_SET_SLOTS; i++)
    if (set->tags[i] == tag && set->records[i].seconds) return &set->records[i];
  return NULL;
}

dl_record *dl_shard_find(const dl_shard *shard, dl_place place, const dl_limit *limit) {
  dl_record *record = find_in(place.sets[0], place.tag);
  if (!record) record = find_in(place.sets[1], place.tag);
  if (record) dl_window_roll(&record->window, dl_window_length(limit), limit->fixed, shard->now_us);
  return record;
}

/* --- floors --------------------------------------------------------------------- */

static uint64_t turn_of(uint32_t seconds, uint64_t now_us) { return now_us / length_of(seconds); }

/* A clock that went back leaves a floor where it is, as long as it is near. */
static bool floor_live(dl_floor floor, uint64_t now_us) {
  uint64_t turn = turn_of(floor.seconds ? floor.seconds : 1, now_us);
  return floor.seconds && turn < floor.turn + 3 && turn + 3 > floor.turn;
}

static dl_floor *find_floor(const dl_shard *shard, uint32_t group, uint32_t seconds) {
  for (size_t i = 0; i < DL_SHARD_FLOORS; i++) {
    if (shard->floors[i].group != group) continue; /* most of them, so that no copy is made */
    dl_floor floor = read_floor(&shard->floors[i]);
    if (floor.group == group && floor.seconds == seconds && floor_live(floor, shard->now_us)) return &shard->floors[i];
  }
  return NULL;
}

/* The heights of the turns that are still near, counted from now. */
static uint32_t floor_height(dl_floor floor, uint32_t seconds, uint64_t now_us) {
  uint64_t turn = turn_of(seconds, now_us);
  uint32_t height = 0;
  for (uint64_t age = 0; age < 3; age++)
    if ((floor.turn + 3 - age > turn) && floor.highest[age] > height) height = floor.highest[age];
  return height;
}

uint32_t dl_shard_floor(const dl_shard *shard, const dl_limit *limit) {
  if (shard->now_us >= shard->lock->floors_until_us) return 0;
  const dl_floor *floor = find_floor(shard, group_of(limit), limit->seconds);
  return floor ? floor_height(read_floor(floor), limit->seconds, shard->now_us) : 0;
}

/* Moves the heights so that highest[0] belongs to the present turn, which is two turns
 * ahead at most while it lives; a death in between repeats a height, which is strict. */
static void floor_advance(dl_floor *floor, uint32_t seconds, uint64_t now_us) {
  uint64_t turn = turn_of(seconds, now_us);
  for (int step = 0; step < 3 && floor->turn < turn; step++) {
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
    if (floor_live(read_floor(&shard->floors[i]), shard->now_us)) continue;
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
  floor_advance(floor, seconds, shard->now_us);
  if (used > floor->highest[0]) floor->highest[0] = (uint32_t)used;
  uint64_t until_us = shard->now_us + 4 * length_of(seconds);
  if (until_us > shard->lock->floors_until_us) shard->lock->floors_until_us = until_us;
  return true;
}

/* --- places --------------------------------------------------------------------- */

enum { PLACE_SLOTS = 2 * DL_SET_SLOTS };

/* A slot of the two sets of a place, and what stands in it. */
typedef struct spot {
  uint64_t *tag;
  dl_record *record; /* NULL: no spot */
  uint64_t used;     /* by who is there */
  uint32_t seconds;  /* the length of his window */
} spot;

static spot spot_at(dl_place place, size_t slot) {
  dl_set *set = place.sets[slot / DL_SET_SLOTS];
  return (spot){.tag = &set->tags[slot % DL_SET_SLOTS], .record = &set->records[slot % DL_SET_SLOTS]};
}

/* A free one in the set that has more of them; the first set is enough while it is
 * half empty, so that most searches end there. */
static spot free_spot(dl_place place, uint64_t now_us) {
  spot found = {0};
  size_t most = 0;
  for (size_t half = 0; half < 2 && most < DL_SET_SLOTS / 2; half++) {
    size_t count = 0;
    spot first = {0};
    for (size_t i = 0; i < DL_SET_SLOTS; i++) {
      spot here = spot_at(place, half * DL_SET_SLOTS + i);
      if (is_live(here.record, now_us)) continue;
      if (count++ == 0) first = here;
    }
    if (count > most) most = count, found = first;
  }
  return found;
}

/* The limit that has most places here: the one under attack, or the one most used.
 * A newcomer of a limit that has as many takes from its own. */
static uint32_t crowding_group(dl_place place, uint32_t own) {
  uint32_t group = own, most = 0;
  for (size_t i = 0; i < PLACE_SLOTS && most <= PLACE_SLOTS / 2; i++) {
    uint32_t candidate = spot_at(place, i).record->group, count = 0;
    for (size_t j = 0; j < PLACE_SLOTS; j++) count += spot_at(place, j).record->group == candidate;
    if (count > most || (count == most && candidate == own)) most = count, group = candidate;
  }
  return group;
}

static spot least_of(dl_place place, uint32_t group, uint64_t now_us) {
  spot least = {0};
  for (size_t i = 0; i < PLACE_SLOTS; i++) {
    spot here = spot_at(place, i);
    dl_record record = read_record(here.record);
    if (record.group != group || !record.seconds) continue;
    here.used = used_by(record, now_us);
    here.seconds = record.seconds;
    if (!least.record || here.used < least.used) least = here;
  }
  return least;
}

/* Makes room in full sets. Each limit pays for its own flood: the place comes from
 * the limit that crowds the others out, and who is thrown out leaves his count to
 * that limit's floor, which the newcomer inherits if it is his limit too. */
static bool evict(dl_shard *shard, dl_place place, const dl_limit *limit, uint32_t *floor, spot *made) {
  uint32_t group = crowding_group(place, group_of(limit));
  *made = least_of(place, group, shard->now_us);
  if (!made->record) return false; /* they were there a moment ago: somebody writes without the lock */
  if (group == group_of(limit) && made->used > *floor) *floor = (uint32_t)made->used;
  if (*floor + limit->cost > limit->count) return false;
  if (!raise_floor(shard, group, made->seconds, made->used)) return false;
  dl_store_fence();
  __atomic_fetch_add(&shard->table->stats->evicted, 1, __ATOMIC_RELAXED);
  return true;
}

dl_record *dl_shard_insert(dl_shard *shard, dl_place place, const dl_limit *limit) {
  uint32_t floor = dl_shard_floor(shard, limit);
  if (floor + limit->cost > limit->count) return NULL;
  spot here = free_spot(place, shard->now_us);
  if (!here.record && !evict(shard, place, limit, &floor, &here)) return NULL;
  here.record->seconds = 0; /* nothing is here until all of it is */
  dl_store_fence();
  *here.tag = place.tag;
  here.record->window = (dl_window){.start_us = shard->now_us, .current = floor};
  here.record->group = group_of(limit);
  here.record->fixed = limit->fixed;
  dl_store_fence();
  here.record->seconds = limit->seconds & 0x7fffffffu;
  return here.record;
}
