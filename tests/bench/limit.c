/* SPDX-License-Identifier: MIT */
/*
 * Nanoseconds of processor time for one limit check, the best of many rounds; the
 * budget is 100. Keys are addresses as the pipeline has them; "many keys" walks over
 * more of them than the processor's caches hold.
 */
#include "limit/table.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHECKS_IN_ALL = 4000000, MANY_KEYS = 200000 };

typedef struct world {
  dl_limit_table *table;
  dl_limit limits[DL_LIMIT_WINDOWS_MAX];
  size_t limit_count;
  uint32_t keys;       /* different ones, in turn */
  uint64_t step_us;    /* between two requests */
  bool from_text;      /* the key is made of an address each time */
  bool fixed;
} world;

/* Time of this process alone: what other programs do is not part of it. */
static double now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static uint64_t run(const world *w, uint64_t *now_us, uint32_t checks) {
  uint64_t allowed = 0;
  for (uint32_t i = 0; i < checks; i++) {
    char bytes[DL_LIMIT_KEY_BYTES] = {'4'};
    dl_str key = dl_str_from(bytes, 5);
    if (w->from_text) key = dl_limit_client_key(DL_STR("203.0.113.195"), bytes);
    uint32_t number = (uint32_t)(*now_us / 5) % w->keys * 2654435761u;
    memcpy(bytes + 1, &number, 4);
    *now_us += w->step_us;
    allowed += dl_limit_check(w->table, w->limits, w->limit_count, key, *now_us).allowed;
  }
  return allowed;
}

static void measure(const char *what, const char *rule, world w, uint32_t checks) {
  char error[DL_LIMIT_ERROR_BYTES];
  w.limit_count = dl_limit_parse(dl_str_of(rule), &(dl_limit_options){.scope = DL_STR("bench"), .fixed = w.fixed}, w.limits, error);
  w.table = dl_limit_table_new(DL_LIMIT_TABLE_BYTES);
  uint64_t now_us = 1000000000, allowed = run(&w, &now_us, checks);
  double best = 1e18;
  for (uint32_t done = 0; done < CHECKS_IN_ALL; done += checks) {
    double begin = now_ns();
    allowed = run(&w, &now_us, checks);
    double each = (now_ns() - begin) / checks;
    if (each < best) best = each;
  }
  printf("%-44s %6.1f ns   %5.1f %% allowed\n", what, best, 100.0 * (double)allowed / checks);
  dl_limit_table_free(w.table);
}

/* Two processes on one table: what a worker pays when the others work as well. */
static void measure_two(const char *what, uint32_t keys) {
  world w = {.keys = keys, .step_us = 5};
  char error[DL_LIMIT_ERROR_BYTES];
  w.limit_count = dl_limit_parse(DL_STR("1000000/minute"), &(dl_limit_options){.scope = DL_STR("bench")}, w.limits, error);
  w.table = dl_limit_table_new(DL_LIMIT_TABLE_BYTES);
  uint64_t now_us = 1000000000;
  enum { CHECKS = 3000000 };
  double begin = now_ns();
  pid_t other = fork();
  run(&w, &now_us, CHECKS);
  if (other == 0) _exit(0);
  waitpid(other, NULL, 0);
  printf("%-44s %6.1f ns\n", what, (now_ns() - begin) / CHECKS);
  dl_limit_table_free(w.table);
}

int main(void) {
  measure("one key, allowed, fixed window", "1000000/second", (world){.keys = 1, .step_us = 5, .fixed = true}, 20000);
  measure("one key, allowed", "1000000/second", (world){.keys = 1, .step_us = 5}, 20000);
  measure("one key, refused", "5/minute", (world){.keys = 1, .step_us = 0}, 20000);
  measure("one key, refused, now and then allowed", "100/second", (world){.keys = 1, .step_us = 5}, 20000);
  measure("one key, two windows, allowed", "1000000/second;1000000/minute", (world){.keys = 1, .step_us = 100}, 20000);
  measure("one key, from the address as text", "1000000/second", (world){.keys = 1, .step_us = 5, .from_text = true}, 20000);
  measure("1,000 keys, allowed", "1000000/minute", (world){.keys = 1000, .step_us = 5}, 20000);
  measure("many keys, allowed", "1000000/hour", (world){.keys = MANY_KEYS, .step_us = 5}, MANY_KEYS);
  measure("every key new, table full", "5/hour", (world){.keys = UINT32_MAX, .step_us = 5}, 600000);
  measure_two("two processes, one key", 1);
  measure_two("two processes, 1,000 keys", 1000);
  return 0;
}
