/* SPDX-License-Identifier: MIT */
/*
 * demilune test APP: the server and the specs in one process. The app is loaded
 * with a data folder of its own that is removed afterwards; busted runs inside the
 * same lua_State, so that a spec can reach what the app's files export.
 */
#include "base/memory.h"
#include "bridge/test_client.h"
#include "bridge/test_watch.h"
#include "cli/cli.h"
#include "server/server.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* busted ends the process by os.exit; here that unwinds to us, so that the server is
 * stopped in order. Arguments: folder, then what busted gets. */
static const char run_busted[] =
    "local arguments = {...}\n"
    "local over = {}\n"
    "os.exit = function(code) over.code = code == true and 0 or tonumber(code) or (code == false and 1 or 0) error(over, 0) end\n"
    "local found, runner = pcall(require, 'busted.runner')\n"
    "if not found then return nil, 'busted is not installed; on Debian: apt-get install lua-busted' end\n"
    "local folder = table.remove(arguments, 1)\n"
    "_G.arg = { [0] = 'demilune test', '--pattern=_spec', '--lpath=' .. folder .. '/?.lua;' .. folder .. '/spec/?.lua' }\n"
    "for _, argument in ipairs(arguments) do table.insert(_G.arg, argument) end\n"
    "local files = false\n"
    "for _, argument in ipairs(arguments) do files = files or argument:sub(1, 1) ~= '-' end\n"
    "if not files then table.insert(_G.arg, folder .. '/spec') end\n"
    "local ok, problem = xpcall(function() runner { standalone = false } end, function(e) return e == over and e or debug.traceback(tostring(e)) end)\n"
    "if ok then return 0 end\n"
    "if problem == over then return over.code end\n"
    "return nil, problem\n";

/* The folder is the first argument that is not a flag; all others are busted's. */
typedef struct test_arguments {
  const char *folder;
  int count;
  char **all;
} test_arguments;

static int run_specs(demilune_server *server, const test_arguments *arguments) {
  lua_State *L = dl_lua_state(server->generation->lua);
  dl_bridge_test_client(L, demilune_server_port(server));
  if (luaL_loadbuffer(L, run_busted, sizeof run_busted - 1, "=demilune test") != 0) return 1;
  int pushed = 1;
  lua_pushstring(L, arguments->folder);
  for (int i = 0; i < arguments->count; i++) {
    if (arguments->all[i] == arguments->folder || !lua_checkstack(L, 8)) continue;
    lua_pushstring(L, arguments->all[i]);
    pushed++;
  }
  if (lua_pcall(L, pushed, 2, 0) != 0 || lua_isnil(L, -2)) {
    fprintf(stderr, "demilune test: %s\n", lua_tostring(L, -1) ? lua_tostring(L, -1) : "the specs could not run");
    return 1;
  }
  int status = (int)lua_tointeger(L, -2);
  lua_settop(L, 0);
  return status;
}

static int with_data_folder(const test_arguments *arguments) {
  char *error = NULL;
  demilune_options options = {.folder = arguments->folder, .access_log = DEMILUNE_ACCESS_LOG_OFF};
  demilune_server *server = dl_server_new(&options, "test", NULL, &error);
  if (!server) {
    fprintf(stderr, "demilune: %s\n", error);
    free(error);
    return 1;
  }
  int status = run_specs(server, arguments);
  demilune_server_stop(server);
  int stopped = demilune_server_run(server);
  demilune_server_free(server);
  return status ? status : stopped;
}

int dl_command_test(int count, char **arguments) {
  test_arguments given = {".", count, arguments};
  char folder[] = "/tmp/demilune-test-XXXXXX";
  for (int i = 0; i < count; i++) {
    if (arguments[i][0] == '-') continue;
    given.folder = arguments[i];
    break;
  }
  if (!mkdtemp(folder)) {
    perror("demilune test: cannot make a folder in /tmp");
    return 1;
  }
  setenv("DEMILUNE_DATA", folder, 1);
  setvbuf(stdout, NULL, _IOLBF, 0); /* what went well is seen, whatever ends the process */
  if (!dl_test_watch_folder(folder)) {
    perror("demilune test: cannot begin the process that removes the data folder");
    rmdir(folder);
    return 1;
  }
  int status = with_data_folder(&given);
  dl_test_watch_remove();
  return status;
}
