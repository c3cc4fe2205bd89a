/* SPDX-License-Identifier: MIT */
/* Descriptions of guards: which are refused, and that the sentence says what to write instead. */
#include "unit.h"

#include "guard_world.h"

static int open_world(void **state) {
  guard_world *w = world_open();
  world_run(w, "digest = ('0'):rep(64)"
               " function many(count, value) local list = {} for i = 1, count do list[i] = value end return list end"
               " function five_keys(first) local any = { kind = 'any', members = {} }"
               " for i = 1, 5 do any.members[i] = { kind = 'api_key', header = 'X-' .. first .. i, keys = api_key.keys } end return any end");
  *state = w;
  return 0;
}

static int close_world(void **state) {
  world_close(*state);
  return 0;
}

typedef struct refused_row {
  const char *description, *says;
} refused_row;

static void expect_refused(guard_world *w, const refused_row *rows, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (world_guard(w, rows[i].description)) fail_msg("%s was taken", rows[i].description);
    if (!strstr(w->error, rows[i].says)) fail_msg("%s: \"%s\" says nothing of \"%s\"", rows[i].description, w->error, rows[i].says);
  }
}

#define REFUSED(w, rows) expect_refused(w, rows, sizeof(rows) / sizeof((rows)[0]))

static void a_guard_is_a_table_of_a_kind_that_there_is(void **state) {
  static const refused_row rows[] = {
      {"5", "expected a guard"},
      {"{}", "no guard of kind"},
      {"{ kind = 'bear' }", "no guard of kind \"bear\""},
      {"{ kind = 5 }", "kind should be text"},
  };
  REFUSED(*state, rows);
}

#define BEARER(options) "{ kind = 'bearer', keys = keys, " options " }"

static void a_bearer_has_keys_a_lifetime_and_names_that_can_be_sent(void **state) {
  static const refused_row rows[] = {
      {"{ kind = 'bearer', lifetime = 900 }", "keys should be a key set"},
      {"{ kind = 'bearer', keys = sealer, lifetime = 900 }", "keys should be a key set"},
      {"{ kind = 'bearer', keys = io.stdout, lifetime = 900 }", "keys should be a key set"},
      {"{ kind = 'bearer', keys = keys }", "needs a lifetime"},
      {"{ kind = 'bearer', keys = keys, lifetime = -1 }", "lifetime should be"},
      {"{ kind = 'bearer', keys = keys, lifetime = 0/0 }", "lifetime should be"},
      {"{ kind = 'bearer', keys = keys, lifetime = 900, leeway = 31 }", "leeway should be a number of seconds from 0 to 30"},
      {"{ kind = 'bearer', keys = keys, lifetime = 900, realm = 'a\"b' }", "realm is sent between quotes"},
      {"{ kind = 'bearer', keys = keys, lifetime = 900, realm = 'a\\r\\nSet-Cookie: x=y' }", "realm is sent between quotes"},
      {"{ kind = 'bearer', keys = keys, lifetime = 900, cookie = 'a b' }", "cookie should be a name"},
      {"{ kind = 'bearer', keys = keys, lifetime = 900, issuer = '' }", "issuer should not be empty"},
      {"{ kind = 'bearer', keys = keys, lifetime = 900, audience = { 1 } }", "audience should be text"},
      {"{ kind = 'bearer', keys = keys, lifetime = 900, audience = { 'a','b','c','d','e','f','g','h','i' } }", "at most 8"},
      {"{ kind = 'bearer', keys = newproxy(), lifetime = 900 }", "keys should be a key set"},
      {"{ kind = 'bearer', keys = newproxy(true), lifetime = 900 }", "keys should be a key set"},
      {BEARER("lifetime = '15m'"), "lifetime should be a number of seconds from 0 to 315360000"},
      {BEARER("lifetime = 0.5"), "needs a lifetime"},
      {BEARER("lifetime = 900, leeway = '5s'"), "leeway should be a number of seconds from 0 to 30"},
      {BEARER("lifetime = 900, realm = 5"), "realm should be text, not a number"},
      {BEARER("lifetime = 900, realm = 'a\\\\b'"), "realm is sent between quotes"},
      {BEARER("lifetime = 900, realm = 'caf\\195\\169'"), "realm is sent between quotes"},
      {BEARER("lifetime = 900, realm = 'a\\127'"), "realm is sent between quotes"},
      {BEARER("lifetime = 900, resource_metadata = 'https://a/\"'"), "resource_metadata is sent between quotes"},
      {BEARER("lifetime = 900, cookie = {}"), "cookie should be text, not a table"},
      {BEARER("lifetime = 900, cookie = 'a\\0b'"), "cookie should not be empty or hold NUL"},
      {BEARER("lifetime = 900, issuer = 'a\\0b'"), "issuer should not be empty or hold NUL"},
      {BEARER("lifetime = 900, roles_claim = 5"), "roles_claim should be text, not a number"},
      {BEARER("lifetime = 900, scope_claim = {}"), "scope_claim should be text, not a table"},
      {BEARER("lifetime = 900, audience = 5"), "audience should be a list of texts, not a number"},
      {BEARER("lifetime = 900, audience = {}"), "audience should name one at least"},
      {BEARER("lifetime = 900, audience = { api = true }"), "audience should name one at least"},
  };
  REFUSED(*state, rows);
}

#define API_KEY(options) "{ kind = 'api_key', " options " }"
#define KEY(options) API_KEY("header = 'X-API-Key', keys = { { " options " } }")

static void an_api_key_has_one_place_and_keys_that_are_told_apart(void **state) {
  static const refused_row rows[] = {
      {"{ kind = 'api_key', keys = api_key.keys }", "name one of them"},
      {"{ kind = 'api_key', header = 'X', cookie = 'y', keys = api_key.keys }", "name one of them"},
      {"{ kind = 'api_key', header = 'authorization', keys = api_key.keys }", "field of its own"},
      {"{ kind = 'api_key', header = 'X-API-Key', keys = {} }", "1 to 1024 keys"},
      {"{ kind = 'api_key', header = 'X-API-Key' }", "1 to 1024 keys"},
      {"{ kind = 'api_key', header = 'X-API-Key', keys = { 'secret' } }", "should be a table"},
      {"{ kind = 'api_key', header = 'X-API-Key', keys = { { digest = ('0'):rep(64) } } }", "should have a name"},
      {"{ kind = 'api_key', header = 'X-API-Key', keys = { { name = 'a', digest = ('0'):rep(63) } } }", "64 hexadecimal digits"},
      {"{ kind = 'api_key', header = 'X-API-Key', keys = { { name = 'a', digest = ('g'):rep(64) } } }", "64 hexadecimal digits"},
      {"{ kind = 'api_key', header = 'X-API-Key', keys = { { name = 'a', digest = ('0'):rep(64) }, { name = 'a', digest = ('1'):rep(64) } } }",
       "two of keys are named \"a\""},
      {"{ kind = 'api_key', header = 'X-API-Key', keys = { { name = 'a', digest = ('0'):rep(64) }, { name = 'b', digest = ('0'):rep(64) } } }",
       "are the same one"},
      {API_KEY("header = 'X', find = 5"), "find should be a function of a digest, not a number"},
      {API_KEY("keys = api_key.keys, header = 5"), "header should be text, not a number"},
      {API_KEY("keys = api_key.keys, header = 'X Key'"), "header should be a name of letters, digits and \"-\""},
      {API_KEY("keys = api_key.keys, cookie = 'a;b'"), "cookie should be a name of letters, digits and \"-\""},
      {API_KEY("keys = api_key.keys, header = 'cookie'"), "field of its own for the API key, such as \"X-API-Key\", not cookie"},
      {KEY("name = 5, digest = digest"), "name should be text, not a number"},
      {KEY("name = 'a'"), "the digest of the key \"a\" should be the 64 hexadecimal digits of its SHA-256"},
      {KEY("name = 'a', digest = {}"), "digest should be text, not a table"},
      {KEY("name = 'a', digest = ('0g'):rep(32)"), "64 hexadecimal digits"},
      {KEY("name = 'a', digest = ('-'):rep(64)"), "64 hexadecimal digits"},
      {KEY("name = 'a', digest = ('@'):rep(64)"), "64 hexadecimal digits"},
      {KEY("name = 'a', digest = digest, roles = 5"), "roles should be a list of texts, not a number"},
      {KEY("name = 'a', digest = digest, scopes = { '' }"), "scopes should not be empty or hold NUL"},
      {KEY("name = 'a', digest = digest, expires = '2027-01-01'"), "expires should be a number of seconds from 0 to 253402300799"},
      {KEY("name = 'a', digest = digest, expires = -1"), "expires should be a number of seconds from 0 to 253402300799"},
      {"{ kind = 'api_key', header = 'X', keys = many(1025, { name = 'a' }) }", "keys should be a list of 1 to 1024 keys"},
  };
  REFUSED(*state, rows);
}

static void a_session_has_a_sealer_a_cookie_and_a_lifetime(void **state) {
  static const refused_row rows[] = {
      {"{ kind = 'session', cookie = 'a', lifetime = 60 }", "sealer should be a sealer"},
      {"{ kind = 'session', sealer = keys, cookie = 'a', lifetime = 60 }", "sealer should be a sealer"},
      {"{ kind = 'session', sealer = sealer, lifetime = 60 }", "the name of its cookie"},
      {"{ kind = 'session', sealer = sealer, cookie = 'a' }", "needs a lifetime"},
      {"{ kind = 'session', sealer = sealer, cookie = 'a b', lifetime = 60 }", "cookie should be a name of letters, digits and \"-\""},
      {"{ kind = 'session', sealer = sealer, cookie = 'a', lifetime = -1 }", "lifetime should be a number of seconds from 0 to 31536000"},
  };
  REFUSED(*state, rows);
}

static void basic_has_users_with_argon2id_strings(void **state) {
  static const refused_row rows[] = {
      {"{ kind = 'basic', users = {} }", "1 to 1024 users"},
      {"{ kind = 'basic', users = { a = 'password' } }", "Argon2id string"},
      {"{ kind = 'basic', users = { ['a:b'] = '$argon2id$' } }", "colon"},
      {"{ kind = 'basic' }", "users should be a table of names and password strings"},
      {"{ kind = 'basic', users = { '$argon2id$' } }", "users should be a table of names and password strings"},
      {"{ kind = 'basic', users = { a = core.secret '$argon2id$' } }", "users should be a table of names and password strings"},
      {"{ kind = 'basic', users = { [''] = '$argon2id$' } }", "should not be empty or hold a colon (RFC 7617 2)"},
      {"{ kind = 'basic', users = { a = '$argon2id$' }, realm = 'a\"b' }", "realm is sent between quotes"},
      {"{ kind = 'basic', users = { a = '$argon2id$' }, roles = true }", "roles should be a list of texts, not a boolean"},
      {"{ kind = 'basic', users = many(1025, '$argon2id$') }", "users should hold 1 to 1024 users"},
  };
  REFUSED(*state, rows);
}

static void guards_made_of_guards_have_members_that_find_somebody(void **state) {
  static const refused_row rows[] = {
      {"{ kind = 'any', members = {} }", "1 to 8 guards"},
      {"{ kind = 'any' }", "1 to 8 guards"},
      {"{ kind = 'any', members = { bearer, { kind = 'public' } } }", "lets everybody pass"},
      {"{ kind = 'any', members = { bearer, 5 } }", "expected a guard"},
      {"{ kind = 'role', names = {}, member = bearer }", "name one at least"},
      {"{ kind = 'role', names = { 'admin' } }", "expected a guard"},
      {"{ kind = 'role', names = { 'admin' }, member = { kind = 'public' } }", "finds nobody"},
      {"{ kind = 'scope', names = { 'a b' }, member = bearer }", "without spaces"},
      {"(function() local t = { kind = 'any' } t.members = { t } return t end)()", "nested over 8 deep"},
      {"{ kind = 'any', members = { { kind = 'basic', users = { a = '$argon2id$' } }, { kind = 'basic', users = { b = '$argon2id$' } } } }",
       "one basic guard"},
      {"{ kind = 'any', members = { { kind = 'api_key', header = 'X', find = print }, { kind = 'api_key', header = 'Y', find = print } } }",
       "one guard among its members whose API keys a store knows"},
      {"{ kind = 'any', members = many(9, bearer) }", "1 to 8 guards"},
      {"{ kind = 'any', members = { five_keys(1), five_keys(2) } }", "a guard has over 8 alternatives"},
      {"{ kind = 'role', names = 'admin', member = { kind = 'any', members = { five_keys(3), five_keys(4) } } }", "a guard has over 8 alternatives"},
      {"{ kind = 'role', names = 5, member = bearer }", "names should be a list of texts, not a number"},
      {"{ kind = 'scope', names = {}, member = bearer }", "name one at least"},
      {"{ kind = 'scope', names = { 'a', 'b\"' }, member = bearer }", "the scope \"b\"\" should be ASCII without spaces"},
      {"{ kind = 'scope', names = { 'a\\\\b' }, member = bearer }", "should be ASCII without spaces"},
      {"{ kind = 'scope', names = { 'caf\\195\\169' }, member = bearer }", "should be ASCII without spaces"},
      {"{ kind = 'scope', names = { 'a\\127' }, member = bearer }", "should be ASCII without spaces"},
  };
  REFUSED(*state, rows);
}

/* --- what is compiled once --- */

static void the_same_description_is_the_same_guard(void **state) {
  guard_world *w = *state;
  assert_ptr_equal(world_guard(w, "bearer"), world_guard(w, "bearer"));
  assert_ptr_not_equal(world_guard(w, "bearer"), world_guard(w, "{ kind = 'bearer', keys = keys, lifetime = 900 }"));
}

static dl_guard_result ask_bearer(guard_world *w, const dl_guard *guard, const char *token) {
  char lines[4000];
  snprintf(lines, sizeof(lines), "Authorization: Bearer %s\r\n", token);
  assert_non_null(guard);
  assert_true(world_parse(w, dl_str_of(lines)));
  return world_check(w, guard);
}

static void keys_stay_as_long_as_a_guard_needs_them(void **state) {
  guard_world *w = *state;
  const char *token = world_text(w, "token { sub = '7' }");
  const dl_guard *guard = world_guard(w, "{ kind = 'bearer', keys = core.key_set { { secret = secret, algorithm = 'HS256' } }, lifetime = 900 }");
  world_run(w, "collectgarbage() collectgarbage()");
  assert_int_equal(ask_bearer(w, guard, token), DL_GUARD_PASS);
}

static void a_digest_may_be_written_in_capitals(void **state) {
  guard_world *w = *state;
  const dl_guard *guard =
      world_guard(w, "{ kind = 'api_key', header = 'X-API-Key', keys = { { name = 'a', digest = core.sha256_hex('k'):upper() } } }");
  assert_non_null(guard);
  assert_true(world_parse(w, DL_STR("X-API-Key: k\r\n")));
  assert_int_equal(world_check(w, guard), DL_GUARD_PASS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_guard_is_a_table_of_a_kind_that_there_is, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_bearer_has_keys_a_lifetime_and_names_that_can_be_sent, open_world, close_world),
      cmocka_unit_test_setup_teardown(an_api_key_has_one_place_and_keys_that_are_told_apart, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_session_has_a_sealer_a_cookie_and_a_lifetime, open_world, close_world),
      cmocka_unit_test_setup_teardown(basic_has_users_with_argon2id_strings, open_world, close_world),
      cmocka_unit_test_setup_teardown(guards_made_of_guards_have_members_that_find_somebody, open_world, close_world),
      cmocka_unit_test_setup_teardown(the_same_description_is_the_same_guard, open_world, close_world),
      cmocka_unit_test_setup_teardown(keys_stay_as_long_as_a_guard_needs_them, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_digest_may_be_written_in_capitals, open_world, close_world),
  };
  return cmocka_run_group_tests_name("guard descriptions", tests, NULL, NULL);
}
