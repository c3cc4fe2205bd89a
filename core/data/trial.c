/* SPDX-License-Identifier: MIT */
/*
 * A trial: migrations and statements on an empty database in memory, for those who
 * want to know whether an app would start and may touch no file of its own.
 */
#include "data/internal.h"

#include <assert.h>

static bool open_and_migrate(const dl_database *database, dl_sqlite **connection, dl_arena *arena, dl_problem *problem) {
  const char *applied = NULL;
  *connection = dl_sqlite_open(database, false, arena, problem);
  return *connection && (!database->options.migrations || dl_migrate(connection, arena, &applied, problem));
}

void dl_database_try(dl_database *database, dl_database_event found, void *owner) {
  dl_arena arena;
  dl_problem problem = {0};
  dl_sqlite *connection = NULL;
  assert(database->in_memory && database->state == DL_DATABASE_NEW);
  dl_arena_init(&arena, 0);
  bool migrated = open_and_migrate(database, &connection, &arena, &problem);
  if (!migrated) found(owner, problem.message);
  for (size_t i = 0; migrated && i < database->statement_count; i++) {
    dl_sqlite_deadlines(connection, database->options.lock_ms, database->options.statement_ms);
    if (!dl_sqlite_check(connection, database->statements[i], &arena, &problem)) found(owner, problem.message);
  }
  dl_sqlite_close(connection);
  dl_arena_free(&arena);
}
