/* SPDX-License-Identifier: MIT */
/* Limits without concurrency: the grammar, the arithmetic of windows under a moved clock, client keys, header fields. */
#include "unit.h"

#include "limit/limit.h"
#include "limit/table.h"

#include <stdio.h>

enum { SECOND = 1000000 };

static size_t parse(const char *text, dl_limit *out, char *error) {
  return dl_limit_parse(dl_str_of(text), &(dl_limit_options){.scope = DL_STR("GET / client")}, out, error);
}

/* --- grammar ---------------------------------------------------------------------- */

static void reads_what_slowapi_reads(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t count;
    struct {
      uint32_t count, seconds;
    } limits[3];
    const char *name;
  } rows[] = {
      {"5/minute", 1, {{5, 60}}, "5/minute"},
      {"100 per hour", 1, {{100, 3600}}, "100/hour"},
      {"1/2 minutes", 1, {{1, 120}}, "1/2 minutes"},
      {"10/second;100/hour", 2, {{10, 1}, {100, 3600}}, "10/second"},
      {"10/second, 100 per hour|1000/day", 3, {{10, 1}, {100, 3600}, {1000, 86400}}, "10/second"},
      {"  7  PER  3  Days  ", 1, {{7, 3 * 86400}}, "7/3 days"},
      {"1/1hours", 1, {{1, 3600}}, "1/hour"},
      {"5per minute", 1, {{5, 60}}, "5/minute"},
      {"1000000/31days", 1, {{1000000, 31 * 86400}}, "1000000/31 days"},
      {"007/SECONDS", 1, {{7, 1}}, "7/second"},
      {"1/\t2 \nminutes ;\r2/day", 2, {{1, 120}, {2, 86400}}, "1/2 minutes"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
    dl_limit limits[DL_LIMIT_WINDOWS_MAX];
    char error[DL_LIMIT_ERROR_BYTES];
    size_t count = parse(rows[i].text, limits, error);
    if (count != rows[i].count) fail_msg("%s: %zu, %s", rows[i].text, count, error);
    assert_string_equal(error, "");
    assert_string_equal(limits[0].name, rows[i].name);
    for (size_t j = 0; j < count; j++) {
      assert_int_equal(limits[j].count, rows[i].limits[j].count);
      assert_int_equal(limits[j].seconds, rows[i].limits[j].seconds);
      assert_int_equal(limits[j].cost, 1);
      assert_false(limits[j].fixed);
    }
  }
}

static void says_what_to_write_instead(void **state) {
  (void)state;
  static const struct {
    const char *text, *reason, *instead;
  } rows[] = {
      {"", "does not say how many", "\"5/minute\""},
      {"   ", "does not say how many", "\"5/minute\""},
      {"five/minute", "does not say how many", "\"5/minute\""},
      {"-5/minute", "does not say how many", "\"5/minute\""},
      {"5", "does not say in what time", "\"5 per minute\""},
      {"5 minute", "does not say in what time", "\"5 per minute\""},
      {"5 a minute", "does not say in what time", "\"/\" or \"per\""},
      {"5/", "no unit of time", "second, minute, hour or day"},
      {"5/2", "no unit of time", "second, minute, hour or day"},
      {"5/min", "not known", "write minute instead of min"},
      {"5/S", "not known", "write second instead of s"},
      {"5/month", "not known", "write 30 days instead of month"},
      {"5/year", "not known", "write 31 days at most"},
      {"5/fortnight", "not known", "second, minute, hour or day"},
      {"0/minute", "lets nobody in", "write 1 or more"},
      {"1000001/minute", "counts too far", "at most 1000000"},
      {"99999999999999999999999999/minute", "counts too far", "at most 1000000"},
      {"5/0 minutes", "no length", "write 1 minute or more"},
      {"5/32 days", "too long", "at most 31 days"},
      {"5/99999999999999999999 seconds", "too long", "at most 31 days"},
      {"5/minute/hour", "goes on", "\";\" between rules"},
      {"5/minute 6/hour", "goes on", "\";\" between rules"},
      {"1.5/minute", "does not say in what time", "\"5/minute\""},
      {"5/minute;", "does not say how many", "\"5/minute\""},
      {";5/minute", "does not say how many", "\"5/minute\""},
      {"5/minute;7/60 seconds", "two rules for a window of 60 seconds", "keep the smaller"},
      {"1/second;1/2 seconds;1/3 seconds;1/4 seconds;1/5 seconds;1/6 seconds;1/7 seconds;1/8 seconds;1/9 seconds", "too many rules", "at most 8"},
      {"5/\x1b[31mminute", "no unit", "limit \"5/?[31mminute\""},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
    dl_limit limits[DL_LIMIT_WINDOWS_MAX];
    char error[DL_LIMIT_ERROR_BYTES];
    if (parse(rows[i].text, limits, error) != 0) fail_msg("%s was read", rows[i].text);
    if (!strstr(error, rows[i].reason) || !strstr(error, rows[i].instead)) fail_msg("%s: %s", rows[i].text, error);
  }
}

static void refuses_a_cost_over_the_count_and_a_name_that_no_field_can_hold(void **state) {
  (void)state;
  dl_limit limits[DL_LIMIT_WINDOWS_MAX];
  char error[DL_LIMIT_ERROR_BYTES];
  assert_int_equal(dl_limit_parse(DL_STR("5/minute"), &(dl_limit_options){.cost = 5}, limits, error), 1);
  assert_int_equal(limits[0].cost, 5);
  assert_int_equal(dl_limit_parse(DL_STR("5/minute"), &(dl_limit_options){.cost = 6}, limits, error), 0);
  assert_non_null(strstr(error, "a cost of at most 5"));
  static const char *const names[] = {"a\"b", "a b", "a\r\nX: 1", "abcdefghijklmnopqrstuvwxy"};
  for (size_t i = 0; i < 4; i++) assert_int_equal(dl_limit_parse(DL_STR("5/minute"), &(dl_limit_options){.name = dl_str_of(names[i])}, limits, error), 0);
  assert_non_null(strstr(error, "up to 24 letters"));
}

static void keeps_an_id_when_only_the_number_changes(void **state) {
  (void)state;
  dl_limit a[DL_LIMIT_WINDOWS_MAX], b[DL_LIMIT_WINDOWS_MAX];
  char error[DL_LIMIT_ERROR_BYTES];
  parse("5/minute;9/hour", a, error);
  parse("6/60 seconds;5/2 minutes", b, error);
  assert_true(a[0].id == b[0].id);
  assert_true(a[0].id != a[1].id && a[1].id != b[1].id && b[1].id != b[0].id);
  dl_limit_parse(DL_STR("5/minute"), &(dl_limit_options){.scope = DL_STR("GET / client"), .fixed = true}, b, error);
  assert_true(a[0].id != b[0].id);
  dl_limit_parse(DL_STR("5/minute"), &(dl_limit_options){.scope = DL_STR("GET / principal")}, b, error);
  assert_true(a[0].id != b[0].id);
}

/* --- windows under a clock that is moved ------------------------------------------ */

typedef struct world {
  dl_limit_table *table;
  dl_limit limits[DL_LIMIT_WINDOWS_MAX];
  size_t count;
  uint64_t now_us;
} world;

static void begin(world *w, const char *rule, dl_limit_options options) {
  char error[DL_LIMIT_ERROR_BYTES];
  options.scope = DL_STR("GET / client");
  w->count = dl_limit_parse(dl_str_of(rule), &options, w->limits, error);
  if (!w->count) fail_msg("%s", error);
  w->table = dl_limit_table_new(1 << 20);
  assert_non_null(w->table);
  w->now_us = 1234567890123u;
}

static void end(world *w) { dl_limit_table_free(w->table); }

static dl_limit_result hit(world *w, const char *key) { return dl_limit_check(w->table, w->limits, w->count, dl_str_of(key), w->now_us); }

static uint32_t admitted(world *w, const char *key, uint32_t tries) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < tries; i++) count += hit(w, key).allowed;
  return count;
}

static void admits_exactly_the_count_and_says_what_is_left(void **state) {
  (void)state;
  world w;
  begin(&w, "5/minute", (dl_limit_options){0});
  for (uint32_t i = 0; i < 5; i++) {
    dl_limit_result result = hit(&w, "a");
    assert_true(result.allowed);
    assert_ptr_equal(result.limit, &w.limits[0]);
    assert_int_equal(result.remaining, 4 - i);
    assert_int_equal(result.reset_s, 60);
    assert_int_equal(result.retry_after_s, 0);
    w.now_us += 1000;
  }
  dl_limit_result result = hit(&w, "a");
  assert_false(result.allowed);
  assert_int_equal(result.remaining, 0);
  assert_int_equal(result.retry_after_s, 60);
  assert_int_equal(result.reset_s, 60);
  assert_true(hit(&w, "b").allowed);
  assert_int_equal(admitted(&w, "a", 100), 0);
  end(&w);
}

static void slides(void **state) {
  (void)state;
  world w;
  begin(&w, "5/minute", (dl_limit_options){0});
  uint64_t opened_us = w.now_us;
  assert_int_equal(admitted(&w, "a", 9), 5);
  /* Of five spread over the window before, one is forgotten every twelve seconds. */
  for (uint32_t i = 0; i < 5; i++) {
    w.now_us = opened_us + (60u + 12 * i) * SECOND - 1;
    assert_int_equal(admitted(&w, "a", 3), 0);
    assert_int_equal(hit(&w, "a").retry_after_s, 1);
    w.now_us++;
    assert_int_equal(admitted(&w, "a", 3), 1);
  }
  /* Nothing bears on the present two windows after the last that was counted. */
  w.now_us = opened_us + 180u * SECOND;
  assert_int_equal(admitted(&w, "a", 9), 5);
  end(&w);
}

static void lets_one_a_minute_in_every_minute(void **state) {
  (void)state;
  world w;
  begin(&w, "1/minute", (dl_limit_options){0});
  for (int i = 0; i < 10; i++) {
    assert_int_equal(admitted(&w, "a", 5), 1);
    dl_limit_result result = hit(&w, "a");
    assert_int_equal(result.retry_after_s, 60);
    w.now_us += 59999999;
    assert_int_equal(admitted(&w, "a", 5), 0);
    w.now_us += 1;
  }
  end(&w);
}

static void a_fixed_window_opens_with_its_first_request(void **state) {
  (void)state;
  world w;
  begin(&w, "5/minute", (dl_limit_options){.fixed = true});
  assert_int_equal(admitted(&w, "a", 2), 2);
  w.now_us += 59u * SECOND;
  assert_int_equal(admitted(&w, "a", 9), 3);
  assert_int_equal(hit(&w, "a").retry_after_s, 1);
  w.now_us += SECOND;
  assert_int_equal(admitted(&w, "a", 9), 5);
  w.now_us += 600u * SECOND;
  assert_int_equal(admitted(&w, "a", 9), 5);
  end(&w);
}

static uint32_t random_below(uint32_t *seed, uint32_t bound) {
  *seed = *seed * 1664525u + 1013904223u;
  return (*seed >> 8) % bound;
}

/* Whatever came before: waiting as long as told is enough, and a second less is not. */
static void the_wait_it_names_is_the_one_that_is_needed(void **state) {
  (void)state;
  static const char *const rules[] = {"1/second", "3/10 seconds", "5/minute", "100/minute;7/second", "1000/hour"};
  uint32_t seed = 7, refusals = 0;
  for (size_t rule = 0; rule < 2 * sizeof(rules) / sizeof(*rules); rule++) {
    world w;
    begin(&w, rules[rule / 2], (dl_limit_options){.fixed = rule % 2 != 0, .cost = 1});
    for (int i = 0; i < 20000; i++) {
      dl_limit_result result = hit(&w, "a");
      uint64_t step_us = random_below(&seed, 4) ? random_below(&seed, 3000) : random_below(&seed, 3 * SECOND);
      if (!result.allowed && random_below(&seed, 8) == 0) {
        refusals++;
        uint64_t from_us = w.now_us;
        w.now_us = from_us + (result.retry_after_s - 1) * (uint64_t)SECOND;
        if (result.retry_after_s > 1) assert_false(hit(&w, "a").allowed);
        w.now_us = from_us + result.retry_after_s * (uint64_t)SECOND;
        assert_true(hit(&w, "a").allowed);
      }
      w.now_us += step_us;
    }
    end(&w);
  }
  assert_true(refusals > 1000);
}

/* The promise to the operator: in no stretch as long as the window are more than
 * twice the count admitted, and over many windows not more than the count each. */
static void admits_the_count_per_window_in_the_long_run(void **state) {
  (void)state;
  world w;
  begin(&w, "10/second", (dl_limit_options){0});
  enum { STEP_US = 997, WINDOWS = 200 };
  static uint64_t times[20 * WINDOWS];
  size_t count = 0, oldest = 0;
  uint64_t opened_us = w.now_us;
  for (; w.now_us < opened_us + (uint64_t)WINDOWS * SECOND; w.now_us += STEP_US) {
    if (!hit(&w, "a").allowed) continue;
    times[count++] = w.now_us;
    while (times[oldest] + SECOND <= w.now_us) oldest++;
    assert_true(count - oldest <= 2 * 10 - 1);
  }
  assert_in_range(count, 10 * WINDOWS - 10, 10 * WINDOWS + 10);
  end(&w);
}

static void a_refused_request_takes_nothing_from_the_other_windows(void **state) {
  (void)state;
  world w;
  begin(&w, "2/second;10/hour", (dl_limit_options){0});
  for (int i = 0; i < 5; i++) {
    assert_int_equal(admitted(&w, "a", 50), 2);
    w.now_us += 2u * SECOND;
  }
  dl_limit_result result = hit(&w, "a");
  assert_false(result.allowed);
  assert_ptr_equal(result.limit, &w.limits[1]);
  assert_int_equal(result.retry_after_s, 3590);
  end(&w);
}

static void of_several_windows_that_are_full_the_longest_wait_is_told(void **state) {
  (void)state;
  static const char *const rules[] = {"2/minute;2/hour", "2/hour;2/minute"};
  for (size_t i = 0; i < 2; i++) {
    world w;
    begin(&w, rules[i], (dl_limit_options){0});
    assert_int_equal(admitted(&w, "a", 3), 2);
    dl_limit_result result = hit(&w, "a");
    assert_int_equal(result.limit->seconds, 3600);
    assert_in_range(result.retry_after_s, 3600, 7200);
    end(&w);
  }
}

static void tells_of_the_window_that_binds_most(void **state) {
  (void)state;
  world w;
  begin(&w, "3/second;4/minute;1000/day", (dl_limit_options){0});
  assert_ptr_equal(hit(&w, "a").limit, &w.limits[0]); /* 2 of 3 left */
  assert_ptr_equal(hit(&w, "a").limit, &w.limits[0]); /* 1 */
  w.now_us += 2 * SECOND;
  assert_ptr_equal(hit(&w, "a").limit, &w.limits[1]); /* 2 and 1 left */
  dl_limit_result last = hit(&w, "a");
  assert_ptr_equal(last.limit, &w.limits[1]);
  assert_int_equal(last.remaining, 0);
  assert_int_equal(last.reset_s, 58);
  end(&w);
  begin(&w, "2/minute;2/hour;2/second", (dl_limit_options){0}); /* of as much that is left, what takes longest to come back */
  dl_limit_result first = hit(&w, "a");
  assert_ptr_equal(first.limit, &w.limits[1]);
  assert_int_equal(first.reset_s, 3600);
  end(&w);
}

static void counts_cost(void **state) {
  (void)state;
  world w;
  begin(&w, "10/minute", (dl_limit_options){.cost = 4});
  assert_int_equal(hit(&w, "a").remaining, 6);
  assert_int_equal(hit(&w, "a").remaining, 2);
  dl_limit_result result = hit(&w, "a");
  assert_false(result.allowed);
  assert_int_equal(result.remaining, 2);
  assert_true(result.retry_after_s >= result.reset_s);
  assert_int_equal(result.retry_after_s, 68); /* of 8 in the window before, two must have been forgotten */
  end(&w);
}

static void a_smaller_number_after_a_reload_finds_what_was_counted(void **state) {
  (void)state;
  world w;
  begin(&w, "100/minute", (dl_limit_options){0});
  assert_int_equal(admitted(&w, "a", 50), 50);
  char error[DL_LIMIT_ERROR_BYTES];
  parse("20/minute", w.limits, error);
  dl_limit_result result = hit(&w, "a");
  assert_false(result.allowed);
  assert_int_equal(result.remaining, 0);
  w.now_us += result.retry_after_s * (uint64_t)SECOND;
  assert_true(hit(&w, "a").allowed);
  end(&w);
}

static void a_clock_that_goes_back_opens_nothing_and_blocks_nobody_for_ever(void **state) {
  (void)state;
  world w;
  begin(&w, "5/minute", (dl_limit_options){0});
  assert_int_equal(admitted(&w, "a", 9), 5);
  uint64_t before_us = w.now_us;
  for (uint64_t back_us = 1; back_us < 1000000000000u; back_us *= 10) {
    w.now_us = before_us - back_us;
    assert_int_equal(admitted(&w, "a", 3), 0);
  }
  w.now_us += 120u * SECOND;
  assert_int_equal(admitted(&w, "a", 9), 5);
  end(&w);
}

static void survives_the_ends_of_time(void **state) {
  (void)state;
  world w;
  begin(&w, "5/minute;1000000/31 days", (dl_limit_options){0});
  w.now_us = 0;
  assert_int_equal(admitted(&w, "a", 9), 5);
  w.now_us = UINT64_MAX / 4;
  assert_int_equal(admitted(&w, "a", 9), 5);
  assert_int_equal(admitted(&w, "b", 9), 5);
  end(&w);
}

static void no_limit_is_no_refusal(void **state) {
  (void)state;
  world w;
  begin(&w, "5/minute", (dl_limit_options){0});
  w.count = 0;
  dl_limit_result result = hit(&w, "a");
  assert_true(result.allowed);
  assert_null(result.limit);
  end(&w);
}

/* --- keys ------------------------------------------------------------------------- */

static void an_address_stands_for_its_customer(void **state) {
  (void)state;
  static const struct {
    const char *one, *other;
    bool same;
  } rows[] = {
      {"192.0.2.1", "192.0.2.1", true},
      {"192.0.2.1", "192.0.2.2", false},
      {"2001:db8::1", "2001:db8:0:0:ffff:ffff:ffff:ffff", true},
      {"2001:db8::1", "2001:DB8:0::2", true},
      {"2001:db8::1", "2001:db8:0:1::1", false},
      {"::ffff:192.0.2.1", "192.0.2.1", true},
      {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
      {"::ffff:c000:201", "192.0.2.1", true},
      {"64:ff9b::192.0.2.1", "192.0.2.1", true},
      {"64:ff9b::192.0.2.1", "64:ff9b::192.0.2.2", false},
      {"fe80::1%eth0", "fe80::1%eth1", true},
      {"::1", "127.0.0.1", false},
      {"unix", "unix", true},
      {"unix", "", false},
      {"not an address", "192.0.2.1", false},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
    char one[DL_LIMIT_KEY_BYTES], other[DL_LIMIT_KEY_BYTES];
    bool same = dl_str_equal(dl_limit_client_key(dl_str_of(rows[i].one), one), dl_limit_client_key(dl_str_of(rows[i].other), other));
    if (same != rows[i].same) fail_msg("%s and %s", rows[i].one, rows[i].other);
  }
  char out[DL_LIMIT_KEY_BYTES], shortened[DL_LIMIT_KEY_BYTES];
  dl_str with_nul = dl_limit_client_key(dl_str_from("1.2.3.4\0.5", 10), out);
  assert_false(dl_str_equal(with_nul, dl_limit_client_key(DL_STR("1.2.3.4"), shortened)));
}

/* --- fields ------------------------------------------------------------------------ */

static void writes_the_fields_of_the_draft(void **state) {
  (void)state;
  dl_limit limits[DL_LIMIT_WINDOWS_MAX];
  char error[DL_LIMIT_ERROR_BYTES];
  assert_int_equal(dl_limit_parse(DL_STR("10/second;100/2 hours"), &(dl_limit_options){.name = DL_STR("client")}, limits, error), 2);
  dl_buffer out = {0};
  dl_limit_write_policy(&out, limits, 2);
  assert_str(dl_buffer_str(&out), "RateLimit-Policy: \"client 10/second\";q=10;w=1, \"client 100/2 hours\";q=100;w=7200\r\n");
  dl_buffer_clear(&out);
  dl_limit_result passed = {.allowed = true, .limit = &limits[1], .remaining = 57, .reset_s = 72};
  dl_limit_write_fields(&out, &passed, 1);
  assert_str(dl_buffer_str(&out), "RateLimit: \"client 100/2 hours\";r=57;t=72\r\n");
  dl_buffer_clear(&out);
  dl_limit_result both[] = {passed, {.allowed = true}, {.limit = &limits[0], .reset_s = 1, .retry_after_s = 2}};
  dl_limit_write_fields(&out, both, 3);
  assert_str(dl_buffer_str(&out), "RateLimit: \"client 100/2 hours\";r=57;t=72, \"client 10/second\";r=0;t=1\r\nRetry-After: 2\r\n");
  dl_buffer_clear(&out);
  dl_limit_write_fields(&out, &both[1], 1);
  dl_limit_write_policy(&out, limits, 0);
  assert_int_equal(out.len, 0);
  dl_buffer_free(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_what_slowapi_reads),
      cmocka_unit_test(says_what_to_write_instead),
      cmocka_unit_test(refuses_a_cost_over_the_count_and_a_name_that_no_field_can_hold),
      cmocka_unit_test(keeps_an_id_when_only_the_number_changes),
      cmocka_unit_test(admits_exactly_the_count_and_says_what_is_left),
      cmocka_unit_test(slides),
      cmocka_unit_test(lets_one_a_minute_in_every_minute),
      cmocka_unit_test(a_fixed_window_opens_with_its_first_request),
      cmocka_unit_test(the_wait_it_names_is_the_one_that_is_needed),
      cmocka_unit_test(admits_the_count_per_window_in_the_long_run),
      cmocka_unit_test(a_refused_request_takes_nothing_from_the_other_windows),
      cmocka_unit_test(of_several_windows_that_are_full_the_longest_wait_is_told),
      cmocka_unit_test(tells_of_the_window_that_binds_most),
      cmocka_unit_test(counts_cost),
      cmocka_unit_test(a_smaller_number_after_a_reload_finds_what_was_counted),
      cmocka_unit_test(a_clock_that_goes_back_opens_nothing_and_blocks_nobody_for_ever),
      cmocka_unit_test(survives_the_ends_of_time),
      cmocka_unit_test(no_limit_is_no_refusal),
      cmocka_unit_test(an_address_stands_for_its_customer),
      cmocka_unit_test(writes_the_fields_of_the_draft),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
