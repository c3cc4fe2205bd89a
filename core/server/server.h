/* SPDX-License-Identifier: MIT */
/* The parts of a server that the test command reaches beside the public header. */
#ifndef DL_SERVER_SERVER_H
#define DL_SERVER_SERVER_H

#include "app/worker.h"
#include "demilune.h"

struct demilune_server {
  uv_loop_t uv;
  dl_loop loop;
  dl_generation *generation;
  dl_worker worker;
  struct dl_limit_table *limits;
  dl_listener listener;
  uv_prepare_t flush;        /* the log leaves once per turn of the loop */
  uv_signal_t on_terminate, on_interrupt;
  uv_async_t on_stop;
  uv_timer_t stop_deadline;
  bool stopping, starting, failed;
  char *start_error;
};

/* As demilune_server_new with the mode by its name ("dev", "serve", "test"). */
demilune_server *dl_server_new(const demilune_options *options, const char *mode, char **error);

#endif
