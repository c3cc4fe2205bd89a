/* SPDX-License-Identifier: MIT */
/*
 * core.json_encode, core.json_decode, core.null, core.array_type: JSON for
 * handlers' own use. Bodies do not come this way; they are read against their
 * schema. Decoding is jansson's work, beside the reader that it also checks.
 */
#include "bridge/bridge.h"

#include "model/json.h"
#include "model/value_lua.h"

#include <jansson.h>
#include <lauxlib.h>

/* json_encode(value) → string; raises for what JSON has nothing for */
static int bridge_json_encode(lua_State *L) {
  luaL_checkany(L, 1);
  dl_arena arena;
  dl_arena_init(&arena, 0);
  dl_buffer text = {0};
  const char *error = NULL;
  bool written = dl_json_from_lua(L, 1, &arena, &text, &error);
  if (written) lua_pushlstring(L, text.data, text.len);
  else lua_pushfstring(L, "json_encode: %s", error);
  dl_buffer_free(&text);
  dl_arena_free(&arena);
  return written ? 1 : luaL_error(L, "%s", lua_tostring(L, -1));
}

static void push_tree(lua_State *L, const json_t *tree, int depth);

static void push_array(lua_State *L, const json_t *array, int depth) {
  size_t length = json_array_size(array);
  if (length == 0) {
    dl_lua_push_empty_array(L);
    return;
  }
  lua_createtable(L, (int)length, 0);
  for (size_t i = 0; i < length; i++) {
    push_tree(L, json_array_get(array, i), depth);
    lua_rawseti(L, -2, (int)i + 1);
  }
}

static void push_object(lua_State *L, json_t *object, int depth) {
  lua_createtable(L, 0, (int)json_object_size(object));
  for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
    lua_pushstring(L, json_object_iter_key(at));
    push_tree(L, json_object_iter_value(at), depth);
    lua_rawset(L, -3);
  }
}

static void push_tree(lua_State *L, const json_t *tree, int depth) {
  luaL_checkstack(L, 4, "JSON nested too deep");
  if (depth == DL_LUA_MAX_DEPTH && (json_is_object(tree) || json_is_array(tree)))
    luaL_error(L, "arrays and objects are nested over %d deep", DL_LUA_MAX_DEPTH);
  switch (json_typeof(tree)) {
  case JSON_OBJECT: push_object(L, (json_t *)(uintptr_t)tree, depth + 1); return;
  case JSON_ARRAY: push_array(L, tree, depth + 1); return;
  case JSON_STRING: lua_pushlstring(L, json_string_value(tree), json_string_length(tree)); return;
  case JSON_INTEGER: dl_lua_push_integer(L, json_integer_value(tree), false); return;
  case JSON_REAL: lua_pushnumber(L, json_real_value(tree)); return;
  case JSON_TRUE:
  case JSON_FALSE: lua_pushboolean(L, json_is_true(tree)); return;
  case JSON_NULL: dl_lua_push_null(L); return;
  }
}

static int push_tree_protected(lua_State *L) {
  push_tree(L, lua_touserdata(L, 1), 0);
  return 1;
}

/* json_decode(text) → value | nil, message. Objects become tables, an empty array
 * keeps its mark, integers that a double cannot hold are int64 cdata. */
static int bridge_json_decode(lua_State *L) {
  size_t length;
  if (lua_type(L, 1) != LUA_TSTRING) return luaL_argerror(L, 1, "expected the JSON text as a string");
  const char *text = lua_tolstring(L, 1, &length);
  /* jansson loses a NUL byte that follows a number, and would read "1\0" as 1. */
  if (memchr(text, '\0', length)) {
    lua_pushnil(L);
    lua_pushliteral(L, "not JSON: a NUL byte in the text");
    return 2;
  }
  json_error_t error;
  json_t *tree = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
  if (!tree) {
    lua_pushnil(L);
    lua_pushfstring(L, "not JSON: %s (line %d, column %d)", error.text, error.line, error.column);
    return 2;
  }
  /* Protected, so that the tree is freed whatever happens on the way. */
  lua_pushcfunction(L, push_tree_protected);
  lua_pushlightuserdata(L, tree);
  int status = lua_pcall(L, 1, 1, 0);
  json_decref(tree);
  if (status == 0) return 1;
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

static const luaL_Reg functions[] = {{"json_encode", bridge_json_encode}, {"json_decode", bridge_json_decode}, {NULL, NULL}};

void dl_bridge_json(lua_State *L) {
  dl_lua_prepare(L);
  luaL_register(L, NULL, functions);
  dl_lua_push_null(L);
  lua_setfield(L, -2, "null");
  dl_lua_push_array_type(L);
  lua_setfield(L, -2, "array_type");
}
