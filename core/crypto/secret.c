/* SPDX-License-Identifier: MIT */
#include "crypto/secret.h"

#include "base/memory.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdint.h>

/* OpenSSL takes from the same pages for every key, signature and TLS connection, and fails where they are full. So what clients send has a share
 * of its own, in pieces that leave none of the rest too small to be of use; and the rest is for as many connections as there are descriptors. */
enum { SECRET_PAGES_BYTES = 4194304, SECRET_SMALLEST_BYTES = 32, SHARE_BYTES = 262144, PIECE_BYTES = 1024 };

static size_t share_used; /* servers of several threads may be in one process */

dl_secret_memory dl_secret_memory_init(void) {
  switch (CRYPTO_secure_malloc_init(SECRET_PAGES_BYTES, SECRET_SMALLEST_BYTES)) {
  case 1: return DL_SECRET_MEMORY_LOCKED;
  case 2: return DL_SECRET_MEMORY_UNLOCKED;
  default: return CRYPTO_secure_malloc_initialized() ? DL_SECRET_MEMORY_UNLOCKED : DL_SECRET_MEMORY_ORDINARY;
  }
}

/* What a secret takes of the share: the pages are given out in powers of two. */
static size_t taken_by(size_t size) {
  size_t taken = PIECE_BYTES;
  while (taken < size) taken *= 2;
  return taken;
}

static void give_back(size_t taken) { __atomic_sub_fetch(&share_used, taken, __ATOMIC_RELAXED); }

/* In the pages, or NULL. */
static char *new_in_share(size_t size) {
  if (size > SHARE_BYTES / 2 || !CRYPTO_secure_malloc_initialized()) return NULL;
  size_t taken = taken_by(size);
  char *secret = NULL;
  if (__atomic_add_fetch(&share_used, taken, __ATOMIC_RELAXED) <= SHARE_BYTES) {
    ERR_set_mark();
    secret = OPENSSL_secure_malloc(taken);
    ERR_pop_to_mark(); /* full pages are no error of a later TLS or JWT call */
  }
  if (!secret) give_back(taken);
  return secret;
}

char *dl_secret_new(dl_str bytes) {
  size_t size = bytes.len ? bytes.len : 1;
  char *secret = new_in_share(size);
  if (!secret) secret = OPENSSL_malloc(size);
  if (!secret) dl_memory_exhausted(size);
  if (bytes.len) memcpy(secret, bytes.ptr, bytes.len);
  return secret;
}

void dl_secret_free(char *secret, size_t length) {
  size_t size = length ? length : 1;
  if (CRYPTO_secure_allocated(secret)) give_back(taken_by(size));
  OPENSSL_secure_clear_free(secret, size);
}

/* Keeps the compiler from seeing that a mask is all ones or none, and from making
 * a branch of it. */
static inline size_t opaque(size_t value) {
  __asm__("" : "+r"(value));
  return value;
}

/* All ones when a < b, else 0; for a and b below 2^63. */
static inline size_t mask_less(size_t a, size_t b) { return opaque(0 - ((a - b) >> (sizeof(size_t) * 8 - 1))); }

bool dl_crypto_equal(const void *presented, size_t presented_length, const void *kept, size_t kept_length) {
  static const unsigned char nothing = 0;
  const unsigned char *given = presented, *own = kept_length ? kept : &nothing;
  size_t difference = presented_length ^ kept_length;
  for (size_t i = 0; i < presented_length; i++) {
    /* Past the end of what is kept, its first byte is read over and over: as
     * many reads as the presented length asks for, whatever the kept one is. */
    size_t at = i & mask_less(i, kept_length);
    difference |= (size_t)(given[i] ^ own[at]);
  }
  return opaque(difference) == 0;
}
