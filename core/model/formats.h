/* SPDX-License-Identifier: MIT */
/*
 * What the format files share: one conversion function per kind, the ways to
 * refuse a value, and the scanner of decimal numbers. Included by files of this
 * folder only.
 */
#ifndef DL_MODEL_FORMATS_H
#define DL_MODEL_FORMATS_H

#include "model/convert.h"

/* As dl_convert for one kind. STRING values are UTF-8 without NUL; nothing else
 * is assumed of them. */
typedef bool (*dl_format)(dl_mode mode, dl_value *value, dl_conversion *conversion);

bool dl_format_integer(dl_mode mode, dl_value *value, dl_conversion *conversion);
bool dl_format_int64(dl_mode mode, dl_value *value, dl_conversion *conversion);
bool dl_format_number(dl_mode mode, dl_value *value, dl_conversion *conversion);
bool dl_format_decimal(dl_mode mode, dl_value *value, dl_conversion *conversion);
bool dl_format_email(dl_mode mode, dl_value *value, dl_conversion *conversion);
bool dl_format_url(dl_mode mode, dl_value *value, dl_conversion *conversion);
bool dl_format_uuid(dl_mode mode, dl_value *value, dl_conversion *conversion);
bool dl_format_date(dl_mode mode, dl_value *value, dl_conversion *conversion);
bool dl_format_time(dl_mode mode, dl_value *value, dl_conversion *conversion);
bool dl_format_datetime(dl_mode mode, dl_value *value, dl_conversion *conversion);
bool dl_format_duration(dl_mode mode, dl_value *value, dl_conversion *conversion);
bool dl_format_ipv4(dl_mode mode, dl_value *value, dl_conversion *conversion);
bool dl_format_ipv6(dl_mode mode, dl_value *value, dl_conversion *conversion);
bool dl_format_cidr(dl_mode mode, dl_value *value, dl_conversion *conversion);
bool dl_format_bytes(dl_mode mode, dl_value *value, dl_conversion *conversion);

/* Refuses; all give false. message is static text. */
bool dl_format_refuse(dl_conversion *conversion, const char *type, const char *message);

/* Refuses with ctx {key: reason} and the message "wanted: reason". */
bool dl_format_refuse_because(dl_conversion *conversion, const char *type, const char *wanted, const char *key, const char *reason);

/* Refuses with ctx {key: context}. */
bool dl_format_refuse_with(dl_conversion *conversion, const char *type, const char *message, const char *key, dl_value context);

/* Replaces *value by text, in place when they are equal already. */
bool dl_format_accept(dl_value *value, dl_str text, dl_conversion *conversion);

/* Without Unicode's White_Space at both ends, which number fields may have in lax. */
dl_str dl_format_trim(dl_str text);

static inline bool dl_format_digit(char c) { return c >= '0' && c <= '9'; }
static inline bool dl_format_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* 0-15, or -1. */
static inline int dl_format_hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

enum { DL_DECIMAL_DIGITS_MAX = 1024 };

/* A decimal number taken apart: digits * 10^exponent. */
typedef struct dl_decimal {
  bool negative;
  int32_t exponent;
  uint32_t count;                     /* of digits, without leading zeros; 0 for zero */
  char digits[DL_DECIMAL_DIGITS_MAX]; /* '0'-'9' */
} dl_decimal;

typedef enum dl_decimal_scan { DL_DECIMAL_OK, DL_DECIMAL_MALFORMED, DL_DECIMAL_NOT_FINITE } dl_decimal_scan;

/* Reads "-1_000.50e-3": underscores between digits only, a digit before or after
 * the point; "inf", "infinity" and "nan" in any case are NOT_FINITE. */
dl_decimal_scan dl_decimal_read(dl_str text, dl_decimal *out);

/* The nearest double; infinite when it is too large for one. */
double dl_decimal_to_double(const dl_decimal *decimal);

/* The part of a second behind the point, in microseconds. */
enum { DL_MICROS = 1000000 };

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar. */
int64_t dl_format_day(int64_t year, int64_t month, int64_t day);

/* Reads the fraction behind "." or "," at *at, if there is one, dropping what is
 * finer than a microsecond. NULL, or what is wrong. */
const char *dl_format_fraction(const char **at, const char *end, int *micros);

/* Reads "mm" or "mm:ss[.ffffff]". NULL, or what is wrong. */
const char *dl_format_minutes(const char **at, const char *end, int *minute, int *second, int *micros);

/* Canonical text (RFC 5952) of a 16-byte address. mixed: IPv4-mapped ones end in
 * dotted form, as RFC 5952 5 recommends and URLs do not. p has room for DL_IPV6_TEXT;
 * gives the place behind what was written. */
enum { DL_IPV6_TEXT = 46 };
char *dl_ipv6_write(char *p, const unsigned char address[16], bool mixed);

/* Reads without a zone; false when it is none. */
bool dl_ipv4_read(dl_str text, unsigned char address[4]);
bool dl_ipv6_read(dl_str text, unsigned char address[16]);

#endif
