/* SPDX-License-Identifier: MIT */
/*
 * A new program in the place of this one (SIGUSR2): started with the same arguments
 * on the same sockets; once it serves, it asks this one to finish what it has.
 */
#include "server/master.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 128, COMMAND_BYTES = 32768, DATABASES_BYTES = 65536 };

/* The arguments this process was started with. */
static bool read_command(char *room, char *arguments[ARGUMENTS_MAX]) {
  int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC), count = 0;
  ssize_t length = fd < 0 ? -1 : read(fd, room, COMMAND_BYTES - 1);
  if (fd >= 0) close(fd);
  if (length <= 0) return false;
  room[length] = 0;
  for (char *at = room; at < room + length && count < ARGUMENTS_MAX - 1; at += strlen(at) + 1) arguments[count++] = at;
  arguments[count] = NULL;
  return true;
}

static _Noreturn void run_program(dl_master *master) {
  static char room[COMMAND_BYTES];
  static char databases[DATABASES_BYTES];
  char *arguments[ARGUMENTS_MAX], sockets[DL_SOCKETS_MAX * 12], pid[24];
  sigset_t none;
  if (!read_command(room, arguments)) _exit(127);
  for (size_t i = 0; i < master->sockets.count; i++) fcntl(master->sockets.fds[i], F_SETFD, 0);
  for (size_t i = 0; i < master->tls.redirects.count; i++) fcntl(master->tls.redirects.fds[i], F_SETFD, 0);
  dl_sockets_write(&master->tls.redirects, sockets, sizeof sockets);
  setenv("DEMILUNE_REDIRECT_SOCKETS", sockets, 1);
  dl_sockets_write(&master->sockets, sockets, sizeof sockets);
  snprintf(pid, sizeof pid, "%d", (int)getppid());
  setenv("DEMILUNE_SOCKETS", sockets, 1);
  setenv("DEMILUNE_PREDECESSOR", pid, 1);
  dl_known_write(&master->known, databases, sizeof databases);
  setenv("DEMILUNE_DATABASES", databases, 1);
  if (master->admin_socket.fd >= 0) {
    fcntl(master->admin_socket.fd, F_SETFD, 0);
    snprintf(pid, sizeof pid, "%d", master->admin_socket.fd);
    setenv("DEMILUNE_ADMIN_SOCKET", pid, 1);
  }
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execv(master->program, arguments);
  fprintf(stderr, "demilune: cannot run %s: %s\n", master->program, strerror(errno));
  _exit(127);
}

void dl_master_upgrade(dl_master *master) {
  if (master->successor || master->stopping || !master->announced) {
    dl_log_text(&master->log, DL_LOG_WARNING, "SIGUSR2 came while the server starts, stops or is being replaced, and is ignored");
    return;
  }
  if (getpid() == 1) { /* it can hand its place to nobody, and all processes of the container end with it */
    dl_log_text(&master->log, DL_LOG_WARNING, "SIGUSR2 is ignored by the first process of a container: start a new container for a new program");
    return;
  }
  dl_log_text(&master->log, DL_LOG_INFO, "starting %s anew on the same sockets", master->program);
  dl_log_flush(&master->log);
  pid_t pid = fork();
  if (pid == 0) run_program(master);
  if (pid < 0) dl_log_text(&master->log, DL_LOG_ERROR, "no process could be made for the new program: %s", strerror(errno));
  else master->successor = pid, master->successor_stopped_us = 0;
}

void dl_master_take_databases(dl_master *master) {
  const char *lines = getenv("DEMILUNE_DATABASES");
  if (lines) dl_known_read(&master->known, lines);
  unsetenv("DEMILUNE_DATABASES");
}

void dl_master_take_over(dl_master *master) {
  const char *predecessor = getenv("DEMILUNE_PREDECESSOR");
  char lines[64];
  long pid = predecessor ? strtol(predecessor, NULL, 10) : 0;
  unsetenv("DEMILUNE_PREDECESSOR");
  if (pid > 1 && pid == getppid()) { /* it tells the service manager of us */
    kill((pid_t)pid, SIGTERM);
    kill((pid_t)pid, SIGCONT); /* one that is stopped would let its workers serve beside ours */
    return;
  }
  snprintf(lines, sizeof lines, "READY=1\nMAINPID=%d", (int)getpid());
  dl_notify_send(&master->notify, lines);
}
