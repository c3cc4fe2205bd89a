/* SPDX-License-Identifier: MIT */
/* core.time_seconds(text) → seconds since 1970, or nil and what is wrong;
 * core.time_text(seconds) → text in UTC, or nil outside the years 1 to 9999. */
#include "bridge/bridge.h"

#include "model/convert.h"

#include <lauxlib.h>

static int core_time_seconds(lua_State *L) {
  dl_str text;
  text.ptr = luaL_checklstring(L, 1, &text.len);
  dl_arena arena;
  dl_arena_init(&arena, 0);
  dl_conversion conversion = {.arena = &arena};
  double seconds = 0;
  bool read = dl_datetime_seconds(text, &seconds, &conversion);
  if (read) lua_pushnumber(L, seconds);
  else {
    lua_pushnil(L);
    lua_pushlstring(L, conversion.message.ptr, conversion.message.len);
  }
  dl_arena_free(&arena);
  return read ? 1 : 2;
}

static int core_time_text(lua_State *L) {
  char text[DL_UTC_TEXT];
  if (dl_datetime_write(luaL_checknumber(L, 1), text)) lua_pushlstring(L, text, sizeof text);
  else lua_pushnil(L);
  return 1;
}

void dl_bridge_time(lua_State *L) {
  lua_pushcfunction(L, core_time_seconds);
  lua_setfield(L, -2, "time_seconds");
  lua_pushcfunction(L, core_time_text);
  lua_setfield(L, -2, "time_text");
}
