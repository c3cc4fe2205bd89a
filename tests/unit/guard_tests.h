/* SPDX-License-Identifier: MIT */
/* What tests of guards begin with: a world for each, one question, and what is said to it. */
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

static inline dl_guard_result ask_bearer(guard_world *w, const dl_guard *guard, const char *token) {
  char lines[20000];
  snprintf(lines, sizeof(lines), "Authorization: Bearer %s\r\n", token);
  return ask(w, guard, lines);
}

/* That guard's answer, its challenge and a reason that says the word. */
static inline void expect(guard_world *w, dl_guard_result result, dl_guard_result wanted, const char *challenge, const char *word) {
  assert_int_equal(result, wanted);
  assert_str(w->context.challenge, challenge);
  const char *reason = w->context.reason ? w->context.reason : "";
  if (!strstr(reason, word)) fail_msg("the reason is \"%s\" and says nothing of \"%s\"", reason, word);
}

#endif
