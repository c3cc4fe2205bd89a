/* SPDX-License-Identifier: MIT */
/*
 * The writer: one thread, one connection. It takes all writes that wait, runs
 * each in a savepoint of its own inside one transaction, commits once, and only
 * then answers each. An interactive transaction has the writer to itself.
 */
#include "data/internal.h"

#include "base/memory.h"

enum { GROUP_MAX = 256 }; /* calls in one commit, so that the first of many is not kept waiting */

static const uint64_t RETRY_NS = 10000000;

typedef struct writer {
  dl_database *database;
  dl_sqlite *connection;
} writer;

static void answer_all(dl_database *database, dl_queue *calls) {
  uv_mutex_lock(&database->mutex);
  for (dl_call *call; (call = dl_queue_take(calls));) dl_answer_locked(database, call);
  uv_mutex_unlock(&database->mutex);
}

/* A rollback that failed (no memory) left its transaction open: every later one would fail,
 * and no other process could write meanwhile, nor start. */
static bool close_left_open(writer *w) {
  const dl_database_options *options = &w->database->options;
  if (sqlite3_get_autocommit(w->connection->handle)) return true;
  dl_sqlite_deadlines(w->connection, options->lock_ms, options->statement_ms);
  return dl_sqlite_step(w->connection, DL_STEP_ROLLBACK) == SQLITE_OK;
}

static bool begin(writer *w, dl_problem *problem, dl_arena *arena) {
  const dl_database_options *options = &w->database->options;
  if (!dl_database_in_place(w->database, arena, problem)) return false;
  close_left_open(w);
  dl_sqlite_deadlines(w->connection, options->lock_ms, options->statement_ms);
  if (dl_sqlite_step(w->connection, DL_STEP_BEGIN) == SQLITE_OK) return true;
  dl_problem_read(problem, w->connection->handle, DL_STR("no transaction could begin"), arena);
  return false;
}

static bool commit(writer *w, dl_problem *problem, dl_arena *arena) {
  const dl_database_options *options = &w->database->options;
  dl_sqlite_deadlines(w->connection, options->lock_ms, options->statement_ms);
  if (dl_sqlite_step(w->connection, DL_STEP_COMMIT) == SQLITE_OK) return true;
  dl_problem_read(problem, w->connection->handle, DL_STR("the commit failed, so nothing of it was written"), arena);
  if (!sqlite3_get_autocommit(w->connection->handle)) dl_sqlite_step(w->connection, DL_STEP_ROLLBACK);
  return false;
}

/* A deferred foreign key is checked where a transaction ends. For a write of its own that
 * is here: left to the group's commit it would fail the others' as well. */
static void check_deferred(writer *w, dl_call *call) {
  int open = 0, most = 0;
  sqlite3_db_status(w->connection->handle, SQLITE_DBSTATUS_DEFERRED_FKS, &open, &most, 0);
  if (!open) return;
  dl_problem_set(&call->problem, DL_PROBLEM_FOREIGN_KEY, &call->arena,
                 "%.*s: FOREIGN KEY constraint failed at the end of the statement: a deferred key waits only inside db:transaction, for its commit",
                 DL_STR_ARGS(call->statement->source));
}

/* Runs a call in a savepoint. False when the transaction it stood in was rolled back:
 * by SQLite (ON CONFLICT ROLLBACK, an interrupted write, a full disk), or here because
 * what the call wrote could not be taken away alone. */
static bool run_saved(writer *w, dl_call *call, unsigned statement_ms) {
  sqlite3 *handle = w->connection->handle;
  dl_sqlite_deadlines(w->connection, w->database->options.lock_ms, statement_ms);
  if (dl_sqlite_step(w->connection, DL_STEP_SAVE) != SQLITE_OK) {
    dl_problem_read(&call->problem, handle, call->statement->source, &call->arena);
    return !sqlite3_get_autocommit(handle);
  }
  dl_execute(w->connection, call);
  if (sqlite3_get_autocommit(handle)) {
    if (call->problem.kind == DL_PROBLEM_NONE) dl_problem_read(&call->problem, handle, DL_STR("the transaction was rolled back"), &call->arena);
    return false;
  }
  if (!call->transaction && call->problem.kind == DL_PROBLEM_NONE) check_deferred(w, call);
  /* The way back must not meet the deadline that the statement ran into. */
  dl_sqlite_deadlines(w->connection, w->database->options.lock_ms, w->database->options.statement_ms);
  bool failed = call->problem.kind != DL_PROBLEM_NONE;
  if ((!failed || dl_sqlite_step(w->connection, DL_STEP_UNDO) == SQLITE_OK) && dl_sqlite_step(w->connection, DL_STEP_KEEP) == SQLITE_OK) return true;
  if (!failed) dl_problem_read(&call->problem, handle, call->statement->source, &call->arena);
  dl_sqlite_step(w->connection, DL_STEP_ROLLBACK);
  return false;
}

/* --- groups ----------------------------------------------------------------------- */

static void fail_unsettled(dl_queue *group, const dl_problem *problem) {
  for (dl_call *call = group->first; call; call = call->next) {
    if (call->settled) continue;
    bool own = call->problem.kind != DL_PROBLEM_NONE;
    if (!own) dl_execute_reset(call);
    if (!own) dl_problem_set(&call->problem, problem->kind, &call->arena, "%s", problem->message);
    call->settled = true;
  }
}

/* The call that lost the transaction for all, NULL when none did. Of many that were given up
 * none begins: each would be stopped in its midst, and the others run again for it. */
static dl_call *run_each(writer *w, dl_queue *group) {
  for (dl_call *call = group->first; call; call = call->next) {
    call->settled = call->settled || dl_call_unwanted(call);
    if (!call->settled && !run_saved(w, call, w->database->options.statement_ms)) return call;
  }
  return NULL;
}

/* One failure must stay one call's. When it took the whole transaction away, it
 * is settled and the others run again, from the first. */
static void run_group(writer *w, dl_queue *group) {
  dl_arena arena;
  dl_arena_init(&arena, 0);
  for (dl_call *lost;;) {
    dl_problem problem = {0};
    if (!begin(w, &problem, &arena)) {
      fail_unsettled(group, &problem);
      break;
    }
    lost = run_each(w, group);
    if (!lost) {
      if (!commit(w, &problem, &arena)) fail_unsettled(group, &problem);
      break;
    }
    lost->settled = true;
    for (dl_call *call = group->first; call; call = call->next)
      if (!call->settled) dl_execute_reset(call);
    /* A full or broken disk is not one call's; the others would meet it as well. */
    if (lost->problem.kind == DL_PROBLEM_FAILED) {
      fail_unsettled(group, &lost->problem);
      break;
    }
  }
  dl_arena_free(&arena);
  answer_all(w->database, group);
}

/* --- interactive transactions -------------------------------------------------------- */

void dl_transaction_end_locked(dl_transaction *transaction, const char *why, dl_call *last) {
  dl_database *database = transaction->database;
  transaction->state = DL_TRANSACTION_ENDED;
  transaction->why = why;
  if (last) dl_answer_locked(database, last);
  for (dl_call *call; (call = dl_queue_take(&transaction->calls));) {
    dl_problem_set(&call->problem, DL_PROBLEM_ENDED, &call->arena, "%s", why);
    dl_answer_locked(database, call);
  }
  if (--transaction->holders == 0) dl_free(transaction);
}

static void end(writer *w, dl_transaction *transaction, const char *why, dl_call *last) {
  uv_mutex_lock(&w->database->mutex);
  dl_transaction_end_locked(transaction, why, last);
  uv_mutex_unlock(&w->database->mutex);
}

/* The next call of the transaction; NULL when it is over by time or was given up. */
static dl_call *next_of(writer *w, dl_transaction *transaction, uint64_t deadline, const char **why) {
  dl_database *database = w->database;
  dl_call *call = NULL;
  uv_mutex_lock(&database->mutex);
  for (;;) {
    uint64_t now = uv_hrtime();
    *why = transaction->abandoned ? "the transaction was given up and rolled back"
           : now >= deadline      ? "the transaction took too long and was rolled back: do what waits (other services, sleeping) before or after it"
                                  : NULL;
    if (*why || (call = dl_queue_take(&transaction->calls))) break;
    uv_cond_timedwait(&database->work, &database->mutex, deadline - now);
  }
  uv_mutex_unlock(&database->mutex);
  return call;
}

static void answer(dl_database *database, dl_call *call) {
  uv_mutex_lock(&database->mutex);
  dl_answer_locked(database, call);
  uv_mutex_unlock(&database->mutex);
}

/* What the transaction's calls ask for, until one ends it. */
static void serve(writer *w, dl_transaction *transaction, uint64_t deadline) {
  dl_database *database = w->database;
  for (;;) {
    const char *why;
    dl_call *call = next_of(w, transaction, deadline, &why);
    if (!call) {
      dl_sqlite_step(w->connection, DL_STEP_ROLLBACK);
      end(w, transaction, why, NULL);
      return;
    }
    if (call->work == DL_WORK_COMMIT) {
      commit(w, &call->problem, &call->arena);
      end(w, transaction, "the transaction was committed already", call);
      return;
    }
    if (call->work == DL_WORK_ROLLBACK) {
      dl_sqlite_step(w->connection, DL_STEP_ROLLBACK);
      end(w, transaction, "the transaction was rolled back already", call);
      return;
    }
    uint64_t now = uv_hrtime(), left_ms = deadline > now ? (deadline - now) / 1000000u : 0;
    unsigned most = database->options.statement_ms;
    if (!run_saved(w, call, left_ms < most ? (unsigned)left_ms : most)) {
      end(w, transaction, "a statement before this one made SQLite roll the transaction back", call);
      return;
    }
    answer(database, call);
  }
}

static void run_transaction(writer *w, dl_call *opening) {
  dl_database *database = w->database;
  dl_transaction *transaction = opening->transaction;
  uv_mutex_lock(&database->mutex);
  bool abandoned = transaction->abandoned;
  uv_mutex_unlock(&database->mutex);
  if (abandoned) dl_problem_set(&opening->problem, DL_PROBLEM_ENDED, &opening->arena, "the transaction was given up");
  if (abandoned || dl_call_expired(opening) || !begin(w, &opening->problem, &opening->arena)) {
    end(w, transaction, "the transaction never began", opening);
    return;
  }
  uint64_t deadline = uv_hrtime() + (uint64_t)database->options.transaction_ms * 1000000u;
  uv_mutex_lock(&database->mutex);
  transaction->state = DL_TRANSACTION_OPEN;
  dl_answer_locked(database, opening);
  uv_mutex_unlock(&database->mutex);
  serve(w, transaction, deadline);
}

/* --- start, work, end ------------------------------------------------------------------ */

/* SQLite opens a file whose rights let it only read all the same, and every write would fail. */
static bool may_write(const writer *w, dl_arena *arena, dl_problem *problem) {
  const dl_database *database = w->database;
  if (sqlite3_db_readonly(w->connection->handle, "main") != 1) return true;
  for (size_t i = 0; i < database->statement_count; i++) {
    if (!database->statements[i]->writes) continue;
    dl_problem_set(problem, DL_PROBLEM_FAILED, arena,
                   "the database %s can only be read by the user who runs this, and %.*s writes: chown it to that user, with its -wal and -shm",
                   database->path, DL_STR_ARGS(database->statements[i]->source));
    return false;
  }
  return true;
}

static bool open_all(writer *w, dl_arena *arena, const char **applied, dl_problem *problem) {
  dl_database *database = w->database;
  if (!dl_database_may_open(database, arena, problem)) return false;
  w->connection = dl_sqlite_open(database, false, arena, problem);
  if (!w->connection || !dl_database_mark(database, w->connection, arena, problem)) return false;
  dl_database_note_opened(database);
  if (database->options.migrations && !dl_migrate(&w->connection, arena, applied, problem)) return false;
  for (size_t i = 0; i < database->statement_count; i++) {
    dl_sqlite_deadlines(w->connection, database->options.lock_ms, database->options.statement_ms);
    if (!dl_sqlite_check(w->connection, database->statements[i], arena, problem)) return false;
  }
  return may_write(w, arena, problem) && dl_database_mark(database, w->connection, arena, problem); /* of one that was empty only now */
}

/* Of a server's the master says it, once for all workers. In dev its folder is mostly the app's, where others may work on it. */
static void look_for_exposures(dl_database *database, dl_arena *arena) {
  const char *found[DL_EXPOSURES_MAX];
  if (database->options.opened || database->in_memory || database->options.is_draft) return;
  size_t count = dl_database_exposures_at(database->path, arena, found);
  for (size_t i = 0; i < count; i++) database->exposures[i] = dl_strdup(found[i]);
}

static bool start(writer *w) {
  dl_arena arena;
  dl_problem problem = {0};
  const char *applied = NULL;
  dl_arena_init(&arena, 0);
  bool ready = open_all(w, &arena, &applied, &problem);
  dl_database *database = w->database;
  if (ready) look_for_exposures(database, &arena);
  uv_mutex_lock(&database->mutex);
  database->ready = ready;
  if (!ready) database->start_error = dl_strdup(problem.message);
  if (applied) database->applied = dl_strdup(applied);
  uv_async_send(&database->answer);
  uv_mutex_unlock(&database->mutex);
  dl_arena_free(&arena);
  return ready;
}

static bool has_work(const dl_database *database) { return database->writes.first || database->leave; }

/* With the mutex. Nothing stays locked for as long as nobody writes here. */
static void wait_for_work(writer *w) {
  dl_database *database = w->database;
  bool closed = sqlite3_get_autocommit(w->connection->handle);
  while (!closed && !has_work(database)) {
    uv_mutex_unlock(&database->mutex);
    closed = close_left_open(w);
    uv_mutex_lock(&database->mutex);
    if (!closed && !has_work(database)) uv_cond_timedwait(&database->work, &database->mutex, RETRY_NS);
  }
  while (!has_work(database)) uv_cond_wait(&database->work, &database->mutex);
}

/* Takes what waits: a transaction alone, or writes up to the next transaction. */
static bool take_work(writer *w, dl_queue *group, dl_queue *late, dl_call **opening) {
  dl_database *database = w->database;
  uv_mutex_lock(&database->mutex);
  wait_for_work(w);
  bool found = database->writes.first != NULL;
  while (database->writes.first && group->count < GROUP_MAX) {
    if (dl_call_at(database->writes.first)->work == DL_WORK_BEGIN && group->count) break;
    dl_call *call = dl_call_at(dl_fair_queue_take(&database->writes));
    if (call->work == DL_WORK_STATEMENT && dl_call_expired(call)) dl_queue_put(late, call);
    else if (call->work == DL_WORK_STATEMENT) dl_queue_put(group, call);
    else {
      *opening = call;
      break;
    }
  }
  uv_mutex_unlock(&database->mutex);
  return found;
}

static void work(writer *w) {
  for (;;) {
    dl_queue group = {0}, late = {0};
    dl_call *opening = NULL;
    if (!take_work(w, &group, &late, &opening)) return;
    answer_all(w->database, &late);
    if (group.count) run_group(w, &group);
    if (opening) run_transaction(w, opening);
  }
}

/* Leaves one file behind: the log is empty after a checkpoint that nobody blocks. What
 * SQLite notes of tables that grew it takes from some hundred rows of each: others wait
 * for their writes meanwhile. By an index that others do not see, what they wrote would be
 * cut off. */
static void finish(writer *w) {
  if (!w->connection) return;
  sqlite3 *handle = w->connection->handle;
  dl_sqlite_deadlines(w->connection, 200, w->database->options.statement_ms);
  if (dl_database_lost_index(w->database)) sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  else sqlite3_exec(handle, "PRAGMA analysis_limit = 400; PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
  dl_sqlite_close(w->connection);
}

void dl_writer_main(void *data) {
  dl_database *database = data;
  writer w = {.database = database};
  if (start(&w)) work(&w);
  for (unsigned i = 0; i < DL_READERS_MAX; i++) {
    dl_sqlite_close(database->readers[i].connection);
    database->readers[i].connection = NULL;
  }
  finish(&w);
  uv_mutex_lock(&database->mutex);
  database->gone = true;
  uv_async_send(&database->answer);
  uv_mutex_unlock(&database->mutex);
}
