/* SPDX-License-Identifier: MIT */
#include "server/master.h"

#include "base/file_set.h"
#include "base/memory.h"
#include "base/plain_locale.h"
#include "base/standard_files.h"
#include "bridge/bridge.h"
#include "net/listener.h"
#include "server/options.h"
#include "server/walls.h"
#include "server/worker_process.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* --- signals ------------------------------------------------------------------------------- */

static int open_signals(void) {
  static const int ours[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
  sigset_t set;
  sigemptyset(&set);
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) sigaddset(&set, ours[i]);
  sigprocmask(SIG_BLOCK, &set, NULL);
  signal(SIGCHLD, SIG_DFL); /* ignored, as who started us may have left it, it has the system bury children that we would wait for */
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void tell_workers(dl_master *master, dl_message_kind kind, uint64_t number) {
  for (size_t i = 0; i < master->worker_count; i++)
    if (master->workers[i].channel >= 0) dl_channel_send(master->workers[i].channel, kind, number, NULL, -1);
}

static void hurry(dl_master *master) {
  for (size_t i = 0; i < master->worker_count; i++)
    if (master->workers[i].pid && master->workers[i].state == DL_CHILD_STARTING) kill(master->workers[i].pid, SIGKILL);
  tell_workers(master, DL_MESSAGE_STOP, 2);
}

void dl_master_stop(dl_master *master) {
  if (master->stopping) {
    hurry(master);
    return;
  }
  master->stopping = true;
  if (master->metrics) dl_metrics_set_phase(master->metrics, DL_SERVICE_DRAINING);
  dl_master_end_reload(master); /* before those that load are told to end */
  if (master->handed_on) dl_master_end_admin(master);
  if (master->announced) dl_log_text(&master->log, DL_LOG_INFO, "stopping: no new connections, requests in flight are finished");
  master->stop_at_us = master->clock.monotonic_us + DL_STOP_PATIENCE_US;
  if (master->announced && !master->handed_on) dl_notify_send(&master->notify, "STOPPING=1");
  if (master->reload.probe.pid) kill(master->reload.probe.pid, SIGKILL);
  bool nobody_after_us = master->announced && !master->handed_on;
  if (nobody_after_us && !master->sockets.of_systemd) dl_sockets_bar(&master->sockets);
  if (nobody_after_us) dl_sockets_bar(&master->tls.redirects);
  tell_workers(master, DL_MESSAGE_STOP, 1);
  dl_sockets_close(&master->sockets); /* the workers close theirs: from then on the system refuses */
  dl_sockets_close(&master->tls.redirects);
  for (size_t i = 0; i < master->worker_count; i++)
    if (master->workers[i].state == DL_CHILD_READY) master->workers[i].state = DL_CHILD_STOPPING;
}

/* Workers get the descriptor, for they may have given up the right to open the file. */
static void reopen_log(dl_master *master) {
  char message[256];
  if (!master->options->log_file) return;
  int fd = dl_log_open_file(master->options->log_file, message);
  if (fd < 0) {
    dl_log_text(&master->log, DL_LOG_WARNING, "%s; the old one is kept", message);
    return;
  }
  dl_log_set_fd(&master->log, fd);
  close(master->log_file);
  master->log_file = fd;
  for (size_t i = 0; i < master->worker_count; i++)
    if (master->workers[i].channel >= 0) dl_channel_send(master->workers[i].channel, DL_MESSAGE_LOG, 0, NULL, fd);
}

/* A service manager takes it from nobody but us who is in our place (NotifyAccess=main);
 * had it not heard, our end would be the service's. */
static void hand_on(dl_master *master) {
  char lines[64];
  master->handed_on = true;
  snprintf(lines, sizeof lines, "READY=1\nMAINPID=%d", (int)master->successor.pid);
  dl_notify_send(&master->notify, lines);
}

/* Whoever else ends us means the one that was to take over, too. */
static void be_told_to_stop(dl_master *master, pid_t by) {
  if (by && by == master->successor.pid) hand_on(master);
  else dl_master_end_successor(master);
  dl_master_stop(master);
}

static void be_told_to_reload(dl_master *master) {
  if (master->announced && !master->stopping) dl_master_reload(master);
  else if (master->stopping) dl_log_text(&master->log, DL_LOG_WARNING, "SIGHUP came while the server stops, and is ignored");
  else dl_log_text(&master->log, DL_LOG_WARNING, "SIGHUP came while the server starts, and is ignored: send it again once it listens");
}

static void act_on_signal(dl_master *master, uint32_t number, pid_t by) {
  switch (number) {
    case SIGTERM:
    case SIGINT: be_told_to_stop(master, by); break;
    case SIGHUP: be_told_to_reload(master); break;
    case SIGUSR1: reopen_log(master); break;
    case SIGUSR2: dl_master_upgrade(master); break;
    case SIGCHLD: dl_master_bury(master); break;
    default: break;
  }
}

static void read_signals(dl_master *master) {
  struct signalfd_siginfo info[8];
  ssize_t got;
  while ((got = read(master->signals, info, sizeof info)) > 0)
    for (size_t i = 0; i < (size_t)got / sizeof *info; i++) act_on_signal(master, info[i].ssi_signo, (pid_t)info[i].ssi_pid);
}

/* --- starting --------------------------------------------------------------------------------- */

static size_t count_cores(void) {
  cpu_set_t set;
  int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return (size_t)(count < 1 ? 1 : count);
}

/* Each address once: the sockets of one port are as many as the workers. */
static void announce(const dl_master *master) {
  const dl_sockets *sockets = &master->sockets;
  char place[DL_PLACE_BYTES], url[DL_PLACE_BYTES] = "";
  for (size_t i = 0; i < sockets->count; i++) {
    if (sockets->place[i]) continue;
    dl_sockets_describe(sockets->fds[i], master->tls.tickets ? "https" : "http", place);
    fprintf(stderr, "demilune: listening on %s\n", place);
    if (!dl_listener_is_unix(sockets->fds[i])) memcpy(url, place, sizeof url);
  }
  if (!*url) return;
  if (master->tls.redirects.count) fprintf(stderr, "demilune: sending those there who come to port %d without TLS\n", master->tls.redirects.port);
  if (master->options->mode == DEMILUNE_DEV) fprintf(stderr, "demilune: documentation on %s/docs; Ctrl-C ends\n", url);
}

/* One that was told to stop before that takes no other's place. */
void dl_master_became_ready(dl_master *master) {
  if (master->announced || master->stopping) return;
  for (size_t i = 0; i < master->worker_count; i++)
    if (master->workers[i].state != DL_CHILD_READY) return;
  master->announced = true;
  master->notify.told_us = master->clock.monotonic_us; /* by then the one before us has said who we are */
  dl_metrics_set_phase(master->metrics, DL_SERVICE_SERVING);
  master->generation = 1;
  dl_log_flush(&master->log);
  announce(master);
  dl_master_take_over(master);
}

void dl_master_give_up(dl_master *master, const char *problem) {
  fprintf(stderr, "demilune: %s\n", problem);
  master->status = 1;
  dl_master_stop(master);
}

static void make_seed(char out[65]) {
  unsigned char bytes[32];
  if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) abort(); /* never short for so few */
  for (size_t i = 0; i < sizeof bytes; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static const char *prepare(dl_master *master, char message[DL_TLS_MESSAGE_BYTES]) {
  const demilune_options *options = master->options;
  char path[PATH_MAX];
  dl_walls_hide(options); /* before it reads a key */
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  path[length > 0 ? length : 0] = 0;
  master->program = dl_strdup(path);
  master->worker_count = options->workers > 0 ? (size_t)options->workers : options->mode == DEMILUNE_DEV ? 1 : count_cores();
  if (master->worker_count > DL_WORKERS_MAX) master->worker_count = DL_WORKERS_MAX;
  if (options->log_file && (master->log_file = dl_log_open_file(options->log_file, message)) < 0) return message;
  if (master->log_file >= 0) dl_log_set_fd(&master->log, master->log_file);
  const char *problem = dl_sockets_open(&master->sockets, options, master->worker_count, message);
  if (!problem) problem = dl_admin_socket_open(&master->admin_socket, options->admin, message);
  if (!problem) problem = dl_master_tls_open(master, message);
  if (problem) return problem;
  if ((master->files = dl_file_set_collect(options->folder, message)) < 0) return message;
  make_seed(master->seed);
  master->limits = dl_limit_table_new(DL_LIMIT_TABLE_BYTES);
  master->clients = dl_client_table_new(master->worker_count);
  master->metrics = dl_metrics_new((uint32_t)master->worker_count);
  bool has_boards = dl_board_open(&master->board, DL_WORKERS_MAX, sizeof(dl_beat));
  has_boards = dl_board_open(&master->opened, master->worker_count, sizeof(dl_opened_files)) && has_boards;
  if (!master->limits || !master->clients || !master->metrics || !has_boards) return "the system has no memory for what workers share";
  dl_master_meet_predecessor(master);
  if ((master->signals = open_signals()) < 0) return "the system gives no descriptor for signals";
  dl_control_open(&master->control, options->folder);
  /* Of one that is not there, or is no folder, something better is said when it is loaded. */
  snprintf(path, sizeof path, "%s/.", options->folder);
  if (options->mode == DEMILUNE_DEV && !dl_watch_open(&master->watch, options->folder) && access(path, F_OK) == 0)
    dl_log_text(&master->log, DL_LOG_WARNING, "the system does not let us watch the app's files: send SIGHUP to load what you saved");
  dl_notify_init(&master->notify);
  dl_options_warn(options, &master->log);
  dl_lua_modules_compile();
  dl_memory_set_policy(DL_MEMORY_WAIT);
  dl_admin_socket_announce(&master->admin_socket, &master->log);
  return NULL;
}

/* --- the loop ------------------------------------------------------------------------------------ */

static nfds_t add_fd(struct pollfd *fds, nfds_t count, int fd) {
  if (fd < 0) return count;
  fds[count] = (struct pollfd){.fd = fd, .events = POLLIN};
  return count + 1;
}

static int wait_for_events(dl_master *master) {
  struct pollfd fds[DL_MASTER_FDS_MAX];
  nfds_t count = add_fd(fds, 0, master->signals);
  count = add_fd(fds, count, master->watch.fd);
  count = add_fd(fds, count, master->reload.probe.channel);
  count = add_fd(fds, count, master->successor.watch);
  /* Nobody is heard before: whoever comes waits in the queue. */
  if (master->announced && dl_control_has_room(&master->control)) count = add_fd(fds, count, master->control.fd);
  for (size_t i = 0; i < DL_CONTROL_CLIENTS_MAX; i++) count = add_fd(fds, count, master->control.clients[i].fd);
  for (size_t i = 0; i < master->worker_count; i++) count = add_fd(fds, count, master->workers[i].channel);
  int patience_ms = master->watch.due_us ? 10 : dl_master_patience(master);
  return poll(fds, count, patience_ms);
}

static void serve_control(dl_master *master) {
  dl_control *control = &master->control;
  dl_control_accept(control);
  for (size_t i = 0; i < DL_CONTROL_CLIENTS_MAX; i++)
    if (control->clients[i].fd >= 0 && dl_control_read(control, &control->clients[i], master->reload.state != DL_RELOAD_NONE)) dl_master_reload(master);
}

static void tick(dl_master *master) {
  uint64_t now_us = master->clock.monotonic_us;
  dl_master_databases_tick(master);
  dl_master_reload_tick(master);
  dl_master_tend_admin(master);
  dl_master_tend(master);
  dl_master_tend_successor(master);
  dl_master_tls_tick(master);
  if (master->announced && !master->handed_on) dl_notify_alive(&master->notify, now_us);
  dl_memory_keep_reserve();
  if (!master->stopping) return;
  master->over = true;
  for (size_t i = 0; i < master->worker_count; i++) {
    if (!master->workers[i].pid) continue;
    master->over = false;
    if (now_us < master->stop_at_us || master->workers[i].stuck) continue;
    master->status = 1;
    master->workers[i].stuck = true;
    kill(master->workers[i].pid, SIGKILL);
  }
}

static void turn(dl_master *master) {
  wait_for_events(master);
  dl_clock_update(&master->clock);
  for (size_t i = 0; i < master->worker_count; i++) dl_master_hear(master, &master->workers[i]);
  dl_master_hear(master, &master->reload.probe);
  read_signals(master);
  if (master->watch.fd >= 0) dl_watch_read(&master->watch, master->clock.monotonic_us);
  if (master->announced && !master->stopping) {
    serve_control(master);
    if (dl_watch_changed(&master->watch, master->clock.monotonic_us)) dl_master_reload(master);
  }
  tick(master);
  dl_log_flush(&master->log);
}

/* Whether another program serves on the same socket: our successor, or the one before us
 * when we did not come to serve. Its path is not ours to remove. */
static bool is_others(const dl_master *master, bool inherited) { return master->handed_on || (inherited && !master->announced); }

static void end(dl_master *master) {
  const dl_sockets *sockets = &master->sockets;
  bool keep_path = !sockets->any_unix || sockets->of_systemd || is_others(master, sockets->inherited);
  if (!keep_path && master->options->unix_path) unlink(master->options->unix_path);
  dl_sockets_close(&master->sockets);
  dl_master_end_admin(master);
  dl_admin_socket_close(&master->admin_socket, is_others(master, master->admin_socket.inherited));
  dl_master_tls_close(master);
  dl_control_close(&master->control);
  dl_watch_close(&master->watch);
  if (master->signals >= 0) close(master->signals);
  if (master->successor.watch >= 0) close(master->successor.watch);
  if (master->predecessor >= 0) close(master->predecessor);
  if (master->files >= 0) close(master->files);
  if (master->limits) dl_limit_table_free(master->limits);
  dl_client_table_free(master->clients);
  dl_metrics_free(master->metrics);
  dl_known_free(&master->known);
  dl_board_close(&master->opened);
  dl_board_close(&master->board);
  dl_log_free(&master->log);
  if (master->log_file >= 0) close(master->log_file);
  dl_free(master->program);
}

static int serve(const demilune_options *options) {
  dl_master *master = dl_calloc(1, sizeof *master);
  char message[DL_TLS_MESSAGE_BYTES];
  master->options = options;
  master->mode = options->mode == DEMILUNE_DEV ? "dev" : "serve";
  master->signals = master->watch.fd = master->control.fd = master->reload.probe.channel = master->files = master->reload.files = -1;
  master->log_file = master->admin_socket.fd = master->admin.channel = master->successor.watch = master->predecessor = -1;
  for (size_t i = 0; i < DL_WORKERS_MAX; i++) master->workers[i].channel = -1;
  for (size_t i = 0; i < DL_CONTROL_CLIENTS_MAX; i++) master->control.clients[i].fd = -1;
  dl_clock_update(&master->clock);
  dl_log_init(&master->log, STDERR_FILENO, options->mode == DEMILUNE_DEV ? DL_LOG_TEXT : DL_LOG_JSON, DL_LOG_INFO, &master->clock);
  const char *problem = prepare(master, message);
  if (problem) {
    fprintf(stderr, "demilune: %s\n", problem);
    master->status = 1;
    master->over = true;
  }
  if (!problem) tick(master);
  while (!master->over) turn(master);
  int status = master->status;
  end(master);
  dl_free(master);
  return status;
}

int demilune_serve(const demilune_options *options) {
  char message[DL_OPTIONS_MESSAGE_BYTES];
  const char *problem = dl_options_check(options, message);
  if (problem) {
    fprintf(stderr, "demilune: %s\n", problem);
    return 2;
  }
  dl_standard_files_hold();
  fflush(NULL); /* what the program has written is not for each child to write again */
  locale_t callers = dl_plain_locale_enter(); /* and the workers' that are forked from here */
  int status = serve(options);
  uselocale(callers);
  return status;
}
