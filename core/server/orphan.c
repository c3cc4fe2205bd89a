/* SPDX-License-Identifier: MIT */
#include "server/orphan.h"

#include <errno.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 250 };

static const char *const calls[] = {"setitimer", NULL};
const dl_needs dl_orphan_needs = {.folder = "server", .calls = calls};

static const dl_beat *watched;
static uint64_t patience_us;
static _Atomic uint64_t orphaned_us; /* the signal may come to any thread */

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

/* Runs between any two instructions: only what POSIX allows there. */
static void look(int number) {
  static const struct itimerval often = {{0, LOOK_MS * 1000}, {0, LOOK_MS * 1000}};
  int kept = errno;
  uint64_t now_us = now(), since_us = 0;
  (void)number;
  if (atomic_compare_exchange_strong(&orphaned_us, &since_us, now_us)) setitimer(ITIMER_REAL, &often, NULL);
  bool is_late = since_us && now_us > since_us && now_us - since_us > patience_us;
  if (is_late || dl_beat_is_stuck(watched, now_us)) _exit(1);
  errno = kept;
}

void dl_orphan_watch(const dl_beat *beat, uint64_t patience) {
  struct sigaction action = {.sa_handler = look, .sa_flags = SA_RESTART};
  watched = beat;
  patience_us = patience;
  sigemptyset(&action.sa_mask);
  sigaction(DL_ORPHAN_SIGNAL, &action, NULL);
}
