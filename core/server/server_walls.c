/* SPDX-License-Identifier: MIT */
/*
 * What a worker gives up once it knows what its app connects to, and what an app that
 * is loaded later can therefore not have any more.
 */
#include "app/limit_store.h"
#include "server/server.h"
#include "server/walls.h"

typedef struct store {
  bool exists;
  uint16_t port; /* 0: a unix socket */
} store;

static store store_of(const demilune_server *server, const dl_generation *generation) {
  store found = {0};
  found.exists = dl_limit_store_where(dl_lua_state(generation->lua), server->redis_url, &found.port);
  return found;
}

bool dl_server_narrow(demilune_server *server, const demilune_options *options, char error[512]) {
  store found = store_of(server, server->generation);
  dl_outside outside = {&found.port, found.exists && found.port, found.exists && !found.port};
  server->narrowed = options->sandbox != DEMILUNE_SANDBOX_OFF;
  server->store_port = found.port;
  server->has_store = found.exists;
  return dl_walls_narrow(options, &outside, &server->loop.log, error);
}

const char *dl_server_beyond_walls(const demilune_server *server, const dl_generation *generation) {
  store found = store_of(server, generation);
  if (!server->narrowed || !found.exists) return NULL;
  if (server->has_store && server->store_port == found.port) return NULL;
  return "the app now counts its limits in another store, and connecting there is a right that the sandbox took when the server started; start it anew "
         "(SIGUSR2 does so without losing a request)";
}
