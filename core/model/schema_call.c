/* SPDX-License-Identifier: MIT */
/*
 * The two places where validation calls Lua: a check, which may refuse or change
 * a value, and a default_factory, which makes one. A function that breaks is the
 * app's fault, not the client's: it ends validation as a fault, not as an error.
 */
#include "model/schema_internal.h"

/* What was raised, and where. What is no text, such as what demilune.abort raises,
 * was meant to say something to somebody: the hint says how that is done. */
static int explain(lua_State *L, const char *hint) {
  if (lua_type(L, 1) != LUA_TSTRING) {
    bool speaks = luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING;
    if (speaks) lua_pushfstring(L, "raised %s; %s", lua_tostring(L, -1), hint);
    else lua_pushfstring(L, "raised a %s; %s", luaL_typename(L, 1), hint);
    lua_replace(L, 1);
  }
  luaL_traceback(L, L, lua_tostring(L, 1), 1);
  return 1;
}

static int explain_check(lua_State *L) { return explain(L, "write return nil, \"what is wrong\" to refuse the value"); }
static int explain_factory(lua_State *L) { return explain(L, "it gives a value and refuses none: let the handler do that"); }

static bool broke(dl_validation *validation, const char *what, const char *message) {
  if (!validation->fault) validation->fault = dl_arena_format(validation->arena, "%s: %s", what, message ? message : "no message");
  return false;
}

static bool refused_by_check(const dl_schema *schema, const dl_value *value, dl_validation *validation) {
  dl_str text;
  text.ptr = lua_tolstring(validation->L, -1, &text.len);
  dl_str message = dl_arena_copy(validation->arena, text);
  return dl_validation_refuse(validation, schema, "value_error", message, dl_context(validation->arena, "error", dl_value_string(message)), value);
}

void dl_value_suit(const dl_schema *schema, dl_value *value) {
  bool text = value->kind == DL_VALUE_STRING || value->kind == DL_VALUE_BYTES;
  if (schema->kind == DL_KIND_INT64 && value->kind == DL_VALUE_INTEGER) value->flags |= DL_VALUE_WIDE;
  if (schema->kind == DL_KIND_SECRET && text) value->flags |= DL_VALUE_SECRET;
  if (schema->kind == DL_KIND_ARRAY && value->kind == DL_VALUE_OBJECT && value->len == 0) *value = (dl_value){.kind = DL_VALUE_ARRAY};
}

/* What a check or a factory gave becomes the value, as a handler would see it. */
static bool take_result(const dl_schema *schema, int index, dl_value *value, dl_validation *validation, const char *what) {
  const char *error = NULL;
  dl_value taken;
  if (!dl_value_from_lua(validation->L, index, validation->arena, &taken, &error)) return broke(validation, what, error);
  dl_value_suit(schema, &taken);
  *value = taken;
  return true;
}

/* What a check gives that was meant for a verdict or a message, and would stand where the value did. */
static const char *slip_of(const dl_schema *schema, lua_State *L, int given, int result) {
  int was = lua_type(L, given), is = lua_type(L, result), behind = lua_type(L, result + 1);
  if (is == LUA_TNIL && behind != LUA_TNIL && behind != LUA_TSTRING) return "nil and what is no text";
  if (is == LUA_TBOOLEAN && !lua_toboolean(L, result) && behind == LUA_TSTRING) return "false and a text";
  if (schema->kind == DL_KIND_ANY || schema->kind == DL_KIND_JSON || schema->kind == DL_KIND_UNION) return NULL;
  if (was != LUA_TBOOLEAN && was != LUA_TNUMBER && was != LUA_TSTRING && was != LUA_TTABLE) return NULL;
  if (is == LUA_TBOOLEAN && was != LUA_TBOOLEAN) return "a boolean for a value that is none";
  return is == LUA_TSTRING && was != LUA_TSTRING ? "a text for a value that is none" : NULL;
}

static bool slipped(int check, const char *slip, dl_validation *validation, const char *what) {
  lua_State *L = validation->L;
  lua_Debug info;
  lua_rawgeti(L, LUA_REGISTRYINDEX, check);
  lua_getinfo(L, ">S", &info);
  lua_pushfstring(L, "%s:%d: it gave %s; write return nil, \"what is wrong\" to refuse the value, and nothing to keep it", info.short_src,
                  info.linedefined, slip);
  return broke(validation, what, lua_tostring(L, -1));
}

typedef struct check_call {
  const dl_schema *schema;
  const dl_value *value;
} check_call;

/* Gives the value as the check saw it, and the two that the check gave. Protected, since a large value may be more than Lua has memory for. */
static int run_check(lua_State *L) {
  const check_call *call = lua_touserdata(L, 1);
  lua_settop(L, 0);
  dl_schema_push(L, call->schema, call->value);
  lua_rawgeti(L, LUA_REGISTRYINDEX, call->schema->check);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 2);
  return 3;
}

bool dl_call_check(const dl_schema *schema, dl_value *value, dl_validation *validation) {
  static const char what[] = "a model's check failed";
  lua_State *L = validation->L;
  int top = lua_gettop(L);
  if (validation->fault || !lua_checkstack(L, 10)) return broke(validation, what, "no room on the Lua stack");
  check_call call = {schema, value};
  lua_pushcfunction(L, explain_check);
  lua_pushcfunction(L, run_check);
  lua_pushlightuserdata(L, &call);
  int status = lua_pcall(L, 1, 3, top + 1);
  bool ok = status == 0;
  validation->starved |= status == LUA_ERRMEM;
  const char *slip = ok ? slip_of(schema, L, top + 2, top + 3) : NULL;
  if (!ok) broke(validation, what, lua_tostring(L, -1));
  else if (slip) ok = slipped(schema->check, slip, validation, what);
  else if (lua_isnil(L, top + 3)) ok = lua_type(L, top + 4) != LUA_TSTRING || refused_by_check(schema, value, validation);
  /* The value itself came back: a table may have been changed, others cannot be. */
  else if (lua_istable(L, top + 3) || !lua_rawequal(L, top + 2, top + 3)) ok = take_result(schema, top + 3, value, validation, what);
  lua_settop(L, top);
  return ok;
}

bool dl_call_default_factory(const dl_schema *schema, dl_value *value, dl_validation *validation) {
  static const char what[] = "a field's default_factory failed";
  lua_State *L = validation->L;
  int top = lua_gettop(L);
  if (validation->fault || !lua_checkstack(L, 10)) return broke(validation, what, "no room on the Lua stack");
  lua_pushcfunction(L, explain_factory);
  lua_rawgeti(L, LUA_REGISTRYINDEX, schema->default_factory);
  bool ok = lua_pcall(L, 0, 1, top + 1) == 0;
  if (!ok) broke(validation, what, lua_tostring(L, -1));
  else ok = take_result(schema, top + 2, value, validation, what);
  lua_settop(L, top);
  return ok;
}
