/* SPDX-License-Identifier: MIT */
#include "base/random.h"

#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* Without the system's randomness: the time and the process still differ from others'. */
void dl_random_seed(dl_random *random) {
  if (getrandom(random->state, sizeof random->state, 0) == sizeof random->state) return;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  *random = (dl_random){{(uint64_t)now.tv_sec, (uint64_t)now.tv_nsec, (uint64_t)getpid(), 0x9e3779b97f4a7c15u}};
}
