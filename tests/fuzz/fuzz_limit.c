/* SPDX-License-Identifier: MIT */
/*
 * Any text as a rule, as an address, and as keys against what came out: a rule is
 * inside its bounds and its names can stand in a header field, a refusal says why in
 * printable words, and nobody passes more often than the count.
 */
#include "limit/table.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "%s\n", what);
  abort();
}

static bool printable(const char *text) {
  for (; *text; text++)
    if (*text < ' ' || *text > '~') return false;
  return true;
}

static void check_limits(const dl_limit *limits, size_t count) {
  must(count <= DL_LIMIT_WINDOWS_MAX, "too many limits");
  for (size_t i = 0; i < count; i++) {
    must(limits[i].count >= 1 && limits[i].count <= DL_LIMIT_COUNT_MAX, "count out of bounds");
    must(limits[i].seconds >= 1 && limits[i].seconds <= DL_LIMIT_SECONDS_MAX, "window out of bounds");
    must(limits[i].cost >= 1 && limits[i].cost <= limits[i].count, "cost out of bounds");
    must(printable(limits[i].name) && !strpbrk(limits[i].name, "\"\\"), "a name that wants escaping");
    for (size_t j = 0; j < i; j++) must(limits[j].id != limits[i].id, "two limits with one id");
  }
}

static void check_use(const dl_limit *limits, size_t count, dl_str key) {
  static dl_limit_table *table;
  static uint64_t now_us = 1;
  if (!table) table = dl_limit_table_new(1 << 16);
  uint32_t least = limits[0].count / limits[0].cost;
  for (size_t i = 1; i < count; i++)
    if (limits[i].count / limits[i].cost < least) least = limits[i].count / limits[i].cost;
  now_us += 3ull * DL_LIMIT_SECONDS_MAX * 1000000u; /* the inputs before do not bear on this one */
  uint32_t tries = least < 100 ? least + 3 : 100, passed = 0;
  for (uint32_t i = 0; i < tries; i++) {
    dl_limit_result result = dl_limit_check(table, limits, count, key, now_us);
    must(result.limit && result.remaining <= result.limit->count, "more is left than there was");
    must(result.allowed == (result.retry_after_s == 0) && result.reset_s <= 2 * result.limit->seconds, "times do not fit");
    passed += result.allowed;
  }
  must(passed == (tries < least ? tries : least), "not exactly the count passed");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dl_str text = dl_str_from((const char *)data, size);
  dl_limit limits[DL_LIMIT_WINDOWS_MAX];
  char error[DL_LIMIT_ERROR_BYTES], bytes[DL_LIMIT_KEY_BYTES];
  dl_limit_options options = {.scope = text, .cost = size ? data[size - 1] : 0, .fixed = size % 2};
  dl_str key = dl_limit_client_key(text, bytes);
  size_t count = dl_limit_parse(text, &options, limits, error);
  if (!count) {
    must(error[0] && printable(error), "refused without a word");
    return 0;
  }
  must(!error[0], "read, and complained of");
  check_limits(limits, count);
  check_use(limits, count, key);
  return 0;
}
