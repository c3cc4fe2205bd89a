/* SPDX-License-Identifier: MIT */
/*
 * The process that answers on the admin listener: apart from workers, so that no
 * handler can keep a health check waiting, and from the master, which parses nothing
 * that comes from outside. It reads shared memory, and is started anew when it ends.
 */
#include "base/memory.h"
#include "server/master.h"
#include "server/walls.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint64_t PAUSE_US = 1000000;

static void on_prepare(uv_prepare_t *prepare) { dl_log_flush(&((dl_loop *)prepare->data)->log); }

/* Nothing ever comes over it but its end, which is the master's. */
static void on_master_gone(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  uv_stop(poll->loop);
}

static int serve_admin(dl_master *master, int channel) {
  uv_loop_t uv;
  uv_prepare_t flush;
  uv_poll_t poll;
  dl_loop loop = {.uv = &uv};
  char message[512];
  dl_admin_source source = {.metrics = master->metrics, .limits = master->limits};
  dl_loop_expect(uv_loop_init(&uv), "an event loop");
  dl_clock_update(&loop.clock);
  dl_log_init(&loop.log, STDERR_FILENO, master->log.format, DL_LOG_INFO, &loop.clock);
  uv_prepare_init(&uv, &flush);
  flush.data = &loop;
  uv_prepare_start(&flush, on_prepare);
  dl_loop_expect(uv_poll_init(&uv, &poll, channel), "the master's channel");
  uv_poll_start(&poll, UV_READABLE | UV_DISCONNECT, on_master_gone);
  if (dl_walls_raise_admin(master->options, message) && dl_admin_start(&loop, &master->admin_socket, &source, message)) return uv_run(&uv, UV_RUN_DEFAULT) != 0;
  dl_log_text(&loop.log, DL_LOG_ERROR, "the admin listener cannot answer: %s", message);
  return 1;
}

/* It holds nothing that would have to be put in order when it ends. */
static _Noreturn void run_admin(dl_master *master, int channel) {
  static const int ignored[] = {SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGXFSZ};
  sigset_t none;
  prctl(PR_SET_NAME, "demilune-admin");
  dl_memory_set_policy(DL_MEMORY_END);
  for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
  signal(SIGTERM, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  dl_master_close_in_child(master, channel);
  dl_board_keep(&master->board, master->board.count);
  dl_board_keep(&master->opened, master->opened.count);
  dl_sockets_close(&master->sockets);
  dl_master_tls_close(master); /* nobody who comes to it may find keys, nor the app's secrets in its files */
  if (master->files >= 0) close(master->files);
  if (master->reload.files >= 0) close(master->reload.files);
  if (master->log_file >= 0) close(master->log_file); /* it would keep one that was moved away */
  _exit(serve_admin(master, channel));
}

/* Beside a program that still serves on the same socket, its answers are the right ones
 * until our workers serve. */
void dl_master_tend_admin(dl_master *master) {
  dl_child *admin = &master->admin;
  if (master->admin_socket.fd < 0 || admin->pid || master->handed_on || master->clock.monotonic_us < admin->start_at_us) return;
  if (master->admin_socket.inherited && !master->announced) return;
  int ends[2];
  admin->start_at_us = master->clock.monotonic_us + PAUSE_US;
  if (!dl_channel_open(ends)) return;
  dl_log_flush(&master->log);
  pid_t pid = fork();
  if (pid == 0) {
    close(ends[0]);
    run_admin(master, ends[1]);
  }
  close(ends[1]);
  if (pid < 0) close(ends[0]);
  else *admin = (dl_child){.pid = pid, .channel = ends[0], .start_at_us = admin->start_at_us};
}

static void bury(dl_child *admin) {
  close(admin->channel);
  admin->channel = -1;
  admin->pid = 0;
}

void dl_master_admin_ended(dl_master *master, int status) {
  bury(&master->admin);
  if (!master->stopping)
    dl_log_text(&master->log, DL_LOG_ERROR, "the admin process ended by %s %d and is replaced", WIFSIGNALED(status) ? "signal" : "status",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

void dl_master_end_admin(dl_master *master) {
  if (!master->admin.pid) return;
  kill(master->admin.pid, SIGKILL);
  waitpid(master->admin.pid, NULL, 0);
  bury(&master->admin);
}
