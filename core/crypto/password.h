/* SPDX-License-Identifier: MIT */
/*
 * Passwords: Argon2id (RFC 9106) in PHC strings. Each call takes milliseconds and
 * the memory its cost names, so callers run it on the thread pool, a bounded number
 * at once. Nothing is shared: any thread.
 */
#ifndef DL_CRYPTO_PASSWORD_H
#define DL_CRYPTO_PASSWORD_H

#include "base/str.h"

#include <stdint.h>

typedef struct dl_password_cost {
  uint32_t memory_kib; /* 8 * lanes to 4,194,304 */
  uint32_t passes;     /* 1 to 64 */
  uint32_t lanes;      /* 1 to 16, computed one after the other */
} dl_password_cost;

/* OWASP's first choice for Argon2id (2024): 19 MiB, 2 passes, 1 lane. */
#define DL_PASSWORD_COST ((dl_password_cost){19456, 2, 1})

enum {
  DL_PASSWORD_TEXT = 128,     /* room for a PHC string of ours and its NUL */
  DL_PASSWORD_LENGTH_MAX = 1024 /* bytes; a longer one is refused, not cut */
};

typedef enum dl_password_result {
  DL_PASSWORD_OK,       /* hashed, or it matches */
  DL_PASSWORD_WRONG,    /* it does not match, or is too long to be one */
  DL_PASSWORD_MALFORMED, /* the stored text is no Argon2id string within the limits */
  DL_PASSWORD_FAILED    /* no memory, or a cost out of its limits */
} dl_password_result;

/* Writes a PHC string with a fresh salt of 16 bytes and a tag of 32, NUL behind. */
dl_password_result dl_password_hash(dl_str password, const dl_password_cost *cost, char out[DL_PASSWORD_TEXT]);

/* Whether password is the one that the stored PHC string was made of. */
dl_password_result dl_password_verify(dl_str stored, dl_str password);

/* Takes as long as dl_password_verify of a wrong password at that cost, for users
 * that do not exist: DL_PASSWORD_WRONG, or FAILED. */
dl_password_result dl_password_verify_nobody(dl_str password, const dl_password_cost *cost);

/* Whether the stored string should be made anew with this cost at the next login. */
bool dl_password_outdated(dl_str stored, const dl_password_cost *cost);

#endif
