/* SPDX-License-Identifier: MIT */
/*
 * What JSON costs: CPU nanoseconds for a document in (text to Lua table) and out
 * (Lua table to text), by jansson's trees, by the reader and the walker, and by a
 * compiled schema. Build the target bench_json in a release build and run it; each
 * figure is the least of many batches, since what disturbs only ever adds.
 */
#include "bridge/bridge.h"
#include "model/schema.h"
#include "model/value_lua.h"

#include <jansson.h>
#include <lauxlib.h>
#include <lualib.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BATCHES = 40, TABLE = 1 /* stack index of the document as a Lua table */ };

typedef struct bench {
  lua_State *L;
  dl_arena arena;
  dl_buffer text, out;
  const dl_schema *schema;
} bench;

static _Noreturn void give_up(const char *what, const char *why) {
  fprintf(stderr, "bench_json: %s: %s\n", what, why);
  exit(1);
}

static double cpu_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* --- jansson: a tree between text and Lua, both ways --- */

static void push_tree(lua_State *L, json_t *tree) {
  switch (json_typeof(tree)) {
  case JSON_OBJECT:
    lua_createtable(L, 0, (int)json_object_size(tree));
    for (void *at = json_object_iter(tree); at; at = json_object_iter_next(tree, at)) {
      lua_pushstring(L, json_object_iter_key(at));
      push_tree(L, json_object_iter_value(at));
      lua_rawset(L, -3);
    }
    return;
  case JSON_ARRAY:
    lua_createtable(L, (int)json_array_size(tree), 0);
    for (size_t i = 0; i < json_array_size(tree); i++) {
      push_tree(L, json_array_get(tree, i));
      lua_rawseti(L, -2, (int)i + 1);
    }
    return;
  case JSON_STRING: lua_pushlstring(L, json_string_value(tree), json_string_length(tree)); return;
  case JSON_INTEGER: lua_pushnumber(L, (double)json_integer_value(tree)); return;
  case JSON_REAL: lua_pushnumber(L, json_real_value(tree)); return;
  default: lua_pushboolean(L, json_is_true(tree)); return;
  }
}

/* The tree of the table, string, number or boolean on top. */
static json_t *tree_of_top(lua_State *L) {
  size_t length;
  switch (lua_type(L, -1)) {
  case LUA_TTABLE: break;
  case LUA_TSTRING: {
    const char *s = lua_tolstring(L, -1, &length);
    return json_stringn(s, length);
  }
  case LUA_TNUMBER: {
    double number = lua_tonumber(L, -1);
    return number == floor(number) ? json_integer((json_int_t)number) : json_real(number);
  }
  default: return json_boolean(lua_toboolean(L, -1));
  }
  length = lua_objlen(L, -1);
  json_t *tree = length ? json_array() : json_object();
  for (size_t i = 1; i <= length; i++, lua_pop(L, 1)) {
    lua_rawgeti(L, -1, (int)i);
    json_array_append_new(tree, tree_of_top(L));
  }
  if (length) return tree;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) json_object_set_new(tree, lua_tostring(L, -2), tree_of_top(L));
  return tree;
}

static void in_by_jansson(bench *b) {
  json_error_t error;
  json_t *tree = json_loadb(b->text.data, b->text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
  if (!tree) give_up("jansson", error.text);
  push_tree(b->L, tree);
  json_decref(tree);
}

static int append_dump(const char *bytes, size_t length, void *buffer) {
  dl_buffer_append(buffer, bytes, length);
  return 0;
}

static void out_by_jansson(bench *b) {
  lua_pushvalue(b->L, TABLE);
  json_t *tree = tree_of_top(b->L);
  json_dump_callback(tree, append_dump, &b->out, JSON_COMPACT | JSON_ENCODE_ANY);
  json_decref(tree);
}

/* --- ours --- */

static dl_value read_text(bench *b) {
  dl_value value;
  dl_json_error error;
  if (!dl_json_read(&b->arena, dl_buffer_str(&b->text), NULL, &value, &error)) give_up("reader", error.message);
  return value;
}

static void in_by_reader_alone(bench *b) { read_text(b); }

static void in_by_reader(bench *b) {
  dl_value value = read_text(b);
  dl_value_push(b->L, &value);
}

static void in_by_schema(bench *b) {
  dl_value value = read_text(b);
  dl_validation validation = {.arena = &b->arena, .L = b->L, .mode = DL_MODE_STRICT, .source = "body"};
  if (!dl_schema_validate(b->schema, &value, &validation)) give_up("schema", "the document was refused");
  dl_schema_push(b->L, b->schema, &value);
}

static void out_by_walker(bench *b) {
  const char *error = NULL;
  if (!dl_json_from_lua(b->L, TABLE, &b->arena, &b->out, &error)) give_up("walker", error);
}

static void out_by_schema(bench *b) {
  dl_validation validation = {.arena = &b->arena, .L = b->L, .mode = DL_MODE_STRICT, .source = "response", .output = true};
  if (!dl_schema_serialise(b->schema, b->L, TABLE, &b->out, &validation)) give_up("serialiser", "the document was refused");
}

/* --- the documents and the table of figures --- */

static const struct operation {
  const char *name;
  void (*run)(bench *b);
  int share_of; /* the row it is compared with, by its number */
} operations[] = {
    {"in:  jansson tree, then Lua", in_by_jansson, 0},   {"     reader alone", in_by_reader_alone, 0},
    {"     reader, then Lua", in_by_reader, 0},          {"     reader, schema, then Lua", in_by_schema, 0},
    {"out: Lua, then jansson tree", out_by_jansson, 4},  {"     walker", out_by_walker, 4},
    {"     serialiser of the schema", out_by_schema, 4},
};

enum { OPERATIONS = sizeof(operations) / sizeof(operations[0]), IN_JANSSON = 0, IN_SCHEMA = 3, OUT_JANSSON = 4, OUT_SCHEMA = 6 };

static void write_user(dl_buffer *text) {
  DL_BUFFER_LITERAL(text, "{\"email\":\"a@example.com\",\"name\":\"Ada Lovelace\",\"role\":\"editor\",\"age\":36}");
}

static void write_users(dl_buffer *text) {
  for (int i = 0; i < 100; i++) {
    dl_buffer_append_char(text, i ? ',' : '[');
    dl_buffer_printf(text, "{\"id\":%d,\"email\":\"user.%d@example.com\",\"name\":\"Ada Lovelace\",\"role\":\"editor\",\"age\":%d}", i + 1, i + 1000,
                     20 + i % 60);
  }
  dl_buffer_append_char(text, ']');
}

static const char user_schema[] =
    "local fields = {\n"
    "  { name = 'email', schema = { kind = 'email' } },\n"
    "  { name = 'name', schema = { kind = 'string', min_length = 1, max_length = 100, pattern = [[^[a-zA-Z\\s]+$]] } },\n"
    "  { name = 'role', schema = { kind = 'literal', values = { 'user', 'editor' } } },\n"
    "  { name = 'age', schema = { kind = 'integer', ge = 0, le = 150 } } }\n"
    "if ... then table.insert(fields, 1, { name = 'id', schema = { kind = 'integer' } }) end\n"
    "local user = { kind = 'model', name = 'User', fields = fields }\n"
    "return ... and { kind = 'array', items = user } or user\n";

static double measure(bench *b, void (*run)(bench *b)) {
  int count = 1 + (int)(200000 / b->text.len);
  double least = INFINITY;
  for (int batch = 0; batch < BATCHES; batch++) {
    double start = cpu_ns();
    for (int i = 0; i < count; i++) {
      run(b);
      lua_settop(b->L, TABLE);
      dl_arena_reset(&b->arena);
      dl_buffer_clear(&b->out);
    }
    least = fmin(least, (cpu_ns() - start) / count);
  }
  return least;
}

static size_t measure_document(bool many, double figures[OPERATIONS]) {
  bench b = {.L = luaL_newstate()};
  dl_arena generation;
  dl_arena_init(&generation, 0);
  dl_arena_init(&b.arena, 0);
  if (many) write_users(&b.text);
  else write_user(&b.text);
  luaL_openlibs(b.L);
  dl_lua_prepare(b.L);
  const char *error = NULL;
  if (luaL_loadstring(b.L, user_schema)) give_up("schema", lua_tostring(b.L, -1));
  if (many) lua_pushboolean(b.L, true);
  lua_call(b.L, many, 1);
  b.schema = dl_schema_compile(b.L, -1, &generation, &error);
  if (!b.schema) give_up("schema", error);
  lua_settop(b.L, 0);
  in_by_schema(&b);
  for (int i = 0; i < OPERATIONS; i++) figures[i] = measure(&b, operations[i].run);
  size_t bytes = b.text.len;
  lua_close(b.L);
  dl_buffer_free(&b.text);
  dl_buffer_free(&b.out);
  dl_arena_free(&b.arena);
  dl_arena_free(&generation);
  return bytes;
}

int main(void) {
  double small[OPERATIONS], large[OPERATIONS];
  size_t small_bytes = measure_document(false, small), large_bytes = measure_document(true, large);
  printf("CPU nanoseconds per document    %6zu bytes          %6zu bytes\n", small_bytes, large_bytes);
  for (int i = 0; i < OPERATIONS; i++) {
    int other = operations[i].share_of;
    printf("%-30s %9.0f  %5.2fx   %11.0f  %5.2fx\n", operations[i].name, small[i], small[i] / small[other], large[i], large[i] / large[other]);
  }
  printf("in and out, by schema over by jansson: %.2fx and %.2fx\n",
         (small[IN_SCHEMA] + small[OUT_SCHEMA]) / (small[IN_JANSSON] + small[OUT_JANSSON]),
         (large[IN_SCHEMA] + large[OUT_SCHEMA]) / (large[IN_JANSSON] + large[OUT_JANSSON]));
  return 0;
}
