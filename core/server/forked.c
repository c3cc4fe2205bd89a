/* SPDX-License-Identifier: MIT */
#include "server/forked.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the list of all that is caught */
static dl_caught *all;
static _Thread_local sigset_t mask_before;

static void let_go(dl_caught *caught) {
  for (size_t i = 0; i < DL_CAUGHT_SIGNALS; i++) uv_signal_stop(caught->signals[i]);
  *caught->place = caught->next;
  if (caught->next) caught->next->place = caught->place;
  caught->place = NULL;
}

/* --- around a fork ---------------------------------------------------------------------- */

/* A child that was only just forked may be sent one already. */
static void hold(void) {
  sigset_t every;
  sigfillset(&every);
  pthread_sigmask(SIG_BLOCK, &every, &mask_before);
  pthread_mutex_lock(&lock);
}

static void go_on(void) {
  pthread_mutex_unlock(&lock);
  pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
}

static void go_on_in_child(void) {
  while (all) let_go(all);
  go_on();
}

static void watch_forks(void) { pthread_atfork(hold, go_on, go_on_in_child); }

/* --- servers ------------------------------------------------------------------------------- */

void dl_forked_watch(dl_caught *caught) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, watch_forks);
  pthread_mutex_lock(&lock);
  caught->next = all;
  caught->place = &all;
  if (all) all->place = &caught->next;
  all = caught;
  pthread_mutex_unlock(&lock);
}

void dl_forked_end(dl_caught *caught) {
  pthread_mutex_lock(&lock);
  if (caught->place) let_go(caught);
  pthread_mutex_unlock(&lock);
}
