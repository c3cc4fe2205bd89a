/* SPDX-License-Identifier: MIT */
/* The writer: shared commits, failures that stay one call's, transactions, locks and queues. */
#include "database_world.h"

#include "data/internal.h"

#include <sqlite3.h>
#include <sys/resource.h>
#include <time.h>

static int setup(void **state) {
  static world w;
  world_make(&w);
  world_write(&w, "migrations/0001_schema.sql",
              "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT UNIQUE);"
              "CREATE TABLE brutal (name TEXT UNIQUE ON CONFLICT ROLLBACK);"
              "CREATE TRIGGER careful BEFORE INSERT ON items WHEN NEW.name = 'forbidden' BEGIN SELECT RAISE(FAIL, 'no such name'); END;");
  *state = &w;
  return 0;
}

static int teardown(void **state) {
  world *w = *state;
  if (w->database && dl_database_is_open(w->database)) world_stop(w);
  world_end(w);
  return 0;
}

typedef struct statements {
  const dl_statement *add, *brutal, *count, *names, *two;
} statements;

static statements prepare(world *w, dl_database_options options) {
  options.migrations = "migrations";
  world_database(w, "sqlite:test.db", options);
  return (statements){
      .add = world_seal(w, "INSERT INTO items (name) VALUES (:name)"),
      .brutal = world_seal(w, "INSERT INTO brutal (name) VALUES (:name)"),
      .count = world_seal(w, "SELECT count(*) FROM items"),
      .names = world_seal(w, "SELECT group_concat(name) FROM (SELECT name FROM items ORDER BY name)"),
      .two = world_seal(w, "INSERT OR FAIL INTO items (name) VALUES (:name), ('taken') RETURNING id"),
  };
}

static statements start(world *w, dl_database_options options) {
  statements s = prepare(w, options);
  if (!world_start(w)) fail_msg("%s", w->error);
  return s;
}

/* A second process, as SQLite sees it: a connection that is not ours. */
static sqlite3 *stranger(world *w) {
  sqlite3 *other;
  assert_int_equal(sqlite3_open(world_path(w, "test.db"), &other), SQLITE_OK);
  return other;
}

static void run_as(sqlite3 *other, const char *sql) { assert_int_equal(sqlite3_exec(other, sql, NULL, NULL, NULL), SQLITE_OK); }

static int take_long(void *data) {
  (void)data;
  return usleep(8000);
}

/* What is on the disk must not be told as undone. SQLite looks at the time limit behind one of so many commits. */
static void a_commit_that_takes_longer_than_a_statement_may_is_none_that_failed(void **state) {
  world *w = *state;
  dl_arena arena;
  dl_problem problem = {0};
  dl_arena_init(&arena, 0);
  prepare(w, (dl_database_options){0});
  dl_sqlite *connection = dl_sqlite_open(w->database, false, &arena, &problem);
  assert_non_null(connection);
  sqlite3_commit_hook(connection->handle, take_long, NULL);
  run_as(connection->handle, "CREATE TABLE numbers (n)");
  for (int i = 0; i < 60; i++) {
    dl_sqlite_deadlines(connection, 1000, 2);
    assert_int_equal(dl_sqlite_step(connection, DL_STEP_BEGIN), SQLITE_OK);
    dl_sqlite_deadlines(connection, 1000, 1000);
    run_as(connection->handle, "INSERT INTO numbers VALUES (1)");
    dl_sqlite_deadlines(connection, 1000, 2);
    assert_int_equal(dl_sqlite_step(connection, DL_STEP_COMMIT), SQLITE_OK);
  }
  dl_sqlite_close(connection);
  dl_arena_free(&arena);
}

/* It takes what was sent, alone, and waits for the stranger's lock. */
static void let_the_writer_begin(world *w) {
  for (bool taken = false; !taken; usleep(1000)) {
    uv_run(&w->uv, UV_RUN_NOWAIT);
    uv_mutex_lock(&w->database->mutex);
    taken = !w->database->writes.first;
    uv_mutex_unlock(&w->database->mutex);
  }
}

static void turn_all(world *w, answer *answers, size_t count) {
  for (size_t i = 0; i < count; i++) turn_until(w, &answers[i].came);
}

static unsigned log_frames(world *w) {
  struct stat info;
  assert_int_equal(stat(world_path(w, "test.db-wal"), &info), 0);
  return (unsigned)((info.st_size - 32) / (4096 + 24));
}

/* While a stranger holds the lock the writes gather; then one commit takes all,
 * which the number of pages in the log shows. */
static void writes_that_wait_share_one_commit(void **state) {
  world *w = *state;
  statements s = start(w, (dl_database_options){0});
  static answer answers[101];
  sqlite3 *other = stranger(w);
  unsigned before = log_frames(w);
  run_as(other, "BEGIN IMMEDIATE");
  for (size_t i = 0; i < 101; i++) {
    char name[16];
    snprintf(name, sizeof(name), "name %zu", i);
    dl_call *call = dl_call_new(w->database, s.add, DL_SHAPE_RUN);
    call->values[0] = dl_value_string(dl_arena_copy(&call->arena, dl_str_of(name)));
    call->done = on_answered;
    call->owner = &answers[i];
    memset(&answers[i], 0, sizeof(answers[i]));
    dl_call_submit(call);
    if (i == 0) let_the_writer_begin(w);
  }
  run_as(other, "COMMIT");
  sqlite3_close(other);
  turn_all(w, answers, 101);
  for (size_t i = 0; i < 101; i++) assert_int_equal(answers[i].kind, DL_PROBLEM_NONE);
  assert_string_equal(world_call(w, s.count, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "101");
  assert_in_range(log_frames(w) - before, 1, 20);
}

static void send_together(world *w, answer *answers, const dl_statement *const *list, const char *const *names, size_t count) {
  sqlite3 *other = stranger(w);
  run_as(other, "BEGIN IMMEDIATE");
  static answer first;
  world_send(w, &first, NULL, list[0], DL_SHAPE_RUN, dl_value_null(), NOTHING);
  let_the_writer_begin(w);
  for (size_t i = 0; i < count; i++) world_send(w, &answers[i], NULL, list[i], DL_SHAPE_RUN, dl_value_string(dl_str_of(names[i])), NOTHING);
  run_as(other, "COMMIT");
  sqlite3_close(other);
  turn_all(w, answers, count);
}

static void one_calls_failure_is_its_own(void **state) {
  world *w = *state;
  statements s = start(w, (dl_database_options){0});
  const dl_statement *list[] = {s.add, s.add, s.add, s.add, s.two, s.add};
  static const char *const names[] = {"a", "taken", "a", "forbidden", "half", "b"};
  static const dl_problem_kind kinds[] = {DL_PROBLEM_NONE, DL_PROBLEM_NONE, DL_PROBLEM_UNIQUE, DL_PROBLEM_CHECK, DL_PROBLEM_UNIQUE, DL_PROBLEM_NONE};
  answer answers[6];
  send_together(w, answers, list, names, 6);
  for (size_t i = 0; i < 6; i++) assert_int_equal(answers[i].kind, kinds[i]);
  /* "half" was inserted before OR FAIL stopped; its savepoint took it away. */
  assert_string_equal(world_call(w, s.names, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "a,b,taken");
}

static void a_conflict_that_rolls_everything_back_costs_only_its_own_call(void **state) {
  world *w = *state;
  statements s = start(w, (dl_database_options){0});
  const dl_statement *list[] = {s.add, s.brutal, s.add, s.brutal, s.add, s.add};
  static const char *const names[] = {"a", "x", "b", "x", "a", "c"};
  static const dl_problem_kind kinds[] = {DL_PROBLEM_NONE, DL_PROBLEM_NONE, DL_PROBLEM_NONE, DL_PROBLEM_UNIQUE, DL_PROBLEM_UNIQUE, DL_PROBLEM_NONE};
  answer answers[6];
  send_together(w, answers, list, names, 6);
  for (size_t i = 0; i < 6; i++) assert_int_equal(answers[i].kind, kinds[i]);
  assert_string_equal(world_call(w, s.names, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "a,b,c");
}

static void rows_over_the_bound_undo_the_write_that_gave_them(void **state) {
  world *w = *state;
  prepare(w, (dl_database_options){0});
  const dl_statement *both = world_seal(w, "INSERT INTO items (name) VALUES ('x'), ('y') RETURNING id");
  const dl_statement *count = world_seal(w, "SELECT count(*) FROM items");
  assert_true(world_start(w));
  assert_int_equal(world_call(w, both, DL_SHAPE_ONE, NOTHING, NOTHING).kind, DL_PROBLEM_TOO_MUCH);
  assert_string_equal(world_call(w, count, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "0");
}

static const char *const late_table = "CREATE TABLE late (item INTEGER REFERENCES items (id) DEFERRABLE INITIALLY DEFERRED);";

static void a_deferred_key_that_points_nowhere_fails_its_own_call_only(void **state) {
  world *w = *state;
  world_write(w, "migrations/0002_late.sql", late_table);
  statements s = prepare(w, (dl_database_options){0});
  const dl_statement *late = world_seal(w, "INSERT INTO late VALUES (99)");
  const dl_statement *drop = world_seal(w, "DELETE FROM items WHERE name = :name");
  const dl_statement *good = world_seal(w, "INSERT INTO late SELECT id FROM items WHERE name = :name RETURNING item");
  assert_true(world_start(w));
  const dl_statement *list[] = {s.add, late, good, drop, s.add};
  static const char *const names[] = {"a", "", "a", "a", "b"};
  static const dl_problem_kind kinds[] = {DL_PROBLEM_NONE, DL_PROBLEM_FOREIGN_KEY, DL_PROBLEM_NONE, DL_PROBLEM_FOREIGN_KEY, DL_PROBLEM_NONE};
  answer answers[5];
  send_together(w, answers, list, names, 5);
  for (size_t i = 0; i < 5; i++) assert_int_equal(answers[i].kind, kinds[i]);
  assert_non_null(strstr(answers[1].message, "app.lua:7: FOREIGN KEY constraint failed"));
  assert_non_null(strstr(answers[1].message, "db:transaction"));
  assert_string_equal(world_call(w, s.names, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "a,b");
}

/* --- transactions ------------------------------------------------------------------- */

static dl_call *new_end(world *w, answer *a) {
  memset(a, 0, sizeof(*a));
  dl_call *call = dl_call_new(w->database, NULL, DL_SHAPE_RUN);
  call->done = on_answered;
  call->owner = a;
  return call;
}

static dl_transaction *begin(world *w) {
  answer a;
  dl_transaction_begin(new_end(w, &a));
  turn_until(w, &a.came);
  assert_int_equal(a.kind, DL_PROBLEM_NONE);
  return a.transaction;
}

static answer end(world *w, dl_transaction *transaction, void (*how)(dl_call *call, dl_transaction *transaction)) {
  answer a;
  how(new_end(w, &a), transaction);
  turn_until(w, &a.came);
  return a;
}

static void a_transaction_is_seen_by_itself_first_and_by_all_after_its_commit(void **state) {
  world *w = *state;
  statements s = start(w, (dl_database_options){0});
  dl_transaction *t = begin(w);
  assert_int_equal(world_in(w, t, s.add, DL_SHAPE_RUN, TEXT("a"), NOTHING).kind, DL_PROBLEM_NONE);
  assert_string_equal(world_in(w, t, s.count, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "1");
  assert_string_equal(world_call(w, s.count, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "0");
  answer other;
  world_send(w, &other, NULL, s.add, DL_SHAPE_RUN, TEXT("other"), NOTHING);
  /* A failure inside is undone alone; the transaction may go on. */
  assert_int_equal(world_in(w, t, s.add, DL_SHAPE_RUN, TEXT("a"), NOTHING).kind, DL_PROBLEM_UNIQUE);
  assert_int_equal(world_in(w, t, s.add, DL_SHAPE_RUN, TEXT("b"), NOTHING).kind, DL_PROBLEM_NONE);
  assert_false(other.came);
  assert_int_equal(end(w, t, dl_transaction_commit).kind, DL_PROBLEM_NONE);
  turn_until(w, &other.came);
  assert_string_equal(world_call(w, s.names, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "a,b,other");
  assert_int_equal(world_in(w, t, s.count, DL_SHAPE_VALUE, NOTHING, NOTHING).kind, DL_PROBLEM_ENDED);
  assert_int_equal(end(w, t, dl_transaction_commit).kind, DL_PROBLEM_ENDED);
  dl_transaction_release(t);
}

static void a_rolled_back_or_abandoned_transaction_leaves_nothing(void **state) {
  world *w = *state;
  statements s = start(w, (dl_database_options){0});
  dl_transaction *t = begin(w);
  world_in(w, t, s.add, DL_SHAPE_RUN, TEXT("a"), NOTHING);
  assert_int_equal(end(w, t, dl_transaction_rollback).kind, DL_PROBLEM_NONE);
  dl_transaction_release(t);
  t = begin(w);
  world_in(w, t, s.add, DL_SHAPE_RUN, TEXT("b"), NOTHING);
  dl_transaction_release(t);
  assert_int_equal(world_call(w, s.add, DL_SHAPE_RUN, TEXT("c"), NOTHING).kind, DL_PROBLEM_NONE);
  assert_string_equal(world_call(w, s.names, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "c");
}

static void a_transaction_past_its_deadline_is_rolled_back_and_said_to_be(void **state) {
  world *w = *state;
  statements s = start(w, (dl_database_options){.transaction_ms = 100});
  dl_transaction *t = begin(w);
  world_in(w, t, s.add, DL_SHAPE_RUN, TEXT("a"), NOTHING);
  answer other = world_call(w, s.add, DL_SHAPE_RUN, TEXT("a"), NOTHING);
  assert_int_equal(other.kind, DL_PROBLEM_NONE);
  answer a = world_in(w, t, s.add, DL_SHAPE_RUN, TEXT("b"), NOTHING);
  assert_int_equal(a.kind, DL_PROBLEM_ENDED);
  assert_non_null(strstr(a.message, "took too long"));
  assert_int_equal(end(w, t, dl_transaction_commit).kind, DL_PROBLEM_ENDED);
  dl_transaction_release(t);
}

static void a_conflict_that_ends_the_transaction_is_told_to_later_calls(void **state) {
  world *w = *state;
  statements s = start(w, (dl_database_options){0});
  dl_transaction *t = begin(w);
  world_in(w, t, s.brutal, DL_SHAPE_RUN, TEXT("x"), NOTHING);
  assert_int_equal(world_in(w, t, s.brutal, DL_SHAPE_RUN, TEXT("x"), NOTHING).kind, DL_PROBLEM_UNIQUE);
  assert_int_equal(world_in(w, t, s.add, DL_SHAPE_RUN, TEXT("a"), NOTHING).kind, DL_PROBLEM_ENDED);
  assert_int_equal(end(w, t, dl_transaction_commit).kind, DL_PROBLEM_ENDED);
  dl_transaction_release(t);
  assert_string_equal(world_call(w, s.count, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "0");
}

static void a_transaction_defers_keys_until_its_own_commit(void **state) {
  world *w = *state;
  world_write(w, "migrations/0002_late.sql", late_table);
  prepare(w, (dl_database_options){0});
  const dl_statement *late = world_seal(w, "INSERT INTO late VALUES (99)");
  const dl_statement *mend = world_seal(w, "INSERT INTO items (id) VALUES (99)");
  const dl_statement *count = world_seal(w, "SELECT count(*) FROM late");
  assert_true(world_start(w));
  dl_transaction *t = begin(w);
  assert_int_equal(world_in(w, t, late, DL_SHAPE_RUN, NOTHING, NOTHING).kind, DL_PROBLEM_NONE);
  answer a = end(w, t, dl_transaction_commit);
  assert_int_equal(a.kind, DL_PROBLEM_FOREIGN_KEY);
  assert_non_null(strstr(a.message, "commit failed"));
  dl_transaction_release(t);
  t = begin(w);
  assert_int_equal(world_in(w, t, late, DL_SHAPE_RUN, NOTHING, NOTHING).kind, DL_PROBLEM_NONE);
  assert_int_equal(world_in(w, t, mend, DL_SHAPE_RUN, NOTHING, NOTHING).kind, DL_PROBLEM_NONE);
  assert_int_equal(end(w, t, dl_transaction_commit).kind, DL_PROBLEM_NONE);
  dl_transaction_release(t);
  assert_string_equal(world_call(w, count, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "1");
}

/* As a bridge does whose task was given up: what nobody hears ends its transaction. */
static void on_unheard(dl_call *call) {
  assert_ptr_equal(call->transaction->database, call->database);
  dl_transaction_abandon(call->transaction);
  on_answered(call);
}

/* When an answer is seen the writer has ended the transaction, and held it no longer. */
static void a_transaction_outlives_whoever_began_it_until_its_calls_are_answered(void **state) {
  world *w = *state;
  statements s = start(w, (dl_database_options){0});
  answer inside, ending;
  dl_transaction *t = begin(w);
  dl_call *call = world_send(w, &inside, t, s.add, DL_SHAPE_RUN, TEXT("a"), NOTHING), *last = new_end(w, &ending);
  call->done = last->done = on_unheard;
  dl_transaction_commit(last, t);
  dl_transaction_release(t);
  turn_until(w, &ending.came);
  assert_true(inside.came);
  t = begin(w);
  assert_int_equal(end(w, t, dl_transaction_rollback).kind, DL_PROBLEM_NONE);
  last = new_end(w, &ending); /* one that comes too late, and is never given to the writer */
  last->done = on_unheard;
  dl_transaction_commit(last, t);
  dl_transaction_release(t);
  turn_until(w, &ending.came);
  assert_int_equal(ending.kind, DL_PROBLEM_ENDED);
}

/* --- bounds --------------------------------------------------------------------------- */

static void a_lock_that_is_not_given_up_is_named(void **state) {
  world *w = *state;
  statements s = start(w, (dl_database_options){.lock_ms = 100});
  sqlite3 *other = stranger(w);
  run_as(other, "BEGIN IMMEDIATE");
  answer a = world_call(w, s.add, DL_SHAPE_RUN, TEXT("a"), NOTHING);
  assert_int_equal(a.kind, DL_PROBLEM_LOCKED);
  assert_non_null(strstr(a.message, "another process"));
  assert_string_equal(world_call(w, s.count, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "0");
  run_as(other, "COMMIT");
  sqlite3_close(other);
  assert_int_equal(world_call(w, s.add, DL_SHAPE_RUN, TEXT("a"), NOTHING).kind, DL_PROBLEM_NONE);
}

typedef struct relay {
  sqlite3 *runners[2];
  bool over; /* between threads */
} relay;

/* One of two reads at all times: each begins before the other ends. */
static void read_in_turns(void *data) {
  relay *r = data;
  for (unsigned i = 0; !__atomic_load_n(&r->over, __ATOMIC_RELAXED); i++) {
    run_as(r->runners[i % 2], "BEGIN; SELECT count(*) FROM brutal");
    if (i) run_as(r->runners[(i + 1) % 2], "COMMIT");
    usleep(100);
  }
}

static void the_log_begins_anew_though_reads_overlap_without_end(void **state) {
  enum { WRITES = 60, FRAMES_OF_ONE = 256 };
  world *w = *state;
  prepare(w, (dl_database_options){0});
  const dl_statement *add = world_seal(w, "INSERT INTO items (name) VALUES (hex(randomblob(:bytes)))");
  assert_true(world_start(w));
  relay r = {.runners = {stranger(w), stranger(w)}};
  uv_thread_t thread;
  assert_int_equal(uv_thread_create(&thread, read_in_turns, &r), 0);
  for (int i = 0; i < WRITES; i++) {
    answer a = world_call(w, add, DL_SHAPE_RUN, dl_value_integer(FRAMES_OF_ONE / 4 * 4096), NOTHING);
    if (a.kind != DL_PROBLEM_NONE) fail_msg("%s", a.message);
  }
  __atomic_store_n(&r.over, true, __ATOMIC_RELAXED);
  uv_thread_join(&thread);
  for (int i = 0; i < 2; i++) sqlite3_close(r.runners[i]);
  assert_in_range(log_frames(w), FRAMES_OF_ONE, WRITES * FRAMES_OF_ONE / 2);
}

/* Files of this process may not grow past so many bytes: what a full disk says when it is written to. */
static void leave_room(rlim_t bytes) {
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static size_t count_done(const answer *answers, size_t count) {
  size_t done = 0;
  for (size_t i = 0; i < count; i++) {
    assert_true(answers[i].kind == DL_PROBLEM_NONE || answers[i].kind == DL_PROBLEM_FAILED);
    done += answers[i].kind == DL_PROBLEM_NONE;
  }
  return done;
}

/* Wherever in what is added to the log the room ends: what was acknowledged is there, and nothing else is. */
static void a_disk_without_room_acknowledges_nothing_that_it_lost_and_serves_again(void **state) {
  world *w = *state;
  statements s = start(w, (dl_database_options){0});
  static answer answers[20];
  size_t done = 0, failed = 0;
  char expected[24];
  signal(SIGXFSZ, SIG_IGN);
  for (rlim_t room = 0; room < 30000; room += 1009) {
    leave_room(32 + (rlim_t)log_frames(w) * (4096 + 24) + room);
    for (size_t i = 0; i < 20; i++) world_send(w, &answers[i], NULL, s.add, DL_SHAPE_RUN, dl_value_null(), NOTHING);
    turn_all(w, answers, 20);
    size_t now = count_done(answers, 20);
    done += now, failed += 20 - now;
    snprintf(expected, sizeof(expected), "%zu", done);
    assert_string_equal(world_call(w, s.count, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, expected);
    leave_room(RLIM_INFINITY);
    assert_int_equal(world_call(w, s.add, DL_SHAPE_RUN, dl_value_null(), NOTHING).kind, DL_PROBLEM_NONE);
    done++;
  }
  assert_true(done > 50 && failed > 50);
  statements again = start(w, (dl_database_options){0});
  snprintf(expected, sizeof(expected), "%zu", done);
  assert_string_equal(world_call(w, again.count, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, expected);
}

static void a_full_queue_refuses_and_a_long_wait_ends(void **state) {
  world *w = *state;
  statements s = start(w, (dl_database_options){.queue_max = 4, .queue_ms = 500, .transaction_ms = 60000});
  dl_transaction *t = begin(w);
  static answer answers[6];
  for (size_t i = 0; i < 6; i++) world_send(w, &answers[i], NULL, s.add, DL_SHAPE_RUN, dl_value_null(), NOTHING);
  usleep(600000);
  assert_int_equal(end(w, t, dl_transaction_rollback).kind, DL_PROBLEM_NONE);
  dl_transaction_release(t);
  turn_all(w, answers, 6);
  for (size_t i = 0; i < 6; i++) assert_int_equal(answers[i].kind, DL_PROBLEM_BUSY);
  assert_non_null(strstr(answers[5].message, "4 calls wait already"));
  assert_non_null(strstr(answers[0].message, "waited too long"));
  answer last;
  do last = world_call(w, s.add, DL_SHAPE_RUN, TEXT("a"), NOTHING); /* on a busy machine even one waits */
  while (last.kind == DL_PROBLEM_BUSY);
  assert_int_equal(last.kind, DL_PROBLEM_NONE);
}

/* It holds the write lock for as long: what it notes of an index with one value in all rows is how many it looked at. */
static void stopping_measures_no_whole_table(void **state) {
  world *w = *state;
  world_write(w, "migrations/0002_large.sql",
              "CREATE TABLE large (kind INTEGER); CREATE INDEX by_kind ON large (kind);"
              "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5000) INSERT INTO large SELECT 0 FROM n;");
  prepare(w, (dl_database_options){0});
  world_seal(w, "SELECT count(*) FROM large WHERE kind = 1 AND rowid > 7");
  assert_true(world_start(w));
  world_stop(w);
  prepare(w, (dl_database_options){0});
  const dl_statement *noted = world_seal(w, "SELECT CAST(substr(stat, instr(stat, ' ') + 1) AS INTEGER) FROM sqlite_stat1 WHERE idx = 'by_kind'");
  assert_true(world_start(w));
  assert_in_range(atoi(world_call(w, noted, DL_SHAPE_VALUE, NOTHING, NOTHING).rows), 100, 1000);
}

static void stopping_answers_what_waits_and_refuses_what_comes(void **state) {
  world *w = *state;
  statements s = start(w, (dl_database_options){0});
  answer waiting[20], late;
  for (size_t i = 0; i < 20; i++) world_send(w, &waiting[i], NULL, i % 2 ? s.count : s.add, DL_SHAPE_VALUE, dl_value_null(), NOTHING);
  event e = {.w = w};
  dl_database_stop(w->database, on_event, &e);
  world_send(w, &late, NULL, s.count, DL_SHAPE_VALUE, NOTHING, NOTHING);
  turn_until(w, &e.came);
  assert_int_equal(late.kind, DL_PROBLEM_STOPPED);
  for (size_t i = 0; i < 20; i++) assert_true(waiting[i].came && waiting[i].kind == DL_PROBLEM_NONE);
  statements again = start(w, (dl_database_options){0});
  assert_string_equal(world_call(w, again.count, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "10");
}

typedef struct asking {
  answer first, second;
  world *w;
  const dl_statement *statement;
} asking;

static void ask_again(dl_call *call) {
  asking *a = call->owner;
  on_answered(call);
  world_send(a->w, &a->second, NULL, a->statement, DL_SHAPE_VALUE, NOTHING, NOTHING);
}

/* One that loses its transaction to the stop and asks again, when the writer has gone already. */
static void who_asks_while_it_ends_is_answered_too(void **state) {
  world *w = *state;
  statements s = start(w, (dl_database_options){.transaction_ms = 20});
  asking a = {.w = w, .statement = s.count};
  event e = {.w = w};
  dl_transaction *t = begin(w);
  dl_database_stop(w->database, on_event, &e);
  usleep(300000);
  world_send(w, &a.first, t, s.count, DL_SHAPE_VALUE, NOTHING, NOTHING)->done = ask_again;
  turn_until(w, &e.came);
  assert_int_equal(a.first.kind, DL_PROBLEM_ENDED);
  assert_true(a.second.came);
  assert_int_equal(a.second.kind, DL_PROBLEM_STOPPED);
  dl_transaction_release(t);
}

static void freed_while_at_work_it_ends_by_itself_and_answers_nobody(void **state) {
  world *w = *state;
  statements s = start(w, (dl_database_options){0});
  static answer unheard[10];
  for (size_t i = 0; i < 10; i++) world_send(w, &unheard[i], NULL, i % 2 ? s.count : s.add, DL_SHAPE_VALUE, dl_value_null(), NOTHING);
  dl_database_free(w->database);
  w->database = NULL;
  uv_run(&w->uv, UV_RUN_DEFAULT);
  for (size_t i = 0; i < 10; i++) assert_false(unheard[i].came);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      T(writes_that_wait_share_one_commit),
      T(a_commit_that_takes_longer_than_a_statement_may_is_none_that_failed),
      T(one_calls_failure_is_its_own),
      T(a_conflict_that_rolls_everything_back_costs_only_its_own_call),
      T(rows_over_the_bound_undo_the_write_that_gave_them),
      T(a_deferred_key_that_points_nowhere_fails_its_own_call_only),
      T(a_transaction_is_seen_by_itself_first_and_by_all_after_its_commit),
      T(a_rolled_back_or_abandoned_transaction_leaves_nothing),
      T(a_transaction_past_its_deadline_is_rolled_back_and_said_to_be),
      T(a_conflict_that_ends_the_transaction_is_told_to_later_calls),
      T(a_transaction_defers_keys_until_its_own_commit),
      T(a_transaction_outlives_whoever_began_it_until_its_calls_are_answered),
      T(a_lock_that_is_not_given_up_is_named),
      T(the_log_begins_anew_though_reads_overlap_without_end),
      T(a_disk_without_room_acknowledges_nothing_that_it_lost_and_serves_again),
      T(a_full_queue_refuses_and_a_long_wait_ends),
      T(stopping_measures_no_whole_table),
      T(stopping_answers_what_waits_and_refuses_what_comes),
      T(who_asks_while_it_ends_is_answered_too),
      T(freed_while_at_work_it_ends_by_itself_and_answers_nobody),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
