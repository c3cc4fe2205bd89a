/* SPDX-License-Identifier: MIT */
/* req:precondition: whether a client that changes something knows what it changes (RFC 9110 13.1.1, 13.1.2). */
#include "bridge/request.h"

#include "http/conditional.h"

#include <lauxlib.h>

static dl_str etag_at(lua_State *L, int index) {
  dl_str etag = {0};
  if (lua_isnil(L, index)) return etag; /* there is no version yet */
  etag.ptr = luaL_checklstring(L, index, &etag.len);
  if (!dl_http_etag_valid(etag))
    luaL_argerror(L, index, "an ETag is a text in double quotes, without blanks in it, or nil where there is nothing yet; write '\"v1\"'");
  return etag;
}

int dl_request_precondition(lua_State *L) {
  const dl_request_view *view = dl_request_view_of(L);
  lua_settop(L, 2);
  if (dl_http_precondition_holds(view->http, etag_at(L, 2), view->arena)) return 0;
  lua_pushliteral(L, "What you want to change is another version than the one that you have");
  return dl_request_abort(L, 412);
}
