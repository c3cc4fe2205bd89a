/* SPDX-License-Identifier: MIT */
/*
 * Guards: who may pass. Compiled at load from what lua/demilune/guard.lua declares;
 * at run time one call says whether a request passes and who is behind it. What a
 * client is told never depends on why a credential was refused, only on whether one
 * was given; the reason is for the log.
 *
 * Needs of the system: none beyond crypto's; basic guards need the thread pool.
 */
#ifndef DL_GUARD_GUARD_H
#define DL_GUARD_GUARD_H

#include "base/needs.h"
#include "crypto/crypto.h"
#include "crypto/password.h"
#include "guard/principal.h"
#include "guard/token_cache.h"
#include "http/request.h"
#include "net/tls_peer.h"

typedef struct dl_guard dl_guard;

typedef enum dl_guard_result {
  DL_GUARD_PASS,            /* go on; *out is who it is (zeroed behind guard.public) */
  DL_GUARD_WAIT,            /* verify context->password on the thread pool, then check again */
  DL_GUARD_ASK,             /* ask Lua whose context->key is, then check again */
  DL_GUARD_UNAUTHENTICATED, /* 401 */
  DL_GUARD_FORBIDDEN,       /* 403; *out is who it is, for limits that count by it and for the log */
  DL_GUARD_BAD_REQUEST      /* 400: credentials given twice, or broken in their form (RFC 6750 3.1) */
} dl_guard_result;

/* A password to verify, which takes milliseconds. */
typedef struct dl_guard_password {
  dl_str stored;    /* PHC string, lives with the guard */
  dl_str presented; /* in the request's arena */
  bool answered;
  dl_password_result answer;
} dl_guard_password;

/* An API key that the app's store may know, or not. */
typedef struct dl_guard_key {
  int find;           /* registry reference of the function that is given the digest */
  dl_str digest;      /* SHA-256 of the key in hexadecimal, in the request's arena */
  bool answered;
  const dl_principal *owner; /* in the arena; NULL: nobody's */
} dl_guard_key;

/* Zeroed but for its first part. */
typedef struct dl_guard_context {
  const dl_http_request *request;
  dl_arena *arena;        /* the request's */
  dl_token_cache *tokens; /* the worker's; NULL: every token is verified anew */
  const dl_tls_peer *peer; /* who the client proved to be under TLS, or NULL */
  int64_t now_s;          /* wall clock, seconds since 1970 */

  /* After WAIT: fill answer and answered, and call dl_guard_check once more with
   * the same context and guard. */
  dl_guard_password password;

  /* After ASK: dl_guard_take_key with what find gave, and dl_guard_check once more. */
  dl_guard_key key;

  /* Whether the credentials that were good are of a kind that a browser adds to every
   * request for this server, whichever page made it: a cookie, a password of basic,
   * a client certificate. */
  bool ambient;

  /* After anything but PASS, WAIT and ASK. */
  dl_str challenge;   /* whole WWW-Authenticate lines, CRLF ended, maybe empty; lives with the guard */
  const char *reason; /* static, for the log only */
} dl_guard_context;

/* Compiles the description at index; the same table compiles to the same guard.
 * Lives in the arena, and as long as the lua_State, which holds its keys. NULL with
 * *error, a sentence in the arena that says what to write instead. */
const dl_guard *dl_guard_compile(struct lua_State *L, int index, const dl_crypto *crypto, dl_arena *arena, const char **error);

/* Whether everybody passes. */
bool dl_guard_is_public(const dl_guard *guard);

/* Whether the request has a field in which one of the guard's keys may be, whatever is in it. */
bool dl_guard_is_shown_key(const dl_guard *guard, const dl_http_request *request);

/* Credentials, roles and scopes, in that order. Loop thread only. */
dl_guard_result dl_guard_check(const dl_guard *guard, dl_guard_context *context, dl_principal *out);

/* What context->key.find gave, from first on: nothing or nil, or its name, its subject, a list of its roles and one of its scopes,
 * which are copied. False for anything else, which then is nobody's. */
bool dl_guard_take_key(dl_guard_context *context, struct lua_State *L, int first);

extern const dl_needs dl_guard_needs;

#endif
