/* SPDX-License-Identifier: MIT */
#include "base/short_double.h"

#include <math.h>

static const double powers_of_ten[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

enum { BEHIND_MAX = sizeof(powers_of_ten) / sizeof(*powers_of_ten) - 1 };

/* Both operands of the division are exact, so that its one rounding is the one of a reader
 * (Clinger, 1990); and of decimals of 15 digits no two read as the same double. */
bool dl_short_double(double number, uint64_t *whole, int *behind) {
  for (int i = 0; i <= BEHIND_MAX; i++) {
    double shifted = rint(number * powers_of_ten[i]);
    if (!(shifted < 1e15)) return false;
    if (shifted / powers_of_ten[i] != number) continue;
    *whole = (uint64_t)shifted;
    *behind = i;
    return true;
  }
  return false;
}
