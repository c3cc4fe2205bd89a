/* SPDX-License-Identifier: MIT */
/*
 * A process' sign of life, in memory that it shares with whoever watches it: since
 * when its loop has not come back to waiting for events, what it runs, and whether
 * databases of its open. One writer; a watcher in another process reads. Costs two
 * stores for each function run.
 */
#ifndef DL_BASE_BEAT_H
#define DL_BASE_BEAT_H

#include "base/str.h"

#include <stdatomic.h>
#include <stdint.h>

enum { DL_BEAT_LABEL_BYTES = 112 };

typedef struct dl_beat {
  _Atomic uint64_t since_us; /* monotonic; 0: it waits for events, and that may take long */
  _Atomic uint64_t limit_us; /* how long what runs may take */
  _Atomic uint32_t opening; /* databases that open, which may migrate first: that takes as long as it takes */
  char label[DL_BEAT_LABEL_BYTES]; /* "GET /users/{user_id}"; NUL at its end */
} dl_beat;

/* Something begins to run that may never come back. beat may be NULL: nobody watches. */
static inline void dl_beat_enter(dl_beat *beat, uint64_t now_us, dl_str label, uint64_t limit_us) {
  if (!beat) return;
  size_t len = label.len < DL_BEAT_LABEL_BYTES ? label.len : DL_BEAT_LABEL_BYTES - 1;
  if (len) memcpy(beat->label, label.ptr, len);
  beat->label[len] = 0;
  atomic_store_explicit(&beat->limit_us, limit_us, memory_order_release); /* who reads it sees what was rested before */
  if (atomic_load_explicit(&beat->since_us, memory_order_relaxed) == 0) atomic_store_explicit(&beat->since_us, now_us, memory_order_release);
}

/* The loop is about to wait. */
static inline void dl_beat_rest(dl_beat *beat) {
  if (beat) atomic_store_explicit(&beat->since_us, 0, memory_order_release);
}

/* A database begins to open, and has opened or failed to. */
static inline void dl_beat_begin_opening(dl_beat *beat) {
  if (beat) atomic_fetch_add_explicit(&beat->opening, 1, memory_order_relaxed);
}

static inline void dl_beat_end_opening(dl_beat *beat) {
  if (beat) atomic_fetch_sub_explicit(&beat->opening, 1, memory_order_relaxed);
}

static inline bool dl_beat_is_opening(const dl_beat *beat) { return atomic_load_explicit(&beat->opening, memory_order_relaxed) > 0; }

/* The watcher, before a process begins that is to be watched. */
static inline void dl_beat_reset(dl_beat *beat) {
  atomic_store_explicit(&beat->opening, 0, memory_order_relaxed);
  dl_beat_rest(beat);
}

/* Whether what runs is past its limit at now_us (same clock). The limit may be of what came
 * next: then since when has moved. */
static inline bool dl_beat_is_stuck(const dl_beat *beat, uint64_t now_us) {
  uint64_t since_us = atomic_load_explicit(&beat->since_us, memory_order_acquire);
  if (!since_us || now_us <= since_us || now_us - since_us <= atomic_load_explicit(&beat->limit_us, memory_order_acquire)) return false;
  return atomic_load_explicit(&beat->since_us, memory_order_relaxed) == since_us;
}

#endif
