/* SPDX-License-Identifier: MIT */
/*
 * A worker's part of opened.h: it judges by what the master knew at its fork, and says of
 * each database that it has open which file that is, and whether it still lies at its
 * path. That goes on while nobody asks the database for anything: who sends no request
 * to a service that is not ready would never hear that it is again.
 */
#include "data/internal.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static const uint64_t LOOK_MS = 1000;

/* Of several threads that want a place each gets one. NULL: there is none left. */
static dl_opened_file *take_place(const dl_database *database, const dl_file_mark *mark) {
  dl_opened_files *own = database->options.opened->own;
  size_t length = strlen(database->path);
  for (size_t i = 0; length < PATH_MAX && i < DL_OPENED_MAX; i++) {
    dl_opened_file *file = &own->files[i];
    uint32_t state = DL_OPENED_FREE;
    if (!__atomic_compare_exchange_n(&file->state, &state, DL_OPENED_WRITTEN, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) continue;
    atomic_thread_fence(memory_order_release); /* who copies any of what follows sees that it is being written */
    file->lost = 0;
    __atomic_store_n(&file->order, __atomic_add_fetch(&own->taken, 1, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
    file->generation = database->options.generation;
    file->device = mark->device;
    file->inode = mark->inode;
    memcpy(own->paths[i], database->path, length + 1);
    __atomic_store_n(&file->state, DL_OPENED_TAKEN, __ATOMIC_RELEASE);
    return file;
  }
  __atomic_store_n(&own->full, 1, __ATOMIC_RELAXED);
  return NULL;
}

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

/* What was known of the path at this worker's fork; NULL: nothing. */
static const dl_known_file *known_of(const dl_database *database, uint64_t generation) {
  const dl_known_files *known = database->options.opened->known;
  for (size_t i = 0; i < known->count; i++)
    if (known->files[i].generation == generation && strcmp(known->files[i].path, database->path) == 0) return &known->files[i];
  return NULL;
}

/* Whether the generation before had it, which this worker serves or was forked for. */
static bool was_there(const dl_database *database) {
  const dl_opened_files *own = database->options.opened->own;
  for (size_t i = 0; i < DL_OPENED_MAX; i++)
    if (__atomic_load_n(&own->files[i].state, __ATOMIC_ACQUIRE) == DL_OPENED_TAKEN && own->files[i].generation != database->options.generation &&
        strcmp(own->paths[i], database->path) == 0)
      return true;
  return known_of(database, database->options.generation - 1);
}

bool dl_database_may_open(const dl_database *database, dl_arena *arena, dl_problem *problem) {
  static const dl_file_mark none;
  dl_file_mark mark;
  if (!database->options.opened || database->in_memory) return true;
  bool lies = dl_file_look(database->path, &mark);
  const dl_known_file *known = known_of(database, database->options.generation);
  if (!known) return lies || database->options.is_draft || !was_there(database) || refuse_missing(database, arena, problem);
  if (lies && known->device == mark.device && known->inode == mark.inode) return true;
  dl_opened_file *place = take_place(database, &none); /* for the master: this worker ends by it */
  if (place) __atomic_store_n(&place->lost, 1, __ATOMIC_RELAXED);
  return refuse_lost(database, lies ? "is another one by now" : "is gone", arena, problem);
}

void dl_database_note_opened(dl_database *database) {
  if (database->options.opened && !database->in_memory) database->place = take_place(database, &database->file);
}

/* --- while it is open ---------------------------------------------------------------------------- */

static void on_look(uv_timer_t *timer) {
  dl_database *database = timer->data;
  dl_problem problem = {0};
  dl_arena arena;
  dl_arena_init(&arena, 0);
  bool lies = dl_database_in_place(database, &arena, &problem);
  __atomic_store_n(&database->place->lost, !lies, __ATOMIC_RELAXED);
  dl_arena_free(&arena);
}

void dl_opened_watch(dl_database *database) {
  if (database->place) uv_timer_start(&database->look, on_look, LOOK_MS, LOOK_MS);
}

void dl_opened_let_go(dl_database *database) {
  if (database->place) __atomic_store_n(&database->place->state, DL_OPENED_FREE, __ATOMIC_RELEASE);
  database->place = NULL;
}
