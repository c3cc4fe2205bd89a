/* SPDX-License-Identifier: MIT */
/*
 * Durable inserts and point reads a second through core/data, by how many callers
 * wait at once. Not a test: what a sync costs is the disk's affair. The file is
 * made in the folder given as the argument (else the current one) and removed.
 */
#include "data/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECONDS = 2, CALLERS_MAX = 256 };

typedef struct bench {
  uv_loop_t uv;
  dl_loop loop;
  dl_database *database;
  const dl_statement *add, *find;
  const dl_statement *current;
  bool done;
  uint64_t until, finished;
  int64_t next;
} bench;

static void fail(const char *message) {
  fprintf(stderr, "bench_database: %s\n", message);
  exit(1);
}

static void on_event(void *owner, const char *error) {
  if (error) fail(error);
  ((bench *)owner)->done = true;
}

static void send_one(bench *b);

static void on_done(dl_call *call) {
  bench *b = call->owner;
  if (call->problem.kind != DL_PROBLEM_NONE) fail(call->problem.message);
  b->finished++;
  if (uv_hrtime() < b->until) send_one(b);
}

static void send_one(bench *b) {
  dl_call *call = dl_call_new(b->database, b->current, b->current == b->find ? DL_SHAPE_ONE : DL_SHAPE_RUN);
  int64_t number = b->next++;
  call->values[0] = dl_value_integer(b->current == b->find ? 1 + number % 1000 : number);
  if (b->current == b->add) call->values[1] = dl_value_string(DL_STR("a name of some length@example.com"));
  call->done = on_done;
  call->owner = b;
  dl_call_submit(call);
}

static double rate(bench *b, const dl_statement *statement, size_t callers) {
  uint64_t begin = uv_hrtime();
  b->current = statement;
  b->finished = 0;
  b->until = begin + SECONDS * UINT64_C(1000000000);
  for (size_t i = 0; i < callers; i++) send_one(b);
  uv_run(&b->uv, UV_RUN_DEFAULT);
  return (double)b->finished / ((double)(uv_hrtime() - begin) / 1e9);
}

static const dl_statement *seal(bench *b, const char *sql) {
  const char *error = NULL;
  dl_statement_text text = {.sql = dl_str_of(sql), .source = DL_STR("bench")};
  const dl_statement *statement = dl_database_seal(b->database, &text, &error);
  if (!statement) fail(error);
  return statement;
}

static void write_migration(const char *folder) {
  char path[512];
  snprintf(path, sizeof(path), "%s/0001_users.sql", folder);
  FILE *file = fopen(path, "w");
  if (!file) fail("the folder cannot be written");
  fputs("CREATE TABLE users (id INTEGER PRIMARY KEY, number INTEGER NOT NULL, name TEXT NOT NULL);", file);
  fclose(file);
}

static void remove_all(const char *folder) {
  static const char *const names[] = {"0001_users.sql", "bench.db", "bench.db-wal", "bench.db-shm"};
  char path[512];
  for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
    snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
    unlink(path);
  }
  rmdir(folder);
}

int main(int count, char **arguments) {
  static const size_t callers[] = {1, 2, 8, 64, CALLERS_MAX};
  static bench b;
  char folder[256];
  snprintf(folder, sizeof(folder), "%s/bench-XXXXXX", count > 1 ? arguments[1] : ".");
  if (!mkdtemp(folder)) fail("no folder can be made there");
  write_migration(folder);
  uv_loop_init(&b.uv);
  b.loop.uv = &b.uv;
  dl_clock_update(&b.loop.clock);
  dl_log_init(&b.loop.log, 2, DL_LOG_TEXT, DL_LOG_WARNING, &b.loop.clock);
  const char *error = NULL;
  b.database = dl_database_new(&b.loop, DL_STR("sqlite:bench.db"), &(dl_database_options){.folder = folder, .migrations = folder}, &error);
  if (!b.database) fail(error);
  b.add = seal(&b, "INSERT INTO users (number, name) VALUES (:number, :name)");
  b.find = seal(&b, "SELECT id, number, name FROM users WHERE id = :id");
  dl_database_start(b.database, on_event, &b);
  while (!b.done) uv_run(&b.uv, UV_RUN_ONCE);
  printf("%8s %18s %14s\n", "callers", "durable inserts/s", "point reads/s");
  for (size_t i = 0; i < sizeof(callers) / sizeof(*callers); i++) {
    double inserts = rate(&b, b.add, callers[i]);
    printf("%8zu %18.0f %14.0f\n", callers[i], inserts, rate(&b, b.find, callers[i]));
    fflush(stdout);
  }
  b.done = false;
  dl_database_stop(b.database, on_event, &b);
  while (!b.done) uv_run(&b.uv, UV_RUN_ONCE);
  dl_database_free(b.database);
  uv_loop_close(&b.uv);
  remove_all(folder);
  return 0;
}
