/* SPDX-License-Identifier: MIT */
/*
 * The table that all workers count in: made before they are forked, bounded, and
 * usable after any of them was killed at any moment. What a worker counts is never
 * forgotten before its window ends, however many other keys arrive: README.md says
 * how, and what a full table does.
 *
 * Needs of the system: mmap(2) and getrandom(2) to make it, futex(2) to use it; no
 * files, no network.
 */
#ifndef DL_LIMIT_TABLE_H
#define DL_LIMIT_TABLE_H

#include "limit/limit.h"

/* Enough for half a million windows of clients at once. Memory is taken as it is used. */
#define DL_LIMIT_TABLE_BYTES ((size_t)16 << 20)

typedef struct dl_limit_table dl_limit_table;

/* For metrics; counted since the table was made, by all processes. */
typedef struct dl_limit_table_stats {
  uint64_t evicted;  /* windows that gave up their place, and whose count others inherit */
  uint64_t crowded;  /* requests refused since there was no place to count them in */
  uint64_t repaired; /* locks taken over from a process that died holding them */
  uint64_t stuck;    /* requests refused since a lock was held too long (a stopped process) */
} dl_limit_table_stats;

/* Of about that many bytes, at least 8 KiB. NULL when the system has no memory for
 * it. Call it before fork; children use the same pointer. */
dl_limit_table *dl_limit_table_new(size_t bytes);

/* Ends this process' use of it. */
void dl_limit_table_free(dl_limit_table *table);

/* Counts one request of key against all limits, or against none: one that a limit
 * refuses takes nothing from the others. key is any bytes; now_us is monotonic
 * microseconds, and may be as old as the loop's turn (a clock that goes back opens
 * no window). limits must live as long as the result is used. count is at most
 * DL_LIMIT_WINDOWS_MAX; with 0 the request is allowed and the result has no limit.
 * Any process, any thread; costs no system call unless another holds the lock. */
dl_limit_result dl_limit_check(dl_limit_table *table, const dl_limit *limits, size_t count, dl_str key, uint64_t now_us);

dl_limit_table_stats dl_limit_table_read_stats(const dl_limit_table *table);

#endif
