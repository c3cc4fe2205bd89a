/* SPDX-License-Identifier: MIT */
/* What a validation says: which errors it gathers and how many, what it echoes of the input, and what it tells the log. */
#include "schema_world.h"

#define MODEL(fields) "{ kind = 'model', name = 'M', fields = { " fields " } }"
#define FIELD(name, options) "{ name = '" name "', schema = { " options " } },"

/* An object with that many members "f1", "f2", ... of the value. */
static dl_value wide_object(schema_world *world, uint32_t count, dl_value value) {
  dl_member *members = dl_arena_zalloc(&world->request, count, sizeof(*members));
  for (uint32_t i = 0; i < count; i++) members[i] = (dl_member){dl_value_string(dl_str_of(dl_arena_format(&world->request, "f%u", i + 1))), value};
  return (dl_value){.kind = DL_VALUE_OBJECT, .len = count, .members = members};
}

static void every_member_of_a_map_is_looked_at(void **state) {
  static const schema_row rows[] = {
      {"{ kind = 'map', values = { kind = 'integer' } }", "{\"a\":\"x\",\"b\":1,\"c\":null}", "!int_type body.a; int_type body.c"},
      {"{ kind = 'map', values = { kind = 'integer' }, min_items = 1 }", "{}",
       "!too_short body{\"field_type\":\"Dictionary\",\"min_length\":1,\"actual_length\":0}"},
      {"{ kind = 'map', keys = { kind = 'uuid' }, values = { kind = 'integer' } }", "{\"x\":1}",
       "!uuid_parsing body.x.[key]{\"error\":\"it should have 32 hexadecimal digits\"}"},
  };
  world_check_rows(*state, DL_MODE_STRICT, ROWS(rows));
}

static void a_map_and_a_model_gather_a_hundred_errors_too(void **state) {
  schema_world *world = *state;
  const dl_schema *map = world_compile(world, "{ kind = 'map', values = { kind = 'integer' } }"), *model = world_compile(world, MODEL(""));
  world_begin(world, DL_MODE_STRICT);
  dl_value value = wide_object(world, 150, dl_value_boolean(true));
  assert_false(dl_schema_validate(map, &value, &world->validation));
  assert_int_equal(world->validation.error_count, 100);
  world_begin(world, DL_MODE_STRICT);
  value = wide_object(world, 150, dl_value_boolean(true));
  assert_false(dl_schema_validate(model, &value, &world->validation));
  assert_int_equal(world->validation.error_count, 100);
}

/* Of a name that a client chose each error has the beginning. */
static void long_names_are_not_repeated_in_each_error(void **state) {
  enum { LENGTH = 100001 };
  static char name[LENGTH];
  schema_world *world = *state;
  world_run(world, "map = { kind = 'map', values = { kind = 'map', values = { kind = 'integer' } } }");
  const dl_schema *schema = world_compile(world, "map");
  memset(name, 'k', LENGTH);
  memcpy(name + 127, "\xc3\xa9", 2); /* a character that does not fit in any more */
  world_begin(world, DL_MODE_STRICT);
  dl_value value = wide_object(world, 150, dl_value_boolean(true));
  dl_member *outer = dl_arena_zalloc(&world->request, 1, sizeof(*outer));
  *outer = (dl_member){dl_value_string(dl_str_from(name, LENGTH)), value};
  value = (dl_value){.kind = DL_VALUE_OBJECT, .len = 1, .members = outer};
  assert_false(dl_schema_validate(schema, &value, &world->validation));
  assert_int_equal(world->validation.error_count, 100);
  dl_value detail = dl_validation_detail(&world->validation);
  assert_int_equal(detail.len, 100);
  const dl_value *loc = world_member(&detail.items[0], "loc");
  assert_int_equal(loc->len, 3);
  assert_int_equal(loc->items[1].len, 127 + 3);
  assert_memory_equal(loc->items[1].string + 125, "kk...", 5);
}

static void what_is_long_in_each_error_ends_the_list(void **state) {
  schema_world *world = *state;
  world_run(world, "many = {} for i = 1, 500 do many[i] = 'country' .. i end");
  const dl_schema *schema = world_compile(world, "{ kind = 'map', values = { kind = 'literal', values = many } }");
  world_begin(world, DL_MODE_STRICT);
  dl_value value = wide_object(world, 150, dl_value_boolean(true));
  assert_false(dl_schema_validate(schema, &value, &world->validation));
  dl_buffer out = {0};
  dl_validation_write(&world->validation, &out);
  assert_in_range(dl_validation_detail(&world->validation).len, 2, 20);
  assert_in_range(out.len, 10000, 96 * 1024);
  dl_buffer_free(&out);
}

static void deep_names_end_the_list_of_errors(void **state) {
  schema_world *world = *state;
  world_run(world, "map = { kind = 'map' } map.values = map");
  const dl_schema *schema = world_compile(world, "map");
  static char name[120];
  memset(name, 'k', sizeof(name));
  world_begin(world, DL_MODE_STRICT);
  dl_value value = wide_object(world, 150, dl_value_boolean(true));
  for (int depth = 0; depth < 60; depth++) {
    dl_member *outer = dl_arena_zalloc(&world->request, 1, sizeof(*outer));
    *outer = (dl_member){dl_value_string(dl_str_from(name, sizeof(name))), value};
    value = (dl_value){.kind = DL_VALUE_OBJECT, .len = 1, .members = outer};
  }
  assert_false(dl_schema_validate(schema, &value, &world->validation));
  dl_buffer out = {0};
  dl_validation_write(&world->validation, &out);
  assert_in_range(dl_validation_detail(&world->validation).len, 2, 20);
  assert_in_range(out.len, 1000, 96 * 1024);
  dl_buffer_free(&out);
}

static void maps_and_models_inside_themselves_are_bounded_in_depth(void **state) {
  schema_world *world = *state;
  world_run(world, "map = { kind = 'map' } map.values = map node = { kind = 'model', name = 'Node', fields = {} }"
                   "node.fields[1] = { name = 'f1', schema = node }");
  static const char *const names[] = {"map", "node"};
  for (size_t i = 0; i < 2; i++) {
    const dl_schema *schema = world_compile(world, names[i]);
    world_begin(world, DL_MODE_STRICT);
    dl_value value = wide_object(world, 1, dl_value_null());
    for (int depth = 0; depth < 300; depth++) value = wide_object(world, 1, value);
    assert_false(dl_schema_validate(schema, &value, &world->validation));
    world_describe_errors(world);
    assert_true(dl_str_starts(dl_buffer_str(&world->text), DL_STR("recursion_loop body.f1.f1.f1")));
  }
}

/* A value that a handler gave, checked where it stays a value: read_only fields are named, write_only ones are not. */
static void the_output_side_takes_what_clients_may_not_send(void **state) {
  schema_world *world = *state;
  static const schema_row rows[] = {
      {MODEL(FIELD("id", "kind = 'integer', read_only = true")), "{\"id\":1,\"more\":2}", "{\"id\":1}"},
      {MODEL(FIELD("pin", "kind = 'string', write_only = true")), "{\"pin\":\"1234\"}", "{}"},
      {"{ kind = 'model', extra = 'allow', fields = { { name = 'pin', schema = { kind = 'string', write_only = true } } } }",
       "{\"pin\":\"1234\",\"more\":2}", "{\"more\":2}"},
      {"{ kind = 'model', extra = 'allow', fields = { { name = 'pin', schema = { kind = 'string', write_only = true, alias = 'PIN' } } } }",
       "{\"pin\":\"1234\"}", "!extra_forbidden body.pin"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    const dl_schema *schema = world_compile(world, rows[i].description);
    world_begin(world, DL_MODE_STRICT);
    world->validation.output = true;
    world_expect(world, &rows[i], world_check(world, schema, world_read(world, rows[i].input)), true);
  }
}

static void the_first_function_that_breaks_is_the_fault_and_no_other_runs(void **state) {
  schema_world *world = *state;
  world_run(world, "calls = 0 function broken() calls = calls + 1 error('broken ' .. calls) end");
  const dl_schema *schema = world_compile(world, MODEL(FIELD("a", "kind = 'integer', check = broken") FIELD("b", "kind = 'integer', check = broken")
                                                           FIELD("c", "kind = 'integer', default_factory = broken")));
  world_begin(world, DL_MODE_STRICT);
  assert_str(world_check(world, schema, world_read(world, "{\"a\":1,\"b\":2}")), "!fault");
  assert_non_null(strstr(world->validation.fault, "broken 1"));
  world_run(world, "assert(calls == 1)");
  /* One source had an error already: the fault adds none, and is a failure all the same. */
  world_begin(world, DL_MODE_STRICT);
  dl_validation_fail(&world->validation, "missing", DL_STR("is required"), NULL);
  dl_value value = world_read(world, "{\"a\":1,\"b\":2}");
  assert_false(dl_schema_validate(schema, &value, &world->validation));
  assert_int_equal(world->validation.error_count, 1);
}

static void what_a_check_gives_keeps_its_kind(void **state) {
  schema_world *world = *state;
  const dl_schema *schema =
      world_compile(world, MODEL(FIELD("key", "kind = 'secret', check = function() return 'a\\255' end")
                                     FIELD("n", "kind = 'int64', check = function() return 5 end")
                                         FIELD("list", "kind = 'array', items = { kind = 'any' }, check = function() return {} end")
                                             FIELD("made", "kind = 'array', items = { kind = 'any' }, default_factory = function() return {} end")));
  world_begin(world, DL_MODE_STRICT);
  dl_value value = world_read(world, "{\"key\":\"abc\",\"n\":3,\"list\":[1]}");
  assert_true(dl_schema_validate(schema, &value, &world->validation));
  dl_schema_push(world->L, schema, &value);
  lua_setglobal(world->L, "m");
  world_run(world, "assert(tostring(m.key) == 'secret(redacted)' and type(m.n) == 'cdata' and m.n == 5LL)"
                   "assert(#m.list == 0 and getmetatable(m.list) and getmetatable(m.list) == getmetatable(m.made))");
}

static dl_str check_in_dev(schema_world *world, const char *description, dl_value value) {
  const dl_schema *schema = world_compile(world, description);
  world->validation.echo_input = true;
  return world_check(world, schema, value);
}

static void only_what_came_as_json_and_is_short_is_echoed(void **state) {
  schema_world *world = *state;
  world_begin(world, DL_MODE_STRICT);
  assert_str(check_in_dev(world, "{ kind = 'integer' }", world_read(world, "{\"a\":[1,\"b\"]}")), "!int_type body<{\"a\":[1,\"b\"]}>");
  world_begin(world, DL_MODE_STRICT);
  dl_value *items = dl_arena_zalloc(&world->request, 1100, sizeof(*items));
  for (int i = 0; i < 1100; i++) items[i] = dl_value_integer(i);
  assert_str(check_in_dev(world, "{ kind = 'integer' }", (dl_value){.kind = DL_VALUE_ARRAY, .len = 1024, .items = items}), "!int_type body");
  world_begin(world, DL_MODE_STRICT);
  assert_str(check_in_dev(world, "{ kind = 'integer' }", wide_object(world, 1100, dl_value_null())), "!int_type body");
  /* A model became a record before its own check refused it; bytes are no JSON. */
  world_begin(world, DL_MODE_STRICT);
  assert_str(check_in_dev(world, "{ kind = 'model', fields = {}, check = function() return nil, 'no' end }", world_read(world, "{}")),
             "!value_error body{\"error\":\"no\"}");
  world_begin(world, DL_MODE_STRICT);
  assert_str(check_in_dev(world, "{ kind = 'bytes', max_length = 1 }", world_read(world, "\"YWJj\"")), "!bytes_too_long body{\"max_length\":1}");
}

static void a_place_is_named_without_a_source_too(void **state) {
  schema_world *world = *state;
  const dl_schema *schema = world_compile(world, MODEL(FIELD("a", "kind = 'array', items = { kind = 'integer' }")));
  world_begin(world, DL_MODE_STRICT);
  world->validation.source = NULL;
  assert_str(world_check(world, schema, world_read(world, "{\"a\":[1,true]}")), "!int_type a.1");
  dl_buffer_clear(&world->text);
  dl_validation_summary(&world->validation, &world->text);
  assert_str(dl_buffer_str(&world->text), "a.1: should be a whole number");
  world_begin(world, DL_MODE_STRICT);
  dl_value context = {0};
  dl_validation_fail(&world->validation, "json_invalid", DL_STR("should be JSON"), &context);
  dl_validation_write(&world->validation, &world->text);
  assert_str(dl_buffer_str(&world->text), "{\"detail\":[{\"type\":\"json_invalid\",\"loc\":[\"body\"],\"msg\":\"should be JSON\"}]}");
}

/* Without a log, and with one that wants errors only, a pattern that gives up is a mismatch. */
static void a_runaway_pattern_refuses_where_nobody_is_told(void **state) {
  schema_world *world = *state;
  const dl_schema *schema = world_compile(world, "{ kind = 'string', pattern = '^(a+)+$' }");
  dl_clock clock = {0};
  dl_log log;
  dl_log_init(&log, 2, DL_LOG_JSON, DL_LOG_ERROR, &clock);
  for (int i = 0; i < 2; i++) {
    world_begin(world, DL_MODE_STRICT);
    world->validation.log = i ? &log : NULL;
    assert_str(world_check(world, schema, dl_value_string(DL_STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"))),
               "!string_pattern_mismatch body{\"pattern\":\"^(a+)+$\"}");
  }
  dl_log_free(&log);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCHEMA_TEST(every_member_of_a_map_is_looked_at),
      SCHEMA_TEST(a_map_and_a_model_gather_a_hundred_errors_too),
      SCHEMA_TEST(long_names_are_not_repeated_in_each_error),
      SCHEMA_TEST(what_is_long_in_each_error_ends_the_list),
      SCHEMA_TEST(deep_names_end_the_list_of_errors),
      SCHEMA_TEST(maps_and_models_inside_themselves_are_bounded_in_depth),
      SCHEMA_TEST(the_output_side_takes_what_clients_may_not_send),
      SCHEMA_TEST(the_first_function_that_breaks_is_the_fault_and_no_other_runs),
      SCHEMA_TEST(what_a_check_gives_keeps_its_kind),
      SCHEMA_TEST(only_what_came_as_json_and_is_short_is_echoed),
      SCHEMA_TEST(a_place_is_named_without_a_source_too),
      SCHEMA_TEST(a_runaway_pattern_refuses_where_nobody_is_told),
  };
  return cmocka_run_group_tests_name("schema errors", tests, NULL, NULL);
}
