/* SPDX-License-Identifier: MIT */
/*
 * How many connections each client address has open. Holds a hash per address, not
 * the address: two that collide share a count, which is harmless and very rare.
 */
#ifndef DL_NET_CLIENT_COUNTS_H
#define DL_NET_CLIENT_COUNTS_H

#include <stddef.h>
#include <stdint.h>

typedef struct dl_client_count {
  uint64_t hash; /* 0: empty */
  uint32_t count;
} dl_client_count;

typedef struct dl_client_counts {
  dl_client_count *slots;
  size_t capacity, used;
} dl_client_counts;

/* One more; gives the new count. */
uint32_t dl_client_counts_add(dl_client_counts *counts, uint64_t hash);

/* One less. */
void dl_client_counts_remove(dl_client_counts *counts, uint64_t hash);
void dl_client_counts_free(dl_client_counts *counts);

#endif
