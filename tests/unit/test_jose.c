/* SPDX-License-Identifier: MIT */
/*
 * Signatures that others made: RFC 7515 appendix A here, and the cookbook of RFC
 * 7520, 7797 and 8037 from ../shared/data when it is there.
 */
#include "unit.h"

#include "crypto/base64.h"
#include "crypto/jwt.h"

#include <jansson.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COOKBOOK DL_SOURCE_DIR "/../shared/data/jose/"

static int make_crypto(void **state) {
  *state = dl_crypto_new();
  return 0;
}

static int free_crypto(void **state) {
  dl_crypto_free(*state);
  return ERR_peek_error() ? -1 : 0;
}

static dl_buffer decode(dl_str text) {
  dl_buffer bytes = {0};
  dl_buffer_reserve(&bytes, dl_base64_decoded_max(text.len) + 1);
  assert_int_equal(dl_base64_decode(DL_BASE64URL, text, (unsigned char *)bytes.data, &bytes.len), DL_BASE64_OK);
  return bytes;
}

static void check_signature(dl_key *key, dl_str signed_bytes, dl_str signature) {
  dl_buffer bytes = decode(signature);
  assert_true(dl_key_verify(key, signed_bytes, dl_buffer_str(&bytes)));
  bytes.data[bytes.len / 2] ^= 1;
  assert_false(dl_key_verify(key, signed_bytes, dl_buffer_str(&bytes)));
  dl_buffer_free(&bytes);
}

#define A_CLAIMS "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

/* RFC 7515 A.1 to A.4: the key, the algorithm, what was signed, the signature. */
static const struct {
  const char *jwk;
  dl_key_algorithm algorithm;
  const char *signed_bytes, *signature;
} appendix_a[] = {
    {"{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}", DL_KEY_HS256,
     "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." A_CLAIMS, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
    {"{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4Ql"
     "L-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdV"
     "MTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"}",
     DL_KEY_RS256, "eyJhbGciOiJSUzI1NiJ9." A_CLAIMS,
     "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdi"
     "uB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2"
     "w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
    {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
     DL_KEY_ES256, "eyJhbGciOiJFUzI1NiJ9." A_CLAIMS, "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
    {"{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk\","
     "\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2\"}",
     DL_KEY_ES512, "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA",
     "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqO"
     "gzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"},
};

static void signatures_of_rfc_7515_verify(void **state) {
  for (size_t i = 0; i < sizeof(appendix_a) / sizeof(appendix_a[0]); i++) {
    const char *error = NULL;
    dl_key *key = dl_key_from_jwk(*state, appendix_a[i].algorithm, dl_str_of(appendix_a[i].jwk), &error);
    if (!key) fail_msg("%s", error);
    assert_int_equal(dl_key_algorithm_of(key), appendix_a[i].algorithm);
    check_signature(key, dl_str_of(appendix_a[i].signed_bytes), dl_str_of(appendix_a[i].signature));
    dl_key_free(key);
  }
}

static void tokens_of_rfc_7515_verify_at_their_time(void **state) {
  static const dl_jwt_rules rules = {.issuer = DL_STR("joe")};
  for (size_t i = 0; i < 3; i++) {
    const char *error;
    char token[1024];
    dl_key_set set = {0};
    dl_jwt jwt = {0};
    assert_true(dl_key_set_add(&set, dl_key_from_jwk(*state, appendix_a[i].algorithm, dl_str_of(appendix_a[i].jwk), &error), &error));
    snprintf(token, sizeof(token), "%s.%s", appendix_a[i].signed_bytes, appendix_a[i].signature);
    assert_int_equal(dl_jwt_verify(&set, &rules, 1300819379, dl_str_of(token), &jwt), DL_JWT_OK);
    assert_true(json_is_true(json_object_get(jwt.claims, "http://example.com/is_root")));
    dl_jwt_free(&jwt);
    assert_int_equal(dl_jwt_verify(&set, &rules, 1300819380, dl_str_of(token), &jwt), DL_JWT_EXPIRED);
    dl_key_set_free(&set);
  }
}

/* RFC 7515 A.5 is unsecured: no key of ours can take it. */
static void the_unsecured_token_of_rfc_7515_is_refused(void **state) {
  const char *error;
  dl_key_set set = {0};
  dl_jwt jwt = {0};
  assert_true(dl_key_set_add(&set, dl_key_from_jwk(*state, DL_KEY_HS256, dl_str_of(appendix_a[0].jwk), &error), &error));
  assert_int_equal(dl_jwt_verify(&set, &(dl_jwt_rules){0}, 1300819379, DL_STR("eyJhbGciOiJub25lIn0." A_CLAIMS "."), &jwt), DL_JWT_MALFORMED);
  dl_key_set_free(&set);
}

static json_t *load(const char *name) {
  char path[512];
  snprintf(path, sizeof(path), "%s%s", COOKBOOK, name);
  return json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
}

static dl_str member(const json_t *object, const char *name) {
  const json_t *text = json_object_get(object, name);
  return json_is_string(text) ? dl_str_from(json_string_value(text), json_string_length(text)) : (dl_str){0};
}

static dl_key *key_of(dl_crypto *crypto, const json_t *jwk, dl_str algorithm_name) {
  dl_key_algorithm algorithm;
  const char *error = NULL;
  assert_true(dl_key_algorithm_named(algorithm_name, &algorithm));
  char *text = json_dumps(jwk, 0);
  dl_key *key = dl_key_from_jwk(crypto, algorithm, dl_str_of(text), &error);
  if (!key) fail_msg("%s: %s", text, error);
  assert_int_equal(dl_key_algorithm_of(key), algorithm);
  free(text);
  return key;
}

static void check_cookbook_signature(dl_crypto *crypto, const json_t *jwk, dl_str algorithm, const json_t *signing, bool reproducible) {
  dl_key *key = key_of(crypto, jwk, algorithm);
  dl_str signed_bytes = member(signing, "sig-input");
  check_signature(key, signed_bytes, member(signing, "sig"));
  dl_buffer ours = {0}, theirs = decode(member(signing, "sig"));
  assert_true(dl_key_sign(key, signed_bytes, &ours));
  assert_true(dl_key_verify(key, signed_bytes, dl_buffer_str(&ours)));
  assert_int_equal(ours.len, theirs.len);
  if (reproducible) assert_memory_equal(ours.data, theirs.data, ours.len);
  dl_buffer_free(&ours);
  dl_buffer_free(&theirs);
  dl_key_free(key);
}

static const char *const signature_files[] = {
    "jws-4_1.rsa_v15_signature.json",
    "jws-4_2.rsa-pss_signature.json",
    "jws-4_3.ecdsa_signature.json",
    "jws-4_4.hmac-sha2_integrity_protection.json",
    "jws-4_5.signature_with_detached_content.json",
    "jws-4_6.protecting_specific_header_fields.json",
    "jws-4_7.protecting_content_only.json",
    "jws-4_8.multiple_signatures.json",
    "rfc7797-4.2.hmac-sha2_b64_false.json",
    "curve25519-jws.json",
};

static void signatures_of_the_cookbook_verify(void **state) {
  if (access(COOKBOOK, R_OK) != 0) {
    print_message("skipped: %s is not there\n", COOKBOOK);
    skip();
  }
  for (size_t i = 0; i < sizeof(signature_files) / sizeof(signature_files[0]); i++) {
    json_t *file = load(signature_files[i]);
    assert_non_null(file);
    const json_t *input = json_object_get(file, "input"), *keys = json_object_get(input, "key"), *algorithms = json_object_get(input, "alg");
    const json_t *signing = json_object_get(file, "signing"), *one;
    bool reproducible = json_is_true(json_object_get(file, "reproducible"));
    size_t index;
    if (json_is_array(signing)) {
      json_array_foreach(signing, index, one)
        check_cookbook_signature(*state, json_array_get(keys, index), dl_str_of(json_string_value(json_array_get(algorithms, index))), one, false);
    } else check_cookbook_signature(*state, keys, member(input, "alg"), signing, reproducible);
    json_decref(file);
  }
}

/* Its "signing" part holds another example's numbers; the compact text is right. */
static void the_unencoded_signature_of_rfc_7797_verifies(void **state) {
  if (access(COOKBOOK, R_OK) != 0) {
    print_message("skipped: %s is not there\n", COOKBOOK);
    skip();
  }
  json_t *file = load("rfc7797-hmac-sha2_b64_false.json");
  dl_str compact = member(json_object_get(file, "output"), "compact");
  const char *dot = memrchr(compact.ptr, '.', compact.len);
  size_t signed_length = (size_t)(dot - compact.ptr);
  dl_key *key = key_of(*state, json_object_get(json_object_get(file, "input"), "key"), DL_STR("HS256"));
  check_signature(key, dl_str_from(compact.ptr, signed_length), dl_str_skip(compact, signed_length + 1));
  dl_key_free(key);
  json_decref(file);
}

/* A JWT holds claims; what holds something else, or is not encoded, is none. */
static void compact_texts_of_the_cookbook_are_no_tokens(void **state) {
  if (access(COOKBOOK, R_OK) != 0) {
    print_message("skipped: %s is not there\n", COOKBOOK);
    skip();
  }
  static const struct {
    const char *file;
    dl_jwt_result result;
  } cases[] = {{"jws-4_1.rsa_v15_signature.json", DL_JWT_MALFORMED},          {"jws-4_2.rsa-pss_signature.json", DL_JWT_MALFORMED},
               {"jws-4_3.ecdsa_signature.json", DL_JWT_MALFORMED},            {"jws-4_4.hmac-sha2_integrity_protection.json", DL_JWT_MALFORMED},
               {"jws-4_5.signature_with_detached_content.json", DL_JWT_MALFORMED}, {"rfc7797-hmac-sha2_b64_false.json", DL_JWT_CRITICAL},
               {"curve25519-jws.json", DL_JWT_MALFORMED}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    json_t *file = load(cases[i].file);
    const json_t *input = json_object_get(file, "input");
    const char *error;
    dl_key_set set = {0};
    dl_jwt jwt = {0};
    assert_true(dl_key_set_add(&set, key_of(*state, json_object_get(input, "key"), member(input, "alg")), &error));
    dl_jwt_result result = dl_jwt_verify(&set, &(dl_jwt_rules){0}, 0, member(json_object_get(file, "output"), "compact"), &jwt);
    if (result != cases[i].result) fail_msg("%s: %s", cases[i].file, dl_jwt_reason(result));
    dl_key_set_free(&set);
    json_decref(file);
  }
}

static void keys_of_the_cookbook_are_read_or_refused(void **state) {
  if (access(COOKBOOK, R_OK) != 0) {
    print_message("skipped: %s is not there\n", COOKBOOK);
    skip();
  }
  static const struct {
    const char *file;
    dl_key_algorithm given, expected; /* UNSTATED: refused */
    bool signs;
  } cases[] = {
      {"jwk-3_1.ec_public_key.json", DL_KEY_UNSTATED, DL_KEY_ES512, false},
      {"jwk-3_2.ec_private_key.json", DL_KEY_UNSTATED, DL_KEY_ES512, true},
      {"jwk-3_3.rsa_public_key.json", DL_KEY_PS384, DL_KEY_PS384, false},
      {"jwk-3_3.rsa_public_key.json", DL_KEY_UNSTATED, DL_KEY_UNSTATED, false},
      {"jwk-3_4.rsa_private_key.json", DL_KEY_RS256, DL_KEY_RS256, true},
      {"jwk-3_5.symmetric_key_mac_computation.json", DL_KEY_UNSTATED, DL_KEY_HS256, true},
      {"jwk-3_6.symmetric_key_encryption.json", DL_KEY_HS256, DL_KEY_UNSTATED, false},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    const char *error = NULL;
    json_t *jwk = load(cases[i].file);
    char *text = json_dumps(jwk, 0);
    dl_key *key = dl_key_from_jwk(*state, cases[i].given, dl_str_of(text), &error);
    assert_int_equal(key == NULL, cases[i].expected == DL_KEY_UNSTATED);
    if (key) {
      assert_int_equal(dl_key_algorithm_of(key), cases[i].expected);
      assert_int_equal(dl_key_can_sign(key), cases[i].signs);
      assert_true(dl_key_kid(key).len > 0);
    }
    dl_key_free(key);
    free(text);
    json_decref(jwk);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(signatures_of_rfc_7515_verify),
      cmocka_unit_test(tokens_of_rfc_7515_verify_at_their_time),
      cmocka_unit_test(the_unsecured_token_of_rfc_7515_is_refused),
      cmocka_unit_test(signatures_of_the_cookbook_verify),
      cmocka_unit_test(the_unencoded_signature_of_rfc_7797_verifies),
      cmocka_unit_test(compact_texts_of_the_cookbook_are_no_tokens),
      cmocka_unit_test(keys_of_the_cookbook_are_read_or_refused),
  };
  return cmocka_run_group_tests(tests, make_crypto, free_crypto);
}
