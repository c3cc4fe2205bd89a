/* SPDX-License-Identifier: MIT */
/* Query strings, cookies, media types, Accept, entity tags, dates, methods. */
#include "unit.h"

#include "base/buffer.h"
#include "http/conditional.h"
#include "http/method.h"
#include "http/text.h"

typedef const char *pairs_reader(dl_str text, uint32_t max_pairs, dl_arena *arena, dl_pair **pairs, uint32_t *count);

/* "name=value|name=value", or "!" and the refusal. */
static void expect_pairs(pairs_reader *read, dl_str text, const char *expected) {
  dl_arena arena;
  dl_arena_init(&arena, 0);
  dl_buffer out = {0};
  dl_pair *pairs;
  uint32_t count;
  const char *fault = read(text, 4, &arena, &pairs, &count);
  if (fault) dl_buffer_printf(&out, "!%s", fault);
  for (uint32_t i = 0; !fault && i < count; i++) {
    if (i) dl_buffer_append_char(&out, '|');
    dl_buffer_append_str(&out, pairs[i].name);
    dl_buffer_append_char(&out, '=');
    dl_buffer_append_str(&out, pairs[i].value);
  }
  bool same = expected[0] == '!' ? dl_str_starts(dl_buffer_str(&out), dl_str_of(expected)) : dl_str_equal(dl_buffer_str(&out), dl_str_of(expected));
  if (!same) fail_msg("%.*s: %.*s instead of %s", DL_STR_ARGS(text), DL_STR_ARGS(dl_buffer_str(&out)), expected);
  dl_buffer_free(&out);
  dl_arena_free(&arena);
}

static void takes_queries_apart(void **state) {
  (void)state;
  static const char *const rows[][2] = {{"", ""},
                                        {"a=1", "a=1"},
                                        {"a=1&b=2", "a=1|b=2"},
                                        {"a=1&a=2", "a=1|a=2"},
                                        {"a", "a="},
                                        {"a=", "a="},
                                        {"=b", "=b"},
                                        {"a=b=c", "a=b=c"},
                                        {"&&a=1&&", "a=1"},
                                        {"a+b=c+d", "a b=c d"},
                                        {"a%2Bb=c%2bd", "a+b=c+d"},
                                        {"a%26b=c%3Dd%2525", "a&b=c=d%25"},
                                        {"q=caf%C3%A9", "q=caf\xc3\xa9"},
                                        {"q=caf\xc3\xa9", "q=caf\xc3\xa9"},
                                        {"a;b=1", "a;b=1"},
                                        {"a=1&b=2&c=3&d=4", "a=1|b=2|c=3|d=4"},
                                        {"a=%0D%0A", "a=\r\n"}};
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) expect_pairs(dl_http_query, dl_str_of(rows[i][0]), rows[i][1]);
  expect_pairs(dl_http_query, (dl_str){0}, "");
}

static void refuses_bad_queries(void **state) {
  (void)state;
  static const char *const rows[][2] = {{"a=%", "!a \"%\""},
                                        {"a=%4", "!a \"%\""},
                                        {"a=%zz", "!a \"%\""},
                                        {"%=b", "!a \"%\""},
                                        {"a=1&b=%u0041", "!a \"%\""},
                                        {"a=%00", "!there is a NUL"},
                                        {"%00", "!there is a NUL"},
                                        {"a=%ff", "!a name or value is"},
                                        {"a=%c0%80", "!a name or value is"},
                                        {"a=\xff", "!a name or value is"},
                                        {"a=%ed%a0%80", "!a name or value is"},
                                        {"a&b&c&d&e", "!there are too many"}};
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) expect_pairs(dl_http_query, dl_str_of(rows[i][0]), rows[i][1]);
  expect_pairs(dl_http_query, DL_STR("a=\0"), "!there is a NUL");
}

static void takes_cookies_apart(void **state) {
  (void)state;
  static const char *const rows[][2] = {{"", ""},
                                        {"a=b", "a=b"},
                                        {"a=b; c=d", "a=b|c=d"},
                                        {"a=b;c=d", "a=b|c=d"},
                                        {"a=\"b\"; c=\"\"", "a=b|c="},
                                        {"a=", "a="},
                                        {"a=b=c==", "a=b=c=="},
                                        {"a=1; a=2", "a=1|a=2"},
                                        {"__Host-s=%20x", "__Host-s=%20x"},
                                        {"a=b;", "a=b"},
                                        {";", ""},
                                        {"a=1; b=2; c=3; d=4; ", "a=1|b=2|c=3|d=4"},
                                        {"a=b c, d", "a=b c, d"},
                                        {"a={x:[1]}", "a={x:[1]}"}};
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) expect_pairs(dl_http_cookies, dl_str_of(rows[i][0]), rows[i][1]);
}

static void refuses_bad_cookies(void **state) {
  (void)state;
  static const char *const rows[][2] = {{"a", "!a cookie has no"},
                                        {"=b", "!a cookie's name"},
                                        {"a b=c", "!a cookie's name"},
                                        {"a =c", "!a cookie's name"},
                                        {"a=\"b", "!a cookie's value"},
                                        {"a=b\"", "!a cookie's value"},
                                        {"a=\"b\"c", "!a cookie's value"},
                                        {"a=\"b\\\"c\"", "!a cookie's value"},
                                        {"a=\"b; c=d\"", "!a cookie's value"},
                                        {"a=\xc3\xa9", "!a cookie's value"},
                                        {"a=b\tc", "!a cookie's value"},
                                        {"a=b;;c=d", "!there is nothing"},
                                        {"; a=b", "!there is nothing"},
                                        {"a=1;b=2;c=3;d=4;e=5", "!there are too many"},
                                        {"a=\\", "!a cookie's value"}};
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) expect_pairs(dl_http_cookies, dl_str_of(rows[i][0]), rows[i][1]);
  expect_pairs(dl_http_cookies, DL_STR("a=b\0c"), "!a cookie's value");
}

static void takes_media_types_apart(void **state) {
  (void)state;
  static const char *const rows[][3] = {{"application/json", "application/json", ""},
                                        {" Application/JSON ; Charset=UTF-8 ", "application/json", "UTF-8"},
                                        {"text/plain;charset=\"utf-8\";x=y", "text/plain", "utf-8"},
                                        {"multipart/form-data; boundary=\"a;b\"", "multipart/form-data", ""},
                                        {"application/vnd.api+json;", "application/vnd.api+json", ""},
                                        {"a/b;;c=d", "a/b", ""},
                                        {"a/b; charset=\"\"", "a/b", ""}};
  dl_arena arena;
  dl_arena_init(&arena, 0);
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    dl_str type, charset;
    assert_true(dl_http_media_type(dl_str_of(rows[i][0]), &arena, &type, &charset));
    assert_str(type, rows[i][1]);
    assert_str(charset, rows[i][2]);
  }
  static const char *const bad[] = {"",          "a",
                                    "a/",        "/b",
                                    "a/b c",     "a/b;c",
                                    "a/b;=d",    "a/b;c=",
                                    "a/b;c=\"d", "a/b;c=\"\\\"\"",
                                    "a/b, c/d",  "a /b",
                                    "a/b;c=d e", "a/b;charset=x;charset=y",
                                    "a//b"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    dl_str type, charset;
    if (dl_http_media_type(dl_str_of(bad[i]), &arena, &type, &charset)) fail_msg("%s is taken", bad[i]);
  }
  dl_arena_free(&arena);
}

static void knows_who_prefers_html(void **state) {
  (void)state;
  static const char *const html[] = {"text/html",
                                     "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                                     "TEXT/HTML;q=0.9, application/json;q=0.8",
                                     "text/*, application/json;q=0.5",
                                     "text/html, */*;q=0",
                                     "*/*;q=0.1, text/html;level=1;q=0.2"};
  static const char *const json[] = {"",
                                     "*/*",
                                     "application/json",
                                     "text/html, application/json",
                                     "text/html;q=0.5, */*",
                                     "text/html;q=0, application/json;q=0",
                                     "text/html;q=2",
                                     "text/html;q=x",
                                     "application/*, text/html;q=0.9",
                                     "text/htmlx",
                                     "text",
                                     ",,;",
                                     "text/html;q=0.0001",
                                     "te/*"};
  for (size_t i = 0; i < sizeof(html) / sizeof(html[0]); i++)
    if (!dl_http_prefers_html(dl_str_of(html[i]))) fail_msg("%s prefers html", html[i]);
  for (size_t i = 0; i < sizeof(json) / sizeof(json[0]); i++)
    if (dl_http_prefers_html(dl_str_of(json[i]))) fail_msg("%s does not prefer html", json[i]);
  assert_false(dl_http_prefers_html((dl_str){0}));
}

static void compares_entity_tags_weakly(void **state) {
  (void)state;
  static const char *const yes[] = {"*", " * ", "\"a\"", "W/\"a\"", "\"b\", \"a\"", "\"b\",W/\"a\"", "\"x,y\", \"a\""};
  static const char *const no[] = {"", "\"b\"", "a", "\"A\"", "w/\"a\"", "\"b, \"a\"\"", "**", "\"x,\"a\",y\""};
  for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
    assert_true(dl_http_etag_matches(dl_str_of(yes[i]), DL_STR("\"a\"")));
    assert_true(dl_http_etag_matches(dl_str_of(yes[i]), DL_STR("W/\"a\"")));
  }
  for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
    if (dl_http_etag_matches(dl_str_of(no[i]), DL_STR("\"a\""))) fail_msg("%s matches", no[i]);
}

static void compares_entity_tags_strongly(void **state) {
  (void)state;
  static const char *const yes[] = {"*", "\"a\"", "\"b\", \"a\"", "W/\"a\",\"a\""};
  static const char *const no[] = {"", "W/\"a\"", "\"b\"", "a", "a, \"a\""};
  for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
    if (!dl_http_etag_matches_strongly(dl_str_of(yes[i]), DL_STR("\"a\""))) fail_msg("%s does not match", yes[i]);
  for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
    if (dl_http_etag_matches_strongly(dl_str_of(no[i]), DL_STR("\"a\""))) fail_msg("%s matches", no[i]);
  assert_false(dl_http_etag_matches_strongly(DL_STR("W/\"a\""), DL_STR("W/\"a\"")));
}

static void a_backslash_in_an_entity_tag_escapes_nothing(void **state) {
  (void)state;
  assert_true(dl_http_etag_matches(DL_STR("\"a\\\", \"b\""), DL_STR("\"b\"")));
  assert_true(dl_http_etag_matches(DL_STR("\"b\", \"a\\\""), DL_STR("\"a\\\"")));
}

static void knows_entity_tags(void **state) {
  (void)state;
  static const char *const yes[] = {"\"\"", "\"a\"", "W/\"a\"", "\"a,b\\\"", "\"\xc3\xa9\""};
  static const char *const no[] = {"",         "a",       "\"",  "\"a", "a\"",    "\"a\"b\"", "\"a\", \"b\"", "\"a b\"",
                                   "\"a\tb\"", "w/\"a\"", "W/a", "W/",  " \"a\"", "\"a\" ",   "\"\x7f\"",     "*"};
  for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
    if (!dl_http_etag_valid(dl_str_of(yes[i]))) fail_msg("%s is none", yes[i]);
  for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
    if (dl_http_etag_valid(dl_str_of(no[i]))) fail_msg("%s is one", no[i]);
}

static void reads_dates_of_all_forms(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t seconds;
  } rows[] = {
      {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
      {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
      {"Sun Nov  6 08:49:37 1994", 784111777},
      {"Wed Nov 16 08:49:37 1994", 784975777},
      {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
      {"Wed, 31 Dec 1969 23:59:59 GMT", -1},
      {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
      {"Thu, 31 Dec 2026 23:59:60 GMT", 1798761600},
      {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
      {"Friday, 01-Jan-77 00:00:00 GMT", 220924800},
      {"Wednesday, 01-Jan-76 00:00:00 GMT", 3345062400},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    int64_t seconds = 0;
    if (!dl_http_date_read(dl_str_of(rows[i].text), 1795000000 /* in 2026 */, &seconds)) fail_msg("%s is none", rows[i].text);
    if (seconds != rows[i].seconds) fail_msg("%s: %lld", rows[i].text, (long long)seconds);
  }
}

static void refuses_what_is_no_date(void **state) {
  (void)state;
  static const char *const rows[] = {"",
                                     "Sun",
                                     "Sun, ",
                                     "1994-11-06",
                                     "Sun, 06 Nov 1994 08:49:37",
                                     "Sun, 06 Nov 1994 08:49:37 UTC",
                                     "Sun, 06 Nov 1994 08:49:37 GMT ",
                                     "Sun, 6 Nov 1994 08:49:37 GMT",
                                     "sun, 06 Nov 1994 08:49:37 GMT",
                                     "Sun, 00 Nov 1994 08:49:37 GMT",
                                     "Sun, 31 Nov 1994 08:49:37 GMT",
                                     "Wed, 29 Feb 2023 08:49:37 GMT",
                                     "Sun, 06 Nov 0000 08:49:37 GMT",
                                     "Sun, 06 Nov 1994 24:00:00 GMT",
                                     "Sun, 06 Nov 1994 08:60:00 GMT",
                                     "Sun, 06 Nov 1994 08:49:61 GMT",
                                     "Sun, 06-Nov-94 08:49:37 GMT",
                                     "Sun Nov 06 08:49:37 1994 GMT"};
  int64_t seconds;
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
    if (dl_http_date_read(dl_str_of(rows[i]), 0, &seconds)) fail_msg("%s is one", rows[i]);
  assert_true(dl_http_date_valid(DL_STR("Sun, 06 Nov 1994 08:49:37 GMT")));
  assert_false(dl_http_date_valid(DL_STR("Mon, 06 Nov 1994 08:49:37 GMT")));
  assert_false(dl_http_date_valid(DL_STR("Sun Nov  6 08:49:37 1994")));
}

static void methods_are_exact(void **state) {
  (void)state;
  for (unsigned i = 0; i < DL_METHOD_COUNT; i++) assert_int_equal(dl_method_of(dl_method_name((dl_method)i)), i);
  assert_str(dl_method_name(DL_METHOD_PATCH), "PATCH");
  assert_int_equal(dl_method_name(DL_METHOD_COUNT).len, 0);
  static const char *const others[] = {"", "get", "GE", "GETS", "TRACE", "CONNECT"};
  for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) assert_int_equal(dl_method_of(dl_str_of(others[i])), DL_METHOD_COUNT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_queries_apart),
      cmocka_unit_test(refuses_bad_queries),
      cmocka_unit_test(takes_cookies_apart),
      cmocka_unit_test(refuses_bad_cookies),
      cmocka_unit_test(takes_media_types_apart),
      cmocka_unit_test(knows_who_prefers_html),
      cmocka_unit_test(compares_entity_tags_weakly),
      cmocka_unit_test(methods_are_exact),
      cmocka_unit_test(compares_entity_tags_strongly),
      cmocka_unit_test(a_backslash_in_an_entity_tag_escapes_nothing),
      cmocka_unit_test(knows_entity_tags),
      cmocka_unit_test(reads_dates_of_all_forms),
      cmocka_unit_test(refuses_what_is_no_date),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
