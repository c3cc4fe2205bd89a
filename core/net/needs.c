/* SPDX-License-Identifier: MIT */
/* What the loop and streams need. No socket, no bind and no listen, which finds a port by
 * itself: the sockets that are listened on were opened by the master. */
#include "net/loop.h"

#include <stddef.h>

static const char *const calls[] = {
    "epoll_create1", "epoll_create", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", /* the loop */
    "eventfd2", "pipe2", "poll", "ppoll",                                                      /* what wakes it: other threads, signals */
    "accept", "accept4", "getpeername", "getsockname", "setsockopt", "getsockopt", "shutdown", /* connections */
    "recvfrom", "recvmsg", "sendto", "sendmsg",
    NULL};

const dl_needs dl_net_needs = {.folder = "net", .calls = calls};
