/* SPDX-License-Identifier: MIT */
/*
 * An app's files as they were at one moment, in one piece of memory that processes
 * share: whoever loads the app from it loads the same bytes, however long ago they
 * were read and whatever lies on the disk since.
 *
 * Needs of the system: memfd_create, mmap; reading the app's folder, once, by whoever
 * collects.
 */
#ifndef DL_BASE_FILE_SET_H
#define DL_BASE_FILE_SET_H

#include "base/str.h"

#include <dirent.h>

typedef struct dl_file_set dl_file_set;

/* Reads what an app can load out of folder and the folders below it: Lua, .env, keys,
 * JSON and SQL, up to 1 MiB each; of SQL that is larger, or that cannot be read, the name
 * is kept. Links are followed, wherever they lead, but for those to a folder that they lie
 * in; hidden folders, node_modules and what lies deeper than 16 folders are left out. Gives
 * a sealed descriptor, the caller's; -1 when there are more than 4,096 files or folders, or
 * 64 MiB, or no memory, with a sentence in message. A folder that is not there has no files. */
int dl_file_set_collect(const char *folder, char message[256]);

/* Whether a file of that name belongs into a set, whether a folder of that name is looked
 * into, and whether what a listing gave is a folder, or a link to one. */
bool dl_file_set_wants(const char *name);
bool dl_file_set_enters(const char *name);
bool dl_file_set_is_folder(DIR *listing, const struct dirent *entry);

/* The files in such a descriptor, which may be closed then. NULL when it is none. */
dl_file_set *dl_file_set_open(int fd);

/* The bytes of a file by its path in the folder ("routes/users.lua"); ptr is NULL when
 * there is none. They live as long as the set. */
dl_str dl_file_set_get(const dl_file_set *set, dl_str path);

/* The names of the files that lie in a folder itself ("migrations"), one a call, from *at
 * 0 on; false when there are no more. */
bool dl_file_set_next(const dl_file_set *set, dl_str folder, size_t *at, dl_str *name);

/* One more holder, of the same thread, who frees it as well. */
dl_file_set *dl_file_set_hold(dl_file_set *set);

/* The last holder's frees. */
void dl_file_set_free(dl_file_set *set);

#endif
