/* SPDX-License-Identifier: MIT */
/*
 * integer, int64 and number, and the reader of decimal text that decimals and
 * timestamps use too. strtod gets digits and an exponent, never a point, so that
 * no locale can change a number.
 */
#include "model/formats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define EXACT_MAX 9007199254740991 /* 2^53 - 1: every whole number up to it is its own double */

typedef struct whole_kind {
  uint64_t positive_max, negative_max; /* magnitudes */
  uint8_t flags;
  const char *size_message;
} whole_kind;

static const whole_kind integer_kind = {EXACT_MAX, EXACT_MAX, 0, "should lie between -9007199254740991 and 9007199254740991; an int64 field takes more"};
static const whole_kind int64_kind = {INT64_MAX, (uint64_t)INT64_MAX + 1, DL_VALUE_WIDE, "should lie between -9223372036854775808 and 9223372036854775807"};

static bool refuse_size(const whole_kind *kind, dl_conversion *conversion) {
  return dl_format_refuse(conversion, "int_parsing_size", kind->size_message);
}

static bool accept_whole(const whole_kind *kind, dl_value *value, bool negative, uint64_t magnitude, dl_conversion *conversion) {
  if (magnitude > (negative ? kind->negative_max : kind->positive_max)) return refuse_size(kind, conversion);
  *value = dl_value_integer((int64_t)(negative ? 0 - magnitude : magnitude));
  value->flags = kind->flags;
  return true;
}

/* Whether s, which begins with a point, is ".000": Pydantic's lax mode takes "1.0" for 1, and "1." not. */
static bool zero_fraction(dl_str s) {
  if (s.len < 2) return false;
  for (size_t i = 1; i < s.len; i++)
    if (s.ptr[i] != '0') return false;
  return true;
}

static bool whole_from_text(const whole_kind *kind, dl_value *value, dl_conversion *conversion) {
  static const char message[] = "should be a whole number, written in digits";
  dl_str text = dl_format_trim(dl_value_str(value));
  bool negative = text.len && text.ptr[0] == '-', too_large = false, digit_before = false;
  if (text.len && (text.ptr[0] == '-' || text.ptr[0] == '+')) text = dl_str_skip(text, 1);
  uint64_t magnitude = 0;
  size_t i = 0;
  for (; i < text.len && text.ptr[i] != '.'; i++) {
    char c = text.ptr[i];
    if (c == '_' && digit_before && i + 1 < text.len && dl_format_digit(text.ptr[i + 1])) {
      digit_before = false;
      continue;
    }
    if (!dl_format_digit(c)) return dl_format_refuse(conversion, "int_parsing", message);
    digit_before = true;
    too_large = too_large || __builtin_mul_overflow(magnitude, 10u, &magnitude) || __builtin_add_overflow(magnitude, (uint64_t)(c - '0'), &magnitude);
  }
  if (!digit_before || (i < text.len && !zero_fraction(dl_str_skip(text, i)))) return dl_format_refuse(conversion, "int_parsing", message);
  if (too_large) return refuse_size(kind, conversion);
  return accept_whole(kind, value, negative, magnitude, conversion);
}

static bool whole_from_number(const whole_kind *kind, dl_value *value, dl_conversion *conversion) {
  double number = value->number;
  if (!isfinite(number)) return dl_format_refuse(conversion, "finite_number", "should be a finite number");
  if (number != floor(number)) return dl_format_refuse(conversion, "int_from_float", "should be a whole number, without a fraction");
  /* Beyond it a double may stand for a number that nobody wrote. */
  if (fabs(number) > (double)EXACT_MAX) return refuse_size(kind, conversion);
  return accept_whole(kind, value, number < 0, (uint64_t)fabs(number), conversion);
}

static bool convert_whole(const whole_kind *kind, dl_mode mode, dl_value *value, dl_conversion *conversion) {
  if (value->kind == DL_VALUE_INTEGER) {
    bool negative = value->integer < 0;
    return accept_whole(kind, value, negative, negative ? 0 - (uint64_t)value->integer : (uint64_t)value->integer, conversion);
  }
  if (mode != DL_MODE_STRICT) {
    if (value->kind == DL_VALUE_STRING) return whole_from_text(kind, value, conversion);
    if (value->kind == DL_VALUE_NUMBER) return whole_from_number(kind, value, conversion);
    if (value->kind == DL_VALUE_BOOLEAN) return accept_whole(kind, value, false, value->boolean, conversion);
  }
  return dl_format_refuse(conversion, "int_type", "should be a whole number");
}

bool dl_format_integer(dl_mode mode, dl_value *value, dl_conversion *conversion) { return convert_whole(&integer_kind, mode, value, conversion); }

bool dl_format_int64(dl_mode mode, dl_value *value, dl_conversion *conversion) { return convert_whole(&int64_kind, mode, value, conversion); }

/* Whether s is one of the words other programs write for what is not finite. */
static bool not_finite(dl_str s) {
  return dl_str_equal_nocase(s, DL_STR("nan")) || dl_str_equal_nocase(s, DL_STR("inf")) || dl_str_equal_nocase(s, DL_STR("infinity"));
}

/* One run of digits, underscores between them; false when there is something
 * else where a digit should be. fraction: each digit lowers the exponent. */
static bool read_digits(const char **at, const char *end, bool fraction, dl_decimal *out, bool *any) {
  const char *p = *at;
  *any = false;
  for (; p < end && (dl_format_digit(*p) || *p == '_'); p++) {
    if (*p == '_') {
      if (!*any || p + 1 == end || !dl_format_digit(p[1])) return false;
      continue;
    }
    *any = true;
    if (fraction) out->exponent--;
    if (*p == '0' && !out->count) continue;
    if (out->count == DL_DECIMAL_DIGITS_MAX) return false;
    out->digits[out->count++] = *p;
  }
  *at = p;
  return true;
}

/* "e-12" at the end; what no double or decimal can hold saturates. */
static bool read_exponent(const char *p, const char *end, int32_t *exponent) {
  bool negative = p < end && *p == '-';
  if (p < end && (*p == '-' || *p == '+')) p++;
  if (p == end) return false;
  int32_t value = 0;
  for (; p < end; p++) {
    if (!dl_format_digit(*p)) return false;
    if (value < 100000) value = value * 10 + (*p - '0');
  }
  *exponent += negative ? -value : value;
  return true;
}

dl_decimal_scan dl_decimal_read(dl_str text, dl_decimal *out) {
  out->negative = text.len && text.ptr[0] == '-';
  out->exponent = 0;
  out->count = 0;
  if (text.len && (text.ptr[0] == '-' || text.ptr[0] == '+')) text = dl_str_skip(text, 1);
  if (text.len > 4 * DL_DECIMAL_DIGITS_MAX) return DL_DECIMAL_MALFORMED;
  if (not_finite(text)) return DL_DECIMAL_NOT_FINITE;
  const char *p = text.ptr, *end = text.ptr + text.len;
  bool whole, fraction = false;
  if (!read_digits(&p, end, false, out, &whole)) return DL_DECIMAL_MALFORMED;
  if (p < end && *p == '.') {
    p++;
    if (!read_digits(&p, end, true, out, &fraction)) return DL_DECIMAL_MALFORMED;
  }
  if (!whole && !fraction) return DL_DECIMAL_MALFORMED;
  if (p < end && (*p == 'e' || *p == 'E')) return read_exponent(p + 1, end, &out->exponent) ? DL_DECIMAL_OK : DL_DECIMAL_MALFORMED;
  return p == end ? DL_DECIMAL_OK : DL_DECIMAL_MALFORMED;
}

double dl_decimal_to_double(const dl_decimal *decimal) {
  static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  double number = 0;
  if (decimal->count <= 15 && decimal->exponent >= -22 && decimal->exponent <= 22) {
    /* Both operands are exact, so the one rounding of the result is right. */
    for (uint32_t i = 0; i < decimal->count; i++) number = number * 10 + (decimal->digits[i] - '0');
    number = decimal->exponent < 0 ? number / powers[-decimal->exponent] : number * powers[decimal->exponent];
  } else if (decimal->count) {
    char text[DL_DECIMAL_DIGITS_MAX + 16];
    memcpy(text, decimal->digits, decimal->count);
    snprintf(text + decimal->count, 16, "e%d", decimal->exponent);
    number = strtod(text, NULL);
  }
  return decimal->negative ? -number : number;
}

static bool accept_number(dl_value *value, double number, dl_conversion *conversion) {
  if (!isfinite(number)) return dl_format_refuse(conversion, "finite_number", "should be a finite number");
  *value = dl_value_number(number);
  return true;
}

bool dl_format_number(dl_mode mode, dl_value *value, dl_conversion *conversion) {
  if (value->kind == DL_VALUE_NUMBER) return accept_number(value, value->number, conversion);
  if (value->kind == DL_VALUE_INTEGER) return accept_number(value, (double)value->integer, conversion);
  if (mode != DL_MODE_STRICT && value->kind == DL_VALUE_BOOLEAN) return accept_number(value, value->boolean, conversion);
  if (mode == DL_MODE_STRICT || value->kind != DL_VALUE_STRING) return dl_format_refuse(conversion, "float_type", "should be a number");
  dl_decimal decimal;
  switch (dl_decimal_read(dl_format_trim(dl_value_str(value)), &decimal)) {
  case DL_DECIMAL_OK: return accept_number(value, dl_decimal_to_double(&decimal), conversion);
  case DL_DECIMAL_NOT_FINITE: return accept_number(value, INFINITY, conversion);
  default: return dl_format_refuse(conversion, "float_parsing", "should be a number, written like 12 or 0.5");
  }
}
