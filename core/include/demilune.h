/* SPDX-License-Identifier: MIT */
/*
 * Demilune in your own C program: a server made from an app's folder, run until it
 * is told to stop. One server per thread; nothing here may be called from another
 * thread than the one that runs the server, except where it says so. A server may be
 * made in one thread and handed to another before it runs, and back to be freed.
 *
 * The working directory has to stay what it was as long as there is a server: relative
 * paths count from it. Memory that is not to be had ends the process. Lua that never waits
 * keeps its thread, and stopping waits for it: only demilune_serve has a master, which
 * replaces what is stuck. A process that the program forks has the sockets open too, until
 * it ends or becomes another program; servers of its parent's are not its to call.
 */
#ifndef DEMILUNE_H
#define DEMILUNE_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DEMILUNE_VERSION "0.1.0"
#define DEMILUNE_PUBLIC __attribute__((visibility("default")))

typedef enum demilune_mode {
  DEMILUNE_SERVE, /* production rules, JSON logs, no docs unless the app asks */
  DEMILUNE_DEV    /* tracebacks in responses, docs on, readable logs */
} demilune_mode;

typedef enum demilune_access_log { DEMILUNE_ACCESS_LOG_OFF, DEMILUNE_ACCESS_LOG_JSON, DEMILUNE_ACCESS_LOG_TEXT } demilune_access_log;

enum { DEMILUNE_TLS_FILES_MAX = 16 };

/* The walls of the operating system around each worker of demilune_serve
 * (core/sandbox/README.md). They stand for a whole process and for good, so
 * demilune_server_new, whose process is its caller's, never raises them. */
typedef enum demilune_sandbox {
  DEMILUNE_SANDBOX_OFF,
  DEMILUNE_SANDBOX_ON,    /* what this kernel has; the log names what is missing */
  DEMILUNE_SANDBOX_STRICT /* all of it, or no start */
} demilune_sandbox;

/* All strings are borrowed until demilune_server_new returns. Options are checked before
 * anything is opened, as the demilune program checks its flags; what is wrong with one is
 * told by the flag's name (--http-redirect is http_redirect). */
typedef struct demilune_options {
  const char *folder;    /* holds app.lua; never NULL */
  demilune_mode mode;
  const char *host;      /* an address; NULL means 127.0.0.1 */
  bool exposed;          /* DEMILUNE_DEV listens on loopback only, unless this says that others may see what it shows */
  int port;              /* 1 to 65535; 0 lets the system choose */
  const char *unix_path; /* listens there instead of on host and port when not NULL */
  demilune_access_log access_log;
  const char *redis_url; /* counts limits for an app without a limit_store of its own; NULL: in this machine's memory */
  int workers;           /* of demilune_serve: how many processes, 1 to 64; 0: one for each core, or one in DEMILUNE_DEV */
  const char *admin;     /* where health and metrics are answered: "9090" (on loopback), "10.0.0.1:9090", "unix:PATH"; NULL: nowhere */
  const char *log_file;  /* the log is added to this file instead of standard error; opened again at SIGUSR1 */
  const char *trusted_proxies; /* "10.0.0.0/8,unix": who may say for whom they speak; NULL: what the app says */
  bool proxy_protocol;   /* they begin each connection with a PROXY header */
  /* TLS, when there is a certificate. Lists end at their first NULL. */
  const char *tls_cert[DEMILUNE_TLS_FILES_MAX + 1]; /* PEM files: a certificate, then what leads to its root */
  const char *tls_key[DEMILUNE_TLS_FILES_MAX + 1];  /* PEM files: the key of the certificate in the same place */
  const char *tls_ocsp[DEMILUNE_TLS_FILES_MAX + 1]; /* DER files: OCSP responses to be stapled */
  const char *tls_client_ca; /* PEM file: who may vouch for clients; they are asked for a certificate then */
  const char *http_redirect; /* "80", "0.0.0.0:80": a port without TLS that sends people to the one with it, which there must be */
  const char *hsts;          /* what Strict-Transport-Security says, or "off"; NULL: a year. Never sent in dev */
  demilune_sandbox sandbox; /* of demilune_serve, as are the next two */
  const char *user;      /* whom the workers of a master that is root become; NULL: they stay root */
  unsigned long long max_memory; /* bytes of private memory of each worker in the sandbox, 64 MiB or more; 0: as much as there is */
} demilune_options;

typedef struct demilune_server demilune_server;

/* Loads the app, opens its databases, runs its on_start functions and listens. What the
 * app's settings are, and DEMILUNE_DATA, is read from the environment as the program does it.
 * NULL on failure, with a sentence in *error that the caller frees with free(); NULL
 * there on success. error may be NULL, for who does not want to know.
 *
 * SIGTERM, SIGINT and SIGUSR1 are the servers' from then on, in place of the program's own
 * handlers; once the last server is freed they do what the system does by default, until
 * the program sets its handlers again, as they do in processes that it forks. SIGPIPE and
 * SIGXFSZ are ignored for good. Standard files that are closed are /dev/null from then on. */
DEMILUNE_PUBLIC demilune_server *demilune_server_new(const demilune_options *options, char **error);

/* The port it listens on; 0 with unix_path. */
DEMILUNE_PUBLIC int demilune_server_port(const demilune_server *server);

/* The port that sends people to the one with TLS; 0 when there is none. */
DEMILUNE_PUBLIC int demilune_server_redirect_port(const demilune_server *server);

/* Serves until SIGTERM, SIGINT or demilune_server_stop; then requests in flight are
 * finished, on_stop functions run and databases are closed. 0, or 1 when that took longer
 * than 15 seconds, after which requests are ended, or a stop function failed. Once only:
 * a server that has run before is over, and this returns at once. */
DEMILUNE_PUBLIC int demilune_server_run(demilune_server *server);

/* Asks a server to stop; one that does not run yet does so as soon as it runs. May be called
 * from any thread, or a signal handler, until it is freed. A second time hurries it: where
 * something is still in flight then it is ended, and run returns 1. */
DEMILUNE_PUBLIC void demilune_server_stop(demilune_server *server);

/* Closes what is open and gives back all memory. Not while it runs. One that never ran runs
 * no on_stop functions. NULL is nothing to free. */
DEMILUNE_PUBLIC void demilune_server_free(demilune_server *server);

/* What the demilune program does, for a process that does nothing else: this process
 * becomes the master of worker processes, which it forks, replaces and reloads
 * (SIGHUP, or a saved file in DEMILUNE_DEV), until SIGTERM or SIGINT. Prints to standard
 * error. The exit status: 0; 1 when it could not start or not everything ended in
 * order; 2 when the options are wrong. Call it before there are other threads. Signals that
 * it heeds stay blocked when it returns; functions of atexit run in this process alone. */
DEMILUNE_PUBLIC int demilune_serve(const demilune_options *options);

#ifdef __cplusplus
}
#endif

#endif
