/* SPDX-License-Identifier: MIT */
/* API keys, sessions, and guards made of guards. */
#include "guard_tests.h"

static dl_guard_result ask_with(guard_world *w, const dl_guard *guard, const char *format, const char *text) {
  char lines[8000];
  snprintf(lines, sizeof(lines), format, text);
  return ask(w, guard, lines);
}

#define PLAIN "WWW-Authenticate: Bearer realm=\"users\"\r\n"
#define INVALID "WWW-Authenticate: Bearer realm=\"users\", error=\"invalid_token\"\r\n"
#define MALFORMED "WWW-Authenticate: Bearer realm=\"users\", error=\"invalid_request\"\r\n"
#define KEY "WWW-Authenticate: APIKey header=\"X-API-Key\"\r\n"
#define SESSION "WWW-Authenticate: Cookie cookie-name=\"__Host-session\"\r\n"

static void public_lets_everybody_pass_and_finds_nobody(void **state) {
  guard_world *w = *state;
  const dl_guard *open = world_guard(w, "{ kind = 'public' }");
  assert_true(dl_guard_is_public(open));
  assert_false(dl_guard_is_public(world_guard(w, "bearer")));
  assert_int_equal(ask(w, open, "Authorization: @\r\n"), DL_GUARD_PASS);
  assert_int_equal(w->principal.guard.len, 0);
  assert_int_equal(dl_principal_key(&w->principal, &w->arena).len, 0);
}

static void a_resource_is_named_in_every_challenge_of_its_bearer(void **state) {
  guard_world *w = *state;
#define METADATA "https://api.example/.well-known/oauth-protected-resource"
  const dl_guard *guard = world_guard(w, "{ kind = 'bearer', keys = keys, lifetime = 900, resource_metadata = '" METADATA "' }");
  expect(w, ask(w, guard, ""), DL_GUARD_UNAUTHENTICATED, "WWW-Authenticate: Bearer realm=\"api\", resource_metadata=\"" METADATA "\"\r\n", "no Auth");
  expect(w, ask(w, guard, "Authorization: Bearer x\r\n"), DL_GUARD_UNAUTHENTICATED,
         "WWW-Authenticate: Bearer realm=\"api\", error=\"invalid_token\", resource_metadata=\"" METADATA "\"\r\n", "");
  assert_null(world_guard(w, "{ kind = 'bearer', keys = keys, lifetime = 900, resource_metadata = 'a\"b' }"));
}

/* --- API keys ---------------------------------------------------------------------------- */

static void any_of_the_keys_passes_under_its_own_name(void **state) {
  guard_world *w = *state;
  const dl_guard *guard = world_guard(w, "api_key");
  assert_int_equal(ask(w, guard, "x-api-KEY: the new key\r\n"), DL_GUARD_PASS);
  assert_str(w->principal.guard, "api_key");
  assert_str(w->principal.name, "new");
  assert_str(w->principal.subject, "");
  assert_true(dl_principal_has_role(&w->principal, DL_STR("service")) && dl_principal_has_scope(&w->principal, DL_STR("write")));
  assert_str(dl_principal_key(&w->principal, &w->arena), "api_key:0::new");
  assert_int_equal(ask(w, guard, "X-API-Key: the old key\r\n"), DL_GUARD_PASS);
  assert_str(w->principal.name, "old");
  assert_int_equal(w->principal.scope_count, 0);
}

static void a_key_ends_at_its_expiry_and_the_others_go_on(void **state) {
  guard_world *w = *state;
  const dl_guard *guard = world_guard(w, "api_key");
  w->context.now_s = 1800000099;
  assert_int_equal(ask(w, guard, "X-API-Key: the old key\r\n"), DL_GUARD_PASS);
  w->context.now_s = 1800000100;
  expect(w, ask(w, guard, "X-API-Key: the old key\r\n"), DL_GUARD_UNAUTHENTICATED, KEY, "expired");
  assert_int_equal(ask(w, guard, "X-API-Key: the new key\r\n"), DL_GUARD_PASS);
}

static void a_key_whose_end_is_past_never_lets_in(void **state) {
  guard_world *w = *state;
  static const char *const moments[] = {"0", "0.9", "1", "1799999999"};
  for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
    char expression[256];
    snprintf(expression, sizeof(expression),
             "{ kind = 'api_key', header = 'X-API-Key', keys = { { name = 'a', digest = core.sha256_hex 'the old key', expires = %s } } }",
             moments[i]);
    expect(w, ask(w, world_guard(w, expression), "X-API-Key: the old key\r\n"), DL_GUARD_UNAUTHENTICATED, KEY, "expired");
  }
}

static void what_is_no_key_is_refused_with_the_same_words(void **state) {
  guard_world *w = *state;
  const dl_guard *guard = world_guard(w, "api_key");
  char expression[3000], lines[3000];
  memset(expression, 'k', sizeof(expression));
  snprintf(lines, sizeof(lines), "X-API-Key: %.1025s\r\n", expression);
  expect(w, ask(w, guard, ""), DL_GUARD_UNAUTHENTICATED, KEY, "not there");
  expect(w, ask(w, guard, "X-API-Key:\r\n"), DL_GUARD_UNAUTHENTICATED, KEY, "empty");
  expect(w, ask(w, guard, "X-API-Key: the new ke\r\n"), DL_GUARD_UNAUTHENTICATED, KEY, "none of ours");
  expect(w, ask(w, guard, "X-API-Key: the new keys\r\n"), DL_GUARD_UNAUTHENTICATED, KEY, "none of ours");
  expect(w, ask(w, guard, lines), DL_GUARD_UNAUTHENTICATED, KEY, "too long");
  expect(w, ask_with(w, guard, "X-API-Key: %s\r\n", world_text(w, "api_key.keys[1].digest")), DL_GUARD_UNAUTHENTICATED, KEY, "none of ours");
  expect(w, ask(w, guard, "Cookie: X-API-Key=the new key\r\n"), DL_GUARD_UNAUTHENTICATED, KEY, "not there");
  expect(w, ask(w, guard, "Authorization: the new key\r\n"), DL_GUARD_UNAUTHENTICATED, KEY, "not there");
  expect(w, ask(w, guard, "X-API-Key: the new key\r\nX-Api-Key: the new key\r\n"), DL_GUARD_BAD_REQUEST, KEY, "more than once");
  expect(w, ask(w, guard, "X-API-Key: the new key\r\nX-Api-Key:\r\n"), DL_GUARD_BAD_REQUEST, KEY, "more than once");
}

static void a_key_may_come_in_a_cookie(void **state) {
  guard_world *w = *state;
  const dl_guard *guard = world_guard(w, "{ kind = 'api_key', cookie = 'key', keys = { { name = 'a', digest = core.sha256_hex 'k' } } }");
  assert_int_equal(ask(w, guard, "Cookie: key=k\r\n"), DL_GUARD_PASS);
  expect(w, ask(w, guard, "key: k\r\n"), DL_GUARD_UNAUTHENTICATED, "WWW-Authenticate: APIKey cookie=\"key\"\r\n", "no Cookie");
}

/* --- API keys that a store knows ------------------------------------------------------------- */

#define A_KEY "X-API-Key: key_0123456789ab\r\n"

/* A guard whose find does not matter, for it is answered here. */
static const dl_guard *stored_guard(guard_world *w, const char *format) {
  char expression[600];
  world_run(w, "stored = stored or { kind = 'api_key', header = 'X-API-Key', find = function() end, place = 'X-API-Key/1' }");
  snprintf(expression, sizeof(expression), format, "stored");
  const dl_guard *guard = world_guard(w, expression);
  if (!guard) fail_msg("%s", w->error);
  return guard;
}

/* What find gives, and what the guard says then. False: find gave what is no answer. */
static bool answer_key(guard_world *w, const dl_guard *guard, const char *values, dl_guard_result *result) {
  lua_State *L = dl_lua_state(w->lua);
  lua_pushfstring(L, "return %s", values);
  if (luaL_dostring(L, lua_tostring(L, -1))) world_broken(lua_tostring(L, -1));
  bool taken = dl_guard_take_key(&w->context, L, 2);
  lua_settop(L, 0);
  *result = dl_guard_check(guard, &w->context, &w->principal);
  return taken;
}

static void a_store_is_asked_by_the_digest_and_says_whose_a_key_is(void **state) {
  guard_world *w = *state;
  dl_guard_result result;
  const dl_guard *guard = stored_guard(w, "%s");
  assert_int_equal(ask(w, guard, A_KEY), DL_GUARD_ASK);
  assert_str(w->context.key.digest, world_text(w, "core.sha256_hex 'key_0123456789ab'"));
  assert_int_equal(w->principal.guard.len, 0);
  assert_true(answer_key(w, guard, "'1a', 'ada', { 'user', 'admin' }, { 'read' }", &result));
  assert_int_equal(result, DL_GUARD_PASS);
  assert_str(w->principal.guard, "api_key");
  assert_str(w->principal.name, "1a");
  assert_str(w->principal.subject, "ada");
  assert_true(dl_principal_has_role(&w->principal, DL_STR("admin")) && dl_principal_has_scope(&w->principal, DL_STR("read")));
  assert_false(w->context.ambient);
  /* By whose it is, so that many keys are no more than one; and it is nobody's whom another guard calls ada. */
  assert_str(dl_principal_key(&w->principal, &w->arena), "api_key#X-API-Key/1:0::ada");
  assert_str(dl_principal_name_key(&w->principal, &w->arena), "api_key#X-API-Key/1:0::1a");
  assert_int_equal(ask(w, guard, A_KEY), DL_GUARD_ASK);
  assert_true(answer_key(w, guard, "'1a', 'ada\\0x', {}, {}", &result)); /* whose name only begins as hers */
  assert_int_equal(dl_principal_key(&w->principal, &w->arena).len, sizeof("api_key#X-API-Key/1:0::ada.x") - 1);
}

static void who_lacks_a_role_is_nobody_while_a_store_is_asked(void **state) {
  guard_world *w = *state;
  dl_guard_result result;
  world_run(w, "own = { kind = 'api_key', header = 'X-Own', keys = { { name = 'service', digest = core.sha256_hex 'a key of our own' } } }");
  const dl_guard *guard = stored_guard(w, "{ kind = 'any', members = { { kind = 'role', names = 'admin', member = own }, %s } }");
  assert_int_equal(ask(w, guard, "X-Own: a key of our own\r\n" A_KEY), DL_GUARD_ASK);
  assert_int_equal(w->principal.guard.len, 0);
  answer_key(w, guard, "nil", &result);
  assert_int_equal(result, DL_GUARD_FORBIDDEN);
  assert_str(w->principal.name, "service");
}

static void a_key_that_the_store_does_not_know_is_nobodys(void **state) {
  guard_world *w = *state;
  dl_guard_result result;
  static const char *const wrong[] = {"5", "'1a'", "'1a', 'ada'", "'1a', 'ada', {}", "'', 'ada', {}, {}", "'1a', '', {}, {}", "'1a', 7, {}, {}", "{}",
                                      "true", "'1a', 'ada', { 5 }, {}", "'1a', 'ada', { 5, 'admin' }, {}", "'1a', 'ada', {}, { 'read', false }",
                                      "'1a', 'ada', {}, { false, 'read' }", "'1a', 'ada', 'admin', {}"};
  const dl_guard *guard = stored_guard(w, "%s");
  assert_int_equal(ask(w, guard, A_KEY), DL_GUARD_ASK);
  assert_true(answer_key(w, guard, "nil", &result));
  expect(w, result, DL_GUARD_UNAUTHENTICATED, KEY, "none that the store knows");
  assert_int_equal(ask(w, guard, A_KEY), DL_GUARD_ASK);
  assert_true(answer_key(w, guard, "", &result));
  expect(w, result, DL_GUARD_UNAUTHENTICATED, KEY, "none that the store knows");
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
    assert_int_equal(ask(w, guard, A_KEY), DL_GUARD_ASK);
    if (answer_key(w, guard, wrong[i], &result)) fail_msg("%s was taken for an answer", wrong[i]);
    assert_int_equal(result, DL_GUARD_UNAUTHENTICATED);
    assert_int_equal(w->principal.guard.len, 0);
  }
}

static void no_store_is_asked_about_what_cannot_be_a_key(void **state) {
  guard_world *w = *state;
  const dl_guard *guard = stored_guard(w, "%s");
  char lines[1100];
  snprintf(lines, sizeof(lines), "X-API-Key: %01025d\r\n", 7);
  expect(w, ask(w, guard, ""), DL_GUARD_UNAUTHENTICATED, KEY, "not there");
  expect(w, ask(w, guard, "X-API-Key:\r\n"), DL_GUARD_UNAUTHENTICATED, KEY, "empty");
  expect(w, ask(w, guard, "X-API-Key: 0123456789abcde\r\n"), DL_GUARD_UNAUTHENTICATED, KEY, "too short");
  expect(w, ask(w, guard, lines), DL_GUARD_UNAUTHENTICATED, KEY, "too long");
  expect(w, ask(w, guard, A_KEY A_KEY), DL_GUARD_BAD_REQUEST, KEY, "more than once");
}

static void roles_and_other_guards_go_on_from_what_the_store_said(void **state) {
  guard_world *w = *state;
  dl_guard_result result;
  const dl_guard *any = stored_guard(w, "{ kind = 'any', members = { { kind = 'role', names = 'admin', member = %s }, { kind = 'scope', names = "
                                        "'read', member = stored }, { kind = 'any', members = { stored, bearer } } } }");
  const dl_guard *admin = stored_guard(w, "{ kind = 'role', names = 'admin', member = %s }");
  char lines[2000];
  assert_int_equal(ask(w, admin, A_KEY), DL_GUARD_ASK);
  answer_key(w, admin, "'1a', 'ada', { 'user' }, {}", &result);
  expect(w, result, DL_GUARD_FORBIDDEN, "", "has not the role");
  assert_str(w->principal.subject, "ada");
  assert_int_equal(ask(w, any, A_KEY), DL_GUARD_ASK);
  answer_key(w, any, "'1a', 'ada', { 'user' }, {}", &result);
  assert_int_equal(result, DL_GUARD_PASS);
  snprintf(lines, sizeof(lines), A_KEY "Authorization: Bearer %s\r\n", world_text(w, "token { sub = '7' }"));
  assert_int_equal(ask(w, any, lines), DL_GUARD_ASK);
  answer_key(w, any, "nil", &result);
  assert_int_equal(result, DL_GUARD_PASS);
  assert_str(w->principal.guard, "bearer");
  assert_int_equal(ask(w, any, "Authorization: Bearer bad\r\n"), DL_GUARD_UNAUTHENTICATED);
}

/* --- sessions ------------------------------------------------------------------------------ */

static dl_guard_result ask_session(guard_world *w, const char *purpose, const char *plain) {
  char expression[2000];
  snprintf(expression, sizeof(expression), "sealer:seal('%s', [==[%s]==])", purpose, plain);
  return ask_with(w, world_guard(w, "session"), "Cookie: a=b; __Host-session=%s\r\n", world_text(w, expression));
}

static void a_sealed_session_says_who_it_is(void **state) {
  guard_world *w = *state;
  assert_int_equal(ask_session(w, "__Host-session", "{\"sub\":\"7\",\"exp\":1800003630,\"roles\":[\"admin\"],\"scopes\":[\"read\"],\"cart\":[1]}"),
                   DL_GUARD_PASS);
  assert_int_equal(ask_session(w, "__Host-session", "{\"sub\":\"7\",\"exp\":1800000000.5,\"roles\":[\"admin\"],\"scopes\":\"read\",\"cart\":[1]}"),
                   DL_GUARD_PASS);
  assert_str(w->principal.guard, "session");
  assert_str(w->principal.subject, "7");
  assert_true(dl_principal_has_role(&w->principal, DL_STR("admin")) && dl_principal_has_scope(&w->principal, DL_STR("read")));
  assert_int_equal(w->principal.claims->len, 5);
}

static void a_session_that_is_not_ours_or_not_now_is_refused(void **state) {
  guard_world *w = *state;
  const dl_guard *guard = world_guard(w, "session");
  static const struct {
    const char *plain, *word;
  } bad[] = {
      {"{\"sub\":\"7\",\"exp\":1800000000}", "expired"},
      {"{\"sub\":\"7\",\"exp\":1800003631}", "lifetime"},
      {"{\"sub\":\"7\"}", "no exp"},
      {"{\"sub\":\"7\",\"exp\":\"1800000600\"}", "no exp"},
      {"{\"sub\":\"7\",\"exp\":true}", "no exp"},
      {"{\"sub\":\"7\",\"exp\":1799999999.5}", "expired"},
      {"{\"sub\":\"7\",\"exp\":1e300}", "lifetime"},
      {"{\"exp\":1800000600}", "no sub"},
      {"{\"sub\":7,\"exp\":1800000600}", "no sub"},
      {"[]", "no JSON object"},
      {"", "no JSON object"},
      {"{\"sub\":\"7\",\"sub\":\"8\",\"exp\":1800000600}", "no JSON object"},
  };
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
    expect(w, ask_session(w, "__Host-session", bad[i].plain), DL_GUARD_UNAUTHENTICATED, SESSION, bad[i].word);
  expect(w, ask_session(w, "refresh", "{\"sub\":\"7\",\"exp\":1800000600}"), DL_GUARD_UNAUTHENTICATED, SESSION, "not sealed by us");
  expect(w, ask(w, guard, "Cookie: __Host-session=abc\r\n"), DL_GUARD_UNAUTHENTICATED, SESSION, "not sealed by us");
  expect(w, ask(w, guard, "Cookie: __Host-session=\r\n"), DL_GUARD_UNAUTHENTICATED, SESSION, "not sealed by us");
  expect(w, ask(w, guard, "Cookie: a=b\r\n"), DL_GUARD_UNAUTHENTICATED, SESSION, "not there");
  expect(w, ask(w, guard, "Cookie: __Host-session=a; __Host-session=a\r\n"), DL_GUARD_BAD_REQUEST, SESSION, "more than once");
}

/* --- any --------------------------------------------------------------------------------------- */

static void any_takes_the_first_that_passes_and_names_every_way_when_none_does(void **state) {
  guard_world *w = *state;
  const dl_guard *any = world_guard(w, "{ kind = 'any', members = { bearer, api_key, session } }");
  const char *token = world_text(w, "token { sub = '7' }");
  assert_int_equal(ask_with(w, any, "Authorization: Bearer %s\r\n", token), DL_GUARD_PASS);
  assert_str(w->principal.guard, "bearer");
  assert_int_equal(ask_with(w, any, "X-API-Key: the new key\r\nAuthorization: Bearer %s\r\n", token), DL_GUARD_PASS);
  assert_str(w->principal.guard, "bearer");
  assert_int_equal(ask(w, any, "X-API-Key: the new key\r\n"), DL_GUARD_PASS);
  assert_str(w->principal.guard, "api_key");
  assert_int_equal(ask(w, any, "X-API-Key: the new key\r\nAuthorization: Bearer bad\r\n"), DL_GUARD_PASS);
  assert_str(w->principal.guard, "api_key");
  expect(w, ask(w, any, ""), DL_GUARD_UNAUTHENTICATED, PLAIN KEY SESSION, "no Authorization");
  expect(w, ask(w, any, "X-API-Key: bad\r\n"), DL_GUARD_UNAUTHENTICATED, PLAIN KEY SESSION, "none of ours");
  expect(w, ask(w, any, "Authorization: Bearer bad\r\n"), DL_GUARD_UNAUTHENTICATED, INVALID KEY SESSION, "three parts");
  expect(w, ask(w, any, "X-API-Key: the new key\r\nAuthorization: Bearer a b\r\n"), DL_GUARD_BAD_REQUEST, MALFORMED KEY SESSION, "more than one");
}

static void two_ways_with_one_challenge_are_named_once(void **state) {
  guard_world *w = *state;
  const dl_guard *any =
      world_guard(w, "{ kind = 'any', members = { bearer, { kind = 'bearer', keys = ed, lifetime = 900, realm = 'users' }, bearer } }");
  expect(w, ask(w, any, ""), DL_GUARD_UNAUTHENTICATED, PLAIN, "no Authorization");
  assert_int_equal(ask_with(w, any, "Authorization: Bearer %s\r\n", world_text(w, "token({ sub = '7' }, ed)")), DL_GUARD_PASS);
}

/* --- roles and scopes ---------------------------------------------------------------------------- */

static void a_role_that_lacks_forbids_and_says_who_it_was(void **state) {
  guard_world *w = *state;
  const dl_guard *admin = world_guard(w, "{ kind = 'role', names = { 'admin', 'owner' }, member = bearer }");
  assert_int_equal(ask_with(w, admin, "Authorization: Bearer %s\r\n", world_text(w, "token { sub = '7', roles = { 'owner' } }")), DL_GUARD_PASS);
  expect(w, ask_with(w, admin, "Authorization: Bearer %s\r\n", world_text(w, "token { sub = '8', roles = { 'Admin', 'admin ' } }")),
         DL_GUARD_FORBIDDEN, "", "role");
  assert_str(w->principal.subject, "8");
  expect(w, ask(w, admin, ""), DL_GUARD_UNAUTHENTICATED, PLAIN, "no Authorization");
  expect(w, ask(w, admin, "Authorization: Bearer bad\r\n"), DL_GUARD_UNAUTHENTICATED, INVALID, "three parts");
  const dl_guard *both = world_guard(w, "{ kind = 'role', names = { 'admin', 'owner' }, all = true, member = bearer }");
  expect(w, ask_with(w, both, "Authorization: Bearer %s\r\n", world_text(w, "token { sub = '7', roles = { 'owner' } }")), DL_GUARD_FORBIDDEN, "",
         "role");
  assert_int_equal(ask_with(w, both, "Authorization: Bearer %s\r\n", world_text(w, "token { sub = '7', roles = { 'owner', 'admin' } }")),
                   DL_GUARD_PASS);
}

static void a_scope_that_lacks_is_named_to_who_came_with_a_token(void **state) {
  guard_world *w = *state;
  const dl_guard *scoped =
      world_guard(w, "{ kind = 'scope', names = { 'read', 'write' }, all = true, member = { kind = 'any', members = { api_key, bearer } } }");
  const char *narrow = world_text(w, "token { sub = '7', scope = 'read' }");
  expect(w, ask_with(w, scoped, "Authorization: Bearer %s\r\n", narrow), DL_GUARD_FORBIDDEN,
         "WWW-Authenticate: Bearer realm=\"users\", error=\"insufficient_scope\", scope=\"read write\"\r\n", "scope");
  assert_int_equal(ask_with(w, scoped, "Authorization: Bearer %s\r\n", world_text(w, "token { sub = '7', scope = 'write read' }")), DL_GUARD_PASS);
  assert_int_equal(ask(w, scoped, "X-API-Key: the new key\r\n"), DL_GUARD_PASS);
  expect(w, ask(w, scoped, "X-API-Key: the old key\r\n"), DL_GUARD_FORBIDDEN, "", "scope");
  expect(w, ask(w, scoped, ""), DL_GUARD_UNAUTHENTICATED, KEY PLAIN, "field is not there");
}

static void of_several_ways_the_strongest_refusal_is_answered(void **state) {
  guard_world *w = *state;
  const dl_guard *any = world_guard(w, "{ kind = 'any', members = { { kind = 'role', names = 'admin', member = bearer }, api_key } }");
  const char *token = world_text(w, "token { sub = '7' }");
  expect(w, ask_with(w, any, "Authorization: Bearer %s\r\n", token), DL_GUARD_FORBIDDEN, "", "role");
  assert_str(w->principal.subject, "7");
  expect(w, ask_with(w, any, "X-API-Key: bad\r\nAuthorization: Bearer %s\r\n", token), DL_GUARD_FORBIDDEN, "", "role");
  assert_int_equal(ask_with(w, any, "X-API-Key: the new key\r\nAuthorization: Bearer %s\r\n", token), DL_GUARD_PASS);
  assert_str(w->principal.name, "new");
  assert_str(w->principal.subject, "");
  const dl_guard *stacked = world_guard(w, "{ kind = 'role', names = 'admin', member = { kind = 'scope', names = 'read', member = bearer } }");
  expect(w, ask_with(w, stacked, "Authorization: Bearer %s\r\n", token), DL_GUARD_FORBIDDEN,
         "WWW-Authenticate: Bearer realm=\"users\", error=\"insufficient_scope\", scope=\"read\"\r\n", "scope");
  expect(w, ask_with(w, stacked, "Authorization: Bearer %s\r\n", world_text(w, "token { sub = '7', scope = 'read' }")), DL_GUARD_FORBIDDEN, "",
         "role");
}

/* --- as apps write them ------------------------------------------------------------------------------ */

static void what_apps_declare_compiles_and_passes_what_it_issues(void **state) {
  guard_world *w = *state;
  w->context.now_s = w->loop.clock.wall_ms / 1000; /* issued by the loop's clock */
  world_run(w,
            "guard = require 'demilune'.guard\n"
            "app_bearer = guard.bearer { secret = core.secret(core.random(32)), algorithms = { 'HS256' }, lifetime = '15m', roles = { 'admin' } }\n"
            "app_session = guard.session { secret = core.secret(core.random(32)), lifetime = '8h' }\n"
            "app_key = guard.api_key { keys = { billing = { digest = core.sha256_hex 'the new key', roles = { 'admin' } } } }\n"
            "app_any = guard.role('admin', guard.any { app_bearer, app_session, app_key })\n");
  const dl_guard *any = world_guard(w, "app_any");
  if (!any) fail_msg("%s", w->error);
  assert_int_equal(ask_with(w, any, "Authorization: Bearer %s\r\n", world_text(w, "app_bearer:issue { subject = 7, roles = { 'admin' } }")),
                   DL_GUARD_PASS);
  assert_str(w->principal.subject, "7");
  assert_int_equal(ask_with(w, any, "Cookie: %s\r\n", world_text(w, "app_session:issue({ subject = 8, roles = { 'admin' } }):match '^[^;]+'")),
                   DL_GUARD_PASS);
  assert_str(w->principal.subject, "8");
  assert_int_equal(ask(w, any, "X-API-Key: the new key\r\n"), DL_GUARD_PASS);
  assert_str(w->principal.name, "billing");
  assert_int_equal(ask_with(w, any, "Authorization: Bearer %s\r\n", world_text(w, "app_bearer:issue { subject = 7 }")), DL_GUARD_FORBIDDEN);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(public_lets_everybody_pass_and_finds_nobody, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_resource_is_named_in_every_challenge_of_its_bearer, open_world, close_world),
      cmocka_unit_test_setup_teardown(any_of_the_keys_passes_under_its_own_name, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_key_ends_at_its_expiry_and_the_others_go_on, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_key_whose_end_is_past_never_lets_in, open_world, close_world),
      cmocka_unit_test_setup_teardown(what_is_no_key_is_refused_with_the_same_words, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_key_may_come_in_a_cookie, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_store_is_asked_by_the_digest_and_says_whose_a_key_is, open_world, close_world),
      cmocka_unit_test_setup_teardown(who_lacks_a_role_is_nobody_while_a_store_is_asked, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_key_that_the_store_does_not_know_is_nobodys, open_world, close_world),
      cmocka_unit_test_setup_teardown(no_store_is_asked_about_what_cannot_be_a_key, open_world, close_world),
      cmocka_unit_test_setup_teardown(roles_and_other_guards_go_on_from_what_the_store_said, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_sealed_session_says_who_it_is, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_session_that_is_not_ours_or_not_now_is_refused, open_world, close_world),
      cmocka_unit_test_setup_teardown(any_takes_the_first_that_passes_and_names_every_way_when_none_does, open_world, close_world),
      cmocka_unit_test_setup_teardown(two_ways_with_one_challenge_are_named_once, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_role_that_lacks_forbids_and_says_who_it_was, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_scope_that_lacks_is_named_to_who_came_with_a_token, open_world, close_world),
      cmocka_unit_test_setup_teardown(what_apps_declare_compiles_and_passes_what_it_issues, open_world, close_world),
      cmocka_unit_test_setup_teardown(of_several_ways_the_strongest_refusal_is_answered, open_world, close_world),
  };
  return cmocka_run_group_tests_name("guard kinds", tests, NULL, NULL);
}
