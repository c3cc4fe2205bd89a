/* SPDX-License-Identifier: MIT */
/* Statements on a real SQLite file and a real loop: values, rows, problems, bounds. */
#include "database_world.h"

static const char schema[] = "CREATE TABLE teams (id INTEGER PRIMARY KEY);"
                             "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, age INTEGER CHECK (age >= 0),"
                             " active BOOLEAN, score REAL, photo BLOB, team INTEGER REFERENCES teams (id));"
                             "CREATE TABLE strict_table (n INTEGER) STRICT;";

static int setup(void **state) {
  static world w;
  world_make(&w);
  world_write(&w, "migrations/0001_schema.sql", schema);
  world_database(&w, "sqlite:test.db", (dl_database_options){.migrations = "migrations"});
  *state = &w;
  return 0;
}

static int teardown(void **state) {
  world *w = *state;
  if (dl_database_is_open(w->database)) world_stop(w);
  world_end(w);
  return 0;
}

static void start(world *w) {
  if (!world_start(w)) fail_msg("%s", w->error);
}

static void writes_and_reads_back(void **state) {
  world *w = *state;
  const dl_statement *add = world_seal(w, "INSERT INTO users (email, age) VALUES (:email, :age) RETURNING id, email, age");
  const dl_statement *find = world_seal(w, "SELECT id, email, age FROM users WHERE id = :id");
  const dl_statement *remove = world_seal(w, "DELETE FROM users WHERE age > :age");
  start(w);
  answer a = world_call(w, add, DL_SHAPE_ONE, TEXT("a@b.c"), dl_value_integer(5));
  assert_int_equal(a.kind, DL_PROBLEM_NONE);
  assert_string_equal(a.rows, "1|a@b.c|5");
  a = world_call(w, add, DL_SHAPE_RUN, TEXT("d@e.f"), dl_value_null());
  assert_int_equal(a.last_id, 2);
  assert_int_equal(a.changes, 1);
  assert_string_equal(a.rows, "");
  assert_string_equal(world_call(w, find, DL_SHAPE_ONE, dl_value_integer(2), NOTHING).rows, "2|d@e.f|-");
  assert_int_equal(world_call(w, find, DL_SHAPE_ONE, dl_value_integer(3), NOTHING).row_count, 0);
  a = world_call(w, remove, DL_SHAPE_RUN, dl_value_integer(1), NOTHING);
  assert_int_equal(a.changes, 1);
  assert_int_equal(a.last_id, 0);
  a = world_call(w, remove, DL_SHAPE_RUN, dl_value_integer(1), NOTHING);
  assert_int_equal(a.changes, 0);
}

static void each_kind_of_value_comes_back_as_it_went(void **state) {
  world *w = *state;
  const dl_statement *echo = world_seal(w, "SELECT :a AS a, typeof(:a) AS type");
  start(w);
  static const struct {
    dl_value value;
    const char *expected;
  } cases[] = {
      {{.kind = DL_VALUE_NULL}, "-|null"},
      {{.kind = DL_VALUE_BOOLEAN, .boolean = true}, "1|integer"},
      {{.kind = DL_VALUE_INTEGER, .integer = 9007199254740991}, "9007199254740991|integer"},
      {{.kind = DL_VALUE_INTEGER, .integer = 9007199254740992}, "9007199254740992L|integer"},
      {{.kind = DL_VALUE_INTEGER, .integer = INT64_MIN}, "-9223372036854775808L|integer"},
      {{.kind = DL_VALUE_NUMBER, .number = 3.0}, "3|integer"},
      {{.kind = DL_VALUE_NUMBER, .number = 3.5}, "3.5|real"},
      {{.kind = DL_VALUE_NUMBER, .number = 1e300}, "1e+300|real"},
      {{.kind = DL_VALUE_STRING, .len = 2, .string = "\xc3\xa9"}, "\xc3\xa9|text"},
      {{.kind = DL_VALUE_STRING, .len = 0, .string = ""}, "|text"},
      {{.kind = DL_VALUE_BYTES, .len = 2, .string = "\0\xff"}, "x'00ff'|blob"},
      {{.kind = DL_VALUE_BYTES, .len = 0, .string = NULL}, "x''|blob"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
    assert_string_equal(world_call(w, echo, DL_SHAPE_ONE, cases[i].value, NOTHING).rows, cases[i].expected);
}

static void columns_declared_boolean_give_booleans(void **state) {
  world *w = *state;
  const dl_statement *add =
      world_seal(w, "INSERT INTO users (email, active) VALUES (:email, :active) RETURNING active, active AS still, active + 0 AS number");
  const dl_statement *all = world_seal(w, "SELECT active FROM users ORDER BY id");
  start(w);
  assert_string_equal(world_call(w, add, DL_SHAPE_ONE, TEXT("a"), dl_value_boolean(true)).rows, "true|true|1");
  assert_string_equal(world_call(w, add, DL_SHAPE_ONE, TEXT("b"), dl_value_boolean(false)).rows, "false|false|0");
  world_call(w, add, DL_SHAPE_ONE, TEXT("c"), dl_value_null());
  assert_string_equal(world_call(w, all, DL_SHAPE_MANY, NOTHING, NOTHING).rows, "true;false;-");
}

static void constraints_are_told_apart_and_named(void **state) {
  world *w = *state;
  static const struct {
    const char *sql;
    dl_problem_kind kind;
    const char *constraint;
  } cases[] = {
      {"INSERT INTO users (email) VALUES ('taken')", DL_PROBLEM_UNIQUE, "users.email"},
      {"INSERT INTO users (id, email) VALUES (1, 'x')", DL_PROBLEM_UNIQUE, "users.id"},
      {"INSERT INTO users (email) VALUES (NULL)", DL_PROBLEM_NOT_NULL, "users.email"},
      {"INSERT INTO users (email, age) VALUES ('y', -1)", DL_PROBLEM_CHECK, "age >= 0"},
      {"INSERT INTO users (email, team) VALUES ('z', 99)", DL_PROBLEM_FOREIGN_KEY, ""},
      {"INSERT INTO users (id, email) VALUES ('no number', 'q')", DL_PROBLEM_TYPE, ""},
      {"INSERT INTO strict_table VALUES ('no number')", DL_PROBLEM_TYPE, ""},
  };
  const dl_statement *first = world_seal(w, "INSERT INTO users (email) VALUES ('taken')");
  const dl_statement *statements[sizeof(cases) / sizeof(*cases)];
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) statements[i] = world_seal(w, cases[i].sql);
  start(w);
  assert_int_equal(world_call(w, first, DL_SHAPE_RUN, NOTHING, NOTHING).kind, DL_PROBLEM_NONE);
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    answer a = world_call(w, statements[i], DL_SHAPE_RUN, NOTHING, NOTHING);
    if (a.kind != cases[i].kind) fail_msg("%s: %s, %s", cases[i].sql, dl_problem_name(a.kind), a.message);
    assert_string_equal(a.constraint, cases[i].constraint);
    assert_non_null(strstr(a.message, "app.lua:7"));
  }
}

/* Messages end in logs, and SQLite quotes what it does not understand. */
static void no_message_holds_a_value_of_the_call(void **state) {
  world *w = *state;
  world_write(w, "migrations/0002_found.sql", "CREATE VIRTUAL TABLE found USING fts5(text);");
  const dl_statement *path = world_seal(w, "SELECT json_extract('{}', :path)");
  const dl_statement *match = world_seal(w, "SELECT rowid FROM found WHERE found MATCH :words");
  const dl_statement *own = world_seal(w, "SELECT json_extract('{}', 'no path') WHERE :is");
  const dl_value values[] = {TEXT("s3cret"), TEXT("s3cret:x"), TEXT("a s3cret\""), TEXT("(s3cret s3cret"), TEXT("'s3cret'"), TEXT("^ s3cret (\"")};
  start(w);
  for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
    answer a = world_call(w, i ? match : path, DL_SHAPE_MANY, values[i], NOTHING);
    assert_int_equal(a.kind, DL_PROBLEM_FAILED);
    assert_non_null(strstr(a.message, "app.lua:7: "));
    if (strstr(a.message, "s3cret")) fail_msg("%s", a.message);
  }
  assert_string_equal(world_call(w, path, DL_SHAPE_MANY, values[0], NOTHING).message, "app.lua:7: JSON path error near ");
  assert_string_equal(world_call(w, own, DL_SHAPE_MANY, dl_value_boolean(true), NOTHING).message, "app.lua:7: JSON path error near 'no path'");
}

static void results_are_bounded(void **state) {
  world *w = *state;
  const dl_statement *rows = world_seal(w, "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT :count) SELECT i FROM n");
  const dl_statement *wide = world_seal(w, "SELECT 1 AS a, 2 AS b");
  const dl_statement *large = world_seal(w, "SELECT zeroblob(:bytes) AS bytes");
  start(w);
  assert_int_equal(world_call(w, rows, DL_SHAPE_MANY, dl_value_integer(1000), NOTHING).row_count, 1000);
  answer a = world_call(w, rows, DL_SHAPE_MANY, dl_value_integer(1001), NOTHING);
  assert_int_equal(a.kind, DL_PROBLEM_TOO_MUCH);
  assert_non_null(strstr(a.message, "more than 1000 rows"));
  assert_int_equal(world_call(w, rows, DL_SHAPE_ONE, dl_value_integer(2), NOTHING).kind, DL_PROBLEM_TOO_MUCH);
  assert_int_equal(world_call(w, rows, DL_SHAPE_VALUE, dl_value_integer(2), NOTHING).kind, DL_PROBLEM_TOO_MUCH);
  assert_string_equal(world_call(w, rows, DL_SHAPE_VALUE, dl_value_integer(1), NOTHING).rows, "1");
  assert_int_equal(world_call(w, wide, DL_SHAPE_VALUE, NOTHING, NOTHING).kind, DL_PROBLEM_TOO_MUCH);
  assert_int_equal(world_call(w, large, DL_SHAPE_ONE, dl_value_integer(1 << 20), NOTHING).kind, DL_PROBLEM_NONE);
  assert_int_equal(world_call(w, large, DL_SHAPE_ONE, dl_value_integer(33 << 20), NOTHING).kind, DL_PROBLEM_TOO_MUCH);
  assert_int_equal(world_call(w, large, DL_SHAPE_ONE, dl_value_integer(200 << 20), NOTHING).kind, DL_PROBLEM_TOO_MUCH);
}

/* A call's values lie where its rows do. */
static void a_bound_on_results_is_none_on_values(void **state) {
  world *w = *state;
  const dl_statement *size = world_seal(w, "SELECT length(:text) AS size");
  start(w);
  enum { BYTES = 40 << 20 };
  answer a = {0};
  dl_call *call = dl_call_new(w->database, size, DL_SHAPE_VALUE);
  char *text = dl_arena_alloc(&call->arena, BYTES);
  memset(text, 'a', BYTES);
  call->values[0] = dl_value_string(dl_str_from(text, BYTES));
  call->done = on_answered;
  call->owner = &a;
  dl_call_submit(call);
  turn_until(w, &a.came);
  assert_string_equal(a.message, "");
  assert_string_equal(a.rows, "41943040");
}

static void values_that_do_not_fit_are_refused_by_name(void **state) {
  world *w = *state;
  const dl_statement *echo = world_seal(w, "SELECT :a AS a");
  const dl_statement *list = world_seal(w, "SELECT 5 NOT IN (:ids*)");
  const dl_statement *text = world_seal(w, "SELECT CAST(:a AS TEXT) AS a");
  const dl_statement *infinite = world_seal(w, "SELECT 9e999 AS a");
  start(w);
  static const dl_value bad[] = {{0},
                                 {.kind = DL_VALUE_STRING, .len = 1, .string = "\xff"},
                                 {.kind = DL_VALUE_STRING, .len = 1, .string = "\0"},
                                 {.kind = DL_VALUE_ARRAY},
                                 {.kind = DL_VALUE_OBJECT}};
  for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
    answer a = world_call(w, echo, DL_SHAPE_ONE, bad[i], NOTHING);
    assert_int_equal(a.kind, DL_PROBLEM_PARAMETER);
    assert_non_null(strstr(a.message, "'a'"));
  }
  static dl_value items[3] = {{.kind = DL_VALUE_INTEGER, .integer = 1}, {.kind = DL_VALUE_INTEGER, .integer = 5}, {.kind = DL_VALUE_NULL}};
  assert_string_equal(world_call(w, list, DL_SHAPE_VALUE, (dl_value){.kind = DL_VALUE_ARRAY, .len = 0}, NOTHING).rows, "1");
  assert_string_equal(world_call(w, list, DL_SHAPE_VALUE, (dl_value){.kind = DL_VALUE_ARRAY, .len = 1, .items = items}, NOTHING).rows, "1");
  assert_string_equal(world_call(w, list, DL_SHAPE_VALUE, (dl_value){.kind = DL_VALUE_ARRAY, .len = 2, .items = items}, NOTHING).rows, "0");
  assert_int_equal(world_call(w, list, DL_SHAPE_VALUE, (dl_value){.kind = DL_VALUE_ARRAY, .len = 3, .items = items}, NOTHING).kind,
                   DL_PROBLEM_PARAMETER);
  static const dl_value bytes = {.kind = DL_VALUE_BYTES, .len = 2, .string = "a\xff"};
  assert_int_equal(world_call(w, text, DL_SHAPE_ONE, bytes, NOTHING).kind, DL_PROBLEM_DATA);
  assert_int_equal(world_call(w, infinite, DL_SHAPE_ONE, NOTHING, NOTHING).kind, DL_PROBLEM_DATA);
}

static void a_statement_that_sqlite_does_not_take_stops_the_start_by_its_place(void **state) {
  world *w = *state;
  static const struct {
    const char *sql, *says;
  } cases[] = {
      {"SELECT nmae FROM users", "no such column: nmae, at \"nmae FROM users\""},
      {"SELECT id FROM user", "no such table: user"},
      {"SELECT \"text\"", "no such column"},
      {"SELECT users.id, teams.id FROM users, teams", "two columns called 'id'"},
      {"INSERT INTO sqlite_schema VALUES (1, 2, 3, 4, 5)", "may not be modified"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    world_database(w, "sqlite:test.db", (dl_database_options){.migrations = "migrations"});
    world_seal(w, cases[i].sql);
    assert_false(world_start(w));
    assert_non_null(strstr(w->error, "app.lua:7"));
    if (!strstr(w->error, cases[i].says)) fail_msg("%s: %s", cases[i].sql, w->error);
    world_stop(w);
    uv_run(&w->uv, UV_RUN_DEFAULT);
  }
}

static void statements_are_sealed_before_the_start_only(void **state) {
  world *w = *state;
  const char *error = "";
  start(w);
  dl_statement_text text = {.sql = DL_STR("SELECT 1"), .source = DL_STR("app.lua:9")};
  assert_null(dl_database_seal(w->database, &text, &error));
  assert_non_null(strstr(error, "while the app loads"));
}

static void a_statement_that_runs_too_long_is_stopped_and_the_next_one_works(void **state) {
  world *w = *state;
  world_database(w, "sqlite:test.db", (dl_database_options){.migrations = "migrations", .statement_ms = 100});
  const dl_statement *forever = world_seal(w, "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n");
  const dl_statement *write =
      world_seal(w, "INSERT INTO users (email) WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT 'u' || i FROM n");
  const dl_statement *count = world_seal(w, "SELECT count(*) FROM users");
  start(w);
  assert_int_equal(world_call(w, forever, DL_SHAPE_VALUE, NOTHING, NOTHING).kind, DL_PROBLEM_TIMEOUT);
  assert_int_equal(world_call(w, write, DL_SHAPE_RUN, NOTHING, NOTHING).kind, DL_PROBLEM_TIMEOUT);
  answer counted;
  do counted = world_call(w, count, DL_SHAPE_VALUE, NOTHING, NOTHING); /* on a busy machine even that may take too long */
  while (counted.kind == DL_PROBLEM_TIMEOUT);
  assert_string_equal(counted.rows, "0");
}

/* A few rows are a few steps to SQLite, each of them a search that takes long: all of them would be many seconds. */
static void a_search_through_long_texts_is_stopped_in_time(void **state) {
  world *w = *state;
  world_database(w, "sqlite:test.db", (dl_database_options){.migrations = "migrations", .statement_ms = 300, .readers = 1});
  const dl_statement *fill = world_seal(w, "INSERT INTO users (email) WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 4) "
                                           "SELECT printf('%.*c', 50000, 'a') || i || random() FROM n");
  const dl_statement *find = world_seal(w, "SELECT id FROM users WHERE email LIKE printf('%%%.*cb%%', 250, 'a')");
  start(w);
  for (int filled = 0; filled < 100;) {
    dl_problem_kind kind = world_call(w, fill, DL_SHAPE_RUN, NOTHING, NOTHING).kind;
    if (kind != DL_PROBLEM_TIMEOUT) assert_int_equal(kind, DL_PROBLEM_NONE); /* on a busy machine even that may take too long */
    filled += kind == DL_PROBLEM_NONE;
  }
  assert_int_equal(world_call(w, find, DL_SHAPE_MANY, NOTHING, NOTHING).kind, DL_PROBLEM_TIMEOUT);
}

/* Bytes of the write-ahead index that SQLite locks while it reads (sqlite.org/walformat.html, 2.3.1). */
enum { READ_LOCKS = 123, READ_LOCKS_COUNT = 5 };

/* Whoever closes the file takes SQLite's own locks away: it stays open for as long as the database is. */
static bool is_locked(int fd, off_t first, off_t count) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = first, .l_len = count};
  assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
  return lock.l_type != F_UNLCK;
}

static void turn_until_locked(world *w, int fd, off_t first, off_t count) {
  while (!is_locked(fd, first, count)) {
    uv_run(&w->uv, UV_RUN_NOWAIT);
    usleep(1000);
  }
}

/* A statement that writes without an end soon has more than the connection keeps in memory. */
static void turn_until_written(world *w, off_t bytes) {
  struct stat info = {0};
  while (stat(world_path(w, "test.db-wal"), &info) != 0 || info.st_size < bytes) {
    uv_run(&w->uv, UV_RUN_NOWAIT);
    usleep(1000);
  }
}

static void a_statement_that_was_given_up_is_stopped_and_its_neighbours_are_not(void **state) {
  world *w = *state;
  world_database(w, "sqlite:test.db", (dl_database_options){.migrations = "migrations", .readers = 1, .statement_ms = 600000, .queue_ms = 600000});
  const dl_statement *forever =
      world_seal(w, "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) + (SELECT count(*) FROM users) FROM n");
  const dl_statement *write =
      world_seal(w, "INSERT INTO users (email) WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT 'u' || i FROM n");
  const dl_statement *add = world_seal(w, "INSERT INTO users (email) VALUES ('kept')");
  const dl_statement *count = world_seal(w, "SELECT count(*) FROM users");
  start(w);
  /* The reader opens its connection for the first call, and reads then too. */
  assert_string_equal(world_call(w, count, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "0");
  int fd = open(world_path(w, "test.db-shm"), O_RDWR | O_CLOEXEC);
  assert_true(fd >= 0);
  static answer answers[3], queued;
  dl_call *reading = world_send(w, &answers[0], NULL, forever, DL_SHAPE_VALUE, NOTHING, NOTHING);
  turn_until_locked(w, fd, READ_LOCKS, READ_LOCKS_COUNT);
  dl_call *waiting = world_send(w, &queued, NULL, forever, DL_SHAPE_VALUE, NOTHING, NOTHING);
  world_send(w, &answers[1], NULL, add, DL_SHAPE_RUN, NOTHING, NOTHING);
  dl_call *writing = world_send(w, &answers[2], NULL, write, DL_SHAPE_RUN, NOTHING, NOTHING);
  dl_call_give_up(waiting);
  turn_until_written(w, 1 << 20);
  uv_run(&w->uv, UV_RUN_NOWAIT);
  assert_false(answers[0].came || answers[1].came || answers[2].came);
  dl_call_give_up(reading);
  dl_call_give_up(writing);
  for (int i = 0; i < 3; i++) turn_until(w, &answers[i].came);
  turn_until(w, &queued.came);
  assert_int_equal(answers[0].kind, DL_PROBLEM_TIMEOUT);
  assert_int_equal(answers[1].kind, DL_PROBLEM_NONE);
  assert_int_equal(answers[2].kind, DL_PROBLEM_TIMEOUT);
  assert_int_equal(queued.kind, DL_PROBLEM_STOPPED);
  assert_string_equal(world_call(w, count, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "1");
  world_stop(w);
  close(fd);
}

static void a_reader_can_change_nothing_and_the_file_is_its_owners(void **state) {
  world *w = *state;
  const dl_statement *read = world_seal(w, "SELECT count(*) FROM users");
  start(w);
  assert_string_equal(world_call(w, read, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "0");
  assert_false(read->writes);
  static const char *const files[] = {"test.db", "test.db-wal", "test.db-shm"};
  for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
    struct stat info;
    assert_int_equal(stat(world_path(w, files[i]), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
  }
  world_stop(w);
  assert_int_not_equal(access(world_path(w, "test.db-wal"), F_OK), 0);
}

static void no_statement_loads_code_or_reaches_another_file(void **state) {
  world *w = *state;
  const dl_statement *load = world_seal(w, "SELECT load_extension('/tmp/x.so')");
  start(w);
  answer a = world_call(w, load, DL_SHAPE_RUN, NOTHING, NOTHING);
  assert_int_equal(a.kind, DL_PROBLEM_FAILED);
  assert_non_null(strstr(a.message, "not authorized"));
}

static void a_database_in_memory_is_one_for_reads_and_writes(void **state) {
  world *w = *state;
  world_database(w, "sqlite::memory:", (dl_database_options){.migrations = "migrations"});
  const dl_statement *add = world_seal(w, "INSERT INTO users (email) VALUES (:email)");
  const dl_statement *count = world_seal(w, "SELECT count(*) FROM users");
  start(w);
  world_call(w, add, DL_SHAPE_RUN, TEXT("a"), NOTHING);
  assert_string_equal(world_call(w, count, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "1");
}

static void urls_and_folders_that_make_no_sense_are_refused(void **state) {
  world *w = *state;
  static const char *const urls[] = {"", "users.db", "postgresql://x", "sqlite:", "sqlite://users.db", "sqlite:users.db?mode=ro"};
  for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
    const char *error = NULL;
    assert_null(dl_database_new(&w->loop, dl_str_of(urls[i]), NULL, &error));
    assert_non_null(error);
  }
  world_database(w, "sqlite:nowhere/test.db", (dl_database_options){0});
  assert_false(world_start(w));
  assert_non_null(strstr(w->error, "its folder must exist"));
}

static void a_file_that_is_no_database_is_said_to_be_none(void **state) {
  world *w = *state;
  char garbage[5000];
  memset(garbage, 'x', sizeof(garbage) - 1);
  garbage[sizeof(garbage) - 1] = '\0';
  world_write(w, "test.db", garbage);
  assert_false(world_start(w));
  assert_non_null(strstr(w->error, "file is not a database"));
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      T(writes_and_reads_back),
      T(each_kind_of_value_comes_back_as_it_went),
      T(columns_declared_boolean_give_booleans),
      T(constraints_are_told_apart_and_named),
      T(no_message_holds_a_value_of_the_call),
      T(results_are_bounded),
      T(a_bound_on_results_is_none_on_values),
      T(values_that_do_not_fit_are_refused_by_name),
      T(a_statement_that_sqlite_does_not_take_stops_the_start_by_its_place),
      T(statements_are_sealed_before_the_start_only),
      T(a_statement_that_runs_too_long_is_stopped_and_the_next_one_works),
      T(a_search_through_long_texts_is_stopped_in_time),
      T(a_statement_that_was_given_up_is_stopped_and_its_neighbours_are_not),
      T(a_reader_can_change_nothing_and_the_file_is_its_owners),
      T(no_statement_loads_code_or_reaches_another_file),
      T(a_database_in_memory_is_one_for_reads_and_writes),
      T(urls_and_folders_that_make_no_sense_are_refused),
      T(a_file_that_is_no_database_is_said_to_be_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
