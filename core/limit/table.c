/* SPDX-License-Identifier: MIT */
/*
 * The table's memory, its locks, and the check itself. All windows of a key lie in
 * one shard, so that one lock makes a check of several windows all or nothing.
 */
#include "limit/internal.h"

#include "base/hash.h"
#include "base/memory.h"

#include <assert.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

enum { LEAST_BYTES = 8192 };

static size_t round_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

/* As many shards as make workers unlikely to meet, but none of only a few sets. */
static uint32_t shards_for(size_t bytes) {
  uint32_t shards = 1;
  while (shards < DL_SHARDS_MAX && bytes / sizeof(dl_set) / (shards * 2) >= DL_SETS_PER_SHARD_MIN) shards *= 2;
  return shards;
}

dl_limit_table *dl_limit_table_new(size_t bytes) {
  if (bytes < LEAST_BYTES) bytes = LEAST_BYTES;
  uint32_t shards = shards_for(bytes);
  size_t head = round_up(sizeof(dl_limit_table_stats), 64), locks = shards * sizeof(dl_shard_lock);
  size_t floors = (size_t)shards * DL_SHARD_FLOORS * sizeof(dl_floor), fixed = head + locks + floors;
  size_t sets = (bytes > fixed ? bytes - fixed : 0) / sizeof(dl_set) / shards;
  uint64_t key[2];
  if (sets == 0) sets = 1;
  bytes = fixed + sets * shards * sizeof(dl_set);
  if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key) return NULL;
  char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return NULL;
  dl_limit_table *table = dl_malloc(sizeof *table);
  *table = (dl_limit_table){.key = {key[0], key[1]}, .memory = memory, .bytes = bytes, .shard_mask = shards - 1, .sets_per_shard = (uint32_t)sets};
  table->stats = (dl_limit_table_stats *)(void *)memory;
  table->locks = (dl_shard_lock *)(void *)(memory + head);
  table->floors = (dl_floor *)(void *)(memory + head + locks);
  table->sets = (dl_set *)(void *)(memory + fixed);
  dl_shared_lock_prepare();
  return table;
}

void dl_limit_table_free(dl_limit_table *table) {
  if (table) munmap(table->memory, table->bytes);
  dl_free(table);
}

dl_limit_table_stats dl_limit_table_read_stats(const dl_limit_table *table) {
  return (dl_limit_table_stats){
      .evicted = __atomic_load_n(&table->stats->evicted, __ATOMIC_RELAXED),
      .crowded = __atomic_load_n(&table->stats->crowded, __ATOMIC_RELAXED),
      .repaired = __atomic_load_n(&table->stats->repaired, __ATOMIC_RELAXED),
      .stuck = __atomic_load_n(&table->stats->stuck, __ATOMIC_RELAXED),
  };
}

static void count_one(uint64_t *counter) { __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); }

/* --- locks ------------------------------------------------------------------------ */

/* A bounded wait: a stopped process may hold the lock, and then its shard's clients
 * are refused rather than this worker's loop held up, and but once in a while. */
static dl_lock_result take_patiently(dl_shard_lock *lock) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
  if (now_ms < __atomic_load_n(&lock->suspect_until_ms, __ATOMIC_RELAXED)) return DL_LOCK_BUSY;
  dl_lock_result result = dl_shared_lock_take(&lock->lock, DL_LOCK_WAIT_MS);
  if (result == DL_LOCK_BUSY) __atomic_store_n(&lock->suspect_until_ms, now_ms + DL_LOCK_SUSPECT_MS, __ATOMIC_RELAXED);
  return result;
}

static bool lock_shard(const dl_shard *shard) {
  dl_lock_result result = dl_shared_lock_take(&shard->lock->lock, 0);
  if (result == DL_LOCK_BUSY) result = take_patiently(shard->lock);
  if (result == DL_LOCK_BUSY) {
    count_one(&shard->table->stats->stuck);
    return false;
  }
  /* Nothing to mend: internal.h says what every store leaves behind. */
  if (result == DL_LOCK_INHERITED) count_one(&shard->table->stats->repaired);
  if (__atomic_load_n(&shard->lock->suspect_until_ms, __ATOMIC_RELAXED)) __atomic_store_n(&shard->lock->suspect_until_ms, 0, __ATOMIC_RELAXED);
  return true;
}

/* --- the check ---------------------------------------------------------------------- */

typedef struct check {
  dl_shard shard;
  uint64_t hash[2];
  const dl_limit *limits;
  size_t count;
  dl_record *found[DL_LIMIT_WINDOWS_MAX]; /* until a record is placed, which may take another's slot */
} check;

static dl_set *set_at(const dl_shard *shard, uint32_t spread) { return &shard->sets[(uint64_t)spread * shard->table->sets_per_shard >> 32]; }

/* The limits' ids are hashes themselves, and no client chooses them: mixing them
 * with the key's hash is as good as hashing both. */
static dl_place place_of(const check *c, const dl_limit *limit) {
  uint64_t tag = c->hash[0] ^ limit->id, spread = c->hash[1] ^ limit->id;
  return (dl_place){.sets = {set_at(&c->shard, (uint32_t)(spread >> 32)), set_at(&c->shard, (uint32_t)spread)}, .tag = tag ? tag : 1};
}

static uint64_t used_of(const dl_window *window, const dl_limit *limit, uint64_t now_us) {
  return dl_window_used(window, dl_window_length(limit), limit->fixed, now_us);
}

/* Whether the request fits into all limits; if not, result says why. */
static bool fits(check *c, dl_limit_result *result) {
  uint64_t now_us = c->shard.now_us;
  bool fit = true;
  for (size_t i = 0; i < c->count; i++) {
    const dl_limit *limit = &c->limits[i];
    const dl_record *record = c->found[i] = dl_shard_find(&c->shard, place_of(c, limit), limit);
    dl_window window = record ? dl_window_read(&record->window) : (dl_window){.start_us = now_us, .current = dl_shard_floor(&c->shard, limit)};
    if (used_of(&window, limit, now_us) + limit->cost <= limit->count) continue;
    dl_limit_judge(result, limit, &window, now_us, false);
    fit = false;
  }
  return fit;
}

static void take_back(const check *c, size_t counted) {
  for (size_t i = 0; i < counted; i++) {
    dl_record *record = dl_shard_find(&c->shard, place_of(c, &c->limits[i]), &c->limits[i]);
    if (record) record->window.current -= c->limits[i].cost;
  }
}

/* No place for the key beside those that must not be forgotten. */
static void refuse_crowded(const check *c, const dl_limit *limit, dl_limit_result *result) {
  dl_window full = {.start_us = c->shard.now_us, .current = limit->count};
  *result = (dl_limit_result){0};
  dl_limit_judge(result, limit, &full, c->shard.now_us, false);
  count_one(&c->shard.table->stats->crowded);
}

static void count_all(check *c, dl_limit_result *result) {
  bool placed = false;
  for (size_t i = 0; i < c->count; i++) {
    const dl_limit *limit = &c->limits[i];
    dl_record *record = placed ? dl_shard_find(&c->shard, place_of(c, limit), limit) : c->found[i];
    if (!record) {
      record = dl_shard_insert(&c->shard, place_of(c, limit), limit);
      placed = true;
    }
    if (!record) {
      take_back(c, i);
      refuse_crowded(c, limit, result);
      return;
    }
    record->window.current += limit->cost;
    dl_window window = dl_window_read(&record->window);
    dl_limit_judge(result, limit, &window, c->shard.now_us, true);
  }
}

static dl_shard shard_of(const dl_limit_table *table, const uint64_t hash[2], uint64_t now_us) {
  size_t index = hash[1] & table->shard_mask;
  return (dl_shard){.table = table,
                    .lock = &table->locks[index],
                    .floors = &table->floors[index * DL_SHARD_FLOORS],
                    .sets = &table->sets[index * table->sets_per_shard],
                    .now_us = now_us};
}

dl_limit_result dl_limit_check(dl_limit_table *table, const dl_limit *limits, size_t count, dl_str key, uint64_t now_us) {
  assert(count <= DL_LIMIT_WINDOWS_MAX);
  dl_limit_result result = {.allowed = true};
  if (count == 0) return result;
  check c;
  c.limits = limits, c.count = count;
  dl_hash128(table->key, key, c.hash);
  c.shard = shard_of(table, c.hash, now_us);
  /* The lock's line and the set's come from memory at the same time. */
  for (size_t i = 0; i < count; i++) __builtin_prefetch(place_of(&c, &limits[i]).sets[0], 1);
  if (!lock_shard(&c.shard)) return (dl_limit_result){.limit = limits, .reset_s = 1, .retry_after_s = 1};
  if (fits(&c, &result)) count_all(&c, &result);
  dl_shared_lock_give(&c.shard.lock->lock);
  return result;
}
