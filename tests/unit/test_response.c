/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "http/response.h"

static void names_the_statuses(void **state) {
  (void)state;
  static const struct {
    int status;
    const char *reason;
  } rows[] = {{200, "OK"},
              {201, "Created"},
              {204, "No Content"},
              {304, "Not Modified"},
              {404, "Not Found"},
              {413, "Content Too Large"},
              {414, "URI Too Long"},
              {422, "Unprocessable Content"},
              {431, "Request Header Fields Too Large"},
              {505, "HTTP Version Not Supported"},
              {299, ""},
              {0, ""},
              {-1, ""},
              {1000, ""},
              {600, ""},
              {99, ""}};
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) assert_str(dl_http_reason(rows[i].status), rows[i].reason);
}

static void writes_status_lines(void **state) {
  (void)state;
  dl_buffer out = {0};
  dl_http_status_line(&out, 404);
  dl_http_status_line(&out, 299);
  assert_str(dl_buffer_str(&out), "HTTP/1.1 404 Not Found\r\nHTTP/1.1 299 \r\n");
  dl_buffer_free(&out);
}

static void the_date_follows_the_clock(void **state) {
  (void)state;
  dl_http_date date = {0};
  dl_clock clock = {.wall_ms = 0};
  assert_str(dl_http_date_line(&date, &clock), "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
  clock.wall_ms = 784111777999;
  assert_str(dl_http_date_line(&date, &clock), "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  clock.wall_ms = 784111777001;
  dl_str line = dl_http_date_line(&date, &clock);
  assert_int_equal(line.len, 37);
  assert_str(line, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  clock.wall_ms++;
  clock.wall_ms += 999;
  assert_str(dl_http_date_line(&date, &clock), "Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n");
}

static void writes_fields(void **state) {
  (void)state;
  dl_buffer out = {0};
  assert_true(dl_http_header_line(&out, DL_STR("X-A"), DL_STR("b c\t\xc3\xa9")));
  assert_true(dl_http_header_line(&out, DL_STR("X-Empty"), (dl_str){0}));
  assert_str(dl_buffer_str(&out), "X-A: b c\t\xc3\xa9\r\nX-Empty: \r\n");
  dl_buffer_free(&out);
}

static void refuses_fields_that_would_split_a_response(void **state) {
  (void)state;
  static const dl_str names[] = {{"", 0}, {"a b", 3}, {"a:", 2}, {"a\r\n", 3}, {"a\0b", 3}, {"\xc3\xa9", 2}, {"a(", 2}};
  static const dl_str values[] = {{"a\r\nSet-Cookie: b=c", 18}, {"a\rb", 3}, {"a\nb", 3}, {"a\0b", 3}, {"a\x01", 2}, {"a\x7f", 2}, {"a\x1b[2J", 5}};
  dl_buffer out = {0};
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) assert_false(dl_http_header_line(&out, names[i], DL_STR("v")));
  for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) assert_false(dl_http_header_line(&out, DL_STR("X-A"), values[i]));
  assert_int_equal(out.len, 0);
  dl_buffer_free(&out);
}

static void percent_encodes_the_urls_of_apps(void **state) {
  (void)state;
  dl_buffer out = {0};
  assert_true(dl_http_app_header_line(&out, DL_STR("Location"), DL_STR("/a b/%41/100%/\xc3\xa9?c[]=\\#d")));
  assert_true(dl_http_app_header_line(&out, DL_STR("content-LOCATION"), DL_STR("")));
  assert_true(dl_http_app_header_line(&out, DL_STR("X-Location"), DL_STR("/a b")));
  assert_str(dl_buffer_str(&out), "Location: /a%20b/%41/100%25/%C3%A9?c[]=%5C#d\r\ncontent-LOCATION: \r\nX-Location: /a b\r\n");
  static const dl_str values[] = {{"/\r\nSet-Cookie: b=c", 18}, {"/\n", 2}, {"/\0", 2}, {"/\x7f", 2}};
  dl_buffer_clear(&out);
  for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) assert_false(dl_http_app_header_line(&out, DL_STR("Location"), values[i]));
  assert_int_equal(out.len, 0);
  dl_buffer_free(&out);
}

static void joins_what_an_answer_was_chosen_by(void **state) {
  (void)state;
  static const struct {
    const char *lines, *joined;
  } rows[] = {
      {"A: b\r\nVary: Accept\r\n", "A: b\r\nVary: Accept\r\n"},
      {"Vary: Accept\r\nA: b\r\nvary:  Cookie, X-A \r\nB: c\r\nVary: Origin\r\n", "A: b\r\nB: c\r\nVary: Accept, Cookie, X-A, Origin\r\n"},
      {"Vary: \r\nVary: Origin\r\nVary: \r\n", "Vary: Origin\r\n"},
      {"Vary: *\r\nVary: Origin\r\n", "Vary: *\r\n"},
      {"Vary: Accept,*\r\nVary: Origin\r\n", "Vary: *\r\n"},
      {"", ""},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    dl_buffer out = {0};
    dl_buffer_printf(&out, "Vary: of another head\r\n\r\n%s", rows[i].lines);
    dl_http_join_vary(&out, sizeof "Vary: of another head\r\n\r\n" - 1);
    assert_str(dl_str_skip(dl_buffer_str(&out), sizeof "Vary: of another head\r\n\r\n" - 1), rows[i].joined);
    dl_buffer_free(&out);
  }
}

static void writes_chunks(void **state) {
  (void)state;
  dl_buffer out = {0};
  dl_http_chunk(&out, DL_STR("hello, chunked world"));
  dl_http_chunk(&out, DL_STR(""));
  assert_str(dl_buffer_str(&out), "14\r\nhello, chunked world\r\n0\r\n\r\n");
  dl_buffer_free(&out);
}

static void knows_which_statuses_have_no_body(void **state) {
  (void)state;
  assert_false(dl_http_status_has_body(100));
  assert_false(dl_http_status_has_body(204));
  assert_false(dl_http_status_has_body(205));
  assert_false(dl_http_status_has_body(304));
  assert_true(dl_http_status_has_body(200));
  assert_true(dl_http_status_has_body(404));
  assert_true(dl_http_status_has_length(205));
  assert_false(dl_http_status_has_length(204));
  assert_false(dl_http_status_has_length(304));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_the_statuses),
      cmocka_unit_test(writes_status_lines),
      cmocka_unit_test(the_date_follows_the_clock),
      cmocka_unit_test(writes_fields),
      cmocka_unit_test(refuses_fields_that_would_split_a_response),
      cmocka_unit_test(percent_encodes_the_urls_of_apps),
      cmocka_unit_test(joins_what_an_answer_was_chosen_by),
      cmocka_unit_test(writes_chunks),
      cmocka_unit_test(knows_which_statuses_have_no_body),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
