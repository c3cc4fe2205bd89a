/* SPDX-License-Identifier: MIT */
/*
 * The master's children: how they are started, heard, watched and replaced.
 */
#include "base/memory.h"
#include "server/master.h"
#include "server/orphan.h"
#include "server/worker_process.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint64_t START_LIMIT_US = 90000000, STOPPED_LIMIT_US = 10000000, HASTY_US = 200000, BACKOFF_US = 100000, BACKOFF_MAX_US = 10000000;
enum { HASTY_MAX = 20, WATCH_MS = 250, IDLE_MS = 1000 };

/* --- starting ----------------------------------------------------------------------------- */

/* The sockets of the others: whoever keeps one open keeps the port, and lets the system
 * take connections that nobody answers. A probe serves nobody and keeps none. */
static void close_sockets_of_others(const dl_sockets *sockets, size_t index, size_t workers, bool serves) {
  for (size_t i = 0; i < sockets->count; i++)
    if (!serves || !dl_sockets_is_for(sockets, i, index, workers)) close(sockets->fds[i]);
}

/* A child keeps of the master's descriptors only what is its own. */
void dl_master_close_in_child(dl_master *master, int keep) {
  for (size_t i = 0; i < master->worker_count; i++)
    if (master->workers[i].channel >= 0 && master->workers[i].channel != keep) close(master->workers[i].channel);
  if (master->admin.channel >= 0) close(master->admin.channel);
  if (master->reload.probe.channel >= 0 && master->reload.probe.channel != keep) close(master->reload.probe.channel);
  if (master->successor.watch >= 0) close(master->successor.watch);
  if (master->predecessor >= 0) close(master->predecessor);
  close(master->signals);
  dl_control_close(&master->control);
  dl_watch_close(&master->watch);
}

/* Whoever still loads when the master is killed hears of it in no other way, and an app
 * that never comes to an end would load for ever. A worker that serves finishes; one
 * that is stuck is ended (orphan.h). */
static void end_with_master(pid_t master, bool serves) {
  prctl(PR_SET_PDEATHSIG, serves ? DL_ORPHAN_SIGNAL : SIGKILL);
  if (getppid() != master) _exit(1);
}

/* The sanitizers' search for leaks, where they are. It does not look for pointers where
 * OpenSSL keeps its generators' secrets, so those have to be gone before. */
extern void __lsan_do_leak_check(void) __attribute__((weak));

/* What the program around the master does at its end, such as removing its files, is not a child's to do: exit() would. */
static _Noreturn void end_child(int status) {
  if (__lsan_do_leak_check) {
    OPENSSL_cleanup();
    __lsan_do_leak_check();
  }
  fflush(NULL);
  _exit(status);
}

static _Noreturn void run_child(dl_master *master, size_t index, int channel, int (*run)(const dl_worker_start *)) {
  bool is_probe = run == dl_probe_process;
  dl_opened opened = {.own = is_probe ? NULL : dl_board_at(&master->opened, index), .known = &master->known};
  dl_worker_start start = {.options = master->options, .mode = master->mode, .channel = channel};
  start.world = (dl_server_world){.limits = master->limits,
                                  .clients = master->clients,
                                  .sockets = &master->sockets,
                                  .tls = !master->tls.tickets ? NULL : is_probe ? &master->tls.next : &master->tls.material,
                                  .tickets = master->tls.tickets,
                                  .redirects = &master->tls.redirects,
                                  .index = index,
                                  .workers = master->worker_count,
                                  .beat = is_probe ? NULL : dl_board_at(&master->board, index), /* nobody watches a probe but by the clock */
                                  .opened = is_probe ? NULL : &opened,
                                  .files_fd = is_probe ? master->reload.files : master->files,
                                  .seed = master->options->mode == DEMILUNE_DEV ? master->seed : NULL,
                                  .generation = master->generation ? master->generation : 1,
                                  .metrics = master->metrics,
                                  .log_fd = master->log.fd};
  prctl(PR_SET_NAME, run == dl_worker_process ? "demilune-worker" : "demilune-probe");
  end_child(run(&start));
}

static bool start_child(dl_master *master, dl_child *child, size_t index, int (*run)(const dl_worker_start *)) {
  int ends[2];
  if (!dl_channel_open(ends)) return false;
  dl_log_flush(&master->log);
  pid_t own = getpid(), pid = fork();
  if (pid == 0) {
    dl_memory_set_policy(DL_MEMORY_END);
    dl_memory_give_back_large();
    end_with_master(own, run == dl_worker_process);
    close(ends[0]);
    dl_master_close_in_child(master, ends[1]);
    dl_board_keep(&master->board, run == dl_worker_process ? index : master->board.count);
    dl_board_keep(&master->opened, run == dl_worker_process ? index : master->opened.count);
    dl_admin_socket_close(&master->admin_socket, true);
    close_sockets_of_others(&master->sockets, index, master->worker_count, run == dl_worker_process);
    close_sockets_of_others(&master->tls.redirects, index, master->worker_count, run == dl_worker_process);
    run_child(master, index, ends[1], run);
  }
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return false;
  }
  child->pid = pid;
  child->channel = ends[0];
  child->state = DL_CHILD_STARTING;
  child->step = DL_STEP_NONE;
  child->loads = 0;
  child->serves = child->stuck = false;
  child->stopped_us = 0;
  child->began_us = master->clock.monotonic_us;
  return true;
}

bool dl_master_start_worker(dl_master *master, size_t index) {
  dl_beat_reset(dl_board_at(&master->board, index));
  dl_master_databases_begin(master, index);
  dl_sockets_listen_again(&master->sockets);
  dl_sockets_listen_again(&master->tls.redirects);
  return start_child(master, &master->workers[index], index, dl_worker_process);
}

bool dl_master_start_probe(dl_master *master) {
  return start_child(master, &master->reload.probe, DL_WORKERS_MAX - 1, dl_probe_process);
}

/* --- hearing -------------------------------------------------------------------------------- */

static void heard(dl_master *master, dl_child *child, const dl_message *message) {
  if (message->kind == DL_MESSAGE_READY) {
    if (child->state == DL_CHILD_STARTING) dl_master_databases_started(master, child);
    child->state = DL_CHILD_READY;
    child->began_us = master->clock.monotonic_us;
    child->failures = 0;
    if (master->announced) dl_metrics_count_event(master->metrics, DL_EVENT_WORKER_REPLACED);
    dl_master_became_ready(master);
    dl_master_reload_heard(master, child, message);
  } else if (message->kind == DL_MESSAGE_FAILED && child->state == DL_CHILD_STARTING && child != &master->reload.probe) {
    dl_free(child->problem);
    child->problem = dl_strdup(message->text);
  } else {
    dl_master_reload_heard(master, child, message);
  }
}

/* So many at a time: one that talks without end keeps nobody else from being heard. */
void dl_master_hear(dl_master *master, dl_child *child) {
  enum { HEARD_AT_ONCE = 64 };
  dl_message message;
  int fd;
  for (int count = 0; child->channel >= 0 && count < HEARD_AT_ONCE; count++) {
    int got = dl_channel_receive(child->channel, &message, &fd);
    if (fd >= 0) close(fd); /* children hand nothing over */
    if (got == 0) return;
    if (got < 0) { /* its end is told by the system */
      close(child->channel);
      child->channel = -1;
      return;
    }
    heard(master, child, &message);
  }
}

/* --- ends ------------------------------------------------------------------------------------ */

static const char *how_it_ended(int status, char out[64]) {
  if (WIFSIGNALED(status)) snprintf(out, 64, "signal %d (%s)", WTERMSIG(status), sigdescr_np(WTERMSIG(status)));
  else snprintf(out, 64, "status %d", WEXITSTATUS(status));
  return out;
}

/* The first tries cost nothing; one that fails again and again is tried less and less. */
static void plan_restart(dl_master *master, dl_child *child, bool was_ready) {
  uint64_t now_us = master->clock.monotonic_us, pause_us = 0;
  if (was_ready) {
    child->hasty = now_us - child->began_us < HASTY_US ? child->hasty + 1 : 0;
    if (child->hasty > HASTY_MAX) pause_us = BACKOFF_US * 10;
  } else {
    uint32_t doublings = child->failures < 7 ? child->failures : 7;
    pause_us = BACKOFF_US << doublings;
    child->failures++;
  }
  child->start_at_us = now_us + (pause_us < BACKOFF_MAX_US ? pause_us : BACKOFF_MAX_US);
}

static void worker_ended(dl_master *master, dl_child *child, int status) {
  char how[64];
  size_t number = (size_t)(child - master->workers) + 1;
  bool was_ready = child->state == DL_CHILD_READY, stuck = child->stuck;
  dl_child_state state = child->state;
  child->state = DL_CHILD_NONE;
  dl_client_table_clear(master->clients, number - 1);
  dl_metrics_worker_gone(master->metrics, (uint32_t)number - 1);
  if (state == DL_CHILD_STOPPING || master->stopping) {
    if (status != 0) master->status = 1;
    return;
  }
  if (!master->announced) {
    char problem[128];
    snprintf(problem, sizeof problem, "worker %zu ended by %s while the server started", number, how_it_ended(status, how));
    dl_master_give_up(master, child->problem ? child->problem : problem);
    return;
  }
  dl_metrics_count_event(master->metrics, DL_EVENT_WORKER_DIED);
  if (child->problem) dl_log_text(&master->log, DL_LOG_ERROR, "worker %zu could not start: %s", number, child->problem);
  else if (!stuck) dl_log_text(&master->log, DL_LOG_ERROR, "worker %zu (process %d) ended by %s and is replaced", number, (int)child->pid, how_it_ended(status, how));
  plan_restart(master, child, was_ready);
}

static void ended(dl_master *master, dl_child *child, int status) {
  dl_master_hear(master, child);
  if (child->channel >= 0) close(child->channel);
  child->channel = -1;
  if (child != &master->reload.probe) worker_ended(master, child, status);
  child->state = DL_CHILD_NONE;
  child->pid = 0;
  child->step = DL_STEP_NONE;
  dl_free(child->problem);
  child->problem = NULL;
  dl_master_reload_lost(master, child); /* the next process may have its place by then */
}

static dl_child *child_of(dl_master *master, pid_t pid) {
  for (size_t i = 0; i < master->worker_count; i++)
    if (master->workers[i].pid == pid) return &master->workers[i];
  return master->reload.probe.pid == pid ? &master->reload.probe : NULL;
}

static uint64_t *stop_of(dl_master *master, pid_t pid) {
  dl_child *child = child_of(master, pid);
  if (child) return &child->stopped_us;
  return pid == master->admin.pid ? &master->admin.stopped_us : NULL;
}

static void paused(dl_master *master, pid_t pid, bool stopped) {
  uint64_t *stopped_us = stop_of(master, pid);
  if (stopped_us) *stopped_us = stopped ? master->clock.monotonic_us : 0;
}

void dl_master_bury(dl_master *master) {
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0;) {
    dl_child *child = child_of(master, pid);
    if (WIFSTOPPED(status) || WIFCONTINUED(status)) {
      paused(master, pid, WIFSTOPPED(status));
    } else if (child) {
      ended(master, child, status);
    } else if (pid == master->admin.pid) {
      dl_master_admin_ended(master, status);
    }
  }
}

/* --- watching ---------------------------------------------------------------------------------- */

/* It holds connections of others, which are lost with it; they would wait for ever. */
static void replace_stuck(dl_master *master, dl_child *child, size_t index) {
  const dl_beat *beat = dl_board_at(&master->board, index);
  uint64_t now_us = master->clock.monotonic_us;
  char label[DL_BEAT_LABEL_BYTES];
  if (child->stuck) return;
  if (child->state == DL_CHILD_STARTING && dl_beat_is_opening(beat) && !dl_beat_is_stuck(beat, now_us)) child->began_us = now_us;
  if (child->state == DL_CHILD_STARTING && now_us > child->began_us + START_LIMIT_US) {
    char problem[160];
    snprintf(problem, sizeof problem, "the app did not come to serve within %u s: its files, or a function of app:on_start, do not come to an end",
             (unsigned)(START_LIMIT_US / 1000000));
    dl_free(child->problem);
    child->problem = dl_strdup(problem); /* told when it has ended */
  } else if (child->state != DL_CHILD_STARTING && dl_beat_is_stuck(beat, now_us)) {
    memcpy(label, beat->label, sizeof label);
    label[sizeof label - 1] = 0;
    uint64_t since_us = atomic_load(&beat->since_us);
    dl_log_text(&master->log, DL_LOG_ERROR, "worker %zu (process %d) was stuck for %.1f s in %s and is replaced; it never waited for anything", index + 1, (int)child->pid,
                since_us && now_us > since_us ? (double)(now_us - since_us) / 1e6 : 0.0, label);
  } else {
    return;
  }
  child->stuck = true;
  kill(child->pid, SIGKILL);
}

bool dl_master_stopped_too_long(dl_master *master, uint64_t stopped_us, const char *what, pid_t pid) {
  if (!stopped_us || master->clock.monotonic_us < stopped_us + STOPPED_LIMIT_US) return false;
  dl_log_text(&master->log, DL_LOG_ERROR, "%s (process %d) was stopped for %u s and is ended", what, (int)pid, (unsigned)(STOPPED_LIMIT_US / 1000000));
  return true;
}

/* One that is stopped and not continued answers no client, no reload and no order to end.
 * A debugger's stops are not told to us, and end nobody. */
static bool end_stopped(dl_master *master, pid_t pid, uint64_t *stopped_us, const char *what) {
  if (!pid || !dl_master_stopped_too_long(master, *stopped_us, what, pid)) return false;
  *stopped_us = 0;
  return kill(pid, SIGKILL) == 0;
}

static void tend_stopped(dl_master *master) {
  dl_child *probe = &master->reload.probe;
  for (size_t i = 0; i < master->worker_count; i++) {
    char name[32];
    snprintf(name, sizeof name, "worker %zu", i + 1);
    if (end_stopped(master, master->workers[i].pid, &master->workers[i].stopped_us, name)) master->workers[i].stuck = true;
  }
  if (end_stopped(master, probe->pid, &probe->stopped_us, "the process that tries the app")) probe->stuck = true;
  end_stopped(master, master->admin.pid, &master->admin.stopped_us, "the admin process");
}

/* During a reload nobody is started: it would be of neither generation. */
void dl_master_tend(dl_master *master) {
  tend_stopped(master);
  for (size_t i = 0; i < master->worker_count; i++) {
    dl_child *child = &master->workers[i];
    if (child->pid) {
      replace_stuck(master, child, i);
      continue;
    }
    bool due = !master->stopping && master->reload.state == DL_RELOAD_NONE && master->clock.monotonic_us >= child->start_at_us;
    /* At the first start the first worker migrates the databases; the others come when it serves. */
    if (due && !master->announced && i > 0 && master->workers[0].state != DL_CHILD_READY) continue;
    if (!due || dl_master_start_worker(master, i)) continue;
    dl_log_text(&master->log, DL_LOG_ERROR, "no process could be made for worker %zu: %s", i + 1, strerror(errno));
    plan_restart(master, child, false);
  }
}

int dl_master_patience(const dl_master *master) {
  int patience_ms = IDLE_MS;
  for (size_t i = 0; i < master->worker_count; i++) {
    const dl_child *child = &master->workers[i];
    if (child->pid) patience_ms = WATCH_MS;
    else if (!master->stopping && child->start_at_us <= master->clock.monotonic_us + 10000) return 10;
  }
  return patience_ms;
}
