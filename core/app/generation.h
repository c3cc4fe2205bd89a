/* SPDX-License-Identifier: MIT */
/*
 * A generation: one lua_State and the plan that one state of the app's files
 * compiled to. A request keeps the generation it began in.
 */
#ifndef DL_APP_GENERATION_H
#define DL_APP_GENERATION_H

#include "app/plan.h"
#include "bridge/bridge.h"
#include "bridge/task.h"

typedef struct dl_generation {
  dl_lua *lua;
  const dl_plan *plan;
  uint64_t number;         /* 1 for the first one a server loads, then one more with each reload */
  uint32_t exchange_count; /* requests that began in it and are not over */
  /* once another one took its place (worker.c) */
  enum { DL_GENERATION_LIVE, DL_GENERATION_STOPPING, DL_GENERATION_STOPPED } state;
  uint64_t stop_began_us;
  struct dl_generation *next;
  char *redis_url; /* of a store for an app that names none; NULL: there is none */
  void *waiting;   /* whom dl_generation_start or _stop has to tell; NULL: nobody */
  dl_file_set *files; /* what it was loaded from, and loads what it requires later; NULL: the folder */
  const uint16_t *series; /* where each route's requests are counted (app/measure.h), or NULL */
} dl_generation;

/* What a generation is loaded from; borrowed while it loads. */
typedef struct dl_generation_source {
  const char *folder;  /* holds app.lua */
  const char *mode;    /* "dev", "serve", "check" or "test" */
  int files_fd;        /* of dl_file_set_collect; -1: files are read from the folder */
  const char *seed;    /* what made-up secrets come from; NULL: new ones each time */
  size_t workers;      /* how many processes will serve the app; 0 means 1 */
  const char *redis_url; /* of a store that counts limits for an app that names none; NULL: none */
  const dl_opened *opened; /* which files the databases of the server's workers are; NULL: it has none but this process */
  uint64_t number;       /* that the generation will have */
} dl_generation_source;

/* Loads the app. NULL, with a sentence on the heap in *error (free with dl_free), when
 * it does not load. */
dl_generation *dl_generation_load(dl_loop *loop, const dl_generation_source *source, char **error);

/* Runs the plan's start (the store of limits, databases, migrations, on_start) or stop
 * functions in a task and calls done, error NULL when all went well. May call done at
 * once. */
typedef void (*dl_generation_done)(void *owner, const char *error);
void dl_generation_start(dl_generation *generation, dl_generation_done done, void *owner);
void dl_generation_stop(dl_generation *generation, dl_generation_done done, void *owner);

/* Whoever waits for its functions hears of them no more; they go on until it is ended. */
void dl_generation_disown(dl_generation *generation);

/* Ends its Lua while the loop still turns; no request of it may be left. What it held
 * (databases) closes as the loop runs on, also after it was freed. */
void dl_generation_end(dl_generation *generation);
void dl_generation_free(dl_generation *generation);

#endif
