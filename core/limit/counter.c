/* SPDX-License-Identifier: MIT */
#include "limit/counter.h"

bool dl_limit_fallback_of(dl_str name, dl_limit_fallback *out) {
  static const char *const names[] = {"local", "open", "closed"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (!dl_str_equal(name, dl_str_of(names[i]))) continue;
    *out = (dl_limit_fallback)i;
    return true;
  }
  return false;
}

dl_limit_query *dl_limit_ask_store(const dl_limit_counter *counter, const dl_limit_group *group, dl_str key, dl_limit_redis_done done, void *owner) {
  return counter->redis ? dl_limit_redis_check(counter->redis, group->limits, group->count, key, done, owner) : NULL;
}

bool dl_limit_count_here(const dl_limit_counter *counter, dl_limit_table *table, const dl_limit_group *group, dl_str key, uint64_t now_us, dl_limit_result *out) {
  *out = (dl_limit_result){.allowed = true};
  if (counter->redis && counter->fallback == DL_LIMIT_CLOSED) return false;
  if (counter->redis && counter->fallback == DL_LIMIT_OPEN) return true;
  *out = dl_limit_check(table, group->limits, group->count, key, now_us);
  return true;
}
