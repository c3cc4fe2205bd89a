/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void arena_pieces_are_aligned_and_apart(void **state) {
  (void)state;
  dl_arena arena;
  dl_arena_init(&arena, 64);
  char *previous = NULL;
  for (size_t size = 1; size < 300; size += 7) {
    char *piece = dl_arena_alloc(&arena, size);
    assert_int_equal((uintptr_t)piece % 16, 0);
    assert_ptr_not_equal(piece, previous);
    memset(piece, 0xab, size);
    previous = piece;
  }
  assert_str(dl_str_of(dl_arena_format(&arena, "%d-%s", 7, "x")), "7-x");
  dl_arena_reset(&arena);
  assert_int_equal(arena.used_bytes, 0);
  dl_str copy = dl_arena_copy(&arena, DL_STR("abc"));
  assert_int_equal(copy.ptr[3], '\0');
  dl_arena_free(&arena);
}

static void json_strings_are_escaped(void **state) {
  (void)state;
  dl_buffer out = {0};
  dl_buffer_append_json_string(&out, DL_STR("a\"\\\n\x01\xc3\xa9\xff"));
  assert_str(dl_buffer_str(&out), "\"a\\\"\\\\\\n\\u0001\xc3\xa9\xef\xbf\xbd\"");
  dl_buffer_free(&out);
}

/* A sanitizer's allocator would end the program instead; it asks one of these functions, by this name. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }
const char *__tsan_default_options(void) { return "allocator_may_return_null=1"; }

/* The sizes are over what an address space has, so that they fail on every machine. */
static void memory_that_is_not_there_leaves_an_arena_as_it_was(void **state) {
  (void)state;
  dl_arena arena;
  dl_arena_init(&arena, 64);
  char *kept = dl_arena_try_alloc(&arena, 16);
  memset(kept, 'x', 16);
  assert_null(dl_arena_try_alloc(&arena, SIZE_MAX / 4));
  assert_null(dl_arena_try_alloc(&arena, SIZE_MAX));
  assert_ptr_equal(dl_arena_try_alloc(&arena, 16), kept + 16);
  for (size_t size = 0; size < 200000; size = size * 2 + 1) memset(dl_arena_try_alloc(&arena, size), 'y', size);
  for (int i = 0; i < 10000; i++) memset(dl_arena_try_alloc(&arena, 100), 'z', 100); /* in large blocks by now */
  memset(dl_arena_alloc(&arena, 1000000), 'w', 1000000);
  assert_memory_equal(kept, "xxxxxxxxxxxxxxxx", 16);
  dl_arena_reset(&arena);
  assert_int_equal(arena.used_bytes, 0);
  assert_non_null(dl_arena_try_alloc(&arena, 64));
  dl_arena_free(&arena);
}

static void memory_that_is_not_there_leaves_a_buffer_as_it_was(void **state) {
  (void)state;
  dl_buffer buffer = {0};
  dl_buffer_append_str(&buffer, DL_STR("kept"));
  const char *data = buffer.data;
  size_t cap = buffer.cap;
  assert_true(dl_buffer_try_reserve(&buffer, cap - buffer.len));
  assert_false(dl_buffer_try_reserve(&buffer, SIZE_MAX / 4));
  assert_false(dl_buffer_try_reserve(&buffer, SIZE_MAX));
  assert_ptr_equal(buffer.data, data);
  assert_int_equal(buffer.cap, cap);
  assert_str(dl_buffer_str(&buffer), "kept");
  assert_true(dl_buffer_try_reserve(&buffer, 100000));
  assert_str(dl_buffer_str(&buffer), "kept");
  dl_buffer_free(&buffer);
}

static void doubles_read_back(void **state) {
  (void)state;
  static const struct {
    double number;
    const char *text;
  } rows[] = {{0, "0"}, {-0.0, "-0.0"}, {1, "1"}, {0.1, "0.1"}, {1e300, "1e+300"}, {123456789.25, "123456789.25"}, {5e-324, "4.94065645841247e-324"}};
  dl_buffer out = {0};
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    dl_buffer_clear(&out);
    dl_buffer_append_double(&out, rows[i].number);
    assert_str(dl_buffer_str(&out), rows[i].text);
  }
  dl_buffer_free(&out);
}

/* The least precision of printf that reads back, beginning with the fifteen digits that every decimal has room for. */
static const char *printed(double number, char text[32]) {
  for (int precision = 15; precision <= 17; precision++) {
    snprintf(text, 32, "%.*g", precision, number);
    if (strtod(text, NULL) == number) break;
  }
  return text;
}

static void doubles_have_the_digits_that_printf_finds(void **state) {
  (void)state;
  dl_buffer out = {0};
  char text[32];
  uint64_t seed = 88172645463325252u;
  for (int i = 0; i < 200000; i++) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    double number;
    if (i % 2) number = (double)(int64_t)(seed >> (10 + i % 50)) / pow(10, (double)(i / 2 % 20));
    else memcpy(&number, &seed, sizeof(number));
    if (i % 3 == 0) number = nextafter(number, 0);
    if (i % 4 == 3) number = -number;
    if (!isfinite(number) || number == floor(number)) continue;
    dl_buffer_clear(&out);
    dl_buffer_append_double(&out, number);
    assert_str(dl_buffer_str(&out), printed(number, text));
  }
  dl_buffer_free(&out);
}

static void integers_are_written_whole(void **state) {
  (void)state;
  dl_buffer out = {0};
  dl_buffer_append_int(&out, INT64_MIN);
  dl_buffer_append_char(&out, ' ');
  dl_buffer_append_uint(&out, UINT64_MAX);
  assert_str(dl_buffer_str(&out), "-9223372036854775808 18446744073709551615");
  dl_buffer_free(&out);
}

static void utf8_refuses_what_is_not_utf8(void **state) {
  (void)state;
  static const char *const bad[] = {"\x80", "\xc0\x80", "\xc1\xbf",    "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80",
                                    "\xf5", "ab\xc3",   "abcdefgh\xff"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) assert_false(dl_utf8_valid(dl_str_of(bad[i])));
  assert_true(dl_utf8_valid(DL_STR("plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x8c\x99")));
  assert_int_equal(dl_utf8_length(DL_STR("\xc3\xa9\xe2\x82\xac\xf0\x9f\x8c\x99")), 3);
}

static void map_finds_what_was_put(void **state) {
  (void)state;
  dl_arena arena;
  dl_arena_init(&arena, 0);
  dl_map map;
  dl_map_init(&map, &arena);
  int values[500];
  for (int i = 0; i < 500; i++) assert_null(dl_map_put(&map, dl_str_of(dl_arena_format(&arena, "key %d", i)), &values[i]));
  for (int i = 0; i < 500; i++) assert_ptr_equal(dl_map_get(&map, dl_str_of(dl_arena_format(&arena, "key %d", i))), &values[i]);
  assert_null(dl_map_get(&map, DL_STR("key 500")));
  assert_ptr_equal(dl_map_put(&map, DL_STR("key 3"), &values[9]), &values[3]);
  assert_ptr_equal(dl_map_get(&map, DL_STR("key 3")), &values[3]);
  dl_arena_free(&arena);
}

static void dates_have_their_standard_forms(void **state) {
  (void)state;
  char text[30];
  dl_clock_imf_fixdate(784111777000, text);
  assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
  dl_clock_rfc3339(784111777042, text);
  assert_string_equal(text, "1994-11-06T08:49:37.042Z");
}

static void a_value_cannot_forge_a_log_line(void **state) {
  (void)state;
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  dl_clock clock = {0};
  dl_log log;
  for (dl_log_format format = DL_LOG_JSON; format <= DL_LOG_TEXT; format++) {
    dl_log_init(&log, ends[1], format, DL_LOG_INFO, &clock);
    assert_false(dl_log_begin(&log, DL_LOG_DEBUG, DL_STR("unseen")));
    assert_true(dl_log_begin(&log, DL_LOG_INFO, DL_STR("seen")));
    dl_log_field(&log, "agent", DL_STR("x\r\n{\"level\":\"error\"}"));
    dl_log_end(&log);
    dl_log_free(&log);
    char text[512];
    ssize_t got = read(ends[0], text, sizeof(text) - 1);
    assert_true(got > 0);
    text[got] = '\0';
    assert_null(strstr(text, "\r"));
    if (format == DL_LOG_JSON) assert_ptr_equal(strchr(text, '\n'), text + got - 1);
    else assert_null(strstr(text, "\n{"));
  }
  close(ends[0]);
  close(ends[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(arena_pieces_are_aligned_and_apart),
      cmocka_unit_test(json_strings_are_escaped),
      cmocka_unit_test(doubles_read_back),
      cmocka_unit_test(doubles_have_the_digits_that_printf_finds),
      cmocka_unit_test(integers_are_written_whole),
      cmocka_unit_test(utf8_refuses_what_is_not_utf8),
      cmocka_unit_test(map_finds_what_was_put),
      cmocka_unit_test(dates_have_their_standard_forms),
      cmocka_unit_test(a_value_cannot_forge_a_log_line),
      cmocka_unit_test(memory_that_is_not_there_leaves_a_buffer_as_it_was),
      cmocka_unit_test(memory_that_is_not_there_leaves_an_arena_as_it_was),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
