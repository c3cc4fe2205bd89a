/* SPDX-License-Identifier: MIT */
/*
 * What was answered is on disk: a child inserts through the API and reports each
 * answer on a pipe, is killed at a random moment, and the parent looks for every
 * row that was reported. (The power is not cut: that part is SQLite's
 * synchronous=FULL, which is read back here.)
 */
#include "database_world.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { ROUNDS = 20, AT_ONCE = 24 };

static const char schema[] = "CREATE TABLE items (id INTEGER PRIMARY KEY, round INTEGER NOT NULL, number INTEGER NOT NULL, payload TEXT NOT NULL);"
                             "CREATE UNIQUE INDEX by_number ON items (round, number);";

typedef struct insert {
  struct inserter *of;
  int64_t number;
} insert;

typedef struct inserter {
  world *w;
  const dl_statement *add;
  int64_t round, next;
  int pipe;
  insert slots[AT_ONCE];
} inserter;

static void send_next(inserter *in, insert *slot);

static void on_inserted(dl_call *call) {
  insert *slot = call->owner;
  if (call->problem.kind != DL_PROBLEM_NONE) {
    fprintf(stderr, "%s\n", call->problem.message);
    _exit(3);
  }
  if (write(slot->of->pipe, &slot->number, sizeof(slot->number)) != sizeof(slot->number)) _exit(4);
  send_next(slot->of, slot);
}

static void send_next(inserter *in, insert *slot) {
  slot->of = in;
  slot->number = in->next++;
  dl_call *call = dl_call_new(in->w->database, in->add, DL_SHAPE_RUN);
  call->values[0] = dl_value_integer(in->round);
  call->values[1] = dl_value_integer(slot->number);
  call->done = on_inserted;
  call->owner = slot;
  dl_call_submit(call);
}

static void open_world(world *w) {
  w->database = NULL;
  uv_loop_init(&w->uv);
  w->loop.uv = &w->uv;
  world_database(w, "sqlite:test.db", (dl_database_options){.migrations = "migrations"});
}

/* Inserts until somebody kills it. */
static void child(world w, int64_t round, int out) {
  inserter in = {.w = &w, .round = round, .pipe = out};
  open_world(&w);
  in.add = world_seal(&w, "INSERT INTO items (round, number, payload) VALUES (:round, :number, hex(randomblob(100)))");
  if (!world_start(&w)) _exit(2);
  for (size_t i = 0; i < AT_ONCE; i++) send_next(&in, &in.slots[i]);
  uv_run(&w.uv, UV_RUN_DEFAULT);
  _exit(5);
}

/* Whether the kernel has the round's child in the act: at least one answer came. */
static size_t read_until_killed(pid_t pid, int in, int64_t *numbers, size_t room) {
  size_t count = 0;
  int64_t number;
  if (read(in, &number, sizeof(number)) == sizeof(number)) numbers[count++] = number;
  usleep((useconds_t)(rand() % 60000));
  kill(pid, SIGKILL);
  while (count < room && read(in, &number, sizeof(number)) == sizeof(number)) numbers[count++] = number;
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSIGNALED(status));
  return count;
}

static void check_round(world *w, int64_t round, const int64_t *numbers, size_t count) {
  open_world(w);
  const dl_statement *has = world_seal(w, "SELECT count(*) FROM items WHERE round = :round AND number = :number");
  const dl_statement *check = world_seal(w, "SELECT count(*) FROM items NOT INDEXED WHERE round = :round");
  const dl_statement *whole = world_seal(w, "SELECT integrity_check FROM pragma_integrity_check");
  if (!world_start(w)) fail_msg("%s", w->error);
  for (size_t i = 0; i < count; i++) {
    answer a = world_call(w, has, DL_SHAPE_VALUE, dl_value_integer(round), dl_value_integer(numbers[i]));
    if (strcmp(a.rows, "1") != 0) fail_msg("round %d: row %lld was answered and is not there", (int)round, (long long)numbers[i]);
  }
  assert_true(atoll(world_call(w, check, DL_SHAPE_VALUE, dl_value_integer(round), NOTHING).rows) >= (long long)count);
  assert_string_equal(world_call(w, whole, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "ok");
  world_stop(w);
  dl_database_free(w->database);
  w->database = NULL;
  uv_run(&w->uv, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&w->uv), 0);
}

static void every_answered_row_survives_a_kill(void **state) {
  (void)state;
  skip_where_threads_are_followed();
  static int64_t numbers[1 << 20];
  world w;
  world_make(&w);
  assert_int_equal(uv_loop_close(&w.uv), 0);
  world_write(&w, "migrations/0001_items.sql", schema);
  unsigned seed = (unsigned)time(NULL);
  print_message("seed %u\n", seed);
  srand(seed);
  size_t total = 0;
  for (int64_t round = 0; round < ROUNDS; round++) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
      close(ends[0]);
      child(w, round, ends[1]);
    }
    close(ends[1]);
    size_t count = read_until_killed(pid, ends[0], numbers, sizeof(numbers) / sizeof(*numbers));
    close(ends[0]);
    assert_true(count > 0);
    check_round(&w, round, numbers, count);
    total += count;
  }
  print_message("%zu answered rows in %d rounds, all there\n", total, ROUNDS);
  remove_folder(w.folder);
}

static void a_commit_is_synced_to_disk_before_it_is_answered(void **state) {
  (void)state;
  world w;
  world_make(&w);
  world_database(&w, "sqlite:test.db", (dl_database_options){0});
  const dl_statement *mode = world_seal(&w, "SELECT journal_mode FROM pragma_journal_mode");
  /* Only the writer's own connection can tell how it syncs, so ask inside a transaction. */
  const dl_statement *sync = world_seal(&w, "SELECT synchronous FROM pragma_synchronous");
  assert_true(world_start(&w));
  answer a = {0};
  dl_call *call = dl_call_new(w.database, NULL, DL_SHAPE_RUN);
  call->done = on_answered;
  call->owner = &a;
  dl_transaction_begin(call);
  turn_until(&w, &a.came);
  assert_string_equal(world_in(&w, a.transaction, sync, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "2");
  dl_transaction_release(a.transaction);
  assert_string_equal(world_call(&w, mode, DL_SHAPE_VALUE, NOTHING, NOTHING).rows, "wal");
  world_stop(&w);
  world_end(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_answered_row_survives_a_kill),
      cmocka_unit_test(a_commit_is_synced_to_disk_before_it_is_answered),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
