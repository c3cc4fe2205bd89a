/* SPDX-License-Identifier: MIT */
/*
 * The master: holds listening sockets, shared memory and signals, and keeps the
 * workers alive. It runs no Lua, no event loop, no thread and no OpenSSL, so that it
 * may fork at any time and has little that could fail; it compiles our own Lua modules
 * before the first fork, so that no child has to. demilune_serve is its way in;
 * this header is for this folder.
 */
#ifndef DL_SERVER_MASTER_H
#define DL_SERVER_MASTER_H

#include "base/log.h"
#include "base/beat.h"
#include "data/opened.h"
#include "demilune.h"
#include "limit/table.h"
#include "net/client_counts.h"
#include "server/admin.h"
#include "server/board.h"
#include "net/tls_material.h"
#include "net/tls_ticket_keys.h"
#include "server/channel.h"
#include "server/control.h"
#include "server/notify.h"
#include "server/sockets.h"
#include "server/watch.h"

#include <poll.h>
#include <sys/types.h>

enum { DL_WORKERS_MAX = 64, DL_MASTER_FDS_MAX = DL_WORKERS_MAX + 16 };

typedef enum dl_child_state {
  DL_CHILD_NONE,     /* no process */
  DL_CHILD_STARTING, /* loads the app */
  DL_CHILD_READY,    /* serves */
  DL_CHILD_STOPPING  /* was told to end */
} dl_child_state;

/* How far a worker is with the reload that is under way. */
typedef enum dl_reload_step {
  DL_STEP_NONE,
  DL_STEP_UNTOLD, /* it takes no more messages, and cannot be told to load */
  DL_STEP_LOADING,
  DL_STEP_LOADED,
  DL_STEP_SWAPPING
} dl_reload_step;

typedef struct dl_child {
  pid_t pid;
  int channel; /* -1: none */
  dl_child_state state;
  dl_reload_step step;
  uint64_t loads;          /* how often it was told to load: what it says of an earlier time counts no more */
  bool serves;             /* it was told to take connections */
  bool stuck;              /* it was killed for not coming back */
  bool lost_database;      /* the process before it missed a database's file, and this one is not ready yet */
  uint64_t began_us;       /* its fork, or when its databases last opened; then when it became ready; of a probe: when it said what it knows */
  uint64_t stopped_us;     /* since when it is known to be stopped (SIGSTOP); 0: it runs */
  uint64_t start_at_us;    /* when the next process takes its place */
  uint32_t failures;       /* starts in a row that came to nothing */
  uint32_t hasty;          /* ends in a row right after it was ready */
  char *problem;           /* why it could not load */
} dl_child;

typedef enum dl_reload_state { DL_RELOAD_NONE, DL_RELOAD_PROBING, DL_RELOAD_LOADING, DL_RELOAD_SWAPPING } dl_reload_state;

typedef struct dl_reload {
  dl_reload_state state;
  dl_child probe;
  uint64_t number, began_us, swap_us; /* swap_us: when workers were told to swap */
  bool again; /* files changed, or somebody asked, meanwhile: the next one follows this one's end, and its probe's */
  int files;  /* the app's files, as they were when it began; -1 when none is under way */
} dl_reload;

typedef struct dl_master_tls {
  dl_tls_material material, next; /* what serves, and what a reload read */
  dl_tls_ticket_keys *tickets;    /* shared; NULL: no TLS */
  uint64_t rotate_at_us;
  dl_sockets redirects;           /* for those who come without TLS */
} dl_master_tls;

/* The program that is to take over: pid is 0 when there is none. It is no child of ours. */
typedef struct dl_successor {
  pid_t pid;
  int watch;           /* a descriptor of the process */
  uint64_t stopped_us; /* when it was seen stopped; 0: it runs */
} dl_successor;

typedef struct dl_master {
  const demilune_options *options;
  const char *mode;
  dl_clock clock;
  dl_log log;
  int log_file;        /* the log's file; -1: standard error */
  dl_sockets sockets;
  dl_master_tls tls;
  dl_limit_table *limits;
  dl_client_table *clients;
  dl_metrics *metrics;
  dl_admin_socket admin_socket;
  dl_child admin;      /* answers on it; says nothing over its channel */
  dl_board board;      /* dl_beat of each child */
  dl_board opened;     /* dl_opened_files of each worker */
  dl_known_files known; /* what was taken from there */
  bool told_crowded;   /* that it has no room for all */
  dl_child workers[DL_WORKERS_MAX];
  size_t worker_count;
  uint64_t generation; /* what serves; 0 before the first */
  int files;           /* what it was loaded from: workers that are replaced load the same */
  char seed[65];       /* of secrets that are made up in dev */
  dl_reload reload;
  dl_control control;
  dl_watch watch;
  dl_notify notify;
  int signals;         /* signalfd */
  dl_successor successor;
  int predecessor;     /* a descriptor of the process before us, until we have its place; -1: there is none */
  char *program;       /* its path, as it was at our start */
  bool handed_on;      /* it has taken over: what lies on the disk is its now */
  bool announced, stopping, over;
  uint64_t stop_at_us; /* patience with workers that stop */
  int status;
} dl_master;

/* --- databases.c ------------------------------------------------------------------------- */

enum { DL_DATABASES_MESSAGE_BYTES = PATH_MAX + 256 };

/* Worker index is about to be forked; it has started, and has not been told to serve. */
void dl_master_databases_begin(dl_master *master, size_t index);
void dl_master_databases_started(dl_master *master, dl_child *worker);

/* All workers have loaded what a reload brings. False, with why, when that may not serve. */
bool dl_master_databases_loaded(dl_master *master, char problem[DL_DATABASES_MESSAGE_BYTES]);

/* Whether one that loads by itself what the others serve has the same files open as they. */
bool dl_master_databases_agree(const dl_master *master, const dl_child *worker);

/* A reload begins or ends: nothing is asked any more of what nobody goes on with. */
void dl_master_databases_keep(dl_master *master);

/* Tells the admin process whether all files are there. */
void dl_master_databases_tick(const dl_master *master);

/* --- children.c ------------------------------------------------------------------------- */

/* Starts worker index; false when the system gives no process. */
bool dl_master_start_worker(dl_master *master, size_t index);

/* Starts the probe of a reload. */
bool dl_master_start_probe(dl_master *master);

/* Reads what children say, and buries those that have ended. */
void dl_master_hear(dl_master *master, dl_child *child);
void dl_master_bury(dl_master *master);

/* Replaces workers that ended, and those that do not come back; ends what stays stopped. */
void dl_master_tend(dl_master *master);

/* Whether what is not there to answer has been stopped for so long that it is to be ended, which the log says of it. stopped_us 0: it is not stopped. */
bool dl_master_stopped_too_long(dl_master *master, uint64_t stopped_us, const char *what, pid_t pid);

/* Milliseconds until tend has something to do. */
int dl_master_patience(const dl_master *master);

/* In a child: closes the master's descriptors but one. */
void dl_master_close_in_child(dl_master *master, int keep);

/* --- admin_process.c ---------------------------------------------------------------------- */

/* Keeps the process of the admin listener alive, if there is to be one. */
void dl_master_tend_admin(dl_master *master);
void dl_master_admin_ended(dl_master *master, int status);

/* Ends it, before another program answers on the same socket or when all is over. */
void dl_master_end_admin(dl_master *master);

/* --- reload_all.c ------------------------------------------------------------------------ */

/* Loads the app's files in a probe, then in all workers or none. */
void dl_master_reload(dl_master *master);

/* The master stops: the reload under way fails, and nobody can ask for another one. */
void dl_master_end_reload(dl_master *master);

/* Tells the reload what happened: a child's message, its end, or that time passed. */
void dl_master_reload_heard(dl_master *master, dl_child *child, const dl_message *message);
void dl_master_reload_lost(dl_master *master, dl_child *child);
void dl_master_reload_tick(dl_master *master);

/* --- master_tls.c ------------------------------------------------------------------------ */

/* Reads certificates and opens the sockets of --http-redirect, when TLS is asked for. */
const char *dl_master_tls_open(dl_master *master, char message[DL_TLS_MESSAGE_BYTES]);
void dl_master_tls_tick(dl_master *master);

/* Reads the files again for a reload; commit gives what was read to all workers. */
bool dl_master_tls_reread(dl_master *master, char message[DL_TLS_MESSAGE_BYTES]);
void dl_master_tls_commit(dl_master *master);

void dl_master_tls_close(dl_master *master);

/* --- master.c ------------------------------------------------------------------------------ */

/* A worker came to serve; once all do, the master says so, unless it stops. */
void dl_master_became_ready(dl_master *master);

/* The first start failed: everything ends with this sentence. */
void dl_master_give_up(dl_master *master, const char *problem);

void dl_master_stop(dl_master *master);

/* --- upgrade.c ----------------------------------------------------------------------------- */

/* Starts the program anew on the same sockets. */
void dl_master_upgrade(dl_master *master);

/* Looks whether the new program has ended, or is stopped for too long. */
void dl_master_tend_successor(dl_master *master);

/* Ends the new program unless it has taken over. */
void dl_master_end_successor(dl_master *master);

/* Reads what the program before this one has said of itself, if there is one: its process, and which databases it has open. */
void dl_master_meet_predecessor(dl_master *master);

/* Tells the program before this one, if there is one, that it may end, else the service
 * manager that we serve: of a new program it hears from the one before. */
void dl_master_take_over(dl_master *master);

#endif
