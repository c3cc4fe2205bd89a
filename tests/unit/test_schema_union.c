/* SPDX-License-Identifier: MIT */
/* Unions: which member wins, in what comes in and in what goes out. */
#include "schema_world.h"

#define CAT                                                                                                                                          \
  "{ kind = 'model', name = 'Cat', fields = { { name = 'type', schema = { kind = 'literal', values = { 'cat', 'kitten' } } },"                       \
  " { name = 'lives', schema = { kind = 'integer', le = 9 } } } }"
#define DOG                                                                                                                                          \
  "{ kind = 'model', name = 'Dog', fields = { { name = 'type', schema = { kind = 'literal', values = { 'dog' } } },"                                 \
  " { name = 'name', schema = { kind = 'string' } } } }"
#define PET "{ kind = 'union', discriminator = 'type', members = { " CAT ", " DOG " } }"
#define ONE "{ kind = 'model', name = 'One', extra = 'ignore', fields = { { name = 'a', schema = { kind = 'integer' } } } }"
#define TWO                                                                                                                                          \
  "{ kind = 'model', name = 'Two', extra = 'ignore', fields = { { name = 'a', schema = { kind = 'integer' } }, "                                     \
  "{ name = 'b', schema = { kind = 'integer', optional = true } } } }"
#define UNION(members) "{ kind = 'union', members = { " members " } }"

static void a_tag_chooses_the_member(void **state) {
  static const schema_row rows[] = {
      {PET, "{\"type\":\"kitten\",\"lives\":9}", "{\"type\":\"kitten\",\"lives\":9}"},
      {PET, "{\"name\":\"Rex\",\"type\":\"dog\"}", "{\"type\":\"dog\",\"name\":\"Rex\"}"},
      {PET, "{\"type\":\"cat\",\"lives\":10,\"name\":\"x\"}", "!less_than_equal body.cat.lives{\"le\":9}; extra_forbidden body.cat.name"},
      {PET, "{\"lives\":10}", "!union_tag_not_found body{\"discriminator\":\"'type'\"}"},
      {PET, "{\"type\":\"cow\"}",
       "!union_tag_invalid body{\"discriminator\":\"'type'\",\"tag\":\"cow\",\"expected_tags\":\"'cat', 'kitten', 'dog'\"}"},
      {PET, "{\"type\":7}", "!union_tag_invalid body{\"discriminator\":\"'type'\",\"tag\":\"7\",\"expected_tags\":\"'cat', 'kitten', 'dog'\"}"},
      {PET, "3", "!model_attributes_type body"},
      {"{ kind = 'union', discriminator = 'v', members = { { kind = 'model', name = 'V', fields = { { name = 'v', schema = { kind = 'literal', "
       "values = { 1 }, alias = 'version' } } } } } }",
       "{\"version\":1}", "{\"v\":1}"},
  };
  world_check_rows(*state, DL_MODE_STRICT, ROWS(rows));
}

#define SWITCH                                                                                                                                       \
  "{ kind = 'union', discriminator = 'on', members = {"                                                                                              \
  " { kind = 'model', name = 'On', fields = { { name = 'on', schema = { kind = 'literal', values = { true, 1 } } }, { name = 'level', schema = { "   \
  "kind = 'integer' } } } },"                                                                                                                        \
  " { kind = 'model', name = 'Off', fields = { { name = 'on', schema = { kind = 'literal', values = { 0 } } } } } } }"
#define NO_TAG(tag) "{\"discriminator\":\"'on'\",\"tag\":\"" tag "\",\"expected_tags\":\"'true', '1', '0'\"}"

static void a_tag_may_be_a_number_or_a_boolean(void **state) {
  static const schema_row rows[] = {
      {SWITCH, "{\"on\":true,\"level\":3}", "{\"on\":true,\"level\":3}"},
      {SWITCH, "{\"on\":0}", "{\"on\":0}"},
      {SWITCH, "{\"on\":1}", "!missing body.On.level"},
      {SWITCH, "{\"on\":false}", "!union_tag_invalid body" NO_TAG("false")},
      {SWITCH, "{\"on\":7}", "!union_tag_invalid body" NO_TAG("7")},
      {SWITCH, "{\"on\":null}", "!union_tag_invalid body" NO_TAG("another kind of value")},
      {SWITCH, "[0]", "!model_attributes_type body"},
  };
  static const schema_row responses[] = {
      {SWITCH, "{ on = true, level = 3 }", "{\"on\":true,\"level\":3}"},
      {SWITCH, "{ on = 1 }", "!missing response.On.level"},
      {SWITCH, "{ on = false }", "!union_tag_invalid response" NO_TAG("false")},
      {SWITCH, "{ on = {} }", "!union_tag_invalid response" NO_TAG("another kind of value")},
      {SWITCH, "5", "!model_attributes_type response"},
  };
  world_check_rows(*state, DL_MODE_STRICT, ROWS(rows));
  world_respond_rows(*state, ROWS(responses));
}

static void the_best_member_wins_when_nothing_tells_them_apart(void **state) {
  static const schema_row strict[] = {
      {UNION("{ kind = 'integer' }, { kind = 'string' }"), "\"5\"", "\"5\""},
      {UNION("{ kind = 'number' }, { kind = 'integer' }"), "5", "5"},
      {UNION("{ kind = 'date' }, { kind = 'string' }"), "\"2026-11-24\"", "\"2026-11-24\""},
      {UNION("{ kind = 'boolean' }, { kind = 'string', min_length = 2 }"), "\"x\"",
       "!bool_type body.boolean; string_too_short body.string{\"min_length\":2}"},
      {UNION(ONE ", " TWO), "{\"a\":1,\"b\":2}", "{\"a\":1,\"b\":2}"},
      {UNION(TWO ", " ONE), "{\"a\":1,\"b\":2}", "{\"a\":1,\"b\":2}"},
      {UNION(ONE ", " TWO), "{\"a\":1}", "{\"a\":1}"},
      {UNION(ONE ", " TWO), "{\"b\":1}", "!missing body.One.a; missing body.Two.a"},
      {UNION("{ kind = 'array', items = " ONE " }, { kind = 'array', items = " TWO " }"), "[{\"a\":1,\"b\":2}]", "[{\"a\":1,\"b\":2}]"},
      {UNION(UNION("{ kind = 'integer' }, " ONE) ", " UNION("{ kind = 'boolean' }, " PET)), "{\"type\":\"dog\",\"name\":\"Rex\"}",
       "{\"type\":\"dog\",\"name\":\"Rex\"}"},
      {UNION(UNION("{ kind = 'integer' }, " ONE) ", " UNION("{ kind = 'boolean' }, " PET)), "{\"a\":1}", "{\"a\":1}"},
      {UNION("{ kind = 'literal', values = { 'auto' } }, { kind = 'literal', values = { 'x', 'y' } }"), "\"y\"", "\"y\""},
      {"{ kind = 'union', nullable = true, members = { { kind = 'integer' } } }", "null", "null"},
      {UNION("{ kind = 'integer', nullable = true }, { kind = 'string' }"), "null", "null"},
      {UNION("{ kind = 'integer', check = function(v) return nil, 'never' end }, { kind = 'integer', check = function(v) return v + 1 end }"), "1",
       "2"},
      {UNION("{ kind = 'integer', check = function(v) error('broken') end }, { kind = 'integer' }"), "1", "!fault"},
  };
  static const schema_row lax[] = {
      {UNION("{ kind = 'integer' }, { kind = 'string' }"), "\"5\"", "\"5\""},
      {UNION("{ kind = 'boolean' }, { kind = 'integer' }"), "1", "1"},
      {UNION("{ kind = 'boolean' }, { kind = 'integer' }"), "\"1\"", "true"},
  };
  world_check_rows(*state, DL_MODE_STRICT, ROWS(strict));
  static const schema_row text[] = {
      {UNION("{ kind = 'literal', values = { 3 } }, { kind = 'string' }"), "\"3\"", "\"3\""},
      {UNION("{ kind = 'literal', values = { 3 } }, { kind = 'boolean' }"), "\"3\"", "3"},
      {UNION("{ kind = 'integer' }, { kind = 'date' }"), "\"2026-11-24\"", "\"2026-11-24\""},
  };
  world_check_rows(*state, DL_MODE_LAX, ROWS(lax));
  world_check_rows(*state, DL_MODE_TEXT, ROWS(text));
}

/* Which of two numbers 5 became: Lua shows it only for int64. */
static void an_exact_member_wins_over_an_earlier_conversion(void **state) {
  schema_world *world = *state;
  const dl_schema *schema = world_compile(world, UNION("{ kind = 'number' }, { kind = 'int64' }"));
  world_begin(world, DL_MODE_STRICT);
  dl_value value = dl_value_integer(5);
  assert_true(dl_schema_validate(schema, &value, &world->validation));
  dl_schema_push(world->L, schema, &value);
  assert_int_equal(lua_type(world->L, -1), DL_LUA_TCDATA);
  lua_pop(world->L, 1);
}

static void a_refused_member_leaves_the_value_as_it_came(void **state) {
  static const schema_row rows[] = {
      {UNION("{ kind = 'array', items = { kind = 'integer', check = function(v) return v == 3 and nil, 'three' or v end } }, { kind = 'array', items "
             "= { kind = 'string' } }"),
       "[\"1\"]", "[\"1\"]"},
      {UNION(
           "{ kind = 'map', keys = { kind = 'string', lower = true }, values = { kind = 'integer' } }, { kind = 'map', values = { kind = 'any' } }"),
       "{\"A\":1,\"B\":\"x\"}", "{\"A\":1,\"B\":\"x\"}"},
      {UNION("{ kind = 'array', items = { kind = 'string', lower = true, max_length = 2 } }, { kind = 'array', items = { kind = 'string' } }"),
       "[\"AB\",\"ABC\"]", "[\"AB\",\"ABC\"]"},
  };
  world_check_rows(*state, DL_MODE_STRICT, ROWS(rows));
}

static void ambiguous_unions_inside_one_another_stay_bounded(void **state) {
  schema_world *world = *state;
  world_run(world, "both = { kind = 'union', members = { { kind = 'integer' } } }"
                   "both.members[2] = { kind = 'array', items = both } both.members[3] = { kind = 'array', items = both, min_items = 1 }");
  const dl_schema *schema = world_compile(world, "both");
  world_begin(world, DL_MODE_STRICT);
  dl_value *levels = dl_arena_zalloc(&world->request, 41, sizeof(*levels));
  for (int i = 0; i < 40; i++) levels[i] = (dl_value){.kind = DL_VALUE_ARRAY, .len = 1, .items = &levels[i + 1]};
  levels[40] = dl_value_boolean(true);
  assert_false(dl_schema_validate(schema, &levels[0], &world->validation));
  assert_true(world->validation.attempts < 1000);
  assert_true(world->request.used_bytes < 256u * 1024);
}

#define CHILD(which)                                                                                                                                 \
  "{ kind = 'model', name = '" which "', fields = { { name = 'kind', schema = { kind = 'literal', values = { '" which                                \
  "' } } }, { name = 'child', schema = tree } } }"
#define TREE                                                                                                                                         \
  "tree = { kind = 'union', members = { { kind = 'integer' } } } tree.members[2] = " CHILD("a") " tree.members[3] = " CHILD(                         \
      "b") " tree.members[4] = " CHILD("c")

/* A chain of c around the innermost text. */
static char *chain(schema_world *world, int levels, const char *innermost, const char *before, const char *behind) {
  dl_buffer text = {0};
  for (int i = 0; i < levels; i++) dl_buffer_append_str(&text, dl_str_of(before));
  dl_buffer_append_str(&text, dl_str_of(innermost));
  for (int i = 0; i < levels; i++) dl_buffer_append_str(&text, dl_str_of(behind));
  char *copy = (char *)(uintptr_t)dl_arena_copy(&world->request, dl_buffer_str(&text)).ptr;
  dl_buffer_free(&text);
  return copy;
}

static void expect_written(schema_world *world, const dl_schema *schema, const char *expected) {
  dl_buffer out = {0};
  assert_true(dl_schema_serialise(schema, world->L, -1, &out, &world->validation));
  assert_true(dl_str_equal(dl_buffer_str(&out), dl_str_of(expected)));
  dl_buffer_free(&out);
  lua_pop(world->L, 1);
}

static void each_level_of_a_tree_is_looked_at_as_often_as_it_has_alternatives(void **state) {
  schema_world *world = *state;
  world_run(world, TREE);
  const dl_schema *schema = world_compile(world, "tree");
  for (int levels = 20; levels <= 60; levels += 20) {
    world_begin(world, DL_MODE_STRICT);
    const char *sent = chain(world, levels, "7", "{\"kind\":\"c\",\"child\":", "}");
    dl_value value = world_read(world, sent);
    assert_true(dl_schema_validate(schema, &value, &world->validation));
    assert_in_range(world->validation.attempts, levels, 10 * levels);
    dl_schema_push(world->L, schema, &value);
    expect_written(world, schema, sent);
    world_begin(world, DL_MODE_STRICT);
    value = world_read(world, chain(world, levels, "true", "{\"kind\":\"c\",\"child\":", "}"));
    assert_false(dl_schema_validate(schema, &value, &world->validation));
    assert_in_range(world->validation.attempts, levels, 10 * levels);
  }
}

static void the_same_mistake_is_told_of_each_alternative_at_its_place(void **state) {
  schema_world *world = *state;
  world_run(world, "tree = " UNION("{ kind = 'array', items = { kind = 'integer' } }, { kind = 'array', items = { kind = 'boolean' } }"));
  static const schema_row rows[] = {
      {UNION(CHILD("a") ", " CHILD("b")), "{\"kind\":\"b\",\"child\":[true,false]}", "{\"kind\":\"b\",\"child\":[true,false]}"},
      {UNION(CHILD("a") ", " CHILD("b")), "{\"kind\":\"b\",\"child\":[\"x\"]}",
       "!literal_error body.a.kind{\"expected\":\"'a'\"}; int_type body.a.child.array.0; bool_type body.a.child.array.0; "
       "int_type body.b.child.array.0"},
  };
  world_check_rows(world, DL_MODE_STRICT, ROWS(rows));
}

static void a_response_chooses_once_for_each_level(void **state) {
  schema_world *world = *state;
  world_run(world, TREE);
  const dl_schema *schema = world_compile(world, "tree");
  for (int levels = 20; levels <= 60; levels += 20) {
    world_begin(world, DL_MODE_STRICT);
    world_run(world, dl_arena_format(&world->request, "given = %s", chain(world, levels, "7", "{ kind = 'c', child = ", "}")));
    lua_getglobal(world->L, "given");
    expect_written(world, schema, chain(world, levels, "7", "{\"kind\":\"c\",\"child\":", "}"));
    assert_in_range(world->validation.attempts, levels, 10 * levels * levels);
  }
}

static void responses_choose_by_tag_or_by_the_most_fields(void **state) {
  static const schema_row rows[] = {
      {PET, "{ type = 'dog', name = 'Rex', lives = 3 }", "{\"type\":\"dog\",\"name\":\"Rex\"}"},
      {PET, "{ type = 'cow' }",
       "!union_tag_invalid response{\"discriminator\":\"'type'\",\"tag\":\"cow\",\"expected_tags\":\"'cat', 'kitten', 'dog'\"}"},
      {PET, "{ name = 'Rex' }", "!union_tag_not_found response{\"discriminator\":\"'type'\"}"},
      {PET, "{ type = 'cat' }", "!missing response.cat.lives"},
      {UNION(ONE ", " TWO), "{ a = 1, b = 2, secret = 3 }", "{\"a\":1,\"b\":2}"},
      {UNION(TWO ", " ONE), "{ a = 1, secret = 3 }", "{\"a\":1}"},
      {UNION("{ kind = 'boolean' }, { kind = 'integer' }"), "1", "1"},
      {UNION("{ kind = 'boolean' }, { kind = 'integer' }"), "true", "true"},
      {UNION("{ kind = 'integer' }, { kind = 'string' }"), "{}", "!int_type response.integer; string_type response.string"},
      {UNION(UNION("{ kind = 'integer' }, " ONE) ", " UNION("{ kind = 'boolean' }, " PET)), "{ type = 'dog', name = 'Rex' }",
       "{\"type\":\"dog\",\"name\":\"Rex\"}"},
      {"{ kind = 'array', items = " UNION("{ kind = 'string' }, " TWO ", " ONE) " }", "{ { a = 1 }, 'x', { a = 1, b = 2 } }",
       "[{\"a\":1},\"x\",{\"a\":1,\"b\":2}]"},
  };
  world_respond_rows(*state, ROWS(rows));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCHEMA_TEST(a_tag_chooses_the_member),
      SCHEMA_TEST(a_tag_may_be_a_number_or_a_boolean),
      SCHEMA_TEST(the_best_member_wins_when_nothing_tells_them_apart),
      SCHEMA_TEST(an_exact_member_wins_over_an_earlier_conversion),
      SCHEMA_TEST(a_refused_member_leaves_the_value_as_it_came),
      SCHEMA_TEST(ambiguous_unions_inside_one_another_stay_bounded),
      SCHEMA_TEST(each_level_of_a_tree_is_looked_at_as_often_as_it_has_alternatives),
      SCHEMA_TEST(the_same_mistake_is_told_of_each_alternative_at_its_place),
      SCHEMA_TEST(a_response_chooses_once_for_each_level),
      SCHEMA_TEST(responses_choose_by_tag_or_by_the_most_fields),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
