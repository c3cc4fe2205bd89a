/* SPDX-License-Identifier: MIT */
/* Deadlines: who is due is told, whatever the others' times are and were. */
#include "unit.h"

#include "net/deadline.h"

enum { COUNT = 8 };

typedef struct member {
  dl_deadline deadline; /* first, so that one is the other */
  int expired;
} member;

static dl_deadlines list;

static void on_expired(dl_deadline *deadline) { ((member *)(void *)deadline)->expired++; }

static int begin(void **state) {
  (void)state;
  dl_deadlines_init(&list, on_expired);
  return 0;
}

static void tells_each_once_when_its_time_has_come(void **state) {
  member members[COUNT] = {0};
  (void)state;
  for (size_t i = 0; i < COUNT; i++) dl_deadline_set(&list, &members[i].deadline, 100 + i);
  dl_deadline_clear(&members[1].deadline);
  dl_deadlines_sweep(&list, 102);
  for (size_t i = 0; i < COUNT; i++) assert_int_equal(members[i].expired, i == 0 || i == 2);
  dl_deadlines_sweep(&list, 1000);
  for (size_t i = 0; i < COUNT; i++) assert_int_equal(members[i].expired, i != 1);
}

static void a_shorter_time_waits_for_no_longer_one(void **state) {
  member longer = {0}, shorter[2] = {0};
  (void)state;
  dl_deadline_set(&list, &longer.deadline, 1000);
  dl_deadline_set(&list, &shorter[0].deadline, 100);
  dl_deadlines_sweep(&list, 50);
  dl_deadlines_sweep(&list, 100);
  assert_int_equal(shorter[0].expired, 1);
  dl_deadline_set(&list, &shorter[1].deadline, 200); /* also once the list was in order again */
  dl_deadlines_sweep(&list, 200);
  assert_int_equal(shorter[1].expired, 1);
  assert_int_equal(longer.expired, 0);
  dl_deadlines_sweep(&list, 1000);
  assert_int_equal(longer.expired, 1);
}

static void an_order_that_was_lost_is_found_again(void **state) {
  member members[3] = {0};
  (void)state;
  dl_deadline_set(&list, &members[0].deadline, 300);
  dl_deadline_set(&list, &members[1].deadline, 100);
  dl_deadline_set(&list, &members[2].deadline, 400);
  assert_false(list.ordered);
  dl_deadlines_sweep(&list, 50);
  assert_false(list.ordered);
  dl_deadlines_sweep(&list, 100);
  assert_true(list.ordered);
  dl_deadlines_sweep(&list, 400);
  for (size_t i = 0; i < 3; i++) assert_int_equal(members[i].expired, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(tells_each_once_when_its_time_has_come, begin),
      cmocka_unit_test_setup(a_shorter_time_waits_for_no_longer_one, begin),
      cmocka_unit_test_setup(an_order_that_was_lost_is_found_again, begin),
  };
  return cmocka_run_group_tests_name("deadline", tests, NULL, NULL);
}
