/* SPDX-License-Identifier: MIT */
/*
 * Telling the service manager how it stands, as sd_notify(3) describes: READY,
 * RELOADING, STOPPING, MAINPID, WATCHDOG. Nothing happens where nobody listens.
 */
#ifndef DL_SERVER_NOTIFY_H
#define DL_SERVER_NOTIFY_H

#include <stdint.h>

typedef struct dl_notify {
  char address[108]; /* NOTIFY_SOCKET; empty: nobody listens */
  uint64_t watchdog_us, told_us; /* how often it wants to hear from us; 0: never */
} dl_notify;

/* Reads NOTIFY_SOCKET and WATCHDOG_USEC; the program that replaces us needs them too. */
void dl_notify_init(dl_notify *notify);

/* Lines such as "READY=1\nMAINPID=7". */
void dl_notify_send(const dl_notify *notify, const char *lines);
void dl_notify_reloading(const dl_notify *notify, uint64_t monotonic_us);

/* Tells the watchdog that the master is alive, when it is time to. */
void dl_notify_alive(dl_notify *notify, uint64_t monotonic_us);

#endif
