/* SPDX-License-Identifier: MIT */
/*
 * Makes a lua_State with the core table and our modules from the binary.
 * Every coroutine inherits the pointer back to its dl_lua (exdata, an addition of
 * OpenResty's LuaJIT), so that no lookup is needed to get from Lua to the loop.
 */
#include "bridge/state.h"

#include "base/memory.h"
#include "bridge/string_hash.h"
#include "crypto/random.h"

#include <lauxlib.h>
#include <luajit.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

static int core_table(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  return 1;
}

static bool is_trace(lua_State *L, uint32_t number) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushinteger(L, (lua_Integer)number);
  lua_pushinteger(L, 0);
  lua_call(L, 2, 1);
  bool is = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return is;
}

/* LuaJIT numbers its traces from 1 on without gaps, until it flushes all. It would tell of
 * each as well, but has no room to tell where a stack is all but full, and then tries again
 * for ever (trace_state of its lj_trace.c): a worker would be stuck. */
static int count_traces(lua_State *L) {
  dl_lua *lua = dl_lua_of(L);
  if (!is_trace(L, lua->trace_count)) lua->trace_count = 0;
  while (is_trace(L, lua->trace_count + 1)) lua->trace_count++;
  return 0;
}

static void prepare_trace_count(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "jit.util");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "traceir"); /* allocates nothing */
  lua_pushcclosure(L, count_traces, 1);
  dl_lua_of(L)->trace_count_reference = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pop(L, 1);
}

/* Whether the app wants its Lua compiled is kept apart from whether it is compiled now: an app that says jit.off() while it loads means for ever.
 * A tail call, so that jit.off(true) still means its caller. */
static const char compiler_source[] = "local jit, want = ...\n"
                                      "local function told(change, on)\n"
                                      "  return function(what, ...)\n"
                                      "    if what == nil then want(on) end\n"
                                      "    return change(what, ...)\n"
                                      "  end\n"
                                      "end\n"
                                      "jit.on, jit.off = told(jit.on, true), told(jit.off, false)\n";

static int want_compiler(lua_State *L) {
  dl_lua_of(L)->compiles = lua_toboolean(L, 1);
  return 0;
}

static void watch_compiler(lua_State *L) {
  dl_lua_of(L)->compiles = true;
  if (luaL_loadbuffer(L, compiler_source, sizeof compiler_source - 1, "=[demilune]/compiler") != 0) lua_error(L);
  lua_getglobal(L, "jit");
  lua_pushcfunction(L, want_compiler);
  lua_call(L, 2, 0);
}

void dl_lua_pause_compiler(dl_lua *lua) { luaJIT_setmode(lua->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF); }

void dl_lua_resume_compiler(dl_lua *lua) {
  if (lua->compiles) luaJIT_setmode(lua->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_ON);
}

/* LuaJIT's math.random begins with the same numbers in every process. Some app will
 * make something with it that nobody ought to foresee. */
static void seed_math_random(lua_State *L) {
  uint64_t seed;
  dl_random_bytes(&seed, sizeof seed);
  lua_getglobal(L, "math");
  lua_getfield(L, -1, "randomseed");
  lua_pushnumber(L, (double)(seed >> 11)); /* what a number holds exactly */
  lua_call(L, 1, 0);
  lua_pop(L, 1);
}

static int collect(lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT, 0);
  return 0;
}

static int prepare(lua_State *L) {
  luaL_openlibs(L);
  seed_math_random(L);
  prepare_trace_count(L);
  watch_compiler(L);
  dl_task_prepare(L);
  lua_pushcfunction(L, collect);
  dl_lua_of(L)->collect_reference = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_createtable(L, 0, 32);
  dl_bridge_model(L);
  dl_bridge_json(L);
  dl_bridge_secret(L);
  dl_bridge_database(L);
  dl_bridge_task(L);
  dl_bridge_log(L);
  dl_bridge_request(L);
  dl_bridge_embedded(L);
  dl_bridge_files(L);
  dl_bridge_guard(L);
  dl_bridge_crypto(L);
  dl_bridge_limit(L);
  dl_bridge_idempotency(L);
  dl_bridge_time(L);
  lua_pushcclosure(L, core_table, 1);
  lua_setfield(L, -2, "demilune.core");
  dl_lua_modules_preload(L);
  return 0;
}

/* An error outside of every protected call: memory for a few words that we put on a stack.
 * Whatever handlers held was collected, so the app keeps too much, and only a new process helps. */
static _Noreturn int on_panic(lua_State *L) {
  const char *message = lua_tostring(L, -1);
  fprintf(stderr, "demilune: out of memory: Lua cannot go on (%s); give the process more, or let the app keep less\n",
          message ? message : "no message");
  abort();
}

static void call_prepared(dl_lua *lua, int reference) {
  lua_rawgeti(lua->L, LUA_REGISTRYINDEX, reference);
  if (lua_pcall(lua->L, 0, 0, 0) != 0) lua_pop(lua->L, 1);
}

/* Made beforehand: where it is wanted nothing can be made. Finalizers of the app's may raise. */
void dl_lua_collect(dl_lua *lua) { call_prepared(lua, lua->collect_reference); }

dl_lua *dl_lua_new(dl_loop *loop) {
  dl_lua *lua = dl_calloc(1, sizeof *lua);
  lua->loop = loop;
  dl_turns_init(&lua->turns, loop);
  dl_arena_init(&lua->arena, 16384);
  lua->crypto = dl_crypto_new();
  lua->passwords = dl_password_pool_new(loop->uv);
  lua->L = dl_keyed_state_new(&lua->string_key);
  if (!lua->L) dl_memory_exhausted(0);
  lua_setexdata(lua->L, lua);
  lua_atpanic(lua->L, on_panic);
  lua_pushcfunction(lua->L, prepare);
  int status = lua_pcall(lua->L, 0, 0, 0);
  if (status == LUA_ERRMEM) on_panic(lua->L);
  if (status != 0) {
    dl_log_text(&loop->log, DL_LOG_ERROR, "the Lua layer in this binary does not load: %s", lua_tostring(lua->L, -1));
    dl_log_flush(&loop->log);
    abort();
  }
  return lua;
}

void dl_lua_set_loaded(dl_lua *lua) { lua->loaded = true; }

void dl_lua_use_files(dl_lua *lua, dl_file_set *files) { lua->files = files; }

void dl_lua_use_opened(dl_lua *lua, const dl_opened *opened, uint64_t generation) {
  lua->opened = opened;
  lua->generation = generation;
}

lua_State *dl_lua_state(const dl_lua *lua) { return lua->L; }

dl_str dl_lua_text(lua_State *L, int index) {
  dl_str text;
  text.ptr = lua_tolstring(L, index, &text.len);
  return text;
}

dl_limit_counter *dl_lua_limits(dl_lua *lua) { return &lua->limits; }

dl_lua_stats dl_lua_read_stats(dl_lua *lua) {
  uint64_t bytes = lua->L ? (uint64_t)lua_gc(lua->L, LUA_GCCOUNT, 0) * 1024 + (uint64_t)lua_gc(lua->L, LUA_GCCOUNTB, 0) : 0;
  if (lua->L) call_prepared(lua, lua->trace_count_reference);
  return (dl_lua_stats){bytes, lua->task_count, lua->idle_task_count, lua->trace_count};
}

void dl_lua_end(dl_lua *lua) {
  if (!lua->L) return;
  dl_task_end_all(lua);
  dl_password_pool_free(lua->passwords);
  dl_keyed_state_close(lua->L, lua->string_key);
  lua->L = NULL;
}

static void free_all(dl_lua *lua) {
  dl_task_free_all(lua);
  dl_crypto_free(lua->crypto);
  dl_arena_free(&lua->arena);
  dl_free(lua);
}

void dl_lua_free(dl_lua *lua) {
  if (!lua) return;
  dl_lua_end(lua);
  lua->orphan = true;
  if (lua->held == 0) free_all(lua);
}

void dl_lua_hold(dl_lua *lua) { lua->held++; }

void dl_lua_let_go(void *owner) {
  dl_lua *lua = owner;
  if (--lua->held == 0 && lua->orphan) free_all(lua);
}

dl_loop *dl_bridge_loop(lua_State *L) { return dl_lua_of(L)->loop; }
dl_arena *dl_bridge_arena(lua_State *L) { return &dl_lua_of(L)->arena; }
const dl_crypto *dl_bridge_crypto_of(lua_State *L) { return dl_lua_of(L)->crypto; }
dl_password_pool *dl_bridge_passwords(lua_State *L) { return dl_lua_of(L)->passwords; }
dl_limit_counter *dl_bridge_limits(lua_State *L) { return &dl_lua_of(L)->limits; }
