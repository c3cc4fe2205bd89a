/* SPDX-License-Identifier: MIT */
/* Databases as the watcher of a worker sees them: how many of them open, which may take as long as a migration does. */
#include "bridge_world.h"

#include "base/beat.h"
#include "bridge/task.h"

#define OPEN                                                                                                                                         \
  "local core = require 'demilune.core' local handle = assert(core.database_open('sqlite::memory:', {}))"                                           \
  " function open() local problem = handle:start() if problem then error(problem, 0) end end"

typedef struct opening {
  bool over;
  int status;
} opening;

static void on_done(dl_task *task, int status, void *owner) {
  (void)task;
  *(opening *)owner = (opening){.over = true, .status = status};
}

/* A task that opens a database, until it waits for that. */
static dl_task *begin(bridge_world *world, opening *out) {
  lua_State *L = dl_lua_state(world->lua);
  run(world, OPEN);
  dl_task *task = dl_task_new(L, on_done, out);
  lua_getglobal(L, "open");
  lua_xmove(L, dl_task_state(task), 1);
  dl_task_run(task, 0);
  return task;
}

static void one_that_opens_is_counted_until_it_has_opened(void **state) {
  bridge_world *world = *state;
  dl_beat beat = {0};
  opening out = {0};
  world->loop.beat = &beat;
  dl_task *task = begin(world, &out);
  assert_true(dl_beat_is_opening(&beat));
  while (!out.over) uv_run(world->loop.uv, UV_RUN_ONCE);
  assert_int_equal(out.status, 0);
  assert_int_equal(beat.opening, 0);
  dl_task_release(task);
  dl_lua_end(world->lua);
  uv_run(world->loop.uv, UV_RUN_DEFAULT);
  assert_int_equal(beat.opening, 0); /* and is not taken away twice */
}

/* As when a reload is given up: nobody hears any more that it has opened. */
static void one_that_is_dropped_while_it_opens_is_counted_no_longer(void **state) {
  bridge_world *world = *state;
  dl_beat beat = {0};
  opening out = {0};
  world->loop.beat = &beat;
  begin(world, &out);
  assert_true(dl_beat_is_opening(&beat));
  dl_lua_end(world->lua);
  assert_int_equal(beat.opening, 0);
  uv_run(world->loop.uv, UV_RUN_DEFAULT);
  assert_false(out.over);
  assert_int_equal(beat.opening, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(one_that_opens_is_counted_until_it_has_opened, open_world, close_world),
      cmocka_unit_test_setup_teardown(one_that_is_dropped_while_it_opens_is_counted_no_longer, open_world, close_world),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
