/* SPDX-License-Identifier: MIT */
/*
 * How many connections each client has open with all workers together. A table in
 * memory that they share, a row for each worker, which writes its own alone: nothing
 * needs a lock, and what a worker that died had open is forgotten by clearing its row.
 * Holds a count per hash, not per address: clients that collide share a count, which a
 * cap of more than a few connections does not notice, and under a key of the table's
 * own nobody can aim at another. A worker that was taken over can spoil counts, no more.
 *
 * Needs of the system: mmap, getrandom, once.
 */
#ifndef DL_NET_CLIENT_COUNTS_H
#define DL_NET_CLIENT_COUNTS_H

#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

typedef struct dl_client_table dl_client_table;

/* Made before the fork; NULL when there is no memory. */
dl_client_table *dl_client_table_new(size_t rows);

/* Forgets what a worker had open. Nobody writes to the row meanwhile. */
void dl_client_table_clear(dl_client_table *table, size_t row);
void dl_client_table_free(dl_client_table *table);

/* A worker's own row. */
typedef struct dl_client_counts {
  dl_client_table *table; /* borrowed */
  size_t row;
} dl_client_counts;

/* What stands for the client in the calls below. */
uint64_t dl_client_counts_hash(const dl_client_counts *counts, dl_str client);

/* One more connection; gives how many the client has now, with all workers. */
uint32_t dl_client_counts_add(dl_client_counts *counts, uint64_t hash);

/* One less. */
void dl_client_counts_remove(dl_client_counts *counts, uint64_t hash);

/* Connections of all clients with all workers. */
uint32_t dl_client_counts_all(const dl_client_counts *counts);

#endif
