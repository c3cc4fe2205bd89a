/* SPDX-License-Identifier: MIT */
/* The cache of verified tokens: what it finds, for whom, until when, and what it forgets. */
#include "unit.h"

#include "guard/internal.h"
#include "guard_tests.h"

static uint64_t hits(guard_world *w) { return dl_token_cache_hits(w->tokens); }

static void put(guard_world *w, uint64_t hash, uint64_t tag, const char *token, const char *subject) {
  dl_token_cache_put(w->tokens, hash, tag, dl_str_of(token), NOW, NOW + 60,
                     &(dl_principal){.guard = DL_STR("bearer"), .subject = dl_str_of(subject)});
}

static bool get(guard_world *w, uint64_t hash, uint64_t tag, const char *token, int64_t now_s, dl_principal *out) {
  return dl_token_cache_get(w->tokens, hash, tag, dl_str_of(token), now_s, &w->arena, out);
}

static void a_token_seen_before_is_the_same_principal_without_a_signature(void **state) {
  guard_world *w = *state;
  const dl_guard *bearer = world_guard(w, "bearer");
  const char *token =
      world_text(w, "token { sub = '7', iss = 'me', roles = { 'admin' }, scope = 'a b', list = { 1, 2.5, true, core.null, 'x' }, empty = '' }");
  assert_int_equal(ask_bearer(w, bearer, token), DL_GUARD_PASS);
  assert_int_equal(hits(w), 0);
  dl_buffer first = {0}, second = {0};
  dl_value_write(&first, w->principal.claims);
  for (int i = 1; i <= 3; i++) {
    assert_int_equal(ask_bearer(w, bearer, token), DL_GUARD_PASS);
    assert_int_equal(hits(w), i);
  }
  dl_value_write(&second, w->principal.claims);
  assert_int_equal(first.len, second.len);
  assert_memory_equal(first.data, second.data, first.len);
  assert_str(w->principal.subject, "7");
  assert_str(w->principal.issuer, "me");
  assert_true(dl_principal_has_role(&w->principal, DL_STR("admin")) && dl_principal_has_scope(&w->principal, DL_STR("b")));
  dl_buffer_free(&first);
  dl_buffer_free(&second);
}

static void a_principal_outlives_the_entry_it_came_from(void **state) {
  guard_world *w = *state;
  const dl_guard *bearer = world_guard(w, "bearer");
  const char *token = world_text(w, "token { sub = '7', roles = { 'admin' } }");
  assert_int_equal(ask_bearer(w, bearer, token), DL_GUARD_PASS);
  assert_int_equal(ask_bearer(w, bearer, token), DL_GUARD_PASS);
  assert_int_equal(hits(w), 1);
  dl_token_cache_clear(w->tokens);
  assert_str(w->principal.subject, "7");
  assert_true(dl_principal_has_role(&w->principal, DL_STR("admin")));
}

static void an_entry_ends_with_the_token_and_after_a_minute_at_most(void **state) {
  guard_world *w = *state;
  const dl_guard *bearer = world_guard(w, "bearer");
  const char *brief = world_text(w, "token { sub = '7', exp = 1800000010 }"), *lasting = world_text(w, "token { sub = '7' }");
  assert_int_equal(ask_bearer(w, bearer, brief), DL_GUARD_PASS);
  assert_int_equal(ask_bearer(w, bearer, lasting), DL_GUARD_PASS);
  w->context.now_s = NOW + 9;
  assert_int_equal(ask_bearer(w, bearer, brief), DL_GUARD_PASS);
  assert_int_equal(hits(w), 1);
  w->context.now_s = NOW + 10;
  assert_int_equal(ask_bearer(w, bearer, brief), DL_GUARD_UNAUTHENTICATED);
  w->context.now_s = NOW + 59;
  assert_int_equal(ask_bearer(w, bearer, lasting), DL_GUARD_PASS);
  assert_int_equal(hits(w), 2);
  w->context.now_s = NOW + 60;
  assert_int_equal(ask_bearer(w, bearer, lasting), DL_GUARD_PASS);
  assert_int_equal(hits(w), 2);
  w->context.now_s = NOW + 600;
  assert_int_equal(ask_bearer(w, bearer, lasting), DL_GUARD_UNAUTHENTICATED);
}

static void within_the_leeway_a_token_passes_but_is_not_kept(void **state) {
  guard_world *w = *state;
  const dl_guard *lenient = world_guard(w, "{ kind = 'bearer', keys = keys, lifetime = 900, leeway = 30 }");
  const char *token = world_text(w, "token { sub = '7', exp = 1799999990 }");
  for (int i = 0; i < 3; i++) assert_int_equal(ask_bearer(w, lenient, token), DL_GUARD_PASS);
  assert_int_equal(hits(w), 0);
}

static void a_clock_that_goes_back_finds_nothing(void **state) {
  guard_world *w = *state;
  const dl_guard *bearer = world_guard(w, "bearer");
  const char *token = world_text(w, "token { sub = '7', nbf = 1800000000 }");
  assert_int_equal(ask_bearer(w, bearer, token), DL_GUARD_PASS);
  w->context.now_s = NOW - 1;
  assert_int_equal(ask_bearer(w, bearer, token), DL_GUARD_UNAUTHENTICATED);
}

static void another_guard_finds_nothing_of_this_one(void **state) {
  guard_world *w = *state;
  const char *token = world_text(w, "token { sub = '7' }");
  assert_int_equal(ask_bearer(w, world_guard(w, "bearer"), token), DL_GUARD_PASS);
  assert_int_equal(ask_bearer(w, world_guard(w, "{ kind = 'bearer', keys = other, lifetime = 900 }"), token), DL_GUARD_UNAUTHENTICATED);
  assert_int_equal(ask_bearer(w, world_guard(w, "{ kind = 'bearer', keys = keys, lifetime = 900, issuer = 'me' }"), token), DL_GUARD_UNAUTHENTICATED);
  assert_int_equal(ask_bearer(w, world_guard(w, "{ kind = 'bearer', keys = keys, lifetime = 300 }"), token), DL_GUARD_UNAUTHENTICATED);
  assert_int_equal(hits(w), 0);
}

static void roles_on_one_bearer_share_its_entries(void **state) {
  guard_world *w = *state;
  const char *token = world_text(w, "token { sub = '7' }");
  assert_int_equal(ask_bearer(w, world_guard(w, "bearer"), token), DL_GUARD_PASS);
  assert_int_equal(ask_bearer(w, world_guard(w, "{ kind = 'role', names = 'admin', member = bearer }"), token), DL_GUARD_FORBIDDEN);
  assert_int_equal(hits(w), 1);
}

static void a_new_generation_finds_nothing_of_the_old_one(void **state) {
  guard_world *w = *state;
  const char *token = world_text(w, "token { sub = '7' }");
  char kept[1000];
  snprintf(kept, sizeof(kept), "%s", token);
  assert_int_equal(ask_bearer(w, world_guard(w, "bearer"), kept), DL_GUARD_PASS);
  dl_lua_free(w->lua);
  w->lua = dl_lua_new(&w->loop);
  world_run(w, world_prelude);
  assert_int_equal(ask_bearer(w, world_guard(w, "bearer"), kept), DL_GUARD_PASS); /* verified anew */
  assert_int_equal(ask_bearer(w, world_guard(w, "{ kind = 'bearer', keys = other, lifetime = 900 }"), kept), DL_GUARD_UNAUTHENTICATED);
  assert_int_equal(hits(w), 0);
}

static void what_is_cleared_is_verified_anew(void **state) {
  guard_world *w = *state;
  const dl_guard *bearer = world_guard(w, "bearer");
  const char *token = world_text(w, "token { sub = '7' }");
  assert_int_equal(ask_bearer(w, bearer, token), DL_GUARD_PASS);
  dl_token_cache_clear(w->tokens);
  assert_int_equal(ask_bearer(w, bearer, token), DL_GUARD_PASS);
  assert_int_equal(hits(w), 0);
  assert_int_equal(ask_bearer(w, bearer, token), DL_GUARD_PASS);
  assert_int_equal(hits(w), 1);
}

static void two_tokens_of_one_hash_are_two(void **state) {
  guard_world *w = *state;
  dl_principal out = {0};
  put(w, 5, 1, "token a", "ann");
  put(w, 5, 1, "token b", "bob");
  put(w, 5, 2, "token a", "cid");
  assert_true(get(w, 5, 1, "token a", NOW, &out));
  assert_str(out.subject, "ann");
  assert_true(get(w, 5, 1, "token b", NOW, &out));
  assert_str(out.subject, "bob");
  assert_true(get(w, 5, 2, "token a", NOW, &out));
  assert_str(out.subject, "cid");
  assert_false(get(w, 5, 1, "token c", NOW, &out));
  assert_false(get(w, 5, 1, "token", NOW, &out));
  assert_false(get(w, 5, 1, "token ab", NOW, &out));
  assert_false(get(w, 5, 2, "token b", NOW, &out));
  assert_false(get(w, 6, 1, "token a", NOW, &out));
}

static void a_full_set_forgets_what_ends_first_and_the_same_token_takes_one_place(void **state) {
  guard_world *w = *state;
  dl_principal out, someone = {.guard = DL_STR("bearer"), .subject = DL_STR("ann")};
  static const char *const tokens[] = {"t0", "t1", "t2", "t3", "t4"};
  for (int64_t i = 0; i < 4; i++) dl_token_cache_put(w->tokens, 9, 1, dl_str_of(tokens[i]), NOW, NOW + 40 - i, &someone);
  for (int i = 0; i < 3; i++) put(w, 9, 1, "t0", "ann");
  for (int i = 0; i < 4; i++) assert_true(get(w, 9, 1, tokens[i], NOW, &out));
  put(w, 9, 1, "t4", "ann");
  for (int i = 0; i < 5; i++) assert_int_equal(get(w, 9, 1, tokens[i], NOW, &out), i != 3);
}

static void many_tokens_are_found_as_themselves_or_not_at_all(void **state) {
  guard_world *w = *state;
  dl_principal out = {0};
  char token[40];
  int found = 0;
  for (int i = 0; i < 20000; i++) {
    snprintf(token, sizeof(token), "a token with number %d", i);
    put(w, dl_token_cache_hash(3, dl_str_of(token)), 3, token, token);
  }
  for (int i = 0; i < 20000; i++) {
    snprintf(token, sizeof(token), "a token with number %d", i);
    dl_arena_reset(&w->arena);
    if (!get(w, dl_token_cache_hash(3, dl_str_of(token)), 3, token, NOW, &out)) continue;
    assert_str(out.subject, token);
    found++;
  }
  assert_in_range(found, 4000, 4096);
}

static void what_is_too_large_is_not_kept(void **state) {
  guard_world *w = *state;
  const dl_guard *bearer = world_guard(w, "bearer");
  const char *longer = world_text(w, "token { sub = '7', padding = ('a'):rep(1600) }");
  const char *wide = world_text(w, "(function() local list = {} for i = 1, 400 do list[i] = 1 end return token { sub = '7', list = list } end)()");
  for (int i = 0; i < 2; i++) {
    assert_int_equal(ask_bearer(w, bearer, longer), DL_GUARD_PASS);
    assert_int_equal(ask_bearer(w, bearer, wide), DL_GUARD_PASS);
  }
  assert_int_equal(hits(w), 0);
}

static void without_a_cache_all_is_verified(void **state) {
  guard_world *w = *state;
  const dl_guard *bearer = world_guard(w, "bearer");
  dl_token_cache_free(w->tokens);
  w->tokens = NULL;
  for (int i = 0; i < 2; i++) assert_int_equal(ask_bearer(w, bearer, world_text(w, "token { sub = '7' }")), DL_GUARD_PASS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_token_seen_before_is_the_same_principal_without_a_signature, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_principal_outlives_the_entry_it_came_from, open_world, close_world),
      cmocka_unit_test_setup_teardown(an_entry_ends_with_the_token_and_after_a_minute_at_most, open_world, close_world),
      cmocka_unit_test_setup_teardown(within_the_leeway_a_token_passes_but_is_not_kept, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_clock_that_goes_back_finds_nothing, open_world, close_world),
      cmocka_unit_test_setup_teardown(another_guard_finds_nothing_of_this_one, open_world, close_world),
      cmocka_unit_test_setup_teardown(roles_on_one_bearer_share_its_entries, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_new_generation_finds_nothing_of_the_old_one, open_world, close_world),
      cmocka_unit_test_setup_teardown(what_is_cleared_is_verified_anew, open_world, close_world),
      cmocka_unit_test_setup_teardown(two_tokens_of_one_hash_are_two, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_full_set_forgets_what_ends_first_and_the_same_token_takes_one_place, open_world, close_world),
      cmocka_unit_test_setup_teardown(many_tokens_are_found_as_themselves_or_not_at_all, open_world, close_world),
      cmocka_unit_test_setup_teardown(what_is_too_large_is_not_kept, open_world, close_world),
      cmocka_unit_test_setup_teardown(without_a_cache_all_is_verified, open_world, close_world),
  };
  return cmocka_run_group_tests_name("token cache", tests, NULL, NULL);
}
