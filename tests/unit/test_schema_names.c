/* SPDX-License-Identifier: MIT */
/*
 * The names of errors are Pydantic v2's, and their ctx has its keys, so that
 * clients made for it work with us. Held against the published list where that
 * is at hand.
 */
#include "schema_world.h"

#include <jansson.h>

static const schema_row refused[] = {
    {"{ kind = 'string' }", "1", ""},
    {"{ kind = 'string', min_length = 2 }", "\"a\"", ""},
    {"{ kind = 'string', max_length = 0 }", "\"a\"", ""},
    {"{ kind = 'string', pattern = 'b' }", "\"a\"", ""},
    {"{ kind = 'integer' }", "\"x\"", ""},
    {"{ kind = 'integer' }", "1.5", ""},
    {"{ kind = 'integer' }", "9007199254740993", ""},
    {"{ kind = 'integer' }", "null", ""},
    {"{ kind = 'integer', ge = 2 }", "1", ""},
    {"{ kind = 'integer', gt = 2 }", "1", ""},
    {"{ kind = 'integer', le = 2 }", "3", ""},
    {"{ kind = 'integer', lt = 2 }", "3", ""},
    {"{ kind = 'integer', multiple_of = 2 }", "3", ""},
    {"{ kind = 'number' }", "\"x\"", ""},
    {"{ kind = 'number' }", "[]", ""},
    {"{ kind = 'number' }", "\"inf\"", ""},
    {"{ kind = 'boolean' }", "\"x\"", ""},
    {"{ kind = 'boolean' }", "[]", ""},
    {"{ kind = 'decimal' }", "\"x\"", ""},
    {"{ kind = 'decimal' }", "[]", ""},
    {"{ kind = 'date' }", "\"x\"", ""},
    {"{ kind = 'date' }", "[]", ""},
    {"{ kind = 'date' }", "\"2026-11-24T10:00:00\"", ""},
    {"{ kind = 'time' }", "\"x\"", ""},
    {"{ kind = 'time' }", "[]", ""},
    {"{ kind = 'datetime' }", "\"x\"", ""},
    {"{ kind = 'datetime' }", "[]", ""},
    {"{ kind = 'duration' }", "\"x\"", ""},
    {"{ kind = 'duration' }", "[]", ""},
    {"{ kind = 'uuid' }", "\"x\"", ""},
    {"{ kind = 'uuid' }", "[]", ""},
    {"{ kind = 'url' }", "\"x\"", ""},
    {"{ kind = 'url' }", "[]", ""},
    {"{ kind = 'bytes' }", "[]", ""},
    {"{ kind = 'bytes' }", "\"!\"", ""},
    {"{ kind = 'bytes', min_length = 9 }", "\"YQ==\"", ""},
    {"{ kind = 'bytes', max_length = 0 }", "\"YQ==\"", ""},
    {"{ kind = 'literal', values = { 'a' } }", "\"b\"", ""},
    {"{ kind = 'json' }", "\"{\"", ""},
    {"{ kind = 'array', items = { kind = 'any' } }", "1", ""},
    {"{ kind = 'array', items = { kind = 'any' }, min_items = 1 }", "[]", ""},
    {"{ kind = 'array', items = { kind = 'any' }, max_items = 0 }", "[1]", ""},
    {"{ kind = 'map', values = { kind = 'any' } }", "1", ""},
    {"{ kind = 'map', values = { kind = 'any' }, max_items = 0 }", "{\"a\":1}", ""},
    {"{ kind = 'model', fields = { { name = 'a', schema = { kind = 'any' } } } }", "{\"b\":1}", ""},
    {"{ kind = 'model', fields = {} }", "1", ""},
    {"{ kind = 'any', check = function() return nil, 'no' end }", "1", ""},
    {"{ kind = 'union', discriminator = 't', members = { { kind = 'model', fields = { { name = 't', schema = { kind = 'literal', values = { 'a' } } "
     "} } } } }",
     "{}", ""},
    {"{ kind = 'union', discriminator = 't', members = { { kind = 'model', fields = { { name = 't', schema = { kind = 'literal', values = { 'a' } } "
     "} } } } }",
     "{\"t\":1}", ""},
};

/* ctx keys of the list that errors of ours may lack, or have beside it. */
static bool known_difference(const char *type, const char *key) {
  /* value_error of an email has Pydantic's own "reason"; its list names "error". */
  return strcmp(type, "value_error") == 0 && (strcmp(key, "reason") == 0 || strcmp(key, "error") == 0);
}

static void compare_keys(const char *type, const dl_value *context, const json_t *keys) {
  size_t index;
  json_t *key;
  json_array_foreach(keys, index, key) {
    bool there = context && world_member(context, json_string_value(key));
    if (!there && !known_difference(type, json_string_value(key))) fail_msg("%s lacks ctx.%s", type, json_string_value(key));
  }
  for (uint32_t i = 0; context && i < context->len; i++) {
    dl_str name = dl_value_str(&context->members[i].key);
    bool listed = false;
    json_array_foreach(keys, index, key) listed |= dl_str_equal(name, dl_str_of(json_string_value(key)));
    if (!listed && !known_difference(type, name.ptr)) fail_msg("%s has ctx.%.*s, which is not Pydantic's", type, DL_STR_ARGS(name));
  }
}

static void compare_errors(schema_world *world, const json_t *list) {
  dl_value detail = dl_validation_detail(&world->validation);
  assert_true(detail.len > 0);
  for (uint32_t i = 0; i < detail.len; i++) {
    const char *type = dl_arena_copy(&world->request, dl_value_str(world_member(&detail.items[i], "type"))).ptr;
    const json_t *keys = json_object_get(list, type);
    if (!keys) fail_msg("%s is not one of Pydantic's error types", type);
    compare_keys(type, world_member(&detail.items[i], "ctx"), keys);
  }
}

static void every_error_has_its_name_and_context_keys(void **state) {
  schema_world *world = *state;
  json_t *list = json_load_file(DL_SOURCE_DIR "/../shared/data/pydantic-error-types.json", 0, NULL);
  if (!list) {
    print_message("skipped: ../shared/data/pydantic-error-types.json is not here\n");
    skip();
  }
  for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
    for (dl_mode mode = DL_MODE_STRICT; mode <= DL_MODE_LAX; mode++) {
      const dl_schema *schema = world_compile(world, refused[i].description);
      world_begin(world, mode);
      dl_value value = world_read(world, refused[i].input);
      if (!dl_schema_validate(schema, &value, &world->validation)) compare_errors(world, list);
      else if (mode == DL_MODE_STRICT) fail_msg("%s takes %s", refused[i].description, refused[i].input);
    }
  }
  json_decref(list);
}

int main(void) {
  const struct CMUnitTest tests[] = {SCHEMA_TEST(every_error_has_its_name_and_context_keys)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
