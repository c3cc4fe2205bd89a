/* SPDX-License-Identifier: MIT */
/* Idempotency-Key fields: strings of RFC 9651, bare ones, and everything that is neither. */
#include "unit.h"

#include "http/idempotency_key.h"

static const char *read_fields(const dl_str *values, uint32_t count, dl_arena *arena, dl_str *key) {
  dl_header headers[4];
  for (uint32_t i = 0; i < count; i++)
    headers[i] = (dl_header){i % 2 ? DL_STR("idempotency-key") : DL_STR("Idempotency-Key"), values[i], DL_HEADER_OTHER};
  dl_http_request request = {.headers = headers, .header_count = count};
  return dl_http_idempotency_key(&request, arena, key);
}

/* expected NULL: refused. */
static void expect(dl_str value, const char *expected) {
  dl_arena arena;
  dl_arena_init(&arena, 0);
  dl_str key;
  const char *problem = read_fields(&value, 1, &arena, &key);
  if (!problem != (expected != NULL)) fail_msg("%.*s: %s", DL_STR_ARGS(value), problem ? problem : "was taken");
  if (expected && !dl_str_equal(key, dl_str_of(expected))) fail_msg("%.*s gives %.*s", DL_STR_ARGS(value), DL_STR_ARGS(key));
  dl_arena_free(&arena);
}

static void takes_strings_and_bare_keys(void **state) {
  (void)state;
  static const char *const rows[][2] = {{"\"8e03978e-40d5-43e8-bc93-6894a57f9324\"", "8e03978e-40d5-43e8-bc93-6894a57f9324"},
                                        {"8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"},
                                        {"a", "a"},
                                        {"\"a\"", "a"},
                                        {"\" a, b; c \"", " a, b; c "},
                                        {"\"\\\"\\\\\"", "\"\\"},
                                        {"AbC+/=._~!#$%&'()*:<>?@[]^`{|}-", "AbC+/=._~!#$%&'()*:<>?@[]^`{|}-"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) expect(dl_str_of(rows[i][0]), rows[i][1]);
}

static void refuses_what_is_neither(void **state) {
  (void)state;
  static const char *const rows[] = {"",     "\"\"",     "\"",           "\"a",         "a\"",        "\"a\"b",  "\"a\" ", "\"a\";p=1", "a b",
                                     "a,b",  "a;b",      "a\\b",         "\\",          "\"\\\"",     "\"\\a\"", "\"a\\",  "\"\t\"",    "\"\x7f\"",
                                     "\x7f", "\xc3\xa4", "\"\xc3\xa4\"", "\"a\",\"b\"", "\"a\"\"b\"", "a\"b\"",  "\x01"};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) expect(dl_str_of(rows[i]), NULL);
  expect(dl_str_from("a\0b", 3), NULL);
  expect(dl_str_from("\"a\0b\"", 5), NULL);
}

static void bounds_its_length(void **state) {
  (void)state;
  char text[2 * DL_IDEMPOTENCY_KEY_MAX + 4], expected[DL_IDEMPOTENCY_KEY_MAX + 1];
  memset(text, 'k', sizeof text);
  memset(expected, 'k', sizeof expected);
  expected[DL_IDEMPOTENCY_KEY_MAX] = '\0';
  expect(dl_str_from(text, DL_IDEMPOTENCY_KEY_MAX), expected);
  expect(dl_str_from(text, DL_IDEMPOTENCY_KEY_MAX + 1), NULL);
  text[0] = text[DL_IDEMPOTENCY_KEY_MAX + 1] = '"';
  expect(dl_str_from(text, DL_IDEMPOTENCY_KEY_MAX + 2), expected);
  text[DL_IDEMPOTENCY_KEY_MAX + 1] = 'k';
  text[DL_IDEMPOTENCY_KEY_MAX + 2] = '"';
  expect(dl_str_from(text, DL_IDEMPOTENCY_KEY_MAX + 3), NULL);
  /* What counts is the key, not what it takes to write it. */
  for (size_t i = 1; i <= 2 * DL_IDEMPOTENCY_KEY_MAX; i++) text[i] = '\\';
  text[2 * DL_IDEMPOTENCY_KEY_MAX + 1] = '"';
  memset(expected, '\\', DL_IDEMPOTENCY_KEY_MAX);
  expect(dl_str_from(text, 2 * DL_IDEMPOTENCY_KEY_MAX + 2), expected);
}

static void takes_one_field(void **state) {
  (void)state;
  dl_arena arena;
  dl_arena_init(&arena, 0);
  dl_str key = DL_STR("before");
  assert_null(read_fields(NULL, 0, &arena, &key));
  assert_null(key.ptr);
  static const dl_str same[] = {DL_STR("a"), DL_STR("a")}, halves[] = {DL_STR("\"a"), DL_STR("b\"")}, empty[] = {DL_STR("a"), DL_STR("")};
  assert_non_null(read_fields(same, 2, &arena, &key));
  assert_non_null(read_fields(halves, 2, &arena, &key));
  assert_non_null(read_fields(empty, 2, &arena, &key));
  dl_arena_free(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_strings_and_bare_keys),
      cmocka_unit_test(refuses_what_is_neither),
      cmocka_unit_test(bounds_its_length),
      cmocka_unit_test(takes_one_field),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
