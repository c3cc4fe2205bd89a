/* SPDX-License-Identifier: MIT */
#include "app/crowd.h"

static dl_connection *connection_of(dl_deadline *deadline) { return (dl_connection *)(void *)((char *)deadline - offsetof(dl_connection, deadline)); }

/* In each of these lists who was heard last stands last. Who waits for a turn has asked already. */
static dl_connection *longer_silent(dl_connection *found, const dl_deadlines *list) {
  const dl_deadline *end = &list->head;
  dl_deadline *first = list->head.next;
  while (first != end && connection_of(first)->turn.next) first = first->next;
  if (first == end || (found && found->heard_us <= connection_of(first)->heard_us)) return found;
  return connection_of(first);
}

bool dl_crowd_make_room(dl_worker *worker, uint64_t silent_us) {
  dl_connection *silent = longer_silent(NULL, &worker->idle_deadlines);
  silent = longer_silent(silent, &worker->head_deadlines);
  silent = longer_silent(silent, &worker->body_deadlines);
  if (!silent || worker->loop->clock.monotonic_us - silent->heard_us < silent_us) return false;
  dl_metrics_count(&worker->metrics, DL_COUNTER_CONNECTIONS_OVER_TOTAL);
  dl_connection_close(silent);
  return true;
}
