/* SPDX-License-Identifier: MIT */
/*
 * Keeps the write-ahead log short. What a passive checkpoint copies ends at the oldest
 * read that is under way, and the log begins anew only when all of it was copied and
 * nobody reads it: where reads overlap without end that never comes by itself.
 */
#include "data/internal.h"

enum {
  COPY_FRAMES = 1000,    /* pages in the log from which on a commit copies what nobody has to be waited for */
  RESTART_FRAMES = 2048, /* from which on it waits for those who read, so that the log begins anew; and between two tries */
  WAIT_MS = 250          /* for them, for as many frames: the longer the log, the longer */
};

static unsigned wait_for(int frames, unsigned lock_ms) {
  unsigned wait_ms = WAIT_MS * ((unsigned)frames / RESTART_FRAMES);
  return wait_ms < lock_ms / 2 ? wait_ms : lock_ms / 2; /* other processes' writes wait as well, for lock_ms at most */
}

/* Behind each commit, which has succeeded whatever comes of this. */
static int on_commit(void *data, sqlite3 *handle, const char *name, int frames) {
  dl_sqlite *connection = data;
  const dl_database_options *options = &connection->database->options;
  if (frames < RESTART_FRAMES) connection->restart_at = RESTART_FRAMES;
  if (frames < COPY_FRAMES) return SQLITE_OK;
  if (frames < connection->restart_at) {
    sqlite3_wal_checkpoint_v2(handle, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return SQLITE_OK;
  }
  dl_sqlite_lock_deadline(connection, wait_for(frames, options->lock_ms));
  int code = sqlite3_wal_checkpoint_v2(handle, name, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
  connection->restart_at = code == SQLITE_OK ? RESTART_FRAMES : frames + RESTART_FRAMES;
  return SQLITE_OK;
}

void dl_sqlite_keep_log_short(dl_sqlite *connection) {
  connection->restart_at = RESTART_FRAMES;
  sqlite3_wal_hook(connection->handle, on_commit, connection);
}
