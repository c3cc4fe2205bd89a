/* SPDX-License-Identifier: MIT */
#include "http/trace.h"

#include "http/internal.h"

#include <endian.h>

enum { TRACE_AT = 3, SPAN_AT = 36, FLAGS_AT = 53, SAMPLED = 1, MEMBERS_MAX = 32, KEY_MAX = 256, TENANT_MAX = 241, SYSTEM_MAX = 14, STATE_VALUE_MAX = 256 };

/* --- traceparent ---------------------------------------------------------------------- */

static bool is_lower_hex(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (!(text[i] >= '0' && text[i] <= '9') && !(text[i] >= 'a' && text[i] <= 'f')) return false;
  return true;
}

static bool is_zero(const char *digits, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (digits[i] != '0') return false;
  return true;
}

/* version "-" trace-id "-" parent-id "-" trace-flags; more only in versions to come. */
static bool is_traceparent(dl_str text) {
  const char *p = text.ptr;
  if (text.len < DL_TRACEPARENT_BYTES || !is_lower_hex(p, 2) || memcmp(p, "ff", 2) == 0) return false;
  if (p[TRACE_AT - 1] != '-' || p[SPAN_AT - 1] != '-' || p[FLAGS_AT - 1] != '-') return false;
  if (!is_lower_hex(p + TRACE_AT, DL_TRACE_ID_DIGITS) || is_zero(p + TRACE_AT, DL_TRACE_ID_DIGITS)) return false;
  if (!is_lower_hex(p + SPAN_AT, DL_SPAN_ID_DIGITS) || is_zero(p + SPAN_AT, DL_SPAN_ID_DIGITS)) return false;
  if (!is_lower_hex(p + FLAGS_AT, 2)) return false;
  if (text.len == DL_TRACEPARENT_BYTES) return true;
  return memcmp(p, "00", 2) != 0 && p[DL_TRACEPARENT_BYTES] == '-';
}

/* Eight digits at once, since every line of the access log has 48 of them: each
 * nibble gets a byte, and those over 9 are moved on to the letters. */
static void write_hex8(char *out, uint32_t number) {
  uint64_t x = number;
  x = (x | x << 16) & 0x0000ffff0000ffffu;
  x = (x | x << 8) & 0x00ff00ff00ff00ffu;
  x = (x | x << 4) & 0x0f0f0f0f0f0f0f0fu;
  uint64_t letters = (x + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
  x = htobe64(x + 0x3030303030303030u + letters * ('a' - '0' - 10));
  memcpy(out, &x, sizeof x);
}

static void write_hex(char *out, uint64_t number) {
  write_hex8(out, (uint32_t)(number >> 32));
  write_hex8(out + 8, (uint32_t)number);
}

/* Never all zeros, which stands for none. */
static uint64_t new_id(dl_random *random) {
  uint64_t id;
  do id = dl_random_next(random);
  while (id == 0);
  return id;
}

void dl_trace_begin(dl_trace *trace, dl_str traceparent, dl_random *random) {
  write_hex(trace->span_id, new_id(random));
  trace->has_parent = traceparent.len > 0 && is_traceparent(traceparent);
  trace->sampled = trace->has_parent && (dl_http_hex(traceparent.ptr[FLAGS_AT + 1]) & SAMPLED);
  if (trace->has_parent) {
    memcpy(trace->trace_id, traceparent.ptr + TRACE_AT, DL_TRACE_ID_DIGITS);
    memcpy(trace->parent_id, traceparent.ptr + SPAN_AT, DL_SPAN_ID_DIGITS);
  } else {
    write_hex(trace->trace_id, new_id(random));
    write_hex(trace->trace_id + DL_SPAN_ID_DIGITS, new_id(random));
  }
}

void dl_trace_write(const dl_trace *trace, char out[DL_TRACEPARENT_BYTES]) {
  memcpy(out, "00-", TRACE_AT);
  memcpy(out + TRACE_AT, trace->trace_id, DL_TRACE_ID_DIGITS);
  out[SPAN_AT - 1] = '-';
  memcpy(out + SPAN_AT, trace->span_id, DL_SPAN_ID_DIGITS);
  memcpy(out + FLAGS_AT - 1, trace->sampled ? "-01" : "-00", 3);
}

/* --- tracestate ----------------------------------------------------------------------- */

static bool is_key_part(dl_str part, size_t most, bool digit_first) {
  if (part.len == 0 || part.len > most) return false;
  for (size_t i = 0; i < part.len; i++) {
    char c = part.ptr[i];
    bool letter = c >= 'a' && c <= 'z', digit = c >= '0' && c <= '9';
    if (letter || (digit && (i > 0 || digit_first))) continue;
    if (i == 0 || !c || !strchr("_-*/", c)) return false;
  }
  return true;
}

/* simple-key, or tenant "@" system (3.3.1.3.1). */
static bool is_key(dl_str key) {
  const char *at = key.len ? memchr(key.ptr, '@', key.len) : NULL;
  if (!at) return is_key_part(key, KEY_MAX, false);
  dl_str tenant = dl_str_from(key.ptr, (size_t)(at - key.ptr));
  return is_key_part(tenant, TENANT_MAX, true) && is_key_part(dl_str_skip(key, tenant.len + 1), SYSTEM_MAX, false);
}

/* Printable ASCII without "," and "=", and not a blank at its end. */
static bool is_state_value(dl_str value) {
  if (value.len == 0 || value.len > STATE_VALUE_MAX || value.ptr[value.len - 1] == ' ') return false;
  for (size_t i = 0; i < value.len; i++)
    if (value.ptr[i] < 0x20 || value.ptr[i] > 0x7e || value.ptr[i] == ',' || value.ptr[i] == '=') return false;
  return true;
}

static bool is_repeated(const dl_str *keys, uint32_t count, dl_str key) {
  for (uint32_t i = 0; i < count; i++)
    if (dl_str_equal(keys[i], key)) return true;
  return false;
}

bool dl_tracestate_valid(dl_str text) {
  dl_str keys[MEMBERS_MAX];
  uint32_t count = 0;
  for (size_t at = 0; at <= text.len;) {
    const char *comma = at < text.len ? memchr(text.ptr + at, ',', text.len - at) : NULL;
    size_t end = comma ? (size_t)(comma - text.ptr) : text.len;
    dl_str member = dl_str_trim(dl_str_from(text.ptr + at, end - at));
    at = end + 1;
    if (member.len == 0) continue;
    const char *equals = memchr(member.ptr, '=', member.len);
    if (!equals || count == MEMBERS_MAX) return false;
    dl_str key = dl_str_from(member.ptr, (size_t)(equals - member.ptr));
    if (!is_key(key) || !is_state_value(dl_str_skip(member, key.len + 1)) || is_repeated(keys, count, key)) return false;
    keys[count++] = key;
  }
  return count > 0;
}
