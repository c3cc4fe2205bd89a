/* SPDX-License-Identifier: MIT */
/*
 * core.secret and core.secret_reveal. The second one is for our own Lua modules
 * only: the sandbox gives apps no way to demilune.core.
 */
#include "bridge/bridge.h"

#include "model/secret_lua.h"

#include <lauxlib.h>

/* secret(string) → secret */
static int bridge_secret(lua_State *L) {
  dl_str bytes;
  if (lua_type(L, 1) != LUA_TSTRING) return luaL_argerror(L, 1, "expected the secret's bytes as a string");
  bytes.ptr = lua_tolstring(L, 1, &bytes.len);
  dl_secret_push(L, bytes);
  return 1;
}

/* secret_reveal(secret) → string */
static int bridge_secret_reveal(lua_State *L) {
  dl_str bytes;
  if (!dl_secret_get(L, 1, &bytes)) return luaL_argerror(L, 1, "expected a secret");
  lua_pushlstring(L, bytes.ptr, bytes.len);
  return 1;
}

static const luaL_Reg functions[] = {{"secret", bridge_secret}, {"secret_reveal", bridge_secret_reveal}, {NULL, NULL}};

void dl_bridge_secret(lua_State *L) { luaL_register(L, NULL, functions); }
