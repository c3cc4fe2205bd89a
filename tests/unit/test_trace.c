/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "http/trace.h"

#include <stdio.h>

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"

static dl_random random_source;

static dl_trace begin(const char *traceparent) {
  dl_trace trace;
  dl_trace_begin(&trace, dl_str_of(traceparent), &random_source);
  return trace;
}

static void a_valid_traceparent_is_joined(void **state) {
  (void)state;
  dl_trace trace = begin("00-" TRACE "-" SPAN "-01");
  char out[DL_TRACEPARENT_BYTES];
  assert_true(trace.has_parent && trace.sampled);
  assert_memory_equal(trace.trace_id, TRACE, 32);
  assert_memory_equal(trace.parent_id, SPAN, 16);
  assert_memory_not_equal(trace.span_id, SPAN, 16);
  dl_trace_write(&trace, out);
  assert_memory_equal(out, "00-" TRACE "-", 36);
  assert_memory_equal(out + 36, trace.span_id, 16);
  assert_memory_equal(out + 52, "-01", 3);
  assert_false(begin("00-" TRACE "-" SPAN "-00").sampled);
  assert_false(begin("00-" TRACE "-" SPAN "-fe").sampled);
  assert_true(begin("00-" TRACE "-" SPAN "-ff").sampled);
}

static void versions_to_come_are_read_as_far_as_ours_goes(void **state) {
  (void)state;
  assert_true(begin("cc-" TRACE "-" SPAN "-01").has_parent);
  assert_true(begin("cc-" TRACE "-" SPAN "-01-what-the-future-will-be-like").has_parent);
  assert_true(begin("cc-" TRACE "-" SPAN "-01-").has_parent);
  assert_false(begin("cc-" TRACE "-" SPAN "-01.what").has_parent);
  assert_false(begin("cc-" TRACE "-" SPAN "-011").has_parent);
}

static void what_is_not_valid_begins_a_new_trace(void **state) {
  (void)state;
  static const char *const wrong[] = {
      "", "0", "ff-" TRACE "-" SPAN "-01", "00-" TRACE "-" SPAN "-01-more", "00-" TRACE "-" SPAN "-01 ", "00-" TRACE "-" SPAN "-1", "00-" TRACE "-" SPAN,
      "00-00000000000000000000000000000000-" SPAN "-01", "00-" TRACE "-0000000000000000-01", "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01",
      "00-" TRACE "-00F067AA0BA902B7-01", "00_" TRACE "-" SPAN "-01", "00-" TRACE "_" SPAN "-01", "00-" TRACE "-" SPAN "_01", "0g-" TRACE "-" SPAN "-01",
      "00-" TRACE "-" SPAN "-0g", "00-" TRACE "-" SPAN "-01, 00-" TRACE "-" SPAN "-01", ".0-" TRACE "-" SPAN "-01"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    dl_trace trace = begin(wrong[i]);
    if (trace.has_parent || trace.sampled) fail_msg("%s was joined", wrong[i]);
    if (memcmp(trace.trace_id, TRACE, 32) == 0) fail_msg("%s kept its id", wrong[i]);
  }
}

/* The ids are the source's numbers, digit by digit. */
static void ids_are_written_as_hexadecimal_digits(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed < 500; seed++) {
    dl_random ours = {{seed, seed * 0x0123456789abcdefu, ~seed, seed << 40}}, same = ours;
    dl_trace trace;
    char expected[17];
    dl_trace_begin(&trace, DL_STR(""), &ours);
    snprintf(expected, sizeof expected, "%016llx", (unsigned long long)dl_random_next(&same));
    assert_memory_equal(trace.span_id, expected, 16);
    snprintf(expected, sizeof expected, "%016llx", (unsigned long long)dl_random_next(&same));
    assert_memory_equal(trace.trace_id, expected, 16);
  }
}

static void new_traces_are_all_different(void **state) {
  (void)state;
  enum { COUNT = 200 };
  dl_trace traces[COUNT];
  for (int i = 0; i < COUNT; i++) {
    traces[i] = begin("");
    assert_int_equal(strspn(traces[i].trace_id, "0123456789abcdef") >= 32, 1);
    for (int j = 0; j < i; j++) {
      assert_memory_not_equal(traces[i].trace_id, traces[j].trace_id, 32);
      assert_memory_not_equal(traces[i].span_id, traces[j].span_id, 16);
    }
  }
  dl_random other;
  dl_random_seed(&other);
  assert_true(dl_random_next(&other) != dl_random_next(&random_source));
}

static void a_tracestate_is_passed_on_when_it_is_one(void **state) {
  (void)state;
  static const char *const right[] = {"a=1", "congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "a=1, b=2 ,\tc=3", "1t@sys=x", "a_-*/0=x", "a= x", "a=1,,b=2"};
  static const char *const wrong[] = {"", ",", "a", "a=", "=1", "A=1", "a=1,a=2", "1a=1", "@a=1", "a@=1", "a@b@c=1", "a@1=x", "a=b=c", "a=\x7f", "a=1\x01", "-a=1", "a b=1"};
  for (size_t i = 0; i < sizeof right / sizeof *right; i++)
    if (!dl_tracestate_valid(dl_str_of(right[i]))) fail_msg("%s", right[i]);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    if (dl_tracestate_valid(dl_str_of(wrong[i]))) fail_msg("%s", wrong[i]);
}

static void a_tracestate_has_bounds(void **state) {
  (void)state;
  char text[1200] = "";
  for (int i = 0; i < 32; i++) sprintf(text + strlen(text), "%sk%d=v", i ? "," : "", i);
  assert_true(dl_tracestate_valid(dl_str_of(text)));
  strcat(text, ",last=v");
  assert_false(dl_tracestate_valid(dl_str_of(text)));
  memset(text, 'a', sizeof text);
  text[256] = '=';
  assert_true(dl_tracestate_valid(dl_str_from(text, 257 + 256)));
  assert_false(dl_tracestate_valid(dl_str_from(text, 257 + 257)));
  text[256] = 'a';
  text[257] = '=';
  assert_false(dl_tracestate_valid(dl_str_from(text, 300)));
}

static int seed(void **state) {
  (void)state;
  dl_random_seed(&random_source);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_valid_traceparent_is_joined),
      cmocka_unit_test(versions_to_come_are_read_as_far_as_ours_goes),
      cmocka_unit_test(what_is_not_valid_begins_a_new_trace),
      cmocka_unit_test(ids_are_written_as_hexadecimal_digits),
      cmocka_unit_test(new_traces_are_all_different),
      cmocka_unit_test(a_tracestate_is_passed_on_when_it_is_one),
      cmocka_unit_test(a_tracestate_has_bounds),
  };
  return cmocka_run_group_tests(tests, seed, NULL);
}
