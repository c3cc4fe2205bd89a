/* SPDX-License-Identifier: MIT */
/*
 * Where an app's limits are counted: in the table that all workers share, or in a
 * Redis store before it, with what is to happen when that cannot be asked. Asking the
 * store is dl_limit_redis_check; what follows when there is none, when it cannot be
 * asked or when it failed is dl_limit_count_here.
 */
#ifndef DL_LIMIT_COUNTER_H
#define DL_LIMIT_COUNTER_H

#include "limit/redis.h"
#include "limit/table.h"

/* When the store cannot say: the table counts, everybody passes, nobody does. */
typedef enum dl_limit_fallback { DL_LIMIT_LOCAL, DL_LIMIT_OPEN, DL_LIMIT_CLOSED } dl_limit_fallback;

typedef struct dl_limit_counter {
  dl_limit_redis *redis; /* NULL: the table alone */
  dl_limit_fallback fallback;
} dl_limit_counter;

/* Limits that one key is checked against at once. */
typedef struct dl_limit_group {
  dl_limit limits[DL_LIMIT_WINDOWS_MAX];
  size_t count;
} dl_limit_group;

/* The index of "local", "open" or "closed"; false for another name. */
bool dl_limit_fallback_of(dl_str name, dl_limit_fallback *out);

/* Asks the store; NULL when there is none or it cannot be asked now (redis.h). */
dl_limit_query *dl_limit_ask_store(const dl_limit_counter *counter, const dl_limit_group *group, dl_str key, dl_limit_redis_done done, void *owner);

/* Counts without the store, as the app chose. False when nobody may pass uncounted:
 * answer 503. What passes uncounted is allowed with a result that has no limit. */
bool dl_limit_count_here(const dl_limit_counter *counter, dl_limit_table *table, const dl_limit_group *group, dl_str key, uint64_t now_us, dl_limit_result *out);

#endif
