/* SPDX-License-Identifier: MIT */
#include "app/generation.h"

#include "base/memory.h"

#include <lauxlib.h>

/* --- loading --------------------------------------------------------------------- */

/* (folder, mode) -> the plan table of require("demilune.boot").load */
static int load_plan(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "demilune.boot");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "load");
  lua_createtable(L, 0, 2);
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "folder");
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "mode");
  lua_call(L, 1, 1);
  const char *error = NULL;
  const dl_plan *plan = dl_plan_compile(L, dl_bridge_arena(L), &error);
  if (!plan) return luaL_error(L, "%s", error);
  lua_setfield(L, LUA_REGISTRYINDEX, "demilune.plan");
  lua_pushlightuserdata(L, (void *)(uintptr_t)plan);
  return 1;
}

/* Errors of ours are sentences with their place; others get the traceback too. */
static int describe_error(lua_State *L) {
  const char *message = lua_tostring(L, 1);
  if (!message) message = luaL_callmeta(L, 1, "__tostring") ? lua_tostring(L, -1) : "app.lua raised something that is not a string";
  lua_pushstring(L, message);
  return 1;
}

dl_generation *dl_generation_load(dl_loop *loop, const char *folder, const char *mode, char **error) {
  dl_generation *generation = dl_calloc(1, sizeof *generation);
  generation->lua = dl_lua_new(loop);
  lua_State *L = dl_lua_state(generation->lua);
  lua_pushcfunction(L, describe_error);
  lua_pushcfunction(L, load_plan);
  lua_pushstring(L, folder);
  lua_pushstring(L, mode);
  if (lua_pcall(L, 2, 1, -4) != 0) {
    *error = dl_strdup(lua_tostring(L, -1) ? lua_tostring(L, -1) : "the app does not load");
    dl_generation_free(generation);
    return NULL;
  }
  generation->plan = lua_touserdata(L, -1);
  lua_settop(L, 0);
  return generation;
}

void dl_generation_free(dl_generation *generation) {
  if (!generation) return;
  dl_lua_free(generation->lua);
  dl_free(generation);
}

/* --- start and stop ---------------------------------------------------------------- */

typedef struct lifecycle {
  dl_generation_done done;
  void *owner;
} lifecycle;

static void on_lifecycle_done(dl_task *task, int status, void *owner) {
  lifecycle self = *(lifecycle *)owner;
  dl_free(owner);
  char *error = NULL;
  lua_State *co = dl_task_state(task);
  if (status != 0) {
    const char *message = lua_tostring(co, -1);
    if (!message && luaL_callmeta(co, -1, "__tostring")) message = lua_tostring(co, -1);
    error = dl_strdup(message ? message : "a start function raised something that is not a string");
  }
  dl_task_release(task);
  self.done(self.owner, error);
  dl_free(error);
}

static void run(dl_generation *generation, int reference, dl_generation_done done, void *owner) {
  if (reference == LUA_NOREF) {
    done(owner, NULL);
    return;
  }
  lifecycle *self = dl_malloc(sizeof *self);
  *self = (lifecycle){done, owner};
  dl_task *task = dl_task_new(dl_lua_state(generation->lua), on_lifecycle_done, self);
  lua_rawgeti(dl_task_state(task), LUA_REGISTRYINDEX, reference);
  dl_task_run(task, 0);
}

void dl_generation_start(dl_generation *generation, dl_generation_done done, void *owner) { run(generation, generation->plan->start_reference, done, owner); }
void dl_generation_stop(dl_generation *generation, dl_generation_done done, void *owner) { run(generation, generation->plan->stop_reference, done, owner); }
