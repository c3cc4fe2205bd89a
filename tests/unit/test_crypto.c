/* SPDX-License-Identifier: MIT */
/* Randomness, digests, HMAC, base64 and seals, against published vectors where there are some. */
#include "unit.h"

#include "crypto/base64.h"
#include "crypto/hmac.h"
#include "crypto/random.h"
#include "crypto/seal.h"
#include "crypto/xaes.h"

#include <openssl/err.h>
#include <stdlib.h>

static int make_crypto(void **state) {
  *state = dl_crypto_new();
  return 0;
}

static int free_crypto(void **state) {
  dl_crypto_free(*state);
  return ERR_peek_error() ? -1 : 0; /* nothing here leaves an error behind */
}

static void assert_hex(const unsigned char *bytes, size_t length, const char *hex) {
  char text[512];
  assert_int_equal(length * 2, strlen(hex));
  for (size_t i = 0; i < length; i++) snprintf(text + 2 * i, 3, "%02x", bytes[i]);
  assert_string_equal(text, hex);
}

static void random_bytes_differ(void **state) {
  (void)state;
  unsigned char a[64] = {0}, b[64] = {0};
  dl_random_bytes(a, sizeof(a));
  dl_random_bytes(b, sizeof(b));
  assert_memory_not_equal(a, b, sizeof(a));
  size_t zeros = 0;
  for (size_t i = 0; i < sizeof(a); i++) zeros += a[i] == 0;
  assert_true(zeros < 8);
  dl_random_bytes(a, 0);
}

static void digests_are_those_of_fips_180(void **state) {
  unsigned char out[DL_DIGEST_MAX];
  dl_digest(*state, DL_DIGEST_SHA256, DL_STR("abc"), out);
  assert_hex(out, dl_digest_length(DL_DIGEST_SHA256), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  dl_digest(*state, DL_DIGEST_SHA384, DL_STR("abc"), out);
  assert_hex(out, dl_digest_length(DL_DIGEST_SHA384),
             "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7");
  dl_digest(*state, DL_DIGEST_SHA512, DL_STR("abc"), out);
  assert_hex(out, dl_digest_length(DL_DIGEST_SHA512),
             "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
  dl_digest(*state, DL_DIGEST_SHA256, (dl_str){0}, out);
  assert_hex(out, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void hmacs_are_those_of_rfc_4231(void **state) {
  unsigned char out[DL_DIGEST_MAX];
  static const char *const expected[] = {
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
      "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
  };
  for (int kind = 0; kind < DL_DIGEST_COUNT; kind++) {
    dl_hmac *hmac = dl_hmac_new(*state, (dl_digest_kind)kind, DL_STR("Jefe"));
    size_t length = dl_digest_length((dl_digest_kind)kind);
    /* Twice: the context is used again with the key it has. */
    for (int i = 0; i < 2; i++) {
      dl_hmac_compute(hmac, DL_STR("what do ya want for nothing?"), out);
      assert_hex(out, length, expected[kind]);
    }
    assert_true(dl_hmac_verify(hmac, DL_STR("what do ya want for nothing?"), dl_str_from((char *)out, length)));
    assert_false(dl_hmac_verify(hmac, DL_STR("what do ya want for nothing?"), dl_str_from((char *)out, length - 1)));
    assert_false(dl_hmac_verify(hmac, DL_STR("what do ya want for nothing!"), dl_str_from((char *)out, length)));
    assert_false(dl_hmac_verify(hmac, DL_STR("what do ya want for nothing?"), (dl_str){0}));
    out[0] ^= 1;
    assert_false(dl_hmac_verify(hmac, DL_STR("what do ya want for nothing?"), dl_str_from((char *)out, length)));
    dl_hmac_free(hmac);
  }
  dl_hmac *empty = dl_hmac_new(*state, DL_DIGEST_SHA256, (dl_str){0});
  dl_hmac_compute(empty, (dl_str){0}, out);
  assert_hex(out, 32, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
  dl_hmac_free(empty);
}

static void base64_is_that_of_rfc_4648(void **state) {
  (void)state;
  static const struct {
    const char *bytes, *text;
  } cases[] = {{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    char text[16];
    unsigned char bytes[16];
    size_t length;
    dl_base64_encode(DL_BASE64URL, dl_str_of(cases[i].bytes), text);
    assert_str(dl_str_from(text, dl_base64_encoded_length(strlen(cases[i].bytes))), cases[i].text);
    assert_int_equal(dl_base64_decode(DL_BASE64URL, dl_str_of(cases[i].text), bytes, &length), DL_BASE64_OK);
    assert_str(dl_str_from((char *)bytes, length), cases[i].bytes);
  }
}

static void base64_takes_one_text_for_the_same_bytes(void **state) {
  (void)state;
  static const struct {
    const char *text;
    dl_base64_alphabet alphabet;
    dl_base64_result result;
  } cases[] = {
      {"Zg==", DL_BASE64URL, DL_BASE64_CHARACTER}, {"Zh", DL_BASE64URL, DL_BASE64_STRAY_BITS},  {"Zm9", DL_BASE64URL, DL_BASE64_STRAY_BITS},
      {"Z", DL_BASE64URL, DL_BASE64_LENGTH},       {"Zm9vZ", DL_BASE64URL, DL_BASE64_LENGTH},   {"Zm 9", DL_BASE64URL, DL_BASE64_CHARACTER},
      {"Zm9v\n", DL_BASE64URL, DL_BASE64_LENGTH},  {"Zm\n9", DL_BASE64URL, DL_BASE64_CHARACTER}, {"+/+/", DL_BASE64URL, DL_BASE64_CHARACTER},
      {"-_-_", DL_BASE64, DL_BASE64_CHARACTER},    {"+/+/", DL_BASE64, DL_BASE64_OK},           {"-_-_", DL_BASE64URL, DL_BASE64_OK},
      {"Zm9\xc3", DL_BASE64, DL_BASE64_CHARACTER},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    unsigned char bytes[16];
    size_t length;
    assert_int_equal(dl_base64_decode(cases[i].alphabet, dl_str_of(cases[i].text), bytes, &length), cases[i].result);
  }
}

static void base64_reads_back_all_it_writes(void **state) {
  (void)state;
  for (size_t length = 0; length < 70; length++) {
    unsigned char bytes[70], again[128];
    char text[100];
    size_t again_length;
    dl_random_bytes(bytes, sizeof(bytes));
    for (int alphabet = DL_BASE64; alphabet <= DL_BASE64URL; alphabet++) {
      dl_base64_encode((dl_base64_alphabet)alphabet, dl_str_from((char *)bytes, length), text);
      size_t text_length = dl_base64_encoded_length(length);
      assert_int_equal(dl_base64_decoded_max(text_length), length);
      assert_int_equal(dl_base64_decode((dl_base64_alphabet)alphabet, dl_str_from(text, text_length), again, &again_length), DL_BASE64_OK);
      assert_int_equal(again_length, length);
      assert_memory_equal(again, bytes, length);
    }
  }
}

static void xaes_is_that_of_c2sp(void **state) {
  static const unsigned char nonce[] = "ABCDEFGHIJKLMNOPQRSTUVWX";
  static const struct {
    unsigned char key;
    const char *bound, *ciphertext;
  } cases[] = {
      {1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
      {3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
  };
  for (size_t i = 0; i < 2; i++) {
    unsigned char key[DL_XAES_KEY], out[64], plain[64];
    memset(key, cases[i].key, sizeof(key));
    dl_xaes *xaes = dl_xaes_new(*state, key);
    dl_xaes_encrypt(xaes, nonce, dl_str_of(cases[i].bound), DL_STR("XAES-256-GCM"), out);
    assert_hex(out, 12 + DL_XAES_TAG, cases[i].ciphertext);
    assert_true(dl_xaes_decrypt(xaes, nonce, dl_str_of(cases[i].bound), out, 12 + DL_XAES_TAG, plain));
    assert_memory_equal(plain, "XAES-256-GCM", 12);
    assert_false(dl_xaes_decrypt(xaes, nonce, DL_STR("other"), out, 12 + DL_XAES_TAG, plain));
    for (size_t at = 0; at < 12; at++) assert_int_equal(plain[at], 0); /* nobody gets to see what was not vouched for */
    dl_xaes_free(xaes);
  }
}

static const dl_str first_secret = {"0123456789abcdef0123456789abcdef", 32}, second_secret = {"another secret of thirty-two bytes", 34};

static void a_seal_opens_under_its_key_and_purpose_only(void **state) {
  dl_sealer *sealer = dl_sealer_new(*state, &first_secret, 1), *other = dl_sealer_new(*state, &second_secret, 1);
  dl_buffer text = {0}, plain = {0};
  size_t index = 9;
  DL_BUFFER_LITERAL(&text, "cookie=");
  assert_true(dl_seal(sealer, DL_STR("session"), DL_STR("{\"user\":7}"), &text));
  dl_str sealed = dl_str_skip(dl_buffer_str(&text), 7);
  DL_BUFFER_LITERAL(&plain, "before:");
  assert_false(dl_unseal(sealer, DL_STR("refresh"), sealed, &plain, &index));
  assert_false(dl_unseal(sealer, DL_STR(""), sealed, &plain, &index));
  assert_false(dl_unseal(other, DL_STR("session"), sealed, &plain, &index));
  assert_str(dl_buffer_str(&plain), "before:");
  assert_int_equal(index, 9);
  assert_true(dl_unseal(sealer, DL_STR("session"), sealed, &plain, &index));
  assert_str(dl_buffer_str(&plain), "before:{\"user\":7}");
  assert_int_equal(index, 0);
  dl_buffer_free(&text);
  dl_buffer_free(&plain);
  dl_sealer_free(sealer);
  dl_sealer_free(other);
}

static void no_changed_seal_opens(void **state) {
  dl_sealer *sealer = dl_sealer_new(*state, &first_secret, 1);
  dl_buffer text = {0}, plain = {0};
  assert_true(dl_seal(sealer, DL_STR("session"), DL_STR("data"), &text));
  for (size_t i = 0; i < text.len; i++)
    for (int c = 1; c < 128; c++) {
      char was = text.data[i];
      if (c == was) continue;
      text.data[i] = (char)c;
      assert_false(dl_unseal(sealer, DL_STR("session"), dl_buffer_str(&text), &plain, NULL));
      text.data[i] = was;
    }
  for (size_t length = 0; length < text.len; length++)
    assert_false(dl_unseal(sealer, DL_STR("session"), dl_str_from(text.data, length), &plain, NULL));
  dl_buffer_append_char(&text, 'A');
  assert_false(dl_unseal(sealer, DL_STR("session"), dl_buffer_str(&text), &plain, NULL));
  assert_int_equal(plain.len, 0);
  dl_buffer_free(&text);
  dl_buffer_free(&plain);
  dl_sealer_free(sealer);
}

static void seals_outlive_a_rotation(void **state) {
  const dl_str rotated[] = {second_secret, first_secret};
  dl_sealer *before = dl_sealer_new(*state, &first_secret, 1), *after = dl_sealer_new(*state, rotated, 2);
  dl_buffer text = {0}, plain = {0};
  size_t index;
  assert_true(dl_seal(before, DL_STR("session"), DL_STR("old"), &text));
  assert_true(dl_unseal(after, DL_STR("session"), dl_buffer_str(&text), &plain, &index));
  assert_int_equal(index, 1);
  dl_buffer_clear(&text);
  assert_true(dl_seal(after, DL_STR("session"), DL_STR("new"), &text));
  assert_false(dl_unseal(before, DL_STR("session"), dl_buffer_str(&text), &plain, NULL));
  assert_str(dl_buffer_str(&plain), "old");
  dl_buffer_free(&text);
  dl_buffer_free(&plain);
  dl_sealer_free(before);
  dl_sealer_free(after);
}

static void seals_differ_and_are_bounded(void **state) {
  dl_sealer *sealer = dl_sealer_new(*state, &first_secret, 1);
  dl_buffer a = {0}, b = {0}, plain = {0};
  assert_true(dl_seal(sealer, DL_STR("session"), (dl_str){0}, &a));
  assert_true(dl_seal(sealer, DL_STR("session"), (dl_str){0}, &b));
  assert_false(dl_str_equal(dl_buffer_str(&a), dl_buffer_str(&b)));
  assert_true(dl_unseal(sealer, DL_STR("session"), dl_buffer_str(&a), &plain, NULL));
  assert_int_equal(plain.len, 0);
  char *large = calloc(1, DL_SEAL_PLAIN_MAX + 1);
  dl_buffer_clear(&a);
  assert_true(dl_seal(sealer, DL_STR("session"), dl_str_from(large, DL_SEAL_PLAIN_MAX), &a));
  assert_true(dl_unseal(sealer, DL_STR("session"), dl_buffer_str(&a), &plain, NULL));
  assert_int_equal(plain.len, DL_SEAL_PLAIN_MAX);
  dl_buffer_clear(&b);
  assert_false(dl_seal(sealer, DL_STR("session"), dl_str_from(large, DL_SEAL_PLAIN_MAX + 1), &b));
  assert_int_equal(b.len, 0);
  /* A text longer than any seal of ours is refused before it is decoded. */
  char *endless = malloc(2 * DL_SEAL_PLAIN_MAX + 1000);
  memset(endless, 'A', 2 * DL_SEAL_PLAIN_MAX + 1000);
  assert_false(dl_unseal(sealer, DL_STR("session"), dl_str_from(endless, 2 * DL_SEAL_PLAIN_MAX + 1000), &b, NULL));
  assert_int_equal(b.len, 0);
  free(endless);
  free(large);
  dl_buffer_free(&a);
  dl_buffer_free(&b);
  dl_buffer_free(&plain);
  dl_sealer_free(sealer);
}

static void a_sealer_wants_real_secrets(void **state) {
  const dl_str weak[] = {first_secret, DL_STR("31 bytes are not enough for one")};
  dl_str many[DL_SEAL_KEYS_MAX + 1];
  for (size_t i = 0; i <= DL_SEAL_KEYS_MAX; i++) many[i] = first_secret;
  assert_int_equal(weak[1].len, 31);
  assert_null(dl_sealer_new(*state, weak, 2));
  assert_null(dl_sealer_new(*state, weak, 0));
  assert_null(dl_sealer_new(*state, many, DL_SEAL_KEYS_MAX + 1));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_bytes_differ),
      cmocka_unit_test(digests_are_those_of_fips_180),
      cmocka_unit_test(hmacs_are_those_of_rfc_4231),
      cmocka_unit_test(base64_is_that_of_rfc_4648),
      cmocka_unit_test(base64_takes_one_text_for_the_same_bytes),
      cmocka_unit_test(base64_reads_back_all_it_writes),
      cmocka_unit_test(xaes_is_that_of_c2sp),
      cmocka_unit_test(a_seal_opens_under_its_key_and_purpose_only),
      cmocka_unit_test(no_changed_seal_opens),
      cmocka_unit_test(seals_outlive_a_rotation),
      cmocka_unit_test(seals_differ_and_are_bounded),
      cmocka_unit_test(a_sealer_wants_real_secrets),
  };
  return cmocka_run_group_tests(tests, make_crypto, free_crypto);
}
