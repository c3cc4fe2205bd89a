/* SPDX-License-Identifier: MIT */
/*
 * The shared block as it lies in memory. Nobody but metrics.c includes it, and its
 * tests. Every worker can write all of it, also one that was taken over: whoever
 * reads takes no pointer, no length and no bound from it without holding it against
 * what is in memory of his own.
 */
#ifndef DL_APP_METRICS_INTERNAL_H
#define DL_APP_METRICS_INTERNAL_H

#include "app/metrics.h"
#include "base/shared_lock.h"

typedef struct dl_metrics_name {
  uint8_t len;
  char bytes[DL_METRICS_NAME_BYTES];
} dl_metrics_name;

typedef struct dl_metrics_slot {
  pid_t pid;
  uint32_t ready;
  uint64_t counters[DL_COUNTER_COUNT], gauges[DL_GAUGE_COUNT], reasons[DL_METRICS_REASONS_MAX];
  dl_metrics_series series[DL_SERIES_MAX];
} __attribute__((aligned(4096))) dl_metrics_slot; /* no two workers write the same line or page */

typedef struct dl_metrics_block {
  uint32_t phase;
  uint64_t events[DL_EVENT_COUNT];
  dl_shared_lock lock;                /* of what follows, for adding */
  uint32_t route_count, reason_count; /* the places before them are never changed again */
  dl_metrics_name routes[DL_METRICS_ROUTES_MAX], reasons[DL_METRICS_REASONS_MAX];
  dl_metrics_slot slots[];
} dl_metrics_block;

/* Each process' own, made before the fork. */
struct dl_metrics {
  size_t bytes; /* of the block */
  uint32_t slot_count;
  dl_metrics_block *block;
};

#endif
