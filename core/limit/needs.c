/* SPDX-License-Identifier: MIT */
/* What the Redis store needs beside the loop: a connection out, and the store's name
 * looked up on the thread pool. The table in memory needs nothing: it is mapped before. */
#include "limit/redis.h"

#include <stddef.h>

static const char *const calls[] = {
    "connect",
    "sendmmsg", "recvmmsg", /* asking name servers */
    NULL};

/* glibc's resolver. Look-ups by other services than files and DNS load libraries, which no wall lets through. */
static const char *const read_paths[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services", NULL};

const dl_needs dl_limit_redis_needs = {.folder = "limit", .calls = calls, .read_paths = read_paths, .rights = DL_RIGHT_THREADS | DL_RIGHT_SOCKETS | DL_RIGHT_UNIX_SOCKETS};
