/* SPDX-License-Identifier: MIT */
#include "app/generation.h"

#include "app/limit_store.h"
#include "base/file_set.h"
#include "base/memory.h"

#include <assert.h>
#include <lauxlib.h>

enum { LOAD_SECONDS = 10 }; /* while an app is written */

/* --- loading --------------------------------------------------------------------- */

/* (source) -> the plan table of require("demilune.boot").load */
static int load_plan(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "demilune.boot");
  lua_call(L, 1, 1);
  const dl_generation_source *source = lua_touserdata(L, 1);
  lua_getfield(L, -1, "load");
  lua_createtable(L, 0, 4);
  lua_pushstring(L, source->folder);
  lua_setfield(L, -2, "folder");
  lua_pushstring(L, source->mode);
  lua_setfield(L, -2, "mode");
  lua_pushstring(L, source->seed);
  lua_setfield(L, -2, "seed");
  lua_pushinteger(L, source->workers ? (lua_Integer)source->workers : 1);
  lua_setfield(L, -2, "workers");
  lua_call(L, 1, 1);
  const char *error = NULL;
  const dl_plan *plan = dl_plan_compile(L, dl_bridge_arena(L), &error);
  if (plan) error = dl_limit_store_check(L, lua_gettop(L), source->redis_url, dl_bridge_arena(L));
  if (error) return luaL_error(L, "%s", error);
  lua_setfield(L, LUA_REGISTRYINDEX, "demilune.plan");
  lua_pushlightuserdata(L, (void *)(uintptr_t)plan);
  return 1;
}

/* Errors of ours are sentences with their place. What abort raises is told by its detail. */
static int describe_error(lua_State *L) {
  if (dl_request_is_abort(L, 1)) {
    lua_getfield(L, 1, "detail");
    lua_replace(L, 1);
  }
  bool is_text = lua_isstring(L, 1) || luaL_getmetafield(L, 1, "__tostring");
  lua_settop(L, 1);
  dl_bridge_take_error(L, L);
  if (!is_text) lua_pushfstring(L, "the app raised %s; raise a sentence instead: error(\"what is wrong\")", lua_tostring(L, -1));
  return 1;
}

dl_generation *dl_generation_load(dl_loop *loop, const dl_generation_source *source, char **error) {
  dl_generation *generation = dl_calloc(1, sizeof *generation);
  if (source->files_fd >= 0) generation->files = dl_file_set_open(source->files_fd);
  generation->lua = dl_lua_new(loop);
  generation->number = source->number;
  dl_lua_use_files(generation->lua, generation->files);
  dl_lua_use_opened(generation->lua, source->opened, source->number);
  lua_State *L = dl_lua_state(generation->lua);
  lua_pushcfunction(L, describe_error);
  lua_pushcfunction(L, load_plan);
  lua_pushlightuserdata(L, (void *)(uintptr_t)source);
  dl_lua_pause_compiler(generation->lua);
  /* In service a master ends a load that does not come back, and a large app on a busy machine gets all the time that gives. */
  if (strcmp(source->mode, "serve") != 0) dl_lua_set_load_deadline(generation->lua, LOAD_SECONDS);
  int status = lua_pcall(L, 1, 1, -3);
  dl_lua_clear_load_deadline(generation->lua);
  dl_lua_resume_compiler(generation->lua);
  if (status != 0) {
    *error = dl_strdup(lua_tostring(L, -1) ? lua_tostring(L, -1) : "the app does not load");
    dl_generation_free(generation);
    return NULL;
  }
  generation->plan = lua_touserdata(L, -1);
  if (strcmp(source->mode, "test") != 0) dl_lua_set_loaded(generation->lua); /* specs declare what they like */
  if (source->redis_url) generation->redis_url = dl_strdup(source->redis_url);
  lua_settop(L, 0);
  return generation;
}

/* Tasks first: what they ask the store is taken back. */
void dl_generation_end(dl_generation *generation) {
  if (!generation) return;
  dl_lua_end(generation->lua);
  dl_limit_store_close(dl_lua_limits(generation->lua));
  dl_free(generation->waiting);
  generation->waiting = NULL;
}

void dl_generation_free(dl_generation *generation) {
  if (!generation) return;
  dl_generation_end(generation);
  dl_lua_free(generation->lua);
  dl_free(generation->redis_url);
  dl_file_set_free(generation->files);
  dl_free(generation);
}

/* --- start and stop ---------------------------------------------------------------- */

typedef struct waiting {
  dl_generation_done done;
  void *owner;
} waiting;

/* Held by the generation: one that is dropped while its functions wait frees it. */
static void hold(dl_generation *generation, dl_generation_done done, void *owner) {
  assert(!generation->waiting);
  waiting *self = dl_malloc(sizeof *self);
  *self = (waiting){done, owner};
  generation->waiting = self;
}

static void tell_nobody(void *owner, const char *error) { (void)owner, (void)error; }

void dl_generation_disown(dl_generation *generation) {
  waiting *self = generation->waiting;
  if (self) self->done = tell_nobody;
}

static void tell(dl_generation *generation, const char *error) {
  waiting self = *(waiting *)generation->waiting;
  dl_free(generation->waiting);
  generation->waiting = NULL;
  self.done(self.owner, error);
}

/* The error on top of the task, described in the main state, where the app's own
 * __tostring may fail. */
static char *describe_failure(lua_State *L, lua_State *co) {
  int top = lua_gettop(L);
  lua_pushcfunction(L, describe_error);
  lua_xmove(co, L, 1);
  bool told = lua_pcall(L, 1, 1, 0) == 0;
  char *error = dl_strdup(told ? lua_tostring(L, -1) : "the app raised something that cannot be shown");
  lua_settop(L, top);
  return error;
}

static void on_lifecycle_done(dl_task *task, int status, void *owner) {
  dl_generation *generation = owner;
  char *error = status != 0 ? describe_failure(dl_lua_state(generation->lua), dl_task_state(task)) : NULL;
  dl_task_release(task);
  tell(generation, error);
  dl_free(error);
}

static void run(dl_generation *generation, int reference) {
  if (reference == LUA_NOREF) {
    tell(generation, NULL);
    return;
  }
  dl_task *task = dl_task_new(dl_lua_state(generation->lua), on_lifecycle_done, generation);
  lua_rawgeti(dl_task_state(task), LUA_REGISTRYINDEX, reference);
  dl_task_run(task, 0);
}

/* With the store, or with what the app chose for the time without. */
static void on_store_settled(void *owner) {
  dl_generation *generation = owner;
  run(generation, generation->plan->start_reference);
}

void dl_generation_start(dl_generation *generation, dl_generation_done done, void *owner) {
  hold(generation, done, owner);
  dl_limit_store_open(dl_lua_state(generation->lua), generation->redis_url, on_store_settled, generation);
}

void dl_generation_stop(dl_generation *generation, dl_generation_done done, void *owner) {
  hold(generation, done, owner);
  run(generation, generation->plan->stop_reference);
}
