/* SPDX-License-Identifier: MIT */
/*
 * A second generation beside the one that runs: loaded, started, and then either
 * swapped in or forgotten. Requests in flight stay where they began.
 */
#include "app/measure.h"
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

static void on_loaded_started(void *owner, const char *error) {
  demilune_server *server = owner;
  server->loaded_started = !error;
  finish_load(server, error);
}

/* What there is to warn of is said once, by the first of several workers. */
dl_generation *dl_server_generation(demilune_server *server, uint64_t number, int files_fd, char **error) {
  const dl_server_world *world = server->world;
  dl_generation_source source = {
      .folder = server->folder, .mode = server->mode, .files_fd = files_fd, .redis_url = server->redis_url, .number = number};
  dl_log_level level = server->loop.log.level;
  if (world) {
    source.seed = world->seed;
    source.workers = world->workers;
    source.opened = world->opened;
    if (world->index > 0) server->loop.log.level = DL_LOG_ERROR;
  }
  dl_generation *generation = dl_generation_load(&server->loop, &source, error);
  server->loop.log.level = level;
  if (generation) dl_metrics_attach(server->metrics, generation);
  return generation;
}

void dl_server_load(demilune_server *server, uint64_t number, int files_fd, void (*done)(demilune_server *server, const char *error), void *owner) {
  char *error = NULL;
  server->load_done = done;
  server->load_owner = owner;
  server->loaded_started = false;
  dl_beat_enter(server->loop.beat, server->loop.clock.monotonic_us, DL_STR("loading the app"), LOAD_LIMIT_US);
  server->loaded = dl_server_generation(server, number, files_fd, &error);
  if (!server->loaded) {
    finish_load(server, error);
    dl_free(error);
    return;
  }
  const char *beyond = dl_server_beyond_walls(server, server->loaded);
  if (beyond) {
    finish_load(server, beyond);
    return;
  }
  dl_generation_start(server->loaded, on_loaded_started, server);
}

/* What ends has begun to stop the generation that it has, and takes no other. */
void dl_server_swap(demilune_server *server) {
  if (server->stopping) {
    dl_server_drop(server);
    return;
  }
  dl_worker_replace_generation(&server->worker, server->loaded);
  server->generation = server->loaded;
  server->loaded = NULL;
  dl_log_text(&server->loop.log, DL_LOG_DEBUG, "generation %llu serves", (unsigned long long)server->generation->number);
}

/* It may be called from inside its own start function: it is put with the replaced
 * ones, which the next sweep ends. Until then its start functions go on, and what
 * becomes of them is nobody's news: another load may be waited for already. Its stop
 * functions run if its start functions did. */
void dl_server_drop(demilune_server *server) {
  server->load_done = NULL;
  if (!server->loaded) return;
  dl_generation_disown(server->loaded);
  if (!server->loaded_started) server->loaded->state = DL_GENERATION_STOPPED;
  dl_worker_forget_generation(&server->worker, server->loaded);
  server->loaded = NULL;
}
