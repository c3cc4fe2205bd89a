/* SPDX-License-Identifier: MIT */
/*
 * Whether the files that were opened still lie at their paths. A database that was moved,
 * deleted or put in another's place goes on without a name in the processes that have it
 * open: what they write, and SQLite says is done, is gone when they end. So is one whose
 * index of the log was: who opens it anew makes another, and the locks lie in there.
 */
#include "data/internal.h"

#include "base/memory.h"

#include <sys/stat.h>
#include <unistd.h>

bool dl_file_look(const char *path, dl_file_mark *mark) {
  struct stat info;
  if (stat(path, &info) != 0) return false;
  *mark = (dl_file_mark){info.st_dev, info.st_ino};
  return true;
}

static bool lies(const char *path, const dl_file_mark *opened) {
  dl_file_mark found;
  return dl_file_look(path, &found) && found.device == opened->device && found.inode == opened->inode;
}

enum { DESCRIPTORS_MOST = 1 << 20 }; /* some systems allow a billion, and nobody has them */

/* Connections of one process share the index that the first of them opened, wherever that
 * has gone: another worker's may lie in its place by now. */
static bool is_open_here(const dl_file_mark *mark) {
  struct stat info;
  long most = sysconf(_SC_OPEN_MAX);
  for (long fd = 0; fd < (most < 0 || most > DESCRIPTORS_MOST ? DESCRIPTORS_MOST : most); fd++)
    if (fstat((int)fd, &info) == 0 && info.st_dev == mark->device && info.st_ino == mark->inode) return true;
  return false;
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
  const char *path = sqlite3_db_filename(writer->handle, "main");
  sqlite3_exec(writer->handle, "SELECT 1 FROM sqlite_schema LIMIT 1", NULL, NULL, NULL); /* opens the log, and its index, of one that is empty too */
  database->log_path = sqlite3_filename_wal(path);
  if (!database->index_path) database->index_path = dl_strdup(dl_arena_format(arena, "%s-shm", path));
  database->has_log = dl_file_look(database->log_path, &database->log);
  database->has_index = database->has_log;
  if (database->has_index && !(dl_file_look(database->index_path, &database->index) && is_open_here(&database->index))) {
    database->index = (dl_file_mark){0}; /* what lies there is another's */
    return refuse(database->index_path, arena, problem);
  }
  return dl_file_look(database->path, &database->file) || refuse(database->path, arena, problem);
}

bool dl_database_lost_index(const dl_database *database) { return database->has_index && !lies(database->index_path, &database->index); }

bool dl_database_in_place(const dl_database *database, dl_arena *arena, dl_problem *problem) {
  if (database->in_memory) return true;
  if (!lies(database->path, &database->file)) return refuse(database->path, arena, problem);
  if (dl_database_lost_index(database)) return refuse(database->index_path, arena, problem);
  return !database->has_log || lies(database->log_path, &database->log) || refuse(database->log_path, arena, problem);
}
