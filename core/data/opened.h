/* SPDX-License-Identifier: MIT */
/*
 * Which files the databases of a server are. A worker that takes another's place opens
 * the same ones or none: where a file was deleted or put in another's place meanwhile, it
 * would begin an empty database, or serve another one beside those who still have the old
 * one open. A reload may change to another file, since all workers do so together.
 * Each worker says what it has open in memory that it shares with the master alone. The
 * master keeps in memory of its own what it has taken from there, and a worker judges by
 * that as it was at its fork: no worker is told by another what is right.
 */
#ifndef DL_DATA_OPENED_H
#define DL_DATA_OPENED_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DL_OPENED_MAX = 64 }; /* databases of all generations of a worker; of more nothing is known */

typedef struct dl_opened_file {
  uint32_t state; /* free, being written, taken */
  uint32_t lost;  /* none lies at its path, or another one */
  uint64_t order; /* of two the later one counts: the earlier is of a load that was given up */
  uint64_t generation, device, inode;
} dl_opened_file;

/* A worker's. All zero: nothing is open. It can write there what it likes, so that the master takes no length and no bound from it. */
typedef struct dl_opened_files {
  uint64_t taken; /* how often a place was */
  uint32_t full;  /* there was none left */
  dl_opened_file files[DL_OPENED_MAX];
  char paths[DL_OPENED_MAX][PATH_MAX];
} dl_opened_files;

typedef struct dl_known_file {
  char *path; /* malloc */
  uint64_t generation, device, inode;
} dl_known_file;

/* The master's. All zero: nothing is known. */
typedef struct dl_known_files {
  size_t count;
  dl_known_file files[DL_OPENED_MAX];
} dl_known_files;

/* What a worker has of both. */
typedef struct dl_opened {
  dl_opened_files *own;
  const dl_known_files *known;
} dl_opened;

/* --- the master's part, of what a worker says -------------------------------------------- */

/* Before a worker begins. */
void dl_opened_reset(dl_opened_files *own);

/* Whether one of that generation's files is gone, or another one. */
bool dl_opened_any_lost(const dl_opened_files *own, uint64_t generation);

/* Whether each file of that generation lies at its path at this moment; path: of the first that does not. */
bool dl_opened_all_lie(const dl_opened_files *own, uint64_t generation, char path[PATH_MAX]);

/* --- the master's part, of what it knows ----------------------------------------------------- */

/* Takes what a worker has of that generation, but for paths of which it is known. found (may be NULL) is called with each file that was known in no
 * generation. False when there was no room for all, here or in the worker. */
bool dl_known_take(dl_known_files *known, const dl_opened_files *own, uint64_t generation, void (*found)(void *owner, const char *path), void *owner);

/* Whether a worker has no other file of that generation than the known one of the same path. */
bool dl_known_agrees(const dl_known_files *known, const dl_opened_files *own, uint64_t generation);

/* Forgets those of all generations but this one, and all. */
void dl_known_keep(dl_known_files *known, uint64_t generation);
void dl_known_free(dl_known_files *known);

/* The paths, a line each, and from such lines, as those of an older generation: for a new program on the same sockets, which begins no empty
 * database either in the place of one that is gone. */
void dl_known_write(const dl_known_files *known, char *out, size_t room);
void dl_known_read(dl_known_files *known, const char *lines);

#endif
