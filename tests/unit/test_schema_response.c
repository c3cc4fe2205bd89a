/* SPDX-License-Identifier: MIT */
/* Responses: a schema is a filter and a check on what a handler gives. */
#include "schema_world.h"

#include "model/secret_lua.h"

#define MODEL(fields) "{ kind = 'model', name = 'M', fields = { " fields " } }"
#define FIELD(name, options) "{ name = '" name "', schema = { " options " } },"

static void a_field_that_the_model_does_not_name_never_leaves(void **state) {
  static const schema_row rows[] = {
      {MODEL(FIELD("id", "kind = 'integer'")), "{ id = 1, password_hash = 'x', [1] = 2 }", "{\"id\":1}"},
      {"{ kind = 'model', extra = 'allow', fields = { { name = 'id', schema = { kind = 'integer' } } } }", "{ id = 1, password_hash = 'x' }",
       "{\"id\":1}"},
      {MODEL(FIELD("id", "kind = 'integer'") FIELD("pin", "kind = 'string', write_only = true")), "{ id = 1, pin = '1234' }", "{\"id\":1}"},
      {MODEL(FIELD("id", "kind = 'integer', read_only = true")), "{ id = 1 }", "{\"id\":1}"},
      {MODEL(FIELD("id", "kind = 'integer'") FIELD("note", "kind = 'string', visible_to = { 'admin' }")), "{ id = 1, note = 'x' }", "{\"id\":1}"},
      {MODEL(FIELD("note", "kind = 'string', visible_to = { 'admin', 'auditor' }")), "{}", "{}"}, /* nor is it missed */
      {MODEL(FIELD("user", "kind = 'model', fields = { { name = 'id', schema = { kind = 'integer' } } }")), "{ user = { id = 1, token = 'x' } }",
       "{\"user\":{\"id\":1}}"},
      {MODEL(FIELD("id", "kind = 'integer'")), "setmetatable({}, { __index = function() return 1 end })", "!missing response.id"},
      {MODEL(""), "{ a = 1 }", "{}"},
  };
  world_respond_rows(*state, ROWS(rows));
}

/* What world_respond gives to somebody with those roles. */
static dl_str respond_to(schema_world *world, const dl_schema *schema, const dl_str *roles, uint32_t count) {
  world_begin(world, DL_MODE_STRICT);
  world->validation.output = true;
  world->validation.roles = roles;
  world->validation.role_count = count;
  world_run(world, "return { id = 1, note = 'x' }");
  assert_true(dl_schema_serialise(schema, world->L, -1, &world->text, &world->validation));
  lua_pop(world->L, 1);
  return dl_buffer_str(&world->text);
}

static void a_field_is_shown_to_the_roles_it_is_visible_to(void **state) {
  schema_world *world = *state;
  const dl_schema *schema =
      world_compile(world, MODEL(FIELD("id", "kind = 'integer'") FIELD("note", "kind = 'string', visible_to = { 'admin', 'auditor' }")));
  static const dl_str auditor[] = {DL_STR("user"), DL_STR("auditor")}, near[] = {DL_STR("Admin"), DL_STR("adm"), DL_STR("admins")};
  assert_str(respond_to(world, schema, auditor, 2), "{\"id\":1,\"note\":\"x\"}");
  assert_str(respond_to(world, schema, auditor, 1), "{\"id\":1}");
  assert_str(respond_to(world, schema, near, 3), "{\"id\":1}");
  assert_str(respond_to(world, schema, NULL, 0), "{\"id\":1}");
}

static void nil_and_null_by_what_the_field_says(void **state) {
  static const schema_row rows[] = {
      {MODEL(FIELD("a", "kind = 'integer', nullable = true") FIELD("b", "kind = 'integer', optional = true")), "{}", "{\"a\":null}"},
      {MODEL(FIELD("a", "kind = 'integer', nullable = true") FIELD("b", "kind = 'integer', optional = true")), "{ a = null, b = null }",
       "{\"a\":null}"},
      {MODEL(FIELD("a", "kind = 'integer', nullable = true, optional = true")), "{}", "{\"a\":null}"},
      {MODEL(FIELD("a", "kind = 'integer', default = 7")), "{}", "{\"a\":7}"},
      {MODEL(FIELD("a", "kind = 'date', default = '2026-11-24'")), "{}", "{\"a\":\"2026-11-24\"}"},
      {MODEL(FIELD("a", "kind = 'datetime', utc = true, default = '2026-01-01T12:00:00+02:00'")), "{}", "{\"a\":\"2026-01-01T10:00:00Z\"}"},
      {MODEL(FIELD("a", "kind = 'integer', default = 7")), "{ a = null }", "!missing response.a"},
      {MODEL(FIELD("a", "kind = 'integer'")), "{ a = null }", "!missing response.a"},
      {MODEL(FIELD("a", "kind = 'any'") FIELD("b", "kind = 'any', optional = true")), "{}", "{\"a\":null}"},
      {MODEL(FIELD("a", "kind = 'any', optional = true")), "{ a = null }", "{\"a\":null}"},
      {"{ kind = 'array', items = { kind = 'integer', nullable = true } }", "{ 1, null, 3 }", "[1,null,3]"},
      {"{ kind = 'array', items = { kind = 'integer' } }", "{ 1, null, 3 }", "!int_type response.1"},
      {"{ kind = 'integer', nullable = true }", "nil", "null"},
      {MODEL(FIELD("a", "kind = 'union', members = { { kind = 'string' }, { kind = 'integer', nullable = true } }")), "{ a = null }", "{\"a\":null}"},
      {MODEL(FIELD("a", "kind = 'union', members = { { kind = 'string' }, { kind = 'integer', nullable = true } }")), "{}", "{\"a\":null}"},
      {MODEL(FIELD("a", "kind = 'union', members = { { kind = 'string' }, { kind = 'union', members = { { kind = 'json' } } } }")), "{ a = null }",
       "{\"a\":null}"},
      {MODEL(FIELD("a", "kind = 'union', optional = true, members = { { kind = 'integer', nullable = true } }")), "{}", "{}"},
      {MODEL(FIELD("a", "kind = 'union', members = { { kind = 'string' }, { kind = 'integer' } }")), "{ a = null }", "!missing response.a"},
      {"{ kind = 'integer' }", "nil", "!int_type response"},
  };
  world_respond_rows(*state, ROWS(rows));
}

static void each_kind_has_its_form_in_json(void **state) {
  static const schema_row rows[] = {
      {"{ kind = 'string' }", "'plain'", "\"plain\""},
      {"{ kind = 'string' }", "'a long string of plain text'", "\"a long string of plain text\""},
      {"{ kind = 'string' }", "'a long string with \"quotes\" in it'", "\"a long string with \\\"quotes\\\" in it\""},
      {"{ kind = 'string' }", "'q\"\\\\\\n\\0'", "\"q\\\"\\\\\\n\\u0000\""},
      {"{ kind = 'string' }", "'12345678\\127'", "\"12345678\\u007f\""},
      {"{ kind = 'string' }", "'\xc3\xa9\xe2\x82\xac'", "\"\xc3\xa9\xe2\x82\xac\""},
      {"{ kind = 'string' }", "''", "\"\""},
      {"{ kind = 'string' }", "'\xff'", "!string_unicode response"},
      {"{ kind = 'string' }", "5", "!string_type response"},
      {"{ kind = 'integer' }", "-9007199254740991", "-9007199254740991"},
      {"{ kind = 'integer' }", "2^53", "!int_type response"},
      {"{ kind = 'integer' }", "1.5", "!int_type response"},
      {"{ kind = 'integer' }", "5LL", "5"},
      {"{ kind = 'integer' }", "-2^60", "!int_type response"},
      {"{ kind = 'integer' }", "5ULL", "!int_type response"},
      {"{ kind = 'integer' }", "print", "!int_type response"},
      {"{ kind = 'number' }", "-2^60", "-1.152921504606847e+18"},
      {"{ kind = 'integer' }", "'5'", "!int_type response"},
      {"{ kind = 'int64' }", "9223372036854775807LL", "9223372036854775807"},
      {"{ kind = 'int64' }", "5", "5"},
      {"{ kind = 'int64' }", "5ULL", "!int_type response"},
      {"{ kind = 'number' }", "0.1", "0.1"},
      {"{ kind = 'number' }", "1/0", "!finite_number response"},
      {"{ kind = 'number' }", "0/0", "!finite_number response"},
      {"{ kind = 'number' }", "3", "3"},
      {"{ kind = 'boolean' }", "false", "false"},
      {"{ kind = 'boolean' }", "1", "true"},
      {"{ kind = 'boolean' }", "2", "!bool_type response"},
      {"{ kind = 'boolean' }", "'true'", "!bool_type response"},
      {"{ kind = 'decimal' }", "'12.50'", "\"12.50\""},
      {"{ kind = 'decimal' }", "12.5", "\"12.5\""},
      {"{ kind = 'email' }", "'ann@Example.com'", "\"ann@example.com\""},
      {"{ kind = 'email' }", "'ann'", "!value_error response{\"reason\":\"it has no @\"}"},
      {"{ kind = 'uuid' }", "'6BA7B810-9DAD-11D1-80B4-00C04FD430C8'", "\"6ba7b810-9dad-11d1-80b4-00c04fd430c8\""},
      {"{ kind = 'date' }", "'2026-11-24'", "\"2026-11-24\""},
      {"{ kind = 'date' }", "'\\255'", "!string_unicode response"},
      {"{ kind = 'date' }", "20261124", "!date_type response"},
      {"{ kind = 'boolean' }", "2", "!bool_type response"},
      {"{ kind = 'boolean' }", "'true'", "!bool_type response"},
      {"{ kind = 'bytes' }", "5", "!bytes_type response"},
      {"{ kind = 'duration' }", "'soon'", "!time_delta_parsing response{\"error\":\"expected a number or P\"}"},
      {"{ kind = 'duration' }", "90", "\"PT1M30S\""},
      {"{ kind = 'duration', le = 60 }", "90", "!less_than_equal response{\"le\":60}"},
      {"{ kind = 'bytes' }", "'a\\0\xff'", "\"YQD/\""},
      {"{ kind = 'bytes', max_length = 2 }", "'abc'", "!bytes_too_long response{\"max_length\":2}"},
      {"{ kind = 'literal', values = { 'a', 3 } }", "3", "3"},
      {"{ kind = 'literal', values = { 'a', 3 } }", "'a'", "\"a\""},
      {"{ kind = 'literal', values = { 'a', 3 } }", "'3'", "!literal_error response{\"expected\":\"'a' or 3\"}"},
      {"{ kind = 'any' }", "{ 1, { a = true } }", "[1,{\"a\":true}]"},
      {"{ kind = 'ipv6' }", "'2001:DB8::0:1'", "\"2001:db8::1\""},
  };
  world_respond_rows(*state, ROWS(rows));
}

static void constraints_hold_on_the_way_out_too(void **state) {
  static const schema_row rows[] = {
      {"{ kind = 'string', min_length = 2 }", "'\xc3\xa9'", "!string_too_short response{\"min_length\":2}"},
      {"{ kind = 'string', pattern = '^a+$' }", "'b'", "!string_pattern_mismatch response{\"pattern\":\"^a+$\"}"},
      {"{ kind = 'integer', le = 3 }", "4", "!less_than_equal response{\"le\":3}"},
      {"{ kind = 'array', items = { kind = 'integer', le = 3 }, max_items = 2 }", "{ 4, 5 }",
       "!less_than_equal response.0{\"le\":3}; less_than_equal response.1{\"le\":3}"},
      {"{ kind = 'array', items = { kind = 'integer' }, max_items = 1 }", "{ 4, 5 }",
       "!too_long response{\"field_type\":\"List\",\"max_length\":1,\"actual_length\":2}"},
      {"{ kind = 'array', items = { kind = 'integer' }, unique_items = true }", "{ 4, 4 }",
       "!value_error response{\"error\":\"should have no item twice; item 1 repeats item 0\"}"},
      {"{ kind = 'array', items = { kind = 'any' }, unique_items = true }", "{}", "[]"},
      {"{ kind = 'array', items = { kind = 'any' }, unique_items = true }", "{ 18446744073709551615ULL, 1 }",
       "!value_error response{\"error\":\"an integer over 2^63 - 1 at [1]; give it as a string\"}"},
      {MODEL(FIELD("a", "kind = 'string', alias = 'the-a'")), "{ a = 1 }", "!string_type response.the-a"},
      {MODEL(FIELD("a", "kind = 'string', alias = 'the-a'")), "{ a = 'x' }", "{\"the-a\":\"x\"}"},
  };
  world_respond_rows(*state, ROWS(rows));
}

static void tables_are_arrays_maps_or_models_by_the_schema(void **state) {
  static const schema_row rows[] = {
      {"{ kind = 'array', items = { kind = 'integer' } }", "{}", "[]"},
      {"{ kind = 'array', items = { kind = 'integer' } }", "{ a = 1 }", "!list_type response"},
      {"{ kind = 'array', items = { kind = 'integer' } }", "{ 1, a = 1 }", "!list_type response"},
      {"{ kind = 'array', items = { kind = 'integer' } }", "{ 1, 2, [0] = 0 }", "!list_type response"},
      {"{ kind = 'array', items = { kind = 'integer' } }", "(function() local t = { k211 = 1 } t[1] = 1 return t end)()", "!list_type response"},
      {"{ kind = 'array', items = { kind = 'integer' } }", "'x'", "!list_type response"},
      {"{ kind = 'map', values = { kind = 'integer' } }", "{}", "{}"},
      {"{ kind = 'map', values = { kind = 'integer' } }", "{ a = 1 }", "{\"a\":1}"},
      {"{ kind = 'map', values = { kind = 'integer' } }", "{ 1 }", "!invalid_key response"},
      {"{ kind = 'map', values = { kind = 'integer' } }", "{ a = 'x' }", "!int_type response.a"},
      {"{ kind = 'map', values = { kind = 'integer' } }", "{ ['\\255'] = 1 }", "!string_unicode response.\xff"},
      {"{ kind = 'map', values = { kind = 'integer' } }", "5", "!dict_type response"},
      {"{ kind = 'map', values = { kind = 'integer' }, min_items = 2 }", "{ a = 1 }",
       "!too_short response{\"field_type\":\"Dictionary\",\"min_length\":2,\"actual_length\":1}"},
      {"{ kind = 'map', keys = { kind = 'literal', values = { 'a', 3 } }, values = { kind = 'any' } }", "{ ['3'] = 1 }", "{\"3\":1}"},
      {"{ kind = 'map', keys = { kind = 'email' }, values = { kind = 'any' } }", "{ ['a@X.example'] = 1 }", "{\"a@x.example\":1}"},
      {"{ kind = 'map', keys = { kind = 'string', max_length = 1 }, values = { kind = 'integer' } }", "{ ab = 1 }",
       "!string_too_long response.ab{\"max_length\":1}"},
      {"{ kind = 'map', keys = { kind = 'literal', values = { 'a' } }, values = { kind = 'any' } }", "{ b = 1 }",
       "!literal_error response.b{\"expected\":\"'a'\"}"},
      {MODEL(""), "7", "!model_attributes_type response"},
      {MODEL(FIELD("a", "kind = 'any'")), "{ a = print }", "!value_error response.a{\"error\":\"a function at the top\"}"},
  };
  enum { LAST = sizeof(rows) / sizeof(rows[0]) - 1 };
  world_respond_rows(*state, rows, LAST);
  schema_world *world = *state;
  assert_true(dl_str_starts(world_respond(world, world_compile(world, rows[LAST].description), rows[LAST].input), DL_STR("!value_error response.a")));
}

static void members_of_a_map_are_written_one_behind_the_other(void **state) {
  schema_world *world = *state;
  const dl_schema *schema = world_compile(world, "{ kind = 'map', values = { kind = 'integer' } }");
  dl_str found = world_respond(world, schema, "{ a = 1, b = 2, c = 3 }");
  assert_true(world_same_value(world, "{\"a\":1,\"b\":2,\"c\":3}", found));
}

static void no_key_of_a_map_is_written_twice(void **state) {
  schema_world *world = *state;
  const dl_schema *schema = world_compile(world, "{ kind = 'map', keys = { kind = 'email' }, values = { kind = 'integer' } }");
  assert_true(dl_str_starts(world_respond(world, schema, "{ ['a@X.example'] = 1, ['a@x.example'] = 2 }"), DL_STR("!value_error response.a@")));
  assert_int_equal(world->validation.error_count, 1);
}

static void a_model_says_at_most_a_hundred_things_that_are_wrong(void **state) {
  schema_world *world = *state;
  world_run(world, "wide = { kind = 'model', name = 'Wide', fields = {} }"
                   "for i = 1, 150 do wide.fields[i] = { name = 'f' .. i, schema = { kind = 'integer' } } end");
  assert_true(dl_str_starts(world_respond(world, world_compile(world, "wide"), "{}"), DL_STR("!missing response.f1; missing response.f2; ")));
  assert_int_equal(world->validation.error_count, 100);
}

static void a_secret_never_leaves(void **state) {
  schema_world *world = *state;
  dl_secret_push(world->L, DL_STR("hunter2"));
  lua_setglobal(world->L, "secret");
  static const schema_row rows[] = {
      {MODEL(FIELD("a", "kind = 'string'")), "{ a = secret }", "!string_type response.a"},
      {MODEL(FIELD("a", "kind = 'secret', write_only = true")), "{ a = secret }", "{}"},
      {"{ kind = 'any' }", "secret", "\"secret(redacted)\""},
  };
  world_respond_rows(world, ROWS(rows));
  const dl_schema *schema = world_compile(world, MODEL(FIELD("a", "kind = 'secret'")));
  assert_true(dl_str_starts(world_respond(world, schema, "{ a = secret }"), DL_STR("!value_error response.a")));
  assert_true(dl_str_starts(world_respond(world, schema, "{ a = 'hunter2' }"), DL_STR("!value_error response.a")));
  assert_null(memmem(world->text.data, world->text.len, "hunter2", 7));
}

static void a_table_inside_itself_is_refused(void **state) {
  schema_world *world = *state;
  world_run(world, "node = { kind = 'model', name = 'Node', fields = {} } node.fields[1] = { name = 'next', schema = node }"
                   "list = { kind = 'array' } list.items = list");
  dl_str found = world_respond(world, world_compile(world, "node"), "(function() local t = {} t.next = t return t end)()");
  assert_true(dl_str_starts(found, DL_STR("!recursion_loop response.next.next.next")));
  found = world_respond(world, world_compile(world, "list"), "(function() local t = {} t[1] = t t[2] = t return t end)()");
  assert_true(dl_str_starts(found, DL_STR("!recursion_loop response.0.0.0")));
}

static void tables_held_over_and_over_end_a_response(void **state) {
  schema_world *world = *state;
  world_run(world, "node = { kind = 'model', name = 'Pair', fields = {} }"
                   "node.fields[1] = { name = 'a', schema = { kind = 'ref', optional = true, get = function() return node end } }"
                   "node.fields[2] = { name = 'b', schema = { kind = 'ref', optional = true, get = function() return node end } }"
                   "list = { kind = 'array' } list.items = list "
                   "map = { kind = 'map' } map.values = map "
                   "function levels(count, make) local t = make() for _ = 1, count do t = make(t) end return t end");
  static const char *const rows[][2] = {{"node", "function(t) return { a = t, b = t } end"},
                                        {"list", "function(t) return { t, t } end"},
                                        {"map", "function(t) return { a = t, b = t } end"}};
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    const dl_schema *schema = world_compile(world, rows[i][0]);
    dl_str found = world_respond(world, schema, lua_pushfstring(world->L, "levels(24, %s)", rows[i][1]));
    assert_true(dl_str_starts(found, DL_STR("!recursion_loop response.")));
    found = world_respond(world, schema, lua_pushfstring(world->L, "levels(12, %s)", rows[i][1]));
    assert_true(found.ptr[0] != '!');
    lua_pop(world->L, 2);
  }
  const dl_schema *parts = world_compile(world, "{ kind = 'array', items = { kind = 'any' } }");
  dl_str found = world_respond(world, parts,
                               "(function() local t = levels(17, function(t) return { t, t } end) local all = {}"
                               " for i = 1, 100 do all[i] = t end return all end)()");
  assert_true(dl_str_starts(found, DL_STR("!value_error response.")));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCHEMA_TEST(a_field_that_the_model_does_not_name_never_leaves),
      SCHEMA_TEST(a_field_is_shown_to_the_roles_it_is_visible_to),
      SCHEMA_TEST(nil_and_null_by_what_the_field_says),
      SCHEMA_TEST(each_kind_has_its_form_in_json),
      SCHEMA_TEST(constraints_hold_on_the_way_out_too),
      SCHEMA_TEST(tables_are_arrays_maps_or_models_by_the_schema),
      SCHEMA_TEST(members_of_a_map_are_written_one_behind_the_other),
      SCHEMA_TEST(no_key_of_a_map_is_written_twice),
      SCHEMA_TEST(a_model_says_at_most_a_hundred_things_that_are_wrong),
      SCHEMA_TEST(a_secret_never_leaves),
      SCHEMA_TEST(a_table_inside_itself_is_refused),
      SCHEMA_TEST(tables_held_over_and_over_end_a_response),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
