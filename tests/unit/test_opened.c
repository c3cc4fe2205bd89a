/* SPDX-License-Identifier: MIT */
#include "database_world.h"

#include "data/internal.h"

#include <sys/mman.h>
#include <sys/wait.h>

static dl_opened_files own;
static dl_known_files known;
static const dl_opened opened = {&own, &known};
static int found_count;

static void count_found(void *owner, const char *path) {
  (void)owner;
  (void)path;
  found_count++;
}

static bool take(uint64_t generation) { return dl_known_take(&known, &own, generation, count_found, NULL); }

static void begin(world *w, uint64_t generation) {
  world_database(w, "sqlite:test.db", (dl_database_options){.opened = &opened, .generation = generation});
  world_start(w);
}

/* What the start in a worker of that generation said, from which the master takes what it has; empty when it went well. */
static const char *start_as(world *w, uint64_t generation) {
  dl_opened_reset(&own);
  begin(w, generation);
  char error[sizeof w->error];
  memcpy(error, w->error, sizeof error);
  if (!*error) assert_true(take(generation));
  world_stop(w);
  memcpy(w->error, error, sizeof error);
  return w->error;
}

static void write_file(world *w, const char *name) {
  FILE *file = fopen(world_path(w, name), "w");
  assert_non_null(file);
  fclose(file);
}

static int setup(void **state) {
  static world w;
  world_make(&w);
  memset(&own, 0, sizeof own);
  found_count = 0;
  *state = &w;
  return 0;
}

static int teardown(void **state) {
  dl_known_free(&known);
  world_end(*state);
  return 0;
}

static void forgets_other_generations(void **state) {
  world *w = *state;
  assert_string_equal(start_as(w, 1), "");
  unlink(world_path(w, "test.db"));
  assert_non_null(strstr(start_as(w, 2), "is gone, and no reload or new program"));
  assert_false(dl_opened_any_lost(&own, 1));
  assert_non_null(strstr(start_as(w, 1), "is gone, and what was written"));
  assert_true(dl_opened_any_lost(&own, 1));
  assert_false(dl_opened_any_lost(&own, 2));
  dl_known_keep(&known, 2);
  assert_int_equal(known.count, 0);
  assert_string_equal(start_as(w, 2), "");
}

static void names_them_to_a_new_program(void **state) {
  world *w = *state;
  char lines[8192];
  assert_string_equal(start_as(w, 7), "");
  dl_known_write(&known, lines, sizeof lines);
  char expected[128];
  snprintf(expected, sizeof expected, "%s/test.db\n", w->folder);
  assert_string_equal(lines, expected);
  dl_known_write(&known, lines, 8); /* what has no room is left out whole */
  assert_string_equal(lines, "");
  dl_known_free(&known);
  snprintf(lines, sizeof lines, "%sno end", expected);
  dl_known_read(&known, lines);
  assert_int_equal(known.count, 1);
  unlink(world_path(w, "test.db"));
  assert_non_null(strstr(start_as(w, 1), "is gone"));
  write_file(w, "test.db");
  assert_string_equal(start_as(w, 1), ""); /* another file may lie there */
}

static void says_what_is_open_and_no_more(void **state) {
  world *w = *state;
  char path[PATH_MAX];
  begin(w, 1);
  assert_string_equal(w->error, "");
  assert_true(dl_opened_all_lie(&own, 1, path));
  assert_true(take(1));
  assert_true(dl_known_agrees(&known, &own, 1));
  unlink(world_path(w, "test.db"));
  write_file(w, "test.db");
  assert_false(dl_opened_all_lie(&own, 1, path));
  assert_string_equal(path, world_path(w, "test.db"));
  assert_true(dl_opened_all_lie(&own, 2, path)); /* it has none of that generation */
  world_stop(w);
  assert_true(dl_opened_all_lie(&own, 1, path));
  assert_non_null(strstr(start_as(w, 1), "is another one by now"));
  begin(w, 2);
  known.files[0].inode = 0; /* as of a worker that opened another one: no file has this number */
  known.files[0].generation = 2;
  assert_false(dl_known_agrees(&known, &own, 2));
  world_stop(w);
}

static void on_turn(uv_timer_t *turn) { (void)turn; }

static void await_lost(world *w, bool lost) {
  uint64_t until = uv_hrtime() + 20000000000u;
  while (dl_opened_any_lost(&own, 1) != lost && uv_hrtime() < until) uv_run(&w->uv, UV_RUN_ONCE);
  assert_int_equal(dl_opened_any_lost(&own, 1), lost);
}

static void tells_of_a_loss_that_no_request_meets(void **state) {
  world *w = *state;
  char away[128];
  uv_timer_t turn; /* a database that nobody asks keeps no loop alive; a server's is */
  uv_timer_init(&w->uv, &turn);
  uv_timer_start(&turn, on_turn, 10, 10);
  begin(w, 1);
  assert_false(dl_opened_any_lost(&own, 1));
  snprintf(away, sizeof away, "%s/away", w->folder);
  static const char *const files[] = {"test.db", "test.db-shm"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    assert_int_equal(rename(world_path(w, files[i]), away), 0);
    await_lost(w, true);
    assert_int_equal(rename(away, world_path(w, files[i])), 0);
    await_lost(w, false);
  }
  uv_close((uv_handle_t *)&turn, NULL);
  world_stop(w);
}

/* A load that was given up may have opened another file, and be on its way to close it. */
static void counts_the_later_of_two(void **state) {
  world *w = *state;
  char path[PATH_MAX];
  begin(w, 2);
  dl_opened_file *earlier = &own.files[0], *later = &own.files[5];
  *later = *earlier;
  memcpy(own.paths[5], own.paths[0], sizeof own.paths[0]);
  later->order++;
  earlier->inode++;
  assert_true(dl_opened_all_lie(&own, 2, path));
  later->order -= 2;
  assert_false(dl_opened_all_lie(&own, 2, path));
  world_stop(w);
}

/* Rights are looked at again when a path has another file than before, and only then. */
static void finds_each_file_once(void **state) {
  world *w = *state;
  assert_string_equal(start_as(w, 1), "");
  assert_string_equal(start_as(w, 1), "");
  assert_string_equal(start_as(w, 2), "");
  assert_int_equal(found_count, 1);
  char away[128];
  snprintf(away, sizeof away, "%s/away", w->folder); /* as long as it lies there its number is nobody else's */
  assert_int_equal(rename(world_path(w, "test.db"), away), 0);
  write_file(w, "test.db");
  assert_string_equal(start_as(w, 3), "");
  assert_int_equal(found_count, 2);
}

/* A worker may write there what it likes. */
static void is_not_led_astray(void **state) {
  world *w = *state;
  char path[PATH_MAX];
  for (size_t i = 0; i < DL_OPENED_MAX; i++) {
    own.files[i] = (dl_opened_file){.state = 2, .lost = 1, .generation = 1, .order = i};
    memset(own.paths[i], 'x', sizeof own.paths[i]);
  }
  assert_false(dl_opened_all_lie(&own, 1, path));
  assert_int_equal(strlen(path), PATH_MAX - 1);
  assert_true(take(1));
  assert_int_equal(known.count, 1);
  begin(w, 1);
  assert_string_equal(w->error, "");
  assert_false(take(1)); /* there was no place for it, which is told */
  world_stop(w);
  for (size_t i = 0; i < DL_OPENED_MAX; i++) own.paths[i][0] = (char)('A' + i), own.paths[i][1] = '\0';
  assert_false(take(1));
  assert_int_equal(known.count, DL_OPENED_MAX);
  dl_known_free(&known);
  assert_string_equal(start_as(w, 1), ""); /* the next process there begins with none of it */
  assert_int_equal(known.count, 1);
}

/* Closes one database and opens another in its place, again and again. */
static _Noreturn void open_in_turn(const dl_opened *shared) {
  char paths[2][PATH_MAX];
  for (uint64_t turn = 0;; turn++) {
    uint64_t which = turn % 2;
    memset(paths[which], 'a' + (int)which, PATH_MAX - 1);
    paths[which][PATH_MAX - 1] = '\0';
    dl_database database = {.path = paths[which], .file = {.device = 'a' + which, .inode = 'a' + which}, .options = {.opened = shared, .generation = 1}};
    dl_database_note_opened(&database);
    dl_opened_let_go(&database);
  }
}

static void what_it_says_of_one_is_not_mixed_with_another(void **state) {
  (void)state;
  dl_opened_files *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(shared != MAP_FAILED);
  size_t seen = 0;
  uint64_t until = uv_hrtime() + 2000000000u; /* how often they meet by then is the processors' affair */
  pid_t child = fork_bound();
  if (child == 0) open_in_turn(&(dl_opened){.own = shared, .known = &known});
  while (seen == 0 || uv_hrtime() < until) {
    dl_known_take(&known, shared, 1, NULL, NULL);
    for (size_t i = 0; i < known.count; i++, seen++) {
      const char *path = known.files[i].path;
      assert_int_equal(path[0], path[PATH_MAX - 2]);
      assert_int_equal(path[0], known.files[i].device);
      assert_int_equal(path[0], known.files[i].inode);
    }
    dl_known_free(&known);
  }
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  munmap(shared, sizeof *shared);
}

/* --- rights ------------------------------------------------------------------------------- */

static char said[1024];

static void note(void *owner, const char *exposure) {
  (void)owner;
  snprintf(said + strlen(said), sizeof said - strlen(said), "%s\n", exposure);
}

static const char *exposures(world *w) {
  said[0] = '\0';
  dl_database_each_exposure_at(world_path(w, "test.db"), note, NULL);
  return said;
}

static void warns_of_folders_where_others_can_do_something(void **state) {
  world *w = *state;
  assert_string_equal(start_as(w, 1), "");
  assert_int_equal(chmod(w->folder, 0777), 0);
  assert_non_null(strstr(exposures(w), "may put another file in the place of the database"));
  assert_int_equal(chmod(w->folder, 01777), 0);
  assert_non_null(strstr(exposures(w), "may put a -wal or -journal beside the database"));
  assert_null(strstr(said, "in the place of"));
  assert_int_equal(chmod(w->folder, 0775), 0); /* by a umask of 002, and a group of the owner's own */
  assert_string_equal(exposures(w), "");
}

static void warns_of_a_folders_group_that_the_file_does_not_have(void **state) {
  world *w = *state;
  assert_string_equal(start_as(w, 1), "");
  assert_int_equal(chmod(w->folder, 0770), 0);
  if (geteuid() != 0) skip(); /* who is not root gives no file to a group that he is not in */
  assert_int_equal(chown(w->folder, (uid_t)-1, getegid() + 1), 0);
  assert_non_null(strstr(exposures(w), "may put another file in the place of the database"));
  assert_int_equal(chown(world_path(w, "test.db"), (uid_t)-1, getegid() + 1), 0); /* as in a folder that gives its group on */
  assert_string_equal(exposures(w), "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(forgets_other_generations, setup, teardown),
      cmocka_unit_test_setup_teardown(names_them_to_a_new_program, setup, teardown),
      cmocka_unit_test_setup_teardown(says_what_is_open_and_no_more, setup, teardown),
      cmocka_unit_test_setup_teardown(tells_of_a_loss_that_no_request_meets, setup, teardown),
      cmocka_unit_test_setup_teardown(counts_the_later_of_two, setup, teardown),
      cmocka_unit_test_setup_teardown(finds_each_file_once, setup, teardown),
      cmocka_unit_test_setup_teardown(is_not_led_astray, setup, teardown),
      cmocka_unit_test_setup_teardown(what_it_says_of_one_is_not_mixed_with_another, setup, teardown),
      cmocka_unit_test_setup_teardown(warns_of_folders_where_others_can_do_something, setup, teardown),
      cmocka_unit_test_setup_teardown(warns_of_a_folders_group_that_the_file_does_not_have, setup, teardown),
  };
  return cmocka_run_group_tests_name("opened files", tests, NULL, NULL);
}
