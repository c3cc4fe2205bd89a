/* SPDX-License-Identifier: MIT */
/* core.key_set, core.sealer, core.password_*, core.random, core.sha256_hex and core.hmac_*, as our own Lua modules call them. */
#include "unit.h"

#include "guard_world.h"

#include "bridge/task.h"
#include "crypto/password.h"

static int open_world(void **state) {
  *state = world_open();
  return 0;
}

static int close_world(void **state) {
  world_close(*state);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT); /* what still runs on the thread pool */
  return 0;
}

/* --- keys ------------------------------------------------------------------------------- */

static void a_key_set_signs_what_it_verifies(void **state) {
  world_run(*state, "local token = keys:sign({ sub = '7', exp = 5 })"
                    " assert(token:match '^[%w_-]+%.[%w_-]+%.[%w_-]+$') assert(keys:sign '{\"sub\":\"7\"}' :sub(1, 10) == token:sub(1, 10))"
                    " assert(table.concat(keys:algorithms(), ',') == 'HS256' and table.concat(ed:algorithms(), ',') == 'EdDSA')");
}

static void a_kid_chooses_the_key_that_signs(void **state) {
  world_run(
      *state,
      "local two = core.key_set { { secret = secret, algorithm = 'HS256', kid = 'a' }, { secret = secret .. secret, algorithm = 'HS512', kid = 'b' } "
      "}"
      " assert(two:sign({}) == two:sign({}, 'a') and two:sign({}) ~= two:sign({}, 'b'))"
      " assert(table.concat(two:algorithms(), ',') == 'HS256,HS512')"
      " local ok, message = pcall(two.sign, two, {}, 'c') assert(not ok and message:find 'no key of this set signs under the kid \"c\"', message)");
}

static void a_public_key_signs_nothing(void **state) {
  world_run(*state, "local public = core.key_set { { jwks = "
                    "[[{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}]] } }"
                    " local ok, message = pcall(public.sign, public, {}) assert(not ok and message:find 'only public keys', message)");
}

static void a_key_set_takes_what_another_one_signs_by_a_key_that_both_have(void **state) {
  world_run(*state,
            "local function set(...) return core.key_set { ... } end local long = secret .. secret"
            " local same, wider = set { secret = secret, algorithm = 'HS256' }, set { secret = long, algorithm = 'HS512' }"
            " local named, renamed = set { secret = secret, algorithm = 'HS256', kid = 'a' }, set { secret = secret, algorithm = 'HS256', kid = 'b' }"
            " local public = core.key_set { { jwks = "
            "[[{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}]] } }"
            " assert(keys:takes(same) and same:takes(keys) and ed:takes(ed) and same:takes(named) and named:takes(same))"
            " assert(not same:takes(wider) and not wider:takes(same) and not named:takes(renamed) and not same:takes(ed) and not ed:takes(same))"
            " assert(not public:takes(public) and not ed:takes(public))"
            " assert(not pcall(same.takes, same) and not pcall(same.takes, same, {}))");
}

static void keys_that_cannot_be_meant_are_refused_with_their_place(void **state) {
  world_run(
      *state,
      "for word, list in pairs {"
      " ['key 1: it should have a secret, a pem or a jwks'] = { {} }, ['key 2: expected a table'] = { { secret = secret, algorithm = 'HS256' }, 5 },"
      " ['one of secret, pem and jwks'] = { { secret = secret, pem = 'x', algorithm = 'HS256' } },"
      " ['there is no algorithm \"none\"'] = { { secret = secret, algorithm = 'none' } }, ['no algorithm \"hs256\"'] = { { secret = secret, "
      "algorithm = 'hs256' } },"
      " ['key 1: '] = { { secret = 'short', algorithm = 'HS256' } }, ['secret should be text or a secret, not a number'] = { { secret = 5, algorithm "
      "= 'HS256' } },"
      " ['key 2: '] = { { secret = secret, algorithm = 'HS256' }, ed and { jwks = '{}' } }, ['expected a list of keys'] = {} } do"
      " local ok, message = pcall(core.key_set, list) assert(not ok and message:find(word, 1, true), word .. ' / ' .. tostring(message)) end");
}

static void claims_that_are_no_object_are_not_signed(void **state) {
  world_run(
      *state,
      "for _, claims in ipairs { '[]', '5', '', '{\"a\":1,\"a\":2}', { 1, 2 }, { f = print }, { n = 0/0 }, 5 } do"
      " local ok, message = pcall(keys.sign, keys, claims) assert(not ok and message:find 'the claims cannot be signed', tostring(claims)) end");
}

static void a_sealer_opens_what_it_sealed_under_the_same_purpose(void **state) {
  world_run(*state,
            "local text = sealer:seal('session', 'a\\0b') assert(sealer:unseal('session', text) == 'a\\0b')"
            " assert(sealer:unseal('refresh', text) == nil and sealer:unseal('session', text .. 'A') == nil and sealer:unseal('session', '') == nil)"
            " assert(sealer:unseal('session', sealer:seal('session', '')) == '')"
            " local newer = core.sealer { ('n'):rep(32), core.secret(secret) } assert(newer:unseal('session', text) == 'a\\0b')"
            " assert(sealer:unseal('session', newer:seal('session', 'x')) == nil)"
            " assert(not pcall(sealer.seal, sealer, 'session', ('x'):rep(65537)))");
}

static void a_sealer_needs_secrets_that_are_long_enough(void **state) {
  world_run(*state, "for word, list in pairs { ['1 to 8 secrets'] = {}, ['secret 1 should have 32 bytes'] = { ('x'):rep(31) },"
                    " ['secret 2 should be a secret, not a number'] = { secret, 5 } } do"
                    " local ok, message = pcall(core.sealer, list) assert(not ok and message:find(word, 1, true), message) end"
                    " local many = {} for i = 1, 9 do many[i] = secret end assert(not pcall(core.sealer, many))");
}

static void handles_cannot_be_taken_apart(void **state) {
  world_run(*state,
            "for _, handle in ipairs { keys, sealer } do assert(type(getmetatable(handle)) == 'string') assert(not pcall(setmetatable, handle, {}))"
            " assert(handle.__gc == nil) assert(not tostring(handle):find 'a secret') end"
            " assert(not pcall(keys.sign, sealer, {})) assert(not pcall(sealer.seal, keys, 'a', 'b')) assert(not pcall(keys.sign, {}, {}))");
}

static void random_bytes_and_digests_are_what_they_say(void **state) {
  world_run(*state, "assert(#core.random(16) == 16 and core.random(16) ~= core.random(16) and #core.random(4096) == 4096)"
                    " assert(not pcall(core.random, 0) and not pcall(core.random, 4097) and not pcall(core.random, 'x'))"
                    " assert(core.sha256_hex 'abc' == 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')"
                    " assert(core.sha256_hex(core.secret 'abc') == core.sha256_hex 'abc') assert(not pcall(core.sha256_hex, 5))");
}

/* Keys and signatures of RFC 4231, 4.3 and 4.7. */
static void a_signature_is_known_by_its_key_and_its_text(void **state) {
  world_run(*state,
            "local what = 'what do ya want for nothing?' local tag = '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'"
            " assert(core.hmac_hex('Jefe', what) == tag and core.hmac_hex(core.secret 'Jefe', what) == tag)"
            " local long = 'Test Using Larger Than Block-Size Key - Hash Key First'"
            " assert(core.hmac_hex(('\\170'):rep(131), long) == '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54')"
            " assert(core.hmac_is('Jefe', what, tag) and core.hmac_is(core.secret 'Jefe', what, tag:upper()) and not core.hmac_is('Jefe', what, ('g'):rep(64)))"
            " assert(not core.hmac_is('jefe', what, tag) and not core.hmac_is('Jefe', what .. '?', tag) and not core.hmac_is('Jefe', what, ''))"
            " for at = 1, 64 do local other = tag:sub(at, at) == '0' and '1' or '0'"
            " assert(not core.hmac_is('Jefe', what, tag:sub(1, at - 1) .. other .. tag:sub(at + 1)) and not core.hmac_is('Jefe', what, tag:sub(1, at - 1))) end"
            " assert(not core.hmac_is('Jefe', what, tag .. '0')) assert(not pcall(core.hmac_is, 'Jefe', what, nil) and not pcall(core.hmac_hex, 'Jefe', 5))");
}

/* --- passwords ---------------------------------------------------------------------------- */

typedef struct outcome {
  bool over;
  int status;
} outcome;

static void on_done(dl_task *task, int status, void *owner) {
  outcome *out = owner;
  *out = (outcome){true, status};
  if (status != 0) fprintf(stderr, "%s\n", lua_tostring(dl_task_state(task), -1));
  dl_task_release(task);
}

static void run_in_task(guard_world *w, const char *chunk, outcome *out) {
  dl_task *task = dl_task_new(dl_lua_state(w->lua), on_done, out);
  if (luaL_loadstring(dl_task_state(task), chunk)) world_broken(lua_tostring(dl_task_state(task), -1));
  dl_task_run(task, 0);
}

static void run_to_its_end(guard_world *w, const char *chunk) {
  outcome out = {0};
  run_in_task(w, chunk, &out);
  while (!out.over && uv_run(w->loop.uv, UV_RUN_ONCE) != 0) {
  }
  assert_true(out.over);
  assert_int_equal(out.status, 0);
}

static void passwords_are_hashed_and_verified(void **state) {
  run_to_its_end(*state,
                 "local stored = core.password_hash 'open sesame' assert(stored:find '^%$argon2id%$v=19%$m=19456,t=2,p=1%$')"
                 " local right, outdated = core.password_verify(stored, core.secret 'open sesame') assert(right == true and outdated == false)"
                 " assert(core.password_verify(stored, 'open sesam') == false and core.password_verify(nil, 'open sesame') == false)"
                 " assert(core.password_verify(stored, ('x'):rep(2000)) == false)"
                 " local longest = core.password_hash(('x'):rep(1024)) assert(core.password_verify(longest, ('x'):rep(1024)) == true)"
                 " assert(core.password_verify(longest, ('x'):rep(1025)) == false)" /* a longer one is not cut to it */
                 " assert(core.password_hash(core.secret 'open sesame') ~= stored)");
}

static void a_string_of_another_cost_is_outdated_once_it_is_right(void **state) {
  guard_world *w = *state;
  char stored[DL_PASSWORD_TEXT], chunk[500];
  static const dl_password_cost low = {64, 1, 1};
  assert_int_equal(dl_password_hash(DL_STR("open sesame"), &low, stored), DL_PASSWORD_OK);
  snprintf(chunk, sizeof(chunk),
           "local right, outdated = core.password_verify('%s', 'open sesame') assert(right and outdated)"
           " right, outdated = core.password_verify('%s', 'wrong') assert(not right and not outdated)",
           stored, stored);
  run_to_its_end(w, chunk);
}

static void what_is_no_password_string_is_nobodys_password_and_what_is_no_password_an_error(void **state) {
  run_to_its_end(*state,
                 "for _, stored in ipairs { 'plain text', '!', '$argon2id$v=19$m=19456,t=2,p=1$' } do"
                 "   local right, outdated, malformed = core.password_verify(stored, 'plain text') assert(not right and not outdated and malformed)"
                 " end"
                 " local right, _, malformed = core.password_verify('', '') assert(not right and not malformed)"
                 " local ok, message = pcall(core.password_hash, ('x'):rep(1025)) assert(not ok and message:find 'at most 1024 bytes', message)"
                 " ok, message = pcall(core.password_hash, 5) assert(not ok and message:find 'text or a secret', message)");
}

static void passwords_wait_only_where_something_can_wait(void **state) {
  world_run(*state, "local ok, message = pcall(core.password_hash, 'x') assert(not ok and message:find 'can wait only inside a handler', message)");
}

enum { ALLOWED = DL_PASSWORDS_AT_ONCE + DL_PASSWORDS_WAITING_MAX };

/* As many passwords as may be waited for, each in a task that runs the chunk, in which %s stands for a stored one. */
static void fill_pool(guard_world *w, const char *chunk, char stored[DL_PASSWORD_TEXT], outcome out[ALLOWED]) {
  static const dl_password_cost low = {64, 1, 1};
  char text[500];
  memset(out, 0, ALLOWED * sizeof(*out));
  assert_int_equal(dl_password_hash(DL_STR("x"), &low, stored), DL_PASSWORD_OK);
  const char *place = strstr(chunk, "%s");
  snprintf(text, sizeof(text), "%.*s%s%s", (int)(place - chunk), chunk, stored, place + 2);
  for (int i = 0; i < ALLOWED; i++) run_in_task(w, text, &out[i]);
}

static void many_wait_their_turn_and_more_are_answered_503(void **state) {
  guard_world *w = *state;
  static outcome out[ALLOWED];
  char stored[DL_PASSWORD_TEXT];
  fill_pool(w, "assert(core.password_verify('%s', 'x'))", stored, out);
  assert_true(dl_password_pool_refuses(dl_bridge_passwords(dl_lua_state(w->lua)), 0));
  assert_false(dl_password_pool_verify(dl_bridge_passwords(dl_lua_state(w->lua)), 0, DL_STR(""), DL_STR("x"), NULL, NULL, 0));
  run_to_its_end(w, "local ok, refusal = pcall(core.password_verify, nil, 'x') assert(not ok and getmetatable(refusal) == core.abort_type)"
                    " assert(refusal.status == 503 and refusal.headers['Retry-After'] == '1')"
                    " ok, refusal = pcall(core.password_hash, 'x') assert(not ok and refusal.status == 503)");
  uv_run(w->loop.uv, UV_RUN_DEFAULT);
  for (int i = 0; i < ALLOWED; i++) assert_true(out[i].over && out[i].status == 0);
}

typedef struct newcomer {
  const outcome *others;
  int count, over_before;
  bool came;
} newcomer;

static void on_newcomer(const dl_password_answer *answer, void *owner, uint64_t serial) {
  newcomer *asked = owner;
  assert_int_equal(answer->result, DL_PASSWORD_OK);
  assert_int_equal(serial, 77);
  asked->came = true;
  for (int i = 0; i < asked->count; i++) asked->over_before += asked->others[i].over;
}

static void who_has_many_waiting_makes_room_for_another_and_does_not_delay_him(void **state) {
  guard_world *w = *state;
  static outcome out[ALLOWED];
  char stored[DL_PASSWORD_TEXT];
  fill_pool(w,
            "local ok, refusal = pcall(core.password_verify, '%s', 'x')"
            " core.refused = (core.refused or 0) + (ok and 0 or 1)"
            " assert(ok or refusal.status == 503 and refusal.headers['Retry-After'] == '1')",
            stored, out);
  newcomer asked = {.others = out, .count = ALLOWED};
  dl_password_pool *pool = dl_bridge_passwords(dl_lua_state(w->lua));
  assert_false(dl_password_pool_refuses(pool, 1));
  assert_true(dl_password_pool_verify(pool, 1, dl_str_of(stored), DL_STR("x"), on_newcomer, &asked, 77));
  uv_run(w->loop.uv, UV_RUN_DEFAULT);
  assert_true(asked.came);
  assert_in_range(asked.over_before, 1, 2 * DL_PASSWORDS_AT_ONCE + 1); /* that run, and one of each that waited; and who gave way */
  for (int i = 0; i < ALLOWED; i++) assert_true(out[i].over && out[i].status == 0);
  world_run(w, "assert(core.refused == 1, core.refused)");
}

static void a_state_may_end_while_passwords_are_computed(void **state) {
  guard_world *w = *state;
  static outcome out[6];
  memset(out, 0, sizeof(out));
  for (int i = 0; i < 6; i++) run_in_task(w, "core.password_hash 'x'", &out[i]);
  dl_lua_free(w->lua);
  uv_run(w->loop.uv, UV_RUN_DEFAULT);
  for (int i = 0; i < 6; i++) assert_false(out[i].over);
  w->lua = dl_lua_new(&w->loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_key_set_signs_what_it_verifies, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_kid_chooses_the_key_that_signs, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_public_key_signs_nothing, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_key_set_takes_what_another_one_signs_by_a_key_that_both_have, open_world, close_world),
      cmocka_unit_test_setup_teardown(keys_that_cannot_be_meant_are_refused_with_their_place, open_world, close_world),
      cmocka_unit_test_setup_teardown(claims_that_are_no_object_are_not_signed, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_sealer_opens_what_it_sealed_under_the_same_purpose, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_sealer_needs_secrets_that_are_long_enough, open_world, close_world),
      cmocka_unit_test_setup_teardown(handles_cannot_be_taken_apart, open_world, close_world),
      cmocka_unit_test_setup_teardown(random_bytes_and_digests_are_what_they_say, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_signature_is_known_by_its_key_and_its_text, open_world, close_world),
      cmocka_unit_test_setup_teardown(passwords_are_hashed_and_verified, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_string_of_another_cost_is_outdated_once_it_is_right, open_world, close_world),
      cmocka_unit_test_setup_teardown(what_is_no_password_string_is_nobodys_password_and_what_is_no_password_an_error, open_world, close_world),
      cmocka_unit_test_setup_teardown(passwords_wait_only_where_something_can_wait, open_world, close_world),
      cmocka_unit_test_setup_teardown(many_wait_their_turn_and_more_are_answered_503, open_world, close_world),
      cmocka_unit_test_setup_teardown(who_has_many_waiting_makes_room_for_another_and_does_not_delay_him, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_state_may_end_while_passwords_are_computed, open_world, close_world),
  };
  return cmocka_run_group_tests_name("bridge guard", tests, NULL, NULL);
}
