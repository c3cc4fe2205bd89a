/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "base/beat.h"

#include <sys/mman.h>

static void says_since_when_something_runs(void **state) {
  (void)state;
  dl_beat beat = {0};
  assert_false(dl_beat_is_stuck(&beat, 5000));
  dl_beat_enter(&beat, 1000, DL_STR("GET /"), 10);
  assert_string_equal(beat.label, "GET /");
  assert_false(dl_beat_is_stuck(&beat, 1010));
  assert_true(dl_beat_is_stuck(&beat, 1011));
  dl_beat_enter(&beat, 1005, DL_STR("GET /more"), 10); /* it has not come back to waiting in between */
  assert_true(dl_beat_is_stuck(&beat, 1011));
  dl_beat_rest(&beat);
  assert_false(dl_beat_is_stuck(&beat, 5000));
  char longer[2 * DL_BEAT_LABEL_BYTES];
  memset(longer, 'x', sizeof longer);
  dl_beat_enter(&beat, 1000, dl_str_from(longer, sizeof longer), 10);
  assert_int_equal(strlen(beat.label), DL_BEAT_LABEL_BYTES - 1);
}

static dl_beat *watched;
static char *limit_page;

/* Whoever looks has read since when, and not yet how long it may take: meanwhile it rests, and begins something else. */
static void go_on(int number) {
  (void)number;
  mprotect(limit_page, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE);
  dl_beat_rest(watched);
  dl_beat_enter(watched, 900, (dl_str){0}, 10);
}

static void nobody_is_stuck_by_the_limit_of_what_came_next(void **state) {
  (void)state;
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(memory != MAP_FAILED);
  limit_page = memory + page;
  watched = (dl_beat *)(void *)(limit_page - offsetof(dl_beat, limit_us));
  struct sigaction action = {.sa_handler = go_on}, before;
  sigaction(SIGSEGV, &action, &before);
  dl_beat_enter(watched, 100, (dl_str){0}, 1000);
  mprotect(limit_page, page, PROT_NONE);
  assert_false(dl_beat_is_stuck(watched, 905));
  sigaction(SIGSEGV, &before, NULL);
  assert_int_equal(watched->limit_us, 10);
  assert_true(dl_beat_is_stuck(watched, 911));
  munmap(memory, 2 * page);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(says_since_when_something_runs),
      cmocka_unit_test(nobody_is_stuck_by_the_limit_of_what_came_next),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
