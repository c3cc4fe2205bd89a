/* SPDX-License-Identifier: MIT */
/*
 * The clock, read once per loop turn and handed to whoever needs the time, so
 * that a request costs no system call for it and tests can move it.
 */
#ifndef DL_BASE_CLOCK_H
#define DL_BASE_CLOCK_H

#include <stdint.h>

typedef struct dl_clock {
  uint64_t monotonic_us; /* never goes back; for deadlines and durations */
  int64_t wall_ms;       /* milliseconds since 1970-01-01T00:00:00Z */
  int64_t moved_ms;      /* added to both by tests; 0 in service */
} dl_clock;

/* Reads the system's clocks into the struct. */
void dl_clock_update(dl_clock *clock);

/* A fresh monotonic reading, for measuring inside one turn. Microseconds. */
uint64_t dl_clock_monotonic_now_us(const dl_clock *clock);

/* Tests only: moves wall and monotonic time on by ms (negative: back for the wall). */
void dl_clock_move(dl_clock *clock, int64_t ms);

/* Seconds since the epoch to "2026-11-24T10:00:00.123Z" (RFC 3339); 25 bytes with the NUL. */
void dl_clock_rfc3339(int64_t wall_ms, char out[25]);

/* IMF-fixdate (RFC 9110 5.6.7), "Tue, 24 Nov 2026 10:00:00 GMT"; 30 bytes with the NUL. */
void dl_clock_imf_fixdate(int64_t wall_ms, char out[30]);

#endif
