/* SPDX-License-Identifier: MIT */
#include "database_world.h"

#include "data/opened.h"

static dl_opened_files opened;

/* What the start of a worker of that generation said; empty when it went well. */
static const char *start_as(world *w, uint64_t generation) {
  world_database(w, "sqlite:test.db", (dl_database_options){.opened = &opened, .generation = generation});
  world_start(w);
  char error[sizeof w->error];
  memcpy(error, w->error, sizeof error);
  world_stop(w);
  memcpy(w->error, error, sizeof error);
  return w->error;
}

static int setup(void **state) {
  static world w;
  world_make(&w);
  memset(&opened, 0, sizeof opened);
  *state = &w;
  return 0;
}

static int teardown(void **state) {
  world_end(*state);
  return 0;
}

static void forgets_other_generations(void **state) {
  world *w = *state;
  assert_string_equal(start_as(w, 1), "");
  unlink(world_path(w, "test.db"));
  assert_non_null(strstr(start_as(w, 2), "is gone, and no reload or new program"));
  assert_false(dl_opened_any_lost(&opened));
  assert_non_null(strstr(start_as(w, 1), "is gone, and what was written"));
  assert_true(dl_opened_any_lost(&opened));
  dl_opened_keep(&opened, 2);
  assert_false(dl_opened_any_lost(&opened));
  assert_string_equal(start_as(w, 2), "");
}

static void names_them_to_a_new_program(void **state) {
  world *w = *state;
  char lines[8192];
  assert_string_equal(start_as(w, 7), "");
  dl_opened_write(&opened, lines, sizeof lines);
  char expected[128];
  snprintf(expected, sizeof expected, "%s/test.db\n", w->folder);
  assert_string_equal(lines, expected);
  dl_opened_write(&opened, lines, 8); /* what has no room is left out whole */
  assert_string_equal(lines, "");
  memset(&opened, 0, sizeof opened);
  snprintf(lines, sizeof lines, "%sno end", expected);
  dl_opened_read(&opened, lines);
  assert_int_equal(opened.used, 1);
  assert_string_equal(start_as(w, 1), ""); /* another file may lie there */
  unlink(world_path(w, "test.db"));
  assert_non_null(strstr(start_as(w, 2), "is gone"));
}

/* Every worker may write there what it likes. */
static void is_not_led_astray(void **state) {
  world *w = *state;
  for (size_t i = 0; i < DL_OPENED_MAX; i++) {
    opened.files[i].state = 2;
    opened.files[i].generation = 1;
    memset(opened.files[i].path, 'x', sizeof opened.files[i].path);
  }
  opened.used = UINT32_MAX;
  assert_string_equal(start_as(w, 1), ""); /* there is no place for it */
  char lines[8192];
  dl_opened_write(&opened, lines, sizeof lines);
  assert_int_equal(strlen(lines), sizeof opened.files->path + 1);
  dl_opened_keep(&opened, 3);
  assert_string_equal(start_as(w, 3), "");
  assert_int_equal(opened.files[0].generation, 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(forgets_other_generations, setup, teardown),
      cmocka_unit_test_setup_teardown(names_them_to_a_new_program, setup, teardown),
      cmocka_unit_test_setup_teardown(is_not_led_astray, setup, teardown),
  };
  return cmocka_run_group_tests_name("opened files", tests, NULL, NULL);
}
