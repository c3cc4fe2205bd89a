/* SPDX-License-Identifier: MIT */
#include "app/limit_store.h"

#include "model/secret_lua.h"

#include <lauxlib.h>

/* --- the table -------------------------------------------------------------------------- */

/* The address on top of the stack, which keeps its bytes: text or a secret. */
static dl_str push_url(lua_State *L, int table, const char *otherwise) {
  dl_str url = {0};
  lua_getfield(L, table, "url");
  if (dl_secret_get(L, -1, &url)) return url;
  if (lua_type(L, -1) == LUA_TSTRING) url.ptr = lua_tolstring(L, -1, &url.len);
  else if (otherwise) url = dl_str_of(otherwise);
  return url;
}

const char *dl_limit_store_check(lua_State *L, int plan_table, const char *otherwise, dl_arena *arena) {
  const char *problem = NULL;
  int top = lua_gettop(L);
  lua_getfield(L, plan_table, "limit_store");
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "source");
    const char *source = lua_tostring(L, -1) ? lua_tostring(L, -1) : "--redis";
    dl_str url = push_url(L, top + 1, otherwise);
    const char *wrong = url.len ? dl_limit_redis_problem(url) : NULL;
    if (wrong) problem = dl_arena_format(arena, "%s: %s", source, wrong);
  }
  lua_settop(L, top);
  return problem;
}

static uint32_t milliseconds(lua_State *L, int table, const char *name) {
  lua_getfield(L, table, name);
  uint32_t ms = (uint32_t)(lua_tonumber(L, -1) * 1000);
  lua_pop(L, 1);
  return ms;
}

/* NULL when the app has no store, or is not to ask it. */
static dl_limit_redis *make(lua_State *L, int table, const char *otherwise, dl_limit_counter *counter) {
  const char *error = NULL;
  dl_limit_redis_options options = {.command_ms = milliseconds(L, table, "timeout")};
  lua_getfield(L, table, "on_store_failure");
  if (lua_isstring(L, -1)) dl_limit_fallback_of(dl_str_of(lua_tostring(L, -1)), &counter->fallback);
  lua_getfield(L, table, "prefix");
  if (lua_isstring(L, -1)) options.prefix = dl_str_of(lua_tostring(L, -1));
  lua_getfield(L, table, "idle");
  if (lua_toboolean(L, -1)) return NULL;
  dl_str url = push_url(L, table, otherwise);
  return url.len ? dl_limit_redis_new(dl_bridge_loop(L), dl_bridge_crypto_of(L), url, &options, &error) : NULL;
}

/* --- life ------------------------------------------------------------------------------- */

void dl_limit_store_open(lua_State *L, const char *otherwise, void (*settled)(void *owner), void *owner) {
  dl_limit_counter *counter = dl_bridge_limits(L);
  int top = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, "demilune.plan");
  lua_getfield(L, -1, "limit_store");
  if (lua_istable(L, -1)) counter->redis = make(L, lua_gettop(L), otherwise, counter);
  lua_settop(L, top);
  if (counter->redis) dl_limit_redis_start(counter->redis, settled, owner);
  else settled(owner);
}

bool dl_limit_store_where(lua_State *L, const char *otherwise, uint16_t *port) {
  int top = lua_gettop(L);
  bool has = false;
  lua_getfield(L, LUA_REGISTRYINDEX, "demilune.plan");
  lua_getfield(L, -1, "limit_store");
  if (lua_istable(L, -1)) {
    dl_str url = push_url(L, lua_gettop(L), otherwise);
    has = url.len && dl_limit_redis_where(url, port);
  }
  lua_settop(L, top);
  return has;
}

void dl_limit_store_close(dl_limit_counter *counter) {
  if (counter->redis) dl_limit_redis_close(counter->redis, NULL, NULL);
  counter->redis = NULL;
}
