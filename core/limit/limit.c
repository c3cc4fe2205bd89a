/* SPDX-License-Identifier: MIT */
/* What a client is told: the strictest of several windows, and its header fields. */
#include "limit/internal.h"

static uint32_t seconds_up(uint64_t us) { return (uint32_t)((us + 999999u) / 1000000u); }

/* Seconds until one unit more is there than now. */
static uint32_t reset_of(const dl_limit *limit, const dl_window *window, uint64_t now_us, uint64_t used) {
  return used ? seconds_up(dl_window_wait(window, dl_window_length(limit), limit->fixed, now_us, used - 1)) : 0;
}

static void judge_allowed(dl_limit_result *worst, const dl_limit *limit, const dl_window *window, uint64_t now_us) {
  uint64_t used = dl_window_used(window, dl_window_length(limit), limit->fixed, now_us);
  uint32_t remaining = used < limit->count ? limit->count - (uint32_t)used : 0;
  if (worst->limit && remaining > worst->remaining) return;
  uint32_t reset_s = reset_of(limit, window, now_us, used);
  if (worst->limit && remaining == worst->remaining && reset_s <= worst->reset_s) return;
  *worst = (dl_limit_result){.allowed = true, .limit = limit, .remaining = remaining, .reset_s = reset_s};
}

/* A limit refuses for a second at least: 0 would invite the client to come back at
 * once, and a reset that is later than the retry would contradict it (draft, 6). */
static void judge_refused(dl_limit_result *worst, const dl_limit *limit, const dl_window *window, uint64_t now_us) {
  uint64_t used = dl_window_used(window, dl_window_length(limit), limit->fixed, now_us);
  uint64_t wait_us = dl_window_wait(window, dl_window_length(limit), limit->fixed, now_us, limit->count - limit->cost);
  uint32_t retry_s = wait_us ? seconds_up(wait_us) : 1;
  if (worst->limit && !worst->allowed && retry_s <= worst->retry_after_s) return;
  uint32_t remaining = used < limit->count ? limit->count - (uint32_t)used : 0, reset_s = reset_of(limit, window, now_us, used);
  *worst = (dl_limit_result){.limit = limit, .remaining = remaining, .reset_s = reset_s < retry_s ? reset_s : retry_s, .retry_after_s = retry_s};
}

void dl_limit_judge(dl_limit_result *worst, const dl_limit *limit, const dl_window *window, uint64_t now_us, bool allowed) {
  if (allowed) judge_allowed(worst, limit, window, now_us);
  else judge_refused(worst, limit, window, now_us);
}

/* --- fields ------------------------------------------------------------------------- */

/* A String with one Integer parameter (RFC 9651 4.1.6, 4.1.4): names have nothing in
 * them that wants escaping. */
static void append_item(dl_buffer *out, const dl_limit *limit, dl_str parameter, uint64_t value) {
  dl_buffer_append_char(out, '"');
  dl_buffer_append_str(out, dl_str_of(limit->name));
  dl_buffer_append_str(out, parameter);
  dl_buffer_append_uint(out, value);
}

void dl_limit_write_policy(dl_buffer *out, const dl_limit *limits, size_t count) {
  for (size_t i = 0; i < count; i++) {
    dl_buffer_append_str(out, i ? DL_STR(", ") : DL_STR("RateLimit-Policy: "));
    append_item(out, &limits[i], DL_STR("\";q="), limits[i].count);
    DL_BUFFER_LITERAL(out, ";w=");
    dl_buffer_append_uint(out, limits[i].seconds);
  }
  if (count) DL_BUFFER_LITERAL(out, "\r\n");
}

void dl_limit_write_fields(dl_buffer *out, const dl_limit_result *results, size_t count) {
  uint32_t retry_after_s = 0;
  bool any = false;
  for (size_t i = 0; i < count; i++) {
    const dl_limit_result *result = &results[i];
    if (!result->limit) continue;
    dl_buffer_append_str(out, any ? DL_STR(", ") : DL_STR("RateLimit: "));
    append_item(out, result->limit, DL_STR("\";r="), result->remaining);
    DL_BUFFER_LITERAL(out, ";t=");
    dl_buffer_append_uint(out, result->reset_s);
    if (result->retry_after_s > retry_after_s) retry_after_s = result->retry_after_s;
    any = true;
  }
  if (any) DL_BUFFER_LITERAL(out, "\r\n");
  if (!retry_after_s) return;
  DL_BUFFER_LITERAL(out, "Retry-After: ");
  dl_buffer_append_uint(out, retry_after_s);
  DL_BUFFER_LITERAL(out, "\r\n");
}
