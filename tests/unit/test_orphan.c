/* SPDX-License-Identifier: MIT */
/* Each case is a process of its own: what is watched ends it. */
#include "unit.h"

#include "server/orphan.h"

#include <pthread.h>
#include <sys/wait.h>

enum { LONG_US = 600 * 1000000 };

static dl_beat beat;

static int end_of(void (*child)(void)) {
  int status;
  pid_t pid = fork_bound();
  if (pid == 0) {
    child();
    _exit(0);
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static void *hear(void *unused) {
  raise(DL_ORPHAN_SIGNAL);
  return unused;
}

/* The system gives a signal that is for the process to any of its threads. */
static void hear_on_two_threads(void) {
  pthread_t other;
  dl_orphan_watch(&beat, LONG_US);
  if (pthread_create(&other, NULL, hear, NULL) != 0) _exit(2);
  hear(NULL);
  pthread_join(other, NULL);
}

static void one_that_is_not_stuck_goes_on_whichever_thread_is_told(void **state) {
  (void)state;
  assert_int_equal(end_of(hear_on_two_threads), 0);
}

static void be_stuck(void) {
  dl_beat_enter(&beat, 1, DL_STR("GET /"), 1);
  dl_orphan_watch(&beat, LONG_US);
  hear(NULL);
}

static void one_that_is_stuck_ends_at_once(void **state) {
  (void)state;
  assert_int_equal(end_of(be_stuck), 1);
}

static void wait_on(void) {
  dl_orphan_watch(&beat, 1000);
  hear(NULL);
  for (;;) pause(); /* the timer looks again */
}

static void one_that_does_not_come_to_an_end_is_ended(void **state) {
  (void)state;
  assert_int_equal(end_of(wait_on), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_that_is_not_stuck_goes_on_whichever_thread_is_told),
      cmocka_unit_test(one_that_is_stuck_ends_at_once),
      cmocka_unit_test(one_that_does_not_come_to_an_end_is_ended),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
