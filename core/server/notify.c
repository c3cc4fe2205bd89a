/* SPDX-License-Identifier: MIT */
#include "server/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void dl_notify_init(dl_notify *notify) {
  const char *address = getenv("NOTIFY_SOCKET"), *watchdog = getenv("WATCHDOG_USEC");
  *notify = (dl_notify){0};
  if (address && strlen(address) < sizeof notify->address && (*address == '/' || *address == '@')) strcpy(notify->address, address);
  if (watchdog) notify->watchdog_us = strtoull(watchdog, NULL, 10) / 2;
}

void dl_notify_send(const dl_notify *notify, const char *lines) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(notify->address);
  if (!length) return;
  memcpy(address.sun_path, notify->address, length);
  if (*notify->address == '@') address.sun_path[0] = 0; /* a name that is no file */
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  sendto(fd, lines, strlen(lines), MSG_NOSIGNAL, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
  close(fd);
}

void dl_notify_reloading(const dl_notify *notify, uint64_t monotonic_us) {
  char lines[64];
  snprintf(lines, sizeof lines, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)monotonic_us);
  dl_notify_send(notify, lines);
}

void dl_notify_alive(dl_notify *notify, uint64_t monotonic_us) {
  if (!notify->watchdog_us || monotonic_us < notify->told_us + notify->watchdog_us / 2) return;
  notify->told_us = monotonic_us;
  dl_notify_send(notify, "WATCHDOG=1");
}
