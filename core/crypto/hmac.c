/* SPDX-License-Identifier: MIT */
#include "crypto/hmac.h"

#include "base/memory.h"
#include "crypto/internal.h"
#include "crypto/secret.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>

struct dl_hmac {
  EVP_MAC_CTX *context;
  size_t length;
};

dl_hmac *dl_hmac_new(const dl_crypto *crypto, dl_digest_kind kind, dl_str key) {
  dl_hmac *hmac = dl_malloc(sizeof(*hmac));
  hmac->length = dl_digest_length(kind);
  hmac->context = EVP_MAC_CTX_new(crypto->hmac);
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)dl_digest_name(kind), 0), OSSL_PARAM_construct_end()};
  /* A NULL key would mean "keep the one you have". */
  const unsigned char *bytes = (const unsigned char *)(key.len ? key.ptr : "");
  if (!hmac->context || !EVP_MAC_init(hmac->context, bytes, key.len, parameters)) dl_crypto_broken("HMAC");
  return hmac;
}

void dl_hmac_free(dl_hmac *hmac) {
  if (!hmac) return;
  EVP_MAC_CTX_free(hmac->context);
  dl_free(hmac);
}

void dl_hmac_compute(dl_hmac *hmac, dl_str bytes, unsigned char out[DL_DIGEST_MAX]) {
  size_t length = 0;
  bool done = EVP_MAC_init(hmac->context, NULL, 0, NULL) && EVP_MAC_update(hmac->context, (const unsigned char *)bytes.ptr, bytes.len) &&
              EVP_MAC_final(hmac->context, out, &length, DL_DIGEST_MAX);
  if (!done || length != hmac->length) dl_crypto_broken("HMAC");
}

bool dl_hmac_verify(dl_hmac *hmac, dl_str bytes, dl_str tag) {
  unsigned char expected[DL_DIGEST_MAX];
  dl_hmac_compute(hmac, bytes, expected);
  bool equal = dl_crypto_equal(tag.ptr, tag.len, expected, hmac->length);
  OPENSSL_cleanse(expected, sizeof(expected));
  return equal;
}
