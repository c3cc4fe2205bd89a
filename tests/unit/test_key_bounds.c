/* SPDX-License-Identifier: MIT */
/* What bounds a key, its name, its set and its tokens: the first that is too much is refused, and the message says why. */
#include "unit.h"

#include "crypto/jwt.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

#define EC_X "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\""
#define EC_Y "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define EC "\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X "," EC_Y
#define ED_X "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\""
#define SECRET DL_STR("a secret of at least thirty-two bytes for HS256")

static const char bad_numbers[] = "the JWK's numbers are missing, malformed or do not fit each other";
static const char bad_kid[] = "the key's kid should have at most 256 bytes and no NUL";

static int make_crypto(void **state) {
  *state = dl_crypto_new();
  return 0;
}

static int free_crypto(void **state) {
  dl_crypto_free(*state);
  return ERR_peek_error() ? -1 : 0;
}

static dl_key *secret_key(dl_crypto *crypto, dl_str secret, const char *kid) {
  const char *error = NULL;
  dl_key *key = dl_key_from_secret(crypto, DL_KEY_HS256, secret, dl_str_of(kid), &error);
  if (!key) fail_msg("%s", error);
  return key;
}

static void assert_jwk_refused(dl_crypto *crypto, const char *json, const char *reason) {
  const char *error = NULL;
  if (dl_key_from_jwk(crypto, DL_KEY_UNSTATED, dl_str_of(json), &error)) fail_msg("taken: %s", json);
  assert_string_equal(error, reason);
}

static void a_kid_has_at_most_256_bytes_and_no_nul(void **state) {
  char kid[258] = "";
  const char *error = NULL;
  memset(kid, 'k', 257);
  dl_key *key = dl_key_from_secret(*state, DL_KEY_HS256, SECRET, dl_str_from(kid, 256), &error);
  assert_int_equal(dl_key_kid(key).len, 256);
  dl_key_free(key);
  assert_null(dl_key_from_secret(*state, DL_KEY_HS256, SECRET, dl_str_from(kid, 257), &error));
  assert_string_equal(error, bad_kid);
  assert_null(dl_key_from_secret(*state, DL_KEY_HS256, SECRET, DL_STR("a\0b"), &error));
  assert_string_equal(error, bad_kid);
  char json[512];
  snprintf(json, sizeof json, "{" EC ",\"kid\":\"%s\"}", kid);
  assert_jwk_refused(*state, json, bad_kid);
}

static void a_pem_text_has_at_most_65536_bytes(void **state) {
  const char *error = NULL;
  char *text = calloc(1, 65537);
  assert_null(dl_key_from_pem(*state, DL_KEY_RS256, dl_str_from(text, 65537), (dl_str){0}, &error));
  assert_string_equal(error, "the PEM text is longer than 65536 bytes");
  assert_null(dl_key_from_pem(*state, DL_KEY_RS256, dl_str_from(text, 65536), (dl_str){0}, &error));
  assert_non_null(strstr(error, "expected an unencrypted key in PEM form"));
  free(text);
}

/* A public RSA key of that many bits, with that exponent, as PEM. Nobody knows its factors, which is not looked at. */
static dl_key *read_rsa(dl_crypto *crypto, int bits, unsigned long exponent, const char **error) {
  BIGNUM *n = BN_new(), *e = BN_new();
  assert_int_equal(BN_set_bit(n, bits - 1) && BN_set_bit(n, 0) && BN_set_word(e, exponent), 1);
  OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
  assert_int_equal(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e), 1);
  OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(build);
  EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
  EVP_PKEY *pkey = NULL;
  assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
  assert_int_equal(EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, parameters), 1);
  BIO *bio = BIO_new(BIO_s_mem());
  char *pem;
  assert_int_equal(PEM_write_bio_PUBKEY(bio, pkey), 1);
  long length = BIO_get_mem_data(bio, &pem);
  dl_key *key = dl_key_from_pem(crypto, DL_KEY_RS256, dl_str_from(pem, (size_t)length), (dl_str){0}, error);
  BIO_free(bio);
  EVP_PKEY_free(pkey);
  EVP_PKEY_CTX_free(context);
  OSSL_PARAM_free(parameters);
  OSSL_PARAM_BLD_free(build);
  BN_free(n);
  BN_free(e);
  return key;
}

static void an_rsa_key_has_2048_to_8192_bits(void **state) {
  const char *error = NULL;
  static const int allowed[] = {2048, 8192}, refused[] = {2047, 8193};
  for (int i = 0; i < 2; i++) {
    dl_key *key = read_rsa(*state, allowed[i], 65537, &error);
    assert_non_null(key);
    dl_key_free(key);
    assert_null(read_rsa(*state, refused[i], 65537, &error));
    assert_string_equal(error, "an RSA key should have 2048 to 8192 bits");
  }
}

/* With 1 the padded digest is its own signature: whoever knows the public key signs. */
static void an_rsa_key_has_an_odd_exponent_over_65536(void **state) {
  const char *error = NULL;
  static const unsigned long refused[] = {1, 2, 3, 17, 65535, 65536, 65538};
  dl_key *key = read_rsa(*state, 2048, 65539, &error);
  assert_non_null(key);
  dl_key_free(key);
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    error = NULL;
    if (read_rsa(*state, 2048, refused[i], &error)) fail_msg("taken: %lu", refused[i]);
    assert_string_equal(error, "an RSA key's exponent should be odd, and 65537 at least");
  }
}

/* RFC 7518 6.2.1.2, 6.2.2.1; RFC 8037 2: each number has the length that its curve says. */
static void numbers_of_a_curve_have_its_length(void **state) {
  static const char *const jsons[] = {
      "{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X "}",
      "{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X ",\"y\":\"AAA\"}",
      "{\"kty\":\"EC\",\"crv\":\"P-384\"," EC_X "," EC_Y "}",
      "{" EC ",\"d\":\"AAA\"}",
      /* One zero byte too many, which changes no number or stands behind it. */
      "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEUA\"," EC_Y "}",
      "{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0A\"}",
      "{" EC ",\"d\":\"AI6bEJ5xkJi_mASH3x9dd-nLKWBuvtImO19XwhPfhPSy\"}",
      "{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}",
      "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAA\"}",
      "{" ED_X ",\"d\":5}",
      "{" ED_X ",\"d\":\"AAA\"}",
      "{" ED_X ",\"d\":\"A\"}",
  };
  for (size_t i = 0; i < sizeof jsons / sizeof *jsons; i++) assert_jwk_refused(*state, jsons[i], bad_numbers);
}

static void numbers_longer_than_any_key_are_refused(void **state) {
  char digits[1501], json[1600];
  memset(digits, 'A', 1500);
  digits[1500] = '\0';
  snprintf(json, sizeof json, "{\"kty\":\"RSA\",\"alg\":\"RS256\",\"n\":\"%s\",\"e\":\"AQAB\"}", digits);
  assert_jwk_refused(*state, json, bad_numbers);
  snprintf(json, sizeof json, "{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"%s\"}", digits);
  assert_jwk_refused(*state, json, "the JWK's k should be base64url");
}

/* RFC 7517 4.3: an operation that we do not know is somebody else's. */
static void key_ops_need_one_operation_of_ours(void **state) {
  static const char *const taken[] = {"{" EC ",\"key_ops\":[\"sign\"]}", "{" EC ",\"key_ops\":[5,\"deriveKey\",\"verify\"]}"};
  for (size_t i = 0; i < 2; i++) {
    const char *error = NULL;
    dl_key *key = dl_key_from_jwk(*state, DL_KEY_UNSTATED, dl_str_of(taken[i]), &error);
    if (!key) fail_msg("%s: %s", taken[i], error);
    dl_key_free(key);
  }
  assert_jwk_refused(*state, "{" EC ",\"key_ops\":[]}", "the JWK's use or key_ops is not for signatures");
  assert_jwk_refused(*state, "{" EC ",\"key_ops\":[5,null]}", "the JWK's use or key_ops is not for signatures");
}

static void a_set_has_at_most_64_keys(void **state) {
  dl_key_set set = {0};
  const char *error = NULL;
  char kid[12];
  for (int i = 0; i < DL_KEY_SET_MAX; i++) {
    snprintf(kid, sizeof kid, "%d", i);
    assert_true(dl_key_set_add(&set, secret_key(*state, SECRET, kid), &error));
  }
  assert_false(dl_key_set_add(&set, secret_key(*state, SECRET, "last"), &error));
  assert_string_equal(error, "a key set should have at most 64 keys");
  assert_int_equal(set.count, DL_KEY_SET_MAX);
  dl_key_set_free(&set);
}

static void a_jwks_names_each_key_once(void **state) {
  dl_key_set set = {0};
  const char *error = NULL;
  assert_false(dl_key_set_add_jwks(&set, *state, DL_KEY_RS256,
                                   DL_STR("{\"keys\":[{" EC ",\"kid\":\"a\",\"alg\":\"ES256\"},{" ED_X ",\"kid\":\"a\"}]}"), &error));
  assert_string_equal(error, "two keys of the set have the same kid");
  dl_key_set_free(&set);
  assert_true(dl_key_set_add_jwks(&set, *state, DL_KEY_RS256,
                                  DL_STR("{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T\"}]}"),
                                  &error));
  assert_int_equal(dl_key_algorithm_of(set.keys[0]), DL_KEY_HS256);
  dl_key_set_free(&set);
}

/* Without a kid each key would have to be tried: an attacker's token must not cost 64 verifications. */
static void a_token_without_a_kid_is_tried_with_four_keys_at_most(void **state) {
  dl_key_set set = {0};
  dl_jwt_rules rules = {0};
  dl_jwt jwt;
  const char *error = NULL;
  char secret[] = "the secret number 0, thirty-two bytes and more", kid[] = "0";
  for (int i = 0; i < 5; i++) {
    secret[18] = kid[0] = (char)('0' + i);
    assert_true(dl_key_set_add(&set, secret_key(*state, dl_str_of(secret), kid), &error));
  }
  for (int i = 3; i < 5; i++) {
    secret[18] = (char)('0' + i);
    dl_key *nameless = secret_key(*state, dl_str_of(secret), "");
    dl_buffer token = {0};
    assert_true(dl_jwt_sign(nameless, DL_STR("{\"exp\":1800000900}"), &token));
    assert_int_equal(dl_jwt_verify(&set, &rules, 1800000000, dl_buffer_str(&token), &jwt), i == 3 ? DL_JWT_OK : DL_JWT_SIGNATURE);
    if (i == 3) dl_jwt_free(&jwt);
    dl_buffer_clear(&token);
    assert_true(dl_jwt_sign(set.keys[i], DL_STR("{\"exp\":1800000900}"), &token)); /* with its kid, any key is found */
    assert_int_equal(dl_jwt_verify(&set, &rules, 1800000000, dl_buffer_str(&token), &jwt), DL_JWT_OK);
    dl_jwt_free(&jwt);
    dl_buffer_free(&token);
    dl_key_free(nameless);
  }
  dl_key_set_free(&set);
}

static void one_audience_of_several_is_enough(void **state) {
  dl_key *key = secret_key(*state, SECRET, "");
  dl_key_set set = {.keys = {key}, .count = 1};
  dl_jwt_rules rules = {.audiences = {DL_STR("us")}, .audience_count = 1};
  dl_jwt jwt;
  dl_buffer token = {0};
  assert_true(dl_jwt_sign(key, DL_STR("{\"exp\":1800000900,\"aud\":[\"them\",\"us\",\"others\"]}"), &token));
  assert_int_equal(dl_jwt_verify(&set, &rules, 1800000000, dl_buffer_str(&token), &jwt), DL_JWT_OK);
  dl_jwt_free(&jwt);
  dl_buffer_clear(&token);
  assert_true(dl_jwt_sign(key, DL_STR("{\"exp\":1800000900,\"aud\":[\"us\",5]}"), &token));
  assert_int_equal(dl_jwt_verify(&set, &rules, 1800000000, dl_buffer_str(&token), &jwt), DL_JWT_CLAIMS);
  dl_buffer_free(&token);
  dl_key_set_free(&set);
}

static void a_public_key_signs_no_token(void **state) {
  const char *error = NULL;
  dl_key *key = dl_key_from_jwk(*state, DL_KEY_UNSTATED, DL_STR("{" EC "}"), &error);
  dl_buffer token = {0};
  assert_false(dl_jwt_sign(key, DL_STR("{}"), &token));
  assert_int_equal(token.len, 0);
  dl_buffer_free(&token);
  dl_key_free(key);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_kid_has_at_most_256_bytes_and_no_nul),
      cmocka_unit_test(a_pem_text_has_at_most_65536_bytes),
      cmocka_unit_test(an_rsa_key_has_2048_to_8192_bits),
      cmocka_unit_test(an_rsa_key_has_an_odd_exponent_over_65536),
      cmocka_unit_test(numbers_of_a_curve_have_its_length),
      cmocka_unit_test(numbers_longer_than_any_key_are_refused),
      cmocka_unit_test(key_ops_need_one_operation_of_ours),
      cmocka_unit_test(a_set_has_at_most_64_keys),
      cmocka_unit_test(a_jwks_names_each_key_once),
      cmocka_unit_test(a_token_without_a_kid_is_tried_with_four_keys_at_most),
      cmocka_unit_test(one_audience_of_several_is_enough),
      cmocka_unit_test(a_public_key_signs_no_token),
  };
  return cmocka_run_group_tests(tests, make_crypto, free_crypto);
}
