/* SPDX-License-Identifier: MIT */
/*
 * The door to step 12: of one worker so many requests are in their handlers at a time
 * (limits.max_requests), and so many more wait, each no longer than limits.queue_timeout:
 * one of each client in turn, so that who sends many at a time delays its own. Whoever
 * finds the queue full, makes room for a client that has fewer in it, or waits in vain,
 * is answered 503. What is refused before step 12 never comes here, and a stream
 * whose head is out has left.
 */
#ifndef DL_APP_QUEUE_H
#define DL_APP_QUEUE_H

#include "base/fair_queue.h"
#include "net/deadline.h"

#include <uv.h>

struct dl_worker;
struct dl_exchange;

typedef struct dl_queue {
  dl_fair_queue line;
  uint32_t running;       /* in their handlers */
  uv_idle_t turn;         /* lets those in whose turn it is, from the loop and not from who leaves */
  dl_deadlines deadlines; /* of those that wait */
  uint64_t told_us;       /* when a refusal was last logged */
  uint64_t refused;       /* since then */
} dl_queue;

void dl_queue_init(struct dl_worker *worker);

/* Runs the handler now, or later, or answers 503. */
void dl_queue_enter(struct dl_exchange *exchange);

/* Its handler is over, or never ran; does nothing a second time. */
void dl_queue_leave(struct dl_exchange *exchange);

/* Takes it out of the queue; false when it does not wait there. */
bool dl_queue_forgo(struct dl_exchange *exchange);

/* Its client will send no more: most such clients have left, and are not waited with. */
void dl_queue_client_ended(struct dl_exchange *exchange);

#endif
