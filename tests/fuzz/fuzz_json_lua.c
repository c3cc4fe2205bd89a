/* SPDX-License-Identifier: MIT */
/*
 * JSON for handlers' own use, through Lua: core.json_decode takes what the reader of
 * bodies takes, for the same value, and what core.json_encode writes of it is read as
 * that value again. Known differences: json_decode counts 64 levels as the reader
 * does, but jansson has its own opinion of a number that no double holds.
 */
#include "fuzz.h"

#include "bridge/bridge.h"
#include "model/json.h"

#include <lauxlib.h>
#include <lualib.h>

/* Lua's heap is not searched for pointers, so all it holds would count as leaked;
 * the unit tests, which close their lua_State, show leaks. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void); /* a shared sanitizer looks for it */
int __lsan_is_turned_off(void) { return 1; }

static lua_State *L;

static void prepare(void) {
  L = luaL_newstate();
  luaL_openlibs(L);
  lua_newtable(L);
  dl_bridge_json(L);
  lua_setglobal(L, "core");
  lua_getglobal(L, "core");
  lua_getfield(L, -1, "json_decode");
  lua_getfield(L, -2, "json_encode");
  lua_remove(L, 1);
}

/* Members of a table have no order, and a double has one zero in text. */
static void check_written(dl_arena *arena, const dl_value *value) {
  dl_value again;
  dl_json_error error;
  dl_str text;
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  require(lua_pcall(L, 1, 1, 0) == 0, "what was decoded can be encoded");
  text.ptr = lua_tolstring(L, -1, &text.len);
  require(dl_json_read(arena, text, NULL, &again, &error), "what was encoded is JSON");
  require(dl_value_equal(value, &again), "what was encoded is the value that was decoded");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dl_arena arena;
  dl_value value;
  dl_json_error error;
  if (!L) prepare();
  dl_arena_init(&arena, 0);
  dl_str text = dl_str_from((const char *)data, size);
  bool taken = dl_json_read(&arena, text, NULL, &value, &error);
  lua_pushvalue(L, 1);
  lua_pushlstring(L, text.ptr ? text.ptr : "", text.len);
  require(lua_pcall(L, 1, 2, 0) == 0, "decoding raises no error");
  bool decoded = !lua_isnil(L, 3);
  if (!decoded) require(lua_isstring(L, 4), "a refusal says why");
  require(decoded == taken, "what handlers can decode is what bodies may hold");
  if (decoded) check_written(&arena, &value);
  lua_settop(L, 2);
  if (size % 64 == 0) lua_gc(L, LUA_GCCOLLECT, 0);
  dl_arena_free(&arena);
  return 0;
}
