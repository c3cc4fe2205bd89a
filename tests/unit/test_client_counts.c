/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "net/client_counts.h"

#include <sys/wait.h>
#include <unistd.h>

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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_client_is_counted_over_all_workers),
      cmocka_unit_test(what_a_dead_worker_had_open_is_forgotten),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
