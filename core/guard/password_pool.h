/* SPDX-License-Identifier: MIT */
/*
 * Passwords on the thread pool, a bounded number at once: each takes milliseconds
 * and megabytes, and logins shall not starve those who read files and databases.
 * The others wait, one of each client in turn, a bounded number too. Loop thread only.
 */
#ifndef DL_GUARD_PASSWORD_POOL_H
#define DL_GUARD_PASSWORD_POOL_H

#include "base/fair_queue.h"
#include "crypto/password.h"

#include <uv.h>

enum { DL_PASSWORDS_AT_ONCE = 2, DL_PASSWORDS_WAITING_MAX = 256 };

typedef struct dl_password_pool dl_password_pool;

typedef struct dl_password_answer {
  dl_password_result result;
  const char *text; /* what hash made; NULL when it failed. Valid during the call */
  bool outdated;    /* a right password, whose string should be made anew */
  bool gave_way;    /* nothing was computed: it waited behind others of its share, and there was no room for one of another */
} dl_password_answer;

/* owner and serial come back as they were given, for the owner to know what is stale. */
typedef void (*dl_password_done)(const dl_password_answer *answer, void *owner, uint64_t serial);

dl_password_pool *dl_password_pool_new(uv_loop_t *uv);

/* Drops what waits; what runs ends unheard, as long as its loop still turns. */
void dl_password_pool_free(dl_password_pool *pool);

/* Whether the next one of that share (base/fair_queue.h) would be refused. */
bool dl_password_pool_refuses(const dl_password_pool *pool, uint64_t share);

/* A PHC string for the password, at DL_PASSWORD_COST; and whether it is the one a
 * stored string was made of, which may be empty for users that do not exist. Texts
 * are copied. False, and done is never called, when too many wait already. */
bool dl_password_pool_hash(dl_password_pool *pool, uint64_t share, dl_str password, dl_password_done done, void *owner, uint64_t serial);
bool dl_password_pool_verify(dl_password_pool *pool, uint64_t share, dl_str stored, dl_str password, dl_password_done done, void *owner,
                             uint64_t serial);

#endif
