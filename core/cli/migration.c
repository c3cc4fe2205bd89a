/* SPDX-License-Identifier: MIT */
/* demilune migration KIND APP: writes what lua/demilune/migration.lua drafts. */
#include "base/hash.h"
#include "bridge/bridge.h"
#include "cli/cli.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* migration.draft(kind, folder) → path, text | nil, what is wrong, whether there is no such kind: three values */
static bool draft(lua_State *L, const char *kind, const char *folder) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "demilune.migration");
  if (lua_pcall(L, 1, 1, 0) != 0) return false;
  lua_getfield(L, -1, "draft");
  lua_pushstring(L, kind);
  lua_pushstring(L, folder);
  return lua_pcall(L, 2, 3, 0) == 0 && !lua_isnil(L, -3);
}

static bool write_file(const char *path, dl_str text) {
  char folder[4096];
  int length = (int)(strrchr(path, '/') - path);
  if (snprintf(folder, sizeof folder, "%.*s", length, path) >= (int)sizeof folder) return errno = ENAMETOOLONG, false;
  if (mkdir(folder, 0777) != 0 && errno != EEXIST) return false;
  FILE *file = fopen(path, "wbxe");
  if (!file) return false;
  bool good = fwrite(text.ptr, 1, text.len, file) == text.len;
  return fclose(file) == 0 && good;
}

static int write_draft(lua_State *L, const char *kind, const char *folder) {
  if (!draft(L, kind, folder)) {
    bool has_failed = lua_gettop(L) < 3; /* by an error, which stands alone */
    bool asked_wrongly = !has_failed && lua_toboolean(L, -1);
    fprintf(stderr, "demilune migration: %s\n", lua_tostring(L, has_failed ? -1 : -2));
    return asked_wrongly ? 2 : 1;
  }
  dl_str text;
  const char *path = lua_tostring(L, -3);
  text.ptr = lua_tolstring(L, -2, &text.len);
  if (!write_file(path, text)) {
    fprintf(stderr, "demilune migration: cannot write %s: %s\n", path, strerror(errno));
    return 1;
  }
  puts(path);
  return 0;
}

int dl_command_migration(int count, char **arguments) {
  dl_flags flags = {0};
  if (count < 1 || arguments[0][0] == '-') {
    fputs("demilune migration needs to know for what: demilune migration accounts, api_keys, idempotency or sessions\n", stderr);
    return 2;
  }
  if (!dl_flags_read(&flags, "migration", count - 1, arguments + 1)) return 2;
  dl_loop loop = {.uv = uv_default_loop()};
  dl_hash_seed();
  dl_clock_update(&loop.clock);
  dl_log_init(&loop.log, STDERR_FILENO, DL_LOG_TEXT, DL_LOG_WARNING, &loop.clock);
  dl_lua *lua = dl_lua_new(&loop);
  int status = write_draft(dl_lua_state(lua), arguments[0], flags.options.folder);
  dl_lua_free(lua);
  dl_log_free(&loop.log);
  uv_loop_close(loop.uv);
  return status;
}
