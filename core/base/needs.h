/* SPDX-License-Identifier: MIT */
/*
 * What a folder of the core needs of the system, stated beside the code that needs
 * it (NAME/needs.c). The sandbox lets through the sum for what an app uses, and
 * nothing else; so a call that is missing here is a call that fails in production.
 */
#ifndef DL_BASE_NEEDS_H
#define DL_BASE_NEEDS_H

/* Rights that are no plain list of calls: their arguments decide. */
typedef enum dl_right {
  DL_RIGHT_THREADS = 1,       /* clone, of threads of this process only */
  DL_RIGHT_MACHINE_CODE = 2,  /* memory that is made executable: LuaJIT's and PCRE2's compilers; never a file's */
  DL_RIGHT_SOCKETS = 4,       /* sockets of IPv4 and IPv6, for connecting out */
  DL_RIGHT_UNIX_SOCKETS = 8,  /* unix sockets, for connecting out */
  DL_RIGHT_READ_APP = 16,     /* read the app's folder */
  DL_RIGHT_WRITE_DATA = 32,   /* make, read, write and remove files in the data folder */
} dl_right;

/* All lists end in NULL; a NULL list is empty. */
typedef struct dl_needs {
  const char *folder;            /* of the core: "net" */
  const char *const *calls;      /* system calls by name; one that this machine's kernel never had is passed over */
  const char *const *read_paths; /* files and folders beside the app's, read when they exist */
  unsigned rights;               /* dl_right, together */
} dl_needs;

extern const dl_needs dl_base_needs;

#endif
