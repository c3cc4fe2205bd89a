/* SPDX-License-Identifier: MIT */
/* What SQLite and migrations need: the data folder, the app's migrations, locks, and
 * threads to wait on the disk. */
#include "data/database.h"

#include <stddef.h>

static const char *const calls[] = {
    "pread64", "pwrite64", "preadv", "pwritev", "fsync", "fdatasync", "ftruncate", "fallocate", /* database and WAL */
    "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "rename", "renameat", "renameat2",       /* journals come and go */
    "access", "faccessat", "faccessat2", "fchmod", "fchown", "flock",
    "readlink", "readlinkat", "getcwd", "utimensat", "fstatfs", "statfs",
    "getdents64", /* the folder of migrations */
    NULL};

const dl_needs dl_data_needs = {.folder = "data", .calls = calls, .rights = DL_RIGHT_READ_APP | DL_RIGHT_WRITE_DATA | DL_RIGHT_THREADS};
