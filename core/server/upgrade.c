/* SPDX-License-Identifier: MIT */
/*
 * A new program in the place of this one (SIGUSR2): started with the same arguments
 * on the same sockets; once it serves, it asks this one to finish what it has.
 *
 * It is our parent's child and not ours (CLONE_PARENT). systemd waits at a stop for its
 * own children alone: a main process that has another parent when systemd hears of it is
 * killed at once, and requests in flight with it. So each of the two is known to the
 * other by a descriptor of its process (pidfd_open(2)), as no wait(2) tells of it.
 */
#include "base/arena.h"
#include "server/master.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 128, COMMAND_BYTES = 32768, DATABASES_BYTES = 65536, VARIABLES_MAX = 5 };

/* What the new program is started with, made before it is forked: other threads of the
 * program around us may hold locks of the C library. */
typedef struct program_call {
  dl_arena arena;
  char *arguments[ARGUMENTS_MAX];
  char **environment;
  size_t variables;
} program_call;

/* --- what it is given ----------------------------------------------------------------- */

/* The arguments this process was started with. */
static bool read_command(program_call *call) {
  char *room = dl_arena_alloc(&call->arena, COMMAND_BYTES);
  int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC), count = 0;
  ssize_t length = fd < 0 ? -1 : read(fd, room, COMMAND_BYTES - 1);
  if (fd >= 0) close(fd);
  if (length <= 0) return false;
  room[length] = 0;
  for (char *at = room; at < room + length && count < ARGUMENTS_MAX - 1; at += strlen(at) + 1) call->arguments[count++] = at;
  call->arguments[count] = NULL;
  return true;
}

static void set(program_call *call, const char *name, const char *value) {
  size_t length = strlen(name), at = 0;
  while (at < call->variables && (strncmp(call->environment[at], name, length) != 0 || call->environment[at][length] != '=')) at++;
  call->environment[at] = dl_arena_format(&call->arena, "%s=%s", name, value);
  if (at == call->variables) call->environment[++call->variables] = NULL;
}

static void set_number(program_call *call, const char *name, int number) {
  char text[12];
  snprintf(text, sizeof text, "%d", number);
  set(call, name, text);
}

static void set_environment(program_call *call, const dl_master *master, int own) {
  char sockets[DL_SOCKETS_MAX * 12];
  char *databases = dl_arena_alloc(&call->arena, DATABASES_BYTES);
  while (environ[call->variables]) call->variables++;
  call->environment = dl_arena_alloc(&call->arena, (call->variables + VARIABLES_MAX + 1) * sizeof *call->environment);
  memcpy(call->environment, environ, (call->variables + 1) * sizeof *call->environment);
  dl_sockets_write(&master->tls.redirects, sockets, sizeof sockets);
  set(call, "DEMILUNE_REDIRECT_SOCKETS", sockets);
  dl_sockets_write(&master->sockets, sockets, sizeof sockets);
  set(call, "DEMILUNE_SOCKETS", sockets);
  dl_known_write(&master->known, databases, DATABASES_BYTES);
  set(call, "DEMILUNE_DATABASES", databases);
  set_number(call, "DEMILUNE_PREDECESSOR", own);
  if (master->admin_socket.fd >= 0) set_number(call, "DEMILUNE_ADMIN_SOCKET", master->admin_socket.fd);
}

/* --- starting it ------------------------------------------------------------------------ */

static void keep_open(int fd) {
  if (fd >= 0) fcntl(fd, F_SETFD, 0);
}

static _Noreturn void run_program(const dl_master *master, const program_call *call, int own) {
  sigset_t none;
  for (size_t i = 0; i < master->sockets.count; i++) keep_open(master->sockets.fds[i]);
  for (size_t i = 0; i < master->tls.redirects.count; i++) keep_open(master->tls.redirects.fds[i]);
  keep_open(master->admin_socket.fd);
  keep_open(own);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execve(master->program, call->arguments, call->environment);
  dprintf(STDERR_FILENO, "demilune: cannot run %s: %s\n", master->program, strerror(errno));
  _exit(127);
}

static void start(dl_master *master) {
  program_call call = {0};
  int watch = -1, own = pidfd_open(getpid(), 0);
  dl_arena_init(&call.arena, 0);
  if (own >= 0 && read_command(&call)) {
    set_environment(&call, master, own);
    long pid = syscall(SYS_clone, CLONE_PARENT | CLONE_PIDFD | SIGCHLD, NULL, &watch, NULL, NULL);
    if (pid == 0) run_program(master, &call, own);
    if (pid > 0) master->successor = (dl_successor){.pid = (pid_t)pid, .watch = watch};
  }
  if (!master->successor.pid) dl_log_text(&master->log, DL_LOG_ERROR, "no process could be made for the new program: %s", strerror(errno));
  if (own >= 0) close(own);
  dl_arena_free(&call.arena);
}

void dl_master_upgrade(dl_master *master) {
  if (master->successor.pid || master->stopping || !master->announced) {
    dl_log_text(&master->log, DL_LOG_WARNING, "SIGUSR2 came while the server starts, stops or is being replaced, and is ignored");
    return;
  }
  if (getpid() == 1) { /* it can hand its place to nobody, and all processes of the container end with it */
    dl_log_text(&master->log, DL_LOG_WARNING, "SIGUSR2 is ignored by the first process of a container: start a new container for a new program");
    return;
  }
  dl_log_text(&master->log, DL_LOG_INFO, "starting %s anew on the same sockets", master->program);
  dl_log_flush(&master->log);
  start(master);
}

/* --- watching it ------------------------------------------------------------------------- */

/* One that is stopped would stay behind with our sockets. */
static bool end_in_order(int process) {
  struct pollfd ended = {.fd = process, .events = POLLIN};
  if (poll(&ended, 1, 0) != 0 || pidfd_send_signal(process, SIGTERM, NULL, 0) != 0) return false;
  pidfd_send_signal(process, SIGCONT, NULL, 0);
  return true;
}

void dl_master_end_successor(dl_master *master) {
  if (master->successor.pid && !master->handed_on) end_in_order(master->successor.watch);
}

/* A debugger's stops are another letter. */
static bool is_stopped(pid_t pid) {
  char path[32], line[512];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
  if (fd >= 0) close(fd);
  line[length > 0 ? length : 0] = 0;
  const char *name_end = strrchr(line, ')');
  return name_end && strncmp(name_end, ") T", 3) == 0;
}

static void forget_successor(dl_master *master) {
  close(master->successor.watch);
  master->successor = (dl_successor){.watch = -1};
}

void dl_master_tend_successor(dl_master *master) {
  dl_successor *successor = &master->successor;
  struct pollfd ended = {.fd = successor->watch, .events = POLLIN};
  if (!successor->pid) return;
  if (poll(&ended, 1, 0) > 0) {
    if (!master->stopping) dl_log_text(&master->log, DL_LOG_ERROR, "the new program did not start; this one goes on");
    forget_successor(master);
  } else if (!master->handed_on && !is_stopped(successor->pid)) {
    successor->stopped_us = 0;
  } else if (!master->handed_on && !successor->stopped_us) {
    successor->stopped_us = master->clock.monotonic_us;
  } else if (!master->handed_on && dl_master_stopped_too_long(master, successor->stopped_us, "the new program", successor->pid)) {
    pidfd_send_signal(successor->watch, SIGKILL, NULL, 0);
  }
}

/* --- the one before us --------------------------------------------------------------------- */

void dl_master_meet_predecessor(dl_master *master) {
  const char *predecessor = getenv("DEMILUNE_PREDECESSOR"), *databases = getenv("DEMILUNE_DATABASES");
  master->predecessor = predecessor ? (int)strtol(predecessor, NULL, 10) : -1;
  if (master->predecessor >= 0) fcntl(master->predecessor, F_SETFD, FD_CLOEXEC);
  if (databases) dl_known_read(&master->known, databases);
  unsetenv("DEMILUNE_PREDECESSOR");
  unsetenv("DEMILUNE_DATABASES");
}

void dl_master_take_over(dl_master *master) {
  char lines[64];
  bool told = master->predecessor >= 0 && end_in_order(master->predecessor); /* it tells the service manager of us */
  if (master->predecessor >= 0) close(master->predecessor);
  master->predecessor = -1;
  if (told) return;
  snprintf(lines, sizeof lines, "READY=1\nMAINPID=%d", (int)getpid());
  dl_notify_send(&master->notify, lines);
}
