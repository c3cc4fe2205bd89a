/* SPDX-License-Identifier: MIT */
/*
 * Hashing and a string table. The hash is SipHash-1-3 (Aumasson and Bernstein,
 * 2012) under a key drawn once per process, so that a client who chooses the
 * keys cannot choose collisions.
 */
#ifndef DL_BASE_HASH_H
#define DL_BASE_HASH_H

#include "base/arena.h"
#include "base/str.h"

#include <stdint.h>

/* Draws the process key from the system, the first time: a process may have several
 * servers. To be called before any table; without it the key is a constant and tables
 * are only as good as unkeyed ones. */
void dl_hash_seed(void);

uint64_t dl_hash(dl_str s);

/* Under a key of the caller's, which has to be as secret as that. */
uint64_t dl_hash_under(const uint64_t key[2], dl_str s);

/* 128 bits under a key of the caller's: for what outlives the process or is shared
 * with others, and so cannot depend on this process' key. */
void dl_hash128(const uint64_t key[2], dl_str s, uint64_t out[2]);

typedef struct dl_map_slot {
  dl_str key;
  uint64_t hash;
  void *value; /* NULL marks an empty slot */
} dl_map_slot;

/* Open addressing, grows by doubling, keys and slots in the arena it was given.
 * Nothing is ever removed: it serves what is built at load and read afterwards. */
typedef struct dl_map {
  dl_arena *arena; /* borrowed */
  dl_map_slot *slots;
  size_t capacity; /* a power of two, or 0 */
  size_t count;
} dl_map;

void dl_map_init(dl_map *map, dl_arena *arena);

/* Puts value (not NULL) under a key whose bytes the caller keeps alive as long
 * as the map. Gives back the value that stood there, and leaves it; NULL when new. */
void *dl_map_put(dl_map *map, dl_str key, void *value);

/* The value under key, or NULL. */
void *dl_map_get(const dl_map *map, dl_str key);

#endif
