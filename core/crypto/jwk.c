/* SPDX-License-Identifier: MIT */
/* JSON Web Keys (RFC 7517, 7518 6, 8037 2) to keys of ours. */
#include "crypto/key_internal.h"

#include "base/memory.h"
#include "crypto/base64.h"

#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

enum { NUMBER_MAX = 1024 }; /* bytes of an RSA modulus with 8,192 bits */

typedef struct number {
  unsigned char bytes[NUMBER_MAX + 3];
  size_t length; /* 0 when the member is missing or malformed */
} number;

static dl_key *refuse(const char **error, const char *reason) {
  ERR_clear_error();
  *error = reason;
  return NULL;
}

static dl_str text_of(const json_t *jwk, const char *name) {
  const json_t *member = json_object_get(jwk, name);
  return member && json_is_string(member) ? dl_str_from(json_string_value(member), json_string_length(member)) : (dl_str){0};
}

static bool read_number(const json_t *jwk, const char *name, number *out) {
  dl_str text = text_of(jwk, name);
  out->length = 0;
  return text.len && dl_base64_decoded_max(text.len) <= sizeof(out->bytes) &&
         dl_base64_decode(DL_BASE64URL, text, out->bytes, &out->length) == DL_BASE64_OK && out->length;
}

/* Whether the JWK may be used for signatures at all (RFC 7517 4.2, 4.3). */
static bool for_signatures(const json_t *jwk) {
  dl_str use = text_of(jwk, "use");
  if (use.len && !dl_str_equal(use, DL_STR("sig"))) return false;
  const json_t *operations = json_object_get(jwk, "key_ops"), *operation;
  size_t index;
  if (!json_is_array(operations)) return !operations;
  json_array_foreach(operations, index, operation) {
    const char *name = json_string_value(operation);
    if (name && (strcmp(name, "verify") == 0 || strcmp(name, "sign") == 0)) return true;
  }
  return false;
}

static EVP_PKEY *pkey_from(const char *type, OSSL_PARAM_BLD *build, bool private) {
  EVP_PKEY *pkey = NULL;
  EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
  OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(build);
  int selection = private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
  if (!context || !parameters || EVP_PKEY_fromdata_init(context) != 1 || EVP_PKEY_fromdata(context, &pkey, selection, parameters) != 1) pkey = NULL;
  OSSL_PARAM_free(parameters);
  EVP_PKEY_CTX_free(context);
  return pkey;
}

/* A point off its curve, or a private key of another public one, does not pass. */
static bool consistent(EVP_PKEY *pkey, bool private) {
  EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
  bool good = context && (private ? EVP_PKEY_pairwise_check(context) : EVP_PKEY_public_check(context)) == 1;
  EVP_PKEY_CTX_free(context);
  return good;
}

static const struct {
  const char *member, *parameter;
} rsa_numbers[] = {
    {"n", OSSL_PKEY_PARAM_RSA_N},
    {"e", OSSL_PKEY_PARAM_RSA_E},
    {"d", OSSL_PKEY_PARAM_RSA_D},
    {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
    {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},
    {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
    {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2},
    {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1},
};

enum { RSA_PUBLIC_NUMBERS = 2, RSA_NUMBERS = sizeof(rsa_numbers) / sizeof(rsa_numbers[0]) };

static EVP_PKEY *rsa_pkey(const json_t *jwk, bool private) {
  size_t count = private ? RSA_NUMBERS : RSA_PUBLIC_NUMBERS, i = 0;
  BIGNUM *numbers[RSA_NUMBERS] = {0};
  OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
  number n;
  for (; build && i < count && read_number(jwk, rsa_numbers[i].member, &n); i++) {
    numbers[i] = BN_bin2bn(n.bytes, (int)n.length, i < RSA_PUBLIC_NUMBERS ? NULL : BN_secure_new());
    if (!numbers[i] || !OSSL_PARAM_BLD_push_BN(build, rsa_numbers[i].parameter, numbers[i])) break;
  }
  EVP_PKEY *pkey = build && i == count ? pkey_from("RSA", build, private) : NULL;
  for (i = 0; i < RSA_NUMBERS; i++) BN_clear_free(numbers[i]);
  OSSL_PARAM_BLD_free(build);
  OPENSSL_cleanse(&n, sizeof(n));
  return pkey;
}

static EVP_PKEY *ec_pkey(const json_t *jwk, const dl_key_traits *traits, bool private) {
  number x, y, d = {.length = 0};
  /* RFC 7518 6.2.1.2: coordinates have the field's full length. */
  if (!read_number(jwk, "x", &x) || !read_number(jwk, "y", &y) || x.length != traits->half || y.length != traits->half) return NULL;
  if (private && (!read_number(jwk, "d", &d) || d.length != traits->half)) return NULL;
  unsigned char point[1 + 2 * 66] = {4};
  memcpy(point + 1, x.bytes, traits->half);
  memcpy(point + 1 + traits->half, y.bytes, traits->half);
  OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
  BIGNUM *secret = private ? BN_bin2bn(d.bytes, (int)d.length, BN_secure_new()) : NULL;
  bool built = build && OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, traits->curve, 0) &&
               OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * traits->half) &&
               (!private || (secret && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, secret)));
  EVP_PKEY *pkey = built ? pkey_from("EC", build, private) : NULL;
  BN_clear_free(secret);
  OSSL_PARAM_BLD_free(build);
  OPENSSL_cleanse(&d, sizeof(d));
  return pkey;
}

static EVP_PKEY *ed25519_pkey(const json_t *jwk, const dl_key_traits *traits, bool private) {
  number x, d;
  if (!read_number(jwk, "x", &x) || x.length != traits->half) return NULL;
  if (!private) return EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, x.bytes, x.length);
  if (!read_number(jwk, "d", &d) || d.length != traits->half) return NULL;
  EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, d.bytes, d.length);
  OPENSSL_cleanse(&d, sizeof(d));
  unsigned char derived[32];
  size_t length = sizeof(derived);
  if (pkey && EVP_PKEY_get_raw_public_key(pkey, derived, &length) == 1 && memcmp(derived, x.bytes, sizeof(derived)) == 0) return pkey;
  EVP_PKEY_free(pkey);
  return NULL;
}

static dl_key *octet_key(const dl_crypto *crypto, dl_key_algorithm algorithm, const json_t *jwk, const char **error) {
  number k;
  if (!read_number(jwk, "k", &k)) return refuse(error, "the JWK's k should be base64url");
  dl_key *key = dl_key_from_secret(crypto, algorithm, dl_str_from((const char *)k.bytes, k.length), text_of(jwk, "kid"), error);
  OPENSSL_cleanse(&k, sizeof(k));
  return key;
}

/* The algorithm whose curve the JWK names; UNSTATED when none has it. */
static dl_key_algorithm curve_algorithm(const json_t *jwk, bool okp) {
  dl_str curve = text_of(jwk, "crv");
  for (int i = 0; i < DL_KEY_ALGORITHM_COUNT; i++) {
    const dl_key_traits *traits = dl_key_traits_of((dl_key_algorithm)i);
    if (traits->jwk_curve && okp == (traits->family == DL_KEY_ED25519) && dl_str_equal(curve, dl_str_of(traits->jwk_curve))) return (dl_key_algorithm)i;
  }
  return DL_KEY_UNSTATED;
}

static dl_key *public_key(const dl_crypto *crypto, dl_key_algorithm algorithm, const json_t *jwk, dl_str type, const char **error) {
  bool private = json_object_get(jwk, "d") != NULL;
  EVP_PKEY *pkey = NULL;
  if (dl_str_equal(type, DL_STR("RSA"))) pkey = rsa_pkey(jwk, private);
  else {
    bool okp = dl_str_equal(type, DL_STR("OKP"));
    dl_key_algorithm named = curve_algorithm(jwk, okp);
    if (named == DL_KEY_UNSTATED) return refuse(error, "the JWK's crv should be P-256, P-384, P-521 or Ed25519");
    /* What the caller would use for RSA says nothing about a curve. */
    if (!json_object_get(jwk, "alg")) algorithm = named;
    const dl_key_traits *traits = dl_key_traits_of(named);
    pkey = okp ? ed25519_pkey(jwk, traits, private) : ec_pkey(jwk, traits, private);
    if (pkey && !okp && !consistent(pkey, private)) {
      EVP_PKEY_free(pkey);
      pkey = NULL;
    }
  }
  if (!pkey) return refuse(error, "the JWK's numbers are missing, malformed or do not fit each other");
  return dl_key_from_pkey(crypto, algorithm, pkey, private, text_of(jwk, "kid"), error);
}

static dl_key *key_from_object(const dl_crypto *crypto, dl_key_algorithm algorithm, const json_t *jwk, const char **error) {
  if (!json_is_object(jwk)) return refuse(error, "a JWK should be a JSON object without duplicate members");
  if (!for_signatures(jwk)) return refuse(error, "the JWK's use or key_ops is not for signatures");
  if (json_object_get(jwk, "alg") && !dl_key_algorithm_named(text_of(jwk, "alg"), &algorithm))
    return refuse(error, "the JWK's alg should be one of HS256 to HS512, RS256 to RS512, PS256 to PS512, ES256 to ES512 and EdDSA");
  dl_str type = text_of(jwk, "kty");
  if (dl_str_equal(type, DL_STR("oct"))) return octet_key(crypto, algorithm, jwk, error);
  if (dl_str_equal(type, DL_STR("RSA")) || dl_str_equal(type, DL_STR("EC")) || dl_str_equal(type, DL_STR("OKP")))
    return public_key(crypto, algorithm, jwk, type, error);
  return refuse(error, "the JWK's kty should be oct, RSA, EC or OKP");
}

dl_key *dl_key_from_jwk(const dl_crypto *crypto, dl_key_algorithm algorithm, dl_str json, const char **error) {
  json_t *jwk = json_loadb(json.ptr, json.len, JSON_REJECT_DUPLICATES, NULL);
  dl_key *key = key_from_object(crypto, algorithm, jwk, error);
  json_decref(jwk);
  return key;
}

/* Whether we know what kind of key it is: the others of a JWKS are somebody else's. */
static bool known_kind(const json_t *jwk) {
  dl_key_algorithm algorithm;
  dl_str type = text_of(jwk, "kty");
  if (!for_signatures(jwk) || (json_object_get(jwk, "alg") && !dl_key_algorithm_named(text_of(jwk, "alg"), &algorithm))) return false;
  bool okp = dl_str_equal(type, DL_STR("OKP"));
  if (okp || dl_str_equal(type, DL_STR("EC"))) return curve_algorithm(jwk, okp) != DL_KEY_UNSTATED;
  return dl_str_equal(type, DL_STR("RSA")) || dl_str_equal(type, DL_STR("oct"));
}

static bool add_keys(dl_key_set *set, const dl_crypto *crypto, dl_key_algorithm rsa_algorithm, const json_t *keys, const char **error) {
  size_t index, added = 0;
  const json_t *jwk;
  json_array_foreach(keys, index, jwk) {
    if (!json_is_object(jwk) || !known_kind(jwk)) continue;
    dl_key *key = key_from_object(crypto, rsa_algorithm, jwk, error);
    if (!key || !dl_key_set_add(set, key, error)) return false;
    added++;
  }
  if (!added) *error = "the JWKS has no key for signatures that we know";
  return added > 0;
}

bool dl_key_set_add_jwks(dl_key_set *set, const dl_crypto *crypto, dl_key_algorithm rsa_algorithm, dl_str json, const char **error) {
  json_t *jwks = json_loadb(json.ptr, json.len, JSON_REJECT_DUPLICATES, NULL);
  const json_t *keys = json_object_get(jwks, "keys");
  bool added = false;
  if (json_is_array(keys)) added = add_keys(set, crypto, rsa_algorithm, keys, error);
  else *error = "a JWKS should be a JSON object with an array named keys";
  json_decref(jwks);
  return added;
}
