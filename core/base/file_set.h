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

typedef struct dl_file_set dl_file_set;

/* Reads what an app can load out of folder and the folders below it: Lua, .env, keys,
 * JSON and SQL, up to 1 MiB each. Hidden folders, node_modules and links to elsewhere are
 * left out; of SQL that is larger, or that cannot be read, the name is kept. Gives a sealed descriptor, the caller's; -1 when there are more than
 * 4,096 files or 64 MiB, or no memory, with a sentence in message. A folder that is not there has no files. */
int dl_file_set_collect(const char *folder, char message[256]);

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
