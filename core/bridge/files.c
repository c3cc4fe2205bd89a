/* SPDX-License-Identifier: MIT */
/* core.app_file(path) → the bytes of a file of the app's or nil, and whether all files
 * were read at one moment, so that one that is not among them is none. */
#include "base/file_set.h"
#include "bridge/state.h"

#include <lauxlib.h>

static int core_app_file(lua_State *L) {
  size_t length;
  const char *path = luaL_checklstring(L, 1, &length);
  const dl_file_set *files = dl_lua_of(L)->files;
  dl_str bytes = files ? dl_file_set_get(files, dl_str_from(path, length)) : (dl_str){0};
  if (bytes.ptr) lua_pushlstring(L, bytes.ptr, bytes.len);
  else lua_pushnil(L);
  lua_pushboolean(L, files != NULL);
  return 2;
}

void dl_bridge_files(lua_State *L) {
  lua_pushcfunction(L, core_app_file);
  lua_setfield(L, -2, "app_file");
}
