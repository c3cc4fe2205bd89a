/* SPDX-License-Identifier: MIT */
/*
 * The process that answers on the admin listener: apart from workers, so that no
 * handler can keep a health check waiting, and from the master, which parses nothing
 * that comes from outside. It reads shared memory, and is started anew when it ends.
 */
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

static int serve_admin(dl_master *master) {
  uv_loop_t uv;
  uv_prepare_t flush;
  dl_loop loop = {.uv = &uv};
  char message[256], walls[512];
  dl_admin_source source = {.metrics = master->metrics, .limits = master->limits};
  uv_loop_init(&uv);
  dl_clock_update(&loop.clock);
  dl_log_init(&loop.log, STDERR_FILENO, master->log.format, DL_LOG_INFO, &loop.clock);
  uv_prepare_init(&uv, &flush);
  flush.data = &loop;
  uv_prepare_start(&flush, on_prepare);
  if (!dl_walls_raise_admin(master->options, walls)) {
    dl_log_text(&loop.log, DL_LOG_ERROR, "%s", walls);
    return 1;
  }
  if (dl_admin_start(&loop, &master->admin_socket, &source, message)) return uv_run(&uv, UV_RUN_DEFAULT);
  dl_log_text(&loop.log, DL_LOG_ERROR, "%s", message);
  return 1;
}

/* It holds nothing that would have to be put in order, and ends with its master. */
static _Noreturn void run_admin(dl_master *master, pid_t parent) {
  static const int ignored[] = {SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGXFSZ};
  sigset_t none;
  prctl(PR_SET_NAME, "demilune-admin");
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(0);
  for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
  signal(SIGTERM, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  dl_master_close_in_child(master, -1);
  dl_sockets_close(&master->sockets);
  dl_master_tls_close(master); /* nobody who comes to it may find keys */
  if (master->log_file >= 0) close(master->log_file); /* it would keep one that was moved away */
  _exit(serve_admin(master));
}

/* Beside a program that still serves on the same socket, its answers are the right ones
 * until our workers serve. */
void dl_master_tend_admin(dl_master *master) {
  dl_child *admin = &master->admin;
  if (master->admin_socket.fd < 0 || admin->pid || master->handed_on || master->clock.monotonic_us < admin->start_at_us) return;
  if (master->admin_socket.inherited && !master->announced) return;
  pid_t parent = getpid();
  dl_log_flush(&master->log);
  pid_t pid = fork();
  if (pid == 0) run_admin(master, parent);
  if (pid > 0) admin->pid = pid;
  admin->start_at_us = master->clock.monotonic_us + PAUSE_US;
}

void dl_master_admin_ended(dl_master *master, int status) {
  master->admin.pid = 0;
  if (!master->stopping)
    dl_log_text(&master->log, DL_LOG_ERROR, "the admin process ended by %s %d and is replaced", WIFSIGNALED(status) ? "signal" : "status",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

void dl_master_end_admin(dl_master *master) {
  if (!master->admin.pid) return;
  kill(master->admin.pid, SIGKILL);
  waitpid(master->admin.pid, NULL, 0);
  master->admin.pid = 0;
}
