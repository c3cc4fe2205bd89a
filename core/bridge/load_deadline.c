/* SPDX-License-Identifier: MIT */
/*
 * A deadline for loading, where nobody watches the process: Lua is asked for the time
 * now and then, and past the deadline an error is raised at the app's line. Works on
 * interpreted code alone, and while an app loads there is no other.
 */
#include "bridge/state.h"

#include <string.h>

enum { INSTRUCTIONS = 100000 /* between looks at the clock: about a millisecond */ };

/* Left to itself, our own code comes back to the app's. */
static bool is_ours(const lua_Debug *place) {
  static const char own[] = "[demilune]";
  return strncmp(place->short_src, own, sizeof own - 1) == 0;
}

static void on_count(lua_State *L, lua_Debug *place) {
  const dl_lua *lua = dl_lua_of(L);
  if (uv_hrtime() < lua->load_deadline_ns) return;
  lua_sethook(L, on_count, LUA_MASKCOUNT, 1); /* an app that catches the error gets the next one at once */
  lua_getinfo(L, "Sl", place);
  if (is_ours(place)) return;
  lua_pushfstring(L,
                  "%s:%d: loading the app took too long: it was still here after %d seconds; end the loop, or move what takes its time to "
                  "app:on_start or a handler",
                  place->short_src, place->currentline, (int)lua->load_seconds);
  lua_error(L);
}

void dl_lua_set_load_deadline(dl_lua *lua, unsigned seconds) {
  lua->load_seconds = seconds;
  lua->load_deadline_ns = uv_hrtime() + seconds * 1000000000ull;
  lua_sethook(lua->L, on_count, LUA_MASKCOUNT, INSTRUCTIONS);
}

void dl_lua_clear_load_deadline(dl_lua *lua) { lua_sethook(lua->L, NULL, 0, 0); }
