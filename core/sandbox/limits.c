/* SPDX-License-Identifier: MIT */
/*
 * Limits of the process. No RLIMIT_NPROC: it counts a user's processes over the whole
 * machine, containers included, so a number that is safe for us alone stops a
 * neighbour; forking is refused by the filter instead. No RLIMIT_FSIZE: databases grow.
 */
#include "sandbox/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

enum { FILES_MAX = 65536 };

/* Lowers hard and soft to at most max, and lifts soft to hard. */
static int bound(__rlimit_resource_t resource, rlim_t max) {
  struct rlimit limit;
  if (getrlimit(resource, &limit) != 0) return -1;
  if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > max) limit.rlim_max = max;
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(resource, &limit);
}

void dl_wall_limits(const dl_sandbox_options *options, dl_wall *wall) {
  dl_wall_set(wall, DL_WALL_UP, "%s", "");
  if (bound(RLIMIT_NOFILE, FILES_MAX) != 0 || bound(RLIMIT_CORE, 0) != 0) {
    dl_wall_set(wall, DL_WALL_MISSING, "%s", strerror(errno));
    return;
  }
  if (!options->max_memory) return;
  /* Private memory, not address space: the table of limits is shared by all workers
   * and LuaJIT reserves far more than it uses. A sanitizer's shadow is private memory. */
  if (DL_SANDBOX_SANITIZED) dl_wall_set(wall, DL_WALL_PARTLY, "no memory limit in a sanitizer's build");
  else if (bound(RLIMIT_DATA, (rlim_t)options->max_memory) != 0) dl_wall_set(wall, DL_WALL_PARTLY, "no memory limit: %s", strerror(errno));
}
