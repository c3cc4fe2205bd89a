/* SPDX-License-Identifier: MIT */
/*
 * Which files the databases of a server are, in memory that its workers and its master
 * share. A worker that takes another's place opens the same ones or none: where a file
 * was deleted or put in another's place meanwhile, it would begin an empty database, or
 * serve another one beside those who still have the old one open. A reload may change
 * to another file, since all workers do so together.
 * Takes no lock. All of it can be written by every worker, so that whoever reads takes
 * no length and no bound from it.
 */
#ifndef DL_DATA_OPENED_H
#define DL_DATA_OPENED_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DL_OPENED_MAX = 64 }; /* of all databases of two generations; of more nothing is known */

typedef struct dl_opened_file {
  uint32_t state; /* free, being written, known */
  uint32_t lost;  /* a worker of its generation found none at its path, or another one */
  uint64_t generation;
  uint64_t device, inode;
  char path[PATH_MAX];
} dl_opened_file;

/* All zero: nothing was opened. */
typedef struct dl_opened_files {
  uint32_t used; /* the places before it were taken once */
  dl_opened_file files[DL_OPENED_MAX];
} dl_opened_files;

/* --- the master's part ------------------------------------------------------------------- */

/* Forgets those of all generations but this one. */
void dl_opened_keep(dl_opened_files *opened, uint64_t generation);

/* The paths, a line each, and from such lines, as those of an older generation: for a new program on the same sockets, which begins no empty
 * database either in the place of one that is gone. */
void dl_opened_write(const dl_opened_files *opened, char *out, size_t room);
void dl_opened_read(dl_opened_files *opened, const char *lines);

/* Whether a worker could not take another's place, for a file is gone or is another. */
bool dl_opened_any_lost(const dl_opened_files *opened);

#endif
