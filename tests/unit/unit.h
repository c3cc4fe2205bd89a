/* SPDX-License-Identifier: MIT */
/* What every C unit test includes: cmocka with the headers it forgets, strings, and children. */
#ifndef DL_TESTS_UNIT_H
#define DL_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/str.h"

#define assert_str(actual, expected)                                   \
  do {                                                                 \
    dl_str actual_ = (actual), expected_ = dl_str_of(expected);         \
    assert_int_equal(actual_.len, expected_.len);                      \
    if (expected_.len) assert_memory_equal(actual_.ptr, expected_.ptr, expected_.len); \
  } while (0)

/* ThreadSanitizer loses sight of a child that is forked from a process with threads, and ends one that starts threads of its own. */
static inline void skip_where_threads_are_followed(void) {
#ifdef __SANITIZE_THREAD__
  skip();
#endif
}

/* For a child: it ends with its parent, so that a test that fails leaves nobody behind. */
static inline void die_with_parent(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
}

/* fork() of such a child. */
static inline pid_t fork_bound(void) {
  pid_t parent = getpid(), child = fork();
  if (child == 0) die_with_parent(parent);
  assert_true(child >= 0);
  return child;
}

#endif
