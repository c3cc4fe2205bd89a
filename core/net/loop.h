/* SPDX-License-Identifier: MIT */
/*
 * What every part of one worker shares: its event loop, the clock that is read
 * once per turn of it, and the log. One per process, passed, never global.
 */
#ifndef DL_NET_LOOP_H
#define DL_NET_LOOP_H

#include "base/beat.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/needs.h"

#include <uv.h>

struct dl_listener;

typedef struct dl_loop {
  uv_loop_t *uv; /* borrowed */
  dl_clock clock;
  dl_log log;
  dl_beat *beat; /* borrowed; NULL when nobody watches whether the loop turns */
  struct dl_listener *paused; /* those that wait until there is a descriptor; net/listener.c */
  uint64_t pause_told_us;     /* monotonic, when the log was last told that there is none; 0: never */
} dl_loop;

/* Ends the process with a message when error, of a function of libuv that begins something, is one: without the
 * loop, its signals or its channel a process serves nobody, and its master tries again. what: "an event loop". */
void dl_loop_expect(int error, const char *what);

/* The same sentence, for who tells it instead of ending. */
const char *dl_loop_problem(int error, const char *what, char message[256]);

extern const dl_needs dl_net_needs;

#endif
