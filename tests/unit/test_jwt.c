/* SPDX-License-Identifier: MIT */
/* Tokens: our own, attacked in every way; test_jose.c has the published vectors. */
#include "unit.h"

#include "crypto/base64.h"
#include "crypto/jwt.h"
#include "crypto/random.h"

#include <jansson.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum { NOW = 1800000000 };

#define SECRET "a secret of at least thirty-two bytes for HS256"
#define EC_KEY \
  "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"," \
  "\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\",\"kid\":\"ec\"}"
#define ED_KEY \
  "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"," \
  "\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\",\"kid\":\"ed\"}"
#define GOOD_HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define GOOD_CLAIMS "{\"sub\":\"7\",\"exp\":1800000900}"

typedef struct world {
  dl_crypto *crypto;
  dl_key_set secrets, publics;
  dl_jwt_rules rules;
} world;

static int make_world(void **state) {
  world *w = calloc(1, sizeof(*w));
  const char *error;
  w->crypto = dl_crypto_new();
  dl_key_set_add(&w->secrets, dl_key_from_secret(w->crypto, DL_KEY_HS256, DL_STR(SECRET), (dl_str){0}, &error), &error);
  dl_key_set_add(&w->publics, dl_key_from_jwk(w->crypto, DL_KEY_UNSTATED, DL_STR(EC_KEY), &error), &error);
  dl_key_set_add(&w->publics, dl_key_from_jwk(w->crypto, DL_KEY_UNSTATED, DL_STR(ED_KEY), &error), &error);
  *state = w;
  return w->secrets.count == 1 && w->publics.count == 2 ? 0 : -1;
}

static int free_world(void **state) {
  world *w = *state;
  dl_key_set_free(&w->secrets);
  dl_key_set_free(&w->publics);
  dl_crypto_free(w->crypto);
  free(w);
  return ERR_peek_error() ? -1 : 0;
}

static void append_part(dl_buffer *token, dl_str bytes) {
  size_t length = dl_base64_encoded_length(bytes.len);
  dl_buffer_reserve(token, length);
  dl_base64_encode(DL_BASE64URL, bytes, token->data + token->len);
  token->len += length;
}

/* A token with that header and claims, signed by the key whatever they say. */
static dl_buffer forge(dl_key *key, dl_str header, dl_str claims) {
  dl_buffer token = {0}, signature = {0};
  append_part(&token, header);
  dl_buffer_append_char(&token, '.');
  append_part(&token, claims);
  assert_true(dl_key_sign(key, dl_buffer_str(&token), &signature));
  dl_buffer_append_char(&token, '.');
  append_part(&token, dl_buffer_str(&signature));
  dl_buffer_free(&signature);
  return token;
}

static dl_jwt_result verify(const dl_key_set *keys, const dl_jwt_rules *rules, int64_t now, dl_str token) {
  dl_jwt jwt = {0};
  /* On the heap at its exact length, so that a sanitizer sees a read behind its end. */
  char *copy = malloc(token.len + !token.len);
  memcpy(copy, token.ptr, token.len);
  dl_jwt_result result = dl_jwt_verify(keys, rules, now, dl_str_from(copy, token.len), &jwt);
  free(copy);
  assert_int_equal(result == DL_JWT_OK, jwt.claims != NULL);
  if (jwt.claims) dl_jwt_free(&jwt);
  assert_true(strlen(dl_jwt_reason(result)) > 5);
  return result;
}

static void check(world *w, const char *header, const char *claims, dl_jwt_result expected) {
  dl_buffer token = forge(w->secrets.keys[0], dl_str_of(header), dl_str_of(claims));
  dl_jwt_result result = verify(&w->secrets, &w->rules, NOW, dl_buffer_str(&token));
  if (result != expected) fail_msg("%s %s: expected \"%s\", got \"%s\"", header, claims, dl_jwt_reason(expected), dl_jwt_reason(result));
  dl_buffer_free(&token);
}

static void our_own_tokens_verify(void **state) {
  world *w = *state;
  dl_key *keys[] = {w->secrets.keys[0], w->publics.keys[0], w->publics.keys[1]};
  for (size_t i = 0; i < 3; i++) {
    dl_buffer token = {0};
    dl_jwt jwt = {0};
    DL_BUFFER_LITERAL(&token, "Bearer ");
    assert_true(dl_jwt_sign(keys[i], DL_STR("{\"sub\":\"7\",\"exp\":1800000900,\"roles\":[\"admin\"]}"), &token));
    dl_str text = dl_str_skip(dl_buffer_str(&token), 7);
    assert_int_equal(dl_jwt_verify(i ? &w->publics : &w->secrets, &w->rules, NOW, text, &jwt), DL_JWT_OK);
    assert_str(jwt.subject, "7");
    assert_int_equal(jwt.expires_s, 1800000900);
    assert_ptr_equal(jwt.key, keys[i]);
    assert_int_equal(json_array_size(json_object_get(jwt.claims, "roles")), 1);
    dl_jwt_free(&jwt);
    assert_int_equal(verify(i ? &w->secrets : &w->publics, &w->rules, NOW, text), DL_JWT_UNKNOWN_KEY);
    dl_buffer_free(&token);
  }
}

static void a_header_cannot_choose_the_algorithm(void **state) {
  world *w = *state;
  static const char *const headers[] = {
      "{\"alg\":\"none\"}",  "{\"alg\":\"None\"}",   "{\"alg\":\"nOnE\"}",  "{\"alg\":\"HS384\"}", "{\"alg\":\"HS512\"}",
      "{\"alg\":\"RS256\"}", "{\"alg\":\"EdDSA\"}", "{\"alg\":\"hs256\"}", "{\"alg\":\"HS256 \"}",
  };
  for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) check(w, headers[i], GOOD_CLAIMS, DL_JWT_UNKNOWN_KEY);
  static const char *const malformed[] = {"{}", "{\"alg\":null}", "{\"alg\":[\"HS256\"]}", "{\"alg\":\"\"}", "{\"alg\":\"HS256\",\"kid\":5}", "{\"typ\":\"JWT\"}"};
  for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) check(w, malformed[i], GOOD_CLAIMS, DL_JWT_MALFORMED);
}

static void an_unsigned_token_is_refused(void **state) {
  world *w = *state;
  static const char *const headers[] = {"{\"alg\":\"none\"}", GOOD_HEADER};
  for (size_t i = 0; i < 2; i++) {
    dl_buffer token = {0};
    append_part(&token, dl_str_of(headers[i]));
    dl_buffer_append_char(&token, '.');
    append_part(&token, DL_STR(GOOD_CLAIMS));
    assert_int_equal(verify(&w->secrets, &w->rules, NOW, dl_buffer_str(&token)), DL_JWT_MALFORMED);
    dl_buffer_append_char(&token, '.');
    assert_int_equal(verify(&w->secrets, &w->rules, NOW, dl_buffer_str(&token)), DL_JWT_MALFORMED);
    dl_buffer_free(&token);
  }
}

static void a_public_key_is_no_secret(void **state) {
  world *w = *state;
  const char *error;
  /* The classic: the verifier's public key, which everybody has, used as an HMAC secret. */
  dl_key *confused = dl_key_from_secret(w->crypto, DL_KEY_HS256, DL_STR("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"), DL_STR("ec"), &error);
  dl_buffer token = forge(confused, DL_STR("{\"alg\":\"HS256\",\"kid\":\"ec\"}"), DL_STR(GOOD_CLAIMS));
  assert_int_equal(verify(&w->publics, &w->rules, NOW, dl_buffer_str(&token)), DL_JWT_UNKNOWN_KEY);
  dl_buffer_free(&token);
  token = forge(confused, DL_STR("{\"alg\":\"ES256\",\"kid\":\"ec\"}"), DL_STR(GOOD_CLAIMS));
  assert_int_equal(verify(&w->publics, &w->rules, NOW, dl_buffer_str(&token)), DL_JWT_SIGNATURE);
  dl_buffer_free(&token);
  dl_key_free(confused);
}

static void keys_in_the_header_are_not_looked_at(void **state) {
  world *w = *state;
  const char *error;
  dl_key *attacker = dl_key_from_jwk(w->crypto, DL_KEY_UNSTATED,
                                     DL_STR("{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}"), &error);
  static const char *const headers[] = {
      "{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}}",
      "{\"alg\":\"HS256\",\"jku\":\"https://evil.example/keys\"}",
      "{\"alg\":\"HS256\",\"x5u\":\"https://evil.example/cert\"}",
      "{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}",
      "{\"alg\":\"HS256\",\"kid\":\"' OR 1=1 --\"}",
  };
  for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
    dl_buffer token = forge(attacker, dl_str_of(headers[i]), DL_STR(GOOD_CLAIMS));
    assert_int_equal(verify(&w->secrets, &w->rules, NOW, dl_buffer_str(&token)), DL_JWT_SIGNATURE);
    dl_buffer_free(&token);
    check(w, headers[i], GOOD_CLAIMS, DL_JWT_OK); /* ours, they change nothing */
  }
  dl_key_free(attacker);
}

static void what_is_critical_is_refused(void **state) {
  check(*state, "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", GOOD_CLAIMS, DL_JWT_CRITICAL);
  check(*state, "{\"alg\":\"HS256\",\"crit\":[]}", GOOD_CLAIMS, DL_JWT_CRITICAL);
  check(*state, "{\"alg\":\"HS256\",\"crit\":null}", GOOD_CLAIMS, DL_JWT_CRITICAL);
  check(*state, "{\"alg\":\"HS256\",\"b64\":true}", GOOD_CLAIMS, DL_JWT_CRITICAL);
  check(*state, "{\"alg\":\"HS256\",\"zip\":\"DEF\"}", GOOD_CLAIMS, DL_JWT_CRITICAL);
}

static void duplicates_and_no_objects_are_refused(void **state) {
  check(*state, "{\"alg\":\"HS256\",\"alg\":\"HS256\"}", GOOD_CLAIMS, DL_JWT_MALFORMED);
  check(*state, "[\"HS256\"]", GOOD_CLAIMS, DL_JWT_MALFORMED);
  check(*state, "{\"alg\":\"HS256\"} ", GOOD_CLAIMS, DL_JWT_OK);
  check(*state, "{\"alg\":\"HS256\"}x", GOOD_CLAIMS, DL_JWT_MALFORMED);
  check(*state, GOOD_HEADER, "{\"sub\":\"7\",\"exp\":1800000900,\"sub\":\"1\"}", DL_JWT_MALFORMED);
  check(*state, GOOD_HEADER, "{\"exp\":1800000900,\"roles\":{\"a\":1,\"a\":2}}", DL_JWT_MALFORMED);
  check(*state, GOOD_HEADER, "{\"sub\":\"7\\u0000\",\"exp\":1800000900}", DL_JWT_MALFORMED);
  check(*state, GOOD_HEADER, "{\"sub\":\"\xff\",\"exp\":1800000900}", DL_JWT_MALFORMED);
  check(*state, GOOD_HEADER, "\"text\"", DL_JWT_MALFORMED);
  check(*state, GOOD_HEADER, "5", DL_JWT_MALFORMED);
  check(*state, GOOD_HEADER, "{", DL_JWT_MALFORMED);
}

static void times_are_checked(void **state) {
  world *w = *state;
  static const struct {
    const char *claims;
    uint32_t leeway, lifetime;
    dl_jwt_result result;
  } cases[] = {
      {"{}", 0, 0, DL_JWT_NO_EXPIRY},
      {"{\"exp\":1800000001}", 0, 0, DL_JWT_OK},
      {"{\"exp\":1800000000}", 0, 0, DL_JWT_EXPIRED},
      {"{\"exp\":1800000000.5}", 0, 0, DL_JWT_OK},
      {"{\"exp\":1799999971}", 30, 0, DL_JWT_OK},
      {"{\"exp\":1799999970}", 30, 0, DL_JWT_EXPIRED},
      {"{\"exp\":1799999970}", 3600, 0, DL_JWT_EXPIRED}, /* 30 seconds at most */
      {"{\"exp\":-1}", 0, 0, DL_JWT_EXPIRED},
      {"{\"exp\":1e300}", 0, 0, DL_JWT_CLAIMS},
      {"{\"exp\":\"1800000900\"}", 0, 0, DL_JWT_CLAIMS},
      {"{\"exp\":null}", 0, 0, DL_JWT_CLAIMS},
      {"{\"exp\":true}", 0, 0, DL_JWT_CLAIMS},
      {"{\"exp\":[1800000900]}", 0, 0, DL_JWT_CLAIMS},
      {"{\"exp\":99999999999999999999}", 0, 0, DL_JWT_MALFORMED},
      {"{\"exp\":1800000900}", 0, 900, DL_JWT_OK},
      {"{\"exp\":1800000901}", 0, 900, DL_JWT_TOO_LIVED},
      {"{\"exp\":1800000900,\"nbf\":1800000000}", 0, 0, DL_JWT_OK},
      {"{\"exp\":1800000900,\"nbf\":1800000001}", 0, 0, DL_JWT_NOT_YET},
      {"{\"exp\":1800000900,\"nbf\":1800000030}", 30, 0, DL_JWT_OK},
      {"{\"exp\":1800000900,\"nbf\":\"now\"}", 0, 0, DL_JWT_CLAIMS},
      {"{\"exp\":1800000900,\"iat\":1800000001}", 0, 0, DL_JWT_NOT_YET},
      {"{\"exp\":1800000900,\"iat\":1799999000}", 0, 0, DL_JWT_OK},
      {"{\"exp\":1800000900,\"iat\":{}}", 0, 0, DL_JWT_CLAIMS},
      /* However little is left of it, it has lived as long as it has. */
      {"{\"exp\":1800000600,\"iat\":1797408000}", 0, 900, DL_JWT_TOO_LIVED},
      {"{\"exp\":1800000600,\"iat\":1797408000}", 0, 0, DL_JWT_OK},
      {"{\"exp\":1800000600,\"iat\":1799999700}", 0, 900, DL_JWT_OK},
      {"{\"exp\":1800000600,\"iat\":1799999699}", 0, 900, DL_JWT_TOO_LIVED},
      {"{\"exp\":1800000600,\"iat\":1799999699.5}", 0, 900, DL_JWT_TOO_LIVED},
      {"{\"exp\":1800000600,\"iat\":1799999670}", 30, 900, DL_JWT_OK},
      {"{\"exp\":1800000600,\"iat\":1799999669}", 30, 900, DL_JWT_TOO_LIVED},
      {"{\"exp\":1799999990,\"iat\":1799999000}", 30, 900, DL_JWT_TOO_LIVED},
      {"{\"exp\":1800000600,\"iat\":0}", 30, 4294967295, DL_JWT_OK},
      {"{\"exp\":1800000600,\"iat\":-9e14}", 30, 4294967295, DL_JWT_TOO_LIVED},
      {"{\"exp\":9e14,\"iat\":9e14}", 30, 900, DL_JWT_TOO_LIVED},
      {"{\"exp\":1800000600,\"iat\":9e14}", 30, 900, DL_JWT_NOT_YET},
      {"{\"exp\":1800000600,\"iat\":-1e300}", 30, 900, DL_JWT_CLAIMS},
      {"{\"exp\":1800000920,\"iat\":1800000020}", 30, 900, DL_JWT_OK},
      /* nbf says from when on it may be used, not since when it is there. */
      {"{\"exp\":1800000600,\"nbf\":1797408000}", 0, 900, DL_JWT_OK},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    w->rules = (dl_jwt_rules){.leeway_s = cases[i].leeway, .lifetime_s = cases[i].lifetime};
    check(w, GOOD_HEADER, cases[i].claims, cases[i].result);
  }
  w->rules = (dl_jwt_rules){0};
}

static void issuer_audience_and_subject_are_checked(void **state) {
  world *w = *state;
  check(w, GOOD_HEADER, "{\"exp\":1800000900,\"iss\":5}", DL_JWT_CLAIMS);
  check(w, GOOD_HEADER, "{\"exp\":1800000900,\"sub\":7}", DL_JWT_CLAIMS);
  check(w, GOOD_HEADER, "{\"exp\":1800000900,\"iss\":\"anyone\"}", DL_JWT_OK);
  check(w, GOOD_HEADER, "{\"exp\":1800000900,\"aud\":\"somebody\"}", DL_JWT_AUDIENCE);
  w->rules = (dl_jwt_rules){.issuer = DL_STR("https://id.example"), .audiences = {DL_STR("api"), DL_STR("api2")}, .audience_count = 2};
  check(w, GOOD_HEADER, "{\"exp\":1800000900,\"iss\":\"https://id.example\",\"aud\":\"api\"}", DL_JWT_OK);
  check(w, GOOD_HEADER, "{\"exp\":1800000900,\"iss\":\"https://id.example\",\"aud\":[\"x\",\"api2\"]}", DL_JWT_OK);
  check(w, GOOD_HEADER, "{\"exp\":1800000900,\"iss\":\"https://id.example\",\"aud\":[\"x\"]}", DL_JWT_AUDIENCE);
  check(w, GOOD_HEADER, "{\"exp\":1800000900,\"iss\":\"https://id.example\",\"aud\":[]}", DL_JWT_AUDIENCE);
  check(w, GOOD_HEADER, "{\"exp\":1800000900,\"iss\":\"https://id.example\",\"aud\":[\"api\",5]}", DL_JWT_CLAIMS);
  check(w, GOOD_HEADER, "{\"exp\":1800000900,\"iss\":\"https://id.example\",\"aud\":{}}", DL_JWT_CLAIMS);
  check(w, GOOD_HEADER, "{\"exp\":1800000900,\"iss\":\"https://id.example\"}", DL_JWT_AUDIENCE);
  check(w, GOOD_HEADER, "{\"exp\":1800000900,\"iss\":\"https://id.example/\",\"aud\":\"api\"}", DL_JWT_ISSUER);
  check(w, GOOD_HEADER, "{\"exp\":1800000900,\"aud\":\"api\"}", DL_JWT_ISSUER);
  w->rules = (dl_jwt_rules){0};
}

static void broken_texts_are_refused(void **state) {
  world *w = *state;
  static const char *const texts[] = {"", ".", "..", "...", "a.b.c", "Bearer x", "e30.e30.", ".e30.e30", "e30..e30", "e30.e30.e30.e30", "\xff.\xff.\xff"};
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) assert_int_equal(verify(&w->secrets, &w->rules, NOW, dl_str_of(texts[i])), DL_JWT_MALFORMED);
  dl_buffer token = forge(w->secrets.keys[0], DL_STR(GOOD_HEADER), DL_STR(GOOD_CLAIMS));
  assert_int_equal(verify(&w->secrets, &w->rules, NOW, dl_buffer_str(&token)), DL_JWT_OK);
  static const char *const ends[] = {"=", " ", "\n", ".", ".e30", "A", "AA", "AAA", "AAAA"};
  size_t length = token.len;
  for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
    dl_buffer_append_str(&token, dl_str_of(ends[i]));
    assert_int_not_equal(verify(&w->secrets, &w->rules, NOW, dl_buffer_str(&token)), DL_JWT_OK);
    token.len = length;
  }
  for (size_t i = 0; i < length; i++) assert_int_not_equal(verify(&w->secrets, &w->rules, NOW, dl_str_from(token.data, i)), DL_JWT_OK);
  dl_buffer_free(&token);
}

static void stray_bits_in_the_signature_are_refused(void **state) {
  world *w = *state;
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  dl_buffer token = forge(w->secrets.keys[0], DL_STR(GOOD_HEADER), DL_STR(GOOD_CLAIMS));
  size_t accepted = 0;
  for (size_t i = 0; i < 64; i++) {
    token.data[token.len - 1] = alphabet[i];
    accepted += verify(&w->secrets, &w->rules, NOW, dl_buffer_str(&token)) == DL_JWT_OK;
  }
  assert_int_equal(accepted, 1);
  dl_buffer_free(&token);
}

static void long_tokens_are_not_read(void **state) {
  world *w = *state;
  dl_buffer claims = {0};
  DL_BUFFER_LITERAL(&claims, "{\"exp\":1800000900,\"x\":\"");
  while (claims.len < 6070) dl_buffer_append_char(&claims, 'x');
  DL_BUFFER_LITERAL(&claims, "\"}");
  dl_buffer token = forge(w->secrets.keys[0], DL_STR("{\"alg\":\"HS256\"}"), dl_buffer_str(&claims));
  assert_true(token.len > DL_JWT_MAX - 100 && token.len <= DL_JWT_MAX);
  assert_int_equal(verify(&w->secrets, &w->rules, NOW, dl_buffer_str(&token)), DL_JWT_OK);
  while (token.len <= DL_JWT_MAX) dl_buffer_append_char(&token, 'A');
  assert_int_equal(verify(&w->secrets, &w->rules, NOW, dl_buffer_str(&token)), DL_JWT_TOO_LONG);
  dl_buffer_free(&token);
  dl_buffer_clear(&claims);
  for (int i = 0; i < 6000; i++) dl_buffer_append_char(&claims, '[');
  token = forge(w->secrets.keys[0], DL_STR("{\"alg\":\"HS256\"}"), dl_buffer_str(&claims));
  assert_int_equal(verify(&w->secrets, &w->rules, NOW, dl_buffer_str(&token)), DL_JWT_MALFORMED);
  dl_buffer_free(&token);
  dl_buffer_free(&claims);
}

static void kids_choose_among_keys(void **state) {
  world *w = *state;
  dl_key *ec = w->publics.keys[0], *ed = w->publics.keys[1];
  static const struct {
    const char *header;
    bool by_ec;
    dl_jwt_result result;
  } cases[] = {
      {"{\"alg\":\"ES256\",\"kid\":\"ec\"}", true, DL_JWT_OK},          {"{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", false, DL_JWT_OK},
      {"{\"alg\":\"ES256\"}", true, DL_JWT_OK},                         {"{\"alg\":\"EdDSA\"}", false, DL_JWT_OK},
      {"{\"alg\":\"ES256\",\"kid\":\"ed\"}", true, DL_JWT_UNKNOWN_KEY}, {"{\"alg\":\"EdDSA\",\"kid\":\"ec\"}", false, DL_JWT_UNKNOWN_KEY},
      {"{\"alg\":\"ES256\",\"kid\":\"no\"}", true, DL_JWT_UNKNOWN_KEY}, {"{\"alg\":\"ES256\",\"kid\":\"\"}", true, DL_JWT_UNKNOWN_KEY},
      {"{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", true, DL_JWT_SIGNATURE},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    dl_buffer token = forge(cases[i].by_ec ? ec : ed, dl_str_of(cases[i].header), DL_STR(GOOD_CLAIMS));
    assert_int_equal(verify(&w->publics, &w->rules, NOW, dl_buffer_str(&token)), cases[i].result);
    dl_buffer_free(&token);
  }
}

/* Any change but to an ECDSA signature's sign, which says the same of the same text. */
static void ten_thousand_changed_tokens_are_refused(void **state) {
  world *w = *state;
  dl_key *keys[] = {w->secrets.keys[0], w->publics.keys[0], w->publics.keys[1]};
  for (size_t k = 0; k < 3; k++) {
    dl_buffer token = {0}, changed = {0};
    const dl_key_set *set = k ? &w->publics : &w->secrets;
    assert_true(dl_jwt_sign(keys[k], DL_STR(GOOD_CLAIMS), &token));
    size_t rounds = k ? 1500 : 7000;
    for (size_t i = 0; i < rounds; i++) {
      uint32_t random[6];
      dl_random_bytes(random, sizeof(random));
      dl_buffer_clear(&changed);
      dl_buffer_append_str(&changed, dl_buffer_str(&token));
      for (uint32_t n = 0; n <= random[0] % 3; n++) {
        size_t at = random[n + 1] % changed.len;
        if (random[5] >> n & 1) changed.data[at] = (char)(random[n + 1] >> 24);
        else if (random[5] >> (n + 8) & 1) memmove(changed.data + at, changed.data + at + 1, --changed.len - at);
        else changed.data[at] ^= (char)(1u << (random[n + 1] >> 29));
      }
      if (dl_str_equal(dl_buffer_str(&changed), dl_buffer_str(&token))) continue;
      assert_int_not_equal(verify(set, &w->rules, NOW, dl_buffer_str(&changed)), DL_JWT_OK);
    }
    dl_buffer_free(&token);
    dl_buffer_free(&changed);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(our_own_tokens_verify),
      cmocka_unit_test(a_header_cannot_choose_the_algorithm),
      cmocka_unit_test(an_unsigned_token_is_refused),
      cmocka_unit_test(a_public_key_is_no_secret),
      cmocka_unit_test(keys_in_the_header_are_not_looked_at),
      cmocka_unit_test(what_is_critical_is_refused),
      cmocka_unit_test(duplicates_and_no_objects_are_refused),
      cmocka_unit_test(times_are_checked),
      cmocka_unit_test(issuer_audience_and_subject_are_checked),
      cmocka_unit_test(broken_texts_are_refused),
      cmocka_unit_test(stray_bits_in_the_signature_are_refused),
      cmocka_unit_test(long_tokens_are_not_read),
      cmocka_unit_test(kids_choose_among_keys),
      cmocka_unit_test(ten_thousand_changed_tokens_are_refused),
  };
  return cmocka_run_group_tests(tests, make_world, free_world);
}
