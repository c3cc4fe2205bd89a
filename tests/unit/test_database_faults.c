/* SPDX-License-Identifier: MIT */
/*
 * A disk that fails, at each of its operations in turn: opening, migrations, shared
 * commits, a transaction, a write that has to be undone, reads, and the end. What
 * was acknowledged is there afterwards, what was not is there whole or not at all,
 * and the database serves again as soon as the disk does.
 */
#include "database_world.h"
#include "fault_vfs.h"

#include <sys/mman.h>
#include <sys/wait.h>

enum { FIRST_GROUP = 0, FIRST_COUNT = 6, TRANSACTION = 6, SECOND_GROUP = 7, SECOND_COUNT = 3, ROLLED_BACK = 10, AFTER = 11, KEYS = 12, PAGES = 40 };

typedef enum lift_when { LIFT_BEFORE_STOP, LIFT_BEHIND_STOP } lift_when;

typedef struct statements {
  const dl_statement *add, *half, *spoil, *whole, *broken, *has, *marked, *pages, *texts, *part;
} statements;

typedef struct ledger_page {
  bool acknowledged[KEYS];
} ledger_page;

static ledger_page *ledger; /* shared with the children that are killed */

static int setup(void **state) {
  static world w;
  world_make(&w);
  world_write(&w, "migrations/0001_items.sql",
              "CREATE TABLE items (key INTEGER NOT NULL, part INTEGER NOT NULL, PRIMARY KEY (key, part));\n"
              "CREATE TABLE pages (id INTEGER PRIMARY KEY, mark INTEGER UNIQUE, filler TEXT NOT NULL);");
  world_write(&w, "migrations/0002_pages.sql",
              "ALTER TABLE items ADD COLUMN payload TEXT;\n"
              "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)\n"
              "INSERT INTO pages (id, filler) SELECT i, hex(zeroblob(1500)) FROM n;");
  ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(ledger != MAP_FAILED);
  *state = &w;
  return 0;
}

static int teardown(void **state) {
  world *w = *state;
  fault_lift();
  if (w->database && dl_database_is_open(w->database)) world_stop(w);
  world_end(w);
  munmap(ledger, sizeof(*ledger));
  return 0;
}

static bool start(world *w, statements *s) {
  world_database(w, "sqlite:test.db", (dl_database_options){.migrations = "migrations", .readers = 1});
  *s = (statements){
      .add = world_seal(w, "INSERT INTO items (key, part, payload) VALUES (:key, 1, hex(zeroblob(700))), (:key, 2, hex(zeroblob(700)))"),
      .half = world_seal(w, "INSERT INTO items (key, part) VALUES (:key, :part)"),
      /* Changes more pages than are undone from memory, and then meets the constraint. */
      .spoil = world_seal(w, "UPDATE OR FAIL pages SET mark = min(id, 39), filler = hex(randomblob(1500))"),
      .whole = world_seal(w, "SELECT integrity_check FROM pragma_integrity_check"),
      .broken = world_seal(w, "SELECT count(*) FROM (SELECT key FROM items GROUP BY key HAVING count(*) <> 2)"),
      .has = world_seal(w, "SELECT count(*) FROM items WHERE key = :key"),
      .marked = world_seal(w, "SELECT count(*) FROM pages WHERE mark IS NOT NULL OR filler <> hex(zeroblob(1500))"),
      .pages = world_seal(w, "SELECT count(*) FROM pages"),
      .part = world_seal(w, "SELECT count(*) FROM items WHERE key = 100 AND part = :part"),
      .texts = world_seal(w, "SELECT filler AS text, substr(filler, 1, 3) AS part FROM pages"),
  };
  return world_start(w);
}

static void expect_fault(const answer *a) {
  if (a->kind != DL_PROBLEM_NONE && a->kind != DL_PROBLEM_FAILED && a->kind != DL_PROBLEM_ENDED) fail_msg("%d: %s", (int)a->kind, a->message);
}

/* --- what suffers ------------------------------------------------------------------ */

static void add_group(world *w, const statements *s, int64_t first, int64_t count) {
  answer answers[FIRST_COUNT];
  for (int64_t i = 0; i < count; i++) world_send(w, &answers[i], NULL, s->add, DL_SHAPE_RUN, dl_value_integer(first + i), NOTHING);
  for (int64_t i = 0; i < count; i++) {
    turn_until(w, &answers[i].came);
    expect_fault(&answers[i]);
    ledger->acknowledged[first + i] = answers[i].kind == DL_PROBLEM_NONE;
  }
}

static dl_call *new_end(world *w, answer *a) {
  memset(a, 0, sizeof(*a));
  dl_call *call = dl_call_new(w->database, NULL, DL_SHAPE_RUN);
  call->done = on_answered;
  call->owner = a;
  return call;
}

/* Two halves of a key in one transaction; true when its end said that it succeeded. */
static bool run_transaction(world *w, const statements *s, int64_t key, void (*how)(dl_call *call, dl_transaction *transaction)) {
  answer a;
  dl_transaction_begin(new_end(w, &a));
  turn_until(w, &a.came);
  expect_fault(&a);
  if (a.kind != DL_PROBLEM_NONE) return false;
  dl_transaction *t = a.transaction;
  bool good = true;
  for (int64_t part = 1; part <= 2; part++) {
    a = world_in(w, t, s->half, DL_SHAPE_RUN, dl_value_integer(key), dl_value_integer(part));
    expect_fault(&a);
    good = good && a.kind == DL_PROBLEM_NONE;
  }
  /* An app that sees one half fail does not commit the other. */
  (good ? how : dl_transaction_rollback)(new_end(w, &a), t);
  turn_until(w, &a.came);
  expect_fault(&a);
  dl_transaction_release(t);
  return good && a.kind == DL_PROBLEM_NONE;
}

static void read_all(world *w, const statements *s) {
  answer pages = world_call(w, s->pages, DL_SHAPE_VALUE, NOTHING, NOTHING), marked = world_call(w, s->marked, DL_SHAPE_VALUE, NOTHING, NOTHING);
  expect_fault(&pages);
  expect_fault(&marked);
  if (pages.kind == DL_PROBLEM_NONE) assert_string_equal(pages.rows, "40");
  if (marked.kind == DL_PROBLEM_NONE) assert_string_equal(marked.rows, "0");
  answer texts = world_call(w, s->texts, DL_SHAPE_MANY, NOTHING, NOTHING);
  expect_fault(&texts);
  if (texts.kind != DL_PROBLEM_NONE) return;
  assert_int_equal(texts.row_count, PAGES);
  assert_int_equal(strspn(texts.rows, "0"), 3000);
  assert_int_equal(strncmp(texts.rows + 3000, "|000;", 5), 0);
}

static void work(world *w, const statements *s) {
  add_group(w, s, FIRST_GROUP, FIRST_COUNT);
  ledger->acknowledged[TRANSACTION] = run_transaction(w, s, TRANSACTION, dl_transaction_commit);
  assert_int_not_equal(world_call(w, s->spoil, DL_SHAPE_RUN, NOTHING, NOTHING).kind, DL_PROBLEM_NONE);
  read_all(w, s);
  run_transaction(w, s, ROLLED_BACK, dl_transaction_rollback);
  add_group(w, s, SECOND_GROUP, SECOND_COUNT);
}

/* --- what must hold --------------------------------------------------------------------- */

static const char *ask(world *w, const dl_statement *statement, dl_value value) {
  static answer a;
  a = world_call(w, statement, DL_SHAPE_VALUE, value, NOTHING);
  if (a.kind != DL_PROBLEM_NONE) fail_msg("%s", a.message);
  return a.rows;
}

static void verify(world *w) {
  statements s;
  if (!start(w, &s)) fail_msg("%s", w->error);
  assert_string_equal(ask(w, s.whole, NOTHING), "ok");
  assert_string_equal(ask(w, s.broken, NOTHING), "0");
  assert_string_equal(ask(w, s.pages, NOTHING), "40");
  assert_string_equal(ask(w, s.marked, NOTHING), "0");
  assert_string_equal(ask(w, s.has, dl_value_integer(ROLLED_BACK)), "0");
  for (int64_t key = 0; key < KEYS; key++)
    if (ledger->acknowledged[key] && strcmp(ask(w, s.has, dl_value_integer(key)), "2") != 0)
      fail_msg("what %d wrote was answered and is lost", (int)key);
  world_stop(w);
}

static void serve_again(world *w, statements *s, bool ready) {
  if (!ready && !start(w, s)) fail_msg("%s", w->error);
  answer a = world_call(w, s->add, DL_SHAPE_RUN, dl_value_integer(AFTER), NOTHING);
  if (a.kind != DL_PROBLEM_NONE) fail_msg("%s", a.message);
  ledger->acknowledged[AFTER] = true;
  assert_string_equal(ask(w, s->has, dl_value_integer(AFTER)), "2");
}

static void forget(world *w) {
  static const char *const names[] = {"test.db", "test.db-wal", "test.db-shm", "test.db-journal"};
  for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) unlink(world_path(w, names[i]));
  memset(ledger, 0, sizeof(*ledger));
}

/* False when the run has less than `at` such operations, so that none failed. */
static bool suffer(world *w, fault_rule rule, long at, lift_when when) {
  statements s;
  forget(w);
  fault_arm(rule, at);
  bool ready = start(w, &s);
  if (ready) work(w, &s);
  if (when == LIFT_BEHIND_STOP && ready) world_stop(w);
  bool struck = fault_lift();
  if (!struck && !ready) fail_msg("%s", w->error);
  if (when == LIFT_BEFORE_STOP) {
    serve_again(w, &s, ready);
    world_stop(w);
  }
  verify(w);
  return struck;
}

static void suffer_each(world *w, const char *name, fault_rule rule, long stride, lift_when when) {
  long at = 1, runs = 0;
  for (; suffer(w, rule, at, when); at += stride) runs++;
  print_message("# %s: %ld runs\n", name, runs);
  assert_true(runs > 0);
}

/* --- tests -------------------------------------------------------------------------------- */

static void a_single_fault_fails_what_met_it_and_nothing_else(void **state) {
  static const struct {
    const char *name;
    fault_rule rule;
    long stride;
    lift_when when;
  } cases[] = {
      {"write", {.operations = FAULT_WRITE, .code = SQLITE_IOERR_WRITE, .torn = true}, 1, LIFT_BEFORE_STOP},
      {"full", {.operations = FAULT_WRITE, .code = SQLITE_FULL, .torn = true}, 3, LIFT_BEFORE_STOP},
      {"sync", {.operations = FAULT_SYNC, .code = SQLITE_IOERR_FSYNC}, 1, LIFT_BEFORE_STOP},
      {"read", {.operations = FAULT_READ, .code = SQLITE_IOERR_READ}, 1, LIFT_BEFORE_STOP},
      {"open", {.operations = FAULT_OPEN, .code = SQLITE_CANTOPEN}, 1, LIFT_BEFORE_STOP},
      {"lock", {.operations = FAULT_LOCK, .code = SQLITE_IOERR_LOCK}, 1, LIFT_BEFORE_STOP},
      {"map", {.operations = FAULT_MAP, .code = SQLITE_IOERR_SHMMAP}, 1, LIFT_BEFORE_STOP},
      {"size", {.operations = FAULT_SIZE, .code = SQLITE_IOERR_FSTAT}, 1, LIFT_BEFORE_STOP},
      {"truncate", {.operations = FAULT_TRUNCATE, .code = SQLITE_IOERR_TRUNCATE}, 1, LIFT_BEHIND_STOP},
      {"delete", {.operations = FAULT_DELETE, .code = SQLITE_IOERR_DELETE}, 1, LIFT_BEHIND_STOP},
      {"write or sync, to the end", {.operations = FAULT_WRITE | FAULT_SYNC, .code = SQLITE_IOERR_WRITE}, 5, LIFT_BEHIND_STOP},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) suffer_each(*state, cases[i].name, cases[i].rule, cases[i].stride, cases[i].when);
}

static void a_disk_that_stays_full_is_served_from_once_it_has_room(void **state) {
  suffer_each(*state, "full", (fault_rule){.operations = FAULT_WRITE, .code = SQLITE_FULL, .torn = true, .lasting = true}, 3, LIFT_BEFORE_STOP);
}

static void a_disk_that_is_gone_until_the_end_loses_nothing_acknowledged(void **state) {
  int all = FAULT_CHANGES | FAULT_OPEN | FAULT_READ;
  suffer_each(*state, "gone", (fault_rule){.operations = all, .code = SQLITE_IOERR, .torn = true, .lasting = true}, 3, LIFT_BEHIND_STOP);
}

static void sqlite_without_memory_fails_what_wanted_it_and_nothing_else(void **state) {
  suffer_each(*state, "memory", (fault_rule){.operations = FAULT_MEMORY, .code = SQLITE_NOMEM}, 11, LIFT_BEFORE_STOP);
  suffer_each(*state, "no memory from then on", (fault_rule){.operations = FAULT_MEMORY, .code = SQLITE_NOMEM, .lasting = true}, 29,
              LIFT_BEFORE_STOP);
}

/* Without memory for the way back (its statements are prepared anew behind migrations)
 * the failed write may not stay, nor be committed with others. */
static void a_write_that_cannot_be_undone_takes_its_transaction_along(void **state) {
  world *w = *state;
  bool struck = true;
  for (long at = 1; struck; at++) {
    statements s;
    answer spoilt, other;
    if (!start(w, &s)) fail_msg("%s", w->error);
    fault_arm((fault_rule){.operations = FAULT_MEMORY, .code = SQLITE_NOMEM}, at);
    world_send(w, &spoilt, NULL, s.spoil, DL_SHAPE_RUN, NOTHING, NOTHING);
    world_send(w, &other, NULL, s.half, DL_SHAPE_RUN, dl_value_integer(100), dl_value_integer(at));
    turn_until(w, &spoilt.came);
    turn_until(w, &other.came);
    struck = fault_lift();
    assert_int_not_equal(spoilt.kind, DL_PROBLEM_NONE);
    assert_string_equal(ask(w, s.marked, NOTHING), "0");
    assert_string_equal(ask(w, s.part, dl_value_integer(at)), other.kind == DL_PROBLEM_NONE ? "1" : "0");
    world_stop(w);
  }
}

/* Without memory for the rollback itself a transaction stays open in a writer that nobody
 * asks again: other processes write all the same, by and by. */
static void a_transaction_that_was_not_rolled_back_locks_nobody_out(void **state) {
  enum { PATIENCE_MS = 20000 };
  world *w = *state;
  statements s;
  sqlite3 *other;
  if (!start(w, &s)) fail_msg("%s", w->error);
  assert_int_equal(sqlite3_open(world_path(w, "test.db"), &other), SQLITE_OK);
  assert_int_equal(sqlite3_exec(other, "SELECT count(*) FROM items", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_busy_timeout(other, PATIENCE_MS);
  bool struck = true;
  for (long at = 1; struck; at++) {
    answer spoilt;
    fault_arm((fault_rule){.operations = FAULT_MEMORY, .code = SQLITE_NOMEM, .lasting = true}, at);
    world_send(w, &spoilt, NULL, s.spoil, DL_SHAPE_RUN, NOTHING, NOTHING);
    turn_until(w, &spoilt.came);
    struck = fault_lift();
    assert_int_not_equal(spoilt.kind, DL_PROBLEM_NONE);
    if (sqlite3_exec(other, "BEGIN IMMEDIATE; ROLLBACK", NULL, NULL, NULL) != SQLITE_OK) fail_msg("call %ld: %s", at, sqlite3_errmsg(other));
  }
  sqlite3_close(other);
  world_stop(w);
}

/* --- killed --------------------------------------------------------------------------------- */

/* Everything from the first open to the end, by a process of its own. */
static void child(world w, long at) {
  statements s;
  w.database = NULL;
  uv_loop_init(&w.uv);
  w.loop.uv = &w.uv;
  fault_arm((fault_rule){.operations = FAULT_CHANGES, .torn = true}, at);
  if (!start(&w, &s)) _exit(1);
  work(&w, &s);
  world_stop(&w);
  _exit(0);
}

static void killed_in_the_midst_of_any_change_nothing_acknowledged_is_lost(void **state) {
  skip_where_threads_are_followed();
  world *w = *state;
  long at = 1;
  for (int status = 1; status != 0; at += 2) {
    forget(w);
    pid_t pid = fork();
    if (pid == 0) child(*w, at);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    verify(w);
  }
  print_message("# killed: %ld runs\n", at / 2);
  assert_true(at > 20);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      T(a_single_fault_fails_what_met_it_and_nothing_else),
      T(a_disk_that_stays_full_is_served_from_once_it_has_room),
      T(a_disk_that_is_gone_until_the_end_loses_nothing_acknowledged),
      T(sqlite_without_memory_fails_what_wanted_it_and_nothing_else),
      T(a_write_that_cannot_be_undone_takes_its_transaction_along),
      T(a_transaction_that_was_not_rolled_back_locks_nobody_out),
      T(killed_in_the_midst_of_any_change_nothing_acknowledged_is_lost),
  };
  if (!fault_install()) return 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
