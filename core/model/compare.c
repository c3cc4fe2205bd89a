/* SPDX-License-Identifier: MIT */
/*
 * Order among values that are kept as text: decimals exactly, whatever their
 * length, and dates and times by the moment they mean. All texts are canonical
 * (dl_convert made them), so that zero has no sign.
 */
#include "model/schema_internal.h"

#include "model/formats.h"

typedef struct decimal {
  bool negative;
  dl_str whole;    /* without leading zeros */
  dl_str fraction; /* without trailing zeros */
} decimal;

static decimal decimal_parts(dl_str text) {
  decimal parts = {.negative = text.len && text.ptr[0] == '-'};
  if (parts.negative) text = dl_str_skip(text, 1);
  const char *point = text.len ? memchr(text.ptr, '.', text.len) : NULL;
  parts.whole = point ? dl_str_from(text.ptr, (size_t)(point - text.ptr)) : text;
  if (point) parts.fraction = dl_str_skip(text, parts.whole.len + 1);
  while (parts.whole.len && parts.whole.ptr[0] == '0') parts.whole = dl_str_skip(parts.whole, 1);
  while (parts.fraction.len && parts.fraction.ptr[parts.fraction.len - 1] == '0') parts.fraction.len--;
  return parts;
}

static int compare_bytes(dl_str a, dl_str b) {
  size_t shared = a.len < b.len ? a.len : b.len;
  int order = shared ? memcmp(a.ptr, b.ptr, shared) : 0;
  return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_decimals(dl_str a, dl_str b) {
  decimal x = decimal_parts(a), y = decimal_parts(b);
  if (x.negative != y.negative) return x.negative ? -1 : 1;
  int order = (x.whole.len > y.whole.len) - (x.whole.len < y.whole.len);
  if (!order) order = compare_bytes(x.whole, y.whole);
  if (!order) order = compare_bytes(x.fraction, y.fraction);
  return x.negative ? -order : order;
}

/* divisor is digits / 10^places, so a multiple has no digits behind those places,
 * and value * 10^places leaves nothing when divided by digits. */
bool dl_decimal_is_multiple(dl_str value, dl_str divisor) {
  decimal x = decimal_parts(value), y = decimal_parts(divisor);
  if (x.fraction.len > y.fraction.len) return false;
  uint64_t digits = 0;
  for (size_t i = 0; i < y.whole.len; i++) digits = digits * 10 + (uint64_t)(y.whole.ptr[i] - '0');
  for (size_t i = 0; i < y.fraction.len; i++) digits = digits * 10 + (uint64_t)(y.fraction.ptr[i] - '0');
  unsigned __int128 rest = 0;
  for (size_t i = 0; i < x.whole.len; i++) rest = (rest * 10 + (unsigned)(x.whole.ptr[i] - '0')) % digits;
  for (size_t i = 0; i < y.fraction.len; i++) rest = (rest * 10 + (i < x.fraction.len ? (unsigned)(x.fraction.ptr[i] - '0') : 0u)) % digits;
  return rest == 0;
}

static int digits_at(dl_str text, size_t at, size_t count) {
  int number = 0;
  for (size_t i = 0; i < count; i++) number = number * 10 + (at + i < text.len ? text.ptr[at + i] - '0' : 0);
  return number;
}

static int64_t days_of(dl_str date) { return dl_format_day(digits_at(date, 0, 4), digits_at(date, 5, 2), digits_at(date, 8, 2)); }

/* Microseconds since midnight in UTC; a time without an offset counts as UTC. */
static int64_t microseconds_of(dl_str time) {
  int64_t total = ((int64_t)digits_at(time, 0, 2) * 60 + digits_at(time, 3, 2)) * 60 + digits_at(time, 6, 2);
  size_t at = 8;
  int64_t fraction = 0;
  if (at < time.len && time.ptr[at] == '.') {
    int64_t unit = 100000;
    for (at++; at < time.len && time.ptr[at] >= '0' && time.ptr[at] <= '9'; at++, unit /= 10) fraction += (time.ptr[at] - '0') * unit;
  }
  if (at < time.len && (time.ptr[at] == '+' || time.ptr[at] == '-')) {
    int64_t offset = ((int64_t)digits_at(time, at + 1, 2) * 60 + digits_at(time, at + 4, 2)) * 60;
    total += time.ptr[at] == '-' ? offset : -offset;
  }
  return total * 1000000 + fraction;
}

static int64_t moment_of(dl_kind kind, dl_str text) {
  if (kind == DL_KIND_TIME) return microseconds_of(text);
  int64_t days = days_of(text);
  if (kind == DL_KIND_DATE) return days;
  return days * 86400000000 + microseconds_of(dl_str_skip(text, 11));
}

int dl_compare_text(dl_kind kind, dl_str a, dl_str b) {
  if (kind == DL_KIND_DECIMAL) return compare_decimals(a, b);
  int64_t x = moment_of(kind, a), y = moment_of(kind, b);
  return (x > y) - (x < y);
}
