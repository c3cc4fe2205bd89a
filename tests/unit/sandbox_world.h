/* SPDX-License-Identifier: MIT */
/*
 * A world for tests of the sandbox: an app's folder, a data folder, a listening port,
 * and children that raise the walls and then do one thing. What the thing came to is
 * the child's exit status: a wall cannot be taken down again, so each try is a process.
 */
#ifndef DL_TESTS_SANDBOX_WORLD_H
#define DL_TESTS_SANDBOX_WORLD_H

#include "unit.h"

#include "sandbox/sandbox.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

typedef struct world {
  char folder[64], app[96], data[96], file[128], outside[128];
  int listener;
  uint16_t port;
} world;

static inline void write_text(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
}

static inline void open_listener(world *w) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  w->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(w->listener, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(w->listener, 64), 0);
  assert_int_equal(getsockname(w->listener, (struct sockaddr *)&address, &length), 0);
  w->port = ntohs(address.sin_port);
}

static inline int open_world(void **state) {
  world *w = calloc(1, sizeof *w);
  strcpy(w->folder, "/tmp/demilune-walls-XXXXXX");
  assert_non_null(mkdtemp(w->folder));
  snprintf(w->app, sizeof w->app, "%s/app", w->folder);
  snprintf(w->data, sizeof w->data, "%s/data", w->folder);
  snprintf(w->file, sizeof w->file, "%s/app.lua", w->app);
  snprintf(w->outside, sizeof w->outside, "%s/outside", w->folder);
  assert_int_equal(mkdir(w->app, 0755) | mkdir(w->data, 0755), 0);
  write_text(w->file, "return 1\n");
  write_text(w->outside, "not ours\n");
  open_listener(w);
  *state = w;
  return 0;
}

static inline int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk) {
  (void)info;
  (void)type;
  (void)walk;
  return remove(path);
}

static inline int close_world(void **state) {
  world *w = *state;
  close(w->listener);
  nftw(w->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
  free(w);
  return 0;
}

/* The exit status of a child that raised the walls and then did the thing; 128 and the
 * signal when one ended it; 126 when the walls did not stand. A thing gives 0 if it
 * went well. The exit leaves out what the test's own process would do at its end. */
static inline int behind_walls(const world *w, const dl_sandbox_options *options, int (*thing)(const world *w)) {
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    dl_sandbox_report report;
    alarm(60);
    if (!freopen("/dev/null", "w", stderr)) _exit(125); /* what a part says as it fails is wanted */
    _exit(dl_sandbox_apply(options, &report) ? thing(w) : 126);
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

#endif
