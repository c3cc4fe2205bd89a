/* SPDX-License-Identifier: MIT */
/* What a child of the master does, from the fork to its end. */
#ifndef DL_SERVER_WORKER_PROCESS_H
#define DL_SERVER_WORKER_PROCESS_H

#include "server/server.h"

/* Longer than a worker takes for requests in flight and then for its stop functions. */
enum { DL_STOP_PATIENCE_US = 40000000 };

typedef struct dl_worker_start {
  const demilune_options *options;
  const char *mode;
  dl_server_world world;
  int channel; /* to the master */
} dl_worker_start;

/* Serves until the master says stop or is gone; the exit status. */
int dl_worker_process(const dl_worker_start *start);

/* Loads the app, says over the channel whether it does, and ends. */
int dl_probe_process(const dl_worker_start *start);

#endif
