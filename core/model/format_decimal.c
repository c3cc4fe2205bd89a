/* SPDX-License-Identifier: MIT */
/*
 * decimal: an exact number kept as text, for money and the like. The canonical
 * form has no exponent and keeps the zeros behind the point ("12.50"), since
 * they say how exact the number is.
 */
#include "model/formats.h"

#include "base/short_double.h"

#include <math.h>
#include <stdio.h>

enum {
  DIGITS_MAX = 100, /* before and behind the point; an exponent of a million must not become a million zeros */
};

static bool refuse_digits(dl_conversion *conversion) {
  return dl_format_refuse_with(conversion, "decimal_max_digits", "should have at most 100 digits", "max_digits", dl_value_integer(DIGITS_MAX));
}

static bool accept_decimal(dl_value *value, const dl_decimal *decimal, dl_conversion *conversion) {
  int64_t behind = decimal->exponent < 0 ? -(int64_t)decimal->exponent : 0;
  int64_t before = decimal->count ? (int64_t)decimal->count + decimal->exponent : 0;
  if (before < 0) before = 0;
  if (before + behind > DIGITS_MAX) return refuse_digits(conversion);
  char text[DIGITS_MAX + 4], *p = text;
  if (decimal->negative && decimal->count) *p++ = '-';
  if (!before) *p++ = '0';
  /* The digits stand for places before-1 down to -behind; zeros fill the rest. */
  int64_t first = (int64_t)decimal->count + decimal->exponent;
  for (int64_t place = before; place > -behind; place--) {
    if (place == 0) *p++ = '.';
    int64_t index = first - place;
    *p++ = index >= 0 && index < (int64_t)decimal->count ? decimal->digits[index] : '0';
  }
  return dl_format_accept(value, dl_str_from(text, (size_t)(p - text)), conversion);
}

/* The shortest digits that read back as the same double, taken apart without
 * looking at the decimal point, which a locale may have changed. */
static void from_long_double(double number, dl_decimal *out) {
  char text[40];
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof(text), "%.*e", digits - 1, number);
    out->count = 0;
    const char *p = text;
    for (; *p != 'e'; p++)
      if (dl_format_digit(*p) && (out->count || *p != '0')) out->digits[out->count++] = *p;
    int exponent = 0;
    for (const char *q = p + 2; *q; q++) exponent = exponent * 10 + (*q - '0');
    out->exponent = (p[1] == '-' ? -exponent : exponent) - (digits - 1);
    if (dl_decimal_to_double(out) == number) break;
  }
  while (out->count && out->exponent < 0 && out->digits[out->count - 1] == '0') {
    out->count--;
    out->exponent++;
  }
}

static void from_double(double number, dl_decimal *out) {
  uint64_t whole;
  int behind;
  out->negative = false; /* while its size is read */
  if (dl_short_double(fabs(number), &whole, &behind)) {
    char digits[20];
    size_t first = sizeof(digits);
    for (; whole; whole /= 10) digits[--first] = (char)('0' + whole % 10);
    out->count = (uint32_t)(sizeof(digits) - first);
    memcpy(out->digits, digits + first, out->count);
    out->exponent = -behind;
  } else from_long_double(fabs(number), out);
  out->negative = number < 0;
}

bool dl_format_decimal(dl_mode mode, dl_value *value, dl_conversion *conversion) {
  (void)mode; /* strict takes the same: JSON has no other way to write one */
  dl_decimal decimal;
  switch (value->kind) {
  case DL_VALUE_INTEGER: {
    char text[24];
    int length = snprintf(text, sizeof(text), "%lld", (long long)value->integer);
    return dl_format_accept(value, dl_str_from(text, (size_t)length), conversion);
  }
  case DL_VALUE_NUMBER:
    if (!isfinite(value->number)) return dl_format_refuse(conversion, "finite_number", "should be a finite number");
    /* What is left of these is known to be refused; their digits are the dearest to find. */
    if (fabs(value->number) >= 1e100 || (value->number != 0 && fabs(value->number) < 1e-100)) return refuse_digits(conversion);
    from_double(value->number, &decimal);
    return accept_decimal(value, &decimal, conversion);
  case DL_VALUE_STRING:
    switch (dl_decimal_read(dl_format_trim(dl_value_str(value)), &decimal)) {
    case DL_DECIMAL_OK: return accept_decimal(value, &decimal, conversion);
    case DL_DECIMAL_NOT_FINITE: return dl_format_refuse(conversion, "finite_number", "should be a finite number");
    default: return dl_format_refuse(conversion, "decimal_parsing", "should be a decimal number, written like \"12.50\"");
    }
  default: return dl_format_refuse(conversion, "decimal_type", "should be a decimal number, as a string like \"12.50\" or a number");
  }
}
