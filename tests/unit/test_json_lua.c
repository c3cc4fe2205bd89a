/* SPDX-License-Identifier: MIT */
/* Values and JSON on their way to Lua and back: the walker, pushing, taking, core.json_encode and core.json_decode. */
#include "unit.h"

#include "bridge/bridge.h"
#include "model/json.h"
#include "model/secret_lua.h"
#include "model/value_lua.h"

#include <lauxlib.h>
#include <lualib.h>

typedef struct world {
  lua_State *L;
  dl_arena arena;
  dl_buffer buffer;
} world;

/* A state whose global "core" has what the bridge gives. */
static int make_world(void **state) {
  static world w;
  w = (world){.L = luaL_newstate()};
  luaL_openlibs(w.L);
  dl_arena_init(&w.arena, 0);
  lua_newtable(w.L);
  dl_bridge_json(w.L);
  lua_setglobal(w.L, "core");
  dl_secret_push(w.L, DL_STR("hunter2"));
  lua_setglobal(w.L, "secret");
  *state = &w;
  return 0;
}

static int end_world(void **state) {
  world *w = *state;
  if (lua_gettop(w->L) != 0) fail_msg("%d values were left on the stack", lua_gettop(w->L));
  lua_close(w->L);
  dl_buffer_free(&w->buffer);
  dl_arena_free(&w->arena);
  return 0;
}

/* Pushes what the expression gives. */
static void evaluate(world *w, const char *expression) {
  lua_pushfstring(w->L, "return %s", expression);
  if (luaL_loadstring(w->L, lua_tostring(w->L, -1)) || lua_pcall(w->L, 0, 1, 0)) fail_msg("%s: %s", expression, lua_tostring(w->L, -1));
  lua_remove(w->L, -2);
}

static void assert_written(world *w, const char *expression, const char *expected) {
  evaluate(w, expression);
  dl_buffer_clear(&w->buffer);
  const char *error = NULL;
  if (!dl_json_from_lua(w->L, -1, &w->arena, &w->buffer, &error)) fail_msg("%s: %s", expression, error);
  if (!dl_str_equal(dl_buffer_str(&w->buffer), dl_str_of(expected)))
    fail_msg("%s became %.*s, not %s", expression, (int)w->buffer.len, w->buffer.data, expected);
  lua_pop(w->L, 1);
}

static void tables_become_arrays_and_objects(void **state) {
  static const char *const rows[][2] = {
      {"nil", "null"},
      {"core.null", "null"},
      {"true", "true"},
      {"'a\"b\\n'", "\"a\\\"b\\n\""},
      {"{}", "{}"},
      {"setmetatable({}, core.array_type)", "[]"},
      {"setmetatable({1}, core.array_type)", "[1]"},
      {"{1, 'two', {3}, {}}", "[1,\"two\",[3],{}]"},
      {"{a = {b = {1}}}", "{\"a\":{\"b\":[1]}}"},
      {"{core.null, false, core.null}", "[null,false,null]"},
      {"{['a b'] = 1}", "{\"a b\":1}"},
      {"(function() local t = {} for i = 9, 1, -1 do t[i] = i end return t end)()", "[1,2,3,4,5,6,7,8,9]"},
      {"setmetatable({1}, {__index = function() return 7 end})", "[1]"},
      {"{[3] = 3, [1] = 1, [2] = 2, [4] = 4, [5] = 5}", "[1,2,3,4,5]"},
      {"secret", "\"secret(redacted)\""},
      {"{{secret}}", "[[\"secret(redacted)\"]]"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) assert_written(*state, rows[i][0], rows[i][1]);
}

static void numbers_keep_every_digit_that_counts(void **state) {
  static const char *const rows[][2] = {
      {"0", "0"},
      {"0 / -1", "-0.0"},
      {"-1", "-1"},
      {"0.1", "0.1"},
      {"9007199254740991", "9007199254740991"},
      {"1e300", "1e+300"},
      {"9223372036854775807LL", "9223372036854775807"},
      {"-9223372036854775807LL - 1LL", "-9223372036854775808"},
      {"-1LL", "-1"},
      {"5000000000LL", "5000000000"},
      {"18446744073709551615ULL", "18446744073709551615"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) assert_written(*state, rows[i][0], rows[i][1]);
  /* Larger ones have many spellings; what counts is that they read back the same. */
  world *w = *state;
  evaluate(w, "core.json_decode(core.json_encode(2^53)) == 2^53 and core.json_decode(core.json_encode(2^70)) == 2^70");
  assert_true(lua_toboolean(w->L, -1));
  lua_pop(w->L, 1);
}

static void what_json_lacks_is_refused_by_its_place(void **state) {
  world *w = *state;
  static const char *const rows[][2] = {
      {"print", "a function at the top"},
      {"{users = {1, 2, {name = print}}}", "a function at .users[3].name"},
      {"{['a b'] = {['9x'] = coroutine.create(print)}}", "a thread at [\"a b\"][\"9x\"]"},
      {"{x = 0/0}", "a number that is infinite or not a number at .x"},
      {"{1/0}", "a number that is infinite or not a number at [1]"},
      {"{a = {1, 2, x = 3}}", "a table with both numbers and names as keys at .a"},
      {"{{1, nil, 3}}", "an array with holes at [1]"},
      {"{[5] = 1}", "a number as a key at the top"},
      {"{a = {[true] = 1}}", "a boolean as a key at .a"},
      {"{a = io.stdout}", "a userdata at .a"},
      {"{a_1 = {B9 = {[''] = {['\\195\\169'] = {['a-b'] = {['a{'] = {['a:'] = print}}}}}}}",
       "a function at .a_1.B9[\"\"][\"\xc3\xa9\"][\"a-b\"][\"a{\"][\"a:\"]"},
      {"{1, 2, [0] = 0}", "an array with holes at the top"},
      {"{1, 2, [2.5] = 3}", "an array with holes at the top"},
      {"{[1] = 1, [2.5] = 2, [3] = 3}", "an array with holes at the top"},
      {"{1, 2, [-1] = 3}", "an array with holes at the top"},
      {"(function() local t = {1, 2, 3, 4} t[2] = nil return t end)()", "an array with holes at the top"},
      {"(function() local t = {1, 2, 3, 4} t[2] = nil t[2.5] = 1 return t end)()", "an array with holes at the top"},
      {"{a = io.stdout}", "a userdata at .a"},
      {"{a = require('ffi').new('int[2]')}", "a cdata at .a"},
      {"(function() local t = {} t.me = t return t end)()", "tables nested over 64 deep at .me.me"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    evaluate(w, rows[i][0]);
    dl_buffer_clear(&w->buffer);
    DL_BUFFER_LITERAL(&w->buffer, "kept");
    const char *error = NULL;
    if (dl_json_from_lua(w->L, -1, &w->arena, &w->buffer, &error)) fail_msg("%s was written", rows[i][0]);
    if (!dl_str_starts(dl_str_of(error), dl_str_of(rows[i][1]))) fail_msg("%s: %s", rows[i][0], error);
    assert_str(dl_buffer_str(&w->buffer), "kept");
    dl_value value;
    error = NULL;
    assert_false(dl_value_from_lua(w->L, -1, &w->arena, &value, &error));
    if (!dl_str_starts(dl_str_of(error), dl_str_of(rows[i][1]))) fail_msg("taking %s: %s", rows[i][0], error);
    lua_pop(w->L, 1);
    assert_int_equal(lua_gettop(w->L), 0);
  }
}

/* Where a key stands in the order of a table is chance; none may be lost by it. */
static void no_key_of_a_table_is_lost_wherever_lua_keeps_it(void **state) {
  world *w = *state;
  evaluate(w, "(function() local list = {}"
              " for _, order in ipairs { { 1 }, { 2, 1 }, { 2, 1, 4, 5, 3 }, { 4, 1, 2, 3, 5 }, { 2, 3, 1 } } do"
              " for place = 1, #order do for i = 1, 100 do local t = {}"
              " for at, key in ipairs(order) do if at == place then t['k' .. i] = i end t[key] = key end"
              " list[#list + 1] = t end end end return list end)()");
  int list = lua_gettop(w->L), count = (int)lua_objlen(w->L, -1);
  assert_int_equal(count, 1600);
  for (int i = 1; i <= count; i++) {
    const char *error = NULL;
    dl_value value;
    lua_rawgeti(w->L, list, i);
    dl_buffer_clear(&w->buffer);
    if (dl_json_from_lua(w->L, -1, &w->arena, &w->buffer, &error)) fail_msg("table %d: %.*s", i, (int)w->buffer.len, w->buffer.data);
    assert_str(dl_str_of(error), "a table with both numbers and names as keys at the top; make it an array or an object");
    assert_false(dl_value_from_lua(w->L, -1, &w->arena, &value, &error));
    lua_pop(w->L, 1);
  }
  lua_pop(w->L, 1);
}

/* Nested to the limit exactly: 64 tables are written, 65 are not. */
static void depth_has_its_limit(void **state) {
  world *w = *state;
  for (int depth = 63; depth <= 66; depth++) {
    lua_pushfstring(w->L, "(function() local t = {} for _ = 2, %d do t = {t} end return t end)()", depth);
    evaluate(w, lua_tostring(w->L, -1));
    const char *error = NULL;
    dl_buffer_clear(&w->buffer);
    assert_int_equal(dl_json_from_lua(w->L, -1, &w->arena, &w->buffer, &error), depth <= 64);
    dl_value value;
    assert_int_equal(dl_value_from_lua(w->L, -1, &w->arena, &value, &error), depth <= 64);
    lua_pop(w->L, 2);
  }
}

/* Few tables, each of which holds the one below it twice, are twice as many values with each level. */
static void tables_held_over_and_over_end_the_walk(void **state) {
  world *w = *state;
  static const struct {
    const char *expression;
    bool written;
  } rows[] = {
      {"(function() local t = {} for _ = 1, 24 do t = {t, t} end return t end)()", false},
      {"(function() local t = {} for _ = 1, 24 do t = {a = t, b = t} end return t end)()", false},
      {"(function() local t = {} for _ = 1, 16 do t = {t, t} end return t end)()", true},
      {"(function() local t, x = {}, {1} for i = 1, 400000 do t[i] = x end return t end)()", true},
      {"(function() local t = {} for i = 1, 1500000 do t[i] = i end return t end)()", true},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    const char *error = NULL;
    dl_value value;
    evaluate(w, rows[i].expression);
    dl_buffer_clear(&w->buffer);
    assert_int_equal(dl_json_from_lua(w->L, -1, &w->arena, &w->buffer, &error), rows[i].written);
    if (!rows[i].written) assert_true(dl_str_starts(dl_str_of(error), DL_STR(DL_LUA_TOO_MANY " at ")));
    assert_int_equal(dl_value_from_lua(w->L, -1, &w->arena, &value, &error), rows[i].written);
    lua_pop(w->L, 1);
    dl_arena_reset(&w->arena);
  }
}

static dl_value read_json(world *w, const char *text) {
  dl_value value;
  dl_json_error error;
  if (!dl_json_read(&w->arena, dl_str_of(text), NULL, &value, &error)) fail_msg("%s: %s", text, error.message);
  return value;
}

static void values_pass_through_lua_unchanged(void **state) {
  world *w = *state;
  static const char *const texts[] = {"null",
                                      "true",
                                      "0",
                                      "-12.5",
                                      "\"\xc3\xa9\"",
                                      "[]",
                                      "{}",
                                      "[[],{},[1,null]]",
                                      "{\"a\":{\"b\":[1,2,{\"c\":\"d\"}]}}",
                                      "9223372036854775807",
                                      "-9223372036854775808",
                                      "[9007199254740993,4294967296,-4294967297]"};
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    dl_value before = read_json(w, texts[i]), after;
    const char *error = NULL;
    dl_value_push(w->L, &before);
    assert_true(dl_value_from_lua(w->L, -1, &w->arena, &after, &error));
    if (!dl_value_equal(&before, &after)) fail_msg("%s came back different", texts[i]);
    lua_pop(w->L, 1);
  }
}

static void wide_integers_and_secrets_have_their_own_types(void **state) {
  world *w = *state;
  dl_value value = dl_value_integer(5);
  value.flags = DL_VALUE_WIDE;
  dl_value_push(w->L, &value);
  uint64_t bits = 0;
  assert_int_equal(dl_lua_get_wide(w->L, -1, &bits), DL_LUA_INT64);
  assert_int_equal(bits, 5);
  lua_setglobal(w->L, "five");
  evaluate(w, "five == 5LL and five + 1 == 6");
  assert_true(lua_toboolean(w->L, -1));
  lua_pop(w->L, 1);

  value = dl_value_string(DL_STR("hunter2"));
  value.flags = DL_VALUE_SECRET;
  dl_value_push(w->L, &value);
  dl_str bytes;
  assert_true(dl_secret_get(w->L, -1, &bytes));
  assert_str(bytes, "hunter2");
  const char *error = NULL;
  assert_true(dl_value_from_lua(w->L, -1, &w->arena, &value, &error));
  assert_int_equal(value.flags, DL_VALUE_SECRET);
  lua_pop(w->L, 1);
}

static void strings_that_are_not_text_are_taken_as_bytes(void **state) {
  world *w = *state;
  const char *error = NULL;
  dl_value value;
  evaluate(w, "{'text', '\\255', 'a\\0b', secret, 5LL, 1.5, 2}");
  assert_true(dl_value_from_lua(w->L, -1, &w->arena, &value, &error));
  static const dl_value_kind kinds[] = {DL_VALUE_STRING,  DL_VALUE_BYTES,  DL_VALUE_BYTES,  DL_VALUE_STRING,
                                        DL_VALUE_INTEGER, DL_VALUE_NUMBER, DL_VALUE_INTEGER};
  static const uint8_t flags[] = {0, 0, 0, DL_VALUE_SECRET, DL_VALUE_WIDE, 0, 0};
  assert_int_equal(value.len, 7);
  for (size_t i = 0; i < 7; i++) {
    assert_int_equal(value.items[i].kind, kinds[i]);
    assert_int_equal(value.items[i].flags, flags[i]);
  }
  lua_pop(w->L, 1);
  evaluate(w, "{18446744073709551615ULL}");
  assert_false(dl_value_from_lua(w->L, -1, &w->arena, &value, &error));
  lua_pop(w->L, 1);
  evaluate(w, "{['\\255'] = 1}");
  assert_false(dl_value_from_lua(w->L, -1, &w->arena, &value, &error));
  assert_str(dl_str_of(error), "a string that is not UTF-8 as a key at the top; names in JSON are strings: use tostring(key)");
  lua_pop(w->L, 1);
  evaluate(w, "5ULL");
  assert_true(dl_value_from_lua(w->L, -1, &w->arena, &value, &error));
  assert_int_equal(value.integer, 5);
  lua_pop(w->L, 1);
  lua_pushnil(w->L);
  assert_true(dl_value_from_lua(w->L, -1, &w->arena, &value, &error));
  assert_int_equal(value.kind, DL_VALUE_ABSENT);
  dl_value_push(w->L, &value);
  assert_true(lua_isnil(w->L, -1));
  lua_pop(w->L, 2);
}

static void decoding_gives_tables(void **state) {
  world *w = *state;
  static const char *const rows[] = {
      "core.json_decode('{\"a\":[1,2.5,\"x\",true,null]}').a[3] == 'x'",
      "core.json_decode('[null]')[1] == core.null",
      "core.json_decode('null') == core.null",
      "core.json_decode(' 5 ') == 5",
      "core.json_decode('9007199254740993') == 9007199254740993LL",
      "type(core.json_decode('9007199254740991')) == 'number'",
      "core.json_encode(core.json_decode('{\"a\":[],\"b\":{}}')):match('%[%]') ~= nil",
      "core.json_encode(core.json_decode('[[],{},[1.5,-7,\"\\\\u00e9\"]]')) == '[[],{},[1.5,-7,\"\\195\\169\"]]'",
      "core.json_encode(core.json_decode('9223372036854775807')) == '9223372036854775807'",
      "core.json_decode(('['):rep(64) .. (']'):rep(64)) ~= nil",
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    evaluate(w, rows[i]);
    if (!lua_toboolean(w->L, -1)) fail_msg("not so: %s", rows[i]);
    lua_pop(w->L, 1);
  }
}

static void decoding_refuses_with_a_message(void **state) {
  world *w = *state;
  static const char *const rows[][2] = {
      {"'{\"a\":1,\"a\":2}'", "duplicate"},
      {"'[1,]'", "line 1, column 4"},
      {"'\"\\\\u0000\"'", "not JSON"},
      {"''", "not JSON"},
      {"'{} x'", "not JSON"},
      {"'9223372036854775808'", "integer"},
      {"'\"\\255\"'", "byte 0xff"},
      {"'1e400'", "overflow"},
      {"('['):rep(65) .. (']'):rep(65)", "64 deep"},
      {"('['):rep(10000)", "depth"},
      {"'1\\0'", "NUL"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    lua_pushfstring(w->L, "{core.json_decode(%s)}", rows[i][0]);
    evaluate(w, lua_tostring(w->L, -1));
    lua_rawgeti(w->L, -1, 1);
    lua_rawgeti(w->L, -2, 2);
    assert_true(lua_isnil(w->L, -2));
    const char *message = lua_tostring(w->L, -1);
    if (!message || !strstr(message, rows[i][1])) fail_msg("%s: %s", rows[i][0], message ? message : "no message");
    lua_pop(w->L, 4);
  }
}

static void encoding_raises_with_the_callers_line(void **state) {
  world *w = *state;
  evaluate(w, "select(2, pcall(loadstring('\\nlocal x = core.json_encode({a = print}) return x', '=app.lua')))");
  const char *message = lua_tostring(w->L, -1);
  assert_string_equal(
      message, "app.lua:2: json_encode: a function at .a, which JSON has nothing for; give a string, a number, a boolean, a table or demilune.null");
  lua_pop(w->L, 1);
}

static void sixty_four_bits_work_after_ffi_is_gone(void **state) {
  world *w = *state;
  evaluate(w, "(function() package.loaded.ffi = nil package.preload.ffi = nil require = nil return true end)()");
  lua_pop(w->L, 1);
  dl_lua_push_integer(w->L, INT64_MIN, false);
  uint64_t bits = 0;
  assert_int_equal(dl_lua_get_wide(w->L, -1, &bits), DL_LUA_INT64);
  assert_true((int64_t)bits == INT64_MIN);
  lua_pop(w->L, 1);
}

static void sixty_four_bits_work_in_a_state_that_nobody_prepared(void **state) {
  (void)state;
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  dl_lua_push_int64(L, INT64_MAX);
  uint64_t bits = 0;
  assert_int_equal(dl_lua_get_wide(L, -1, &bits), DL_LUA_INT64);
  assert_true((int64_t)bits == INT64_MAX);
  lua_close(L);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, make_world, end_world)

int main(void) {
  const struct CMUnitTest tests[] = {
      WORLD_TEST(tables_become_arrays_and_objects),
      WORLD_TEST(numbers_keep_every_digit_that_counts),
      WORLD_TEST(what_json_lacks_is_refused_by_its_place),
      WORLD_TEST(no_key_of_a_table_is_lost_wherever_lua_keeps_it),
      WORLD_TEST(depth_has_its_limit),
      WORLD_TEST(tables_held_over_and_over_end_the_walk),
      WORLD_TEST(values_pass_through_lua_unchanged),
      WORLD_TEST(wide_integers_and_secrets_have_their_own_types),
      WORLD_TEST(strings_that_are_not_text_are_taken_as_bytes),
      WORLD_TEST(decoding_gives_tables),
      WORLD_TEST(decoding_refuses_with_a_message),
      WORLD_TEST(encoding_raises_with_the_callers_line),
      WORLD_TEST(sixty_four_bits_work_after_ffi_is_gone),
      cmocka_unit_test(sixty_four_bits_work_in_a_state_that_nobody_prepared),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
