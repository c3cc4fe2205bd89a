/* SPDX-License-Identifier: MIT */
/*
 * Readers: connections that run on libuv's thread pool. One that is at work
 * takes call after call, so that a busy database does not pay for a trip through
 * the pool with each read, and leaves after a while so that others get the pool.
 */
#include "data/internal.h"

enum { CALLS_PER_TRIP = 32 };

static dl_call *take(dl_database *database) {
  uv_mutex_lock(&database->mutex);
  dl_call *call = dl_call_at(dl_fair_queue_take(&database->reads));
  uv_mutex_unlock(&database->mutex);
  return call;
}

static void read_one(dl_reader *reader, dl_call *call) {
  dl_database *database = reader->database;
  if (!dl_database_in_place(database, &call->arena, &call->problem)) return;
  if (!reader->connection) reader->connection = dl_sqlite_open(database, true, &call->arena, &call->problem);
  if (reader->connection) {
    dl_sqlite_deadlines(reader->connection, database->options.lock_ms, database->options.statement_ms);
    dl_execute(reader->connection, call);
  }
}

static void on_pool(uv_work_t *work) {
  dl_reader *reader = work->data;
  dl_database *database = reader->database;
  for (int i = 0; i < CALLS_PER_TRIP; i++) {
    dl_call *call = take(database);
    if (!call) return;
    if (!dl_call_expired(call)) read_one(reader, call);
    uv_mutex_lock(&database->mutex);
    dl_answer_locked(database, call);
    uv_mutex_unlock(&database->mutex);
  }
}

static void on_back(uv_work_t *work, int status) {
  (void)status;
  dl_reader *reader = work->data;
  dl_database *database = reader->database;
  reader->busy = false;
  dl_readers_run(database);
  dl_database_settle(database);
}

void dl_readers_run(dl_database *database) {
  uv_mutex_lock(&database->mutex);
  unsigned waiting = database->reads.count;
  uv_mutex_unlock(&database->mutex);
  for (unsigned i = 0; i < database->options.readers && waiting; i++) {
    dl_reader *reader = &database->readers[i];
    if (reader->busy) continue;
    reader->database = database;
    reader->work.data = reader;
    reader->busy = uv_queue_work(database->loop->uv, &reader->work, on_pool, on_back) == 0;
    waiting--;
  }
}

bool dl_readers_idle(const dl_database *database) {
  for (unsigned i = 0; i < database->options.readers; i++)
    if (database->readers[i].busy) return false;
  return true;
}
