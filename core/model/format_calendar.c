/* SPDX-License-Identifier: MIT */
/*
 * date, time and datetime: ISO 8601 in the extended form of RFC 3339, and in lax
 * mode Unix timestamps in seconds or, beyond 2e10, in milliseconds. Years 1 to
 * 9999 of the Gregorian calendar; no leap seconds; offsets under 24 hours.
 */
#include "model/formats.h"

#include <math.h>

enum { DAY_SECONDS = 86400 };

typedef struct calendar {
  int year, month, day, hour, minute, second, micros;
  bool has_offset;
  int offset; /* minutes east of UTC */
} calendar;

static const char no_year_zero[] = "there is no year 0";
static const char out_of_range[] = "as a timestamp it lies outside the years 1 to 9999";
static const char wanted_date[] = "should be a date like 2026-11-24";
static const char wanted_time[] = "should be a time like 10:00:00 or 10:00:00Z";
static const char wanted_datetime[] = "should be a date and time like 2026-11-24T10:00:00Z";

static bool leap_year(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

static int month_days(int year, int month) {
  static const char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return days[month - 1] + (month == 2 && leap_year(year));
}

/* Exactly count digits at *at, or -1. */
static int read_number(const char **at, const char *end, int count) {
  if (end - *at < count) return -1;
  int number = 0;
  for (int i = 0; i < count; i++) {
    if (!dl_format_digit((*at)[i])) return -1;
    number = number * 10 + ((*at)[i] - '0');
  }
  *at += count;
  return number;
}

static bool take(const char **at, const char *end, char c) {
  if (*at == end || **at != c) return false;
  ++*at;
  return true;
}

static const char *read_date(const char **at, const char *end, calendar *out) {
  static const char separator[] = "expected a year of four digits, a month and a day of two, and - between them";
  out->year = read_number(at, end, 4);
  if (out->year < 0 || !take(at, end, '-')) return separator;
  out->month = read_number(at, end, 2);
  if (out->month < 0 || !take(at, end, '-')) return separator;
  out->day = read_number(at, end, 2);
  if (out->day < 0) return separator;
  if (out->month < 1 || out->month > 12) return "the month should be 01 to 12";
  if (out->day < 1 || out->day > month_days(out->year, out->month)) return "that month does not have that day";
  return out->year ? NULL : no_year_zero;
}

const char *dl_format_fraction(const char **at, const char *end, int *micros) {
  *micros = 0;
  if (*at == end || (**at != '.' && **at != ',')) return NULL;
  const char *p = *at + 1;
  if (p == end || !dl_format_digit(*p)) return "digits are missing behind the point";
  for (int place = DL_MICROS / 10; p < end && dl_format_digit(*p); p++, place /= 10) *micros += (*p - '0') * place;
  *at = p;
  return NULL;
}

const char *dl_format_minutes(const char **at, const char *end, int *minute, int *second, int *micros) {
  *second = *micros = 0;
  *minute = read_number(at, end, 2);
  if (*minute < 0 || *minute > 59) return "the minute should be 00 to 59";
  if (!take(at, end, ':')) return NULL;
  *second = read_number(at, end, 2);
  if (*second < 0 || *second > 59) return "the second should be 00 to 59";
  return dl_format_fraction(at, end, micros);
}

/* "Z", "+hh:mm", "+hhmm"; "-" may be U+2212, as ISO 8601 prefers it. */
static const char *read_offset(const char **at, const char *end, calendar *out) {
  static const char form[] = "the offset should be Z or like +01:00";
  out->offset = 0;
  out->has_offset = *at < end;
  if (!out->has_offset || take(at, end, 'Z') || take(at, end, 'z')) return NULL;
  bool west = false;
  if (end - *at >= 3 && memcmp(*at, "\xe2\x88\x92", 3) == 0) {
    *at += 3;
    west = true;
  } else if (take(at, end, '-')) west = true;
  else if (!take(at, end, '+')) return form;
  int hours = read_number(at, end, 2);
  take(at, end, ':');
  int minutes = read_number(at, end, 2);
  if (hours < 0 || minutes < 0 || minutes > 59) return form;
  if (hours > 23) return "the offset should be under 24 hours";
  out->offset = (hours * 60 + minutes) * (west ? -1 : 1);
  return NULL;
}

static const char *read_time(const char **at, const char *end, calendar *out) {
  out->hour = read_number(at, end, 2);
  if (out->hour < 0 || !take(at, end, ':')) return "expected an hour and a minute of two digits and : between them";
  if (out->hour > 23) return "the hour should be 00 to 23";
  const char *wrong = dl_format_minutes(at, end, &out->minute, &out->second, &out->micros);
  if (!wrong) wrong = read_offset(at, end, out);
  if (!wrong && *at != end) wrong = "something stands behind its end";
  return wrong;
}

static const char *read_datetime(dl_str text, calendar *out) {
  const char *at = text.ptr, *end = text.ptr + text.len;
  const char *wrong = read_date(&at, end, out);
  if (wrong) return wrong;
  if (!take(&at, end, 'T') && !take(&at, end, 't') && !take(&at, end, ' ') && !take(&at, end, '_')) return "expected T between date and time";
  return read_time(&at, end, out);
}

/* number in count digits; the place behind them. */
static char *put_number(char *p, unsigned number, int count) {
  for (int i = count - 1; i >= 0; i--, number /= 10) p[i] = (char)('0' + number % 10);
  return p + count;
}

/* Two numbers of two digits with c between them. */
static char *put_pair(char *p, int first, char c, int second) {
  p = put_number(p, (unsigned)first, 2);
  *p++ = c;
  return put_number(p, (unsigned)second, 2);
}

static char *write_date(char *p, const calendar *c) {
  p = put_number(p, (unsigned)c->year, 4);
  *p++ = '-';
  return put_pair(p, c->month, '-', c->day);
}

static char *write_time(char *p, const calendar *c) {
  p = put_pair(p, c->hour, ':', c->minute);
  *p++ = ':';
  p = put_number(p, (unsigned)c->second, 2);
  if (c->micros) {
    *p++ = '.';
    p = put_number(p, (unsigned)c->micros, 6);
  }
  int offset = c->offset < 0 ? -c->offset : c->offset;
  if (c->has_offset && !offset) *p++ = 'Z';
  if (!offset) return p;
  *p++ = c->offset < 0 ? '-' : '+';
  return put_pair(p, offset / 60, ':', offset % 60);
}

enum { TEXT_MAX = 32 }; /* "9999-12-31T23:59:59.999999+23:59" */

static bool accept_date(dl_value *value, const calendar *c, dl_conversion *conversion) {
  char text[TEXT_MAX];
  return dl_format_accept(value, dl_str_from(text, (size_t)(write_date(text, c) - text)), conversion);
}

static bool accept_time(dl_value *value, const calendar *c, dl_conversion *conversion) {
  char text[TEXT_MAX];
  return dl_format_accept(value, dl_str_from(text, (size_t)(write_time(text, c) - text)), conversion);
}

static bool accept_datetime(dl_value *value, const calendar *c, dl_conversion *conversion) {
  char text[TEXT_MAX], *end = write_date(text, c);
  *end++ = 'T';
  return dl_format_accept(value, dl_str_from(text, (size_t)(write_time(end, c) - text)), conversion);
}

/* The year is taken to begin in March, as below. */
int64_t dl_format_day(int64_t year, int64_t month, int64_t day) {
  if (month <= 2) year--;
  int64_t era = year / 400, of_era = year - era * 400;
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* Proleptic Gregorian date of a day counted from 1970-01-01. The year is taken
 * to begin in March, so that the leap day is its last and months fall on a line. */
static void date_of_day(int64_t day, calendar *out) {
  int64_t shifted = day + 719468; /* days from 0000-03-01 */
  int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
  int64_t of_era = shifted - era * 146097;
  int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t march_month = (5 * of_year + 2) / 153;
  out->day = (int)(of_year - (153 * march_month + 2) / 5 + 1);
  out->month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
  out->year = (int)(year_of_era + era * 400 + (out->month <= 2));
}

static const char *from_micros(int64_t micros, calendar *out) {
  const int64_t day_micros = (int64_t)DAY_SECONDS * DL_MICROS;
  int64_t day = micros / day_micros, rest = micros % day_micros;
  if (rest < 0) {
    rest += day_micros;
    day--;
  }
  date_of_day(day, out);
  if (out->year < 0 || out->year > 9999) return out_of_range;
  if (out->year == 0) return no_year_zero;
  int seconds = (int)(rest / DL_MICROS);
  out->hour = seconds / 3600;
  out->minute = seconds / 60 % 60;
  out->second = seconds % 60;
  out->micros = (int)(rest % DL_MICROS);
  out->has_offset = true;
  out->offset = 0;
  return NULL;
}

/* Seconds up to 2e10 (the year 2603), milliseconds beyond, as Pydantic reads them. */
static const char *from_timestamp(double timestamp, calendar *out) {
  if (!(fabs(timestamp) < 1e15)) return out_of_range;
  int64_t unit = fabs(timestamp) > 2e10 ? 1000 : DL_MICROS;
  double whole = floor(timestamp);
  return from_micros((int64_t)whole * unit + llround((timestamp - whole) * (double)unit), out);
}

/* "1493979010.5": a sign and digits, no more. */
static bool read_timestamp(dl_str text, double *out) {
  dl_decimal decimal;
  for (size_t i = 0; i < text.len; i++)
    if (text.ptr[i] == '_' || dl_format_letter(text.ptr[i])) return false;
  if (dl_decimal_read(text, &decimal) != DL_DECIMAL_OK) return false;
  *out = dl_decimal_to_double(&decimal);
  return true;
}

/* The number that lax mode may take as a timestamp. */
static bool timestamp_of(dl_mode mode, const dl_value *value, double *out) {
  if (mode == DL_MODE_STRICT) return false;
  if (value->kind == DL_VALUE_INTEGER) *out = (double)value->integer;
  else if (value->kind == DL_VALUE_NUMBER) *out = value->number;
  else return value->kind == DL_VALUE_STRING && read_timestamp(dl_value_str(value), out);
  return true;
}

static bool refuse_date(dl_mode mode, const char *reason, dl_conversion *conversion) {
  /* Pydantic's names: in lax mode the last thing tried was a date with a time. */
  const char *type = mode == DL_MODE_STRICT || reason == no_year_zero ? "date_parsing" : "date_from_datetime_parsing";
  return dl_format_refuse_because(conversion, type, wanted_date, "error", reason);
}

static bool accept_exact_date(dl_value *value, const calendar *c, dl_conversion *conversion) {
  if (c->hour || c->minute || c->second || c->micros)
    return dl_format_refuse(conversion, "date_from_datetime_inexact", "should be a date like 2026-11-24, or a date and time at 00:00:00");
  return accept_date(value, c, conversion);
}

bool dl_format_date(dl_mode mode, dl_value *value, dl_conversion *conversion) {
  calendar c = {0};
  double timestamp;
  if (timestamp_of(mode, value, &timestamp)) {
    const char *wrong = from_timestamp(timestamp, &c);
    return wrong ? refuse_date(mode, wrong, conversion) : accept_exact_date(value, &c, conversion);
  }
  if (value->kind != DL_VALUE_STRING) return dl_format_refuse(conversion, "date_type", "should be a date, as a string like \"2026-11-24\"");
  dl_str text = dl_value_str(value);
  const char *at = text.ptr, *end = text.ptr + text.len;
  const char *wrong = read_date(&at, end, &c);
  if (!wrong && at == end) return accept_date(value, &c, conversion);
  if (!wrong && mode == DL_MODE_STRICT) wrong = "something stands behind the day";
  if (!wrong) wrong = read_datetime(text, &c);
  return wrong ? refuse_date(mode, wrong, conversion) : accept_exact_date(value, &c, conversion);
}

static bool refuse_datetime(dl_mode mode, const dl_value *value, const char *reason, dl_conversion *conversion) {
  bool plain = mode == DL_MODE_STRICT || reason == no_year_zero || value->kind != DL_VALUE_STRING;
  return dl_format_refuse_because(conversion, plain ? "datetime_parsing" : "datetime_from_date_parsing", wanted_datetime, "error", reason);
}

static bool datetime_of(dl_mode mode, const dl_value *value, calendar *c, dl_conversion *conversion) {
  double timestamp;
  const char *wrong;
  *c = (calendar){0};
  if (timestamp_of(mode, value, &timestamp)) wrong = from_timestamp(timestamp, c);
  else if (value->kind == DL_VALUE_STRING) {
    dl_str text = dl_value_str(value);
    wrong = read_datetime(text, c);
    if (wrong && mode != DL_MODE_STRICT && text.len == 10) {
      const char *at = text.ptr;
      *c = (calendar){0}; /* a date alone is its midnight, without an offset */
      wrong = read_date(&at, text.ptr + text.len, c);
    }
  } else return dl_format_refuse(conversion, "datetime_type", "should be a date and time, as a string like \"2026-11-24T10:00:00Z\"");
  return !wrong || refuse_datetime(mode, value, wrong, conversion);
}

bool dl_format_datetime(dl_mode mode, dl_value *value, dl_conversion *conversion) {
  calendar c;
  return datetime_of(mode, value, &c, conversion) && accept_datetime(value, &c, conversion);
}

/* ---- moments ---- */

/* Whole seconds since 1970. */
static int64_t seconds_of(const calendar *c) {
  return dl_format_day(c->year, c->month, c->day) * DAY_SECONDS + (c->hour * 60 + c->minute - c->offset) * 60 + c->second;
}

static bool moment_of(dl_mode mode, const dl_value *value, calendar *c, dl_conversion *conversion) {
  if (!datetime_of(mode, value, c, conversion)) return false;
  return c->has_offset || dl_format_refuse(conversion, "timezone_aware", "should end with its offset from UTC: Z, or one like +01:00");
}

bool dl_convert_utc(dl_mode mode, dl_value *value, dl_conversion *conversion) {
  calendar c;
  if (!moment_of(mode, value, &c, conversion)) return false;
  if (from_micros(seconds_of(&c) * DL_MICROS, &c))
    return dl_format_refuse_because(conversion, "datetime_parsing", wanted_datetime, "error", "in UTC it lies outside the years 1 to 9999");
  return accept_datetime(value, &c, conversion);
}

bool dl_datetime_seconds(dl_str text, double *seconds, dl_conversion *conversion) {
  calendar c;
  dl_value value = dl_value_string(text);
  if (!moment_of(DL_MODE_STRICT, &value, &c, conversion)) return false;
  double whole = (double)seconds_of(&c);
  *seconds = whole + (double)c.micros / DL_MICROS;
  /* Far from 1970 a double is coarser than a microsecond: the last of a second would be rounded into the next one. */
  if (*seconds >= whole + 1) *seconds = nextafter(whole + 1, whole);
  return true;
}

bool dl_datetime_write(double seconds, char text[DL_UTC_TEXT]) {
  calendar c = {0};
  if (!(fabs(seconds) < 1e12) || from_micros((int64_t)floor(seconds) * DL_MICROS, &c)) return false;
  char *end = write_date(text, &c);
  *end++ = 'T';
  write_time(end, &c);
  return true;
}

/* Seconds since midnight, UTC. */
static bool time_from_seconds(double seconds, dl_value *value, dl_conversion *conversion) {
  static const char reason[] = "as a number of seconds it should be at least 0 and under 86400";
  calendar c = {0};
  bool within = seconds >= 0 && seconds < DAY_SECONDS;
  int64_t micros = within ? llround(seconds * DL_MICROS) : 0;
  if (!within || micros >= (int64_t)DAY_SECONDS * DL_MICROS)
    return dl_format_refuse_because(conversion, "time_parsing", wanted_time, "error", reason);
  from_micros(micros, &c);
  return accept_time(value, &c, conversion);
}

bool dl_format_time(dl_mode mode, dl_value *value, dl_conversion *conversion) {
  if (mode != DL_MODE_STRICT && value->kind == DL_VALUE_INTEGER) return time_from_seconds((double)value->integer, value, conversion);
  if (mode != DL_MODE_STRICT && value->kind == DL_VALUE_NUMBER) return time_from_seconds(value->number, value, conversion);
  if (value->kind != DL_VALUE_STRING) return dl_format_refuse(conversion, "time_type", "should be a time, as a string like \"10:00:00\"");
  calendar c = {0};
  dl_str text = dl_value_str(value);
  const char *at = text.ptr;
  const char *wrong = read_time(&at, text.ptr + text.len, &c);
  return wrong ? dl_format_refuse_because(conversion, "time_parsing", wanted_time, "error", wrong) : accept_time(value, &c, conversion);
}
