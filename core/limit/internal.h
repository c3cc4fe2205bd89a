/* SPDX-License-Identifier: MIT */
/*
 * What the files of core/limit share: the judgement of one window, and how the table
 * lies in memory. What is shared is touched only under the shard's lock, but for the
 * statistics. Every order of stores is one after which a reader finds a count that is
 * at least the true one, since a process may be killed between any two. Every worker
 * can write all that is shared, also one that was taken over, and at any moment:
 * pointers and bounds are each process' own, and what decides about a division or a
 * loop is read once, into memory of ours.
 */
#ifndef DL_LIMIT_INTERNAL_H
#define DL_LIMIT_INTERNAL_H

#include "base/shared_lock.h"
#include "limit/table.h"
#include "limit/window.h"

/* Lets worst be the stricter of itself and what the window says. When allowed, the
 * request is counted in the window already; otherwise it is the reason to refuse. */
void dl_limit_judge(dl_limit_result *worst, const dl_limit *limit, const dl_window *window, uint64_t now_us, bool allowed);

enum {
  DL_SET_SLOTS = 8,
  DL_SHARD_FLOORS = 16,
  DL_SHARDS_MAX = 1024,
  DL_SETS_PER_SHARD_MIN = 64, /* fewer would fill unevenly */
  DL_LOCK_WAIT_MS = 250,    /* a lock is held for some 20 ns: this long means that its holder is stopped */
  DL_LOCK_SUSPECT_MS = 10000, /* for which nobody waits for that lock again */
};

/* A compiler's fence is enough: what a killed process stored, it stored in order. */
static inline void dl_store_fence(void) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }

/* One window of one key. */
typedef struct dl_record {
  dl_window window;
  uint32_t group;        /* low half of the limit's id: whose floor it falls to */
  uint32_t seconds : 31; /* 0: nothing is here */
  uint32_t fixed : 1;
} dl_record;

typedef struct dl_set {
  uint64_t tags[DL_SET_SLOTS]; /* a cache line to search, another for the record */
  dl_record records[DL_SET_SLOTS];
} dl_set;

_Static_assert(sizeof(dl_record) == 24 && sizeof(dl_set) == 256, "tags fill one cache line, and a set four");

/* The most that a key of this group had when it lost its place, by the turn (now /
 * window) in which it did: this one and the two before, since a sliding window bears
 * on the present for two lengths. What is not in the table counts as that much. */
typedef struct dl_floor {
  uint64_t turn;
  uint32_t group, seconds; /* seconds 0: nothing is here */
  uint32_t highest[3];
  uint32_t unused;
} dl_floor;

typedef struct dl_shard_lock {
  _Alignas(64) dl_shared_lock lock;
  uint64_t floors_until_us;  /* there are no floors in this shard from then on */
  uint64_t suspect_until_ms; /* atomic; the system's monotonic time, 0 when the lock was last had in time */
} dl_shard_lock;

/* Each process' own, made before the fork; what it points to is shared. */
struct dl_limit_table {
  uint64_t key[2]; /* secret of this table: nobody outside can choose keys that collide */
  void *memory;
  size_t bytes;
  uint32_t shard_mask, sets_per_shard;
  dl_limit_table_stats *stats; /* atomic adds, on rare paths */
  dl_shard_lock *locks;
  dl_floor *floors; /* DL_SHARD_FLOORS for each shard */
  dl_set *sets;
};

/* A copy, to decide by: what is shared may change between two looks. */
static inline dl_window dl_window_read(const dl_window *shared) { return *(const volatile dl_window *)shared; }

/* One key in one shard, while its lock is held. */
typedef struct dl_shard {
  const dl_limit_table *table;
  dl_shard_lock *lock;
  dl_floor *floors;
  dl_set *sets;
  uint64_t now_us;
} dl_shard;

/* Where a limit's window of this key may stand: in one of two sets, so that a set is
 * full only when the table nearly is. */
typedef struct dl_place {
  dl_set *sets[2];
  uint64_t tag;
} dl_place;

/* The record at that place, rolled to now; NULL when there is none. */
dl_record *dl_shard_find(const dl_shard *shard, dl_place place, const dl_limit *limit);

/* What a key that has no record has used, at most. */
uint32_t dl_shard_floor(const dl_shard *shard, const dl_limit *limit);

/* Makes a record for a key that has none, in a free slot or in one whose owner falls
 * to the floor; its count begins with the floor. NULL when the request would not fit
 * into the limit then, or no slot can be had: nothing has changed in that case. */
dl_record *dl_shard_insert(dl_shard *shard, dl_place place, const dl_limit *limit);

#endif
