/* SPDX-License-Identifier: MIT */
/*
 * JSON Web Tokens (RFC 7519, with RFC 8725's advice): compact, signed, never
 * encrypted or unsigned. Keys in a token's header (jwk, jku, x5u, x5c) are never
 * looked at; what crit names is unknown to us and refuses. So does a token that says
 * by typ that it is for something else, or by cnf that bearing it is not enough.
 */
#ifndef DL_CRYPTO_JWT_H
#define DL_CRYPTO_JWT_H

#include "crypto/key.h"

struct json_t;

enum { DL_JWT_MAX = 8192, DL_JWT_LEEWAY_MAX_S = 30, DL_JWT_AUDIENCES_MAX = 8 };

typedef struct dl_jwt_rules {
  dl_str issuer; /* iss must be it; empty: not checked */
  dl_str audiences[DL_JWT_AUDIENCES_MAX];
  size_t audience_count; /* aud must name one of them; 0: a token with aud is refused (RFC 7519 4.1.3) */
  uint32_t leeway_s;     /* for clocks that differ; at most DL_JWT_LEEWAY_MAX_S counts */
  uint32_t lifetime_s;   /* exp may lie at most that far ahead, and that far after iat where there is one; 0: no limit */
} dl_jwt_rules;

/* Why a token was refused: for logs and metrics, never for the client. */
#define DL_JWT_RESULTS(X) \
  X(OK, "it is genuine") \
  X(TOO_LONG, "it is longer than 8192 bytes") \
  X(MALFORMED, "it is not three parts of base64url, or its header or claims are no JSON object") \
  X(CRITICAL, "its header names extensions that must be understood") \
  X(KIND, "its typ says that it is another kind of token") \
  X(UNKNOWN_KEY, "no key has its kid and algorithm") \
  X(SIGNATURE, "its signature is not of our keys") \
  X(CLAIMS, "a claim is not of the kind that RFC 7519 names") \
  X(BOUND, "it is bound to a key (cnf), and whoever bears it is not asked to prove that he has it") \
  X(NO_EXPIRY, "it has no exp") \
  X(EXPIRED, "it has expired") \
  X(TOO_LIVED, "its exp lies further ahead, or after its iat, than the guard's lifetime") \
  X(NOT_YET, "its nbf or iat lies ahead") \
  X(ISSUER, "its iss is another") \
  X(AUDIENCE, "its aud names somebody else, or nobody where it should name us")

typedef enum dl_jwt_result {
#define DL_JWT_CONSTANT(name, reason) DL_JWT_##name,
  DL_JWT_RESULTS(DL_JWT_CONSTANT)
#undef DL_JWT_CONSTANT
  DL_JWT_RESULT_COUNT
} dl_jwt_result;

/* The reason as a plain sentence's end, static. */
const char *dl_jwt_reason(dl_jwt_result result);

typedef struct dl_jwt {
  struct json_t *claims; /* owned: all of them, an object */
  dl_str subject;        /* points into claims; empty when there is no sub */
  int64_t expires_s;     /* exp, rounded down, seconds since 1970 */
  const dl_key *key;     /* the one that verified it, of the set */
} dl_jwt;

/* Verifies signature and claims at the time now_s. Fills *jwt only with DL_JWT_OK;
 * dl_jwt_free frees it. */
dl_jwt_result dl_jwt_verify(const dl_key_set *keys, const dl_jwt_rules *rules, int64_t now_s, dl_str token, dl_jwt *jwt);
void dl_jwt_free(dl_jwt *jwt);

/* Appends a token over the claims, a JSON object as text, which is not looked at.
 * The header is alg, typ and the key's kid. False when the key cannot sign. */
bool dl_jwt_sign(dl_key *key, dl_str claims, dl_buffer *token);

#endif
