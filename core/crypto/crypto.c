/* SPDX-License-Identifier: MIT */
#include "crypto/internal.h"

#include "base/memory.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

void dl_crypto_broken(const char *what) {
  char reason[256];
  ERR_error_string_n(ERR_peek_last_error(), reason, sizeof(reason));
  fprintf(stderr,
          "demilune: OpenSSL cannot do %s (%s); give the process more memory if there was none, or install an OpenSSL 3 with its default provider\n",
          what, reason);
  abort();
}

dl_crypto *dl_crypto_new(void) {
  dl_crypto *crypto = dl_calloc(1, sizeof(*crypto));
  /* OpenSSL 3.0 takes a lock that it could not make, where memory fails in its first call; this one says so instead. */
  if (!OSSL_LIB_CTX_get0_global_default()) dl_crypto_broken("anything");
  for (int kind = 0; kind < DL_DIGEST_COUNT; kind++) {
    crypto->digests[kind] = EVP_MD_fetch(NULL, dl_digest_name((dl_digest_kind)kind), NULL);
    if (!crypto->digests[kind]) dl_crypto_broken(dl_digest_name((dl_digest_kind)kind));
  }
  crypto->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
  if (!crypto->hmac) dl_crypto_broken("HMAC");
  crypto->aes_block = EVP_CIPHER_fetch(NULL, "AES-256-ECB", NULL);
  crypto->aes_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
  if (!crypto->aes_block || !crypto->aes_gcm) dl_crypto_broken("AES-256");
  return crypto;
}

void dl_crypto_free(dl_crypto *crypto) {
  if (!crypto) return;
  for (int kind = 0; kind < DL_DIGEST_COUNT; kind++) EVP_MD_free(crypto->digests[kind]);
  EVP_MAC_free(crypto->hmac);
  EVP_CIPHER_free(crypto->aes_block);
  EVP_CIPHER_free(crypto->aes_gcm);
  dl_free(crypto);
}
