/* SPDX-License-Identifier: MIT */
/* What the files of this folder share. Nobody outside includes it, but their tests. */
#ifndef DL_CRYPTO_INTERNAL_H
#define DL_CRYPTO_INTERNAL_H

#include "crypto/crypto.h"
#include "crypto/digest.h"

#include <openssl/evp.h>

struct dl_crypto {
  EVP_MD *digests[DL_DIGEST_COUNT];
  EVP_MAC *hmac;
  EVP_CIPHER *aes_block; /* AES-256-ECB, for single blocks only */
  EVP_CIPHER *aes_gcm;   /* AES-256-GCM */
};

const char *dl_digest_name(dl_digest_kind kind);

/* Ends the process: OpenSSL refused what can only fail without memory or by a bug. */
_Noreturn void dl_crypto_broken(const char *what);

#endif
