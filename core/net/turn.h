/* SPDX-License-Identifier: MIT */
/*
 * What wants to go on when the others had their turn of the loop: sockets are looked
 * at in between. A timer of 0 ms does not do that: libuv 1.44 runs one that is set by
 * a timer in the same turn, and whoever sets it again and again keeps the loop for itself.
 */
#ifndef DL_NET_TURN_H
#define DL_NET_TURN_H

#include "net/loop.h"

typedef struct dl_turn dl_turn;

/* Its owner's, who clears it before its memory goes. */
struct dl_turn {
  dl_turn *previous, *next; /* NULL when not waiting */
  void (*run)(dl_turn *turn); /* called with the turn already cleared; may wait again, or end the list */
};

typedef struct dl_turns {
  dl_turn head;
  dl_loop *loop;   /* borrowed */
  uv_idle_t *idle; /* made by the first that waits */
  bool ended;
} dl_turns;

void dl_turns_init(dl_turns *turns, dl_loop *loop);

/* Nobody waits any more, nor will: a wait is not heard from then on. */
void dl_turns_end(dl_turns *turns);

/* Calls run once, in the order of the waits. */
void dl_turn_wait(dl_turns *turns, dl_turn *turn, void (*run)(dl_turn *turn));
void dl_turn_clear(dl_turn *turn);

#endif
