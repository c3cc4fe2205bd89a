/* SPDX-License-Identifier: MIT */
#include "data/opened.h"

#include "data/internal.h"

#include <stdio.h>
#include <string.h>

enum { FREE, WRITTEN, KNOWN };

static uint32_t used(const dl_opened_files *opened) {
  uint32_t count = __atomic_load_n(&opened->used, __ATOMIC_ACQUIRE);
  return count < DL_OPENED_MAX ? count : DL_OPENED_MAX;
}

static bool is_known(const dl_opened_file *file) { return __atomic_load_n(&file->state, __ATOMIC_ACQUIRE) == KNOWN; }

static bool is_at(const dl_opened_file *file, const char *path) { return is_known(file) && strncmp(file->path, path, sizeof file->path) == 0; }

static bool is_same(const dl_opened_file *file, const dl_file_mark *mark) { return file->device == mark->device && file->inode == mark->inode; }

static void add(dl_opened_files *opened, const char *path, size_t length, uint64_t generation, const dl_file_mark *mark) {
  for (uint32_t i = 0; length < PATH_MAX && i < DL_OPENED_MAX; i++) {
    dl_opened_file *file = &opened->files[i];
    uint32_t state = FREE, before = __atomic_load_n(&opened->used, __ATOMIC_RELAXED);
    if (!__atomic_compare_exchange_n(&file->state, &state, WRITTEN, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) continue;
    file->lost = 0;
    file->generation = generation;
    file->device = mark->device;
    file->inode = mark->inode;
    memcpy(file->path, path, length);
    file->path[length] = '\0';
    __atomic_store_n(&file->state, KNOWN, __ATOMIC_RELEASE);
    while (before <= i && !__atomic_compare_exchange_n(&opened->used, &before, i + 1, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {}
    return;
  }
}

/* --- the master's part ----------------------------------------------------------------------- */

void dl_opened_keep(dl_opened_files *opened, uint64_t generation) {
  for (uint32_t i = 0; i < used(opened); i++) {
    dl_opened_file *file = &opened->files[i];
    if (is_known(file) && file->generation != generation) __atomic_store_n(&file->state, FREE, __ATOMIC_RELEASE);
  }
}

bool dl_opened_any_lost(const dl_opened_files *opened) {
  for (uint32_t i = 0; i < used(opened); i++)
    if (is_known(&opened->files[i]) && __atomic_load_n(&opened->files[i].lost, __ATOMIC_RELAXED)) return true;
  return false;
}

void dl_opened_write(const dl_opened_files *opened, char *out, size_t room) {
  size_t length = 0;
  *out = '\0';
  for (uint32_t i = 0; i < used(opened); i++) {
    const dl_opened_file *file = &opened->files[i];
    size_t more = strnlen(file->path, sizeof file->path);
    if (!is_known(file) || memchr(file->path, '\n', more) || length + more + 2 > room) continue;
    length += (size_t)snprintf(out + length, room - length, "%.*s\n", (int)more, file->path);
  }
}

void dl_opened_read(dl_opened_files *opened, const char *lines) {
  static const dl_file_mark none;
  for (const char *end; (end = strchr(lines, '\n')); lines = end + 1) add(opened, lines, (size_t)(end - lines), 0, &none);
}

/* --- a worker's part --------------------------------------------------------------------------- */

static bool refuse_lost(const dl_database *database, const char *what, dl_arena *arena, dl_problem *problem) {
  dl_problem_set(problem, DL_PROBLEM_FAILED, arena,
                 "the database's file %s %s, and what was written to the one that this server started with would seem to be gone: put that one back; "
                 "or put a copy of it there, without a -wal or -shm of another beside it, and then run demilune reload or, where no worker serves any "
                 "more, start the server anew",
                 database->path, what);
  return false;
}

static bool refuse_missing(const dl_database *database, dl_arena *arena, dl_problem *problem) {
  dl_problem_set(problem, DL_PROBLEM_FAILED, arena,
                 "the database's file %s is gone, and no reload or new program begins an empty one in its place: put it back, or a copy of it, and "
                 "try again; to begin with an empty one, stop the server and start it",
                 database->path);
  return false;
}

/* The place of the database's path, of its generation or of another one; NULL: there is none. */
static dl_opened_file *find(const dl_database *database, bool of_own) {
  dl_opened_files *opened = database->options.opened;
  for (uint32_t i = 0; i < used(opened); i++) {
    dl_opened_file *file = &opened->files[i];
    if (is_at(file, database->path) && (file->generation == database->options.generation) == of_own) return file;
  }
  return NULL;
}

bool dl_database_may_open(const dl_database *database, dl_arena *arena, dl_problem *problem) {
  dl_file_mark mark;
  if (!database->options.opened || database->in_memory) return true;
  bool lies = dl_file_look(database->path, &mark);
  dl_opened_file *own = find(database, true);
  if (!own) return lies || database->options.is_draft || !find(database, false) || refuse_missing(database, arena, problem);
  bool same = lies && is_same(own, &mark);
  __atomic_store_n(&own->lost, !same, __ATOMIC_RELAXED);
  return same || refuse_lost(database, lies ? "is another one by now" : "is gone", arena, problem);
}

/* Of two workers that were the first at the same time, with one file each, neither goes on. */
static bool all_agree(const dl_database *database) {
  const dl_opened_files *opened = database->options.opened;
  for (uint32_t i = 0; i < used(opened); i++) {
    const dl_opened_file *file = &opened->files[i];
    if (is_at(file, database->path) && file->generation == database->options.generation && !is_same(file, &database->file)) return false;
  }
  return true;
}

bool dl_database_note_opened(dl_database *database, dl_arena *arena, dl_problem *problem) {
  database->is_first = !database->options.opened || (!find(database, true) && !find(database, false));
  if (!database->options.opened || database->in_memory) return true;
  if (!find(database, true)) add(database->options.opened, database->path, strlen(database->path), database->options.generation, &database->file);
  return all_agree(database) || refuse_lost(database, "is another one by now", arena, problem);
}
