/* SPDX-License-Identifier: MIT */
/* Waiting for the writer and the readers: who waits too long is told so then, and not when they have time for him. */
#include "database_world.h"

#include "data/internal.h"

static int setup(void **state) {
  static world w;
  world_make(&w);
  *state = &w;
  return 0;
}

static int teardown(void **state) {
  world *w = *state;
  if (w->database && dl_database_is_open(w->database)) world_stop(w);
  world_end(w);
  return 0;
}

static dl_call *new_end(world *w, answer *a) {
  memset(a, 0, sizeof(*a));
  dl_call *call = dl_call_new(w->database, NULL, DL_SHAPE_RUN);
  call->done = on_answered;
  call->owner = a;
  return call;
}

/* On a busy machine one that may wait for so little time may have to ask again. */
static dl_transaction *begin_in_time(world *w) {
  answer a;
  do {
    dl_transaction_begin(new_end(w, &a));
    turn_until(w, &a.came);
  } while (a.kind == DL_PROBLEM_BUSY);
  assert_int_equal(a.kind, DL_PROBLEM_NONE);
  return a.transaction;
}

static void what_waits_fails_at_its_time_whatever_the_writer_is_busy_with(void **state) {
  world *w = *state;
  world_write(w, "migrations/0001_schema.sql", "CREATE TABLE items (name TEXT)");
  world_database(w, "sqlite:test.db", (dl_database_options){.migrations = "migrations", .queue_ms = 50, .transaction_ms = 60000});
  const dl_statement *add = world_seal(w, "INSERT INTO items VALUES (:name)");
  const dl_statement *names = world_seal(w, "SELECT group_concat(name) FROM items");
  assert_true(world_start(w));
  dl_transaction *t = begin_in_time(w);
  answer write, opening, another;
  world_send(w, &write, NULL, add, DL_SHAPE_RUN, TEXT("late"), NOTHING);
  dl_transaction_begin(new_end(w, &opening));
  turn_until(w, &opening.came);
  world_send(w, &another, NULL, add, DL_SHAPE_RUN, TEXT("later"), NOTHING);
  turn_until(w, &another.came);
  assert_true(write.came);
  assert_int_equal(write.kind, DL_PROBLEM_BUSY);
  assert_int_equal(opening.kind, DL_PROBLEM_BUSY);
  assert_int_equal(another.kind, DL_PROBLEM_BUSY);
  assert_int_equal(world_in(w, t, add, DL_SHAPE_RUN, TEXT("in time"), NOTHING).kind, DL_PROBLEM_NONE);
  assert_string_equal(world_in(w, t, names, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "in time");
  answer ended;
  dl_transaction_commit(new_end(w, &ended), t);
  turn_until(w, &ended.came);
  assert_int_equal(ended.kind, DL_PROBLEM_NONE);
  dl_transaction_release(t);
  dl_transaction_release(begin_in_time(w)); /* the writer has nothing of theirs left to do */
}

static void what_waits_for_a_reader_fails_at_its_time_too(void **state) {
  world *w = *state;
  world_database(w, "sqlite:test.db", (dl_database_options){.readers = 1, .queue_ms = 50, .statement_ms = 60000});
  const dl_statement *endless = world_seal(w, "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT count(*) FROM n");
  const dl_statement *quick = world_seal(w, "SELECT 1");
  assert_true(world_start(w));
  answer slow, waiting;
  dl_call *running;
  do { /* once more where the machine was too busy for it to begin in time */
    running = world_send(w, &slow, NULL, endless, DL_SHAPE_VALUE, NOTHING, NOTHING);
    world_send(w, &waiting, NULL, quick, DL_SHAPE_VALUE, NOTHING, NOTHING);
    turn_until(w, &waiting.came);
  } while (slow.came);
  assert_int_equal(waiting.kind, DL_PROBLEM_BUSY);
  dl_call_give_up(running);
  turn_until(w, &slow.came);
}

static void send_of(world *w, answer *a, uint64_t share, const dl_statement *statement, const char *name) {
  memset(a, 0, sizeof(*a));
  dl_call *call = dl_call_new(w->database, statement, DL_SHAPE_RUN);
  call->values[0] = dl_value_string(dl_arena_copy(&call->arena, dl_str_of(name)));
  call->share = share;
  call->done = on_answered;
  call->owner = a;
  dl_call_submit(call);
}

static void commit(world *w, dl_transaction *t) {
  answer ended;
  dl_transaction_commit(new_end(w, &ended), t);
  turn_until(w, &ended.came);
  assert_int_equal(ended.kind, DL_PROBLEM_NONE);
  dl_transaction_release(t);
}

/* A transaction keeps the writer busy while they come. */
static void who_asks_for_much_delays_its_own(void **state) {
  world *w = *state;
  static const char *const names[] = {"a1", "a2", "a3", "a4", "b1", "c1", "b2"};
  enum { COUNT = sizeof(names) / sizeof(*names) };
  world_write(w, "migrations/0001_schema.sql", "CREATE TABLE items (name TEXT)");
  world_database(w, "sqlite:test.db", (dl_database_options){.migrations = "migrations", .queue_ms = 60000, .transaction_ms = 60000});
  const dl_statement *add = world_seal(w, "INSERT INTO items VALUES (:name)");
  const dl_statement *all = world_seal(w, "SELECT group_concat(name, ' ') FROM (SELECT name FROM items ORDER BY rowid)");
  assert_true(world_start(w));
  dl_transaction *t = begin_in_time(w);
  answer answers[COUNT];
  for (size_t i = 0; i < COUNT; i++) send_of(w, &answers[i], (uint64_t)names[i][0], add, names[i]);
  commit(w, t);
  for (size_t i = 0; i < COUNT; i++) turn_until(w, &answers[i].came);
  assert_string_equal(world_call(w, all, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "a1 b1 c1 a2 b2 a3 a4");
}

static void who_has_most_waiting_gives_way_where_no_more_may_wait(void **state) {
  world *w = *state;
  world_write(w, "migrations/0001_schema.sql", "CREATE TABLE items (name TEXT)");
  world_database(w, "sqlite:test.db",
                 (dl_database_options){.migrations = "migrations", .queue_max = 3, .queue_ms = 60000, .transaction_ms = 60000});
  const dl_statement *add = world_seal(w, "INSERT INTO items VALUES (:name)");
  const dl_statement *all = world_seal(w, "SELECT group_concat(name, ' ') FROM (SELECT name FROM items ORDER BY rowid)");
  assert_true(world_start(w));
  dl_transaction *t = begin_in_time(w);
  answer first, second, third, other, more, opening;
  send_of(w, &first, 'a', add, "a1");
  send_of(w, &second, 'a', add, "a2");
  dl_call *begin = new_end(w, &opening);
  begin->share = 'a';
  dl_transaction_begin(begin);
  send_of(w, &other, 'b', add, "b1");
  turn_until(w, &opening.came);
  assert_int_equal(opening.kind, DL_PROBLEM_BUSY);
  send_of(w, &more, 'b', add, "b2");
  turn_until(w, &more.came);
  assert_int_equal(more.kind, DL_PROBLEM_BUSY);
  assert_string_equal(more.message, "the database is busy: 3 calls wait already");
  send_of(w, &third, 'c', add, "c1");
  turn_until(w, &second.came);
  assert_int_equal(second.kind, DL_PROBLEM_BUSY);
  commit(w, t);
  turn_until(w, &first.came);
  turn_until(w, &other.came);
  turn_until(w, &third.came);
  assert_string_equal(world_call(w, all, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "a1 b1 c1");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(what_waits_fails_at_its_time_whatever_the_writer_is_busy_with, setup, teardown),
      cmocka_unit_test_setup_teardown(what_waits_for_a_reader_fails_at_its_time_too, setup, teardown),
      cmocka_unit_test_setup_teardown(who_asks_for_much_delays_its_own, setup, teardown),
      cmocka_unit_test_setup_teardown(who_has_most_waiting_gives_way_where_no_more_may_wait, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
