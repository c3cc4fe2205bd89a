/* SPDX-License-Identifier: MIT */
/*
 * core.schema_compile and the schema userdata it gives, and core.has_loaded. Our own Lua modules use
 * it at load; at run time only model:validate comes through here, since requests
 * are checked before Lua.
 */
#include "bridge/state.h"

#include "model/schema.h"

#include <lauxlib.h>

#define SCHEMA_METATABLE "demilune.schema"

/* schema_compile(description) → schema, or raises what is wrong with the description */
static int bridge_schema_compile(lua_State *L) {
  const char *error = NULL;
  luaL_checktype(L, 1, LUA_TTABLE);
  dl_schema *schema = dl_schema_compile(L, 1, dl_bridge_arena(L), &error);
  if (!schema) {
    lua_pushstring(L, error);
    return lua_error(L);
  }
  *(dl_schema **)lua_newuserdata(L, sizeof(schema)) = schema;
  luaL_getmetatable(L, SCHEMA_METATABLE);
  lua_setmetatable(L, -2);
  return 1;
}

const dl_schema *dl_bridge_schema_check(lua_State *L, int index) { return *(dl_schema **)luaL_checkudata(L, index, SCHEMA_METATABLE); }

static dl_mode mode_option(lua_State *L, int index) {
  static const char *const names[] = {[DL_MODE_STRICT] = "strict", [DL_MODE_LAX] = "lax", [DL_MODE_TEXT] = "text", NULL};
  lua_getfield(L, index, "mode");
  int mode = luaL_checkoption(L, -1, "strict", names);
  lua_pop(L, 1);
  return (dl_mode)mode;
}

static void read_options(lua_State *L, int index, dl_validation *validation) {
  luaL_checktype(L, index, LUA_TTABLE);
  validation->mode = mode_option(L, index);
  lua_getfield(L, index, "source");
  validation->source = luaL_optstring(L, -1, "value");
  lua_getfield(L, index, "output");
  validation->output = lua_toboolean(L, -1);
  lua_settop(L, index + 1); /* the source's string stays */
}

typedef struct validate_call {
  const dl_schema *schema;
  dl_validation validation;
  dl_arena arena;
  dl_value value;
  bool ok;
} validate_call;

/* Runs protected, so that the arena is freed even when Lua has no memory left. */
static int validate_protected(lua_State *L) {
  validate_call *call = lua_touserdata(L, 2);
  const char *error = NULL;
  if (!dl_value_from_lua(L, 1, &call->arena, &call->value, &error)) return luaL_error(L, "the value cannot be checked: %s", error);
  call->validation.L = L;
  call->ok = dl_schema_validate(call->schema, &call->value, &call->validation);
  if (call->validation.starved && !call->ok) return luaL_error(L, "not enough memory");
  if (call->validation.fault) return luaL_error(L, "%s", call->validation.fault);
  if (call->ok) {
    dl_schema_push(L, call->schema, &call->value);
    return 1;
  }
  lua_pushnil(L);
  dl_value detail = dl_validation_detail(&call->validation);
  dl_value_push(L, &detail);
  return 2;
}

/* schema:validate(value [, {mode = "strict"|"lax"|"text", source = "body", output = false}]) → value | nil, errors */
static int schema_validate(lua_State *L) {
  validate_call call = {.schema = dl_bridge_schema_check(L, 1)};
  luaL_checkany(L, 2);
  call.validation = (dl_validation){.arena = &call.arena, .source = "value", .log = &dl_bridge_loop(L)->log};
  if (!lua_isnoneornil(L, 3)) read_options(L, 3, &call.validation);
  dl_arena_init(&call.arena, 0);
  int top = lua_gettop(L);
  lua_pushcfunction(L, validate_protected);
  lua_pushvalue(L, 2);
  lua_pushlightuserdata(L, &call);
  int failed = lua_pcall(L, 2, LUA_MULTRET, 0);
  dl_arena_free(&call.arena);
  return failed ? lua_error(L) : lua_gettop(L) - top;
}

/* has_loaded() → whether what calls it may do so again and again: not while the app loads, and not in a spec */
static int has_loaded(lua_State *L) {
  const dl_lua *lua = dl_lua_of(L);
  lua_pushboolean(L, lua->loaded || lua->running);
  return 1;
}

static const luaL_Reg methods[] = {{"validate", schema_validate}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"schema_compile", bridge_schema_compile}, {"has_loaded", has_loaded}, {NULL, NULL}};

void dl_bridge_model(lua_State *L) {
  luaL_newmetatable(L, SCHEMA_METATABLE);
  lua_createtable(L, 0, 1);
  luaL_register(L, NULL, methods);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, SCHEMA_METATABLE);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
  luaL_register(L, NULL, functions);
}
