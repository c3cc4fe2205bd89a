/* SPDX-License-Identifier: MIT */
/*
 * duration: "P1DT2H30M", "1 days 10:10:10.5", "36:00:00", and in lax mode a number
 * of seconds. A year is 365 days and a month 30, as Pydantic counts them. At most
 * 999,999,999 days, to the microsecond.
 */
#include "model/formats.h"

#include <math.h>
#include <stdio.h>

static const char wanted[] = "should be a duration like \"PT1H30M\" or \"01:30:00\"";
static const char too_long[] = "it should be under 1,000,000,000 days";

#define SECONDS_MAX 86400000000000LL /* one billion days: the first that is too long */

typedef struct duration {
  bool negative;
  int64_t seconds, micros; /* both at least 0; micros may hold more than a second */
} duration;

static bool refuse(const char *reason, dl_conversion *conversion) {
  return dl_format_refuse_because(conversion, "time_delta_parsing", wanted, "error", reason);
}

static bool accept(dl_value *value, const duration *d, dl_conversion *conversion) {
  int64_t seconds = d->seconds + d->micros / DL_MICROS, micros = d->micros % DL_MICROS;
  if (seconds >= SECONDS_MAX) return refuse(too_long, conversion);
  double number = (double)seconds + (double)micros / DL_MICROS;
  if (number >= (double)SECONDS_MAX) number = nextafter((double)SECONDS_MAX, 0); /* its last hundredths round up to what is too long */
  *value = dl_value_number(d->negative && number > 0 ? -number : number);
  return true;
}

/* Up to ten digits at *at, or -1. */
static int64_t read_whole(const char **at, const char *end) {
  int64_t number = 0;
  int count = 0;
  for (; *at < end && dl_format_digit(**at); ++*at) {
    if (++count > 10) return -1;
    number = number * 10 + (**at - '0');
  }
  return count ? number : -1;
}

/* The digits behind "." or "," as a share of one; 0 without them. */
static double read_share(const char **at, const char *end) {
  if (end - *at < 2 || (**at != '.' && **at != ',') || !dl_format_digit((*at)[1])) return 0;
  double share = 0, place = 1;
  for (++*at; *at < end && dl_format_digit(**at); ++*at)
    if (place > 1e-15) {
      place /= 10;
      share += (**at - '0') * place;
    }
  return share;
}

typedef struct unit {
  char letter;
  int64_t seconds;
} unit;

static const unit date_units[] = {{'Y', 365 * 86400}, {'M', 30 * 86400}, {'W', 7 * 86400}, {'D', 86400}, {0, 0}};
static const unit time_units[] = {{'H', 3600}, {'M', 60}, {'S', 1}, {0, 0}};

/* What stands behind "P". */
static const char *read_iso(const char *at, const char *end, duration *out) {
  static const char form[] = "expected numbers with Y, M, W or D, then T and numbers with H, M or S";
  const unit *units = date_units;
  bool any = false;
  while (at < end) {
    if (*at == 'T' && units == date_units) {
      units = time_units;
      at++;
      continue;
    }
    int64_t whole = read_whole(&at, end);
    if (whole < 0) return form;
    const char *point = at;
    double share = read_share(&at, end);
    bool fraction = at != point;
    const unit *u = units;
    while (u->letter && (at == end || *at != u->letter)) u++;
    if (!u->letter) return form;
    if (++at != end && fraction) return "only its last number may have a fraction";
    any = true;
    out->seconds += whole * u->seconds;
    out->micros += llround(share * (double)u->seconds * DL_MICROS);
    if (out->seconds + out->micros / DL_MICROS >= SECONDS_MAX) return too_long;
  }
  return any ? NULL : form;
}

/* ":mm[:ss[.ffffff]]" to the end, after the hours. */
static const char *read_clock(const char *at, const char *end, int64_t hours, duration *out) {
  int minute, second, micros;
  if (at == end || *at++ != ':') return "expected hours and minutes with : between them";
  const char *wrong = dl_format_minutes(&at, end, &minute, &second, &micros);
  if (wrong) return wrong;
  if (at != end) return "something stands behind its end";
  out->seconds += hours * 3600 + minute * 60 + second;
  out->micros += micros;
  return NULL;
}

/* The word behind a number of days, and what may part it from a time. */
static bool skip_days_word(const char **at, const char *end) {
  static const dl_str words[] = {DL_STR("days"), DL_STR("day"), DL_STR("d")};
  for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
    if ((size_t)(end - *at) < words[i].len || !dl_str_equal_nocase(dl_str_from(*at, words[i].len), words[i])) continue;
    *at += words[i].len;
    if (*at < end && **at == ',') ++*at;
    if (*at < end && **at == ' ') ++*at;
    return true;
  }
  return false;
}

/* "1 days, 10:10:10.5" or "36:00:00". */
static const char *read_plain(const char *at, const char *end, duration *out) {
  int64_t number = read_whole(&at, end);
  if (number < 0) return "expected a number or P";
  if (at < end && *at == ':') return read_clock(at, end, number, out);
  if (at < end && *at == ' ') at++;
  if (!skip_days_word(&at, end)) return "expected \"days\" behind the number of days";
  out->seconds = number * 86400;
  if (at == end) return NULL;
  const char *hour = at;
  int64_t hours = read_whole(&at, end);
  if (at - hour != 2 || hours > 23) return "the hour behind the days should be 00 to 23";
  return read_clock(at, end, hours, out);
}

static bool from_text(dl_value *value, dl_conversion *conversion) {
  dl_str text = dl_value_str(value);
  const char *at = text.ptr, *end = text.ptr + text.len;
  duration d = {0};
  if (at < end && (*at == '-' || *at == '+')) d.negative = *at++ == '-';
  const char *wrong = at < end && *at == 'P' ? read_iso(at + 1, end, &d) : read_plain(at, end, &d);
  return wrong ? refuse(wrong, conversion) : accept(value, &d, conversion);
}

/* False when it is too long a time. */
static bool from_seconds(double seconds, duration *out) {
  double magnitude = fabs(seconds), whole = floor(magnitude);
  if (!(magnitude < (double)SECONDS_MAX)) return false;
  *out = (duration){.negative = seconds < 0, .seconds = (int64_t)whole, .micros = llround((magnitude - whole) * DL_MICROS)};
  return true;
}

bool dl_format_duration(dl_mode mode, dl_value *value, dl_conversion *conversion) {
  if (value->kind == DL_VALUE_STRING) return from_text(value, conversion);
  bool integer = value->kind == DL_VALUE_INTEGER;
  if (mode == DL_MODE_STRICT || (!integer && value->kind != DL_VALUE_NUMBER))
    return dl_format_refuse(conversion, "time_delta_type", "should be a duration, as a string like \"PT1H30M\"");
  duration d;
  return from_seconds(integer ? (double)value->integer : value->number, &d) ? accept(value, &d, conversion) : refuse(too_long, conversion);
}

void dl_duration_write(dl_buffer *buffer, double seconds) {
  duration d;
  if (!from_seconds(seconds, &d)) d = (duration){.negative = seconds < 0, .seconds = SECONDS_MAX - 1};
  int64_t rest = d.seconds + d.micros / DL_MICROS, micros = d.micros % DL_MICROS;
  int64_t days = rest / 86400, hours = rest / 3600 % 24, minutes = rest / 60 % 60;
  rest %= 60;
  if (d.negative && d.seconds + d.micros > 0) dl_buffer_append_char(buffer, '-');
  dl_buffer_append_char(buffer, 'P');
  if (days) dl_buffer_printf(buffer, "%lldD", (long long)days);
  bool time = hours || minutes || rest || micros;
  if (time || !days) dl_buffer_append_char(buffer, 'T');
  if (hours) dl_buffer_printf(buffer, "%lldH", (long long)hours);
  if (minutes) dl_buffer_printf(buffer, "%lldM", (long long)minutes);
  if (micros) {
    char digits[8];
    int length = snprintf(digits, sizeof(digits), "%06u", (unsigned)micros % 1000000u);
    while (digits[length - 1] == '0') length--;
    dl_buffer_printf(buffer, "%lld.%.*sS", (long long)rest, length, digits);
  } else if (rest || (!days && !time)) dl_buffer_printf(buffer, "%lldS", (long long)rest);
}
