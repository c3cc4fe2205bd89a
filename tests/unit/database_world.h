/* SPDX-License-Identifier: MIT */
/*
 * A world for tests of core/data: a loop, a temporary folder, a database in it,
 * and calls that wait for their answer by turning the loop.
 */
#ifndef DL_TESTS_DATABASE_WORLD_H
#define DL_TESTS_DATABASE_WORLD_H

#include "unit.h"

#include "data/database.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct world {
  uv_loop_t uv;
  dl_loop loop;
  char folder[64];
  dl_database *database;
  char error[2048]; /* of the last start; empty when it succeeded */
} world;

/* What a call answered, copied: rows as "1|a;2|b", NULL as "-", bytes as x'..', WIDE with an L. */
typedef struct answer {
  bool came;
  dl_problem_kind kind;
  char message[512], constraint[64], rows[4096];
  size_t row_count;
  int64_t changes, last_id;
  dl_transaction *transaction;
} answer;

static inline void world_make(world *w) {
  memset(w, 0, sizeof(*w));
  strcpy(w->folder, "/tmp/demilune-test-XXXXXX");
  assert_non_null(mkdtemp(w->folder));
  uv_loop_init(&w->uv);
  w->loop.uv = &w->uv;
  dl_clock_update(&w->loop.clock);
  dl_log_init(&w->loop.log, 2, DL_LOG_TEXT, DL_LOG_WARNING, &w->loop.clock);
}

static inline void remove_folder(const char *path) {
  DIR *folder = opendir(path);
  if (!folder) return;
  for (struct dirent *entry; (entry = readdir(folder));) {
    char file[512];
    if (entry->d_name[0] == '.') continue;
    if (snprintf(file, sizeof(file), "%s/%s", path, entry->d_name) >= (int)sizeof(file)) continue;
    if (unlink(file) != 0) remove_folder(file);
  }
  closedir(folder);
  rmdir(path);
}

static inline void world_end(world *w) {
  dl_database_free(w->database);
  uv_run(&w->uv, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&w->uv), 0);
  dl_log_free(&w->loop.log);
  remove_folder(w->folder);
}

static inline const char *world_path(const world *w, const char *name) {
  static char path[256];
  snprintf(path, sizeof(path), "%s/%s", w->folder, name);
  return path;
}

static inline void world_write(const world *w, const char *name, const char *text) {
  char path[256];
  snprintf(path, sizeof(path), "%s/%s", w->folder, name);
  char *slash = strrchr(path, '/');
  *slash = '\0';
  mkdir(path, 0700);
  *slash = '/';
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

/* A new database object; the one before must have stopped. */
static inline void world_database(world *w, const char *url, dl_database_options options) {
  const char *error;
  static char migrations[256];
  dl_database_free(w->database);
  options.folder = w->folder;
  if (options.migrations) {
    snprintf(migrations, sizeof(migrations), "%s/%s", w->folder, options.migrations);
    options.migrations = migrations;
  }
  w->database = dl_database_new(&w->loop, dl_str_of(url), &options, &error);
  if (!w->database) fail_msg("%s", error);
}

static inline const dl_statement *world_seal(world *w, const char *sql) {
  const char *error = "";
  dl_statement_text text = {.sql = dl_str_of(sql), .source = DL_STR("app.lua:7")};
  const dl_statement *statement = dl_database_seal(w->database, &text, &error);
  if (!statement) fail_msg("%s", error);
  return statement;
}

typedef struct event {
  world *w;
  bool came;
} event;

static inline void on_event(void *owner, const char *error) {
  event *e = owner;
  e->came = true;
  snprintf(e->w->error, sizeof(e->w->error), "%s", error ? error : "");
}

static inline void turn_until(world *w, const bool *came) {
  while (!*came) uv_run(&w->uv, UV_RUN_ONCE);
}

static inline bool world_start(world *w) {
  event e = {.w = w};
  dl_database_start(w->database, on_event, &e);
  turn_until(w, &e.came);
  return !w->error[0];
}

static inline void world_stop(world *w) {
  event e = {.w = w};
  dl_database_stop(w->database, on_event, &e);
  turn_until(w, &e.came);
}

static inline void print_cell(const dl_value *cell, char *out, size_t room) {
  switch ((dl_value_kind)cell->kind) {
  case DL_VALUE_BOOLEAN: snprintf(out, room, "%s", cell->boolean ? "true" : "false"); break;
  case DL_VALUE_INTEGER: snprintf(out, room, "%lld%s", (long long)cell->integer, cell->flags & DL_VALUE_WIDE ? "L" : ""); break;
  case DL_VALUE_NUMBER: snprintf(out, room, "%g", cell->number); break;
  case DL_VALUE_STRING: snprintf(out, room, "%.*s", (int)cell->len, cell->string); break;
  case DL_VALUE_BYTES:
    snprintf(out, room, "x'");
    for (uint32_t i = 0; i < cell->len && i < 16; i++) snprintf(out + 2 + 2 * i, room - 2 - 2 * i, "%02x", (unsigned char)cell->string[i]);
    strncat(out, "'", room - strlen(out) - 1);
    break;
  default: snprintf(out, room, "-"); break;
  }
}

static inline void on_answered(dl_call *call) {
  answer *a = call->owner;
  a->came = true;
  a->kind = call->problem.kind;
  if (a->kind) snprintf(a->message, sizeof(a->message), "%s", call->problem.message);
  if (a->kind) snprintf(a->constraint, sizeof(a->constraint), "%.*s", DL_STR_ARGS(call->problem.constraint));
  a->row_count = call->row_count;
  a->changes = call->changes;
  a->last_id = call->last_id;
  a->transaction = call->transaction;
  for (size_t i = 0; i < call->row_count * call->column_count; i++) {
    size_t used = strlen(a->rows);
    if (sizeof(a->rows) - used < 64) break;
    if (i) a->rows[used++] = i % call->column_count ? '|' : ';';
    print_cell(&call->cells[i], a->rows + used, sizeof(a->rows) - used);
  }
}

/* Sends without waiting; up to two values. The call is the database's until it is answered. */
static inline dl_call *world_send(world *w, answer *a, dl_transaction *transaction, const dl_statement *statement, dl_shape shape, dl_value first,
                                  dl_value second) {
  memset(a, 0, sizeof(*a));
  dl_call *call = dl_call_new(w->database, statement, shape);
  if (statement->parameter_count > 0) call->values[0] = first;
  if (statement->parameter_count > 1) call->values[1] = second;
  call->transaction = transaction;
  call->done = on_answered;
  call->owner = a;
  dl_call_submit(call);
  return call;
}

static inline answer world_in(world *w, dl_transaction *transaction, const dl_statement *statement, dl_shape shape, dl_value first, dl_value second) {
  answer a;
  world_send(w, &a, transaction, statement, shape, first, second);
  turn_until(w, &a.came);
  return a;
}

static inline answer world_call(world *w, const dl_statement *statement, dl_shape shape, dl_value first, dl_value second) {
  return world_in(w, NULL, statement, shape, first, second);
}

#define NOTHING ((dl_value){0})
#define TEXT(literal) dl_value_string(DL_STR(literal))

#endif
