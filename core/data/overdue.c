/* SPDX-License-Identifier: MIT */
/*
 * Calls that waited too long, on the loop's side: each fails at its time, whatever the
 * writer and the readers are busy with meanwhile.
 */
#include "data/internal.h"

static const uint64_t NEVER = UINT64_MAX;

void dl_call_refuse_locked(dl_database *database, dl_call *call) {
  if (call->work == DL_WORK_BEGIN) dl_transaction_end_locked(call->transaction, "the transaction never began", call);
  else dl_answer_locked(database, call);
}

/* When the next one of the queue will be late. Mutex held. */
static uint64_t refuse_late(dl_database *database, dl_fair_queue *queue) {
  uint64_t earliest = NEVER;
  for (dl_fair_node *next, *place = queue->first; place; place = next) {
    dl_call *call = dl_call_at(place);
    next = place->next;
    if (dl_call_expired(call)) {
      dl_fair_queue_remove(queue, place);
      dl_call_refuse_locked(database, call);
    } else if (call->deadline < earliest) earliest = call->deadline;
  }
  return earliest;
}

static void on_overdue(uv_timer_t *timer) {
  dl_database *database = timer->data;
  uv_mutex_lock(&database->mutex);
  uint64_t writes = refuse_late(database, &database->writes), reads = refuse_late(database, &database->reads);
  uv_mutex_unlock(&database->mutex);
  uint64_t next = writes < reads ? writes : reads, now = uv_hrtime();
  if (next != NEVER) uv_timer_start(timer, on_overdue, next > now ? (next - now) / 1000000u + 1 : 0, 0);
}

void dl_overdue_watch(dl_database *database) {
  if (!uv_is_active((uv_handle_t *)&database->overdue)) uv_timer_start(&database->overdue, on_overdue, database->options.queue_ms, 0);
}
