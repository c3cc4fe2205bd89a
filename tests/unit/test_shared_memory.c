/* SPDX-License-Identifier: MIT */
/*
 * Memory that all workers can write, as one leaves it that was taken over: any bytes,
 * also while others work in it. Counts may be spoilt; nobody reads or writes outside,
 * divides by what stands there, or goes on without end.
 */
#include "unit.h"

#include "app/metrics_internal.h"
#include "limit/internal.h"
#include "net/client_counts_internal.h"
#include "net/tls_ticket_keys.h"
#include "server/prometheus.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

enum { SECOND = 1000000, FILLS = 60, CHECKS = 200, KINDS = 5 };

static uint64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* All zero, all ones, small numbers, anything, and anything here and there. */
static void fill(void *memory, size_t bytes, int kind) {
  unsigned char *at = memory;
  for (size_t i = 0; i < bytes; i++) {
    if (kind == 0) at[i] = 0;
    if (kind == 1) at[i] = 0xff;
    if (kind == 2) at[i] = (unsigned char)(i % 4 ? 0 : rand() % 3);
    if (kind == 3 || (kind == 4 && rand() % 8 == 0)) at[i] = (unsigned char)rand();
  }
}

/* A process that writes there until it is killed, or its parent is: what was looked at
 * changes before it is used. */
static pid_t scribble(void *memory, size_t bytes) {
  pid_t child = fork_bound();
  if (child == 0)
    for (int kind = 0;; kind = (kind + 1) % KINDS) fill(memory, bytes, kind);
  return child;
}

static void end(pid_t child) {
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
}

/* --- limits --------------------------------------------------------------------------------- */

typedef struct world {
  dl_limit_table *table;
  dl_limit limits[DL_LIMIT_WINDOWS_MAX];
  size_t count;
} world;

static world begin(void) {
  char error[DL_LIMIT_ERROR_BYTES];
  world w = {.table = dl_limit_table_new(16384)};
  w.count = dl_limit_parse(DL_STR("5/second;20/minute;1000/day"), &(dl_limit_options){.scope = DL_STR("GET / client")}, w.limits, error);
  assert_int_equal(w.count, 3);
  return w;
}

/* Locks that are held cost a wait each, and have a test of their own. */
static void free_locks(const dl_limit_table *table) {
  for (uint32_t i = 0; i <= table->shard_mask; i++) table->locks[i].lock = (dl_shared_lock){0};
}

static void check_often(const world *w) {
  for (uint64_t i = 0; i < CHECKS; i++) {
    uint64_t key = (uint64_t)rand() % 100, now_us = (uint64_t)rand() * SECOND + (uint64_t)rand() % SECOND;
    dl_limit_result result = dl_limit_check(w->table, w->limits, w->count, dl_str_from((const char *)&key, sizeof key), now_us);
    assert_true(!result.limit || (result.limit >= w->limits && result.limit < w->limits + w->count));
    assert_true(!result.limit || result.remaining <= result.limit->count);
  }
}

static void limits_are_counted_in_whatever_stands_there(void **state) {
  (void)state;
  world w = begin();
  dl_limit_table before = *w.table;
  for (int i = 0; i < FILLS; i++) {
    fill(w.table->memory, w.table->bytes, i % KINDS);
    free_locks(w.table);
    check_often(&w);
    dl_limit_table_read_stats(w.table);
  }
  assert_memory_equal(w.table, &before, sizeof before);
  dl_limit_table_free(w.table);
}

static void limits_are_counted_while_somebody_scribbles(void **state) {
  (void)state;
  world w = begin();
  char *after_locks = (char *)w.table->floors;
  pid_t child = scribble(after_locks, w.table->bytes - (size_t)(after_locks - (char *)w.table->memory));
  for (int i = 0; i < FILLS; i++) check_often(&w);
  end(child);
  dl_limit_table_free(w.table);
}

/* Whoever holds it by that number, the wait is bounded, and is waited once. */
static void a_lock_that_nobody_gives_back_costs_one_wait(void **state) {
  (void)state;
  static const uint32_t words[] = {1, 0x3fffffff, 0x80000001, 0x40000000, 0xc0000000, 0xffffffff};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    world w = begin();
    for (uint32_t shard = 0; shard <= w.table->shard_mask; shard++) w.table->locks[shard].lock.word = words[i];
    uint64_t begun_ms = now_ms();
    for (int k = 0; k < 10; k++) check_often(&w);
    assert_true(now_ms() - begun_ms < (w.table->shard_mask + 1) * DL_LOCK_WAIT_MS + 10 * CHECKS * DL_LOCK_WAIT_MS / 2); /* not at each check */
    dl_limit_table_free(w.table);
  }
}

/* --- clients --------------------------------------------------------------------------------- */

static void clients_are_counted_in_whatever_stands_there(void **state) {
  (void)state;
  dl_client_table *table = dl_client_table_new(2), before = *table;
  dl_client_counts own = {table, 0};
  for (int i = 0; i < 2 * KINDS; i++) {
    fill(table->rows, 2 * sizeof *table->rows, i % KINDS);
    uint64_t hash = dl_client_counts_hash(&own, DL_STR("192.0.2.1"));
    uint32_t here = dl_client_counts_add(&own, hash);
    assert_int_equal(dl_client_counts_add(&own, hash), here + 1);
    dl_client_counts_all(&own);
    dl_client_counts_remove(&own, hash);
    dl_client_table_clear(table, 1);
  }
  assert_memory_equal(table, &before, sizeof before);
  dl_client_table_clear(table, 0);
  assert_int_equal(dl_client_counts_all(&own), 0);
  dl_client_table_free(table);
}

/* --- metrics ---------------------------------------------------------------------------------- */

static void metrics_are_told_while_somebody_scribbles(void **state) {
  (void)state;
  dl_metrics *metrics = dl_metrics_new(1);
  dl_metrics_writer writer;
  dl_buffer page = {0};
  dl_metrics_open(&writer, metrics, 0);
  pid_t child = scribble(&metrics->block->route_count, metrics->bytes - offsetof(dl_metrics_block, route_count));
  for (int i = 0; i < 6; i++) {
    char path[16];
    snprintf(path, sizeof path, "/%d", i);
    uint32_t series = dl_metrics_route(metrics, DL_METHOD_GET, dl_str_of(path));
    assert_true(series < DL_SERIES_MAX);
    dl_metrics_count_request(&writer, series, 200, 10);
    dl_metrics_count_reason(&writer, path);
    dl_buffer_clear(&page);
    dl_prometheus_write(&page, metrics, NULL);
    for (const char *line = page.data; line < page.data + page.len; line = (const char *)memchr(line, '\n', (size_t)(page.data + page.len - line)) + 1)
      assert_true(*line == '#' || strncmp(line, "demilune_", 9) == 0);
  }
  end(child);
  dl_buffer_free(&page);
  dl_metrics_free(metrics);
}

/* --- tickets ---------------------------------------------------------------------------------- */

static void a_turn_that_never_rests_keeps_nobody(void **state) {
  (void)state;
  dl_tls_ticket_keys *keys = mmap(NULL, sizeof *keys, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  dl_tls_ticket_key key;
  const unsigned char name[16] = {0};
  assert_true(keys != MAP_FAILED && dl_tls_ticket_keys_rotate(keys));
  pid_t child = scribble(&keys->turn, sizeof keys->turn);
  for (int i = 0; i < 10000; i++) {
    dl_tls_ticket_keys_current(keys, &key);
    dl_tls_ticket_keys_find(keys, name, &key);
  }
  end(child);
  munmap(keys, sizeof *keys);
}

int main(void) {
  srand((unsigned)time(NULL));
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(limits_are_counted_in_whatever_stands_there),
      cmocka_unit_test(limits_are_counted_while_somebody_scribbles),
      cmocka_unit_test(a_lock_that_nobody_gives_back_costs_one_wait),
      cmocka_unit_test(clients_are_counted_in_whatever_stands_there),
      cmocka_unit_test(metrics_are_told_while_somebody_scribbles),
      cmocka_unit_test(a_turn_that_never_rests_keeps_nobody),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
