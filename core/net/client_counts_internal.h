/* SPDX-License-Identifier: MIT */
/*
 * How the table of clients lies in memory, for client_counts.c and its tests. Every
 * worker can write all that is shared, also one that was taken over: what leads to a
 * place is each process' own.
 */
#ifndef DL_NET_CLIENT_COUNTS_INTERNAL_H
#define DL_NET_CLIENT_COUNTS_INTERNAL_H

#include "net/client_counts.h"

#include <stdatomic.h>

enum { DL_CLIENT_BUCKETS = 65536 };

/* Shared; memory is taken as it is used. */
typedef struct dl_client_row {
  _Atomic uint32_t all;
  _Atomic uint32_t buckets[DL_CLIENT_BUCKETS];
} dl_client_row;

/* Each process' own, made before the fork. */
struct dl_client_table {
  uint64_t key[2];
  size_t count;
  dl_client_row *rows;
};

#endif
