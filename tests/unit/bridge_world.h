/* SPDX-License-Identifier: MIT */
/* A lua_State with our modules, and Lua to run in it, for each test anew. */
#ifndef DL_TESTS_BRIDGE_WORLD_H
#define DL_TESTS_BRIDGE_WORLD_H

#include "unit.h"

#include "bridge/bridge.h"

#include <lauxlib.h>

#include <stdlib.h>

typedef struct bridge_world {
  dl_loop loop;
  dl_lua *lua;
} bridge_world;

static int open_world(void **state) {
  bridge_world *world = calloc(1, sizeof(*world));
  world->loop.uv = uv_default_loop();
  dl_clock_update(&world->loop.clock);
  dl_log_init(&world->loop.log, 2, DL_LOG_TEXT, DL_LOG_WARNING, &world->loop.clock);
  world->lua = dl_lua_new(&world->loop);
  *state = world;
  return 0;
}

static int close_world(void **state) {
  bridge_world *world = *state;
  dl_lua_free(world->lua);
  dl_log_free(&world->loop.log);
  free(world);
  return 0;
}

static void run(bridge_world *world, const char *chunk) {
  lua_State *L = dl_lua_state(world->lua);
  int top = lua_gettop(L);
  if (luaL_dostring(L, chunk)) fail_msg("%s", lua_tostring(L, -1));
  lua_settop(L, top);
}

#endif
