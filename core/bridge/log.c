/* SPDX-License-Identifier: MIT */
/* core.log and core.now: the worker's log and its clock, as Lua may use them. */
#include "bridge/bridge.h"
#include "bridge/request.h"
#include "bridge/task.h"
#include "model/json.h"
#include "model/value_lua.h"

#include <lauxlib.h>
#include <math.h>

/* The most of a name that is taken, and room for that with what may be put before and behind it. */
enum { NAME_BYTES_MAX = 64, NAME_ROOM = NAME_BYTES_MAX + 32 };

/* Places on core_log's stack. */
enum { FIELDS = 3, CHANGED = 4, NAME = 5, VALUE = 6 };

/* Names that a line has from us. */
static bool is_ours(const char *name) {
  static const char *const ours[] = {"time", "level", "message", "request_id", "trace_id", "span_id"};
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
    if (strcmp(name, ours[i]) == 0) return true;
  return false;
}

/* What apps log may be a table that a client made, names and all: a name stays one
 * word, and takes the place of none of ours. Gives whether it had to be changed. */
static bool safe_name(dl_str name, char out[NAME_ROOM]) {
  size_t length = name.len < NAME_BYTES_MAX ? name.len : NAME_BYTES_MAX;
  for (size_t i = 0; i < length; i++) {
    char c = name.ptr[i], lower = dl_ascii_lower(c);
    out[i] = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ? c : '_';
  }
  out[length] = 0;
  if (!is_ours(out)) return length < name.len || memcmp(out, name.ptr, length) != 0;
  memmove(out + strlen("app."), out, length + 1);
  memcpy(out, "app.", strlen("app."));
  return true;
}

/* Whether another field of the line has the name, be it changed or as it was given. */
static bool is_taken(lua_State *L, const char *name) {
  bool taken = false;
  for (int at = CHANGED; at >= FIELDS && !taken; at--) {
    if (!lua_istable(L, at)) continue;
    lua_pushstring(L, name);
    lua_rawget(L, at);
    taken = !lua_isnil(L, -1);
    lua_pop(L, 1);
  }
  return taken;
}

/* A name that is not as it was given may fall together with another one, and gets a
 * number then. Of each the last number is kept: a client may choose thousands that do. */
static void claim_name(lua_State *L, char name[NAME_ROOM]) {
  if (lua_isnil(L, CHANGED)) {
    lua_newtable(L);
    lua_replace(L, CHANGED);
  }
  size_t length = strlen(name);
  lua_pushlstring(L, name, length);
  lua_pushvalue(L, -1);
  lua_rawget(L, CHANGED);
  int last = lua_isnil(L, -1) ? 1 : (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  while (is_taken(L, name)) snprintf(name + length, NAME_ROOM - length, "_%d", ++last);
  lua_pushstring(L, name);
  lua_pushinteger(L, 1);
  lua_rawset(L, CHANGED);
  lua_pushinteger(L, last);
  lua_rawset(L, CHANGED);
}

/* A line must not hold all of a text that is long; how long it was stands beside it. */
static void log_text(lua_State *L, dl_log *log, const char *key, dl_str text) {
  char length_name[NAME_ROOM];
  if (text.len <= DL_LOG_FIELD_BYTES) {
    dl_log_field(log, key, text);
    return;
  }
  snprintf(length_name, sizeof(length_name), "%s_bytes", key);
  claim_name(L, length_name);
  dl_log_field(log, key, dl_str_from(text.ptr, DL_LOG_FIELD_BYTES));
  dl_log_field_int(log, length_name, (int64_t)text.len);
}

/* Tables, numbers and null are written as JSON has them, which has no infinity and no NaN. */
static bool is_of_json(lua_State *L, int index) {
  if (lua_type(L, index) == LUA_TNUMBER) return isfinite(lua_tonumber(L, index));
  return lua_istable(L, index) || lua_type(L, index) == DL_LUA_TCDATA || dl_lua_is_null(L, index);
}

/* One field. Of userdata only ours have a __tostring, and those keep what is secret redacted. */
static void log_field(lua_State *L, dl_log *log, const char *key, int index) {
  size_t len = 0;
  if (is_of_json(L, index)) {
    dl_arena arena;
    dl_buffer json = {0};
    const char *problem = NULL;
    dl_arena_init(&arena, 0);
    if (dl_json_from_lua(L, index, &arena, &json, &problem)) dl_log_field_json(log, key, dl_buffer_str(&json));
    else log_text(L, log, key, dl_str_of(problem));
    dl_buffer_free(&json);
    dl_arena_free(&arena);
    return;
  }
  if (lua_isboolean(L, index)) {
    dl_log_field_json(log, key, lua_toboolean(L, index) ? DL_STR("true") : DL_STR("false"));
    return;
  }
  if (lua_isnumber(L, index) || lua_isstring(L, index)) lua_pushvalue(L, index);
  else if (!lua_isuserdata(L, index) || !luaL_callmeta(L, index, "__tostring")) lua_pushfstring(L, "(%s)", luaL_typename(L, index));
  const char *text = lua_tolstring(L, -1, &len);
  log_text(L, log, key, text ? dl_str_from(text, len) : DL_STR("(no text)"));
}

/* By its __tostring, which is the app's code and may fail. */
static void push_by_itself(lua_State *L, int error) {
  lua_getglobal(L, "tostring");
  lua_pushvalue(L, error);
  if (lua_pcall(L, 1, 1, 0) == 0 && lua_type(L, -1) == LUA_TSTRING) return;
  lua_pop(L, 1);
  lua_pushfstring(L, "an error that cannot be shown (%s)", luaL_typename(L, error));
}

static void push_as_json(lua_State *L, int error) {
  dl_arena arena;
  dl_buffer json = {0};
  const char *problem = NULL;
  dl_arena_init(&arena, 0);
  if (dl_json_from_lua(L, error, &arena, &json, &problem)) lua_pushlstring(L, json.data, json.len);
  else lua_pushfstring(L, "an error that cannot be shown (%s)", problem);
  dl_buffer_free(&json);
  dl_arena_free(&arena);
}

void dl_bridge_take_error(lua_State *L, lua_State *co) {
  if (L != co) lua_xmove(co, L, 1);
  int error = lua_gettop(L);
  bool speaks = luaL_getmetafield(L, error, "__tostring");
  if (speaks) lua_pop(L, 1);
  if (lua_istable(L, error) && !speaks) push_as_json(L, error);
  else push_by_itself(L, error);
  lua_replace(L, error);
}

/* The pair at NAME and VALUE. Names are text or, of a list, numbers. */
static void log_pair(lua_State *L, dl_log *log) {
  char name[NAME_ROOM];
  dl_str given;
  int type = lua_type(L, NAME);
  if (type != LUA_TSTRING && type != LUA_TNUMBER) return;
  lua_pushvalue(L, NAME); /* lua_next wants the number as it is */
  given.ptr = lua_tolstring(L, -1, &given.len);
  if (safe_name(given, name) || type == LUA_TNUMBER) claim_name(L, name);
  log_field(L, log, name, VALUE);
}

/* log(level, text, fields): fields are a table of names and values, written in no
 * particular order; what is none is written as the field value. Inside a request its
 * id and trace are added. */
static int core_log(lua_State *L) {
  static const char *const levels[] = {"debug", "info", "warning", "error", NULL};
  dl_log_level level = (dl_log_level)luaL_checkoption(L, 1, NULL, levels);
  size_t len;
  const char *text = luaL_checklstring(L, 2, &len);
  dl_log *log = &dl_bridge_loop(L)->log;
  lua_settop(L, CHANGED);
  if (!dl_log_begin(log, level, dl_str_from(text, len))) return 0;
  dl_request_view *request = dl_task_request(L);
  if (request) dl_request_log(request, log);
  if (lua_istable(L, FIELDS)) {
    for (lua_pushnil(L); lua_next(L, FIELDS); lua_settop(L, NAME)) log_pair(L, log);
  } else if (!lua_isnil(L, FIELDS)) {
    log_field(L, log, "value", FIELDS);
  }
  dl_log_end(log);
  return 0;
}

/* Read anew: who computes until some moment would never see the loop's own time come there. */
static int core_now(lua_State *L) {
  dl_clock *clock = &dl_bridge_loop(L)->clock;
  dl_clock_update(clock);
  lua_pushnumber(L, (double)clock->wall_ms / 1000.0);
  return 1;
}

void dl_bridge_log(lua_State *L) {
  lua_pushcfunction(L, core_log);
  lua_setfield(L, -2, "log");
  lua_pushcfunction(L, core_now);
  lua_setfield(L, -2, "now");
}
