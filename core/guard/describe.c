/* SPDX-License-Identifier: MIT */
/* What the kinds of guards read their descriptions with. Fields are read raw: what a
 * description's metatable says is for Lua. */
#include "guard/internal.h"

#include "base/buffer.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>

bool dl_guard_fail(dl_guard_compiler *compiler, const char *format, ...) {
  char message[512];
  va_list arguments;
  if (compiler->error) return false;
  va_start(arguments, format);
  vsnprintf(message, sizeof(message), format, arguments);
  va_end(arguments);
  compiler->error = dl_arena_copy(compiler->arena, dl_str_of(message)).ptr;
  return false;
}

static void push_field(lua_State *L, int table, const char *field) {
  lua_pushstring(L, field);
  lua_rawget(L, table);
}

/* The text on top of the stack, copied; numbers are none. */
static bool take_text(dl_guard_compiler *compiler, const char *field, dl_str *out) {
  dl_str text;
  if (lua_type(compiler->L, -1) != LUA_TSTRING) return dl_guard_fail(compiler, "%s should be text, not a %s", field, luaL_typename(compiler->L, -1));
  text.ptr = lua_tolstring(compiler->L, -1, &text.len);
  if (!text.len || memchr(text.ptr, 0, text.len)) return dl_guard_fail(compiler, "%s should not be empty or hold NUL", field);
  *out = dl_arena_copy(compiler->arena, text);
  return true;
}

bool dl_guard_text(dl_guard_compiler *compiler, int table, const char *field, dl_str *out) {
  *out = (dl_str){0};
  push_field(compiler->L, table, field);
  bool taken = lua_isnil(compiler->L, -1) || take_text(compiler, field, out);
  lua_pop(compiler->L, 1);
  return taken;
}

bool dl_guard_quotable(dl_guard_compiler *compiler, int table, const char *field, dl_str *out) {
  if (!dl_guard_text(compiler, table, field, out)) return false;
  for (size_t i = 0; i < out->len; i++)
    if (out->ptr[i] < 0x20 || out->ptr[i] > 0x7e || out->ptr[i] == '"' || out->ptr[i] == '\\')
      return dl_guard_fail(compiler, "%s is sent between quotes: write it in ASCII without \" and \\", field);
  return true;
}

bool dl_guard_name(dl_guard_compiler *compiler, int table, const char *field, dl_str *out) {
  if (!dl_guard_text(compiler, table, field, out)) return false;
  if (!out->len || dl_guard_is_token(*out)) return true;
  return dl_guard_fail(compiler, "%s should be a name of letters, digits and \"-\", such as \"X-API-Key\" or \"__Host-session\", not \"%.*s\"", field,
                       DL_STR_ARGS(*out));
}

bool dl_guard_seconds(dl_guard_compiler *compiler, int table, const char *field, int64_t otherwise, int64_t max, int64_t *out) {
  lua_State *L = compiler->L;
  *out = otherwise;
  push_field(L, table, field);
  bool given = !lua_isnil(L, -1), number = lua_type(L, -1) == LUA_TNUMBER;
  double seconds = lua_tonumber(L, -1);
  lua_pop(L, 1);
  if (!given) return true;
  if (!number || !(seconds >= 0 && seconds <= (double)max))
    return dl_guard_fail(compiler, "%s should be a number of seconds from 0 to %lld", field, (long long)max);
  *out = (int64_t)floor(seconds);
  return true;
}

/* The list on top of the stack. */
static bool take_texts(dl_guard_compiler *compiler, const char *field, const dl_str **out, uint32_t *count) {
  lua_State *L = compiler->L;
  bool one = lua_type(L, -1) == LUA_TSTRING;
  if (!one && !lua_istable(L, -1)) return dl_guard_fail(compiler, "%s should be a list of texts, not a %s", field, luaL_typename(L, -1));
  *count = one ? 1 : (uint32_t)lua_objlen(L, -1);
  dl_str *texts = dl_arena_zalloc(compiler->arena, *count + 1, sizeof(*texts));
  *out = texts;
  if (one) return take_text(compiler, field, &texts[0]);
  for (uint32_t i = 0; i < *count; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    bool taken = take_text(compiler, field, &texts[i]);
    lua_pop(L, 1);
    if (!taken) return false;
  }
  return true;
}

bool dl_guard_texts(dl_guard_compiler *compiler, int table, const char *field, const dl_str **out, uint32_t *count) {
  *out = NULL;
  *count = 0;
  push_field(compiler->L, table, field);
  bool taken = lua_isnil(compiler->L, -1) || take_texts(compiler, field, out, count);
  lua_pop(compiler->L, 1);
  return taken;
}

void *dl_guard_userdata(dl_guard_compiler *compiler, int table, const char *field, const char *metatable, const char *wanted) {
  lua_State *L = compiler->L;
  push_field(L, table, field);
  void *userdata = lua_touserdata(L, -1);
  if (userdata && lua_getmetatable(L, -1)) {
    luaL_getmetatable(L, metatable);
    if (!lua_rawequal(L, -1, -2)) userdata = NULL;
    lua_pop(L, 2);
  } else userdata = NULL;
  if (userdata) luaL_ref(L, LUA_REGISTRYINDEX); /* as long as the state, and so as long as the guard */
  else {
    lua_pop(L, 1);
    dl_guard_fail(compiler, "%s should be %s", field, wanted);
  }
  return userdata;
}
