/* SPDX-License-Identifier: MIT */
#include "server/watch.h"

#include "base/memory.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { QUIET_US = 20000, DEPTH_MAX = 8 };
static const uint32_t changes = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ONLYDIR;

static bool ends_in(const char *name, const char *ending) {
  size_t length = strlen(name), tail = strlen(ending);
  return length > tail && strcmp(name + length - tail, ending) == 0;
}

static bool counts(const char *name) {
  if (strcmp(name, ".env") == 0) return true;
  return *name != '.' && (ends_in(name, ".lua") || ends_in(name, ".sql") || ends_in(name, ".pem") || ends_in(name, ".json"));
}

static void add(dl_watch *watch, const char *folder, int depth) {
  char below[PATH_MAX];
  struct dirent *entry;
  if (watch->count == DL_WATCH_FOLDERS_MAX || depth > DEPTH_MAX) return;
  int handle = inotify_add_watch(watch->fd, folder, changes);
  if (handle < 0) return;
  watch->handles[watch->count] = handle;
  watch->folders[watch->count++] = dl_strdup(folder);
  DIR *listing = opendir(folder);
  while (listing && (entry = readdir(listing))) {
    if (entry->d_type != DT_DIR || *entry->d_name == '.' || strcmp(entry->d_name, "node_modules") == 0) continue;
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

static void see(dl_watch *watch, const struct inotify_event *event, uint64_t now_us) {
  char below[PATH_MAX];
  if (!event->len) return;
  if (counts(event->name)) watch->due_us = now_us + QUIET_US;
  if (!(event->mask & IN_ISDIR) || !(event->mask & (IN_CREATE | IN_MOVED_TO))) return;
  for (int i = 0; i < watch->count; i++) {
    if (watch->handles[i] != event->wd || snprintf(below, sizeof below, "%s/%s", watch->folders[i], event->name) >= (int)sizeof below) continue;
    add(watch, below, 1);
    watch->due_us = now_us + QUIET_US; /* it may have come with files in it */
    return;
  }
}

void dl_watch_read(dl_watch *watch, uint64_t now_us) {
  char room[8192] __attribute__((aligned(8)));
  ssize_t got;
  while ((got = read(watch->fd, room, sizeof room)) > 0)
    for (char *at = room; at < room + got;) {
      const struct inotify_event *event = (const struct inotify_event *)(void *)at;
      see(watch, event, now_us);
      at += sizeof *event + event->len;
    }
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
