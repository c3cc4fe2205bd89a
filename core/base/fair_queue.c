/* SPDX-License-Identifier: MIT */
#include "base/fair_queue.h"

#include <stddef.h>

/* Which round the next one of share belongs to: the one behind its last; of a share that has none waiting
 * the one that comes, since it may have been served in this one, and others have waited for theirs. */
static uint64_t round_for(const dl_fair_queue *queue, uint64_t share) {
  for (const dl_fair_node *node = queue->last; node; node = node->previous)
    if (node->share == share) return node->round + 1;
  return queue->round + 1;
}

void dl_fair_queue_put(dl_fair_queue *queue, dl_fair_node *node, uint64_t share) {
  node->share = share;
  node->round = round_for(queue, share);
  dl_fair_node *before = queue->last;
  while (before && before->round > node->round) before = before->previous;
  node->previous = before;
  node->next = before ? before->next : queue->first;
  if (node->next) node->next->previous = node;
  else queue->last = node;
  if (before) before->next = node;
  else queue->first = node;
  queue->count++;
}

void dl_fair_queue_remove(dl_fair_queue *queue, dl_fair_node *node) {
  if (node->previous) node->previous->next = node->next;
  else queue->first = node->next;
  if (node->next) node->next->previous = node->previous;
  else queue->last = node->previous;
  queue->count--;
}

dl_fair_node *dl_fair_queue_take(dl_fair_queue *queue) {
  dl_fair_node *node = queue->first;
  if (!node) return NULL;
  queue->round = node->round;
  dl_fair_queue_remove(queue, node);
  return node;
}

dl_fair_node *dl_fair_queue_who_gives_way(const dl_fair_queue *queue, uint64_t share) {
  return queue->last && queue->last->round > round_for(queue, share) ? queue->last : NULL;
}
