/* SPDX-License-Identifier: MIT */
/*
 * Whether the files that were opened still lie at their paths. A database that was moved,
 * deleted or put in another's place goes on without a name in the processes that have it
 * open: what they write, and SQLite says is done, is gone when they end.
 */
#include "data/internal.h"

#include <sys/stat.h>

static bool look(const char *path, dl_file_mark *mark) {
  struct stat info;
  if (stat(path, &info) != 0) return false;
  *mark = (dl_file_mark){info.st_dev, info.st_ino};
  return true;
}

static bool lies(const char *path, const dl_file_mark *opened) {
  dl_file_mark found;
  return look(path, &found) && found.device == opened->device && found.inode == opened->inode;
}

static bool refuse(const char *path, dl_arena *arena, dl_problem *problem) {
  dl_problem_set(problem, DL_PROBLEM_FAILED, arena,
                 "the database's file %s was moved, deleted or replaced while it is open, so that what is written would be lost: put back the one "
                 "that was there, or stop the server, put the right one in its place without a -wal of another beside it, and start again",
                 path);
  return false;
}

bool dl_database_mark(dl_database *database, const dl_sqlite *writer, dl_arena *arena, dl_problem *problem) {
  if (database->in_memory) return true;
  database->log_path = sqlite3_filename_wal(sqlite3_db_filename(writer->handle, "main"));
  database->has_log = look(database->log_path, &database->log); /* a database that is empty has none before its first write */
  return look(database->path, &database->file) || refuse(database->path, arena, problem);
}

bool dl_database_in_place(const dl_database *database, dl_arena *arena, dl_problem *problem) {
  if (database->in_memory) return true;
  if (!lies(database->path, &database->file)) return refuse(database->path, arena, problem);
  return !database->has_log || lies(database->log_path, &database->log) || refuse(database->log_path, arena, problem);
}
