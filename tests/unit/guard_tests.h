/* SPDX-License-Identifier: MIT */
/* What tests of guards begin with: a world for each, and one question. */
#ifndef GUARD_TESTS_H
#define GUARD_TESTS_H

#include "unit.h"

#include "guard_world.h"

static inline int open_world(void **state) {
  *state = world_open();
  return 0;
}

static inline int close_world(void **state) {
  world_close(*state);
  return 0;
}

/* What the guard says to a request with these header lines. */
static inline dl_guard_result ask(guard_world *w, const dl_guard *guard, const char *lines) {
  assert_non_null(guard);
  assert_true(world_parse(w, dl_str_of(lines)));
  return world_check(w, guard);
}

#endif
