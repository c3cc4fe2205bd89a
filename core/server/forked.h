/* SPDX-License-Identifier: MIT */
/*
 * Children that the program around an embedded server forks. libuv's handlers of signals
 * go on in them, and write to pipes that they have in common with their parent: who ends
 * such a child by SIGTERM would stop the parent's server instead, and a terminal's Ctrl-C,
 * which all processes hear of, would tell it twice, which ends what is in flight.
 */
#ifndef DL_SERVER_FORKED_H
#define DL_SERVER_FORKED_H

#include <uv.h>

enum { DL_CAUGHT_SIGNALS = 3 };

/* What one server catches. Zeroes: nothing. */
typedef struct dl_caught {
  uv_signal_t *signals[DL_CAUGHT_SIGNALS];
  struct dl_caught *next, **place; /* place: what points here; NULL: not watched */
} dl_caught;

/* To be called once signals, which are the caller's, are caught: in children that are
 * forked from then on they are not. A child's own servers catch them as ours do. */
void dl_forked_watch(dl_caught *caught);

/* Catches them no more, if it did. On the loop's thread, before the loop is closed. */
void dl_forked_end(dl_caught *caught);

#endif
