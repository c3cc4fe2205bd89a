/* SPDX-License-Identifier: MIT */
/*
 * Signing and verifying with contexts that were set up once: no lookups by name
 * for each token. Failures leave OpenSSL's error queue as it was.
 */
#include "crypto/key_internal.h"

#include "crypto/secret.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

enum { SIGNATURE_MAX = 1024 }; /* RSA with 8,192 bits */

static EVP_PKEY_CTX *prepare_context(const dl_key *key, int (*begin)(EVP_PKEY_CTX *)) {
  const EVP_MD *digest = key->crypto->digests[key->traits->digest];
  EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
  bool ready = context && begin(context) == 1 && EVP_PKEY_CTX_set_signature_md(context, digest) == 1;
  if (ready && key->traits->family == DL_KEY_RSA) ready = EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
  if (ready && key->traits->family == DL_KEY_PSS)
    /* RFC 7518 3.5: the salt is as long as the digest, MGF1 uses the same one. */
    ready = EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(context, digest) == 1 &&
            EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
  if (ready) return context;
  EVP_PKEY_CTX_free(context);
  return NULL;
}

bool dl_key_prepare(dl_key *key, bool private) {
  key->scratch = EVP_MD_CTX_new();
  if (!key->scratch) return false;
  if (key->traits->family != DL_KEY_ED25519) {
    key->verify = prepare_context(key, EVP_PKEY_verify_init);
    if (private) key->sign = prepare_context(key, EVP_PKEY_sign_init);
    return key->verify && (!private || key->sign);
  }
  key->ed_verify = EVP_MD_CTX_new();
  if (!key->ed_verify || EVP_DigestVerifyInit_ex(key->ed_verify, NULL, NULL, NULL, NULL, key->pkey, NULL) != 1) return false;
  if (!private) return true;
  key->ed_sign = EVP_MD_CTX_new();
  return key->ed_sign && EVP_DigestSignInit_ex(key->ed_sign, NULL, NULL, NULL, NULL, key->pkey, NULL) == 1;
}

static size_t digest_of(dl_key *key, dl_str bytes, unsigned char out[DL_DIGEST_MAX]) {
  const EVP_MD *digest = key->crypto->digests[key->traits->digest];
  if (!EVP_DigestInit_ex2(key->scratch, digest, NULL) || !EVP_DigestUpdate(key->scratch, bytes.ptr, bytes.len) ||
      !EVP_DigestFinal_ex(key->scratch, out, NULL))
    dl_crypto_broken("SHA-2");
  return dl_digest_length(key->traits->digest);
}

/* r and s side by side to DER; 0 when the length is wrong or one of them is 0,
 * which would verify for any message in a careless library. */
static size_t ecdsa_to_der(const dl_key *key, dl_str raw, unsigned char der[SIGNATURE_MAX]) {
  size_t half = key->traits->half;
  if (raw.len != 2 * half) return 0;
  const unsigned char *bytes = (const unsigned char *)raw.ptr;
  ECDSA_SIG *pair = ECDSA_SIG_new();
  BIGNUM *r = BN_bin2bn(bytes, (int)half, NULL), *s = BN_bin2bn(bytes + half, (int)half, NULL);
  size_t length = 0;
  if (pair && r && s && !BN_is_zero(r) && !BN_is_zero(s) && ECDSA_SIG_set0(pair, r, s)) {
    r = s = NULL; /* the pair's now */
    int written = i2d_ECDSA_SIG(pair, &der);
    length = written > 0 ? (size_t)written : 0;
  }
  BN_free(r);
  BN_free(s);
  ECDSA_SIG_free(pair);
  return length;
}

static bool ecdsa_from_der(const dl_key *key, const unsigned char *der, size_t length, unsigned char raw[SIGNATURE_MAX]) {
  int half = (int)key->traits->half;
  ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)length);
  bool done = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, half) == half && BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + half, half) == half;
  ECDSA_SIG_free(pair);
  return done;
}

static bool verify_pkey(dl_key *key, dl_str bytes, dl_str signature) {
  const unsigned char *tag = (const unsigned char *)signature.ptr;
  size_t length = signature.len;
  if (key->ed_verify)
    return EVP_MD_CTX_copy_ex(key->scratch, key->ed_verify) && EVP_DigestVerify(key->scratch, tag, length, (const unsigned char *)bytes.ptr, bytes.len) == 1;
  unsigned char digest[DL_DIGEST_MAX], der[SIGNATURE_MAX];
  if (key->traits->family == DL_KEY_ECDSA) {
    length = ecdsa_to_der(key, signature, der);
    if (!length) return false;
    tag = der;
  }
  return EVP_PKEY_verify(key->verify, tag, length, digest, digest_of(key, bytes, digest)) == 1;
}

bool dl_key_verify(dl_key *key, dl_str bytes, dl_str signature) {
  if (key->hmac) return dl_hmac_verify(key->hmac, bytes, signature);
  ERR_set_mark();
  bool genuine = verify_pkey(key, bytes, signature);
  ERR_pop_to_mark();
  return genuine;
}

static size_t sign_pkey(dl_key *key, dl_str bytes, unsigned char out[SIGNATURE_MAX]) {
  size_t length = SIGNATURE_MAX;
  if (key->ed_sign) {
    bool done = EVP_MD_CTX_copy_ex(key->scratch, key->ed_sign) && EVP_DigestSign(key->scratch, out, &length, (const unsigned char *)bytes.ptr, bytes.len) == 1;
    return done ? length : 0;
  }
  unsigned char digest[DL_DIGEST_MAX], der[SIGNATURE_MAX];
  bool ecdsa = key->traits->family == DL_KEY_ECDSA;
  if (EVP_PKEY_sign(key->sign, ecdsa ? der : out, &length, digest, digest_of(key, bytes, digest)) != 1) return 0;
  if (!ecdsa) return length;
  return ecdsa_from_der(key, der, length, out) ? 2 * key->traits->half : 0;
}

bool dl_key_sign(dl_key *key, dl_str bytes, dl_buffer *signature) {
  if (!dl_key_can_sign(key)) return false;
  unsigned char out[SIGNATURE_MAX];
  size_t length = dl_digest_length(key->traits->digest);
  if (key->hmac) dl_hmac_compute(key->hmac, bytes, out);
  else length = sign_pkey(key, bytes, out);
  if (!length) dl_crypto_broken("a signature");
  dl_buffer_append(signature, out, length);
  return true;
}
