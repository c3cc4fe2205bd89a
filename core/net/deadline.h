/* SPDX-License-Identifier: MIT */
/*
 * Deadlines by the thousand, without a timer each: a list per kind, swept by one
 * coarse timer of the worker. A deadline is in at most one list; setting it again
 * moves it. Precision is the sweep's (a quarter of a second), which is plenty for
 * telling a slow sender from a dead one.
 */
#ifndef DL_NET_DEADLINE_H
#define DL_NET_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct dl_deadline dl_deadline;
typedef struct dl_deadlines dl_deadlines;

struct dl_deadline {
  dl_deadline *previous, *next; /* NULL when not set */
  uint64_t at_us;               /* monotonic */
};

/* One kind. Where every member gets the same time to live the list is sorted by itself, and
 * a sweep stops at the first that is not due; a shorter time, as after a reload, is seen. */
struct dl_deadlines {
  dl_deadline head;
  bool ordered; /* no member is due before the one in front of it */
  void (*expired)(dl_deadline *deadline); /* called with the deadline already cleared */
};

void dl_deadlines_init(dl_deadlines *list, void (*expired)(dl_deadline *));
void dl_deadline_set(dl_deadlines *list, dl_deadline *deadline, uint64_t at_us);
void dl_deadline_clear(dl_deadline *deadline);

/* Calls expired for each that is due. It may set and clear deadlines freely. */
void dl_deadlines_sweep(dl_deadlines *list, uint64_t now_us);

#endif
