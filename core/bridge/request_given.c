/* SPDX-License-Identifier: MIT */
/* What a handler gives: one value goes out, and what stands behind it would be lost; what of a response goes by its route's model. */
#include "bridge/request.h"

#include "http/text.h"

static const char prepared_key = 'p'; /* in a response; a key that no app can make */

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

dl_str dl_request_content_type(lua_State *L, int headers) {
  dl_str type = {0};
  if (!lua_istable(L, headers)) return type;
  for (lua_pushnil(L); lua_next(L, headers); lua_pop(L, 1)) {
    size_t len = 0;
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &len) : NULL;
    if (!name || !dl_str_equal_nocase(dl_str_from(name, len), DL_STR("content-type"))) continue;
    type = lua_type(L, -1) == LUA_TSTRING ? dl_str_from(lua_tostring(L, -1), lua_objlen(L, -1)) : DL_STR("");
  }
  return type;
}

bool dl_request_is_by_model(const dl_schema *model, dl_str content_type, dl_arena *arena) {
  dl_str type, charset;
  return model && (!content_type.len || (dl_http_media_type(content_type, arena, &type, &charset) && dl_http_is_json(type)));
}

void dl_request_mark_prepared(lua_State *L, int response) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&prepared_key);
  lua_pushboolean(L, 1);
  lua_rawset(L, response);
}

bool dl_request_is_prepared(lua_State *L, int response) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&prepared_key);
  lua_rawget(L, response);
  bool prepared = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return prepared;
}
