/* SPDX-License-Identifier: MIT */
#include "bridge/test_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GRACE_S = 5 }; /* for the loop's own timer to be the first */

static pid_t remover;
static int held; /* the pipe's end at which the remover hears that this process goes on */
static char message[512];

/* --- the folder ------------------------------------------------------------------ */

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk) {
  (void)info;
  (void)type;
  (void)walk;
  return remove(path);
}

/* In a session of its own: what interrupts the specs is not meant for it. Nothing is ever written to it, so that it reads
 * until nobody holds the other end. */
static _Noreturn void wait_and_remove(const char *folder, int ending) {
  char byte;
  setsid();
  while (read(ending, &byte, 1) != 0) continue;
  nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  _exit(0);
}

bool dl_test_watch_folder(const char *folder) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  remover = fork();
  if (remover == 0) {
    close(ends[1]);
    wait_and_remove(folder, ends[0]);
  }
  close(ends[0]);
  held = ends[1];
  if (remover > 0) return true;
  close(held);
  return false;
}

/* Also from a signal handler: only what POSIX allows there. */
void dl_test_watch_remove(void) {
  close(held);
  while (waitpid(remover, NULL, 0) < 0 && errno == EINTR) continue;
}

/* --- handlers that do not come back ---------------------------------------------------- */

/* Runs between any two instructions, of malloc's too, whose lock fork would wait for: only what POSIX allows there. */
static void give_up(int number) {
  (void)number;
  if (write(STDERR_FILENO, message, strlen(message)) < 0) _exit(1);
  dl_test_watch_remove();
  _exit(1);
}

static void set_timer(uint64_t limit_ms) {
  struct itimerval once = {.it_value = {.tv_sec = (time_t)(limit_ms / 1000), .tv_usec = (suseconds_t)(limit_ms % 1000 * 1000)}};
  setitimer(ITIMER_REAL, &once, NULL);
}

void dl_test_watch_begin(const char *asked, double seconds, uint64_t left_ms) {
  snprintf(message, sizeof message,
           "demilune test: %s: its handler did not come back within %g seconds, and never waited for anything, so that the specs end here: is there a "
           "loop without an end? If it only takes long, give the request a longer timeout: { timeout = \"5m\" }\n",
           asked, seconds + GRACE_S);
  signal(SIGALRM, give_up);
  set_timer(left_ms + GRACE_S * 1000);
}

void dl_test_watch_end(void) { set_timer(0); }
