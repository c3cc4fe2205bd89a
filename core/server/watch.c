/* SPDX-License-Identifier: MIT */
#include "server/watch.h"

#include "base/file_set.h"
#include "base/memory.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum { QUIET_US = 20000, DEPTH_MAX = 16 };
static const uint32_t changes = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ONLYDIR;

static const char *folder_of(const dl_watch *watch, int handle) {
  for (int i = 0; i < watch->count; i++)
    if (watch->handles[i] == handle) return watch->folders[i];
  return NULL;
}

/* A folder that links lead to as well is watched once. */
static void add(dl_watch *watch, const char *folder, int depth) {
  char below[PATH_MAX];
  struct dirent *entry;
  if (watch->count == DL_WATCH_FOLDERS_MAX || depth > DEPTH_MAX) return;
  int handle = inotify_add_watch(watch->fd, folder, changes);
  if (handle < 0 || folder_of(watch, handle)) return;
  watch->handles[watch->count] = handle;
  watch->folders[watch->count++] = dl_strdup(folder);
  DIR *listing = opendir(folder);
  while (listing && (entry = readdir(listing))) {
    if (!dl_file_set_enters(entry->d_name) || !dl_file_set_is_folder(listing, entry)) continue;
    if (snprintf(below, sizeof below, "%s/%s", folder, entry->d_name) < (int)sizeof below) add(watch, below, depth + 1);
  }
  if (listing) closedir(listing);
}

bool dl_watch_open(dl_watch *watch, const char *folder) {
  *watch = (dl_watch){.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
  if (watch->fd < 0) return false;
  add(watch, folder, 0);
  return watch->count > 0;
}

/* Whether a folder, or a link to one, came or went by this event. */
static bool moves_folders(const dl_watch *watch, const struct inotify_event *event) {
  const char *folder = folder_of(watch, event->wd);
  char below[PATH_MAX];
  struct stat info;
  if (!folder || !dl_file_set_enters(event->name)) return false;
  if (snprintf(below, sizeof below, "%s/%s", folder, event->name) >= (int)sizeof below) return false;
  if (event->mask & (IN_CREATE | IN_MOVED_TO)) return stat(below, &info) == 0 && S_ISDIR(info.st_mode);
  for (int i = 0; i < watch->count && event->mask & (IN_DELETE | IN_MOVED_FROM); i++)
    if (strcmp(watch->folders[i], below) == 0) return true;
  return false;
}

/* Whether folders came or went. */
static bool read_events(dl_watch *watch, uint64_t now_us) {
  char room[8192] __attribute__((aligned(8)));
  ssize_t got;
  bool moved = false;
  while ((got = read(watch->fd, room, sizeof room)) > 0)
    for (char *at = room; at < room + got;) {
      const struct inotify_event *event = (const struct inotify_event *)(void *)at;
      bool moves = event->len && moves_folders(watch, event); /* one may have come with files in it, or gone with them */
      if (moves || (event->len && dl_file_set_wants(event->name))) watch->due_us = now_us + QUIET_US;
      moved = moved || moves;
      at += sizeof *event + event->len;
    }
  return moved;
}

/* Where folders came or went all are watched anew, since a path that was known may lead
 * elsewhere now. What happens meanwhile is in the old queue, in the new one, or both. */
void dl_watch_read(dl_watch *watch, uint64_t now_us) {
  dl_watch next;
  if (!read_events(watch, now_us)) return;
  if (!dl_watch_open(&next, watch->folders[0])) {
    dl_watch_close(&next);
    return;
  }
  read_events(watch, now_us);
  next.due_us = watch->due_us;
  dl_watch_close(watch);
  *watch = next;
}

bool dl_watch_changed(dl_watch *watch, uint64_t now_us) {
  if (!watch->due_us || now_us < watch->due_us) return false;
  watch->due_us = 0;
  return true;
}

void dl_watch_close(dl_watch *watch) {
  if (watch->fd >= 0) close(watch->fd);
  for (int i = 0; i < watch->count; i++) dl_free(watch->folders[i]);
  *watch = (dl_watch){.fd = -1};
}
