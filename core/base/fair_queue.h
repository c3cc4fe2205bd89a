/* SPDX-License-Identifier: MIT */
/*
 * Who waits for something scarce, so that nobody who asks for much of it makes the
 * others wait: round by round, one of each who has any waiting (J. Nagle, RFC 970; as
 * start-time fair queuing, Goyal, Vin and Cheng, 1996, with a cost of 1 for each). Those of
 * one who asks come in their order. Needs no memory: what waits has a node in itself.
 * Putting looks at those that wait, the rest takes no time.
 */
#ifndef DL_BASE_FAIR_QUEUE_H
#define DL_BASE_FAIR_QUEUE_H

#include <stdint.h>

typedef struct dl_fair_node {
  struct dl_fair_node *previous, *next;
  uint64_t share, round;
} dl_fair_node;

/* Zeroed it is empty. */
typedef struct dl_fair_queue {
  dl_fair_node *first, *last;
  uint32_t count;
  uint64_t round; /* of who was taken last */
} dl_fair_queue;

/* share: whose it is, by whatever number stands for whoever asks. */
void dl_fair_queue_put(dl_fair_queue *queue, dl_fair_node *node, uint64_t share);

/* Whose turn it is; NULL: nobody waits. */
dl_fair_node *dl_fair_queue_take(dl_fair_queue *queue);

/* Takes out one that waits. */
void dl_fair_queue_remove(dl_fair_queue *queue, dl_fair_node *node);

/* Where there is no room for one more of share: the one to take out for it, the last of
 * whoever has most waiting. NULL: nobody's would come in a later round than that one. */
dl_fair_node *dl_fair_queue_who_gives_way(const dl_fair_queue *queue, uint64_t share);

#endif
