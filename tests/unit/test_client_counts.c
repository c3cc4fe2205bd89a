/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "net/client_counts_internal.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void a_client_is_counted_over_all_workers(void **state) {
  (void)state;
  dl_client_table *table = dl_client_table_new(3);
  dl_client_counts first = {table, 0}, second = {table, 1};
  uint64_t ada = dl_client_counts_hash(&first, DL_STR("192.0.2.1")), bob = dl_client_counts_hash(&second, DL_STR("192.0.2.2"));
  assert_int_equal(dl_client_counts_hash(&second, DL_STR("192.0.2.1")), ada);
  assert_int_equal(dl_client_counts_add(&first, ada), 1);
  assert_int_equal(dl_client_counts_add(&second, ada), 2);
  assert_int_equal(dl_client_counts_add(&second, bob), 1);
  assert_int_equal(dl_client_counts_all(&first), 3);
  dl_client_counts_remove(&second, ada);
  assert_int_equal(dl_client_counts_add(&first, ada), 2);
  dl_client_table_free(table);
}

static void what_a_dead_worker_had_open_is_forgotten(void **state) {
  (void)state;
  dl_client_table *table = dl_client_table_new(2);
  dl_client_counts own = {table, 0}, other = {table, 1};
  uint64_t ada = dl_client_counts_hash(&own, DL_STR("2001:db8::1"));
  dl_client_counts_add(&own, ada);
  pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 100; i++) dl_client_counts_add(&other, ada);
    _exit(0);
  }
  waitpid(child, NULL, 0);
  assert_int_equal(dl_client_counts_all(&own), 101);
  dl_client_table_clear(table, 1);
  assert_int_equal(dl_client_counts_all(&own), 1);
  assert_int_equal(dl_client_counts_add(&own, ada), 2);
  dl_client_table_free(table);
}

static void forbid(void *place) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  mprotect((void *)((uintptr_t)place / page * page), page, PROT_READ);
}

/* Comes to its end at its next write to that place, as if it were killed there. */
static void die_at(dl_client_counts *own, uint64_t hash, void *place, bool removes) {
  pid_t child = fork_bound();
  if (child == 0) {
    setrlimit(RLIMIT_CORE, &(struct rlimit){0});
    signal(SIGSEGV, SIG_DFL);
    if (removes) dl_client_counts_add(own, hash);
    forbid(place);
    if (removes) dl_client_counts_remove(own, hash);
    else dl_client_counts_add(own, hash);
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status));
}

static void nothing_is_left_of_a_worker_that_is_killed_between_two_writes(void **state) {
  (void)state;
  for (int variant = 0; variant < 4; variant++) {
    dl_client_table *table = dl_client_table_new(2);
    dl_client_counts dying = {table, 0}, other = {table, 1};
    const uint64_t far = DL_CLIENT_BUCKETS / 2; /* on a page of its own */
    dl_client_row *row = &table->rows[0];
    die_at(&dying, far, variant % 2 ? (void *)&row->buckets[far] : (void *)&row->all, variant < 2);
    dl_client_table_clear(table, 0);
    assert_int_equal(dl_client_counts_all(&other), 0);
    assert_int_equal(dl_client_counts_add(&other, far), 1);
    dl_client_table_free(table);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_client_is_counted_over_all_workers),
      cmocka_unit_test(what_a_dead_worker_had_open_is_forgotten),
      cmocka_unit_test(nothing_is_left_of_a_worker_that_is_killed_between_two_writes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
