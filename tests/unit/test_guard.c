/* SPDX-License-Identifier: MIT */
/* Bearer tokens and their challenges; the other kinds are in test_guard_kinds.c, what descriptions are refused in test_guard_describe.c. */
#include "guard_tests.h"

#define PLAIN "WWW-Authenticate: Bearer realm=\"users\"\r\n"
#define INVALID "WWW-Authenticate: Bearer realm=\"users\", error=\"invalid_token\"\r\n"
#define MALFORMED "WWW-Authenticate: Bearer realm=\"users\", error=\"invalid_request\"\r\n"

/* --- bearer ------------------------------------------------------------------------------ */

static void a_good_token_says_who_it_is(void **state) {
  guard_world *w = *state;
  const dl_guard *bearer = world_guard(w, "bearer");
  const char *token = world_text(w, "token { sub = '7', iss = 'me', roles = { 'admin', 'editor' }, scope = 'read write', tenant = 5 }");
  assert_int_equal(ask_bearer(w, bearer, token), DL_GUARD_PASS);
  const dl_principal *p = &w->principal;
  assert_str(p->guard, "bearer");
  assert_str(p->subject, "7");
  assert_str(p->issuer, "me");
  assert_int_equal(p->role_count, 2);
  assert_true(dl_principal_has_role(p, DL_STR("admin")) && dl_principal_has_role(p, DL_STR("editor")) && !dl_principal_has_role(p, DL_STR("adm")));
  assert_true(dl_principal_has_scope(p, DL_STR("read")) && dl_principal_has_scope(p, DL_STR("write")) &&
              !dl_principal_has_scope(p, DL_STR("read write")));
  assert_int_equal(p->claims->kind, DL_VALUE_OBJECT);
  assert_int_equal(p->claims->len, 6);
  assert_str(dl_principal_key(p, &w->arena), "bearer:2:me:7");
}

static void the_same_subject_of_two_guards_is_two_principals(void **state) {
  guard_world *w = *state;
  world_run(w, "one = core.key_set { { secret = core.secret 'the first of two secrets, 32 bytes!', algorithm = 'HS256' } }\n"
               "other = core.key_set { { secret = core.secret 'the other of two secrets, 32 bytes!', algorithm = 'HS256' } }\n"
               "function named(keys, place, issuer) return { kind = 'bearer', keys = keys, lifetime = 900, place = place, issuer = issuer } end\n"
               "function both(first, second) return { kind = 'any', members = {\n"
               "  named(one, not first and '/1' or nil, first), named(other, not second and '/2' or nil, second) } } end");
  static const struct {
    const char *guard, *one, *other; /* and the key of ada's token of each */
  } rows[] = {
      {"both()", "bearer#/1:1:a:ada", "bearer#/2:1:a:ada"},
      {"both(nil, 'a')", "bearer#/1:1:a:ada", "bearer:1:a:ada"}, /* the first says a, and nobody verifies that */
      {"both('a', 'a')", "bearer:1:a:ada", "bearer:1:a:ada"},    /* one issuer that changes its keys */
      {"{ kind = 'role', names = { 'x' }, member = both() }", "bearer#/1:1:a:ada", "bearer#/2:1:a:ada"},
  };
  const char *first = world_text(w, "token({ sub = 'ada', iss = 'a', roles = { 'x' } }, one)");
  const char *second = world_text(w, "token({ sub = 'ada', iss = 'a', roles = { 'x' } }, other)");
  for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) { /* each anew, and out of the cache */
    const dl_guard *guard = world_guard(w, rows[i / 2].guard);
    for (int again = 0; again < 2; again++) {
      assert_int_equal(ask_bearer(w, guard, i % 2 ? second : first), DL_GUARD_PASS);
      assert_str(dl_principal_key(&w->principal, &w->arena), i % 2 ? rows[i / 2].other : rows[i / 2].one);
    }
  }
}

static void who_passes_a_guard_is_the_same_principal_wherever_it_stands(void **state) {
  guard_world *w = *state;
  world_run(w, "hers = { kind = 'bearer', keys = keys, lifetime = 900, place = '/2' }\n"
               "theirs = { kind = 'bearer', keys = other, lifetime = 900, place = '/1' }");
  static const char *const everywhere[] = {
      "hers", "{ kind = 'any', members = { hers, theirs } }", "{ kind = 'any', members = { theirs, api_key, hers } }",
      "{ kind = 'role', names = { 'x' }, member = { kind = 'any', members = { theirs, { kind = 'role', names = { 'x' }, member = hers } } } }"};
  const char *token = world_text(w, "token { sub = 'ada', roles = { 'x' } }");
  for (size_t i = 0; i < sizeof everywhere / sizeof *everywhere; i++) {
    assert_int_equal(ask_bearer(w, world_guard(w, everywhere[i]), token), DL_GUARD_PASS);
    assert_str(dl_principal_key(&w->principal, &w->arena), "bearer#/2:0::ada");
  }
}

static void the_scheme_is_case_insensitive_and_any_number_of_spaces_may_follow(void **state) {
  guard_world *w = *state;
  const dl_guard *bearer = world_guard(w, "bearer");
  const char *token = world_text(w, "token { sub = '7' }");
  static const char *const heads[] = {"bearer ", "BEARER ", "bEaReR    ", "Bearer "};
  for (size_t i = 0; i < 4; i++) {
    char lines[1000];
    snprintf(lines, sizeof(lines), "Authorization:  %s%s  \r\n", heads[i], token);
    assert_int_equal(ask(w, bearer, lines), DL_GUARD_PASS);
  }
}

static void without_credentials_the_challenge_names_no_error(void **state) {
  guard_world *w = *state;
  const dl_guard *bearer = world_guard(w, "bearer");
  expect(w, ask(w, bearer, ""), DL_GUARD_UNAUTHENTICATED, PLAIN, "no Authorization");
  expect(w, ask(w, bearer, "Authorization: Basic YTpi\r\n"), DL_GUARD_UNAUTHENTICATED, PLAIN, "another scheme");
  expect(w, ask(w, bearer, "Authorization: Bearerx abc\r\n"), DL_GUARD_UNAUTHENTICATED, PLAIN, "another scheme");
  expect(w, ask(w, bearer, "X-Authorization: Bearer abc\r\n"), DL_GUARD_UNAUTHENTICATED, PLAIN, "no Authorization");
  assert_true(w->principal.guard.len == 0);
}

static void another_scheme_is_no_credential_of_ours(void **state) {
  guard_world *w = *state;
  const dl_guard *bearer = world_guard(w, "bearer");
  static const char *const others[] = {"Authorization: Digest2 abc\r\n", "Authorization: ~!x abc\r\n", "Authorization: Bearer1 abc\r\n",
                                       "Authorization: Beare abc\r\n"};
  for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
    expect(w, ask(w, bearer, others[i]), DL_GUARD_UNAUTHENTICATED, PLAIN, "another scheme");
}

static void a_field_broken_in_its_form_is_a_bad_request(void **state) {
  guard_world *w = *state;
  const dl_guard *bearer = world_guard(w, "bearer");
  const char *token = world_text(w, "token { sub = '7' }");
  char lines[2000];
  static const char *const bad[] = {
      "Authorization: Bearer\r\n",          "Authorization: Bearer   \r\n",       "Authorization: Bearer a b\r\n", "Authorization: Bearer a,b\r\n",
      "Authorization: Bearer \"abc\"\r\n",  "Authorization: Bearer =\r\n",        "Authorization: Bearer a=b\r\n", "Authorization: Bearer\tabc\r\n",
      "Authorization: Bearer a\tb\r\n",     "Authorization: {Bearer} abc\r\n",    "Authorization: \r\n",           "Authorization: @ abc\r\n",
      "Authorization: Bearer \xc3\xa9\r\n", "Authorization: Bearer token=abc\r\n"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) expect(w, ask(w, bearer, bad[i]), DL_GUARD_BAD_REQUEST, MALFORMED, "Authorization");
  snprintf(lines, sizeof(lines), "Authorization: Bearer %s,Bearer %s\r\n", token, token);
  expect(w, ask(w, bearer, lines), DL_GUARD_BAD_REQUEST, MALFORMED, "more than one token");
}

/* The parser refuses a repeated Authorization already; a request of another maker's must fare no better. */
static void two_credentials_are_none_even_when_they_are_the_same(void **state) {
  guard_world *w = *state;
  const dl_guard *bearer = world_guard(w, "bearer");
  const char *token = world_text(w, "token { sub = '7' }");
  char lines[4000];
  assert_int_equal(ask_bearer(w, bearer, token), DL_GUARD_PASS); /* and now it is in the cache */
  snprintf(lines, sizeof(lines), "Authorization: Bearer %s\r\nX: y\r\nauthorization: Bearer %s\r\n", token, token);
  assert_false(world_parse(w, dl_str_of(lines)));
  snprintf(lines, sizeof(lines), "Authorization: Bearer %s\r\nX: y\r\nauthorisation: Bearer %s\r\n", token, token);
  assert_int_equal(ask(w, bearer, lines), DL_GUARD_PASS);
  ((dl_header *)(uintptr_t)w->request.headers)[3].id = DL_HEADER_AUTHORIZATION;
  expect(w, world_check(w, bearer), DL_GUARD_BAD_REQUEST, MALFORMED, "more than one Authorization");
}

static void a_token_that_is_not_good_is_refused_with_the_same_words(void **state) {
  guard_world *w = *state;
  const dl_guard *bearer = world_guard(w, "bearer");
  static const struct {
    const char *token, *word;
  } bad[] = {
      {"token { sub = '7', exp = 1799999999 }", "expired"},
      {"token { sub = '7', exp = 1800000901 }", "lifetime"},
      {"token { sub = '7', exp = 1800000600, iat = 1797408000 }", "lifetime"},
      {"token { sub = '7', nbf = 1800000001 }", "nbf"},
      {"token { sub = '7', iat = 1800000001 }", "iat"},
      {"token { sub = 7 }", "kind"},
      {"token { sub = '7', aud = 'somebody' }", "aud"},
      {"keys:sign { sub = '7' }", "no exp"},
      {"token({ sub = '7' }, other)", "signature"},
      {"token({ sub = '7' }, ed)", "no key"},
      {"'abc'", "three parts"},
      {"'a.b.c'", "three parts"},
      {"'..'", "three parts"},
      {"token({ sub = '7' }):sub(1, -2)", ""},
      {"token({ sub = '7' }):sub(2)", ""},
      {"token({ sub = '7' }) .. '='", "three parts"},
      {"token({ sub = '7' }) .. 'A'", ""},
      {"token({ sub = '7' }) .. '.' .. token({ sub = '7' })", "three parts"},
      {"('a'):rep(8193)", "longer"},
      {"token({ sub = ('a'):rep(8000) })", "longer"},
      /* {"alg":"none"} and {"alg":"HS256","crit":["x"]} */
      {"(token({ sub = '7' }):gsub('^[^.]+', 'eyJhbGciOiJub25lIn0'))", "no key"},
      {"(token({ sub = '7' }):gsub('^[^.]+', 'eyJhbGciOiJIUzI1NiIsImNyaXQiOlsieCJdfQ'))", "extensions"},
      {"token { sub = '7', deep = "
       "{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{1}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}"
       " }",
       "nested"},
  };
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
    expect(w, ask_bearer(w, bearer, world_text(w, bad[i].token)), DL_GUARD_UNAUTHENTICATED, INVALID, bad[i].word);
}

static void a_public_key_is_no_secret_to_sign_with(void **state) {
  guard_world *w = *state;
  const dl_guard *ed = world_guard(w, "{ kind = 'bearer', keys = ed, lifetime = 900 }");
  assert_int_equal(ask_bearer(w, ed, world_text(w, "token({ sub = '7' }, ed)")), DL_GUARD_PASS);
  /* The key's own x as an HMAC secret, named HS256 with the key's kid. */
  world_run(w, "confused = core.key_set { { secret = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', algorithm = 'HS256', kid = 'ed' } }");
  assert_int_equal(ask_bearer(w, ed, world_text(w, "token({ sub = '7' }, confused)")), DL_GUARD_UNAUTHENTICATED);
  assert_str(w->context.challenge, "WWW-Authenticate: Bearer realm=\"api\", error=\"invalid_token\"\r\n");
}

static void issuer_audience_and_leeway_are_the_guards_own(void **state) {
  guard_world *w = *state;
  const dl_guard *strict = world_guard(w, "{ kind = 'bearer', keys = keys, lifetime = 900, issuer = 'me', audience = { 'a', 'b' }, leeway = 10 }");
  assert_int_equal(ask_bearer(w, strict, world_text(w, "token { sub = '7', iss = 'me', aud = 'b' }")), DL_GUARD_PASS);
  assert_int_equal(ask_bearer(w, strict, world_text(w, "token { sub = '7', iss = 'me', aud = { 'x', 'a' } }")), DL_GUARD_PASS);
  assert_int_equal(ask_bearer(w, strict, world_text(w, "token { sub = '7', iss = 'me', aud = 'b', exp = 1799999991 }")), DL_GUARD_PASS);
  assert_int_equal(ask_bearer(w, strict, world_text(w, "token { sub = '7', iss = 'me', aud = 'b', exp = 1799999990 }")), DL_GUARD_UNAUTHENTICATED);
  assert_int_equal(ask_bearer(w, strict, world_text(w, "token { sub = '7', iss = 'you', aud = 'b' }")), DL_GUARD_UNAUTHENTICATED);
  assert_int_equal(ask_bearer(w, strict, world_text(w, "token { sub = '7', iss = 'me' }")), DL_GUARD_UNAUTHENTICATED);
}

static void a_claim_that_is_no_list_of_names_gives_no_roles(void **state) {
  guard_world *w = *state;
  const dl_guard *bearer = world_guard(w, "bearer");
  static const char *const none[] = {"5", "true", "{ 'admin', 5 }", "{ admin = true }", "{ { 'admin' } }", "''", "core.null"};
  for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
    char expression[200];
    snprintf(expression, sizeof(expression), "token { sub = '7', roles = %s }", none[i]);
    assert_int_equal(ask_bearer(w, bearer, world_text(w, expression)), DL_GUARD_PASS);
    assert_int_equal(w->principal.role_count, 0);
  }
  assert_int_equal(ask_bearer(w, bearer, world_text(w, "token { sub = '7', roles = 'not admin', scope = { 'a', 'b' } }")), DL_GUARD_PASS);
  assert_int_equal(w->principal.role_count, 1);
  assert_true(dl_principal_has_role(&w->principal, DL_STR("not admin")) && !dl_principal_has_role(&w->principal, DL_STR("admin")));
  assert_int_equal(w->principal.scope_count, 2);
  const dl_guard *named = world_guard(w, "{ kind = 'bearer', keys = keys, lifetime = 900, roles_claim = 'groups', scope_claim = 'scp' }");
  assert_int_equal(ask_bearer(w, named, world_text(w, "token { sub = '7', roles = 'x', groups = 'y', scp = ' p  q ' }")), DL_GUARD_PASS);
  assert_true(dl_principal_has_role(&w->principal, DL_STR("y")) && !dl_principal_has_role(&w->principal, DL_STR("x")));
  assert_int_equal(w->principal.scope_count, 2);
}

static void a_token_may_come_in_the_cookie_that_is_named_for_it(void **state) {
  guard_world *w = *state;
  const dl_guard *both = world_guard(w, "{ kind = 'bearer', keys = keys, lifetime = 900, realm = 'users', cookie = 'access' }");
  const char *token = world_text(w, "token { sub = '7' }");
  char lines[4000];
  assert_int_equal(ask_bearer(w, both, token), DL_GUARD_PASS);
  snprintf(lines, sizeof(lines), "Cookie: a=b; access=%s\r\n", token);
  assert_int_equal(ask(w, both, lines), DL_GUARD_PASS);
  expect(w, ask(w, world_guard(w, "bearer"), lines), DL_GUARD_UNAUTHENTICATED, PLAIN, "no Authorization");
  snprintf(lines, sizeof(lines), "Cookie: access=%s; access=%s\r\n", token, token);
  expect(w, ask(w, both, lines), DL_GUARD_BAD_REQUEST, MALFORMED, "more than once");
  snprintf(lines, sizeof(lines), "Cookie: access=%s\r\nCookie: access=%s\r\n", token, token);
  expect(w, ask(w, both, lines), DL_GUARD_BAD_REQUEST, MALFORMED, "more than once");
  snprintf(lines, sizeof(lines), "Cookie: access=%s\r\nAuthorization: Bearer %s\r\n", token, token);
  expect(w, ask(w, both, lines), DL_GUARD_BAD_REQUEST, MALFORMED, "another in a cookie");
  snprintf(lines, sizeof(lines), "Cookie: access=%s\r\nAuthorization: Basic YTpi\r\n", token);
  assert_int_equal(ask(w, both, lines), DL_GUARD_PASS);
  expect(w, ask(w, both, "Cookie: access=\r\n"), DL_GUARD_UNAUTHENTICATED, INVALID, "three parts");
  expect(w, ask(w, both, "Cookie: access\r\n"), DL_GUARD_BAD_REQUEST, MALFORMED, "cannot be read");
  expect(w, ask(w, both, "Cookie: Access=x\r\n"), DL_GUARD_UNAUTHENTICATED, PLAIN, "no Authorization");
}

static void ten_thousand_mutated_tokens_are_refused(void **state) {
  guard_world *w = *state;
  const dl_guard *bearer = world_guard(w, "bearer");
  const char *token = world_text(w, "token { sub = '7', roles = { 'admin' } }");
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  size_t length = strlen(token);
  char *mutated = malloc(length + 1);
  assert_int_equal(ask_bearer(w, bearer, token), DL_GUARD_PASS);
  srand(1);
  for (int i = 0; i < 10000; i++) {
    memcpy(mutated, token, length + 1);
    for (int changes = 1 + rand() % 3; changes > 0; changes--) mutated[(size_t)rand() % length] = letters[rand() % 64];
    if (strcmp(mutated, token) == 0) continue;
    assert_int_equal(ask_bearer(w, bearer, mutated), DL_GUARD_UNAUTHENTICATED);
    assert_str(w->context.challenge, INVALID);
    assert_true(w->principal.guard.len == 0 && !w->principal.claims);
  }
  free(mutated);
}

static void a_principal_is_a_table_in_lua(void **state) {
  guard_world *w = *state;
  lua_State *L = dl_lua_state(w->lua);
  const char *token = world_text(w, "token { sub = '7', roles = { 'admin' }, big = 5e17, staff = false, nested = { a = { 1, 2 } } }");
  assert_int_equal(ask_bearer(w, world_guard(w, "bearer"), token), DL_GUARD_PASS);
  dl_principal_push(L, &w->principal, true);
  lua_setglobal(L, "p");
  world_run(w, "assert(p.guard == 'bearer' and p.subject == '7' and p.name == nil and p.issuer == nil and p.roles[1] == 'admin' and #p.roles == 1)"
               " assert(#p.scopes == 0 and getmetatable(p.scopes) == core.array_type and p.claims.sub == '7' and p.claims.nested.a[2] == 2 and "
               "p.claims.staff == false)"
               " assert(p.claims.exp == 1800000600)");
  static const char *const names[] = {"guard", "subject", "issuer", "name", "roles", "scopes", "claims"};
  for (size_t i = 0; i < 7; i++) {
    assert_true(dl_principal_push_field(L, &w->principal, dl_str_of(names[i])));
    lua_setglobal(L, "one");
    lua_pushstring(L, names[i]);
    lua_setglobal(L, "name");
    world_run(w, "assert(type(one) == type(p[name]) and (type(one) == 'table' or one == p[name]), name)");
  }
  assert_false(dl_principal_push_field(L, &w->principal, DL_STR("token")));
  lua_settop(L, 0);
  dl_principal_push(L, &w->principal, false);
  lua_setglobal(L, "p");
  world_run(w, "assert(p.subject == '7' and p.claims == nil)");
  assert_true(dl_principal_push_field(L, &(dl_principal){.guard = DL_STR("api_key")}, DL_STR("claims")));
  assert_true(lua_isnil(L, -1));
  lua_settop(L, 0);
  dl_principal_push(L, &(dl_principal){0}, true);
  assert_true(lua_isnil(L, -1));
  lua_settop(L, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_good_token_says_who_it_is, open_world, close_world),
      cmocka_unit_test_setup_teardown(who_passes_a_guard_is_the_same_principal_wherever_it_stands, open_world, close_world),
      cmocka_unit_test_setup_teardown(the_same_subject_of_two_guards_is_two_principals, open_world, close_world),
      cmocka_unit_test_setup_teardown(the_scheme_is_case_insensitive_and_any_number_of_spaces_may_follow, open_world, close_world),
      cmocka_unit_test_setup_teardown(without_credentials_the_challenge_names_no_error, open_world, close_world),
      cmocka_unit_test_setup_teardown(another_scheme_is_no_credential_of_ours, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_field_broken_in_its_form_is_a_bad_request, open_world, close_world),
      cmocka_unit_test_setup_teardown(two_credentials_are_none_even_when_they_are_the_same, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_token_that_is_not_good_is_refused_with_the_same_words, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_public_key_is_no_secret_to_sign_with, open_world, close_world),
      cmocka_unit_test_setup_teardown(issuer_audience_and_leeway_are_the_guards_own, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_claim_that_is_no_list_of_names_gives_no_roles, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_token_may_come_in_the_cookie_that_is_named_for_it, open_world, close_world),
      cmocka_unit_test_setup_teardown(ten_thousand_mutated_tokens_are_refused, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_principal_is_a_table_in_lua, open_world, close_world),
  };
  return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
