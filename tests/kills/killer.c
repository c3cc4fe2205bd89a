/* SPDX-License-Identifier: MIT */
/*
 * Ends the real program at a step that a test chooses, preloaded into it. A step is the
 * moment before or after a call by which processes, messages or files change. The file
 * $KILLER is mapped at the start, before walls are up: the test writes there which
 * process is meant and at which of its steps the signal comes, and reads how many steps
 * there were, and who was hit. Nothing happens while `at` is 0. With `file`, only calls
 * that change that file are steps.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct plan {
  int64_t role, at, signal; /* the test's */
  int64_t file;             /* likewise: its inode; 0: any call counts */
  int64_t steps, hit;       /* ours: steps of that role so far, and the process that was hit */
} plan;

enum { MASTER = 1, STARTING, WORKER, PROBE, ADMIN };

static plan *shared;
static int64_t role = MASTER;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("KILLER");
  int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void *mapped = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped != MAP_FAILED) shared = mapped;
}

static void count_step(void) {
  if (!shared || !shared->at || shared->role != role) return;
  if (__atomic_add_fetch(&shared->steps, 1, __ATOMIC_SEQ_CST) != shared->at) return;
  __atomic_store_n(&shared->hit, getpid(), __ATOMIC_SEQ_CST);
  void *found = dlsym(RTLD_NEXT, "kill");
  int (*real)(pid_t, int);
  memcpy(&real, &found, sizeof real);
  real(getpid(), (int)shared->signal);
}

static void step(void) {
  if (shared && !shared->file) count_step();
}

static void step_on(int fd) {
  struct stat what;
  if (shared && (!shared->file || (fstat(fd, &what) == 0 && (int64_t)what.st_ino == shared->file))) count_step();
}

#define WRAP_AT(take_step, result, name, parameters, ...) \
  result name parameters { \
    static result(*real) parameters; \
    if (!real) { \
      void *found = dlsym(RTLD_NEXT, #name); \
      memcpy(&real, &found, sizeof real); \
    } \
    take_step; \
    result value = real(__VA_ARGS__); \
    take_step; \
    return value; \
  }
#define WRAP(result, name, parameters, ...) WRAP_AT(step(), result, name, parameters, __VA_ARGS__)
#define WRAP_FILE(result, name, parameters, ...) WRAP_AT(step_on(fd), result, name, parameters, __VA_ARGS__)

WRAP(int, socketpair, (int family, int type, int protocol, int ends[2]), family, type, protocol, ends)
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), fd, message, flags)
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), fd, message, flags)
WRAP(int, memfd_create, (const char *name, unsigned flags), name, flags)
WRAP(int, kill, (pid_t pid, int number), pid, number)
WRAP(int, execv, (const char *path, char *const arguments[]), path, arguments)
WRAP_FILE(ssize_t, pwrite, (int fd, const void *data, size_t length, off_t at), fd, data, length, at)
WRAP_FILE(ssize_t, pwrite64, (int fd, const void *data, size_t length, off64_t at), fd, data, length, at)
WRAP_FILE(int, fsync, (int fd), fd)
WRAP_FILE(int, fdatasync, (int fd), fd)
WRAP_FILE(int, ftruncate, (int fd, off_t length), fd, length)
WRAP_FILE(int, ftruncate64, (int fd, off64_t length), fd, length)
WRAP(int, unlink, (const char *path), path)

/* Without an end it is only a look. */
pid_t waitpid(pid_t pid, int *status, int options) {
  static pid_t (*real)(pid_t, int *, int);
  if (!real) {
    void *found = dlsym(RTLD_NEXT, "waitpid");
    memcpy(&real, &found, sizeof real);
  }
  pid_t ended = real(pid, status, options);
  if (ended > 0) step();
  return ended;
}

pid_t fork(void) {
  void *found = dlsym(RTLD_NEXT, "fork");
  pid_t (*real)(void);
  memcpy(&real, &found, sizeof real);
  step();
  pid_t pid = real();
  if (pid == 0) role = STARTING;
  step();
  return pid;
}

int prctl(int option, ...) {
  void *found = dlsym(RTLD_NEXT, "prctl");
  int (*real)(int, ...);
  unsigned long values[4];
  va_list arguments;
  memcpy(&real, &found, sizeof real);
  va_start(arguments, option);
  for (int i = 0; i < 4; i++) values[i] = va_arg(arguments, unsigned long);
  va_end(arguments);
  if (option == PR_SET_NAME) {
    step(); /* the last one as a nameless child */
    const char *name = (const char *)values[0];
    if (strcmp(name, "demilune-worker") == 0) role = WORKER;
    if (strcmp(name, "demilune-probe") == 0) role = PROBE;
    if (strcmp(name, "demilune-admin") == 0) role = ADMIN;
    step();
  }
  return real(option, values[0], values[1], values[2], values[3]);
}
