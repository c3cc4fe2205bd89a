/* SPDX-License-Identifier: MIT */
/*
 * A wall clock that a test can set, preloaded into the real program: what the system
 * says plus the seconds in the file $JUMPING_CLOCK, a 64-bit number in the machine's
 * order. The file is mapped at the start, before walls are up, and read at each look.
 * The monotonic clock is left alone, as it is when somebody sets a machine's clock,
 * unless there is a second number: that many seconds the machine has run longer.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ahead_s;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("JUMPING_CLOCK");
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void *mapped = mmap(NULL, 2 * sizeof *ahead_s, /* what the file does not have is 0 */ PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped != MAP_FAILED) ahead_s = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *out) {
  static int (*real)(clockid_t clock, struct timespec *out);
  if (!real) {
    void *found = dlsym(RTLD_NEXT, "clock_gettime");
    __builtin_memcpy(&real, &found, sizeof real);
  }
  int result = real(clock, out);
  if (result == 0 && ahead_s && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) out->tv_sec += ahead_s[0];
  if (result == 0 && ahead_s && (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE)) out->tv_sec += ahead_s[1];
  return result;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  *out = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
  return 0;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}
