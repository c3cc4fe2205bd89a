/* SPDX-License-Identifier: MIT */
#include "net/deadline.h"

#include <stddef.h>

void dl_deadlines_init(dl_deadlines *list, void (*expired)(dl_deadline *)) {
  list->head.previous = list->head.next = &list->head;
  list->ordered = true;
  list->expired = expired;
}

void dl_deadline_clear(dl_deadline *deadline) {
  if (!deadline->next) return;
  deadline->previous->next = deadline->next;
  deadline->next->previous = deadline->previous;
  deadline->previous = deadline->next = NULL;
}

void dl_deadline_set(dl_deadlines *list, dl_deadline *deadline, uint64_t at_us) {
  dl_deadline_clear(deadline);
  if (list->head.previous != &list->head && list->head.previous->at_us > at_us) list->ordered = false;
  deadline->at_us = at_us;
  deadline->previous = list->head.previous;
  deadline->next = &list->head;
  list->head.previous->next = deadline;
  list->head.previous = deadline;
}

/* What is due moves to a list of its own first: expired may free its neighbours
 * or set new deadlines, and neither must be met by this sweep again. */
void dl_deadlines_sweep(dl_deadlines *list, uint64_t now_us) {
  dl_deadlines due;
  bool ordered = true;
  uint64_t before_us = 0;
  dl_deadlines_init(&due, list->expired);
  for (dl_deadline *next, *deadline = list->head.next; deadline != &list->head; deadline = next) {
    next = deadline->next;
    if (deadline->at_us <= now_us) {
      dl_deadline_set(&due, deadline, deadline->at_us);
      continue;
    }
    if (list->ordered) break;
    ordered = ordered && deadline->at_us >= before_us;
    before_us = deadline->at_us;
  }
  list->ordered = ordered;
  while (due.head.next != &due.head) {
    dl_deadline *deadline = due.head.next;
    dl_deadline_clear(deadline);
    list->expired(deadline);
  }
}
