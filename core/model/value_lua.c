/* SPDX-License-Identifier: MIT */
/*
 * Values to Lua and back. Everything here works on the Lua stack of a handler's
 * coroutine and may raise only what Lua itself raises: no memory, no stack.
 */
#include "model/value_lua.h"

#include "base/utf8.h"
#include "model/secret_lua.h"
#include "model/value.h"

#include <lauxlib.h>

#include <assert.h>
#include <math.h>

/* Keys of the registry; only their addresses count. */
static const char key_make = 0, key_kind = 0, key_array = 0;

/* C has no function that makes cdata: these two do it, out of and into numbers. */
static const char prepare_source[] = "local ffi = require 'ffi'\n"
                                     "local int64, uint64, istype = ffi.typeof 'int64_t', ffi.typeof 'uint64_t', ffi.istype\n"
                                     "local function make(high, low) return int64(high) * 4294967296LL + int64(low) end\n"
                                     "local function kind(cdata) return istype(int64, cdata) and 1 or istype(uint64, cdata) and 2 or 0 end\n"
                                     "return make, kind\n";

static void push_registered(lua_State *L, const char *key) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)key);
  lua_rawget(L, LUA_REGISTRYINDEX);
}

/* Pops the value on top into the registry. */
static void set_registered(lua_State *L, const char *key) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)key);
  lua_insert(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

void dl_lua_prepare(lua_State *L) {
  push_registered(L, &key_make);
  bool done = !lua_isnil(L, -1);
  lua_pop(L, 1);
  if (done) return;
  if (luaL_loadbuffer(L, prepare_source, sizeof(prepare_source) - 1, "=demilune") != 0) lua_error(L);
  lua_call(L, 0, 2);
  set_registered(L, &key_kind);
  set_registered(L, &key_make);
}

static void push_helper(lua_State *L, const char *key) {
  luaL_checkstack(L, 6, "a 64-bit integer");
  push_registered(L, key);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  dl_lua_prepare(L);
  push_registered(L, key);
}

void dl_lua_push_int64(lua_State *L, int64_t integer) {
  push_helper(L, &key_make);
  lua_pushnumber(L, (double)(integer >> 32));
  lua_pushnumber(L, (double)(uint32_t)integer);
  lua_call(L, 2, 1);
}

void dl_lua_push_integer(lua_State *L, int64_t integer, bool wide) {
  if (wide || integer > DL_LUA_SAFE_INTEGER || integer < -DL_LUA_SAFE_INTEGER) dl_lua_push_int64(L, integer);
  else lua_pushnumber(L, (double)integer);
}

dl_lua_wide dl_lua_get_wide(lua_State *L, int index, uint64_t *bits) {
  if (lua_type(L, index) != DL_LUA_TCDATA) return DL_LUA_NOT_WIDE;
  const void *bytes = lua_topointer(L, index);
  lua_pushvalue(L, index);
  push_helper(L, &key_kind);
  lua_insert(L, -2);
  lua_call(L, 1, 1);
  dl_lua_wide wide = (dl_lua_wide)lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (wide != DL_LUA_NOT_WIDE) memcpy(bits, bytes, sizeof(*bits));
  return wide;
}

void dl_lua_push_array_type(lua_State *L) {
  push_registered(L, &key_array);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  set_registered(L, &key_array);
}

void dl_lua_push_empty_array(lua_State *L) {
  lua_newtable(L);
  dl_lua_push_array_type(L);
  lua_setmetatable(L, -2);
}

static bool marked_as_array(lua_State *L, int index) {
  if (!lua_getmetatable(L, index)) return false;
  dl_lua_push_array_type(L);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

/* Of a table that has the key length. Looks at every key: where one stands in the
 * order of lua_next says nothing, as some or all may lie in the hash part, and 0
 * comes before 1. */
static dl_lua_shape count_shape(lua_State *L, int index, size_t length) {
  size_t count = 0;
  bool holes = false;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1), count++) {
    if (lua_type(L, -2) != LUA_TNUMBER) {
      lua_pop(L, 2);
      return DL_LUA_MIXED;
    }
    double number = lua_tonumber(L, -2);
    if (!(number >= 1 && number <= (double)length && (double)(size_t)number == number)) holes = true;
  }
  return holes || count != length ? DL_LUA_HOLES : DL_LUA_ARRAY;
}

dl_lua_shape dl_lua_table_shape(lua_State *L, int index, uint32_t *length) {
  if (index < 0) index = lua_gettop(L) + index + 1;
  luaL_checkstack(L, 4, "a table");
  size_t count = lua_objlen(L, index);
  *length = (uint32_t)count;
  if (count) return count_shape(L, index, count);
  lua_pushnil(L);
  if (!lua_next(L, index)) return marked_as_array(L, index) ? DL_LUA_ARRAY : DL_LUA_OBJECT;
  lua_pop(L, 2);
  return DL_LUA_OBJECT;
}

uint64_t dl_lua_values_max(lua_State *L) {
  enum { VALUE_BYTES = 8, KEPT_MORE_THAN_ONCE = 1000000 };
  return (uint64_t)lua_gc(L, LUA_GCCOUNT, 0) * (1024 / VALUE_BYTES) + KEPT_MORE_THAN_ONCE;
}

bool dl_lua_reserve(lua_State *L, int index, int type, dl_buffer *buffer) {
  enum { ANY_OTHER = 64 };
  size_t length = type == LUA_TSTRING ? lua_objlen(L, index) : 0;
  return dl_buffer_try_reserve(buffer, length + length / 2 + ANY_OTHER); /* base64 takes a third more */
}

/* --- values to Lua --- */

static void push_array(lua_State *L, const dl_value *array) {
  if (array->len == 0) {
    dl_lua_push_empty_array(L);
    return;
  }
  lua_createtable(L, (int)array->len, 0);
  for (uint32_t i = 0; i < array->len; i++) {
    dl_value_push(L, &array->items[i]);
    lua_rawseti(L, -2, (int)i + 1);
  }
}

static void push_object(lua_State *L, const dl_value *object) {
  lua_createtable(L, 0, (int)object->len);
  for (uint32_t i = 0; i < object->len; i++) {
    lua_pushlstring(L, object->members[i].key.string, object->members[i].key.len);
    dl_value_push(L, &object->members[i].value);
    lua_rawset(L, -3);
  }
}

void dl_value_push(lua_State *L, const dl_value *value) {
  luaL_checkstack(L, 4, "a value nested too deep");
  switch ((dl_value_kind)value->kind) {
  case DL_VALUE_ABSENT: lua_pushnil(L); return;
  case DL_VALUE_NULL: dl_lua_push_null(L); return;
  case DL_VALUE_BOOLEAN: lua_pushboolean(L, value->boolean); return;
  case DL_VALUE_INTEGER: dl_lua_push_integer(L, value->integer, value->flags & DL_VALUE_WIDE); return;
  case DL_VALUE_NUMBER: lua_pushnumber(L, value->number); return;
  case DL_VALUE_STRING:
  case DL_VALUE_BYTES:
    if (value->flags & DL_VALUE_SECRET) dl_secret_push(L, dl_value_str(value));
    else lua_pushlstring(L, value->string, value->len);
    return;
  case DL_VALUE_ARRAY: push_array(L, value); return;
  case DL_VALUE_OBJECT: push_object(L, value); return;
  case DL_VALUE_RECORD:
    assert(false && "a RECORD is pushed by its schema");
    lua_pushnil(L);
    return;
  }
}

/* --- Lua to values --- */

typedef struct taking {
  lua_State *L;
  dl_arena *arena;
  uint64_t left; /* values that may still be met */
  const char *error;
} taking;

static bool take_top(taking *t, const dl_lua_place *place, dl_value *out);

static bool take_fails(taking *t, const char *error) {
  t->error = error;
  return false;
}

static bool take_number(taking *t, const dl_lua_place *place, dl_value *out) {
  double number = lua_tonumber(t->L, -1);
  if (!isfinite(number)) return take_fails(t, dl_lua_number_error(t->arena, place));
  bool whole = fabs(number) <= (double)DL_LUA_SAFE_INTEGER && (double)(int64_t)number == number;
  *out = whole ? dl_value_integer((int64_t)number) : dl_value_number(number);
  return true;
}

static dl_value take_string(taking *t, dl_str s) {
  dl_value value = dl_value_string(dl_arena_copy(t->arena, s));
  if (!dl_utf8_valid(s) || (s.len && memchr(s.ptr, '\0', s.len))) value.kind = DL_VALUE_BYTES;
  return value;
}

static bool take_array(taking *t, const dl_lua_place *place, uint32_t length, dl_value *out) {
  *out = (dl_value){.kind = DL_VALUE_ARRAY, .len = length, .items = length ? dl_arena_zalloc(t->arena, length, sizeof(dl_value)) : NULL};
  dl_lua_place inner = {.outer = place, .depth = place->depth + 1};
  for (uint32_t i = 0; i < length; i++) {
    inner.index = i + 1;
    lua_rawgeti(t->L, -1, (int)i + 1);
    if (!take_top(t, &inner, &out->items[i])) return false;
    lua_pop(t->L, 1);
  }
  return true;
}

static bool take_object(taking *t, const dl_lua_place *place, dl_value *out) {
  uint32_t count = 0;
  for (lua_pushnil(t->L); lua_next(t->L, -2); lua_pop(t->L, 1)) count++;
  *out = (dl_value){.kind = DL_VALUE_OBJECT, .len = count, .members = count ? dl_arena_zalloc(t->arena, count, sizeof(dl_member)) : NULL};
  dl_lua_place inner = {.outer = place, .depth = place->depth + 1};
  uint32_t i = 0;
  for (lua_pushnil(t->L); lua_next(t->L, -2); lua_pop(t->L, 1), i++) {
    if (lua_type(t->L, -2) != LUA_TSTRING) return take_fails(t, dl_lua_key_error(t->arena, place, luaL_typename(t->L, -2)));
    inner.key.ptr = lua_tolstring(t->L, -2, &inner.key.len);
    out->members[i].key = take_string(t, inner.key);
    if (out->members[i].key.kind != DL_VALUE_STRING) return take_fails(t, dl_lua_key_error(t->arena, place, "string that is not UTF-8"));
    if (!take_top(t, &inner, &out->members[i].value)) return false;
  }
  return true;
}

static bool take_table(taking *t, const dl_lua_place *place, dl_value *out) {
  if (place->depth >= DL_LUA_MAX_DEPTH) return take_fails(t, dl_lua_depth_error(t->arena, place));
  uint32_t length;
  dl_lua_shape shape = dl_lua_table_shape(t->L, -1, &length);
  if (shape == DL_LUA_ARRAY) return take_array(t, place, length, out);
  if (shape == DL_LUA_OBJECT) return take_object(t, place, out);
  return take_fails(t, dl_lua_shape_error(t->arena, place, shape));
}

/* What Lua has as userdata or cdata: null, secrets, 64-bit integers. */
static bool take_other(taking *t, const dl_lua_place *place, dl_value *out) {
  dl_str secret;
  uint64_t bits;
  dl_lua_wide wide;
  if (dl_lua_is_null(t->L, -1)) {
    *out = dl_value_null();
  } else if (dl_secret_get(t->L, -1, &secret)) {
    *out = take_string(t, secret);
    out->flags = DL_VALUE_SECRET;
  } else if ((wide = dl_lua_get_wide(t->L, -1, &bits)) != DL_LUA_NOT_WIDE) {
    if (wide == DL_LUA_UINT64 && bits > INT64_MAX)
      return take_fails(t, dl_lua_place_error(t->arena, place, "an integer over 2^63 - 1", "; give it as a string"));
    *out = dl_value_integer((int64_t)bits);
    out->flags = DL_VALUE_WIDE;
  } else {
    return take_fails(t, dl_lua_type_error(t->arena, place, luaL_typename(t->L, -1)));
  }
  return true;
}

static bool take_top(taking *t, const dl_lua_place *place, dl_value *out) {
  dl_str s;
  if (t->left-- == 0) return take_fails(t, dl_lua_count_error(t->arena, place));
  switch (lua_type(t->L, -1)) {
  case LUA_TNIL: *out = (dl_value){.kind = DL_VALUE_ABSENT}; return true;
  case LUA_TBOOLEAN: *out = dl_value_boolean(lua_toboolean(t->L, -1)); return true;
  case LUA_TNUMBER: return take_number(t, place, out);
  case LUA_TSTRING:
    s.ptr = lua_tolstring(t->L, -1, &s.len);
    *out = take_string(t, s);
    return true;
  case LUA_TTABLE: return take_table(t, place, out);
  default: return take_other(t, place, out);
  }
}

bool dl_value_from_lua(lua_State *L, int index, dl_arena *arena, dl_value *out, const char **error) {
  int top = lua_gettop(L);
  luaL_checkstack(L, 3 * DL_LUA_MAX_DEPTH + 16, "a value to take");
  lua_pushvalue(L, index);
  taking t = {.L = L, .arena = arena, .left = dl_lua_values_max(L)};
  bool taken = take_top(&t, &(dl_lua_place){0}, out);
  lua_settop(L, top);
  if (!taken) *error = t.error;
  return taken;
}
