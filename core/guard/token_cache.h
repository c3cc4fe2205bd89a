/* SPDX-License-Identifier: MIT */
/*
 * Tokens that were verified lately, one cache per worker, so that a signature is
 * checked once and not for every request of a client. An entry holds for the very
 * guard that verified it, until the token expires and for a minute at most.
 */
#ifndef DL_GUARD_TOKEN_CACHE_H
#define DL_GUARD_TOKEN_CACHE_H

#include <stdint.h>

enum { DL_TOKEN_CACHE_S = 60 };

typedef struct dl_token_cache dl_token_cache;

/* Bounded: 4,096 entries of at most 4 KiB each; larger ones are not kept. */
dl_token_cache *dl_token_cache_new(void);
void dl_token_cache_free(dl_token_cache *cache);

/* Forgets and wipes everything. Guards of a new generation find nothing of an older
 * one's in any case; this is for when keys were withdrawn, and frees the memory. */
void dl_token_cache_clear(dl_token_cache *cache);

/* For metrics. */
uint64_t dl_token_cache_hits(const dl_token_cache *cache);
uint64_t dl_token_cache_misses(const dl_token_cache *cache);

#endif
