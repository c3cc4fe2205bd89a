/* SPDX-License-Identifier: MIT */
/*
 * JSON numbers: integers to int64, the others to the nearest double. Numbers of
 * ordinary length need one exact multiplication or division (Clinger, 1990); the
 * rest go to strtod, without a decimal point, so that no locale can change them.
 */
#include "model/json_internal.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  EXACT_DIGITS = 19, /* as many always fit a uint64 */
  EXACT_POWER = 22,  /* 10^22 is the largest power of ten that a double holds exactly */
  NEAR_DIGITS = 100  /* digits for strtod that need no heap */
};

/* Beyond it no exponent changes the result, since a text has under 2^32 digits. */
#define EXPONENT_LIMIT ((int64_t)1 << 40)

#define MANTISSA_LIMIT ((uint64_t)1 << 53)

static const double powers_of_ten[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                                      1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

typedef struct number {
  const char *digits; /* of the whole part, then maybe a point and those of the fraction */
  size_t whole_count, fraction_count;
  uint64_t mantissa;  /* all digits as one integer; meaningful up to EXACT_DIGITS significant ones */
  size_t significant; /* digits from the first that is not 0 */
  int64_t exponent;   /* as written */
  bool negative, real;
} number;

static inline bool is_digit(const char *p, const char *end) { return p < end && *p >= '0' && *p <= '9'; }

static inline const char *take_digits(const char *p, const char *end, number *n) {
  for (; is_digit(p, end); p++) {
    n->mantissa = n->mantissa * 10 + (uint64_t)(*p - '0');
    n->significant += n->significant || *p != '0';
  }
  return p;
}

static const char *take_exponent(const char *p, const char *end, number *n) {
  bool below = p < end && *p == '-';
  if (p < end && (*p == '-' || *p == '+')) p++;
  if (!is_digit(p, end)) return NULL;
  for (; is_digit(p, end); p++)
    if (n->exponent < EXPONENT_LIMIT) n->exponent = n->exponent * 10 + (*p - '0');
  if (below) n->exponent = -n->exponent;
  return p;
}

/* All digits without their point and the exponent moved to match. */
static double convert_far(const number *n, int64_t exponent) {
  char near[NEAR_DIGITS + 32];
  size_t count = n->whole_count + n->fraction_count;
  char *text = count <= NEAR_DIGITS ? near : dl_malloc(count + 32);
  memcpy(text, n->digits, n->whole_count);
  if (n->fraction_count) memcpy(text + n->whole_count, n->digits + n->whole_count + 1, n->fraction_count);
  snprintf(text + count, 32, "e%lld", (long long)exponent);
  double result = strtod(text, NULL);
  if (text != near) dl_free(text);
  return result;
}

static bool convert_real(const number *n, dl_value *out) {
  int64_t exponent = n->exponent - (int64_t)n->fraction_count;
  double result;
  if (n->significant <= EXACT_DIGITS && n->mantissa <= MANTISSA_LIMIT && exponent >= -EXACT_POWER && exponent <= EXACT_POWER)
    result = exponent < 0 ? (double)n->mantissa / powers_of_ten[-exponent] : (double)n->mantissa * powers_of_ten[exponent];
  else result = convert_far(n, exponent);
  if (isinf(result)) return false;
  *out = dl_value_number(n->negative ? -result : result);
  return true;
}

static bool convert_integer(const number *n, dl_value *out) {
  uint64_t limit = (uint64_t)INT64_MAX + n->negative;
  if (n->significant > EXACT_DIGITS || n->mantissa > limit) return false;
  *out = dl_value_integer(n->negative ? (int64_t)(0 - n->mantissa) : (int64_t)n->mantissa);
  return true;
}

const char *dl_json_read_number(const char *p, const char *end, const char *begin, dl_value *out, dl_json_error *error) {
  const char *start = p;
  number n = {.negative = *p == '-'};
  if (n.negative) p++;
  if (!is_digit(p, end)) return dl_json_fail(error, (size_t)(p - begin), "expected a digit behind the minus sign");
  n.digits = p;
  p = take_digits(p, end, &n);
  n.whole_count = (size_t)(p - n.digits);
  if (n.whole_count > 1 && *n.digits == '0')
    return dl_json_fail(error, (size_t)(n.digits - begin), "a number may not begin with 0 and another digit");
  if (p < end && *p == '.') {
    n.real = true;
    const char *fraction = p + 1;
    p = take_digits(fraction, end, &n);
    n.fraction_count = (size_t)(p - fraction);
    if (!n.fraction_count) return dl_json_fail(error, (size_t)(p - begin), "expected a digit behind the decimal point");
  }
  if (p < end && (*p == 'e' || *p == 'E')) {
    n.real = true;
    const char *exponent = p + 1;
    p = take_exponent(exponent, end, &n);
    if (!p) return dl_json_fail(error, (size_t)(exponent - begin), "expected a digit in the exponent");
  }
  if (n.real ? convert_real(&n, out) : convert_integer(&n, out)) return p;
  return dl_json_fail(error, (size_t)(start - begin), n.real ? "a number too large for a double" : "an integer outside the range of 64 bits");
}
