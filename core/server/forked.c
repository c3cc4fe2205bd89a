/* SPDX-License-Identifier: MIT */
#include "server/forked.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

typedef void handler(int number);

static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1};
static _Atomic(handler *) of_the_loop; /* libuv has one for all signals and loops */
static _Thread_local sigset_t mask_before;

static handler *current(int number) {
  struct sigaction action = {.sa_handler = SIG_DFL};
  sigaction(number, NULL, &action);
  return action.sa_handler;
}

/* A child that was only just forked may be sent one already. */
static void hold(void) {
  sigset_t all;
  sigemptyset(&all);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) sigaddset(&all, numbers[i]);
  pthread_sigmask(SIG_BLOCK, &all, &mask_before);
}

static void go_on(void) { pthread_sigmask(SIG_SETMASK, &mask_before, NULL); }

static void give_back(void) {
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    if (current(numbers[i]) == of_the_loop) signal(numbers[i], SIG_DFL);
  go_on();
}

static void watch_forks(void) { pthread_atfork(hold, go_on, give_back); }

void dl_forked_give_signals_back(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  of_the_loop = current(SIGTERM);
  pthread_once(&once, watch_forks);
}
