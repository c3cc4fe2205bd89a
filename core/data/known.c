/* SPDX-License-Identifier: MIT */
/*
 * The master's part of opened.h: what it takes from workers into memory of its own, and
 * when. Whatever a worker wrote there is copied before it is judged.
 */
#include "data/internal.h"

#include "base/memory.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

typedef struct claim {
  uint64_t order, device, inode;
  char path[PATH_MAX];
} claim;

/* What stands in a place, when it is of that generation; not of one that another database
 * has taken meanwhile, whose order is another. */
static bool copy(const dl_opened_files *own, size_t i, uint64_t generation, claim *out) {
  const dl_opened_file *file = &own->files[i];
  if (__atomic_load_n(&file->state, __ATOMIC_ACQUIRE) != DL_OPENED_TAKEN || file->generation != generation) return false;
  *out = (claim){.order = __atomic_load_n(&file->order, __ATOMIC_RELAXED), .device = file->device, .inode = file->inode};
  memcpy(out->path, own->paths[i], sizeof out->path - 1);
  atomic_thread_fence(memory_order_acquire);
  return out->path[0] && __atomic_load_n(&file->state, __ATOMIC_RELAXED) == DL_OPENED_TAKEN && __atomic_load_n(&file->order, __ATOMIC_RELAXED) == out->order;
}

static bool is_newest(const dl_opened_files *own, uint64_t generation, const claim *claimed) {
  claim other;
  for (size_t i = 0; i < DL_OPENED_MAX; i++)
    if (copy(own, i, generation, &other) && other.order > claimed->order && strcmp(other.path, claimed->path) == 0) return false;
  return true;
}

static bool read_claim(const dl_opened_files *own, size_t i, uint64_t generation, claim *out) {
  return copy(own, i, generation, out) && is_newest(own, generation, out);
}

/* --- of what a worker says ------------------------------------------------------------------- */

void dl_opened_reset(dl_opened_files *own) { memset(own, 0, offsetof(dl_opened_files, paths)); }

bool dl_opened_any_lost(const dl_opened_files *own, uint64_t generation) {
  for (size_t i = 0; i < DL_OPENED_MAX; i++) {
    const dl_opened_file *file = &own->files[i];
    bool is_of = __atomic_load_n(&file->state, __ATOMIC_ACQUIRE) == DL_OPENED_TAKEN && file->generation == generation;
    if (is_of && __atomic_load_n(&file->lost, __ATOMIC_RELAXED)) return true;
  }
  return false;
}

bool dl_opened_all_lie(const dl_opened_files *own, uint64_t generation, char path[PATH_MAX]) {
  claim claimed;
  dl_file_mark mark;
  for (size_t i = 0; i < DL_OPENED_MAX; i++) {
    if (!read_claim(own, i, generation, &claimed)) continue;
    if (dl_file_look(claimed.path, &mark) && mark.device == claimed.device && mark.inode == claimed.inode) continue;
    memcpy(path, claimed.path, PATH_MAX);
    return false;
  }
  return true;
}

/* --- of what it knows ------------------------------------------------------------------------- */

static const dl_known_file *find_path(const dl_known_files *known, const char *path, uint64_t generation) {
  for (size_t i = 0; i < known->count; i++)
    if (known->files[i].generation == generation && strcmp(known->files[i].path, path) == 0) return &known->files[i];
  return NULL;
}

static bool has_file(const dl_known_files *known, const claim *claimed) {
  for (size_t i = 0; i < known->count; i++)
    if (known->files[i].device == claimed->device && known->files[i].inode == claimed->inode) return true;
  return false;
}

static bool add(dl_known_files *known, uint64_t generation, const claim *claimed) {
  if (known->count == DL_OPENED_MAX) return false;
  known->files[known->count++] = (dl_known_file){dl_strdup(claimed->path), generation, claimed->device, claimed->inode};
  return true;
}

bool dl_known_take(dl_known_files *known, const dl_opened_files *own, uint64_t generation, void (*found)(void *owner, const char *path), void *owner) {
  bool has_room = !own->full;
  claim claimed;
  for (size_t i = 0; i < DL_OPENED_MAX; i++) {
    if (!read_claim(own, i, generation, &claimed) || find_path(known, claimed.path, generation)) continue;
    if (found && !has_file(known, &claimed)) found(owner, claimed.path);
    has_room = add(known, generation, &claimed) && has_room;
  }
  return has_room;
}

bool dl_known_agrees(const dl_known_files *known, const dl_opened_files *own, uint64_t generation) {
  claim claimed;
  for (size_t i = 0; i < DL_OPENED_MAX; i++) {
    if (!read_claim(own, i, generation, &claimed)) continue;
    const dl_known_file *file = find_path(known, claimed.path, generation);
    if (file && (file->device != claimed.device || file->inode != claimed.inode)) return false;
  }
  return true;
}

void dl_known_keep(dl_known_files *known, uint64_t generation) {
  size_t count = known->count;
  known->count = 0;
  for (size_t i = 0; i < count; i++) {
    if (known->files[i].generation == generation) known->files[known->count++] = known->files[i];
    else dl_free(known->files[i].path);
  }
}

void dl_known_free(dl_known_files *known) {
  for (size_t i = 0; i < known->count; i++) dl_free(known->files[i].path);
  known->count = 0;
}

void dl_known_write(const dl_known_files *known, char *out, size_t room) {
  size_t length = 0;
  *out = '\0';
  for (size_t i = 0; i < known->count; i++) {
    const char *path = known->files[i].path;
    size_t more = strlen(path);
    if (strchr(path, '\n') || length + more + 2 > room) continue;
    length += (size_t)snprintf(out + length, room - length, "%s\n", path);
  }
}

void dl_known_read(dl_known_files *known, const char *lines) {
  claim claimed = {0};
  for (const char *end; (end = strchr(lines, '\n')); lines = end + 1) {
    size_t length = (size_t)(end - lines);
    if (length >= sizeof claimed.path) continue;
    memcpy(claimed.path, lines, length);
    claimed.path[length] = '\0';
    add(known, 0, &claimed);
  }
}
