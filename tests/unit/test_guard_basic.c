/* SPDX-License-Identifier: MIT */
/* Basic credentials (RFC 7617): what is read of them, and a password that is verified on the way. */
#include "guard_tests.h"

/* Argon2id of "open sesame" at a cost too low for anything but tests. */
static const char *basic_description(void) {
  static char stored[DL_PASSWORD_TEXT], expression[500];
  static const dl_password_cost low = {64, 1, 1};
  assert_int_equal(dl_password_hash(DL_STR("open sesame"), &low, stored), DL_PASSWORD_OK);
  snprintf(expression, sizeof(expression), "{ kind = 'basic', realm = 'ops', users = { ali = '%s' }, roles = { 'ops' } }", stored);
  return expression;
}

static const dl_guard *basic_guard(guard_world *w) { return world_guard(w, basic_description()); }

/* What the pipeline does once the guard waits: verifies what it asks for, then asks again. */
static dl_guard_result answer(guard_world *w, const dl_guard *guard) {
  w->context.password.answer = dl_password_verify(w->context.password.stored, w->context.password.presented);
  w->context.password.answered = true;
  return dl_guard_check(guard, &w->context, &w->principal);
}

static dl_guard_result ask_basic(guard_world *w, const dl_guard *guard, const char *credentials) {
  char lines[500];
  snprintf(lines, sizeof(lines), "Authorization: Basic %s\r\n", credentials);
  dl_guard_result result = ask(w, guard, lines);
  return result == DL_GUARD_WAIT ? answer(w, guard) : result;
}

#define BASIC "WWW-Authenticate: Basic realm=\"ops\", charset=\"UTF-8\"\r\n"

static void a_right_password_passes_and_is_remembered_for_a_minute(void **state) {
  guard_world *w = *state;
  const dl_guard *guard = basic_guard(w);
  assert_int_equal(ask(w, guard, "Authorization: Basic YWxpOm9wZW4gc2VzYW1l\r\n"), DL_GUARD_WAIT);
  assert_str(w->context.password.presented, "open sesame");
  assert_int_equal(ask_basic(w, guard, "YWxpOm9wZW4gc2VzYW1l"), DL_GUARD_PASS);
  assert_str(w->principal.subject, "ali");
  assert_true(dl_principal_has_role(&w->principal, DL_STR("ops")));
  assert_int_equal(ask(w, guard, "Authorization: basic YWxpOm9wZW4gc2VzYW1l\r\n"), DL_GUARD_PASS);
  assert_str(w->principal.subject, "ali");
  w->context.now_s += DL_TOKEN_CACHE_S;
  assert_int_equal(ask(w, guard, "Authorization: Basic YWxpOm9wZW4gc2VzYW1l\r\n"), DL_GUARD_WAIT);
}

static void a_wrong_password_and_a_user_that_is_none_are_refused_alike(void **state) {
  guard_world *w = *state;
  const dl_guard *guard = basic_guard(w);
  expect(w, ask_basic(w, guard, "YWxpOm9wZW4gc2VzYW1"), DL_GUARD_UNAUTHENTICATED, BASIC, "base64");
  expect(w, ask_basic(w, guard, "YWxpOm9wZW4gc2VzYW1m"), DL_GUARD_UNAUTHENTICATED, BASIC, "wrong");
  /* "bob:open sesame": his password is compared with ali's, and would be right. */
  assert_int_equal(ask(w, guard, "Authorization: Basic Ym9iOm9wZW4gc2VzYW1l\r\n"), DL_GUARD_WAIT);
  expect(w, ask_basic(w, guard, "Ym9iOm9wZW4gc2VzYW1l"), DL_GUARD_UNAUTHENTICATED, BASIC, "no such user");
  expect(w, ask_basic(w, guard, "YWxp"), DL_GUARD_UNAUTHENTICATED, BASIC, "base64");
  expect(w, ask_basic(w, guard, "YWxpOg"), DL_GUARD_UNAUTHENTICATED, BASIC, "base64");
  expect(w, ask_basic(w, guard, "YWxpOg=="), DL_GUARD_UNAUTHENTICATED, BASIC, "wrong");
  expect(w, ask(w, guard, "Authorization: Basic\r\n"), DL_GUARD_BAD_REQUEST, BASIC, "nothing behind");
  expect(w, ask(w, guard, ""), DL_GUARD_UNAUTHENTICATED, BASIC, "no Authorization");
}

static void what_is_no_base64_of_a_name_and_a_password_is_verified_for_nobody(void **state) {
  guard_world *w = *state;
  const dl_guard *guard = basic_guard(w);
  char lines[3000], credentials[2100];
  /* "ali:open sesame" with a foreign letter, without a colon, of padding alone, and with padding in its middle */
  static const char *const bad[] = {"YWxpOm9wZW4gc2VzYW1*", "YWxpb3BlbnNlc2FtZQ==", "=", "==", "====", "A===", "YWxpOg==YWxpOg=="};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) expect(w, ask_basic(w, guard, bad[i]), DL_GUARD_UNAUTHENTICATED, BASIC, "base64");
  /* 2048 letters are looked at, more are not. */
  memset(credentials, 'Y', sizeof(credentials));
  memcpy(credentials, "YWxpOm9w", 8);
  snprintf(lines, sizeof(lines), "Authorization: Basic %.2048s\r\n", credentials);
  assert_int_equal(ask(w, guard, lines), DL_GUARD_WAIT);
  snprintf(lines, sizeof(lines), "Authorization: Basic %.2052s\r\n", credentials);
  expect(w, ask(w, guard, lines), DL_GUARD_UNAUTHENTICATED, BASIC, "base64");
}

static void a_password_that_could_not_be_verified_is_not_taken(void **state) {
  guard_world *w = *state;
  const dl_guard *guard = basic_guard(w);
  assert_int_equal(ask(w, guard, "Authorization: Basic YWxpOm9wZW4gc2VzYW1l\r\n"), DL_GUARD_WAIT);
  w->context.password.answer = DL_PASSWORD_FAILED;
  w->context.password.answered = true;
  expect(w, dl_guard_check(guard, &w->context, &w->principal), DL_GUARD_UNAUTHENTICATED, BASIC, "could not be verified");
  assert_int_equal(ask(w, guard, "Authorization: Basic YWxpOm9wZW4gc2VzYW1l\r\n"), DL_GUARD_WAIT);
}

static void without_a_cache_each_password_is_verified(void **state) {
  guard_world *w = *state;
  const dl_guard *guard = basic_guard(w);
  for (int i = 0; i < 2; i++) {
    assert_true(world_parse(w, DL_STR("Authorization: Basic YWxpOm9wZW4gc2VzYW1l\r\n")));
    w->context = (dl_guard_context){.request = &w->request, .arena = &w->arena, .now_s = NOW};
    assert_int_equal(dl_guard_check(guard, &w->context, &w->principal), DL_GUARD_WAIT);
    assert_int_equal(answer(w, guard), DL_GUARD_PASS);
    assert_str(w->principal.subject, "ali");
  }
}

static void among_several_ways_a_password_is_waited_for_only_when_none_before_it_passes(void **state) {
  guard_world *w = *state;
  char expression[700];
  snprintf(expression, sizeof(expression), "{ kind = 'any', members = { api_key, %s, bearer } }", basic_description());
  const dl_guard *any = world_guard(w, expression);
  assert_int_equal(ask(w, any, "Authorization: Basic YWxpOm9wZW4gc2VzYW1l\r\nX-API-Key: the new key\r\n"), DL_GUARD_PASS);
  assert_str(w->principal.guard, "api_key");
  assert_int_equal(ask(w, any, "Authorization: Basic YWxpOm9wZW4gc2VzYW1l\r\nX-API-Key: none\r\n"), DL_GUARD_WAIT);
  assert_int_equal(w->principal.guard.len, 0);
  assert_int_equal(answer(w, any), DL_GUARD_PASS);
  assert_str(w->principal.guard, "basic");
  assert_int_equal(ask(w, any, "Authorization: Basic YWxpOm9wZW4gc2VzYW1m\r\n"), DL_GUARD_WAIT);
  expect(w, answer(w, any), DL_GUARD_UNAUTHENTICATED,
         "WWW-Authenticate: APIKey header=\"X-API-Key\"\r\n" BASIC "WWW-Authenticate: Bearer realm=\"users\"\r\n", "wrong");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_right_password_passes_and_is_remembered_for_a_minute, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_wrong_password_and_a_user_that_is_none_are_refused_alike, open_world, close_world),
      cmocka_unit_test_setup_teardown(what_is_no_base64_of_a_name_and_a_password_is_verified_for_nobody, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_password_that_could_not_be_verified_is_not_taken, open_world, close_world),
      cmocka_unit_test_setup_teardown(without_a_cache_each_password_is_verified, open_world, close_world),
      cmocka_unit_test_setup_teardown(among_several_ways_a_password_is_waited_for_only_when_none_before_it_passes, open_world, close_world),
  };
  return cmocka_run_group_tests_name("guard basic", tests, NULL, NULL);
}
