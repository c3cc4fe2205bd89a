/* SPDX-License-Identifier: MIT */
/*
 * Tokens and keys from any bytes. The first byte chooses: "t" a token for a set of
 * known keys, "k" a JWK, "s" a JWKS, "p" a PEM, "a" text to seal's opener, "h" a
 * stored password, "c" claims that are signed, "x" a place, what is changed there, and a text that is sealed. No
 * token and no sealed text of the fuzzer's may be taken, but those signed here at the
 * start, which are its seeds, and those that are as they were sealed.
 */
#include "crypto/jwt.h"
#include "crypto/password.h"
#include "crypto/seal.h"
#include "model/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { NOW = 1800000000 };

#define CLAIMS "{\"sub\":\"7\",\"exp\":1800000900}"

typedef struct world {
  dl_crypto *crypto;
  dl_sealer *sealer;
  dl_key_set secrets, publics;
  dl_buffer genuine[3]; /* header and claims of the tokens that exist */
} world;

static _Noreturn void broken(const char *what) {
  fprintf(stderr, "%s\n", what);
  abort();
}

static void add(dl_key_set *set, dl_key *key, const char *error) {
  if (!key || !dl_key_set_add(set, key, &error)) broken(error);
}

static void make_world(world *w) {
  const char *error = "";
  static const dl_str secret = DL_STR("a secret of at least thirty-two bytes for HS256");
  w->crypto = dl_crypto_new();
  w->sealer = dl_sealer_new(w->crypto, &secret, 1);
  add(&w->secrets, dl_key_from_secret(w->crypto, DL_KEY_HS256, secret, (dl_str){0}, &error), error);
  add(&w->publics, dl_key_from_jwk(w->crypto, DL_KEY_UNSTATED,
                                   DL_STR("{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"ec\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                                          "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\",\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"}"), &error), error);
  add(&w->publics, dl_key_from_jwk(w->crypto, DL_KEY_UNSTATED,
                                   DL_STR("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"ed\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\","
                                          "\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\"}"), &error), error);
  dl_key *keys[] = {w->secrets.keys[0], w->publics.keys[0], w->publics.keys[1]};
  for (int i = 0; i < 3; i++) {
    dl_jwt_sign(keys[i], DL_STR(CLAIMS), &w->genuine[i]);
    while (w->genuine[i].data[--w->genuine[i].len] != '.') {}
  }
}

/* Signatures may differ (ECDSA has two for each); what they sign may not. */
static bool genuine(const world *w, dl_str token) {
  for (int i = 0; i < 3; i++)
    if (token.len > w->genuine[i].len && dl_str_starts(token, dl_buffer_str(&w->genuine[i])) && token.ptr[w->genuine[i].len] == '.') return true;
  return false;
}

static void try_token(const world *w, const dl_key_set *keys, dl_str token) {
  dl_jwt jwt = {0};
  dl_jwt_result result = dl_jwt_verify(keys, &(dl_jwt_rules){.leeway_s = 30}, NOW, token, &jwt);
  if (result == DL_JWT_OK && !genuine(w, token)) broken("a forged token was taken");
  if ((result == DL_JWT_OK) != (jwt.claims != NULL)) broken("claims without a genuine token, or the other way round");
  if (result == DL_JWT_OK) dl_jwt_free(&jwt);
}

/* A key that is taken signs, or verifies nothing that is no signature. */
static void try_key(dl_key *key, const char *error) {
  if (!key) {
    if (!error) broken("a refused key without a reason");
    return;
  }
  dl_buffer signature = {0};
  if (dl_key_sign(key, DL_STR("x"), &signature) && !dl_key_verify(key, DL_STR("x"), dl_buffer_str(&signature))) broken("a key's own signature does not verify");
  if (dl_key_verify(key, DL_STR("x"), DL_STR("no signature"))) broken("no signature verifies");
  dl_buffer_free(&signature);
  dl_key_free(key);
}

static void try_key_set(const world *w, dl_str text) {
  dl_key_set set = {0};
  const char *error = NULL;
  if (!dl_key_set_add_jwks(&set, w->crypto, DL_KEY_RS256, text, &error) && !error) broken("a refused key set without a reason");
  dl_key_set_free(&set);
}

/* Costs are bounded low here: the fuzzer wants many strings, not slow ones. */
static void try_password(dl_str text) {
  dl_password_outdated(text, &DL_PASSWORD_COST);
  bool quick = dl_str_starts(text, DL_STR("$argon2id$v=19$m=64,t=1,p=1$"));
  if (quick && dl_password_verify(text, DL_STR("no password")) == DL_PASSWORD_OK) broken("a password that nobody set matches");
}

/* --- claims ------------------------------------------------------------------------- */

static const dl_value *member(const dl_value *object, dl_str name) {
  for (uint32_t i = 0; i < object->len; i++)
    if (dl_str_equal(dl_value_str(&object->members[i].key), name)) return &object->members[i].value;
  return NULL;
}

static bool is_text(const dl_value *value, dl_str text) { return value && value->kind == DL_VALUE_STRING && dl_str_equal(dl_value_str(value), text); }

static double seconds_of(const dl_value *value) { return value->kind == DL_VALUE_INTEGER ? (double)value->integer : value->number; }

/* Whether a time lies between two moments; the claim may be missing when optional. */
static bool lies_in(const dl_value *value, double from, double to, bool optional) {
  if (!value) return optional;
  return (value->kind == DL_VALUE_INTEGER || value->kind == DL_VALUE_NUMBER) && seconds_of(value) >= from && seconds_of(value) <= to;
}

static bool lives_an_hour(const dl_value *from, const dl_value *to) { return !from || seconds_of(to) - seconds_of(from) <= 3600 + 30; }

static bool names_us(const dl_value *audience) {
  if (!audience || audience->kind != DL_VALUE_ARRAY) return is_text(audience, DL_STR("api"));
  bool ours = false;
  for (uint32_t i = 0; i < audience->len; i++) {
    if (audience->items[i].kind != DL_VALUE_STRING) return false;
    ours = ours || is_text(&audience->items[i], DL_STR("api"));
  }
  return ours;
}

static bool allowed(const dl_value *claims) {
  const dl_value *subject = member(claims, DL_STR("sub"));
  return is_text(member(claims, DL_STR("iss")), DL_STR("us")) && names_us(member(claims, DL_STR("aud"))) && (!subject || subject->kind == DL_VALUE_STRING) &&
         lies_in(member(claims, DL_STR("exp")), nextafter(NOW - 30, INFINITY), NOW + 3600 + 30, false) && lies_in(member(claims, DL_STR("nbf")), -1e15, NOW + 30, true) &&
         lies_in(member(claims, DL_STR("iat")), -1e15, NOW + 30, true) &&
         lives_an_hour(member(claims, DL_STR("iat")), member(claims, DL_STR("exp")));
}

/* Under our own signature, which no fuzzer could make: the claims alone decide, as the
 * reader of bodies finds them. It reads fewer levels than jansson. */
static void try_claims(const world *w, dl_str claims) {
  static const dl_jwt_rules rules = {.issuer = DL_STR("us"), .audiences = {DL_STR("api")}, .audience_count = 1, .leeway_s = 30, .lifetime_s = 3600};
  dl_buffer token = {0};
  dl_jwt jwt = {0};
  dl_arena arena;
  dl_value value;
  dl_json_error error;
  dl_arena_init(&arena, 0);
  if (!dl_jwt_sign(w->secrets.keys[0], claims, &token)) broken("our own key does not sign");
  dl_jwt_result result = dl_jwt_verify(&w->secrets, &rules, NOW, dl_buffer_str(&token), &jwt);
  if (result == DL_JWT_SIGNATURE || result == DL_JWT_UNKNOWN_KEY || result == DL_JWT_CRITICAL) broken("a genuine token is not of our keys");
  bool read = dl_json_read(&arena, claims, NULL, &value, &error) && value.kind == DL_VALUE_OBJECT;
  if (read && token.len <= DL_JWT_MAX && (result == DL_JWT_OK) != allowed(&value)) broken("claims are not what they say");
  if (result == DL_JWT_OK) dl_jwt_free(&jwt);
  dl_buffer_free(&token);
  dl_arena_free(&arena);
}

/* Two bytes for the place, one for the change; then the text. What was sealed opens, to the
 * same text and under its purpose only; with one character changed, or cut off, never. */
static void try_sealed(const world *w, dl_str text) {
  if (text.len < 3) return;
  dl_str plain = dl_str_skip(text, 3), sealed;
  dl_buffer made = {0}, opened = {0};
  if (!dl_seal(w->sealer, DL_STR("session"), plain, &made)) broken("a short text cannot be sealed");
  sealed = dl_buffer_str(&made);
  if (!dl_unseal(w->sealer, DL_STR("session"), sealed, &opened, NULL)) broken("what was sealed does not open");
  if (!dl_str_equal(dl_buffer_str(&opened), plain)) broken("what was sealed is another text");
  if (dl_unseal(w->sealer, DL_STR("refresh"), sealed, &opened, NULL)) broken("a text opens for another purpose");
  size_t place = ((size_t)(unsigned char)text.ptr[0] << 8 | (unsigned char)text.ptr[1]) % sealed.len;
  made.data[place] = (char)(made.data[place] ^ text.ptr[2]);
  if (text.ptr[2] && dl_unseal(w->sealer, DL_STR("session"), sealed, &opened, NULL)) broken("a text that was changed opens");
  made.data[place] = (char)(made.data[place] ^ text.ptr[2]);
  if (dl_unseal(w->sealer, DL_STR("session"), dl_str_from(sealed.ptr, place), &opened, NULL)) broken("a text that was cut opens");
  if (!dl_str_equal(dl_buffer_str(&opened), plain)) broken("what does not open leaves something behind");
  dl_buffer_free(&made);
  dl_buffer_free(&opened);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static world w;
  if (!w.crypto) make_world(&w);
  if (size < 1) return 0;
  dl_str text = dl_str_from((const char *)data + 1, size - 1);
  const char *error = NULL;
  dl_buffer plain = {0};
  dl_key *key = NULL;
  switch (data[0]) {
  case 't':
    try_token(&w, &w.secrets, text);
    try_token(&w, &w.publics, text);
    break;
  case 'k':
    key = dl_key_from_jwk(w.crypto, DL_KEY_RS256, text, &error);
    try_key(key, error);
    break;
  case 'p':
    key = dl_key_from_pem(w.crypto, DL_KEY_UNSTATED, text, (dl_str){0}, &error);
    try_key(key, error);
    break;
  case 's': try_key_set(&w, text); break;
  case 'a':
    if (dl_unseal(w.sealer, DL_STR("session"), text, &plain, NULL)) broken("a forged text was unsealed");
    break;
  case 'h': try_password(text); break;
  case 'c': try_claims(&w, text); break;
  case 'x': try_sealed(&w, text); break;
  default: break;
  }
  dl_buffer_free(&plain);
  return 0;
}
