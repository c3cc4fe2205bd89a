/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

uint64_t dl_clock_monotonic_now_us(const dl_clock *clock) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u + (uint64_t)(clock->moved_ms * 1000);
}

void dl_clock_update(dl_clock *clock) {
  struct timespec wall;
  clock_gettime(CLOCK_REALTIME, &wall);
  clock->monotonic_us = dl_clock_monotonic_now_us(clock);
  clock->wall_ms = (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000 + clock->moved_ms;
}

void dl_clock_move(dl_clock *clock, int64_t ms) {
  clock->moved_ms += ms;
  dl_clock_update(clock);
}

static void broken_down(int64_t wall_ms, struct tm *out) {
  time_t seconds = (time_t)(wall_ms >= 0 ? wall_ms / 1000 : -((-wall_ms + 999) / 1000));
  gmtime_r(&seconds, out);
  if (out->tm_year > 9999 - 1900) out->tm_year = 9999 - 1900;
}

/* Digits by hand: every line of the access log has a time, and printf costs more
 * than all the rest of the line. */
static char *put_digits(char *out, unsigned number, unsigned count) {
  for (unsigned i = count; i-- > 0; number /= 10) out[i] = (char)('0' + number % 10);
  return out + count;
}

static char *put_date_part(char *out, int number, unsigned count, char behind) {
  out = put_digits(out, (unsigned)number, count);
  *out = behind;
  return out + 1;
}

void dl_clock_rfc3339(int64_t wall_ms, char out[25]) {
  struct tm tm;
  broken_down(wall_ms, &tm);
  out = put_date_part(out, tm.tm_year + 1900, 4, '-');
  out = put_date_part(out, tm.tm_mon + 1, 2, '-');
  out = put_date_part(out, tm.tm_mday, 2, 'T');
  out = put_date_part(out, tm.tm_hour, 2, ':');
  out = put_date_part(out, tm.tm_min, 2, ':');
  out = put_date_part(out, tm.tm_sec, 2, '.');
  out = put_digits(out, (unsigned)(((wall_ms % 1000) + 1000) % 1000), 3);
  memcpy(out, "Z", 2);
}

void dl_clock_imf_fixdate(int64_t wall_ms, char out[30]) {
  static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  struct tm tm;
  broken_down(wall_ms, &tm);
  snprintf(out, 30, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", days + tm.tm_wday * 3, (unsigned)tm.tm_mday % 100u, months + tm.tm_mon * 3,
           (unsigned)(tm.tm_year + 1900) % 10000u, (unsigned)tm.tm_hour % 100u, (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u);
}
