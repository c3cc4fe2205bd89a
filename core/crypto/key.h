/* SPDX-License-Identifier: MIT */
/*
 * Keys that sign and verify, each for exactly one algorithm: the key decides what
 * a token's header must say, never the other way round (RFC 8725 3.1). A key is
 * used by one thread at a time: it keeps its OpenSSL contexts.
 */
#ifndef DL_CRYPTO_KEY_H
#define DL_CRYPTO_KEY_H

#include "base/buffer.h"
#include "crypto/crypto.h"

/* RFC 7518 3.1 and RFC 8037 3.1: constant, JOSE name. */
#define DL_KEY_ALGORITHMS(X) \
  X(HS256) X(HS384) X(HS512) X(RS256) X(RS384) X(RS512) X(PS256) X(PS384) X(PS512) X(ES256) X(ES384) X(ES512) X(EdDSA)

typedef enum dl_key_algorithm {
#define DL_KEY_CONSTANT(name) DL_KEY_##name,
  DL_KEY_ALGORITHMS(DL_KEY_CONSTANT)
#undef DL_KEY_CONSTANT
  DL_KEY_ALGORITHM_COUNT,
  DL_KEY_UNSTATED = DL_KEY_ALGORITHM_COUNT /* whatever the key itself says */
} dl_key_algorithm;

dl_str dl_key_algorithm_name(dl_key_algorithm algorithm);

/* By its exact name; "none" is none. */
bool dl_key_algorithm_named(dl_str name, dl_key_algorithm *out);

typedef struct dl_key dl_key;

/* Each gives a key, or NULL with *error as static text. kid may be empty.
 *
 * A secret has at least as many bytes as its digest (RFC 7518 3.2) and is not a
 * PEM text: whoever gives a public key for one lets everybody sign. */
dl_key *dl_key_from_secret(const dl_crypto *crypto, dl_key_algorithm algorithm, dl_str secret, dl_str kid, const char **error);

/* A public or private key, not encrypted. RSA (2,048 to 8,192 bits) needs the
 * algorithm; a curve says it itself, and UNSTATED or the same may be given. */
dl_key *dl_key_from_pem(const dl_crypto *crypto, dl_key_algorithm algorithm, dl_str pem, dl_str kid, const char **error);

/* One JWK (RFC 7517). Its "alg" decides; where it has none, the curve, or for RSA
 * and octets the algorithm given. */
dl_key *dl_key_from_jwk(const dl_crypto *crypto, dl_key_algorithm algorithm, dl_str json, const char **error);

void dl_key_free(dl_key *key);

dl_key_algorithm dl_key_algorithm_of(const dl_key *key);
dl_str dl_key_kid(const dl_key *key);    /* empty when it has none */
dl_str dl_key_header(const dl_key *key); /* base64url of {"alg", "typ", "kid"}, as its tokens begin */
bool dl_key_can_sign(const dl_key *key);

/* JWS signatures (RFC 7518 3, RFC 8037 3.1): r and s in full length for ES. */
bool dl_key_verify(dl_key *key, dl_str bytes, dl_str signature);

/* Appends the signature. False when the key is public only. */
bool dl_key_sign(dl_key *key, dl_str bytes, dl_buffer *signature);

/* A set owns its keys; zeroed, it is empty. */
enum { DL_KEY_SET_MAX = 64, DL_KEY_SET_NAMELESS_MAX = 4 };

typedef struct dl_key_set {
  size_t count;
  dl_key *keys[DL_KEY_SET_MAX];
} dl_key_set;

/* False when the set is full, the key has another's kid, or HMAC would stand beside
 * public keys, or too many keys have no kid; the key is freed then, with *error as
 * static text. */
bool dl_key_set_add(dl_key_set *set, dl_key *key, const char **error);

/* Adds the keys of a JWKS. Those for encryption, or of kinds unknown to us, are
 * passed over (RFC 7517 5). False with *error when the text is no JWKS, one of its
 * signature keys is bad, or none is left; what was added until then stays. */
bool dl_key_set_add_jwks(dl_key_set *set, const dl_crypto *crypto, dl_key_algorithm rsa_algorithm, dl_str json, const char **error);

void dl_key_set_free(dl_key_set *set);

#endif
