/* SPDX-License-Identifier: MIT */
/*
 * demilune check, routes, openapi: the app is loaded as for serving, but nothing is
 * opened, except for databases in memory; lua/demilune/commands.lua prints what the plan says.
 */
#include "app/generation.h"
#include "base/file_set.h"
#include "base/hash.h"
#include "base/memory.h"
#include "cli/cli.h"

#include <lauxlib.h>
#include <stdio.h>
#include <unistd.h>

/* commands.run(name, plan, { json = ... }) -> text, exit status */
static int call_command(lua_State *L, const char *name, bool json) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "demilune.commands");
  if (lua_pcall(L, 1, 1, 0) != 0) return 1;
  lua_getfield(L, -1, "run");
  lua_pushstring(L, name);
  lua_getfield(L, LUA_REGISTRYINDEX, "demilune.plan");
  lua_createtable(L, 0, 1);
  lua_pushboolean(L, json);
  lua_setfield(L, -2, "json");
  return lua_pcall(L, 3, 2, 0);
}

static int print_command(dl_generation *generation, const char *name, bool json) {
  lua_State *L = dl_lua_state(generation->lua);
  if (call_command(L, name, json) != 0) {
    fprintf(stderr, "demilune: %s\n", lua_tostring(L, -1));
    return 1;
  }
  size_t len;
  const char *text = lua_tolstring(L, -2, &len);
  fwrite(text, 1, len, stdout);
  return (int)lua_tointeger(L, -1);
}

static int inspect(const char *name, unsigned taken, int count, char **arguments) {
  dl_flags flags = {.taken = taken};
  if (!dl_flags_read(&flags, name, count, arguments)) return 2;
  dl_loop loop = {.uv = uv_default_loop()};
  char *error = NULL;
  dl_hash_seed();
  dl_clock_update(&loop.clock);
  dl_log_init(&loop.log, STDERR_FILENO, DL_LOG_TEXT, DL_LOG_WARNING, &loop.clock);
  char message[256];
  dl_generation_source source = {.folder = flags.options.folder, .mode = "check", .redis_url = flags.options.redis_url};
  source.files_fd = dl_file_set_collect(source.folder, message); /* as serve does, so that what it would not find is missed here */
  dl_generation *generation = source.files_fd >= 0 ? dl_generation_load(&loop, &source, &error) : NULL;
  int status = 1;
  if (generation) status = print_command(generation, name, flags.json);
  else fprintf(stderr, "demilune: %s\n", error ? error : message);
  if (source.files_fd >= 0) close(source.files_fd);
  dl_free(error);
  dl_generation_free(generation);
  dl_log_flush(&loop.log);
  dl_log_free(&loop.log);
  uv_loop_close(loop.uv);
  return status;
}

int dl_command_check(int count, char **arguments) { return inspect("check", DL_FLAGS_LISTING, count, arguments); }
int dl_command_routes(int count, char **arguments) { return inspect("routes", DL_FLAGS_LISTING, count, arguments); }
int dl_command_openapi(int count, char **arguments) { return inspect("openapi", DL_FLAGS_OPENAPI, count, arguments); }
