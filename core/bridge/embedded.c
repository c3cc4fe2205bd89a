/* SPDX-License-Identifier: MIT */
/* core.embedded_docs: the docs page's files as they lie in the binary, by name. */
#include "base/embedded.h"
#include "bridge/bridge.h"

#include <lauxlib.h>

extern const dl_embedded dl_docs_files[];

static int core_embedded_docs(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  for (const dl_embedded *file = dl_docs_files; file->name; file++) {
    if (strcmp(file->name, name) != 0) continue;
    dl_str bytes = dl_embedded_bytes(file);
    lua_pushlstring(L, bytes.ptr, bytes.len);
    return 1;
  }
  return 0;
}

void dl_bridge_embedded(lua_State *L) {
  lua_pushcfunction(L, core_embedded_docs);
  lua_setfield(L, -2, "embedded_docs");
}
