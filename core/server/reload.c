/* SPDX-License-Identifier: MIT */
/*
 * A second generation beside the one that runs: loaded, started, and then either
 * swapped in or forgotten. Requests in flight stay where they began.
 */
#include "base/memory.h"
#include "server/server.h"

static const uint64_t LOAD_LIMIT_US = 60000000; /* as long as a master waits for it */

static void finish_load(demilune_server *server, const char *error) {
  void (*done)(demilune_server *, const char *) = server->load_done;
  server->load_done = NULL;
  if (error) {
    char *copy = dl_strdup(error); /* it may lie in what is dropped now */
    done(server, copy);
    dl_free(copy);
    return;
  }
  done(server, NULL);
}

/* A load that was dropped meanwhile answers nobody. */
static void on_loaded_started(void *owner, const char *error) {
  demilune_server *server = owner;
  if (server->load_done) finish_load(server, error);
}

void dl_server_load(demilune_server *server, uint64_t number, void (*done)(demilune_server *server, const char *error), void *owner) {
  char *error = NULL;
  server->load_done = done;
  server->load_owner = owner;
  dl_beat_enter(server->loop.beat, server->loop.clock.monotonic_us, DL_STR("loading the app"), LOAD_LIMIT_US);
  dl_log_level level = server->loop.log.level;
  if (server->world && server->world->index > 0) server->loop.log.level = DL_LOG_ERROR; /* the first one warns for all */
  server->loaded = dl_generation_load(&server->loop, server->folder, server->mode, &error);
  server->loop.log.level = level;
  if (!server->loaded) {
    finish_load(server, error);
    dl_free(error);
    return;
  }
  server->loaded->number = number;
  dl_generation_start(server->loaded, on_loaded_started, server);
}

void dl_server_swap(demilune_server *server) {
  dl_worker_replace_generation(&server->worker, server->loaded);
  server->generation = server->loaded;
  server->loaded = NULL;
  dl_log_text(&server->loop.log, DL_LOG_DEBUG, "generation %llu serves", (unsigned long long)server->generation->number);
}

/* It may be called from inside its own start function: it is put with the replaced
 * ones, which the next sweep stops and ends. */
void dl_server_drop(demilune_server *server) {
  server->load_done = NULL;
  if (!server->loaded) return;
  dl_worker_forget_generation(&server->worker, server->loaded);
  server->loaded = NULL;
}
