/* SPDX-License-Identifier: MIT */
/*
 * Cases under valgrind's memcheck, each with its secrets hidden (reveal.h): what
 * memcheck reports meanwhile is a branch or an address that depends on them. The
 * planted leaks have to be reported. Prints TAP; tests/ctgrind/run starts it.
 *
 *   ctgrind           contents of secrets: no branch and no address
 *   ctgrind lengths   lengths of secrets: no branch
 */
#include "reveal.h"

#include "../unit/guard_world.h"
#include "crypto/hmac.h"
#include "crypto/key_internal.h"
#include "crypto/secret.h"
#include "guard/internal.h"

#include <valgrind/memcheck.h>

typedef struct world {
  guard_world *guards;
  const dl_crypto *crypto;
  char stored[DL_PASSWORD_TEXT];
} world;

typedef struct test_case {
  const char *name;
  /* Whether the answers were right. */
  bool (*run)(world *w);
  bool leaks; /* planted: memcheck must report it */
} test_case;

#define KEPT "sixteen secrets."

/* --- equality ----------------------------------------------------------------------------- */

typedef bool (*comparison)(const void *presented, size_t presented_length, const void *kept, size_t kept_length);

/* Compares with right and wrong bytes, and with too few and too many of them. */
static bool compare_contents(comparison equal) {
  static const struct {
    const char *presented;
    bool equal;
  } rows[] = {{KEPT, true}, {"Sixteen secrets.", false}, {"sixteen secrets!", false}, {"sixteen", false}, {KEPT " And more.", false}, {"", false}};
  char kept[sizeof(KEPT)] = KEPT;
  bool right = true;
  ctgrind_hide(kept, sizeof(kept));
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    bool result = equal(rows[i].presented, strlen(rows[i].presented), kept, sizeof(KEPT) - 1);
    ctgrind_reveal(&result, sizeof(result)); /* equal or not is what a client is told */
    right = right && result == rows[i].equal;
  }
  return right;
}

static bool compare_lengths(comparison equal) {
  static const size_t lengths[] = {0, 1, 15, 16};
  bool right = true;
  for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
    size_t length = lengths[i];
    ctgrind_hide(&length, sizeof(length));
    bool result = equal(KEPT, sizeof(KEPT) - 1, KEPT, length);
    ctgrind_reveal(&result, sizeof(result));
    right = right && result == (lengths[i] == 16);
  }
  return right;
}

static bool equal_contents(world *w) { return (void)w, compare_contents(dl_crypto_equal); }
static bool equal_lengths(world *w) { return (void)w, compare_lengths(dl_crypto_equal); }

/* --- leaks on purpose ------------------------------------------------------------------------ */

static __attribute__((noinline)) bool stops_early(const void *presented, size_t presented_length, const void *kept, size_t kept_length) {
  const volatile char *a = presented, *b = kept;
  if (presented_length != kept_length) return false;
  for (size_t i = 0; i < kept_length; i++)
    if (a[i] != b[i]) return false;
  return true;
}

static __attribute__((noinline)) bool compares_as_memcmp(const void *presented, size_t presented_length, const void *kept, size_t kept_length) {
  return presented_length == kept_length && memcmp(presented, kept, kept_length) == 0;
}

static __attribute__((noinline)) bool looks_up(const void *presented, size_t presented_length, const void *kept, size_t kept_length) {
  static volatile unsigned char squares[256];
  const unsigned char *a = presented, *b = kept;
  size_t difference = presented_length ^ kept_length;
  for (int i = 0; i < 256; i++) squares[i] = (unsigned char)i;
  for (size_t i = 0; i < presented_length && i < kept_length; i++) difference |= (size_t)(squares[a[i]] ^ squares[b[i]]);
  return difference == 0;
}

static bool leak_early(world *w) { return (void)w, compare_contents(stops_early); }
static bool leak_memcmp(world *w) { return (void)w, compare_contents(compares_as_memcmp); }
static bool leak_lookup(world *w) { return (void)w, compare_contents(looks_up); }
static bool leak_length(world *w) { return (void)w, compare_lengths(stops_early); }

/* --- guards: keys and names ------------------------------------------------------------------- */

static dl_guard_result ask(world *w, const dl_guard *guard, const char *lines) {
  if (!world_parse(w->guards, dl_str_of(lines))) world_broken("the head does not parse");
  return world_check(w->guards, guard);
}

/* The digests that are kept are secret; the key presented is known to who presents it. */
static bool api_key(world *w) {
  const dl_guard *guard = world_guard(w->guards, "api_key");
  for (size_t i = 0; i < guard->node->api_key.count; i++) ctgrind_hide(guard->node->api_key.keys[i].digest, 32);
  return ask(w, guard, "X-API-Key: the new key\r\n") == DL_GUARD_PASS && ask(w, guard, "X-API-Key: the old key\r\n") == DL_GUARD_PASS &&
         ask(w, guard, "X-API-Key: no key of ours\r\n") == DL_GUARD_UNAUTHENTICATED;
}

/* --- signatures -------------------------------------------------------------------------------- */

static bool hmac(world *w) {
  char secret[] = WORLD_SECRET;
  unsigned char tag[DL_DIGEST_MAX];
  bool right = true;
  for (int kind = 0; kind < DL_DIGEST_COUNT; kind++) {
    ctgrind_hide(secret, sizeof(secret));
    dl_hmac *mac = dl_hmac_new(w->crypto, (dl_digest_kind)kind, dl_str_from(secret, sizeof(secret) - 1));
    size_t length = dl_digest_length((dl_digest_kind)kind);
    dl_hmac_compute(mac, DL_STR("signed"), tag);
    ctgrind_reveal(tag, length); /* a signature that was given away */
    right = right && dl_hmac_verify(mac, DL_STR("signed"), dl_str_from((char *)tag, length));
    tag[length - 1] ^= 1;
    right = right && !dl_hmac_verify(mac, DL_STR("signed"), dl_str_from((char *)tag, length));
    right = right && !dl_hmac_verify(mac, DL_STR("signed"), dl_str_from((char *)tag, length - 1));
    dl_hmac_free(mac);
  }
  return right;
}

/* A whole token. Loading a key looks at the secret (a PEM text is none), once and not
 * for a client: so it is hidden in what the key computes with. */
static bool token(world *w) {
  char secret[] = WORLD_SECRET;
  const char *error = NULL;
  dl_str public_bytes = dl_str_from(secret, sizeof(secret) - 1);
  dl_key_set keys = {0};
  dl_buffer good = {0};
  dl_key *key = dl_key_from_secret(w->crypto, DL_KEY_HS256, public_bytes, DL_STR("k"), &error);
  if (!key || !dl_jwt_sign(key, DL_STR("{\"sub\":\"42\",\"exp\":1800000600}"), &good)) world_broken("the token's key");
  ctgrind_hide(secret, sizeof(secret));
  dl_hmac_free(key->hmac);
  key->hmac = dl_hmac_new(w->crypto, DL_DIGEST_SHA256, public_bytes);
  if (!dl_key_set_add(&keys, key, &error)) world_broken(error);
  dl_jwt jwt;
  bool right = dl_jwt_verify(&keys, &(dl_jwt_rules){0}, NOW, dl_buffer_str(&good), &jwt) == DL_JWT_OK;
  if (right) dl_jwt_free(&jwt);
  char *first = good.data + good.len - 43; /* of the signature */
  *first = *first == 'A' ? 'B' : 'A';
  right = right && dl_jwt_verify(&keys, &(dl_jwt_rules){0}, NOW, dl_buffer_str(&good), &jwt) == DL_JWT_SIGNATURE;
  dl_buffer_free(&good);
  dl_key_set_free(&keys);
  return right;
}

/* --- seals ------------------------------------------------------------------------------------- */

static bool seal(world *w) {
  char secret[] = WORLD_SECRET, plain[] = "who it is";
  dl_buffer text = {0}, out = {0};
  ctgrind_hide(secret, sizeof(secret));
  ctgrind_hide(plain, sizeof(plain));
  dl_sealer *sealer = dl_sealer_new(w->crypto, (dl_str[]){dl_str_from(secret, sizeof(secret) - 1)}, 1);
  bool right = sealer && dl_seal(sealer, DL_STR("session"), dl_str_from(plain, sizeof(plain)), &text);
  right = right && dl_unseal(sealer, DL_STR("session"), dl_buffer_str(&text), &out, NULL);
  ctgrind_reveal(out.data, out.len); /* to see that it is right */
  ctgrind_reveal(plain, sizeof(plain));
  right = right && dl_str_equal(dl_buffer_str(&out), dl_str_from(plain, sizeof(plain)));
  right = right && !dl_unseal(sealer, DL_STR("refresh"), dl_buffer_str(&text), &out, NULL);
  char *inside = text.data + text.len - 8; /* of the tag */
  *inside = *inside == 'A' ? 'B' : 'A';
  right = right && !dl_unseal(sealer, DL_STR("session"), dl_buffer_str(&text), &out, NULL);
  dl_sealer_free(sealer);
  dl_buffer_free(&text);
  dl_buffer_free(&out);
  return right;
}

/* --- passwords --------------------------------------------------------------------------------- */

static bool password(world *w) {
  char good[] = "correct horse", bad[] = "correct house";
  ctgrind_hide(good, sizeof(good));
  ctgrind_hide(bad, sizeof(bad));
  return dl_password_verify(dl_str_of(w->stored), dl_str_from(good, sizeof(good) - 1)) == DL_PASSWORD_OK &&
         dl_password_verify(dl_str_of(w->stored), dl_str_from(bad, sizeof(bad) - 1)) == DL_PASSWORD_WRONG;
}

/* --- running them ------------------------------------------------------------------------------- */

static const test_case contents[] = {
    {"finds a compare that stops at the first difference", leak_early, true},
    {"finds a compare by memcmp", leak_memcmp, true},
    {"finds a table that is looked up by a secret", leak_lookup, true},
    {"equality neither branches nor reads by what is kept", equal_contents, false},
    {"an API key is checked without a branch or a read by the digests that are kept", api_key, false},
    {"an HMAC is computed and compared without a branch or a read by its key", hmac, false},
    {"a token is verified without a branch or a read by its key or the signature it should have", token, false},
    {"a cookie is sealed and opened without a branch or a read by the secret, the keys or what is inside", seal, false},
    {"a password is verified without a branch or a read by it or its digest, but inside Argon2id", password, false},
};

static const test_case lengths[] = {
    {"finds a compare that looks at the length first", leak_length, true},
    {"equality does not branch by the length of what is kept", equal_lengths, false},
};

static bool run_case(world *w, const test_case *test, size_t number) {
  unsigned before = VALGRIND_COUNT_ERRORS;
  size_t revealed = ctgrind_revealed();
  VALGRIND_PRINTF("%s\n", test->name); /* above its reports */
  bool right = test->run(w), reached = test->leaks || ctgrind_revealed() > revealed;
  unsigned reports = VALGRIND_COUNT_ERRORS - before;
  bool passed = right && reached && !reports != test->leaks;
  printf("%sok %zu - %s\n", passed ? "" : "not ", number, test->name);
  if (!right) printf("# an answer was wrong\n");
  if (!reached) printf("# no secret reached a result: nothing was shown\n");
  if (!passed) printf("# %u reports of memcheck\n", reports);
  return passed;
}

static void open_world(world *w) {
  w->guards = world_open();
  w->crypto = dl_bridge_crypto_of(dl_lua_state(w->guards->lua));
  /* What is stored is written for this test: its digest is hidden by reveal.c already. */
  VALGRIND_DISABLE_ERROR_REPORTING;
  if (dl_password_hash(DL_STR("correct horse"), &(dl_password_cost){64, 1, 1}, w->stored) != DL_PASSWORD_OK) world_broken("no hash");
  VALGRIND_ENABLE_ERROR_REPORTING;
  ctgrind_reveal(w->stored, sizeof(w->stored));
}

int main(int count, char **words) {
  if (!RUNNING_ON_VALGRIND) {
    printf("Bail out! start it with tests/ctgrind/run\n");
    return 1;
  }
  bool of_lengths = count > 1 && strcmp(words[1], "lengths") == 0, passed = true;
  const test_case *cases = of_lengths ? lengths : contents;
  size_t number = of_lengths ? sizeof(lengths) / sizeof(lengths[0]) : sizeof(contents) / sizeof(contents[0]);
  world w;
  open_world(&w);
  printf("1..%zu\n", number);
  for (size_t i = 0; i < number; i++) passed = run_case(&w, &cases[i], i + 1) && passed;
  world_close(w.guards);
  return !passed;
}
