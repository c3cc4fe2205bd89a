/* SPDX-License-Identifier: MIT */
/* How long a reload waits for a worker that hangs between two generations. */
#include "unit.h"

#include "base/memory.h"
#include "server/master.h"

#include <fcntl.h>
#include <sys/wait.h>

static const uint64_t BEGAN_US = 5000000, MINUTE_US = 60000000;

static pid_t start_hanging(void) {
  pid_t pid = fork_bound();
  while (pid == 0) pause();
  return pid;
}

static bool ended_by_kill(pid_t pid, int options) {
  int status = 0;
  return waitpid(pid, &status, options) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void a_worker_that_does_not_swap_is_ended_after_a_minute_and_no_other(void **state) {
  (void)state;
  dl_master *master = dl_calloc(1, sizeof *master);
  int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  dl_log_init(&master->log, nowhere, DL_LOG_JSON, DL_LOG_INFO, &master->clock);
  master->worker_count = 2;
  for (size_t i = 0; i < 2; i++) master->workers[i] = (dl_child){.pid = start_hanging(), .channel = -1, .state = DL_CHILD_READY};
  master->workers[1].step = DL_STEP_SWAPPING;
  master->reload = (dl_reload){.state = DL_RELOAD_SWAPPING, .number = 2, .began_us = 1, .swap_us = BEGAN_US};

  master->clock.monotonic_us = BEGAN_US + MINUTE_US - 1;
  dl_master_reload_tick(master);
  assert_false(master->workers[1].stuck);
  assert_int_equal(waitpid(master->workers[1].pid, NULL, WNOHANG), 0);

  master->clock.monotonic_us = BEGAN_US + MINUTE_US;
  dl_master_reload_tick(master);
  assert_true(master->workers[1].stuck);
  assert_true(ended_by_kill(master->workers[1].pid, 0));
  assert_false(master->workers[0].stuck);
  assert_int_equal(waitpid(master->workers[0].pid, NULL, WNOHANG), 0);
  assert_int_equal(master->reload.state, DL_RELOAD_SWAPPING); /* until its end is told */

  kill(master->workers[0].pid, SIGKILL);
  assert_true(ended_by_kill(master->workers[0].pid, 0));
  dl_log_free(&master->log);
  close(nowhere);
  dl_free(master);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_worker_that_does_not_swap_is_ended_after_a_minute_and_no_other),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
