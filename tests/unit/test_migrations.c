/* SPDX-License-Identifier: MIT */
/* Migrations: order, memory, and everything that must stop a start. */
#include "database_world.h"

#include <sqlite3.h>
#include <sys/wait.h>

static int setup(void **state) {
  static world w;
  world_make(&w);
  world_write(&w, "migrations/0001_users.sql",
              "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);\nINSERT INTO users (name) VALUES ('first; one');\n");
  *state = &w;
  return 0;
}

static int teardown(void **state) {
  world *w = *state;
  if (w->database && dl_database_is_open(w->database)) world_stop(w);
  world_end(w);
  return 0;
}

static bool start(world *w) {
  if (w->database && dl_database_is_open(w->database)) world_stop(w);
  world_database(w, "sqlite:test.db", (dl_database_options){.migrations = "migrations"});
  return world_start(w);
}

static void starts(world *w) {
  if (!start(w)) fail_msg("%s", w->error);
}

static void refuses(world *w, const char *says) {
  assert_false(start(w));
  if (!strstr(w->error, says)) fail_msg("%s", w->error);
}

/* The start with one more statement, and what it gives. */
static answer ask(world *w, const char *sql) {
  if (dl_database_is_open(w->database)) world_stop(w);
  world_database(w, "sqlite:test.db", (dl_database_options){.migrations = "migrations"});
  const dl_statement *statement = world_seal(w, sql);
  if (!world_start(w)) fail_msg("%s", w->error);
  return world_call(w, statement, DL_SHAPE_MANY, NOTHING, NOTHING);
}

static void each_is_applied_once_and_in_order(void **state) {
  world *w = *state;
  starts(w);
  starts(w);
  world_write(w, "migrations/0002_more.sql", "ALTER TABLE users ADD COLUMN age INTEGER; -- and\nUPDATE users SET age = 7;");
  world_write(w, "migrations/README.md", "not a migration");
  assert_string_equal(ask(w, "SELECT id, name, age FROM users").rows, "1|first; one|7");
  assert_string_equal(
      ask(w, "SELECT number, name, length(sha256) AS length, applied_at LIKE '20__-__-__T__:__:__Z' AS dated FROM demilune_migrations").rows,
      "1|0001_users.sql|64|1;2|0002_more.sql|64|1");
}

static void a_file_that_changed_after_it_was_applied_stops_the_start(void **state) {
  world *w = *state;
  starts(w);
  world_write(w, "migrations/0001_users.sql", "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, age INTEGER);");
  refuses(w, "0001_users.sql was changed after it was applied");
  assert_non_null(strstr(w->error, "migration 0002"));
}

static void a_file_that_vanished_stops_the_start(void **state) {
  world *w = *state;
  world_write(w, "migrations/0002_more.sql", "CREATE TABLE more (id INTEGER);");
  starts(w);
  unlink(world_path(w, "migrations/0002_more.sql"));
  refuses(w, "0002_more.sql was applied to this database and is not in the folder");
}

static void one_that_fails_leaves_nothing_and_says_its_line(void **state) {
  world *w = *state;
  world_write(w, "migrations/0002_bad.sql", "CREATE TABLE half (id INTEGER);\n\nINSERT INTO nowhere VALUES (1);\n");
  refuses(w, "0002_bad.sql:3: no such table: nowhere");
  world_write(w, "migrations/0002_bad.sql", "-- one row\n/* too\nmany */\nINSERT INTO users (id) VALUES (1);\n");
  refuses(w, "0002_bad.sql:4: UNIQUE constraint failed: users.id");
  world_write(w, "migrations/0002_bad.sql", "CREATE TABLE half (id INTEGER);\n");
  starts(w);
}

static void names_that_leave_the_order_open_are_refused(void **state) {
  world *w = *state;
  static const struct {
    const char *name, *says;
  } cases[] = {
      {"migrations/0003_gap.sql", "no migration 0002"}, {"migrations/0001_again.sql", "same number"}, {"migrations/2_short.sql", "four digits"},
      {"migrations/0000_zero.sql", "four digits"},      {"migrations/0002.sql", "four digits"},       {"migrations/0002_Upper.sql", "four digits"},
      {"migrations/0002_a b.sql", "four digits"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    world_write(w, cases[i].name, "CREATE TABLE x (id INTEGER);");
    refuses(w, cases[i].says);
    unlink(world_path(w, cases[i].name));
  }
  starts(w);
}

static void a_migration_cannot_leave_its_transaction(void **state) {
  world *w = *state;
  static const char *const texts[] = {"COMMIT;", "CREATE TABLE x (id INTEGER); ROLLBACK; BEGIN;", "SAVEPOINT a;", "ATTACH 'other.db' AS other;",
                                      "VACUUM;"};
  for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
    world_write(w, "migrations/0002_out.sql", texts[i]);
    refuses(w, "0002_out.sql:1");
  }
  assert_int_not_equal(access(world_path(w, "other.db"), F_OK), 0);
  world_write(w, "migrations/0002_out.sql", "SELECT 'bad \xff';");
  refuses(w, "not valid UTF-8");
}

static void a_table_can_be_rebuilt_but_its_keys_must_hold(void **state) {
  world *w = *state;
  world_write(w, "migrations/0002_posts.sql",
              "CREATE TABLE posts (owner INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE);\nINSERT INTO posts VALUES (1);");
  world_write(w, "migrations/0003_rebuild.sql",
              "CREATE TABLE fresh (id INTEGER PRIMARY KEY, name TEXT NOT NULL);\nINSERT INTO fresh SELECT id, name FROM users;\n"
              "DROP TABLE users;\nALTER TABLE fresh RENAME TO users;");
  starts(w);
  assert_string_equal(ask(w, "SELECT (SELECT count(*) FROM posts) AS posts, (SELECT count(*) FROM users) AS users").rows, "1|1");
  world_write(w, "migrations/0004_orphans.sql", "DELETE FROM users;");
  refuses(w, "0004_orphans.sql: leaves rows in posts that point at no row of users");
}

static void one_that_lacks_its_sql_or_a_value_is_not_applied(void **state) {
  world *w = *state;
  static const struct {
    const char *text, *says;
  } cases[] = {
      {"", "0002_more.sql: the file is empty"},
      {" \r\n\n", "0002_more.sql: the file is empty"},
      {"-- one\n\nINSERT INTO users (name) VALUES (:name);", "0002_more.sql:3: the statement has a parameter :name"},
      {"INSERT INTO users (name) VALUES (?);", "0002_more.sql:1: the statement has a parameter ?"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    world_write(w, "migrations/0002_more.sql", cases[i].text);
    refuses(w, cases[i].says);
  }
  world_write(w, "migrations/0002_more.sql", "-- nothing to do here any more\n");
  assert_string_equal(ask(w, "SELECT name FROM users").rows, "first; one");
}

/* What a migration sets for its connection would be there until the next start, in the worker that applied it, and nowhere else. */
static void what_a_migration_sets_for_its_connection_ends_with_it(void **state) {
  world *w = *state;
  static const char *const urls[] = {"sqlite:test.db", "sqlite::memory:"};
  world_write(w, "migrations/0002_sets.sql",
              "CREATE TABLE checked (a INTEGER CHECK (a > 0));\nPRAGMA ignore_check_constraints = ON;\nPRAGMA locking_mode = EXCLUSIVE;\n"
              "CREATE TEMP TABLE scratch AS SELECT 1 AS a;\nINSERT INTO checked SELECT a FROM scratch;\n"
              "CREATE TEMP TRIGGER doubles AFTER INSERT ON checked BEGIN INSERT INTO users (name) VALUES ('doubled'); END;");
  for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
    world_database(w, urls[i], (dl_database_options){.migrations = "migrations", .lock_ms = 200});
    const dl_statement *wrong = world_seal(w, "INSERT INTO checked VALUES (-1)"), *right = world_seal(w, "INSERT INTO checked VALUES (2)");
    const dl_statement *names = world_seal(w, "SELECT name FROM users"), *left = world_seal(w, "SELECT count(*) FROM temp.sqlite_schema");
    if (!world_start(w)) fail_msg("%s", w->error);
    assert_int_equal(world_call(w, wrong, DL_SHAPE_RUN, NOTHING, NOTHING).kind, DL_PROBLEM_CHECK);
    assert_int_equal(world_call(w, right, DL_SHAPE_RUN, NOTHING, NOTHING).changes, 1);
    assert_string_equal(world_call(w, names, DL_SHAPE_MANY, NOTHING, NOTHING).rows, "first; one");
    assert_string_equal(world_call(w, left, DL_SHAPE_MANY, NOTHING, NOTHING).rows, "0");
    world_stop(w);
  }
}

static void a_missing_folder_is_named(void **state) {
  world *w = *state;
  world_database(w, "sqlite:test.db", (dl_database_options){.migrations = "nowhere"});
  assert_false(world_start(w));
  assert_non_null(strstr(w->error, "nowhere cannot be read"));
}

/* Several processes start at once, as workers do; each migration must run once. */
static void processes_that_start_together_migrate_once(void **state) {
  skip_where_threads_are_followed();
  world *w = *state;
  world_write(w, "migrations/0002_more.sql", "CREATE TABLE more (id INTEGER); INSERT INTO users (name) VALUES ('second');");
  pid_t children[4];
  for (size_t i = 0; i < 4; i++) {
    children[i] = fork();
    if (children[i] == 0) {
      world own = *w;
      uv_loop_init(&own.uv);
      own.loop.uv = &own.uv;
      own.database = NULL;
      bool good = start(&own);
      if (good) world_stop(&own);
      else fprintf(stderr, "%s\n", own.error);
      _exit(good ? 0 : 1);
    }
  }
  for (size_t i = 0; i < 4; i++) {
    int status;
    assert_int_equal(waitpid(children[i], &status, 0), children[i]);
    assert_int_equal(status, 0);
  }
  starts(w);
  assert_string_equal(ask(w, "SELECT count(*) FROM users").rows, "2");
}

/* As a worker does that is replaced while the others serve. */
static void a_start_with_nothing_to_apply_waits_for_no_writer(void **state) {
  world *w = *state;
  starts(w);
  sqlite3 *other = NULL;
  assert_int_equal(sqlite3_open(world_path(w, "test.db"), &other), SQLITE_OK);
  assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE; INSERT INTO users (name) VALUES ('not yet');", NULL, NULL, NULL), SQLITE_OK);
  world_stop(w);
  dl_database_options hasty = {.migrations = "migrations", .migration_lock_ms = 1};
  world_database(w, "sqlite:test.db", hasty);
  if (!world_start(w)) fail_msg("%s", w->error);
  world_stop(w);
  world_write(w, "migrations/0002_more.sql", "CREATE TABLE more (id INTEGER);");
  world_database(w, "sqlite:test.db", hasty);
  assert_false(world_start(w));
  assert_non_null(strstr(w->error, "locked"));
  assert_int_equal(sqlite3_close(other), SQLITE_OK);
  starts(w);
}

/* --- from the files that the app was loaded from ------------------------------------- */

static dl_file_set *files_now(world *w) {
  char message[256];
  int fd = dl_file_set_collect(w->folder, message);
  if (fd < 0) fail_msg("%s", message);
  dl_file_set *set = dl_file_set_open(fd);
  close(fd);
  return set;
}

/* Frees the set at once, as a generation does that is dropped while its database starts. */
static bool start_from(world *w, dl_file_set *set) {
  if (w->database && dl_database_is_open(w->database)) world_stop(w);
  world_database(w, "sqlite:test.db", (dl_database_options){.migrations = "migrations", .files = set, .files_folder = "migrations"});
  dl_file_set_free(set);
  return world_start(w);
}

static void starts_from(world *w, dl_file_set *set) {
  if (!start_from(w, set)) fail_msg("%s", w->error);
}

static void what_came_to_the_disk_later_is_not_applied(void **state) {
  world *w = *state;
  dl_file_set *set = files_now(w);
  world_write(w, "migrations/0001_users.sql", "CREATE TABLE other (id INTEGER);");
  world_write(w, "migrations/0002_more.sql", "CREATE TABLE more (id INTEGER);");
  starts_from(w, set);
  world_write(w, "migrations/0001_users.sql",
              "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);\nINSERT INTO users (name) VALUES ('first; one');\n");
  unlink(world_path(w, "migrations/0002_more.sql"));
  assert_string_equal(ask(w, "SELECT name FROM demilune_migrations").rows, "0001_users.sql");
}

/* As a worker does that is replaced while a reload is on its way, or after one that failed late. */
static void what_a_later_load_applied_stops_no_start_while_it_lies_on_the_disk(void **state) {
  world *w = *state;
  dl_file_set *before = dl_file_set_hold(files_now(w));
  starts_from(w, before);
  world_write(w, "migrations/0002_more.sql", "CREATE TABLE more (id INTEGER);");
  starts_from(w, files_now(w));
  starts_from(w, dl_file_set_hold(before));
  unlink(world_path(w, "migrations/0002_more.sql"));
  assert_false(start_from(w, before));
  assert_non_null(strstr(w->error, "0002_more.sql was applied to this database and is not in the folder"));
}

static void a_large_one_is_read_from_the_disk_and_one_too_large_is_named(void **state) {
  world *w = *state;
  static char text[(1 << 20) + 64] = "CREATE TABLE large (id INTEGER);";
  memset(text + strlen(text), ' ', 1 << 20);
  world_write(w, "migrations/0002_large.sql", text);
  starts_from(w, files_now(w));
  assert_string_equal(ask(w, "SELECT count(*) FROM large").rows, "0");
  world_write(w, "migrations/0003_huge.sql", "");
  assert_int_equal(truncate(world_path(w, "migrations/0003_huge.sql"), (16 << 20) + 1), 0);
  assert_false(start_from(w, files_now(w)));
  assert_non_null(strstr(w->error, "0003_huge.sql is over 16 MiB"));
}

static void a_folder_that_is_a_link_is_read_from_the_disk(void **state) {
  world *w = *state;
  char moved[256];
  snprintf(moved, sizeof(moved), "%s", world_path(w, "elsewhere"));
  assert_int_equal(rename(world_path(w, "migrations"), moved), 0);
  assert_int_equal(symlink(moved, world_path(w, "migrations")), 0);
  starts_from(w, files_now(w));
  assert_string_equal(ask(w, "SELECT name FROM demilune_migrations").rows, "0001_users.sql");
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      T(each_is_applied_once_and_in_order),
      T(a_file_that_changed_after_it_was_applied_stops_the_start),
      T(a_file_that_vanished_stops_the_start),
      T(one_that_fails_leaves_nothing_and_says_its_line),
      T(names_that_leave_the_order_open_are_refused),
      T(a_migration_cannot_leave_its_transaction),
      T(a_table_can_be_rebuilt_but_its_keys_must_hold),
      T(one_that_lacks_its_sql_or_a_value_is_not_applied),
      T(what_a_migration_sets_for_its_connection_ends_with_it),
      T(a_missing_folder_is_named),
      T(processes_that_start_together_migrate_once),
      T(a_start_with_nothing_to_apply_waits_for_no_writer),
      T(what_came_to_the_disk_later_is_not_applied),
      T(what_a_later_load_applied_stops_no_start_while_it_lies_on_the_disk),
      T(a_large_one_is_read_from_the_disk_and_one_too_large_is_named),
      T(a_folder_that_is_a_link_is_read_from_the_disk),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
