/* SPDX-License-Identifier: MIT */
/*
 * The sandbox as a server raises it: options in, log lines out. Twice: before the app
 * is loaded, for all that any app may need, and after it, when what it connects to is
 * known. Both only for processes that asked (demilune_options.sandbox).
 */
#ifndef DL_SERVER_WALLS_H
#define DL_SERVER_WALLS_H

#include "base/log.h"
#include "demilune.h"
#include "sandbox/sandbox.h"

/* What the app connects to: nothing when all is zero. Borrowed. */
typedef struct dl_outside {
  const uint16_t *ports; /* of TCP */
  size_t port_count;
  bool unix_sockets;
} dl_outside;

/* In a child of the master's, before it makes a thread or runs any Lua. tells: where
 * what stands is logged; -1: nowhere. False, with a sentence in error, when the process
 * must not go on. */
bool dl_walls_raise(const demilune_options *options, int tells, char error[512]);

/* In the master itself, which holds the environment and the keys. */
void dl_walls_hide(const demilune_options *options);

/* For the process of the admin listener, which touches nothing but its connections and
 * what /proc says of the workers. */
bool dl_walls_raise_admin(const demilune_options *options, char error[512]);

/* After the app is loaded, before it starts. May be left out: then the app may connect
 * to any port. */
bool dl_walls_narrow(const demilune_options *options, const dl_outside *outside, dl_log *log, char error[512]);

#endif
