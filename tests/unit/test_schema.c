/* SPDX-License-Identifier: MIT */
/* Models: what passes, what each constraint says, all errors at once, what Lua sees. */
#include "schema_world.h"

#include <unistd.h>

#define USER                                                                                                                                         \
  "{ kind = 'model', name = 'CreateUser', fields = {"                                                                                                \
  " { name = 'email', schema = { kind = 'email' } },"                                                                                                \
  " { name = 'name', schema = { kind = 'string', min_length = 1, max_length = 10, pattern = [[^[a-zA-Z\\s]+$]] } },"                                 \
  " { name = 'role', schema = { kind = 'literal', values = { 'user', 'editor' } } },"                                                                \
  " { name = 'age', schema = { kind = 'integer', ge = 0, le = 150 } } } }"

#define MODEL(fields) "{ kind = 'model', name = 'M', fields = { " fields " } }"
#define FIELD(name, options) "{ name = '" name "', schema = { " options " } },"

static void takes_a_user_and_refuses_every_field_at_once(void **state) {
  static const schema_row rows[] = {
      {USER, "{\"email\":\"a@b.co\",\"name\":\"Ann\",\"role\":\"user\",\"age\":36}",
       "{\"age\":36,\"name\":\"Ann\",\"email\":\"a@b.co\",\"role\":\"user\"}"},
      {USER, "{}", "!missing body.email; missing body.name; missing body.role; missing body.age"},
      {USER, "{\"age\":151,\"x\":1,\"role\":\"root\",\"name\":\"\",\"email\":7}",
       "!string_type body.email; string_too_short body.name{\"min_length\":1}; literal_error body.role{\"expected\":\"'user' or 'editor'\"}; "
       "less_than_equal body.age{\"le\":150}; extra_forbidden body.x"},
      {USER, "[]", "!model_attributes_type body"},
      {USER, "null", "!model_attributes_type body"},
  };
  world_check_rows(*state, DL_MODE_STRICT, ROWS(rows));
  schema_world *world = *state;
  const dl_schema *schema = world_compile(world, rows[0].description);
  world_begin(world, DL_MODE_STRICT);
  dl_value value = world_read(world, rows[0].input);
  assert_true(dl_schema_validate(schema, &value, &world->validation));
  dl_schema_push(world->L, schema, &value);
  lua_setglobal(world->L, "user");
  world_run(world, "local n = 0 for _ in pairs(user) do n = n + 1 end assert(n == 4 and user.email == 'a@b.co' and user.name == 'Ann')"
                   "assert(user.role == 'user' and user.age == 36)");
}

static void each_constraint_has_its_error(void **state) {
  static const schema_row rows[] = {
      {"{ kind = 'string', min_length = 2 }", "\"\xc3\xa9\"", "!string_too_short body{\"min_length\":2}"},
      {"{ kind = 'string', min_length = 2, max_length = 2 }", "\"\xc3\xa9\xc3\xa9\"", "\"\xc3\xa9\xc3\xa9\""},
      {"{ kind = 'string', max_length = 2 }", "\"abc\"", "!string_too_long body{\"max_length\":2}"},
      {"{ kind = 'string', pattern = '^a+$' }", "\"aab\"", "!string_pattern_mismatch body{\"pattern\":\"^a+$\"}"},
      {"{ kind = 'string', pattern = '^a+$' }", "\"aa\\n\"", "!string_pattern_mismatch body{\"pattern\":\"^a+$\"}"},
      {"{ kind = 'string', pattern = 'b' }", "\"abc\"", "\"abc\""},
      {"{ kind = 'string', pattern = '^.$' }", "\"\xe2\x82\xac\"", "\"\xe2\x82\xac\""},
      {"{ kind = 'string', strip = true, lower = true, min_length = 1 }", "\" \\u00a0AB\\u00c9\\u2003\"", "\"ab\xc3\xa9\""},
      {"{ kind = 'string', strip = true, min_length = 1 }", "\"  \"", "!string_too_short body{\"min_length\":1}"},
      {"{ kind = 'email', strip = true }", "\" a@b.co \"", "\"a@b.co\""},
      {"{ kind = 'integer', ge = 1 }", "0", "!greater_than_equal body{\"ge\":1}"},
      {"{ kind = 'integer', gt = 1 }", "1", "!greater_than body{\"gt\":1}"},
      {"{ kind = 'integer', le = 1 }", "2", "!less_than_equal body{\"le\":1}"},
      {"{ kind = 'integer', lt = 1 }", "1", "!less_than body{\"lt\":1}"},
      {"{ kind = 'integer', multiple_of = 5 }", "12", "!multiple_of body{\"multiple_of\":5}"},
      {"{ kind = 'integer', multiple_of = 5 }", "-15", "-15"},
      {"{ kind = 'integer' }", "9007199254740993", "!int_parsing_size body"},
      {"{ kind = 'integer' }", "1.5", "!int_type body"},
      {"{ kind = 'integer' }", "true", "!int_type body"},
      {"{ kind = 'int64', ge = 9007199254740993LL }", "9007199254740992", "!greater_than_equal body{\"ge\":9007199254740993}"},
      {"{ kind = 'int64', ge = 9007199254740993LL }", "9007199254740993", "9007199254740993"},
      {"{ kind = 'int64', multiple_of = 3 }", "9007199254740991", "!multiple_of body{\"multiple_of\":3}"},
      {"{ kind = 'number', gt = 0.5 }", "0.5", "!greater_than body{\"gt\":0.5}"},
      {"{ kind = 'number', multiple_of = 0.1 }", "0.3", "0.3"},
      {"{ kind = 'number', multiple_of = 0.1 }", "0.35", "!multiple_of body{\"multiple_of\":0.1}"},
      {"{ kind = 'number' }", "3", "3"},
      {"{ kind = 'number' }", "\"3\"", "!float_type body"},
      {"{ kind = 'boolean' }", "1", "!bool_type body"},
      {"{ kind = 'decimal', ge = '0.10', multiple_of = '0.05' }", "\"0.15\"", "\"0.15\""},
      {"{ kind = 'decimal', ge = '0.10' }", "\"0.0999999999999999999999999999\"", "!greater_than_equal body{\"ge\":\"0.10\"}"},
      {"{ kind = 'decimal', lt = 100 }", "\"100.00\"", "!less_than body{\"lt\":\"100\"}"},
      {"{ kind = 'decimal', gt = -2 }", "\"-1.99\"", "\"-1.99\""},
      {"{ kind = 'decimal', multiple_of = '0.05' }", "\"12345678901234567890.12\"", "!multiple_of body{\"multiple_of\":\"0.05\"}"},
      {"{ kind = 'date', ge = '2026-01-01', lt = '2027-01-01' }", "\"2025-12-31\"", "!greater_than_equal body{\"ge\":\"2026-01-01\"}"},
      {"{ kind = 'date', ge = '2026-01-01', lt = '2027-01-01' }", "\"2026-12-31\"", "\"2026-12-31\""},
      {"{ kind = 'time', le = '12:00:00' }", "\"12:00:00.000001\"", "!less_than_equal body{\"le\":\"12:00:00\"}"},
      {"{ kind = 'datetime', gt = '2026-01-01T00:00:00Z' }", "\"2026-01-01T01:00:00+01:00\"", "!greater_than body{\"gt\":\"2026-01-01T00:00:00Z\"}"},
      {"{ kind = 'datetime', gt = '2026-01-01T00:00:00Z' }", "\"2026-01-01T00:59:00-00:02\"", "\"2026-01-01T00:59:00-00:02\""},
      {"{ kind = 'datetime', utc = true }", "\"2026-01-01T12:00:00+02:00\"", "\"2026-01-01T10:00:00Z\""},
      {"{ kind = 'datetime', utc = true }", "\"2026-01-01T12:00:00\"", "!timezone_aware body"},
      {"{ kind = 'datetime', utc = true, lt = '2026-01-01T11:00:00+01:00' }", "\"2026-01-01T12:00:00+02:00\"",
       "!less_than body{\"lt\":\"2026-01-01T11:00:00+01:00\"}"},
      {"{ kind = 'duration', le = 60 }", "\"PT61S\"", "!less_than_equal body{\"le\":60}"},
      {"{ kind = 'bytes', min_length = 2 }", "\"YQ==\"", "!bytes_too_short body{\"min_length\":2}"},
      {"{ kind = 'bytes', max_length = 2 }", "\"YWJj\"", "!bytes_too_long body{\"max_length\":2}"},
      {"{ kind = 'secret', min_bytes = 4 }", "\"abc\"", "!string_too_short body{\"min_length\":4}"},
      {"{ kind = 'secret', min_bytes = 3 }", "\"abc\"", "\"secret(redacted)\""},
      {"{ kind = 'secret', min_bytes = 3, max_length = 3 }", "\"äöü\"", "\"secret(redacted)\""},
      {"{ kind = 'secret', max_length = 3 }", "\"äöüa\"", "!string_too_long body{\"max_length\":3}"},
      {"{ kind = 'literal', values = { 'a', 3, true } }", "3", "3"},
      {"{ kind = 'literal', values = { 'a', 3, true } }", "3.0", "!literal_error body{\"expected\":\"'a', 3 or true\"}"},
      {"{ kind = 'literal', values = { 'a', 3, true } }", "\"3\"", "!literal_error body{\"expected\":\"'a', 3 or true\"}"},
      {"{ kind = 'literal', values = { 'a', 3, true } }", "1", "!literal_error body{\"expected\":\"'a', 3 or true\"}"},
      {"{ kind = 'file' }", "\"x\"", "!value_error body{\"error\":\"not an uploaded file\"}"},
  };
  world_check_rows(*state, DL_MODE_STRICT, ROWS(rows));
}

static void arrays_and_maps_count_and_check_their_items(void **state) {
  static const schema_row rows[] = {
      {"{ kind = 'array', items = { kind = 'integer' } }", "[1,2]", "[1,2]"},
      {"{ kind = 'array', items = { kind = 'integer' } }", "[]", "[]"},
      {"{ kind = 'array', items = { kind = 'integer' } }", "{}", "!list_type body"},
      {"{ kind = 'array', items = { kind = 'integer' } }", "[1,\"x\",null]", "!int_type body.1; int_type body.2"},
      {"{ kind = 'array', items = { kind = 'integer', nullable = true } }", "[1,null]", "[1,null]"},
      {"{ kind = 'array', min_items = 2, items = { kind = 'any' } }", "[1]",
       "!too_short body{\"field_type\":\"List\",\"min_length\":2,\"actual_length\":1}"},
      {"{ kind = 'array', max_items = 1, items = { kind = 'any' } }", "[1,2]",
       "!too_long body{\"field_type\":\"List\",\"max_length\":1,\"actual_length\":2}"},
      {"{ kind = 'array', unique_items = true, items = { kind = 'any' } }", "[1,\"1\",1.5,{\"a\":1,\"b\":2},{\"b\":2,\"a\":2}]",
       "[1,\"1\",1.5,{\"a\":1,\"b\":2},{\"a\":2,\"b\":2}]"},
      {"{ kind = 'array', unique_items = true, items = { kind = 'any' } }", "[{\"a\":1,\"b\":2},0,{\"b\":2.0,\"a\":1}]",
       "!value_error body{\"error\":\"should have no item twice; item 2 repeats item 0\"}"},
      {"{ kind = 'array', unique_items = true, items = " MODEL(FIELD("a", "kind = 'integer'")) " }", "[{\"a\":1},{\"a\":1}]",
       "!value_error body{\"error\":\"should have no item twice; item 1 repeats item 0\"}"},
      {"{ kind = 'array', unique_items = true, items = { kind = 'model', extra = 'allow', fields = {} } }", "[{\"a\":1},{\"a\":2}]",
       "[{\"a\":1},{\"a\":2}]"},
      {"{ kind = 'map', values = { kind = 'integer' } }", "{\"a\":1}", "{\"a\":1}"},
      {"{ kind = 'map', values = { kind = 'integer' } }", "[]", "!dict_type body"},
      {"{ kind = 'map', values = { kind = 'integer' }, keys = { kind = 'string', min_length = 2 } }", "{\"x\":\"y\"}",
       "!string_too_short body.x.[key]{\"min_length\":2}; int_type body.x"},
      {"{ kind = 'map', values = { kind = 'any' }, keys = { kind = 'literal', values = { 'a', 3, true } } }", "{\"3\":1,\"a\":2}",
       "{\"3\":1,\"a\":2}"},
      {"{ kind = 'map', values = { kind = 'any' }, keys = { kind = 'literal', values = { 3 } } }", "{\"4\":1}",
       "!literal_error body.4.[key]{\"expected\":\"3\"}"},
      {"{ kind = 'map', values = { kind = 'any' }, keys = { kind = 'string', lower = true } }", "{\"A\":1,\"B\":2}", "{\"a\":1,\"b\":2}"},
      {"{ kind = 'map', values = { kind = 'any' }, keys = { kind = 'string', lower = true } }", "{\"A\":1,\"b\":2,\"a\":3}",
       "!value_error body.a.[key]{\"error\":\"is the same key as another one, written otherwise; send each key once\"}"},
      {"{ kind = 'map', values = { kind = 'any' }, keys = { kind = 'email' } }", "{\"a@x.example\":1,\"a@X.example\":2}",
       "!value_error body.a@X.example.[key]{\"error\":\"is the same key as another one, written otherwise; send each key once\"}"},
      {"{ kind = 'map', values = { kind = 'any' }, max_items = 0 }", "{\"x\":1}",
       "!too_long body{\"field_type\":\"Dictionary\",\"max_length\":0,\"actual_length\":1}"},
      {"{ kind = 'any' }", "{\"a\":[null,1.5,true]}", "{\"a\":[null,1.5,true]}"},
      {"{ kind = 'any' }", "9007199254740993", "9007199254740993"},
      {"{ kind = 'json' }", "\"{\\\"a\\\": 1}\"", "{\"a\":1}"},
      {"{ kind = 'json' }", "[1]", "[1]"},
  };
  world_check_rows(*state, DL_MODE_STRICT, ROWS(rows));
}

static void json_in_a_string_is_read_as_strictly_as_a_body(void **state) {
  schema_world *world = *state;
  world_begin(world, DL_MODE_STRICT);
  dl_str found = world_check(world, world_compile(world, "{ kind = 'json' }"), dl_value_string(DL_STR("{\"a\":1,\"a\":2}")));
  assert_true(dl_str_starts(found, DL_STR("!json_invalid body{\"error\":")));
}

static void an_array_holds_at_most_ten_thousand_items_unless_told(void **state) {
  schema_world *world = *state;
  const dl_schema *schema = world_compile(world, "{ kind = 'array', items = { kind = 'any' } }");
  world_begin(world, DL_MODE_STRICT);
  dl_value *items = dl_arena_zalloc(&world->request, 10001, sizeof(*items));
  for (int i = 0; i <= 10000; i++) items[i] = dl_value_integer(i);
  dl_value value = {.kind = DL_VALUE_ARRAY, .len = 10001, .items = items};
  assert_str(world_check(world, schema, value), "!too_long body{\"field_type\":\"List\",\"max_length\":10000,\"actual_length\":10001}");
}

static void unknown_fields_are_refused_dropped_or_kept(void **state) {
  static const schema_row rows[] = {
      {"{ kind = 'model', extra = 'forbid', fields = { { name = 'a', schema = { kind = 'integer' } } } }", "{\"a\":1,\"b\":2,\"c\":3}",
       "!extra_forbidden body.b; extra_forbidden body.c"},
      {"{ kind = 'model', extra = 'ignore', fields = { { name = 'a', schema = { kind = 'integer' } } } }", "{\"b\":2,\"a\":1}", "{\"a\":1}"},
      {"{ kind = 'model', extra = 'allow', fields = {} }", "{\"b\":[2]}", "{\"b\":[2]}"},
      {"{ kind = 'model', extra = 'allow', fields = { { name = 'id', schema = { kind = 'integer', read_only = true } } } }", "{\"id\":2,\"b\":1}",
       "!extra_forbidden body.id"},
      {"{ kind = 'model', fields = { { name = 'id', schema = { kind = 'integer', read_only = true } } } }", "{\"id\":2}", "!extra_forbidden body.id"},
      {"{ kind = 'model', fields = { { name = 'id', schema = { kind = 'integer', read_only = true } } } }", "{}", "{}"},
      {"{ kind = 'model', extra = 'ignore', fields = { { name = 'id', schema = { kind = 'integer', read_only = true } } } }", "{\"id\":2}", "{}"},
  };
  world_check_rows(*state, DL_MODE_STRICT, ROWS(rows));
}

/* A kept field lies in one Lua table with the declared ones: it may take the place of none. */
static void a_kept_field_never_passes_for_a_declared_one(void **state) {
#define ALIASED(EXTRA)                                                                                                                               \
  "{ kind = 'model', extra = '" EXTRA "', fields = { " FIELD("name", "kind = 'string', max_length = 5, alias = 'userName'")                          \
      FIELD("is_admin", "kind = 'boolean', read_only = true, alias = 'isAdmin'")                                                                     \
          FIELD("age", "kind = 'integer', optional = true, alias = 'userAge'") FIELD("plain", "kind = 'integer', optional = true") " } }"
#define TAGGED                                                                                                                                       \
  "{ kind = 'union', discriminator = 'kind', members = { { kind = 'model', name = 'Dog', extra = 'allow', fields = { " FIELD(                        \
      "kind", "kind = 'literal', values = { 'dog' }, alias = 'type'") " } } } }"
  static const schema_row rows[] = {
      {ALIASED("allow"), "{\"userName\":\"ada\",\"more\":1,\"plain\":2}", "{\"name\":\"ada\",\"plain\":2,\"more\":1}"},
      {ALIASED("allow"), "{\"userName\":\"ada\",\"is_admin\":true,\"name\":\"much too long\",\"age\":\"no number\"}",
       "!extra_forbidden body.is_admin; extra_forbidden body.name; extra_forbidden body.age"},
      {ALIASED("allow"), "{\"name\":\"ada\"}", "!missing body.userName; extra_forbidden body.name"},
      {ALIASED("allow"), "{\"userName\":\"ada\",\"isAdmin\":true}", "!extra_forbidden body.isAdmin"},
      {ALIASED("allow"), "{\"userName\":\"ada\",\"Is_admin\":1,\"is_admin2\":1,\"\":1}", "{\"name\":\"ada\",\"Is_admin\":1,\"is_admin2\":1,\"\":1}"},
      {ALIASED("ignore"), "{\"userName\":\"ada\",\"is_admin\":true,\"age\":\"no number\"}", "{\"name\":\"ada\"}"},
      {ALIASED("forbid"), "{\"userName\":\"ada\",\"is_admin\":true}", "!extra_forbidden body.is_admin"},
      /* A name of Lua's that is also what clients call another field is that other field. */
      {"{ kind = 'model', extra = 'allow', fields = { " FIELD("a", "kind = 'integer', alias = 'b'") FIELD("b", "kind = 'string', alias = 'c'") " } }",
       "{\"b\":1,\"c\":\"x\"}", "{\"a\":1,\"b\":\"x\"}"},
      {"{ kind = 'model', extra = 'allow', fields = { " FIELD("a", "kind = 'integer', alias = 'b'") FIELD("b", "kind = 'string', alias = 'c'") " } }",
       "{\"b\":1,\"c\":\"x\",\"a\":2}", "!extra_forbidden body.a"},
      /* Wherever such a model stands. */
      {"{ kind = 'array', items = " ALIASED("allow") " }", "[{\"userName\":\"a\"},{\"userName\":\"a\",\"is_admin\":true}]",
       "!extra_forbidden body.1.is_admin"},
      {"{ kind = 'map', values = " ALIASED("allow") " }", "{\"x\":{\"userName\":\"a\",\"age\":1}}", "!extra_forbidden body.x.age"},
      {"{ kind = 'union', members = { " ALIASED("allow") ", { kind = 'integer' } } }", "{\"userName\":\"a\",\"is_admin\":true}",
       "!extra_forbidden body.model.is_admin; int_type body.integer"},
      {TAGGED, "{\"type\":\"dog\",\"legs\":4}", "{\"kind\":\"dog\",\"legs\":4}"},
      {TAGGED, "{\"type\":\"dog\",\"kind\":\"cat\"}", "!extra_forbidden body.dog.kind"},
  };
  world_check_rows(*state, DL_MODE_STRICT, ROWS(rows));
  world_check_rows(*state, DL_MODE_LAX, ROWS(rows));

  schema_world *world = *state;
  const dl_schema *header = world_compile(
      world, "{ kind = 'model', extra = 'allow', fields = { " FIELD("x_tenant", "kind = 'string', max_length = 3, alias = 'x-tenant'") " } }");
  static const dl_pair fields[] = {{DL_STR("X-Tenant"), DL_STR("a")}, {DL_STR("other"), DL_STR("b")}, {DL_STR("x_tenant"), DL_STR("zzzz")}};
  world_begin(world, DL_MODE_TEXT);
  assert_str(world_check(world, header, dl_schema_collect(header, fields, 3, true, &world->request)), "!extra_forbidden body.x_tenant");
  world_begin(world, DL_MODE_TEXT);
  assert_str(world_check(world, header, dl_schema_collect(header, fields + 2, 1, true, &world->request)),
             "!missing body.x-tenant; extra_forbidden body.x_tenant");
#undef TAGGED
#undef ALIASED
}

static void absent_and_null_are_two_things(void **state) {
  static const schema_row rows[] = {
      {MODEL(FIELD("a", "kind = 'integer', default = 7")), "{}", "{\"a\":7}"},
      {MODEL(FIELD("a", "kind = 'integer', default = 7")), "{\"a\":null}", "!int_type body.a"},
      {MODEL(FIELD("a", "kind = 'integer', optional = true")), "{}", "{}"},
      {MODEL(FIELD("a", "kind = 'integer', optional = true")), "{\"a\":null}", "!int_type body.a"},
      {MODEL(FIELD("a", "kind = 'integer', nullable = true")), "{\"a\":null}", "{\"a\":null}"},
      {MODEL(FIELD("a", "kind = 'integer', nullable = true")), "{}", "!missing body.a"},
      {MODEL(FIELD("a", "kind = 'integer', nullable = true, default = null")), "{}", "{\"a\":null}"},
      {MODEL(FIELD("a", "kind = 'array', items = { kind = 'any' }, default = {}")), "{}", "{\"a\":[]}"},
      {MODEL(FIELD("a", "kind = 'int64', default = 5")), "{}", "{\"a\":5}"},
      {MODEL(FIELD("a", "kind = 'string', default_factory = function() return 'made' end")), "{}", "{\"a\":\"made\"}"},
      {MODEL(FIELD("a", "kind = 'string', default_factory = function() error('no') end")), "{}", "!fault"},
      {MODEL(FIELD("a", "kind = 'string', alias = 'the-a'")), "{\"the-a\":\"x\"}", "{\"a\":\"x\"}"},
      {MODEL(FIELD("a", "kind = 'string', alias = 'the-a'")), "{\"a\":\"x\"}", "!missing body.the-a; extra_forbidden body.a"},
  };
  world_check_rows(*state, DL_MODE_STRICT, ROWS(rows));
}

static void int64_is_cdata_and_a_default_is_fresh_each_time(void **state) {
  schema_world *world = *state;
  const dl_schema *schema =
      world_compile(world, MODEL(FIELD("n", "kind = 'int64'") FIELD("list", "kind = 'array', items = { kind = 'any' }, default = { 1 }")));
  world_begin(world, DL_MODE_STRICT);
  for (int i = 0; i < 2; i++) {
    dl_value value = world_read(world, "{\"n\":5}");
    assert_true(dl_schema_validate(schema, &value, &world->validation));
    dl_schema_push(world->L, schema, &value);
    lua_setglobal(world->L, i ? "second" : "first");
  }
  world_run(world, "assert(type(first.n) == 'cdata' and first.n == 5LL)"
                   "assert(first.list ~= second.list) first.list[1] = 2 assert(second.list[1] == 1)");
}

static void checks_keep_change_or_refuse(void **state) {
  static const schema_row rows[] = {
      {"{ kind = 'integer', check = function(v) end }", "3", "3"},
      {"{ kind = 'integer', check = function(v) return v + 1 end }", "3", "4"},
      {"{ kind = 'boolean', check = function(v) return not v end }", "true", "false"},
      {"{ kind = 'integer', check = function(v) return nil, 'is odd' end }", "3", "!value_error body{\"error\":\"is odd\"}"},
      {"{ kind = 'integer', ge = 5, check = function(v) error('not reached') end }", "3", "!greater_than_equal body{\"ge\":5}"},
      {"{ kind = 'integer', check = function(v) error('broken') end }", "3", "!fault"},
      {"{ kind = 'integer', check = function(v) error({}) end }", "3", "!fault"},
      {"{ kind = 'integer', check = function(v) return print end }", "3", "!fault"},
      {"{ kind = 'integer', nullable = true, check = function(v) return nil, 'x' end }", "null", "null"},
      {"{ kind = 'secret', check = function(s) return s end }", "\"abc\"", "\"secret(redacted)\""},
      {"{ kind = 'model', fields = { { name = 'a', schema = { kind = 'integer' } }, { name = 'b', schema = { kind = 'integer' } } },"
       " check = function(m) if m.a > m.b then return nil, 'a is above b' end end }",
       "{\"a\":2,\"b\":1}", "!value_error body{\"error\":\"a is above b\"}"},
      {"{ kind = 'model', fields = { { name = 'a', schema = { kind = 'integer' } } }, check = function(m) m.a = m.a + 1 return m end }", "{\"a\":2}",
       "{\"a\":3}"},
      {"{ kind = 'model', fields = { { name = 'a', schema = { kind = 'integer' } } }, check = function(m) error('not reached') end }",
       "{\"a\":\"x\"}", "!int_type body.a"},
      {"{ kind = 'array', items = { kind = 'integer', check = function(v) return v * 2 end } }", "[1,2]", "[2,4]"},
  };
  world_check_rows(*state, DL_MODE_STRICT, ROWS(rows));
}

static void a_broken_check_is_a_fault_with_a_traceback(void **state) {
  schema_world *world = *state;
  const dl_schema *schema = world_compile(world, "{ kind = 'integer', check = function(v) local x = v.y.z end }");
  world_begin(world, DL_MODE_STRICT);
  dl_value value = dl_value_integer(1);
  assert_false(dl_schema_validate(schema, &value, &world->validation));
  assert_int_equal(world->validation.error_count, 1);
  assert_non_null(strstr(world->validation.fault, "stack traceback"));
}

static void a_key_that_a_check_makes_no_text_of_is_a_fault(void **state) {
  schema_world *world = *state;
  const dl_schema *schema =
      world_compile(world, "{ kind = 'map', values = { kind = 'any' }, keys = { kind = 'string', check = function(k) return tonumber(k) end } }");
  world_begin(world, DL_MODE_STRICT);
  assert_str(world_check(world, schema, world_read(world, "{\"a\":1}")), "{\"a\":1}");
  world_begin(world, DL_MODE_STRICT);
  dl_value value = world_read(world, "{\"1\":1,\"2\":2}");
  assert_false(dl_schema_validate(schema, &value, &world->validation));
  assert_non_null(strstr(world->validation.fault, "keys are text"));
}

static void strict_and_lax_hold_from_where_they_are_said(void **state) {
  static const schema_row strict[] = {
      {MODEL(FIELD("a", "kind = 'integer', strict = false") FIELD("b", "kind = 'integer'")), "{\"a\":\"1\",\"b\":\"1\"}", "!int_type body.b"},
      {"{ kind = 'model', strict = false, fields = { { name = 'a', schema = { kind = 'array', items = { kind = 'integer' } } },"
       " { name = 'b', schema = { kind = 'integer', strict = true } } } }",
       "{\"a\":[\"1\",2.0],\"b\":\"1\"}", "!int_type body.b"},
      {"{ kind = 'model', strict = false, fields = { { name = 'a', schema = { kind = 'array', items = { kind = 'integer' } } } } }",
       "{\"a\":[\"1\",2.0,true]}", "{\"a\":[1,2,1]}"},
  };
  static const schema_row text[] = {
      {MODEL(FIELD("a", "kind = 'integer', strict = true") FIELD("b", "kind = 'boolean'") FIELD("c", "kind = 'literal', values = { 3, true }")),
       "{\"a\":\"1\",\"b\":\"on\",\"c\":\"3\"}", "{\"a\":1,\"c\":3,\"b\":true}"},
      {"{ kind = 'literal', values = { 3, true } }", "\"true\"", "true"},
      {"{ kind = 'integer' }", "\"x\"", "!int_parsing body"},
  };
  world_check_rows(*state, DL_MODE_STRICT, ROWS(strict));
  world_check_rows(*state, DL_MODE_TEXT, ROWS(text));
}

static void recursion_by_identity_and_by_reference(void **state) {
  schema_world *world = *state;
  world_run(world, "node = { kind = 'model', name = 'Node', fields = { { name = 'v', schema = { kind = 'integer' } } } }"
                   "node.fields[2] = { name = 'next', schema = { kind = 'ref', nullable = true, default = null, get = function() return node end } }"
                   "tree = { kind = 'model', name = 'Tree', fields = {} }"
                   "tree.fields[1] = { name = 'children', schema = { kind = 'array', items = tree } }");
  const dl_schema *node = world_compile(world, "node"), *tree = world_compile(world, "tree");
  assert_ptr_equal(node, world_compile(world, "node"));
  assert_int_equal(dl_schema_kind(node), DL_KIND_MODEL);
  world_begin(world, DL_MODE_STRICT);
  assert_str(world_check(world, node, world_read(world, "{\"v\":1,\"next\":{\"v\":2,\"next\":{\"v\":\"x\"}}}")), "!int_type body.next.next.v");
  world_begin(world, DL_MODE_STRICT);
  assert_str(world_check(world, tree, world_read(world, "{\"children\":[{\"children\":[]},{\"children\":[{}]}]}")),
             "!missing body.children.1.children.0.children");
}

static void depth_is_bounded_whatever_the_reader_allows(void **state) {
  schema_world *world = *state;
  world_run(world, "list = { kind = 'array' } list.items = list");
  const dl_schema *list = world_compile(world, "list");
  world_begin(world, DL_MODE_STRICT);
  dl_value *levels = dl_arena_zalloc(&world->request, 300, sizeof(*levels));
  for (int i = 0; i < 300; i++) levels[i] = (dl_value){.kind = DL_VALUE_ARRAY, .len = i < 299, .items = &levels[i + 1]};
  assert_false(dl_schema_validate(list, &levels[0], &world->validation));
  world_describe_errors(world);
  assert_true(dl_str_starts(dl_buffer_str(&world->text), DL_STR("recursion_loop body.0.0")));
}

static void no_model_is_echoed_that_was_checked_before(void **state) {
  schema_world *world = *state;
  world_run(world, "function refuse() return nil, 'no' end");
  const dl_schema *list = world_compile(world, "{ kind = 'array', check = refuse, items = " MODEL(FIELD("a", "kind = 'integer'")) " }");
  const dl_schema *map =
      world_compile(world, "{ kind = 'map', check = refuse, values = { kind = 'array', items = " MODEL(FIELD("a", "kind = 'integer'")) " } }");
  const dl_schema *plain = world_compile(world, "{ kind = 'array', check = refuse, items = { kind = 'integer' } }");
  const struct {
    const dl_schema *schema;
    const char *json, *wanted;
  } rows[] = {
      {list, "[{\"a\":1},{\"a\":2}]", "!value_error body{\"error\":\"no\"}"},
      {map, "{\"m\":[{\"a\":1}]}", "!value_error body{\"error\":\"no\"}"},
      {plain, "[1,2]", "!value_error body{\"error\":\"no\"}<[1,2]>"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    world_begin(world, DL_MODE_STRICT);
    world->validation.echo_input = true;
    assert_str(world_check(world, rows[i].schema, world_read(world, rows[i].json)), rows[i].wanted);
  }
}

static void gathers_a_hundred_errors_and_no_more(void **state) {
  schema_world *world = *state;
  const dl_schema *schema = world_compile(world, "{ kind = 'array', items = { kind = 'integer' } }");
  world_begin(world, DL_MODE_STRICT);
  dl_value *items = dl_arena_zalloc(&world->request, 500, sizeof(*items));
  for (int i = 0; i < 500; i++) items[i] = dl_value_boolean(true);
  dl_value value = {.kind = DL_VALUE_ARRAY, .len = 500, .items = items};
  assert_false(dl_schema_validate(schema, &value, &world->validation));
  assert_int_equal(world->validation.error_count, 100);
  dl_validation_summary(&world->validation, &world->text);
  assert_true(dl_str_starts(dl_buffer_str(&world->text), DL_STR("body.0: should be a whole number; body.1: ")));
  assert_non_null(strstr(dl_arena_copy(&world->request, dl_buffer_str(&world->text)).ptr, "; and 95 more"));
}

static void input_is_echoed_only_in_dev_and_never_beside_a_secret(void **state) {
  schema_world *world = *state;
  const dl_schema *open = world_compile(world, MODEL(FIELD("a", "kind = 'integer'")));
  const dl_schema *closed =
      world_compile(world, MODEL(FIELD("password", "kind = 'secret', min_bytes = 8") FIELD("in", "kind = 'map', values = { kind = 'secret' }")
                                     FIELD("or", "kind = 'union', members = { { kind = 'integer' }, { kind = 'secret', min_bytes = 9 } }")));
  world_begin(world, DL_MODE_STRICT);
  assert_str(world_check(world, open, world_read(world, "{\"a\":\"x\",\"b\":[1]}")), "!int_type body.a; extra_forbidden body.b");
  world_begin(world, DL_MODE_STRICT);
  world->validation.echo_input = true;
  assert_str(world_check(world, open, world_read(world, "{\"a\":\"x\",\"b\":[1]}")), "!int_type body.a<\"x\">; extra_forbidden body.b<[1]>");
  world_begin(world, DL_MODE_STRICT);
  world->validation.echo_input = true;
  assert_str(
      world_check(world, closed, world_read(world, "{\"password\":\"hunter2\",\"in\":\"hunter2\",\"or\":\"hunter2\",\"pasword\":\"hunter2\"}")),
      "!string_too_short body.password{\"min_length\":8}; dict_type body.in; int_type body.or.integer; "
      "string_too_short body.or.secret{\"min_length\":9}; extra_forbidden body.pasword");
}

/* Refused after little work, and told: text is what pattern runs away on. */
static void runs_away(schema_world *world, const char *pattern, dl_str text) {
  char description[200], wanted[200];
  snprintf(description, sizeof(description), "{ kind = 'string', pattern = '%s' }", pattern);
  snprintf(wanted, sizeof(wanted), "!string_pattern_mismatch body{\"pattern\":\"%s\"}", pattern);
  const dl_schema *schema = world_compile(world, description);
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  dl_clock clock = {0};
  dl_log log;
  dl_log_init(&log, ends[1], DL_LOG_JSON, DL_LOG_INFO, &clock);
  world_begin(world, DL_MODE_STRICT);
  world->validation.log = &log;
  assert_str(world_check(world, schema, dl_value_string(text)), wanted);
  dl_log_free(&log);
  char line[512] = {0};
  close(ends[1]);
  assert_true(read(ends[0], line, sizeof(line) - 1) > 0);
  assert_non_null(strstr(line, "match limit"));
  close(ends[0]);
}

static void a_runaway_pattern_refuses_and_is_logged(void **state) {
  enum { LENGTH = 50000 };
  static char text[LENGTH];
  schema_world *world = *state;
  memset(text, 'a', LENGTH - 1);
  text[LENGTH - 1] = '-';
  runs_away(world, "^(a+)+$", dl_str_from(text + LENGTH - 50, 50)); /* so short that it is tried uncounted first */
  runs_away(world, "^(a+)+$", dl_str_from(text, LENGTH));
  runs_away(world, "[a-z]{2,}-[0-9]", dl_str_from(text, LENGTH));
  runs_away(world, "(?!.*--)[a-z]+[0-9]", dl_str_from(text, LENGTH - 1));
}

/* Each of them by itself would be let run for a hundred thousand steps. */
static void many_texts_cost_no_more_than_one_that_is_as_long(void **state) {
  enum { COUNT = 100 };
  schema_world *world = *state;
  const dl_schema *schema = world_compile(world, "{ kind = 'array', items = { kind = 'string', pattern = '^(a+)+$' } }");
  for (size_t length = 16; length <= 256; length *= 4) {
    char text[256];
    world_begin(world, DL_MODE_STRICT);
    dl_value *items = dl_arena_zalloc(&world->request, COUNT, sizeof(*items));
    memset(text, 'a', sizeof(text));
    text[length - 1] = '-';
    for (size_t i = 0; i < COUNT; i++) items[i] = dl_value_string(dl_str_from(text, length));
    dl_value value = {.kind = DL_VALUE_ARRAY, .len = COUNT, .items = items};
    assert_false(dl_schema_validate(schema, &value, &world->validation));
    assert_int_equal(world->validation.patterns.bytes, COUNT * length);
    assert_in_range(world->validation.patterns.work, 1, 100000 + 32 * COUNT * length + 96 * length);
  }
}

static void a_long_text_is_judged_as_a_short_one(void **state) {
  static const struct {
    const char *pattern, *unit;
    bool matches;
  } rows[] = {
      {"^[a-z ]+$", "lovelace ", true},
      {"^[A-Z]+$", "lovelace ", false},
      {"^(?:[A-Za-z0-9+/]{4})*$", "aGkh", true},
      {"[A-Za-z0-9+/]{2,}=", "QUJDREVG;", false},
      {"(?=.*x)(?=.*y)", "yx", true},
      {"(?=.*x)(?=.*z)", "yx", false},
      {"^(?!.*(?:aa|bb|cc|dd|ee|ff|gg|hh|ii|jj|kk|ll|mm|nn|oo|pp|qq|rr|ss|tt|uu|vv|ww|xx|yy|zz|AA|BB|CC|DD|EE|FF|GG|HH|II|JJ|KK|LL|MM))", "ab", true},
  };
  schema_world *world = *state;
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    char description[300], text[2000] = {0};
    size_t length = strlen(rows[i].unit);
    snprintf(description, sizeof(description), "{ kind = 'string', pattern = '%s' }", rows[i].pattern);
    const dl_schema *schema = world_compile(world, description);
    for (size_t end = length; end < sizeof(text); end += length) {
      memcpy(text + end - length, rows[i].unit, length);
      world_begin(world, DL_MODE_STRICT);
      dl_str got = world_check(world, schema, dl_value_string(dl_str_from(text, end)));
      if ((got.ptr[0] != '!') != rows[i].matches) fail_msg("%s on %s: %.*s", rows[i].pattern, text, DL_STR_ARGS(got));
    }
  }
}

static void collects_pairs_by_the_names_of_the_fields(void **state) {
  schema_world *world = *state;
  const dl_schema *query =
      world_compile(world, MODEL(FIELD("tag", "kind = 'array', items = { kind = 'string' }, optional = true") FIELD("n", "kind = 'integer'")));
  static const dl_pair pairs[] = {
      {DL_STR("tag"), DL_STR("a")}, {DL_STR("n"), DL_STR("1")}, {DL_STR("tag"), DL_STR("b")}, {DL_STR("tag"), DL_STR("c")}};
  world_begin(world, DL_MODE_TEXT);
  dl_value value = dl_schema_collect(query, pairs, 4, false, &world->request);
  dl_value_write(&world->text, &value);
  assert_str(dl_buffer_str(&world->text), "{\"tag\":[\"a\",\"b\",\"c\"],\"n\":\"1\"}");

  static const dl_pair twice[] = {{DL_STR("n"), DL_STR("1")}, {DL_STR("n"), DL_STR("2")}, {DL_STR("x"), DL_STR("1")}, {DL_STR("x"), DL_STR("2")}};
  world_begin(world, DL_MODE_TEXT);
  assert_str(world_check(world, query, dl_schema_collect(query, twice, 4, false, &world->request)), "!int_type body.n; extra_forbidden body.x");

  const dl_schema *header = world_compile(
      world, "{ kind = 'model', extra = 'ignore', fields = { " FIELD("x_token", "kind = 'string', pattern = '^.+$', alias = 'X-Token'") " } }");
  static const dl_pair fields[] = {{DL_STR("host"), DL_STR("a")}, {DL_STR("x-token"), DL_STR("t")}};
  world_begin(world, DL_MODE_TEXT);
  assert_str(world_check(world, header, dl_schema_collect(header, fields, 2, true, &world->request)), "{\"x_token\":\"t\"}");
  static const dl_pair latin[] = {{DL_STR("x-token"), DL_STR("\xe9")}};
  world_begin(world, DL_MODE_TEXT);
  assert_str(world_check(world, header, dl_schema_collect(header, latin, 1, true, &world->request)), "!string_unicode body.X-Token");
  const dl_schema *json = world_compile(world, "{ kind = 'model', fields = { " FIELD("x_token", "kind = 'json', alias = 'X-Token'") " } }");
  world_begin(world, DL_MODE_TEXT);
  assert_str(world_check(world, json, dl_schema_collect(json, latin, 1, true, &world->request)), "!string_unicode body.X-Token");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCHEMA_TEST(takes_a_user_and_refuses_every_field_at_once),
      SCHEMA_TEST(each_constraint_has_its_error),
      SCHEMA_TEST(arrays_and_maps_count_and_check_their_items),
      SCHEMA_TEST(json_in_a_string_is_read_as_strictly_as_a_body),
      SCHEMA_TEST(an_array_holds_at_most_ten_thousand_items_unless_told),
      SCHEMA_TEST(unknown_fields_are_refused_dropped_or_kept),
      SCHEMA_TEST(a_kept_field_never_passes_for_a_declared_one),
      SCHEMA_TEST(absent_and_null_are_two_things),
      SCHEMA_TEST(int64_is_cdata_and_a_default_is_fresh_each_time),
      SCHEMA_TEST(checks_keep_change_or_refuse),
      SCHEMA_TEST(a_broken_check_is_a_fault_with_a_traceback),
      SCHEMA_TEST(a_key_that_a_check_makes_no_text_of_is_a_fault),
      SCHEMA_TEST(strict_and_lax_hold_from_where_they_are_said),
      SCHEMA_TEST(recursion_by_identity_and_by_reference),
      SCHEMA_TEST(depth_is_bounded_whatever_the_reader_allows),
      SCHEMA_TEST(gathers_a_hundred_errors_and_no_more),
      SCHEMA_TEST(no_model_is_echoed_that_was_checked_before),
      SCHEMA_TEST(input_is_echoed_only_in_dev_and_never_beside_a_secret),
      SCHEMA_TEST(a_runaway_pattern_refuses_and_is_logged),
      SCHEMA_TEST(many_texts_cost_no_more_than_one_that_is_as_long),
      SCHEMA_TEST(a_long_text_is_judged_as_a_short_one),
      SCHEMA_TEST(collects_pairs_by_the_names_of_the_fields),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
