/* SPDX-License-Identifier: MIT */
/*
 * Who else on this machine may read or change a database: by the rights of its files, and
 * by those of the folder, where who may write can put others in their place. In a folder
 * with the sticky bit that is the owners' alone, but what is not there yet anybody can
 * make. A group that the folder shares with the file is taken for the owner's own: that
 * is what a umask of 002 and a volume given to a container's group come to, which nobody
 * could mend, and who is in a group is its administrator's word.
 */
#include "data/internal.h"

#include <sys/stat.h>

static bool has(const char *path, mode_t rights, mode_t *mode) {
  struct stat info;
  if (stat(path, &info) != 0 || !(info.st_mode & rights)) return false;
  *mode = info.st_mode & 07777;
  return true;
}

static const char *folder_of(const char *path, dl_arena *arena) {
  const char *slash = strrchr(path, '/');
  return !slash ? "." : slash == path ? "/" : dl_arena_format(arena, "%.*s", (int)(slash - path), path);
}

/* Whose right to write there counts: everybody's, and a group's that the file does not have. */
static mode_t rights_that_count(const char *path, const char *folder) {
  struct stat file, around;
  bool is_of_others = stat(path, &file) == 0 && stat(folder, &around) == 0 && file.st_gid != around.st_gid;
  return is_of_others ? 022 : 002;
}

static const char *exposure_of_folder(const char *path, const char *folder, mode_t mode, dl_arena *arena) {
  if (mode & S_ISVTX)
    return dl_arena_format(arena,
                           "others than its owner may put a -wal or -journal beside the database %s while it has none, which SQLite takes for its own, by "
                           "the rights of its folder (mode %04o): keep the database in a folder of its own",
                           path, (unsigned)mode);
  return dl_arena_format(arena,
                         "others than its owner may put another file in the place of the database %s, by the rights of its folder (mode %04o): chmod "
                         "go-w %s, or keep the database in a folder of its own",
                         path, (unsigned)mode, folder);
}

size_t dl_database_exposures_at(const char *path, dl_arena *arena, const char *out[DL_EXPOSURES_MAX]) {
  static const char *const companions[] = {"", "-wal", "-shm"};
  mode_t mode;
  size_t count = 0;
  for (size_t i = 0; i < sizeof companions / sizeof *companions; i++) {
    const char *file = dl_arena_format(arena, "%s%s", path, companions[i]);
    if (has(file, 077, &mode))
      out[count++] = dl_arena_format(arena, "others than its owner may read or change the database's file %s (mode %04o): chmod 600 it", file,
                                     (unsigned)mode);
  }
  const char *folder = folder_of(path, arena);
  if (has(folder, rights_that_count(path, folder), &mode)) out[count++] = exposure_of_folder(path, folder, mode, arena);
  return count;
}

void dl_database_each_exposure_at(const char *path, dl_database_event found, void *owner) {
  const char *exposures[DL_EXPOSURES_MAX];
  dl_arena arena;
  dl_arena_init(&arena, 0);
  size_t count = dl_database_exposures_at(path, &arena, exposures);
  for (size_t i = 0; i < count; i++) found(owner, exposures[i]);
  dl_arena_free(&arena);
}

void dl_database_each_exposure(const dl_database *database, dl_database_event found, void *owner) {
  if (database->home) dl_database_each_exposure_at(database->home, found, owner);
}
