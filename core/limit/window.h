/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic of one window, for the table and for what Redis answers alike.
 * Internal to this folder.
 *
 * A window opens with the first request it counts, not at the full minute, so that
 * nobody gets twice the count around a boundary that he can foresee. The sliding
 * window counter takes the requests of the window before as spread evenly over it:
 *   used = current + ceil(previous x (length - elapsed) / length) - 1
 * where the second part is 0 without a previous window. One below the ceiling means
 * that the first of n requests is forgotten exactly one length after the window
 * opened, so that "1/minute" is one every minute.
 */
#ifndef DL_LIMIT_WINDOW_H
#define DL_LIMIT_WINDOW_H

#include "limit/limit.h"

typedef struct dl_window {
  uint64_t start_us;
  uint32_t current, previous; /* units counted in this window and in the one before */
} dl_window;

static inline uint64_t dl_window_length(const dl_limit *limit) { return (uint64_t)limit->seconds * 1000000u; }

/* Microseconds since the window opened. Another process may have opened it a moment
 * after our turn's clock was read: then none. */
static inline uint64_t dl_window_elapsed(const dl_window *window, uint64_t now_us) { return now_us > window->start_us ? now_us - window->start_us : 0; }

/* Whether what was counted still bears on the present. */
static inline bool dl_window_live(const dl_window *window, uint64_t length_us, bool fixed, uint64_t now_us) {
  return dl_window_elapsed(window, now_us) < (fixed ? length_us : 2 * length_us);
}

/* Brings the window to now_us. A clock that went back by more than a length (a
 * restored machine) would hold it shut for ever: it is opened anew, full as it is.
 * Every store leaves something at least as strict as before, so that a process
 * that dies between two of them gives nothing away; hence the order and the fences. */
static inline void dl_window_roll(dl_window *window, uint64_t length_us, bool fixed, uint64_t now_us) {
  uint64_t elapsed = dl_window_elapsed(window, now_us);
  if (window->start_us > now_us + length_us) window->start_us = now_us;
  if (elapsed < length_us) return;
  bool next = !fixed && elapsed < 2 * length_us;
  window->previous = next ? window->current : 0;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  window->start_us = next ? window->start_us + length_us : now_us;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  window->current = 0;
}

/* What of the previous window still counts, at elapsed < length. */
static inline uint64_t dl_window_carried(uint64_t previous, uint64_t length_us, uint64_t elapsed_us) {
  return previous ? (previous * (length_us - elapsed_us) - 1) / length_us : 0;
}

/* Units counted against the limit now. The window was rolled to now_us. */
static inline uint64_t dl_window_used(const dl_window *window, uint64_t length_us, bool fixed, uint64_t now_us) {
  return window->current + (fixed ? 0 : dl_window_carried(window->previous, length_us, dl_window_elapsed(window, now_us)));
}

/* The elapsed time at which carried has come down to at most units. */
static inline uint64_t dl_window_decays_at(uint64_t previous, uint64_t length_us, uint64_t units) {
  uint64_t left_us = previous ? (units + 1) * length_us / previous : length_us;
  return left_us < length_us ? length_us - left_us : 0;
}

/* Microseconds until at most units are used, if nothing more is counted; the window
 * was rolled to now_us. */
static inline uint64_t dl_window_wait(const dl_window *window, uint64_t length_us, bool fixed, uint64_t now_us, uint64_t units) {
  uint64_t elapsed = dl_window_elapsed(window, now_us), at;
  if (window->current > units) at = length_us + (fixed ? 0 : dl_window_decays_at(window->current, length_us, units));
  else at = fixed ? 0 : dl_window_decays_at(window->previous, length_us, units - window->current);
  return at > elapsed ? at - elapsed : 0;
}

#endif
