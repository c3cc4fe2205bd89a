/* SPDX-License-Identifier: MIT */
/* What every C unit test includes: cmocka with the headers it forgets, and strings. */
#ifndef DL_TESTS_UNIT_H
#define DL_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

#define assert_str(actual, expected)                                   \
  do {                                                                 \
    dl_str actual_ = (actual), expected_ = dl_str_of(expected);         \
    assert_int_equal(actual_.len, expected_.len);                      \
    if (expected_.len) assert_memory_equal(actual_.ptr, expected_.ptr, expected_.len); \
  } while (0)

#endif
