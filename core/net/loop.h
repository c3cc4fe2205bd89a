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

typedef struct dl_loop {
  uv_loop_t *uv; /* borrowed */
  dl_clock clock;
  dl_log log;
  dl_beat *beat; /* borrowed; NULL when nobody watches whether the loop turns */
} dl_loop;

extern const dl_needs dl_net_needs;

#endif
