/* SPDX-License-Identifier: MIT */
#include "server/worker_process.h"

#include "base/hash.h"
#include "base/memory.h"
#include "server/channel.h"
#include "server/orphan.h"
#include "server/walls.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct worker_process {
  demilune_server *server;
  int channel;
  int spare; /* a descriptor laid by for what comes with a message, where clients have taken all others; -1: none was left */
  uv_poll_t poll;
  uint64_t loads; /* how often it was told to load */
  bool loaded;    /* the last of them came to a good end */
  dl_message message;
} worker_process;

/* What a terminal sends to all processes is the master's to act on. */
static void prepare_signals(void) {
  sigset_t none;
  static const int ignored[] = {SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGXFSZ};
  for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
  signal(SIGTERM, SIG_DFL);
  signal(DL_ORPHAN_SIGNAL, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/* --- messages ----------------------------------------------------------------------------- */

static void tell_load(worker_process *self, const char *error) {
  self->loaded = !error;
  dl_channel_send(self->channel, error ? DL_MESSAGE_FAILED : DL_MESSAGE_LOADED, self->loads, error, -1);
}

static void on_load_done(demilune_server *server, const char *error) { tell_load(server->load_owner, error); }

/* From then on it lives as long as there is something to serve; before, as long as its master. */
static void live_by_itself(worker_process *self) { uv_unref((uv_handle_t *)&self->poll); }

static void stop(worker_process *self, uint64_t times) {
  live_by_itself(self);
  if (times > 1 || !self->server->stopping) dl_server_begin_stop(self->server);
}

/* One that cannot do what it is told is replaced. */
static void give_way(worker_process *self) {
  self->server->failed = true;
  stop(self, 1);
}

static void serve(worker_process *self) {
  if (dl_server_take_connections(self->server)) live_by_itself(self);
  else give_way(self);
}

static void load(worker_process *self, uint64_t number, int fd) {
  self->loads++;
  self->loaded = false;
  dl_server_drop(self->server);
  dl_server_load(self->server, number, fd, on_load_done, self);
}

/* What has not started serves nobody. */
static void swap(worker_process *self, uint64_t number) {
  if (!self->loaded || number != self->loads) {
    give_way(self);
    return;
  }
  self->loaded = false;
  dl_server_swap(self->server);
  dl_channel_send(self->channel, DL_MESSAGE_SWAPPED, number, NULL, -1);
}

static void drop(worker_process *self) {
  self->loaded = false;
  dl_server_drop(self->server);
}

static void note(demilune_server *server, const char *problem) {
  dl_free(server->worker.reload_problem);
  server->worker.reload_problem = *problem ? dl_strdup(problem) : NULL;
}

/* Takes the message's descriptor, since there may be none for a copy. */
static void change_log(demilune_server *server, int *fd) {
  dl_log_set_fd(&server->loop.log, *fd);
  if (server->log_fd >= 0) close(server->log_fd);
  server->log_fd = *fd;
  *fd = -1;
}

/* The system drops a descriptor that there is no room for. */
static bool has_lost(const dl_message *message, int fd) {
  return fd < 0 && (message->kind == DL_MESSAGE_LOAD || message->kind == DL_MESSAGE_LOG || message->kind == DL_MESSAGE_TLS);
}

/* The reload fails and says why. What has no answer is known to who takes this one's place. */
static void do_without(worker_process *self, const dl_message *message) {
  if (message->kind == DL_MESSAGE_LOAD) {
    self->loads++;
    drop(self);
    tell_load(self, "a worker has no descriptor left for the app's files; raise the limit of open files, or lower max_connections");
    return;
  }
  dl_log_text(&self->server->loop.log, DL_LOG_ERROR, "no descriptor was left for what the master sent; this worker ends and is replaced");
  give_way(self);
}

static void act_on(worker_process *self, const dl_message *message, int *fd) {
  demilune_server *server = self->server;
  if (has_lost(message, *fd)) {
    do_without(self, message);
    return;
  }
  switch ((dl_message_kind)message->kind) {
    case DL_MESSAGE_SERVE: serve(self); break;
    case DL_MESSAGE_LOAD: load(self, message->number, *fd); break;
    case DL_MESSAGE_SWAP: swap(self, message->number); break;
    case DL_MESSAGE_DROP: drop(self); break;
    case DL_MESSAGE_STOP: stop(self, message->number); break;
    case DL_MESSAGE_TLS: dl_server_tls_replace(&server->tls, &server->worker, *fd); break;
    case DL_MESSAGE_NOTE: note(server, message->text); break;
    case DL_MESSAGE_LOG: change_log(server, fd); break;
    default: break;
  }
}

static void lay_by(worker_process *self) { self->spare = fcntl(self->channel, F_DUPFD_CLOEXEC, 3); }

static int receive(worker_process *self, int *fd) {
  if (self->spare >= 0) close(self->spare);
  self->spare = -1;
  return dl_channel_receive(self->channel, &self->message, fd);
}

/* A master that is gone replaces nobody and holds no socket: what is in flight is finished. */
static void on_message(uv_poll_t *poll, int status, int events) {
  worker_process *self = poll->data;
  int fd = -1, got = 1;
  (void)events;
  dl_clock_update(&self->server->loop.clock);
  while (status == 0 && (got = receive(self, &fd)) == 1) {
    act_on(self, &self->message, &fd);
    if (fd >= 0) close(fd);
    lay_by(self);
  }
  if (self->spare < 0) lay_by(self);
  if (status == 0 && got == 0) return;
  uv_poll_stop(poll);
  stop(self, 1);
}

/* --- life ------------------------------------------------------------------------------------ */

static void listen_to_master(worker_process *self) {
  dl_loop_expect(uv_poll_init(&self->server->uv, &self->poll, self->channel), "the master's channel");
  self->poll.data = self;
  lay_by(self);
  uv_poll_start(&self->poll, UV_READABLE, on_message);
}

/* Before any of the app's Lua, in a probe too: what a file does when it is loaded is no
 * more to be trusted than what it does later. */
static bool raise_walls(const dl_worker_start *start, int tells) {
  char error[512];
  bool raised = dl_walls_raise(start->options, tells, error);
  if (!raised) dl_channel_send(start->channel, DL_MESSAGE_FAILED, 0, error, -1);
  return raised;
}

int dl_worker_process(const dl_worker_start *start) {
  worker_process self = {.channel = start->channel, .spare = -1};
  char *error = NULL;
  prepare_signals();
  if (!raise_walls(start, start->world.index == 0 ? start->world.log_fd : -1)) return 1;
  self.server = dl_server_new(start->options, start->mode, &start->world, &error);
  if (!self.server) {
    dl_channel_send(start->channel, DL_MESSAGE_FAILED, 0, error, -1);
    dl_free(error);
    return 1;
  }
  listen_to_master(&self);
  dl_server_catch_terminate(self.server);
  dl_orphan_watch(start->world.beat, DL_STOP_PATIENCE_US);
  dl_channel_send(start->channel, DL_MESSAGE_READY, start->world.generation, NULL, -1);
  int status = dl_server_run_loop(self.server);
  demilune_server_free(self.server);
  return status;
}

static bool try_tls(const dl_server_world *world, char message[DL_TLS_MESSAGE_BYTES]) {
  if (!world->tls) return true;
  dl_tls_context *context = dl_tls_context_new(world->tls, NULL, NULL, message);
  dl_tls_context_drop(context);
  return context != NULL;
}

int dl_probe_process(const dl_worker_start *start) {
  uv_loop_t uv;
  dl_loop loop = {.uv = &uv};
  char *error = NULL;
  prepare_signals();
  if (!raise_walls(start, -1)) return 1;
  dl_hash_seed();
  dl_loop_expect(uv_loop_init(&uv), "an event loop");
  dl_clock_update(&loop.clock);
  /* The workers will say what there is to warn of. */
  dl_log_init(&loop.log, start->world.log_fd, DL_LOG_JSON, DL_LOG_ERROR, &loop.clock);
  const dl_server_world *world = &start->world;
  dl_generation_source source = {.folder = start->options->folder,
                                 .mode = start->mode,
                                 .files_fd = world->files_fd,
                                 .seed = world->seed,
                                 .workers = world->workers,
                                 .redis_url = start->options->redis_url};
  dl_generation *generation = dl_generation_load(&loop, &source, &error);
  char message[DL_TLS_MESSAGE_BYTES];
  if (generation && !try_tls(world, message)) dl_channel_send(start->channel, DL_MESSAGE_FAILED, 0, message, -1);
  else if (generation) dl_channel_send(start->channel, DL_MESSAGE_LOADED, 0, NULL, -1);
  else dl_channel_send(start->channel, DL_MESSAGE_FAILED, 0, error, -1);
  dl_free(error);
  if (generation) dl_generation_end(generation);
  dl_generation_free(generation);
  uv_run(&uv, UV_RUN_DEFAULT);
  uv_loop_close(&uv);
  dl_log_free(&loop.log);
  return 0;
}
