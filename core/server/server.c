/* SPDX-License-Identifier: MIT */
/*
 * A server on one loop: its generation, its worker, the sockets that it accepts
 * from, and how it ends in order.
 */
#include "server/server.h"

#include "app/measure.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/plain_locale.h"
#include "base/standard_files.h"
#include "crypto/secret.h"
#include "limit/table.h"
#include "server/options.h"
#include "server/walls.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { STOP_DEADLINE_MS = 15000, LAST_CALL_MS = 50 };

/* --- loop ------------------------------------------------------------------------- */

static void on_prepare(uv_prepare_t *prepare) {
  demilune_server *server = prepare->data;
  dl_log_flush(&server->loop.log);
  dl_beat_rest(server->loop.beat);
}

static void hold(uv_handle_t *handle, demilune_server *server) {
  handle->data = server;
  uv_unref(handle);
}

static void on_stop_signal(uv_signal_t *handle, int number);
static void on_stop_asked(uv_async_t *handle);
static void on_stop_deadline(uv_timer_t *timer);

/* Somebody has moved the file away: what comes now belongs into a new one. */
static void on_reopen(uv_signal_t *handle, int number) {
  (void)number;
  demilune_server *server = handle->data;
  char message[256];
  if (!server->log_path) return;
  int fd = dl_log_open_file(server->log_path, message);
  if (fd < 0) {
    dl_log_text(&server->loop.log, DL_LOG_WARNING, "%s; the old one is kept", message);
    return;
  }
  dl_log_set_fd(&server->loop.log, fd);
  close(server->log_fd);
  server->log_fd = fd;
}

static const char *open_log_file(demilune_server *server, const char *path, char message[256]) {
  if (!path) return NULL;
  int fd = dl_log_open_file(path, message);
  if (fd < 0) return message;
  server->log_path = dl_strdup(path);
  server->log_fd = fd;
  dl_log_set_fd(&server->loop.log, fd);
  server->loop.log.colour = false;
  return NULL;
}

static void open_log(demilune_server *server, const char *mode) {
  bool terminal = isatty(server->world ? server->world->log_fd : STDERR_FILENO) == 1;
  bool text = strcmp(mode, "serve") != 0;
  dl_clock_update(&server->loop.clock);
  dl_log_init(&server->loop.log, server->world ? server->world->log_fd : STDERR_FILENO, text ? DL_LOG_TEXT : DL_LOG_JSON, strcmp(mode, "test") == 0 ? DL_LOG_WARNING : DL_LOG_INFO, &server->loop.clock);
  server->loop.log.colour = terminal && !getenv("NO_COLOR");
}

/* A worker that has none is replaced; a program around us lives on, and is told. */
static const char *open_loop(demilune_server *server, const demilune_options *options, char message[256]) {
  static const char what[] = "an event loop";
  int error = uv_loop_init(&server->uv);
  if (server->world) dl_loop_expect(error, what);
  if (error != 0) return dl_loop_problem(error, what, message);
  server->loop.uv = &server->uv;
  server->loop.beat = server->world ? server->world->beat : NULL;
  uv_prepare_init(&server->uv, &server->flush);
  hold((uv_handle_t *)&server->flush, server);
  uv_prepare_start(&server->flush, on_prepare);
  dl_loop_expect(uv_signal_init(&server->uv, &server->on_terminate), "signals");
  hold((uv_handle_t *)&server->on_terminate, server);
  dl_loop_expect(uv_signal_init(&server->uv, &server->on_interrupt), "signals");
  hold((uv_handle_t *)&server->on_interrupt, server);
  dl_loop_expect(uv_signal_init(&server->uv, &server->on_reopen), "signals");
  hold((uv_handle_t *)&server->on_reopen, server);
  dl_loop_expect(uv_async_init(&server->uv, &server->on_stop, on_stop_asked), "a way to be woken");
  hold((uv_handle_t *)&server->on_stop, server);
  uv_timer_init(&server->uv, &server->stop_deadline);
  hold((uv_handle_t *)&server->stop_deadline, server);
  uv_timer_init(&server->uv, &server->last_call);
  hold((uv_handle_t *)&server->last_call, server);
  server->worker.access_log = (dl_access_log)options->access_log;
  return NULL;
}

static void close_handle(uv_handle_t *handle, void *unused) {
  (void)unused;
  if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

/* First what others hold ends by itself: databases, answers on their way. Our own
 * handles keep no loop turning, and go last. */
static void close_loop(demilune_server *server) {
  if (!server->loop.uv) return;
  dl_log_flush(&server->loop.log);
  uv_run(&server->uv, UV_RUN_DEFAULT);
  uv_walk(&server->uv, close_handle, NULL);
  uv_run(&server->uv, UV_RUN_DEFAULT);
  uv_loop_close(&server->uv);
}

/* --- starting ---------------------------------------------------------------------- */

static void on_started(void *owner, const char *error) {
  demilune_server *server = owner;
  server->starting = false;
  if (error) server->start_error = dl_strdup(error);
}

/* Start functions may wait: the loop turns until they are done. */
static const char *run_start(demilune_server *server) {
  server->starting = true;
  dl_generation_start(server->generation, on_started, server);
  while (server->starting && uv_run(&server->uv, UV_RUN_ONCE) != 0) {}
  if (server->starting) return "a start function waits for something that never happens";
  return server->start_error;
}

static dl_listener *next_listener(demilune_server *server, dl_listener_kind kind) {
  dl_listener *listener = &server->listeners[server->listener_count++];
  listener->owner = &server->worker;
  listener->incoming = dl_worker_accept;
  listener->paused = dl_worker_pause;
  listener->kind = kind;
  return listener;
}

static const char *open_listener(demilune_server *server, const demilune_options *options, char *message) {
  dl_listener *listener = next_listener(server, server->worker.tls ? DL_LISTENER_TLS : DL_LISTENER_PLAIN);
  const char *problem = options->unix_path ? dl_listener_unix(listener, &server->loop, options->unix_path, message)
                                           : dl_listener_tcp(listener, &server->loop, options->host ? options->host : "127.0.0.1", options->port, message);
  server->port = server->worker.https_port = listener->port;
  if (problem || !options->http_redirect) return dl_options_explain_port(problem, "--port or DEMILUNE_PORT", message);
  char host[DL_HOST_BYTES];
  int port;
  problem = dl_sockets_redirect_address(options, host, &port, message);
  if (problem) return problem;
  listener = next_listener(server, DL_LISTENER_REDIRECT);
  problem = dl_listener_tcp(listener, &server->loop, host, port, message);
  server->redirect_port = listener->port;
  return dl_options_explain_port(problem, "--http-redirect or DEMILUNE_HTTP_REDIRECT", message);
}

/* Its share of the master's sockets. */
static const char *adopt_share(demilune_server *server, const dl_sockets *sockets, dl_listener_kind kind, char *message) {
  const dl_server_world *world = server->world;
  const char *problem = NULL;
  for (size_t i = 0; !problem && i < sockets->count; i++)
    if (dl_sockets_is_for(sockets, i, world->index, world->workers))
      problem = dl_listener_adopt(next_listener(server, kind), &server->loop, sockets->fds[i], message);
  return problem;
}

bool dl_server_take_connections(demilune_server *server) {
  const dl_server_world *world = server->world;
  char message[DL_TLS_MESSAGE_BYTES];
  if (server->listener_count > 0 || server->stopping) return true;
  server->port = server->worker.https_port = world->sockets->port;
  const char *problem = adopt_share(server, world->sockets, server->worker.tls ? DL_LISTENER_TLS : DL_LISTENER_PLAIN, message);
  if (!problem && world->redirects) problem = adopt_share(server, world->redirects, DL_LISTENER_REDIRECT, message);
  if (problem) dl_log_text(&server->loop.log, DL_LOG_ERROR, "no connection can be taken: %s", problem);
  return !problem;
}

static void close_listeners(demilune_server *server) {
  for (size_t i = 0; i < server->listener_count; i++) dl_listener_close(&server->listeners[i], NULL);
  server->listener_count = 0;
}

/* Numbers that are read rather than counted are as fresh as who asks for them. */
static void refresh_metrics(void *owner) { dl_metrics_publish(&((demilune_server *)owner)->worker); }

/* Before the start functions run, so that health checks are answered meanwhile. */
static const char *open_admin(demilune_server *server, const char *text, char message[256]) {
  dl_admin_source source = {.metrics = server->metrics, .limits = server->limits, .refresh = refresh_metrics, .owner = server, .background = true};
  const char *problem = dl_admin_socket_open(&server->admin_socket, text, message);
  if (problem || server->admin_socket.fd < 0) return problem;
  dl_admin_socket_announce(&server->admin_socket, &server->loop.log);
  server->admin = dl_admin_start(&server->loop, &server->admin_socket, &source, message);
  return server->admin ? NULL : message;
}

static char *fail(demilune_server *server, const char *message) {
  char *copy = dl_strdup(message);
  demilune_server_free(server);
  return copy;
}

demilune_server *dl_server_new(const demilune_options *options, const char *mode, const dl_server_world *world, char **error) {
  demilune_server *server = dl_calloc(1, sizeof *server);
  server->world = world;
  server->mode = mode;
  server->folder = dl_strdup(options->folder);
  char message[DL_TLS_MESSAGE_BYTES], walls[512];
  if (options->redis_url) server->redis_url = dl_strdup(options->redis_url);
  char *load_error = NULL;
  dl_hash_seed();
  signal(SIGPIPE, SIG_IGN); /* a client that goes away is an error of its write, not the end of us */
  signal(SIGXFSZ, SIG_IGN); /* and so is a file that may not grow */
  server->log_fd = world && world->log_fd > STDERR_FILENO ? world->log_fd : -1;
  server->admin_socket.fd = -1;
  server->metrics = world ? world->metrics : dl_metrics_new(1);
  open_log(server, mode);
  const char *problem = open_loop(server, options, message);
  if (!problem && !world) problem = open_log_file(server, options->log_file, message);
  if (!problem && !server->metrics) problem = "the system has no memory for the metrics";
  if (problem) {
    *error = fail(server, problem);
    return NULL;
  }
  if (dl_secret_memory_init() == DL_SECRET_MEMORY_ORDINARY)
    dl_log_text(&server->loop.log, DL_LOG_WARNING, "the system gave no pages that stay out of swap and core dumps: secrets lie in ordinary memory, and are wiped");
  server->generation = dl_server_generation(server, world ? world->generation : 1, world ? world->files_fd : -1, &load_error);
  if (!server->generation) {
    *error = fail(server, load_error);
    dl_free(load_error);
    return NULL;
  }
  dl_access_log access_log = server->worker.access_log;
  dl_worker_init(&server->worker, &server->loop, server->generation);
  server->worker.access_log = access_log;
  dl_metrics_open(&server->worker.metrics, server->metrics, world ? (uint32_t)world->index : 0);
  if (!world) {
    server->limits = dl_limit_table_new(DL_LIMIT_TABLE_BYTES);
    server->clients = dl_client_table_new(1);
  }
  server->worker.limits = world ? world->limits : server->limits;
  server->worker.clients = (dl_client_counts){world ? world->clients : server->clients, world ? world->index : 0};
  if (!server->worker.limits || !server->worker.clients.table) {
    *error = fail(server, "the system has no memory for the tables of limits and clients");
    return NULL;
  }
  server->worker.development = strcmp(mode, "serve") != 0;
  server->worker.local = strcmp(mode, "dev") == 0 && !options->exposed && !options->unix_path && !dl_server_tls_is_asked(options);
  problem = dl_worker_set_proxies(&server->worker, options->trusted_proxies, options->proxy_protocol, message);
  if (!problem) problem = dl_server_tls_open(&server->tls, options, world, &server->worker, message);
  if (!problem && !world) problem = open_admin(server, options->admin, message);
  if (!problem && world && !dl_server_narrow(server, options, walls)) problem = walls;
  if (!problem) problem = run_start(server);
  if (!problem && !world) problem = open_listener(server, options, message);
  if (problem) {
    *error = fail(server, problem);
    return NULL;
  }
  dl_metrics_set_ready(&server->worker.metrics, true);
  if (!world) dl_metrics_set_phase(server->metrics, DL_SERVICE_SERVING);
  return server;
}

int demilune_server_port(const demilune_server *server) { return server->port; }
int demilune_server_redirect_port(const demilune_server *server) { return server->redirect_port; }

/* --- stopping ----------------------------------------------------------------------- */

static void on_stopped(void *owner, const char *error) {
  demilune_server *server = owner;
  if (error) {
    dl_log_text(&server->loop.log, DL_LOG_ERROR, "stopping the app failed: %s", error);
    server->failed = true;
  }
  uv_stop(&server->uv);
}

static void on_drained(dl_worker *worker, void *owner) {
  (void)worker;
  demilune_server *server = owner;
  dl_generation_stop(server->generation, on_stopped, server);
}

/* Ends what is in flight; the stop functions then run. A second time, or when it is
 * they that take so long, nothing is waited for. Before the last call, where nobody is
 * there, nothing takes long yet. */
static void hurry_stop(demilune_server *server) {
  bool connections = server->worker.connection_count > 0 && !server->failed, requests = connections && !dl_worker_is_idle(&server->worker);
  if (!connections && !server->failed && uv_is_active((uv_handle_t *)&server->last_call)) return;
  if (requests) dl_log_text(&server->loop.log, DL_LOG_WARNING, "requests in flight did not finish in time and were ended");
  if (!connections) dl_log_text(&server->loop.log, DL_LOG_WARNING, "stopping took too long and was given up");
  server->failed |= requests || !connections;
  if (!connections) {
    uv_stop(&server->uv);
    return;
  }
  uv_timer_start(&server->stop_deadline, on_stop_deadline, STOP_DEADLINE_MS, 0);
  dl_worker_abort_connections(&server->worker);
}

static void on_stop_deadline(uv_timer_t *timer) { hurry_stop(timer->data); }

/* What had been let in by the system is taken by now. */
static void on_last_call(uv_timer_t *timer) {
  demilune_server *server = timer->data;
  for (size_t i = 0; i < server->listener_count; i++) dl_listener_last_call(&server->listeners[i]);
  close_listeners(server);
  dl_worker_drain(&server->worker, on_drained, server);
}

void dl_server_begin_stop(demilune_server *server) {
  if (server->stopping) {
    hurry_stop(server);
    return;
  }
  server->stopping = true;
  dl_metrics_set_ready(&server->worker.metrics, false);
  if (!server->world) {
    dl_metrics_set_phase(server->metrics, DL_SERVICE_DRAINING);
    dl_log_text(&server->loop.log, DL_LOG_INFO, "stopping: no new connections, requests in flight are finished");
  }
  uv_timer_start(&server->stop_deadline, on_stop_deadline, STOP_DEADLINE_MS, 0);
  uv_timer_start(&server->last_call, on_last_call, LAST_CALL_MS, 0);
}

/* A service manager may signal every process of a service: what a worker hears from its
 * master beside that is no second request, and what hurries it is the master's to say. */
static void on_stop_signal(uv_signal_t *handle, int number) {
  demilune_server *server = handle->data;
  (void)number;
  if (!server->world || !server->stopping) dl_server_begin_stop(server);
}

static void on_stop_asked(uv_async_t *handle) { dl_server_begin_stop(handle->data); }

void demilune_server_stop(demilune_server *server) { uv_async_send(&server->on_stop); }

void dl_server_catch_terminate(demilune_server *server) { uv_signal_start(&server->on_terminate, on_stop_signal, SIGTERM); }

void dl_server_catch_signals(demilune_server *server) {
  dl_server_catch_terminate(server);
  uv_signal_start(&server->on_interrupt, on_stop_signal, SIGINT);
  uv_signal_start(&server->on_reopen, on_reopen, SIGUSR1); /* in any case: by default it would end us */
}

/* --- for embedders -------------------------------------------------------------------- */

static demilune_server *new_server(const demilune_options *options, char **error) {
  char message[DL_OPTIONS_MESSAGE_BYTES], *unloaded = NULL;
  const char *problem = dl_options_check(options, message);
  demilune_server *server = problem ? NULL : dl_server_new(options, options->mode == DEMILUNE_DEV ? "dev" : "serve", NULL, &unloaded);
  if (problem) unloaded = dl_strdup(problem);
  if (error) *error = unloaded;
  else dl_free(unloaded);
  if (!server) return NULL;
  dl_options_warn(options, &server->loop.log);
  dl_server_catch_signals(server); /* before anybody can know that the server listens */
  server->caught = (dl_caught){.signals = {&server->on_terminate, &server->on_interrupt, &server->on_reopen}};
  dl_forked_watch(&server->caught);
  return server;
}

demilune_server *demilune_server_new(const demilune_options *options, char **error) {
  dl_standard_files_hold();
  locale_t callers = dl_plain_locale_enter();
  demilune_server *server = new_server(options, error);
  uselocale(callers);
  return server;
}

int dl_server_run_loop(demilune_server *server) {
  uv_run(&server->uv, UV_RUN_DEFAULT);
  return server->failed ? 1 : 0;
}

int demilune_server_run(demilune_server *server) {
  locale_t callers = dl_plain_locale_enter();
  dl_server_catch_signals(server);
  int status = dl_server_run_loop(server);
  uselocale(callers);
  return status;
}

void demilune_server_free(demilune_server *server) {
  if (!server) return;
  locale_t callers = dl_plain_locale_enter();
  dl_forked_end(&server->caught);
  server->worker.drained = NULL;
  if (server->loop.uv) uv_timer_stop(&server->last_call); /* a stop that was hurried did not wait for it */
  if (server->worker.loop) dl_worker_abort_connections(&server->worker);
  close_listeners(server);
  dl_server_drop(server);
  if (server->worker.loop) dl_worker_end_replaced(&server->worker);
  dl_admin_stop(server->admin);
  dl_generation_end(server->generation);
  close_loop(server);
  dl_log_free(&server->loop.log);
  dl_admin_socket_close(&server->admin_socket, false);
  if (server->log_fd >= 0) close(server->log_fd);
  dl_free(server->log_path);
  if (server->worker.loop) dl_worker_free(&server->worker);
  dl_generation_free(server->generation);
  if (server->limits) dl_limit_table_free(server->limits);
  dl_client_table_free(server->clients);
  if (!server->world) dl_metrics_free(server->metrics);
  dl_server_tls_free(&server->tls);
  dl_free(server->start_error);
  dl_free(server->folder);
  dl_free(server->redis_url);
  dl_free(server);
  uselocale(callers);
}
