/* SPDX-License-Identifier: MIT */
/*
 * One server on one loop: what the public header makes for embedders, what the test
 * command reaches, and what each worker process of a master runs.
 */
#ifndef DL_SERVER_SERVER_H
#define DL_SERVER_SERVER_H

#include "app/worker.h"
#include "demilune.h"
#include "server/forked.h"
#include "server/sockets.h"
#include "server/server_tls.h"

/* What a worker process gets from its master; all borrowed. */
typedef struct dl_server_world {
  struct dl_limit_table *limits; /* what all workers count in */
  dl_client_table *clients;      /* how many connections each client has with them */
  const dl_sockets *sockets;
  const dl_tls_material *tls;    /* NULL: no TLS */
  const dl_tls_ticket_keys *tickets;
  const dl_sockets *redirects;   /* for those who come without TLS; may be none */
  size_t index, workers;         /* which of how many: its share of the sockets (dl_sockets_is_for) */
  dl_beat *beat;                 /* its sign of life */
  int files_fd;                  /* the app's files, as the master read them; -1: from the folder */
  const dl_opened *opened;       /* which files the workers' databases are */
  const char *seed;              /* of secrets that are made up; NULL in service */
  uint64_t generation;           /* the number of the first one it loads */
  dl_metrics *metrics;           /* what all workers count in; its slot is its index */
  int log_fd;                    /* what the log is written to; given away, unless it is standard error */
} dl_server_world;
#include "server/admin.h"

struct demilune_server {
  uv_loop_t uv;
  dl_loop loop;
  const dl_server_world *world; /* NULL: it stands alone */
  char *folder;
  char *redis_url;              /* for generations that name no store; NULL: none */
  const char *mode;             /* "dev", "serve", "test" */
  dl_generation *generation;    /* the one that new requests begin in */
  dl_generation *loaded;        /* reload.c: the one that waits to take its place */
  bool loaded_started;          /* its start functions ran to their end */
  void (*load_done)(struct demilune_server *server, const char *error);
  void *load_owner;
  dl_worker worker;
  struct dl_limit_table *limits; /* its own; NULL when it counts in the world's */
  dl_client_table *clients;      /* likewise */
  dl_listener listeners[2 * DL_SOCKETS_MAX];
  size_t listener_count;
  int port, redirect_port;
  dl_metrics *metrics;           /* its own, or the world's */
  dl_admin *admin;               /* alone only: a master has a process for it */
  dl_admin_socket admin_socket;
  int log_fd;                    /* of the log's file; -1: standard error */
  char *log_path;
  dl_server_tls tls;
  uv_prepare_t flush;        /* the log leaves once per turn of the loop */
  uv_signal_t on_terminate, on_interrupt, on_reopen;
  dl_caught caught;          /* these, in a program that may fork */
  uv_async_t on_stop;
  uv_timer_t stop_deadline, last_call;
  bool stopping, starting, failed;
  bool narrowed, has_store;  /* the sandbox took what the app did not use; it counts limits in a store */
  uint16_t store_port;       /* of that store; 0: a unix socket */
  char *start_error;
};

/* As demilune_server_new with the mode by its name ("dev", "serve", "test"), in a
 * world of a master's or, with NULL, alone. */
demilune_server *dl_server_new(const demilune_options *options, const char *mode, const dl_server_world *world, char **error);

/* --- server_walls.c: in a worker of a master's ------------------------------------------- */

/* Gives up what the app does not use. False with a sentence when it must not go on. */
bool dl_server_narrow(demilune_server *server, const demilune_options *options, char error[512]);

/* Why an app that was loaded later cannot be served behind these walls; NULL: it can. */
const char *dl_server_beyond_walls(const demilune_server *server, const dl_generation *generation);

/* In a worker of a master's: its share of the sockets, once. False: none can be had, which is logged. */
bool dl_server_take_connections(demilune_server *server);

/* --- life ---------------------------------------------------------------------------------- */

/* Catches SIGTERM and SIGINT, which then stop it. */
void dl_server_catch_signals(demilune_server *server);

/* SIGTERM alone: what a terminal sends is for a worker's master. */
void dl_server_catch_terminate(demilune_server *server);

/* demilune_server_run without signals of its own. */
int dl_server_run_loop(demilune_server *server);

/* What demilune_server_stop asks for, on the loop's own thread. A second time hurries. */
void dl_server_begin_stop(demilune_server *server);

/* --- reload.c --------------------------------------------------------------------------- */

/* The app's files as a server loads them; files_fd -1: as they lie in the folder. */
dl_generation *dl_server_generation(demilune_server *server, uint64_t number, int files_fd, char **error);

/* Loads the app's files anew, beside what runs, and runs its start
 * functions. done is called when it may be swapped in, or with a sentence that lives
 * during the call; maybe before this returns. Not while another is loaded. */
void dl_server_load(demilune_server *server, uint64_t number, int files_fd, void (*done)(demilune_server *server, const char *error), void *owner);

/* New requests begin in what was loaded; what runs in the one before ends there. */
void dl_server_swap(demilune_server *server);

/* Forgets what was loaded; does nothing when nothing was. */
void dl_server_drop(demilune_server *server);

#endif
