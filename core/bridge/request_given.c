/* SPDX-License-Identifier: MIT */
/* What a handler gives: one value goes out, and what stands behind it would be lost. */
#include "bridge/request.h"

const char *dl_request_slip_of(lua_State *L, int first) {
  if (lua_isnoneornil(L, first + 1)) return NULL;
  if (lua_isnil(L, first))
    return "the handler gave nil and something behind it, which nobody is told; write demilune.abort(404, \"what is wrong\"), or return one value";
  if (lua_istable(L, first) && lua_type(L, first + 1) == LUA_TNUMBER)
    return "the handler gave a table and a number behind it, which has no effect; write demilune.response { status = 201, body = value }";
  return NULL;
}

int dl_request_single(lua_State *L) {
  lua_settop(L, 2);
  const char *slip = dl_request_slip_of(L, 1);
  if (slip) return lua_pushstring(L, slip), lua_error(L);
  return lua_settop(L, 1), 1;
}
