/* SPDX-License-Identifier: MIT */
#include "crypto/key.h"

#include "base/memory.h"
#include "crypto/base64.h"
#include "crypto/key_internal.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>

enum { RSA_EXPONENT_BITS_MIN = 17, RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192, KID_MAX = 256, PEM_MAX = 65536 };

static const dl_key_traits algorithms[DL_KEY_ALGORITHM_COUNT] = {
    [DL_KEY_HS256] = {DL_STR("HS256"), DL_KEY_HMAC, DL_DIGEST_SHA256, NULL, NULL, 0},
    [DL_KEY_HS384] = {DL_STR("HS384"), DL_KEY_HMAC, DL_DIGEST_SHA384, NULL, NULL, 0},
    [DL_KEY_HS512] = {DL_STR("HS512"), DL_KEY_HMAC, DL_DIGEST_SHA512, NULL, NULL, 0},
    [DL_KEY_RS256] = {DL_STR("RS256"), DL_KEY_RSA, DL_DIGEST_SHA256, NULL, NULL, 0},
    [DL_KEY_RS384] = {DL_STR("RS384"), DL_KEY_RSA, DL_DIGEST_SHA384, NULL, NULL, 0},
    [DL_KEY_RS512] = {DL_STR("RS512"), DL_KEY_RSA, DL_DIGEST_SHA512, NULL, NULL, 0},
    [DL_KEY_PS256] = {DL_STR("PS256"), DL_KEY_PSS, DL_DIGEST_SHA256, NULL, NULL, 0},
    [DL_KEY_PS384] = {DL_STR("PS384"), DL_KEY_PSS, DL_DIGEST_SHA384, NULL, NULL, 0},
    [DL_KEY_PS512] = {DL_STR("PS512"), DL_KEY_PSS, DL_DIGEST_SHA512, NULL, NULL, 0},
    [DL_KEY_ES256] = {DL_STR("ES256"), DL_KEY_ECDSA, DL_DIGEST_SHA256, "prime256v1", "P-256", 32},
    [DL_KEY_ES384] = {DL_STR("ES384"), DL_KEY_ECDSA, DL_DIGEST_SHA384, "secp384r1", "P-384", 48},
    [DL_KEY_ES512] = {DL_STR("ES512"), DL_KEY_ECDSA, DL_DIGEST_SHA512, "secp521r1", "P-521", 66},
    [DL_KEY_EdDSA] = {DL_STR("EdDSA"), DL_KEY_ED25519, DL_DIGEST_SHA512, NULL, "Ed25519", 32},
};

const dl_key_traits *dl_key_traits_of(dl_key_algorithm algorithm) { return &algorithms[algorithm]; }

dl_str dl_key_algorithm_name(dl_key_algorithm algorithm) { return algorithms[algorithm].name; }

bool dl_key_algorithm_named(dl_str name, dl_key_algorithm *out) {
  for (int i = 0; i < DL_KEY_ALGORITHM_COUNT; i++)
    if (dl_str_equal(name, algorithms[i].name)) {
      *out = (dl_key_algorithm)i;
      return true;
    }
  return false;
}

static dl_key *refuse(const char **error, const char *reason) {
  ERR_clear_error(); /* or a TLS connection would find it later */
  *error = reason;
  return NULL;
}

/* The header of tokens that the key signs, encoded: made once, and known again
 * when such a token comes back, without reading JSON. */
static void make_header(dl_key *key) {
  dl_buffer json = {0};
  dl_buffer_printf(&json, "{\"alg\":\"%s\",\"typ\":\"JWT\"", key->traits->name.ptr);
  if (key->kid[0]) {
    DL_BUFFER_LITERAL(&json, ",\"kid\":");
    dl_buffer_append_json_string(&json, dl_key_kid(key));
  }
  dl_buffer_append_char(&json, '}');
  size_t length = dl_base64_encoded_length(json.len);
  dl_buffer_reserve(&key->header, length);
  dl_base64_encode(DL_BASE64URL, dl_buffer_str(&json), key->header.data);
  key->header.len = length;
  dl_buffer_free(&json);
}

static dl_key *new_key(const dl_crypto *crypto, dl_key_algorithm algorithm, dl_str kid) {
  dl_key *key = dl_calloc(1, sizeof(*key));
  key->algorithm = algorithm;
  key->traits = &algorithms[algorithm];
  key->crypto = crypto;
  key->kid = dl_strndup(kid.len ? kid.ptr : "", kid.len);
  make_header(key);
  return key;
}

void dl_key_free(dl_key *key) {
  if (!key) return;
  dl_hmac_free(key->hmac);
  EVP_PKEY_CTX_free(key->verify);
  EVP_PKEY_CTX_free(key->sign);
  EVP_MD_CTX_free(key->ed_verify);
  EVP_MD_CTX_free(key->ed_sign);
  EVP_MD_CTX_free(key->scratch);
  EVP_PKEY_free(key->pkey);
  dl_buffer_free(&key->header);
  dl_free(key->kid);
  dl_free(key);
}

dl_key_algorithm dl_key_algorithm_of(const dl_key *key) { return key->algorithm; }
dl_str dl_key_kid(const dl_key *key) { return dl_str_of(key->kid); }
dl_str dl_key_header(const dl_key *key) { return dl_buffer_str(&key->header); }
bool dl_key_can_sign(const dl_key *key) { return key->hmac || key->sign || key->ed_sign; }

static bool kid_allowed(dl_str kid) { return kid.len <= KID_MAX && (!kid.len || !memchr(kid.ptr, '\0', kid.len)); }

dl_key *dl_key_from_secret(const dl_crypto *crypto, dl_key_algorithm algorithm, dl_str secret, dl_str kid, const char **error) {
  if (algorithm >= DL_KEY_UNSTATED || algorithms[algorithm].family != DL_KEY_HMAC) return refuse(error, "a secret signs with HS256, HS384 or HS512 only");
  if (secret.len < dl_digest_length(algorithms[algorithm].digest))
    return refuse(error, "the secret is too short: HS256 needs at least 32 bytes, HS384 48 and HS512 64");
  if (dl_str_starts(secret, DL_STR("-----BEGIN"))) return refuse(error, "the secret is a PEM text; give a key pair with RS, PS, ES or EdDSA");
  if (!kid_allowed(kid)) return refuse(error, "the key's kid should have at most 256 bytes and no NUL");
  dl_key *key = new_key(crypto, algorithm, kid);
  key->hmac = dl_hmac_new(crypto, key->traits->digest, secret);
  return key;
}

/* FIPS 186-5 5.1: odd and over 2^16. With 1 everybody signs, since the signature is the
 * padded digest itself. */
static bool has_sound_exponent(const EVP_PKEY *pkey) {
  BIGNUM *exponent = NULL;
  bool sound = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 && BN_is_odd(exponent) && BN_num_bits(exponent) >= RSA_EXPONENT_BITS_MIN;
  BN_free(exponent);
  return sound;
}

/* The algorithm that a pkey signs with: its curve's, or for RSA the one stated. */
static const char *decide_algorithm(EVP_PKEY *pkey, dl_key_algorithm stated, dl_key_algorithm *out) {
  if (EVP_PKEY_is_a(pkey, "RSA")) {
    dl_key_family family = stated == DL_KEY_UNSTATED ? DL_KEY_HMAC : algorithms[stated].family;
    if (family != DL_KEY_RSA && family != DL_KEY_PSS) return "an RSA key needs to be told its algorithm: RS256, RS384, RS512, PS256, PS384 or PS512";
    int bits = EVP_PKEY_get_bits(pkey);
    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) return "an RSA key should have 2048 to 8192 bits";
    if (!has_sound_exponent(pkey)) return "an RSA key's exponent should be odd, and 65537 at least";
    *out = stated;
    return NULL;
  }
  char group[32] = "";
  if (EVP_PKEY_is_a(pkey, "EC")) EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL);
  for (*out = 0; *out < DL_KEY_ALGORITHM_COUNT; ++*out) {
    const dl_key_traits *traits = &algorithms[*out];
    if (traits->family == DL_KEY_ED25519 ? EVP_PKEY_is_a(pkey, "ED25519") : traits->curve && strcmp(group, traits->curve) == 0)
      return stated == DL_KEY_UNSTATED || stated == *out ? NULL : "the algorithm is not the one of the key's curve";
  }
  return "the key should be RSA, P-256, P-384, P-521 or Ed25519";
}

dl_key *dl_key_from_pkey(const dl_crypto *crypto, dl_key_algorithm algorithm, EVP_PKEY *pkey, bool private, dl_str kid, const char **error) {
  dl_key_algorithm decided;
  const char *wrong = kid_allowed(kid) ? decide_algorithm(pkey, algorithm, &decided) : "the key's kid should have at most 256 bytes and no NUL";
  if (wrong) {
    EVP_PKEY_free(pkey);
    return refuse(error, wrong);
  }
  dl_key *key = new_key(crypto, decided, kid);
  key->pkey = pkey;
  if (dl_key_prepare(key, private)) return key;
  dl_key_free(key);
  return refuse(error, "OpenSSL cannot use the key: its numbers do not fit each other");
}

/* Without it OpenSSL would ask the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *data) {
  (void)buffer, (void)size, (void)writing, (void)data;
  return -1;
}

dl_key *dl_key_from_pem(const dl_crypto *crypto, dl_key_algorithm algorithm, dl_str pem, dl_str kid, const char **error) {
  BIO *bio = pem.len <= PEM_MAX ? BIO_new_mem_buf(pem.ptr, (int)pem.len) : NULL;
  if (!bio) return refuse(error, "the PEM text is longer than 65536 bytes");
  EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
  bool private = pkey != NULL;
  if (!pkey && BIO_reset(bio) == 1) pkey = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
  BIO_free(bio);
  if (!pkey) return refuse(error, "expected an unencrypted key in PEM form, which begins with -----BEGIN PUBLIC KEY----- or -----BEGIN PRIVATE KEY-----");
  ERR_clear_error();
  return dl_key_from_pkey(crypto, algorithm, pkey, private, kid, error);
}

static bool symmetric(const dl_key *key) { return key->traits->family == DL_KEY_HMAC; }

bool dl_key_set_add(dl_key_set *set, dl_key *key, const char **error) {
  *error = set->count == DL_KEY_SET_MAX ? "a key set should have at most 64 keys" : NULL;
  size_t nameless = !key->kid[0];
  for (size_t i = 0; i < set->count && !*error; i++) {
    nameless += !set->keys[i]->kid[0];
    if (symmetric(set->keys[i]) != symmetric(key)) *error = "a key set should not mix secrets with public keys: who knows the public key could sign";
    else if (key->kid[0] && strcmp(set->keys[i]->kid, key->kid) == 0) *error = "two keys of the set have the same kid";
  }
  if (nameless > DL_KEY_SET_NAMELESS_MAX) *error = "at most 4 keys of a set may be without a kid: each would be tried on each token";
  if (*error) {
    dl_key_free(key);
    return false;
  }
  set->keys[set->count++] = key;
  return true;
}

void dl_key_set_free(dl_key_set *set) {
  for (size_t i = 0; i < set->count; i++) dl_key_free(set->keys[i]);
  set->count = 0;
}
