/* SPDX-License-Identifier: MIT */
/* Keys: from secrets, PEM and JWK; signatures of every algorithm; sets; what is refused. */
#include "unit.h"

#include "crypto/key.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

static int make_crypto(void **state) {
  *state = dl_crypto_new();
  return 0;
}

static int free_crypto(void **state) {
  dl_crypto_free(*state);
  return ERR_peek_error() ? -1 : 0;
}

/* A fresh key pair as PEM, private or public; the caller frees the buffer. */
static dl_buffer pem_of(EVP_PKEY *pkey, bool private) {
  dl_buffer out = {0};
  BIO *bio = BIO_new(BIO_s_mem());
  char *bytes;
  assert_int_equal(private ? PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) : PEM_write_bio_PUBKEY(bio, pkey), 1);
  long length = BIO_get_mem_data(bio, &bytes);
  dl_buffer_append(&out, bytes, (size_t)length);
  BIO_free(bio);
  return out;
}

static dl_key *key_of(dl_crypto *crypto, EVP_PKEY *pkey, bool private, dl_key_algorithm algorithm) {
  const char *error = NULL;
  dl_buffer pem = pem_of(pkey, private);
  dl_key *key = dl_key_from_pem(crypto, algorithm, dl_buffer_str(&pem), (dl_str){0}, &error);
  if (!key) fail_msg("%s", error);
  dl_buffer_free(&pem);
  return key;
}

static void algorithms_have_their_jose_names(void **state) {
  (void)state;
  dl_key_algorithm found;
  for (int i = 0; i < DL_KEY_ALGORITHM_COUNT; i++) {
    assert_true(dl_key_algorithm_named(dl_key_algorithm_name((dl_key_algorithm)i), &found));
    assert_int_equal(found, i);
  }
  static const char *const others[] = {"", "none", "None", "hs256", "HS256 ", "HS1", "ES256K", "Ed25519", "RSA-OAEP", "A256GCM"};
  for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) assert_false(dl_key_algorithm_named(dl_str_of(others[i]), &found));
}

static void check_pair(dl_key *private, dl_key *public, dl_key *stranger) {
  dl_buffer signature = {0}, again = {0};
  dl_str text = DL_STR("header.claims");
  assert_true(dl_key_can_sign(private));
  assert_true(dl_key_sign(private, text, &signature));
  for (int i = 0; i < 2; i++) {
    assert_true(dl_key_verify(public, text, dl_buffer_str(&signature)));
    assert_true(dl_key_verify(private, text, dl_buffer_str(&signature)));
    assert_false(dl_key_verify(public, DL_STR("header.claimz"), dl_buffer_str(&signature)));
    assert_false(dl_key_verify(public, (dl_str){0}, dl_buffer_str(&signature)));
    assert_false(dl_key_verify(stranger, text, dl_buffer_str(&signature)));
    assert_false(dl_key_verify(public, text, (dl_str){0}));
    assert_false(dl_key_verify(public, text, dl_str_from(signature.data, signature.len - 1)));
  }
  for (size_t i = 0; i < signature.len; i += 7) {
    signature.data[i] ^= 4;
    assert_false(dl_key_verify(public, text, dl_buffer_str(&signature)));
    signature.data[i] ^= 4;
  }
  assert_true(dl_key_verify(public, text, dl_buffer_str(&signature)));
  dl_buffer_append_char(&signature, '\0');
  assert_false(dl_key_verify(public, text, dl_buffer_str(&signature)));
  assert_true(dl_key_sign(private, text, &again));
  assert_true(dl_key_verify(public, text, dl_buffer_str(&again)));
  assert_int_equal(again.len + 1, signature.len);
  assert_int_equal(ERR_peek_error(), 0); /* or a TLS connection would take what was forged here for its own failure */
  dl_buffer_free(&signature);
  dl_buffer_free(&again);
}

static void every_public_algorithm_signs_and_verifies(void **state) {
  EVP_PKEY *rsa = EVP_RSA_gen(2048), *other_rsa = EVP_RSA_gen(2048);
  static const char *const groups[] = {"P-256", "P-384", "P-521"};
  for (int i = DL_KEY_RS256; i <= DL_KEY_EdDSA; i++) {
    dl_key_algorithm algorithm = (dl_key_algorithm)i;
    EVP_PKEY *pkey = rsa, *other = other_rsa;
    if (algorithm == DL_KEY_EdDSA) {
      pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
      other = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    } else if (algorithm >= DL_KEY_ES256) {
      pkey = EVP_EC_gen(groups[algorithm - DL_KEY_ES256]);
      other = EVP_EC_gen(groups[algorithm - DL_KEY_ES256]);
    }
    dl_key *private = key_of(*state, pkey, true, algorithm), *public = key_of(*state, pkey, false, algorithm);
    dl_key *stranger = key_of(*state, other, false, algorithm);
    assert_int_equal(dl_key_algorithm_of(public), algorithm);
    assert_false(dl_key_can_sign(public));
    dl_buffer signature = {0};
    assert_false(dl_key_sign(public, DL_STR("x"), &signature));
    assert_int_equal(signature.len, 0);
    check_pair(private, public, stranger);
    dl_key_free(private);
    dl_key_free(public);
    dl_key_free(stranger);
    if (pkey != rsa) EVP_PKEY_free(pkey);
    if (other != other_rsa) EVP_PKEY_free(other);
  }
  EVP_PKEY_free(rsa);
  EVP_PKEY_free(other_rsa);
}

static void every_secret_algorithm_signs_and_verifies(void **state) {
  static const char secret[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
  static const char other[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeF";
  const char *error;
  for (int i = DL_KEY_HS256; i <= DL_KEY_HS512; i++) {
    dl_key *key = dl_key_from_secret(*state, (dl_key_algorithm)i, dl_str_from(secret, 64), DL_STR("one"), &error);
    dl_key *stranger = dl_key_from_secret(*state, (dl_key_algorithm)i, dl_str_from(other, 64), DL_STR("one"), &error);
    assert_str(dl_key_kid(key), "one");
    check_pair(key, key, stranger);
    dl_key_free(key);
    dl_key_free(stranger);
  }
}

static void a_signature_is_for_one_algorithm_only(void **state) {
  EVP_PKEY *rsa = EVP_RSA_gen(2048);
  dl_key *keys[6];
  for (int i = 0; i < 6; i++) keys[i] = key_of(*state, rsa, true, (dl_key_algorithm)(DL_KEY_RS256 + i));
  for (int i = 0; i < 6; i++) {
    dl_buffer signature = {0};
    assert_true(dl_key_sign(keys[i], DL_STR("x"), &signature));
    for (int j = 0; j < 6; j++) assert_int_equal(dl_key_verify(keys[j], DL_STR("x"), dl_buffer_str(&signature)), i == j);
    dl_buffer_free(&signature);
  }
  for (int i = 0; i < 6; i++) dl_key_free(keys[i]);
  EVP_PKEY_free(rsa);
}

/* RFC 7518 3.5 */
static void a_salt_of_pss_is_as_long_as_the_digest(void **state) {
  static const int salts[] = {RSA_PSS_SALTLEN_DIGEST, 0, 20, RSA_PSS_SALTLEN_MAX};
  EVP_PKEY *rsa = EVP_RSA_gen(2048);
  dl_key *key = key_of(*state, rsa, false, DL_KEY_PS256);
  for (size_t i = 0; i < sizeof(salts) / sizeof(salts[0]); i++) {
    unsigned char signature[256];
    size_t length = sizeof(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options;
    assert_int_equal(EVP_DigestSignInit(context, &options, EVP_sha256(), NULL, rsa), 1);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 && EVP_PKEY_CTX_set_rsa_pss_saltlen(options, salts[i]) == 1);
    assert_int_equal(EVP_DigestSign(context, signature, &length, (const unsigned char *)"x", 1), 1);
    assert_int_equal(dl_key_verify(key, DL_STR("x"), dl_str_from((char *)signature, length)), i == 0);
    EVP_MD_CTX_free(context);
  }
  dl_key_free(key);
  EVP_PKEY_free(rsa);
}

static void psychic_signatures_are_refused(void **state) {
  static const size_t lengths[] = {64, 96, 132};
  static const char *const groups[] = {"P-256", "P-384", "P-521"};
  for (int i = 0; i < 3; i++) {
    EVP_PKEY *pkey = EVP_EC_gen(groups[i]);
    dl_key *key = key_of(*state, pkey, false, DL_KEY_UNSTATED);
    char zeros[200] = {0};
    for (size_t length = 0; length < sizeof(zeros); length++) assert_false(dl_key_verify(key, DL_STR("x"), dl_str_from(zeros, length)));
    zeros[lengths[i] - 1] = 1; /* r = 0, s = 1 */
    assert_false(dl_key_verify(key, DL_STR("x"), dl_str_from(zeros, lengths[i])));
    zeros[lengths[i] / 2 - 1] = 1; /* r = 1, s = 1 */
    assert_false(dl_key_verify(key, DL_STR("x"), dl_str_from(zeros, lengths[i])));
    memset(zeros, 0xff, lengths[i]); /* both over the group's order */
    assert_false(dl_key_verify(key, DL_STR("x"), dl_str_from(zeros, lengths[i])));
    dl_key_free(key);
    EVP_PKEY_free(pkey);
  }
}

static void assert_no_secret(dl_crypto *crypto, dl_key_algorithm algorithm, dl_str secret) {
  const char *error = NULL;
  assert_null(dl_key_from_secret(crypto, algorithm, secret, (dl_str){0}, &error));
  assert_non_null(error);
}

static void weak_and_mistaken_secrets_are_refused(void **state) {
  static const char bytes[80] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
  assert_no_secret(*state, DL_KEY_HS256, dl_str_from(bytes, 31));
  assert_no_secret(*state, DL_KEY_HS384, dl_str_from(bytes, 47));
  assert_no_secret(*state, DL_KEY_HS512, dl_str_from(bytes, 63));
  assert_no_secret(*state, DL_KEY_RS256, dl_str_from(bytes, 64));
  assert_no_secret(*state, DL_KEY_EdDSA, dl_str_from(bytes, 64));
  assert_no_secret(*state, DL_KEY_UNSTATED, dl_str_from(bytes, 64));
  assert_no_secret(*state, DL_KEY_HS256, DL_STR("-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n"));
}

static void assert_no_pem(dl_crypto *crypto, dl_key_algorithm algorithm, dl_str pem) {
  const char *error = NULL;
  assert_null(dl_key_from_pem(crypto, algorithm, pem, (dl_str){0}, &error));
  assert_non_null(error);
}

static void pems_that_do_not_fit_are_refused(void **state) {
  EVP_PKEY *small = EVP_RSA_gen(1024), *rsa = EVP_RSA_gen(2048), *curve = EVP_EC_gen("P-256"), *koblitz = EVP_EC_gen("secp256k1"),
           *ed448 = EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), *x25519 = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
  dl_buffer small_pem = pem_of(small, true), rsa_pem = pem_of(rsa, false), curve_pem = pem_of(curve, true), koblitz_pem = pem_of(koblitz, true),
            ed448_pem = pem_of(ed448, true), x25519_pem = pem_of(x25519, false);
  assert_no_pem(*state, DL_KEY_RS256, dl_buffer_str(&small_pem));
  assert_no_pem(*state, DL_KEY_UNSTATED, dl_buffer_str(&rsa_pem));
  assert_no_pem(*state, DL_KEY_HS256, dl_buffer_str(&rsa_pem));
  assert_no_pem(*state, DL_KEY_ES256, dl_buffer_str(&rsa_pem));
  assert_no_pem(*state, DL_KEY_ES384, dl_buffer_str(&curve_pem));
  assert_no_pem(*state, DL_KEY_RS256, dl_buffer_str(&curve_pem));
  assert_no_pem(*state, DL_KEY_UNSTATED, dl_buffer_str(&koblitz_pem));
  assert_no_pem(*state, DL_KEY_UNSTATED, dl_buffer_str(&ed448_pem));
  assert_no_pem(*state, DL_KEY_UNSTATED, dl_buffer_str(&x25519_pem));
  assert_no_pem(*state, DL_KEY_RS256, DL_STR(""));
  assert_no_pem(*state, DL_KEY_RS256, DL_STR("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"));
  assert_no_pem(*state, DL_KEY_ES256, dl_str_from(curve_pem.data, curve_pem.len / 2));
  dl_buffer *all[] = {&small_pem, &rsa_pem, &curve_pem, &koblitz_pem, &ed448_pem, &x25519_pem};
  for (size_t i = 0; i < 6; i++) dl_buffer_free(all[i]);
  EVP_PKEY *pkeys[] = {small, rsa, curve, koblitz, ed448, x25519};
  for (size_t i = 0; i < 6; i++) EVP_PKEY_free(pkeys[i]);
}

static void encrypted_pems_are_refused_without_asking(void **state) {
  EVP_PKEY *curve = EVP_EC_gen("P-256");
  BIO *bio = BIO_new(BIO_s_mem());
  char *bytes;
  assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, curve, EVP_aes_256_cbc(), "pass", 4, NULL, NULL), 1);
  long length = BIO_get_mem_data(bio, &bytes);
  assert_no_pem(*state, DL_KEY_UNSTATED, dl_str_from(bytes, (size_t)length));
  BIO_free(bio);
  EVP_PKEY_free(curve);
}

/* The keys of RFC 7515 A.3 and RFC 8037 A.1. */
#define EC_PUBLIC "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define EC_PRIVATE EC_PUBLIC ",\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\""
#define ED_PUBLIC "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\""
#define ED_PRIVATE ED_PUBLIC ",\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\""
#define OCTETS "\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\""

static void jwks_of_each_kind_are_read(void **state) {
  static const struct {
    const char *json;
    dl_key_algorithm given, expected;
    bool signs;
  } cases[] = {
      {"{" EC_PUBLIC "}", DL_KEY_UNSTATED, DL_KEY_ES256, false},
      {"{" EC_PUBLIC "}", DL_KEY_RS256, DL_KEY_ES256, false},
      {"{" EC_PRIVATE ",\"alg\":\"ES256\",\"use\":\"sig\",\"kid\":\"1\"}", DL_KEY_UNSTATED, DL_KEY_ES256, true},
      {"{" ED_PUBLIC ",\"key_ops\":[\"verify\"]}", DL_KEY_UNSTATED, DL_KEY_EdDSA, false},
      {"{" ED_PRIVATE ",\"alg\":\"EdDSA\"}", DL_KEY_UNSTATED, DL_KEY_EdDSA, true},
      {"{" OCTETS "}", DL_KEY_HS384, DL_KEY_HS384, true},
      {"{" OCTETS ",\"alg\":\"HS512\"}", DL_KEY_HS256, DL_KEY_HS512, true},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    const char *error = NULL;
    dl_key *key = dl_key_from_jwk(*state, cases[i].given, dl_str_of(cases[i].json), &error);
    if (!key) fail_msg("%s: %s", cases[i].json, error);
    assert_int_equal(dl_key_algorithm_of(key), cases[i].expected);
    assert_int_equal(dl_key_can_sign(key), cases[i].signs);
    dl_key_free(key);
  }
}

static void bad_jwks_are_refused(void **state) {
  static const char *const jsons[] = {
      "", "[]", "null", "{}", "{\"kty\":\"EC\"}", "{\"kty\":\"dsa\"}", "{\"kty\":5}",
      "{" EC_PUBLIC ",\"alg\":\"none\"}",
      "{" EC_PUBLIC ",\"alg\":\"ES384\"}",
      "{" EC_PUBLIC ",\"alg\":\"HS256\"}",
      "{" EC_PUBLIC ",\"alg\":5}",
      "{" EC_PUBLIC ",\"use\":\"enc\"}",
      "{" EC_PUBLIC ",\"key_ops\":[\"deriveKey\"]}",
      "{" EC_PUBLIC ",\"key_ops\":\"verify\"}",
      "{" EC_PUBLIC ",\"kty\":\"EC\"}",
      "{" EC_PUBLIC ",\"d\":5}",
      "{" EC_PUBLIC ",\"d\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
      "{" EC_PUBLIC ",\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LM\"}",
      "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a4\"}",
      "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU=\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
      "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAA\",\"y\":\"AAA\"}",
      "{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AAA\",\"y\":\"AAA\"}",
      "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
      "{\"kty\":\"OKP\",\"crv\":\"P-256\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
      "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUR\"}",
      "{" ED_PUBLIC ",\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2B\"}",
      "{" ED_PUBLIC ",\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyufzA\"}",
      "{\"kty\":\"oct\",\"k\":\"c2hvcnQ\",\"alg\":\"HS256\"}",
      "{\"kty\":\"oct\",\"k\":\"\",\"alg\":\"HS256\"}",
      "{" OCTETS ",\"alg\":\"ES256\"}",
      "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\",\"alg\":\"RS256\"}",
      "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"alg\":\"RS256\"}",
  };
  for (size_t i = 0; i < sizeof(jsons) / sizeof(jsons[0]); i++) {
    const char *error = NULL;
    dl_key *key = dl_key_from_jwk(*state, DL_KEY_UNSTATED, dl_str_of(jsons[i]), &error);
    if (key) fail_msg("taken: %s", jsons[i]);
    assert_non_null(error);
  }
}

static void sets_pass_over_what_is_not_theirs(void **state) {
  dl_key_set set = {0};
  const char *error = NULL;
  static const char jwks[] = "{\"keys\":[{" EC_PUBLIC ",\"kid\":\"a\"},{" ED_PUBLIC ",\"kid\":\"b\"},{" EC_PUBLIC ",\"use\":\"enc\",\"kid\":\"c\"},"
                             "{\"kty\":\"unheard\"},{\"kty\":\"EC\",\"crv\":\"unheard\"},{" EC_PUBLIC ",\"alg\":\"ECDH-ES\"},5]}";
  assert_true(dl_key_set_add_jwks(&set, *state, DL_KEY_RS256, DL_STR(jwks), &error));
  assert_int_equal(set.count, 2);
  dl_key *same = dl_key_from_jwk(*state, DL_KEY_UNSTATED, DL_STR("{" ED_PUBLIC ",\"kid\":\"a\"}"), &error);
  assert_false(dl_key_set_add(&set, same, &error));
  dl_key *octets = dl_key_from_jwk(*state, DL_KEY_HS256, DL_STR("{" OCTETS ",\"kid\":\"d\"}"), &error);
  assert_false(dl_key_set_add(&set, octets, &error));
  assert_int_equal(set.count, 2);
  for (int i = 0; i < DL_KEY_SET_NAMELESS_MAX; i++)
    assert_true(dl_key_set_add(&set, dl_key_from_jwk(*state, DL_KEY_UNSTATED, DL_STR("{" ED_PUBLIC "}"), &error), &error));
  assert_false(dl_key_set_add(&set, dl_key_from_jwk(*state, DL_KEY_UNSTATED, DL_STR("{" ED_PUBLIC "}"), &error), &error));
  dl_key_set_free(&set);
  static const char *const bad[] = {"", "{}", "{\"keys\":5}", "{\"keys\":[]}", "{\"keys\":[{\"kty\":\"unheard\"}]}", "{\"keys\":[],\"keys\":[{" EC_PUBLIC "}]}",
                                    "{\"keys\":[{" EC_PUBLIC ",\"kid\":\"a\",\"kid\":\"b\"}]}",
                                    "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    error = NULL;
    assert_false(dl_key_set_add_jwks(&set, *state, DL_KEY_RS256, dl_str_of(bad[i]), &error));
    assert_non_null(error);
  }
  dl_key_set_free(&set);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(algorithms_have_their_jose_names),
      cmocka_unit_test(every_public_algorithm_signs_and_verifies),
      cmocka_unit_test(every_secret_algorithm_signs_and_verifies),
      cmocka_unit_test(a_signature_is_for_one_algorithm_only),
      cmocka_unit_test(a_salt_of_pss_is_as_long_as_the_digest),
      cmocka_unit_test(psychic_signatures_are_refused),
      cmocka_unit_test(weak_and_mistaken_secrets_are_refused),
      cmocka_unit_test(pems_that_do_not_fit_are_refused),
      cmocka_unit_test(encrypted_pems_are_refused_without_asking),
      cmocka_unit_test(jwks_of_each_kind_are_read),
      cmocka_unit_test(bad_jwks_are_refused),
      cmocka_unit_test(sets_pass_over_what_is_not_theirs),
  };
  return cmocka_run_group_tests(tests, make_crypto, free_crypto);
}
