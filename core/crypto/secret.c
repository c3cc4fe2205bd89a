/* SPDX-License-Identifier: MIT */
#include "crypto/secret.h"

#include "base/memory.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdint.h>

enum { SECRET_PAGES_BYTES = 262144, SECRET_SMALLEST_BYTES = 32 };

dl_secret_memory dl_secret_memory_init(void) {
  switch (CRYPTO_secure_malloc_init(SECRET_PAGES_BYTES, SECRET_SMALLEST_BYTES)) {
  case 1: return DL_SECRET_MEMORY_LOCKED;
  case 2: return DL_SECRET_MEMORY_UNLOCKED;
  default: return CRYPTO_secure_malloc_initialized() ? DL_SECRET_MEMORY_UNLOCKED : DL_SECRET_MEMORY_ORDINARY;
  }
}

char *dl_secret_new(dl_str bytes) {
  size_t size = bytes.len ? bytes.len : 1;
  char *secret = NULL;
  if (size <= SECRET_PAGES_BYTES / 2) {
    ERR_set_mark();
    secret = OPENSSL_secure_malloc(size);
    ERR_pop_to_mark(); /* full pages are no error of a later TLS or JWT call */
  }
  if (!secret) secret = OPENSSL_malloc(size);
  if (!secret) dl_memory_exhausted(size);
  if (bytes.len) memcpy(secret, bytes.ptr, bytes.len);
  return secret;
}

void dl_secret_free(char *secret, size_t length) { OPENSSL_secure_clear_free(secret, length ? length : 1); }

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
