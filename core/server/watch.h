/* SPDX-License-Identifier: MIT */
/*
 * Sees when a file of an app is saved, for `demilune dev`: what an app loads
 * (base/file_set.h) in the app's folder and below it, through inotify(7). Databases and
 * what editors leave beside a file do not count.
 */
#ifndef DL_SERVER_WATCH_H
#define DL_SERVER_WATCH_H

#include <stdbool.h>
#include <stdint.h>

enum { DL_WATCH_FOLDERS_MAX = 512 };

typedef struct dl_watch {
  int fd; /* readable when something happened; -1: nothing is watched */
  int count;
  int handles[DL_WATCH_FOLDERS_MAX];
  char *folders[DL_WATCH_FOLDERS_MAX];
  uint64_t due_us; /* when the change is reported: an editor's several writes are one; 0: none */
} dl_watch;

/* Watches folder; false when the system does not let us. */
bool dl_watch_open(dl_watch *watch, const char *folder);

/* Reads what happened. */
void dl_watch_read(dl_watch *watch, uint64_t now_us);

/* Whether files changed and have been quiet for a moment since; says so once. */
bool dl_watch_changed(dl_watch *watch, uint64_t now_us);

void dl_watch_close(dl_watch *watch);

#endif
