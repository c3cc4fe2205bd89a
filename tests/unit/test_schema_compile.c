/* SPDX-License-Identifier: MIT */
/* Mistakes in descriptions: each is found at load, named with its place, and says what to write. */
#include "schema_world.h"

typedef struct mistake {
  const char *description;
  const char *place; /* what the message begins with */
  const char *says;  /* and holds */
} mistake;

static void expect_mistakes(schema_world *world, const mistake *mistakes, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const char *error = NULL;
    const dl_schema *schema = world_try_compile(world, mistakes[i].description, &error);
    if (!schema && dl_str_starts(dl_str_of(error), dl_str_of(mistakes[i].place)) && strstr(error, mistakes[i].says)) continue;
    print_error("%s\n  should begin  %s\n  and hold      %s\n  but is        %s\n", mistakes[i].description, mistakes[i].place, mistakes[i].says,
                error ? error : "no error");
    fail();
  }
}

#define IN_MODEL(schema) "{ kind = 'model', name = 'User', fields = { { name = 'age', schema = " schema " } } }"

static void names_the_field_and_what_to_write(void **state) {
  static const mistake mistakes[] = {
      {IN_MODEL("{ kind = 'integer', ge = 5, le = 1 }"), "User.age: ", "ge is above le"},
      {IN_MODEL("{ kind = 'integer', ge = 5, lt = 5 }"), "User.age: ", "ge equals lt"},
      {IN_MODEL("{ kind = 'array', items = { kind = 'integer', ge = 'x' } }"), "User.age[]: ", "ge should be a number"},
      {IN_MODEL("{ kind = 'map', values = { kind = 'inteer' } }"),
       "User.age{values}: ", "\"inteer\" is not a kind of field; the kinds are string, integer"},
      {IN_MODEL("{ kind = 'union', members = { { kind = 'any' }, { kind = 'string', min_items = 1 } } }"),
       "User.age(member 2): ", "string has no option \"min_items\"; it takes min_length"},
      {"{ kind = 'model', name = 'User', source = 'app.lua:12', fields = { { name = 'age', schema = { kind = 'integer', gt = 1, default = 0 } } } }",
       "app.lua:12: User.age: ", "default does not pass"},
      {"{ kind = 'model', name = 'User', source = 'app.lua:12', fields = { { name = 'age', schema = { kind = 'integer', source = 'app.lua:14', gt = "
       "1, lt = 0 } } } }",
       "app.lua:14: User.age: ", "gt is above lt"},
  };
  expect_mistakes(*state, mistakes, sizeof(mistakes) / sizeof(mistakes[0]));
}

static void finds_constraints_that_nothing_can_pass(void **state) {
  static const mistake mistakes[] = {
      {"{ kind = 'string', min_length = 3, max_length = 2 }", "min_length (3) is above max_length (2)", ""},
      {"{ kind = 'array', items = { kind = 'any' }, min_items = 20000 }", "min_items (20000) is above max_items (10000)", ""},
      {"{ kind = 'string', min_length = -1 }", "min_length should be a whole number", ""},
      {"{ kind = 'string', min_length = '1' }", "min_length should be a whole number", "not a string"},
      {"{ kind = 'integer', multiple_of = 0 }", "multiple_of should be above 0", ""},
      {"{ kind = 'int64', ge = 0.5 }", "ge of an int64 should be a whole number", ""},
      {"{ kind = 'decimal', ge = '0.2', le = '0.10' }", "ge is above le", ""},
      {"{ kind = 'decimal', ge = '1234567890123456789.5' }", "ge should have at most 18 digits", ""},
      {"{ kind = 'date', ge = 5 }", "ge of a date should be a string such as \"2026-11-24\"", ""},
      {"{ kind = 'date', ge = '2026-02-30' }", "ge should", ""},
      {"{ kind = 'datetime', gt = '2026-01-02T00:00:00Z', lt = '2026-01-01T00:00:00Z' }", "gt is above lt", ""},
      {"{ kind = 'time', le = 5 }", "le of a time should be a string such as \"10:00:00\"", ""},
      {"{ kind = 'datetime', le = 5 }", "le of a datetime should be a string such as \"2026-11-24T10:00:00Z\"", ""},
      {"{ kind = 'decimal', ge = '-1', le = '-1.5' }", "ge is above le", ""},
      {"{ kind = 'decimal', gt = '-0.0', lt = '0' }", "gt equals lt", ""},
      {"{ kind = 'int64', gt = 9007199254740993LL, le = 9007199254740992LL }", "gt is above le", ""},
      {"{ kind = 'duration', ge = 'PT2M', le = 'PT1M' }", "ge is above le", ""},
      {"{ kind = 'duration', ge = 'soon' }", "ge should be a duration", ""},
      {"{ kind = 'integer', ge = print }", "ge should be a number or a string: a function", ""},
      {"{ kind = 'string', max_length = 1.5 }", "max_length should be a whole number from 0 on, not 1.5", ""},
      {"{ kind = 'string', max_length = 2^32 }", "max_length should be a whole number from 0 on", ""},
      {"{ kind = 'secret', min_bytes = -1 }", "min_bytes should be a whole number", ""},
      {"{ kind = 'array', items = { kind = 'any' }, max_items = 'x' }", "max_items should be a whole number, not a string", ""},
      {"{ kind = 'array', items = { kind = 'any' }, unique_items = 1 }", "unique_items should be true or false, not a number", ""},
      {"{ kind = 'literal', values = {} }", "a literal needs its values", ""},
      {"{ kind = 'literal' }", "a literal needs its values", ""},
      {"{ kind = 'literal', values = { print } }", "values: a function", ""},
      {"(function() local l = { kind = 'literal', values = {} } for i = 1, 1001 do l.values[i] = i end return l end)()",
       "a literal may have at most 1000 values", ""},
      {"{ kind = 'literal', values = { 'a', 'a' } }", "values has a twice", ""},
      {"{ kind = 'literal', values = { null } }", "values of a literal are strings, numbers and booleans", "nullable"},
  };
  expect_mistakes(*state, mistakes, sizeof(mistakes) / sizeof(mistakes[0]));
}

static void shows_where_a_pattern_does_not_compile(void **state) {
  static const mistake mistakes[] = {
      {"{ kind = 'string', pattern = '(a' }", "pattern \"(a\" does not compile: missing closing parenthesis, at offset 2", ""},
      {"{ kind = 'string', pattern = '[z-a]' }", "pattern \"[z-a]\" does not compile", "at offset 3"},
      {"{ kind = 'string', pattern = '\\\\C' }", "pattern \"\\C\" does not compile", ""},
      {"{ kind = 'string', pattern = '(*LIMIT_MATCH=' }", "pattern \"(*LIMIT_MATCH=\" does not compile: (*VERB) not recognized", "at offset 14"},
      {"{ kind = 'string', pattern = 7 }", "pattern should be a string", ""},
      {"{ kind = 'string', pattern = '\\255' }", "pattern should be UTF-8 text without NUL", ""},
      {"{ kind = 'string', pattern = 'a\\0' }", "pattern should be UTF-8 text without NUL", ""},
  };
  expect_mistakes(*state, mistakes, sizeof(mistakes) / sizeof(mistakes[0]));
}

static void defaults_must_pass_their_own_checks(void **state) {
  static const mistake mistakes[] = {
      {"{ kind = 'string', default = 5 }", "its default does not pass its own checks (default: should be a string)", ""},
      {"{ kind = 'literal', values = { 'a' }, default = 'b' }", "its default does not pass", "should be 'a'"},
      {"{ kind = 'email', default = 'nobody' }", "its default does not pass", ""},
      {"{ kind = 'array', items = { kind = 'integer' }, default = { 'x' } }", "its default does not pass its own checks (default.0: ", ""},
      {"{ kind = 'integer', default = print }", "default cannot be used", "function"},
      {"{ kind = 'integer', default = 1, default_factory = function() end }", "has both default and default_factory", ""},
      {"{ kind = 'secret', min_bytes = 4, default = 'abc' }", "the default is shorter than min_bytes", ""},
      {"{ kind = 'integer', read_only = true, write_only = true }", "is read_only and write_only at once", ""},
      {"{ kind = 'integer', check = 5 }", "check should be a function, not a number", ""},
      {"{ kind = 'integer', optional = 'yes' }", "optional should be true or false, not a string", ""},
      {"{ kind = 'integer', strict = 'yes' }", "strict should be true or false, not a string", ""},
      {"{ kind = 'datetime', utc = true, default = '2026-01-01T12:00:00' }", "default should end with its offset from UTC", ""},
      {"{ kind = 'date', utc = true }", "date has no option \"utc\"", ""},
      {"{ kind = 'integer', default_factory = 5 }", "default_factory should be a function, not a number", ""},
      {"{ kind = 'integer', visible_to = 'admin' }", "visible_to should be a list of roles, such as { \"admin\" }", ""},
      {"{ kind = 'integer', visible_to = {} }", "visible_to should be a list of roles", ""},
      {"{ kind = 'integer', visible_to = { 'admin', 5 } }", "visible_to should hold the names of roles", ""},
  };
  expect_mistakes(*state, mistakes, sizeof(mistakes) / sizeof(mistakes[0]));
}

/* What only a model can leave out is not looked at anywhere else. */
static void what_is_for_some_alone_is_a_field_of_a_model(void **state) {
  static const mistake mistakes[] = {
      {"{ kind = 'array', items = { kind = 'string', write_only = true } }",
       "[]: write_only is for fields of a model, and this is an array's items; write it at the field that holds the array", ""},
      {"{ kind = 'array', items = { kind = 'string', read_only = true } }", "[]: read_only is for fields of a model", ""},
      {"{ kind = 'array', items = { kind = 'string', visible_to = { 'admin' } } }", "[]: visible_to is for fields of a model", ""},
      {"{ kind = 'array', items = { kind = 'string', optional = true } }", "[]: optional is for fields of a model", "an array's items"},
      {"{ kind = 'map', values = { kind = 'string', default = 'a' } }", "{values}: default is for fields of a model", "a map's values"},
      {"{ kind = 'union', members = { { kind = 'string', default_factory = function() return 'a' end } } }",
       "(member 1): default_factory is for fields of a model", "a member of a union"},
      {"{ kind = 'array', items = { kind = 'ref', optional = true, get = function() return { kind = 'string' } end } }",
       "[]: optional is for fields of a model", "an array's items"},
      {"{ kind = 'map', values = { kind = 'string', write_only = true } }",
       "{values}: write_only is for fields of a model, and this is a map's values", "write it at the field that holds the map"},
      {"{ kind = 'map', values = { kind = 'any' }, keys = { kind = 'string', read_only = true } }", "{keys}: read_only is for fields",
       "a map's keys"},
      {"{ kind = 'union', members = { { kind = 'integer' }, { kind = 'string', write_only = true } } }",
       "(member 2): write_only is for fields of a model", "a member of a union; write it at the field that holds the union"},
      {"{ kind = 'array', items = { kind = 'ref', get = function() return { kind = 'string', write_only = true } end } }",
       "[]: write_only is for fields of a model", "an array's items"},
      {"{ kind = 'array', items = { kind = 'ref', read_only = true, get = function() return { kind = 'model', fields = {} } end } }",
       "[]: read_only is for fields of a model", "an array's items"},
      {"{ kind = 'model', name = 'M', fields = { { name = 'a', schema = { kind = 'array', items = { kind = 'any', write_only = true } } } } }",
       "M.a[]: write_only is for fields of a model", ""},
  };
  expect_mistakes(*state, mistakes, sizeof(mistakes) / sizeof(mistakes[0]));
}

static void models_are_whole(void **state) {
  static const mistake mistakes[] = {
      {"{ kind = 'model', name = 'M' }", "M: a model needs its fields", ""},
      {"{ kind = 'model', name = 'M', fields = { { schema = { kind = 'any' } } } }", "M: field 1 has no name", ""},
      {"{ kind = 'model', name = 'M', fields = { { name = 'a' } } }", "M.a: is a nil where a field description is needed", ""},
      {"{ kind = 'model', name = 'M', fields = { { name = 'a', schema = {} } } }", "M.a: is not a field description", ""},
      {"{ kind = 'model', name = 'M', fields = { 5 } }", "M: fields should be a list", ""},
      {"{ kind = 'model', name = 'M', fields = { { name = 'a', schema = { kind = 'any' } }, { name = 'a', schema = { kind = 'any' } } } }",
       "M: has two fields called \"a\"", ""},
      {"{ kind = 'model', name = 'M', fields = { { name = 'a', schema = { kind = 'any' } }, { name = 'b', schema = { kind = 'any', alias = 'a' } } } "
       "}",
       "M: two fields are called \"a\" by clients", ""},
      {"{ kind = 'model', name = 'M', extra = 'keep', fields = {} }", "M: extra is \"keep\"; write \"forbid\", \"ignore\" or \"allow\"", ""},
      {"{ kind = 'model', name = 'M', extra = true, fields = {} }", "M: extra should be a string, not a boolean", ""},
      {"{ kind = 'model', name = 5, fields = {} }", "name should be a string, not a number", ""},
      {"{ kind = 'model', name = 'M', fields = { { name = 5, schema = { kind = 'any' } } } }", "M: name should be a string, not a number", ""},
      {"{ kind = 'model', name = 'M', fields = { { name = '', schema = { kind = 'any' } } } }", "M: field 1 has no name", ""},
      {"{ kind = 'model', name = 'M', fields = { { name = 'a', schema = { kind = 'any', alias = 5 } } } }", "M.a: alias should be a string", ""},
      {"{ kind = 'model', name = 'M', fields = { { name = 'a', schema = { kind = 'any', alias = '\\255' } } } }", "M.a: alias should be UTF-8", ""},
      {"(function() local m = { kind = 'model', name = 'M', fields = {} } for i = 1, 4001 do m.fields[i] = { name = 'f' .. i } end return m end)()",
       "M: has 4001 fields; a model may have at most 4000", ""},
      {"{ kind = 'map', values = { kind = 'any' }, keys = 5 }", "needs keys, the description of what it holds", ""},
      {"{ kind = 'map', values = { kind = 'any' }, keys = { kind = 'strin' } }", "{keys}: \"strin\" is not a kind", ""},
      {"(function() local inner = { kind = 'any' } for i = 1, 300 do inner = { kind = 'array', items = inner } end return inner end)()", "[][][]",
       "descriptions deep; name the inner ones as models and refer to them"},
      {"{ kind = 'map', values = { kind = 'any' }, keys = { kind = 'integer' } }", "keys of a map are text in JSON", ""},
      {"{ kind = 'map', values = { kind = 'any' }, keys = { kind = 'ref', get = function() return { kind = 'model', name = 'M', fields = {} } end } "
       "}",
       "keys of a map are text in JSON, so model cannot describe them", ""},
      {"{ kind = 'array' }", "needs items", ""},
      {"{ kind = 'string', 5 }", "a description has options by name only", ""},
      {"{}", "is not a field description", ""},
  };
  expect_mistakes(*state, mistakes, sizeof(mistakes) / sizeof(mistakes[0]));
}

#define TAGGED(a, b)                                                                                                                                 \
  "{ kind = 'union', discriminator = 'type', members = { { kind = 'model', name = 'A', fields = { { name = 'type', schema = " a " } } },"            \
  " { kind = 'model', name = 'B', fields = { { name = 'type', schema = " b " } } } } }"

static void discriminators_tell_every_member_apart(void **state) {
  static const mistake mistakes[] = {
      {TAGGED("{ kind = 'literal', values = { 'a' } }", "{ kind = 'string' }"), "member 2 (B) has no literal field called \"type\"", "model.literal"},
      {TAGGED("{ kind = 'literal', values = { 'a' } }", "{ kind = 'literal', values = { 'b', 'a' } }"), "members 1 and 2 both have the tag \"a\"",
       ""},
      {TAGGED("{ kind = 'literal', values = { 'a' } }", "{ kind = 'literal', values = { 'b' }, alias = 'kind' }"),
       "members call the discriminator \"type\" and \"kind\"", ""},
      {"{ kind = 'union', discriminator = 'type', members = { { kind = 'string' } } }", "member 1 (string) has no literal field", ""},
      {"{ kind = 'union', members = {} }", "a union needs its members", ""},
      {"{ kind = 'union' }", "a union needs its members", ""},
      {"{ kind = 'union', members = { { kind = 'any' } }, discriminator = 5 }", "discriminator should be a string, not a number", ""},
      {"{ kind = 'union', discriminator = 'type', members = { { kind = 'model', name = 'A', fields = { { name = 'tag', schema = { kind = 'any' } } } "
       "} } }",
       "member 1 (A) has no literal field called \"type\"", ""},
      {"(function() local u = { kind = 'any' } for i = 1, 16 do u = { kind = 'union', members = { u, u } } end return u end)()",
       "the union has over 65535 members, counting those of the unions in it", ""},
      {"(function() local u = { kind = 'union', members = {} } u.members[1] = u return u end)()", "the union is a member of itself", ""},
  };
  expect_mistakes(*state, mistakes, sizeof(mistakes) / sizeof(mistakes[0]));
}

static void references_lead_to_models(void **state) {
  static const mistake mistakes[] = {
      {"{ kind = 'ref', get = function() end }", "the reference gives nil", ""},
      {"{ kind = 'ref', get = function() error('deep', 0) end }", "the reference's function failed: deep", ""},
      {"(function() local r = { kind = 'ref' } r.get = function() return r end return r end)()", "the reference leads back to itself", ""},
      {"{ kind = 'ref' }", "a reference needs get", ""},
      {"{ kind = 'ref', get = 5 }", "get should be a function, not a number", ""},
      {"{ kind = 'ref', 5, get = function() end }", "a description has options by name only", "{ kind = \"ref\", name = value }"},
      {"{ kind = 'ref', min_length = 1, get = function() end }", "a reference has no option \"min_length\"", ""},
      {IN_MODEL("{ kind = 'ref', get = function() return { kind = 'strin' } end }"), "User.age: \"strin\" is not a kind", ""},
  };
  expect_mistakes(*state, mistakes, sizeof(mistakes) / sizeof(mistakes[0]));
}

static void a_reference_has_options_of_its_own(void **state) {
  schema_world *world = *state;
  world_run(world, "age = { kind = 'integer', default_factory = function() return 7 end } get = function() return age end");
  static const schema_row rows[] = {
      {IN_MODEL("{ kind = 'ref', get = get }"), "{}", "{\"age\":7}"},
      {IN_MODEL("{ kind = 'ref', get = get, default = 5 }"), "{}", "{\"age\":5}"},
      {IN_MODEL("{ kind = 'ref', get = get, default_factory = function() return 6 end }"), "{}", "{\"age\":6}"},
      {IN_MODEL("{ kind = 'ref', get = get, strict = false }"), "{\"age\":\"8\"}", "{\"age\":8}"},
      {IN_MODEL("{ kind = 'ref', get = get, read_only = true }"), "{\"age\":8}", "!extra_forbidden body.age"},
      {IN_MODEL("{ kind = 'ref', get = get, _note = 'the Lua layer keeps its own' }"), "{\"age\":\"8\"}", "!int_type body.age"},
  };
  world_check_rows(world, DL_MODE_STRICT, ROWS(rows));
  const dl_schema *schema = world_compile(world, IN_MODEL("{ kind = 'ref', get = get, visible_to = { 'admin' } }"));
  assert_str(world_respond(world, schema, "{ age = 3 }"), "{}");
}

static void what_failed_once_may_be_mended_and_compiled(void **state) {
  schema_world *world = *state;
  const char *error = NULL;
  world_run(world, "again = { kind = 'model', name = 'M', fields = { { name = 'a', schema = { kind = 'integer', default = 'x' } } } }");
  assert_null(world_try_compile(world, "again", &error));
  assert_null(world_try_compile(world, "again", &error));
  world_run(world, "again.fields[1].schema.default = 5");
  const dl_schema *schema = world_try_compile(world, "again", &error);
  assert_non_null(schema);
  assert_ptr_equal(schema, world_try_compile(world, "again", &error));
  world_begin(world, DL_MODE_STRICT);
  assert_str(world_check(world, schema, world_read(world, "{}")), "{\"a\":5}");
}

static void many_fields_are_all_found(void **state) {
  schema_world *world = *state;
  world_run(world, "wide = { kind = 'model', name = 'Wide', fields = {} }"
                   "for i = 1, 300 do wide.fields[i] = { name = 'item_' .. i .. '_x', schema = { kind = 'integer', optional = true } } end");
  const dl_schema *schema = world_compile(world, "wide");
  for (int i = 300; i > 0; i -= 7) {
    char json[64];
    snprintf(json, sizeof(json), "{\"item_%d_x\":%d}", i, i);
    world_begin(world, DL_MODE_STRICT);
    assert_str(world_check(world, schema, world_read(world, json)), json);
  }
  world_begin(world, DL_MODE_STRICT);
  assert_str(world_check(world, schema, world_read(world, "{\"item_301_x\":1,\"\":2}")), "!extra_forbidden body.item_301_x; extra_forbidden body.");
}

static void many_fields_that_clients_call_otherwise_are_all_known_by_both_names(void **state) {
  schema_world *world = *state;
  world_run(world, "aliased = { kind = 'model', extra = 'allow', fields = {} }"
                   "for i = 1, 300 do aliased.fields[i] = { name = 'item_' .. i .. '_x', schema = { kind = 'integer', optional = true, alias = "
                   "i % 3 > 0 and 'item' .. i or nil } } end");
  const dl_schema *schema = world_compile(world, "aliased");
  for (int i = 300; i > 0; i--) {
    char json[128], expected[64];
    snprintf(json, sizeof(json), "{\"item_%d_x\":%d}", i, i);
    snprintf(expected, sizeof(expected), "!extra_forbidden body.item_%d_x", i);
    world_begin(world, DL_MODE_STRICT);
    assert_str(world_check(world, schema, world_read(world, json)), i % 3 ? expected : json);
  }
  world_begin(world, DL_MODE_STRICT);
  assert_str(world_check(world, schema, world_read(world, "{\"item_301_x\":1}")), "{\"item_301_x\":1}");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCHEMA_TEST(names_the_field_and_what_to_write),
      SCHEMA_TEST(finds_constraints_that_nothing_can_pass),
      SCHEMA_TEST(shows_where_a_pattern_does_not_compile),
      SCHEMA_TEST(defaults_must_pass_their_own_checks),
      SCHEMA_TEST(what_is_for_some_alone_is_a_field_of_a_model),
      SCHEMA_TEST(models_are_whole),
      SCHEMA_TEST(discriminators_tell_every_member_apart),
      SCHEMA_TEST(references_lead_to_models),
      SCHEMA_TEST(a_reference_has_options_of_its_own),
      SCHEMA_TEST(what_failed_once_may_be_mended_and_compiled),
      SCHEMA_TEST(many_fields_are_all_found),
      SCHEMA_TEST(many_fields_that_clients_call_otherwise_are_all_known_by_both_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
