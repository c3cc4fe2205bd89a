/* SPDX-License-Identifier: MIT */
/*
 * Two real servers on loopback in the fuzzer's own process, of one app, and what is
 * asked of a connection with either.
 */
#ifndef DL_TESTS_CONNECTION_WORLD_H
#define DL_TESTS_CONNECTION_WORLD_H

#include "loopback.h"

/* The target's app.lua. */
extern const char app_text[];

/* The second one's clients are trusted proxies that speak the PROXY protocol. */
static demilune_server *plain, *announced;

static inline void remove_app(const char *folder) {
  char path[64];
  snprintf(path, sizeof path, "%s/app.lua", folder);
  unlink(path);
  rmdir(folder);
}

int LLVMFuzzerInitialize(int *count, char ***arguments) {
  char folder[] = "/tmp/demilune-fuzz-XXXXXX";
  (void)count;
  (void)arguments;
  setenv("FUZZ_SECRET", "fuzz-secret-0123456789-0123456789", 1);
  if (!mkdtemp(folder)) abort();
  write_file(folder, "app.lua", app_text);
  plain = server_open(folder, false);
  announced = server_open(folder, true);
  remove_app(folder);
  return 0;
}

/* What still runs for a client that has left ends by itself, and soon. */
static inline void settle(demilune_server *server) {
  for (int turn = 0; server->worker.connection_count > 0; turn++) {
    require(turn < TURNS_MAX, "a connection whose client has left ends");
    uv_run(&server->uv, UV_RUN_NOWAIT);
    poll(NULL, 0, turn > 10);
  }
  require(!server->worker.exchange_count, "no request is left behind");
}

#endif
