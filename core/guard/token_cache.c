/* SPDX-License-Identifier: MIT */
/*
 * Four places for each hash's set; what expires first goes first. The hash is keyed
 * and cannot be aimed at, and only tokens that were verified come in, so that nobody
 * without good tokens moves anything out.
 */
#include "guard/internal.h"

#include "base/hash.h"
#include "base/memory.h"

#include <openssl/crypto.h>

enum { SETS = 1024, WAYS = 4, ENTRY_BYTES_MAX = 4096 };

typedef struct cached {
  uint64_t tag;
  int64_t from_s, until_s; /* good at from_s <= now < until_s: a clock that goes back finds nothing */
  dl_str token;            /* in the arena, as all of the principal */
  dl_principal principal;
  dl_arena arena;
} cached;

typedef struct slot {
  uint64_t hash;
  cached *entry; /* NULL: free */
} slot;

struct dl_token_cache {
  slot sets[SETS][WAYS];
  uint64_t hits, misses;
};

dl_token_cache *dl_token_cache_new(void) { return dl_calloc(1, sizeof(dl_token_cache)); }

static void drop(cached *entry) {
  if (!entry) return;
  OPENSSL_cleanse((char *)(uintptr_t)entry->token.ptr, entry->token.len);
  dl_arena_free(&entry->arena);
  dl_free(entry);
}

void dl_token_cache_clear(dl_token_cache *cache) {
  for (size_t set = 0; set < SETS; set++)
    for (size_t i = 0; i < WAYS; i++) {
      drop(cache->sets[set][i].entry);
      cache->sets[set][i].entry = NULL;
    }
}

void dl_token_cache_free(dl_token_cache *cache) {
  if (!cache) return;
  dl_token_cache_clear(cache);
  dl_free(cache);
}

uint64_t dl_token_cache_hits(const dl_token_cache *cache) { return cache->hits; }
uint64_t dl_token_cache_misses(const dl_token_cache *cache) { return cache->misses; }

uint64_t dl_token_cache_hash(uint64_t tag, dl_str token) { return dl_hash(token) ^ tag; }

/* The length of a token is no secret; of its bytes all are looked at, whatever the
 * first ones say. Eight at a time: dl_crypto_equal hides the length too, and so
 * takes longer than everything else here. */
static bool same_bytes(dl_str a, dl_str b) {
  uint64_t difference = 0, x, y;
  if (a.len != b.len) return false;
  size_t at = 0;
  for (; at + 8 <= a.len; at += 8) {
    memcpy(&x, a.ptr + at, 8);
    memcpy(&y, b.ptr + at, 8);
    difference |= x ^ y;
  }
  for (; at < a.len; at++) difference |= (uint64_t)(unsigned char)(a.ptr[at] ^ b.ptr[at]);
  __asm__("" : "+r"(difference)); /* or the compiler might stop where it is known already */
  return difference == 0;
}

bool dl_token_cache_get(dl_token_cache *cache, uint64_t hash, uint64_t tag, dl_str token, int64_t now_s, dl_arena *arena, dl_principal *out) {
  const slot *set = cache->sets[hash % SETS];
  for (size_t i = 0; i < WAYS; i++) {
    const cached *entry = set[i].entry;
    if (set[i].hash != hash || !entry || entry->tag != tag || now_s < entry->from_s || now_s >= entry->until_s || !same_bytes(token, entry->token))
      continue;
    *out = dl_principal_copy(&entry->principal, arena);
    cache->hits++;
    return true;
  }
  cache->misses++;
  return false;
}

/* The place of the same token, else a free one, else that which expires first. */
static slot *choose(slot *set, uint64_t hash, uint64_t tag, dl_str token) {
  slot *chosen = &set[0];
  for (size_t i = 0; i < WAYS; i++) {
    const cached *entry = set[i].entry;
    if (entry && set[i].hash == hash && entry->tag == tag && same_bytes(token, entry->token)) return &set[i];
    if (chosen->entry && (!entry || entry->until_s < chosen->entry->until_s)) chosen = &set[i];
  }
  return chosen;
}

void dl_token_cache_put(dl_token_cache *cache, uint64_t hash, uint64_t tag, dl_str token, int64_t now_s, int64_t until_s,
                        const dl_principal *principal) {
  if (until_s > now_s + DL_TOKEN_CACHE_S) until_s = now_s + DL_TOKEN_CACHE_S;
  if (until_s <= now_s || token.len > ENTRY_BYTES_MAX / 2) return;
  cached *fresh = dl_malloc(sizeof(*fresh));
  *fresh = (cached){.tag = tag, .from_s = now_s, .until_s = until_s};
  dl_arena_init(&fresh->arena, 1024);
  fresh->token = dl_arena_copy(&fresh->arena, token);
  fresh->principal = dl_principal_copy(principal, &fresh->arena);
  if (fresh->arena.used_bytes <= ENTRY_BYTES_MAX) {
    slot *place = choose(cache->sets[hash % SETS], hash, tag, token);
    drop(place->entry);
    place->hash = hash;
    place->entry = fresh;
  } else drop(fresh);
}
