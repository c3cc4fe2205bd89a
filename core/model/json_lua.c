/* SPDX-License-Identifier: MIT */
/*
 * The walker: a Lua value as JSON text without a schema, for handlers that
 * declare no response model, for logs and for json.encode. It reads tables raw,
 * so no metamethod of an app runs inside it.
 */
#include "model/json.h"

#include "model/secret_lua.h"
#include "model/value_lua.h"

#include <lauxlib.h>

#include <math.h>

typedef struct walk {
  lua_State *L;
  dl_arena *arena;
  dl_buffer *buffer;
  uint64_t *left; /* values that may still be met */
  const char *error;
} walk;

static bool write_top(walk *w, const dl_lua_place *place);

static bool walk_fails(walk *w, const char *error) {
  w->error = error;
  return false;
}

static bool write_number(walk *w, const dl_lua_place *place) {
  double number = lua_tonumber(w->L, -1);
  if (fabs(number) <= (double)DL_LUA_SAFE_INTEGER && (double)(int64_t)number == number && number != 0) {
    dl_buffer_append_int(w->buffer, (int64_t)number);
    return true;
  }
  if (!isfinite(number)) return walk_fails(w, dl_lua_number_error(w->arena, place));
  dl_buffer_append_double(w->buffer, number);
  return true;
}

static void write_string(walk *w, int index) {
  dl_str s;
  s.ptr = lua_tolstring(w->L, index, &s.len);
  dl_buffer_append_json_string(w->buffer, s);
}

static bool write_array(walk *w, const dl_lua_place *place, uint32_t length) {
  dl_lua_place inner = {.outer = place, .depth = place->depth + 1};
  dl_buffer_append_char(w->buffer, '[');
  for (uint32_t i = 1; i <= length; i++) {
    if (i > 1) dl_buffer_append_char(w->buffer, ',');
    inner.index = i;
    lua_rawgeti(w->L, -1, (int)i);
    if (!write_top(w, &inner)) return false;
    lua_pop(w->L, 1);
  }
  dl_buffer_append_char(w->buffer, ']');
  return true;
}

static bool write_object(walk *w, const dl_lua_place *place) {
  dl_lua_place inner = {.outer = place, .depth = place->depth + 1};
  char before = '{';
  for (lua_pushnil(w->L); lua_next(w->L, -2); lua_pop(w->L, 1)) {
    if (lua_type(w->L, -2) != LUA_TSTRING) return walk_fails(w, dl_lua_key_error(w->arena, place, luaL_typename(w->L, -2)));
    if (!dl_lua_reserve(w->L, -2, LUA_TSTRING, w->buffer)) return walk_fails(w, DL_LUA_TOO_LARGE);
    dl_buffer_append_char(w->buffer, before);
    before = ',';
    inner.key.ptr = lua_tolstring(w->L, -2, &inner.key.len);
    dl_buffer_append_json_string(w->buffer, inner.key);
    dl_buffer_append_char(w->buffer, ':');
    if (!write_top(w, &inner)) return false;
  }
  if (before == '{') dl_buffer_append_char(w->buffer, '{');
  dl_buffer_append_char(w->buffer, '}');
  return true;
}

static bool write_table(walk *w, const dl_lua_place *place) {
  if (place->depth >= DL_LUA_MAX_DEPTH) return walk_fails(w, dl_lua_depth_error(w->arena, place));
  uint32_t length;
  dl_lua_shape shape = dl_lua_table_shape(w->L, -1, &length);
  if (shape == DL_LUA_ARRAY) return write_array(w, place, length);
  if (shape == DL_LUA_OBJECT) return write_object(w, place);
  return walk_fails(w, dl_lua_shape_error(w->arena, place, shape));
}

/* What Lua has as userdata or cdata: null, secrets, 64-bit integers. */
static bool write_other(walk *w, const dl_lua_place *place) {
  uint64_t bits;
  if (dl_lua_is_null(w->L, -1)) {
    DL_BUFFER_LITERAL(w->buffer, "null");
    return true;
  }
  if (dl_secret_get(w->L, -1, NULL)) {
    DL_BUFFER_LITERAL(w->buffer, "\"" DL_SECRET_PRINTED "\"");
    return true;
  }
  switch (dl_lua_get_wide(w->L, -1, &bits)) {
  case DL_LUA_INT64: dl_buffer_append_int(w->buffer, (int64_t)bits); return true;
  case DL_LUA_UINT64: dl_buffer_append_uint(w->buffer, bits); return true;
  case DL_LUA_NOT_WIDE: break;
  }
  return walk_fails(w, dl_lua_type_error(w->arena, place, luaL_typename(w->L, -1)));
}

static bool write_top(walk *w, const dl_lua_place *place) {
  int type = lua_type(w->L, -1);
  if (*w->left == 0) return walk_fails(w, dl_lua_count_error(w->arena, place));
  --*w->left;
  if (!dl_lua_reserve(w->L, -1, type, w->buffer)) return walk_fails(w, DL_LUA_TOO_LARGE);
  switch (type) {
  case LUA_TNIL: DL_BUFFER_LITERAL(w->buffer, "null"); return true;
  case LUA_TBOOLEAN: dl_buffer_append_str(w->buffer, lua_toboolean(w->L, -1) ? DL_STR("true") : DL_STR("false")); return true;
  case LUA_TNUMBER: return write_number(w, place);
  case LUA_TSTRING: write_string(w, -1); return true;
  case LUA_TTABLE: return write_table(w, place);
  default: return write_other(w, place);
  }
}

bool dl_json_from_lua(lua_State *L, int index, dl_arena *arena, dl_buffer *buffer, const char **error) {
  uint64_t left = dl_lua_values_max(L);
  return dl_json_part_from_lua(L, index, arena, buffer, &left, error);
}

bool dl_json_part_from_lua(lua_State *L, int index, dl_arena *arena, dl_buffer *buffer, uint64_t *left, const char **error) {
  int top = lua_gettop(L);
  size_t before = buffer->len;
  luaL_checkstack(L, 3 * DL_LUA_MAX_DEPTH + 16, "a value to write");
  lua_pushvalue(L, index);
  walk w = {.L = L, .arena = arena, .buffer = buffer, .left = left};
  bool written = write_top(&w, &(dl_lua_place){0});
  lua_settop(L, top);
  if (written) return true;
  buffer->len = before;
  if (!before) dl_buffer_free(buffer); /* it may be large, and what tells of it needs some */
  *error = w.error;
  return false;
}
