/* SPDX-License-Identifier: MIT */
#include "base/hash.h"

#include <pthread.h>
#include <sys/random.h>

/* Per process and written once: tables that were filled under another key find nothing. */
static uint64_t hash_key[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};

static void draw_key(void) {
  uint64_t drawn[2];
  if (getrandom(drawn, sizeof(drawn), 0) == (ssize_t)sizeof(drawn)) memcpy(hash_key, drawn, sizeof(drawn));
}

void dl_hash_seed(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, draw_key);
}

static inline uint64_t rotate(uint64_t x, unsigned bits) { return x << bits | x >> (64 - bits); }

static inline void sip_round(uint64_t v[4]) {
  v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
  v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
  v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
  v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

/* Sets up under the key and takes in all of s. wide is what tells the 128-bit
 * variant from the other, so that neither is a part of the other's output. */
static inline void sip_absorb(uint64_t v[4], const uint64_t key[2], dl_str s, uint64_t wide) {
  v[0] = key[0] ^ 0x736f6d6570736575u, v[1] = key[1] ^ 0x646f72616e646f6du ^ wide;
  v[2] = key[0] ^ 0x6c7967656e657261u, v[3] = key[1] ^ 0x7465646279746573u;
  uint64_t word = 0;
  size_t whole = s.len & ~(size_t)7;
  for (size_t at = 0; at < whole; at += 8) {
    memcpy(&word, s.ptr + at, 8);
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
  }
  word = 0;
  if (s.len > whole) memcpy(&word, s.ptr + whole, s.len - whole);
  word |= (uint64_t)s.len << 56;
  v[3] ^= word;
  sip_round(v);
  v[0] ^= word;
}

static inline uint64_t sip_squeeze(uint64_t v[4]) {
  for (int i = 0; i < 3; i++) sip_round(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t dl_hash_under(const uint64_t key[2], dl_str s) {
  uint64_t v[4];
  sip_absorb(v, key, s, 0);
  v[2] ^= 0xff;
  return sip_squeeze(v);
}

uint64_t dl_hash(dl_str s) { return dl_hash_under(hash_key, s); }

void dl_hash128(const uint64_t key[2], dl_str s, uint64_t out[2]) {
  uint64_t v[4];
  sip_absorb(v, key, s, 0xee);
  v[2] ^= 0xee;
  out[0] = sip_squeeze(v);
  v[1] ^= 0xdd;
  out[1] = sip_squeeze(v);
}

void dl_map_init(dl_map *map, dl_arena *arena) { *map = (dl_map){.arena = arena}; }

/* The slot that holds the key, or the empty one where it would go. */
static dl_map_slot *map_find(const dl_map *map, dl_str key, uint64_t hash) {
  size_t mask = map->capacity - 1, at = (size_t)hash & mask;
  while (map->slots[at].value && (map->slots[at].hash != hash || !dl_str_equal(map->slots[at].key, key))) at = (at + 1) & mask;
  return &map->slots[at];
}

static void map_grow(dl_map *map) {
  dl_map old = *map;
  map->capacity = old.capacity ? old.capacity * 2 : 8;
  map->slots = dl_arena_zalloc(map->arena, map->capacity, sizeof(*map->slots));
  for (size_t i = 0; i < old.capacity; i++)
    if (old.slots[i].value) *map_find(map, old.slots[i].key, old.slots[i].hash) = old.slots[i];
}

void *dl_map_put(dl_map *map, dl_str key, void *value) {
  if ((map->count + 1) * 2 > map->capacity) map_grow(map);
  uint64_t hash = dl_hash(key);
  dl_map_slot *slot = map_find(map, key, hash);
  if (slot->value) return slot->value;
  *slot = (dl_map_slot){key, hash, value};
  map->count++;
  return NULL;
}

void *dl_map_get(const dl_map *map, dl_str key) { return map->capacity ? map_find(map, key, dl_hash(key))->value : NULL; }
