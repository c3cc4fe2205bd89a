/* SPDX-License-Identifier: MIT */
/*
 * A world for schema tests: a lua_State, arenas, and rows that say in one line
 * what a description makes of a document. Errors are compared as text:
 * "type place{ctx}", parted by "; ".
 */
#ifndef DL_TESTS_SCHEMA_WORLD_H
#define DL_TESTS_SCHEMA_WORLD_H

#include "unit.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "model/schema.h"
#include "model/value_lua.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct schema_world {
  lua_State *L;
  dl_arena generation, request;
  dl_buffer text;
  dl_validation validation; /* of the last check */
} schema_world;

static inline int schema_world_open(void **state) {
  schema_world *world = calloc(1, sizeof(*world));
  world->L = luaL_newstate();
  luaL_openlibs(world->L);
  dl_lua_prepare(world->L);
  dl_lua_push_null(world->L);
  lua_setglobal(world->L, "null");
  dl_arena_init(&world->generation, 0);
  dl_arena_init(&world->request, 0);
  *state = world;
  return 0;
}

static inline int schema_world_close(void **state) {
  schema_world *world = *state;
  assert_int_equal(lua_gettop(world->L), 0);
  lua_close(world->L);
  dl_arena_free(&world->generation);
  dl_arena_free(&world->request);
  dl_buffer_free(&world->text);
  free(world);
  return 0;
}

/* Pushes what the Lua chunk gives. */
static inline void world_run(schema_world *world, const char *chunk) {
  if (luaL_dostring(world->L, chunk) == 0) return;
  print_error("%s\nin: %s\n", lua_tostring(world->L, -1), chunk);
  fail();
}

/* The schema of the description that the Lua expression gives; NULL with *error. */
static inline const dl_schema *world_try_compile(schema_world *world, const char *description, const char **error) {
  lua_pushfstring(world->L, "return %s", description);
  world_run(world, lua_tostring(world->L, -1));
  const dl_schema *schema = dl_schema_compile(world->L, -1, &world->generation, error);
  lua_pop(world->L, 2);
  return schema;
}

static inline const dl_schema *world_compile(schema_world *world, const char *description) {
  const char *error = NULL;
  const dl_schema *schema = world_try_compile(world, description, &error);
  if (!schema) print_error("%s\nin: %s\n", error, description);
  assert_non_null(schema);
  return schema;
}

static inline void world_begin(schema_world *world, dl_mode mode) {
  dl_arena_reset(&world->request);
  dl_buffer_clear(&world->text);
  world->validation = (dl_validation){.arena = &world->request, .L = world->L, .mode = mode, .source = "body"};
}

static inline dl_value world_read(schema_world *world, const char *json) {
  dl_value value;
  dl_json_error error;
  if (!dl_json_read(&world->request, dl_str_of(json), NULL, &value, &error)) {
    print_error("%s at %zu in: %s\n", error.message, error.offset, json);
    fail();
  }
  return value;
}

static inline void world_describe_place(schema_world *world, const dl_value *places) {
  for (uint32_t i = 0; i < places->len; i++) {
    if (i) dl_buffer_append_char(&world->text, '.');
    if (places->items[i].kind == DL_VALUE_STRING) dl_buffer_append_str(&world->text, dl_value_str(&places->items[i]));
    else dl_value_write(&world->text, &places->items[i]);
  }
}

static inline const dl_value *world_member(const dl_value *object, const char *name) {
  for (uint32_t i = 0; i < object->len; i++)
    if (dl_str_equal(dl_value_str(&object->members[i].key), dl_str_of(name))) return &object->members[i].value;
  return NULL;
}

/* "type place{ctx}; type place" */
static inline void world_describe_errors(schema_world *world) {
  dl_value detail = dl_validation_detail(&world->validation);
  for (uint32_t i = 0; i < detail.len; i++) {
    const dl_value *error = &detail.items[i], *context = world_member(error, "ctx"), *input = world_member(error, "input");
    if (i) dl_buffer_append_str(&world->text, DL_STR("; "));
    dl_buffer_append_str(&world->text, dl_value_str(world_member(error, "type")));
    dl_buffer_append_char(&world->text, ' ');
    world_describe_place(world, world_member(error, "loc"));
    if (context) dl_value_write(&world->text, context);
    if (input) {
      dl_buffer_append_char(&world->text, '<');
      dl_value_write(&world->text, input);
      dl_buffer_append_char(&world->text, '>');
    }
    assert_true(world_member(error, "msg")->len > 0);
  }
}

/* What a handler would see of value, as JSON, or "!" and the errors. */
static inline dl_str world_check(schema_world *world, const dl_schema *schema, dl_value value) {
  const char *problem = NULL;
  if (dl_schema_validate(schema, &value, &world->validation)) {
    assert_int_equal(world->validation.error_count, 0);
    dl_schema_push(world->L, schema, &value);
    if (!dl_json_from_lua(world->L, lua_gettop(world->L), &world->request, &world->text, &problem)) {
      print_error("%s\n", problem);
      fail();
    }
    lua_pop(world->L, 1);
  } else {
    dl_buffer_append_char(&world->text, '!');
    if (world->validation.fault) dl_buffer_append_str(&world->text, DL_STR("fault"));
    else world_describe_errors(world);
  }
  return dl_buffer_str(&world->text);
}

/* The response that the Lua expression becomes, or "!" and the errors. */
static inline dl_str world_respond(schema_world *world, const dl_schema *schema, const char *expression) {
  world_begin(world, DL_MODE_STRICT);
  world->validation.source = "response";
  world->validation.output = true;
  lua_pushfstring(world->L, "return %s", expression);
  world_run(world, lua_tostring(world->L, -1));
  dl_buffer_append_str(&world->text, DL_STR("kept"));
  bool ok = dl_schema_serialise(schema, world->L, -1, &world->text, &world->validation);
  lua_pop(world->L, 2);
  assert_int_equal(ok, world->validation.error_count == 0);
  assert_true(dl_str_starts(dl_buffer_str(&world->text), DL_STR("kept")));
  if (ok) return dl_str_skip(dl_buffer_str(&world->text), 4);
  assert_int_equal(world->text.len, 4);
  dl_buffer_clear(&world->text);
  dl_buffer_append_char(&world->text, '!');
  world_describe_errors(world);
  return dl_buffer_str(&world->text);
}

typedef struct schema_row {
  const char *description, *input, *expected;
} schema_row;

/* Objects from Lua have no order: what passes is compared as values, not as text. */
static inline bool world_same_value(schema_world *world, const char *expected, dl_str found) {
  dl_value value;
  dl_json_error error;
  if (expected[0] == '!' || !dl_json_read(&world->request, found, NULL, &value, &error)) return false;
  dl_value wanted = world_read(world, expected);
  return dl_value_equal(&wanted, &value);
}

static inline void world_expect(schema_world *world, const schema_row *row, dl_str found, bool as_value) {
  if (dl_str_equal(found, dl_str_of(row->expected)) || (as_value && world_same_value(world, row->expected, found))) return;
  print_error("%s\n  given   %s\n  should  %s\n  but     %.*s\n", row->description, row->input, row->expected, DL_STR_ARGS(found));
  fail();
}

static inline void world_check_rows(schema_world *world, dl_mode mode, const schema_row *rows, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const dl_schema *schema = world_compile(world, rows[i].description);
    world_begin(world, mode);
    world_expect(world, &rows[i], world_check(world, schema, world_read(world, rows[i].input)), true);
  }
}

static inline void world_respond_rows(schema_world *world, const schema_row *rows, size_t count) {
  for (size_t i = 0; i < count; i++)
    world_expect(world, &rows[i], world_respond(world, world_compile(world, rows[i].description), rows[i].input), false);
}

#define ROWS(rows) (rows), sizeof(rows) / sizeof((rows)[0])
#define SCHEMA_TEST(name) cmocka_unit_test_setup_teardown(name, schema_world_open, schema_world_close)

#endif
