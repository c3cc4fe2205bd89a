/* SPDX-License-Identifier: MIT */
/* HTTP-date (RFC 9110 5.6.7): the one form that is written, and the two older ones that are still read. */
#include "http/conditional.h"

#include "base/clock.h"
#include "http/internal.h"

typedef struct moment {
  int year, month, day, hour, minute, second; /* month from 0 */
} moment;

static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char *const days[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};

enum { MONTHS = 12, WEEK = 7, SHORT_NAME = 3, DAY_SECONDS = 86400 };

static bool is_leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

/* From the first day of year 1. */
static int64_t days_before_year(int year) { return (year - 1) * INT64_C(365) + (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400; }

static int month_length(int year, int month) {
  static const char lengths[MONTHS] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return lengths[month] + (month == 1 && is_leap(year));
}

static bool take(dl_str *text, dl_str wanted) {
  if (!dl_str_starts(*text, wanted)) return false;
  *text = dl_str_skip(*text, wanted.len);
  return true;
}

static bool take_number(dl_str *text, size_t count, int *number) {
  *number = 0;
  if (text->len < count) return false;
  for (size_t i = 0; i < count; i++) {
    if (!dl_http_is(text->ptr[i], DL_CHAR_DIGIT)) return false;
    *number = *number * 10 + (text->ptr[i] - '0');
  }
  *text = dl_str_skip(*text, count);
  return true;
}

static bool take_month(dl_str *text, int *month) {
  for (*month = 0; *month < MONTHS; ++*month)
    if (take(text, dl_str_of(months[*month]))) return true;
  return false;
}

static bool take_time(dl_str *text, moment *out) {
  return take_number(text, 2, &out->hour) && take(text, DL_STR(":")) && take_number(text, 2, &out->minute) && take(text, DL_STR(":")) &&
         take_number(text, 2, &out->second);
}

/* "06 Nov 1994 08:49:37 GMT", behind "Sun, " */
static bool read_fixdate(dl_str text, moment *out) {
  return take_number(&text, 2, &out->day) && take(&text, DL_STR(" ")) && take_month(&text, &out->month) && take(&text, DL_STR(" ")) &&
         take_number(&text, 4, &out->year) && take(&text, DL_STR(" ")) && take_time(&text, out) && dl_str_equal(text, DL_STR(" GMT"));
}

/* "06-Nov-94 08:49:37 GMT", behind "Sunday, ": a year that lies more than 50 years ahead is one of the past. */
static bool read_rfc850(dl_str text, int64_t now_s, moment *out) {
  if (!(take_number(&text, 2, &out->day) && take(&text, DL_STR("-")) && take_month(&text, &out->month) && take(&text, DL_STR("-")) &&
        take_number(&text, 2, &out->year) && take(&text, DL_STR(" ")) && take_time(&text, out) && dl_str_equal(text, DL_STR(" GMT"))))
    return false;
  int this_year = 1970 + (int)(now_s / (DAY_SECONDS * INT64_C(146097) / 400));
  out->year += this_year / 100 * 100;
  if (out->year > this_year + 50) out->year -= 100;
  return true;
}

/* "Nov  6 08:49:37 1994", behind "Sun " */
static bool read_asctime(dl_str text, moment *out) {
  if (!take_month(&text, &out->month) || !take(&text, DL_STR(" "))) return false;
  size_t digits = take(&text, DL_STR(" ")) ? 1 : 2;
  return take_number(&text, digits, &out->day) && take(&text, DL_STR(" ")) && take_time(&text, out) && take(&text, DL_STR(" ")) &&
         take_number(&text, 4, &out->year) && !text.len;
}

static bool read_any(dl_str text, int64_t now_s, moment *out) {
  for (int i = 0; i < WEEK; i++) {
    dl_str rest = text;
    if (take(&rest, dl_str_of(days[i])) && take(&rest, DL_STR(", "))) return read_rfc850(rest, now_s, out);
    rest = text;
    if (!take(&rest, dl_str_from(days[i], SHORT_NAME))) continue;
    if (take(&rest, DL_STR(", "))) return read_fixdate(rest, out);
    if (take(&rest, DL_STR(" "))) return read_asctime(rest, out);
  }
  return false;
}

bool dl_http_date_read(dl_str text, int64_t now_s, int64_t *seconds) {
  moment read;
  if (!read_any(text, now_s, &read)) return false;
  if (read.year < 1 || read.day < 1 || read.day > month_length(read.year, read.month)) return false;
  if (read.hour > 23 || read.minute > 59 || read.second > 60) return false; /* 60: a leap second */
  int64_t since = days_before_year(read.year) - days_before_year(1970) + read.day - 1;
  for (int month = 0; month < read.month; month++) since += month_length(read.year, month);
  *seconds = since * DAY_SECONDS + read.hour * 3600 + read.minute * 60 + read.second;
  return true;
}

bool dl_http_date_valid(dl_str text) {
  char written[30];
  int64_t seconds;
  if (!dl_http_date_read(text, 0, &seconds)) return false;
  dl_clock_imf_fixdate(seconds * 1000, written);
  return dl_str_equal(text, dl_str_of(written));
}
