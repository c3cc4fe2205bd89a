/* SPDX-License-Identifier: MIT */
/* What key.c, jwk.c and sign.c share. */
#ifndef DL_CRYPTO_KEY_INTERNAL_H
#define DL_CRYPTO_KEY_INTERNAL_H

#include "crypto/hmac.h"
#include "crypto/internal.h"
#include "crypto/key.h"

typedef enum dl_key_family { DL_KEY_HMAC, DL_KEY_RSA, DL_KEY_PSS, DL_KEY_ECDSA, DL_KEY_ED25519 } dl_key_family;

typedef struct dl_key_traits {
  dl_str name;
  dl_key_family family;
  dl_digest_kind digest;
  const char *curve;    /* ECDSA: OpenSSL's name of the group; */
  const char *jwk_curve; /* and RFC 7518's, or RFC 8037's for Ed25519 */
  size_t half;          /* ECDSA: bytes of r, of s and of a coordinate; Ed25519: of a key */
} dl_key_traits;

const dl_key_traits *dl_key_traits_of(dl_key_algorithm algorithm);

struct dl_key {
  dl_key_algorithm algorithm;
  const dl_key_traits *traits;
  const dl_crypto *crypto;
  char *kid; /* NUL-terminated, maybe empty */
  dl_buffer header; /* of tokens it signs, base64url */
  dl_hmac *hmac;
  EVP_PKEY *pkey;
  EVP_PKEY_CTX *verify, *sign;      /* RSA and ECDSA; sign only with a private key */
  EVP_MD_CTX *ed_verify, *ed_sign;  /* Ed25519, set up; copied into scratch for each use */
  EVP_MD_CTX *scratch;
};

/* Makes a key of a pkey, which it takes; the algorithm must fit it. */
dl_key *dl_key_from_pkey(const dl_crypto *crypto, dl_key_algorithm algorithm, EVP_PKEY *pkey, bool private, dl_str kid, const char **error);

/* Sets up the contexts of a key with a pkey. */
bool dl_key_prepare(dl_key *key, bool private);

#endif
