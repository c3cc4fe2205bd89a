/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "http/cross_origin.h"
#include "http/parser.h"

/* Whether a request with those fields, to "shop.example:8443" unless they say so, comes from elsewhere. */
static bool is_cross_origin_by(const char *fields, const char *asked, bool https) {
  static const dl_http_limits limits = {16384, 8192, 1000};
  dl_http_parser *parser = dl_http_parser_new(&limits);
  dl_arena arena;
  dl_http_request request;
  size_t consumed;
  dl_arena_init(&arena, 0);
  char *head = dl_arena_format(&arena, "POST / HTTP/1.1\r\nHost: shop.example:8443\r\n%s\r\n", fields);
  if (dl_http_parser_head(parser, dl_str_of(head), &arena, &request, &consumed) != DL_HTTP_DONE) fail_msg("%s", head);
  bool cross = dl_http_cross_origin(&request, dl_str_of(asked), https);
  dl_arena_free(&arena);
  dl_http_parser_free(parser);
  return cross;
}

static bool is_cross_origin(const char *fields, const char *asked) { return is_cross_origin_by(fields, asked, false); }

static void a_client_that_is_no_browser_comes_from_nowhere_else(void **state) {
  (void)state;
  assert_false(is_cross_origin("", ""));
  assert_false(is_cross_origin("Referer: https://evil.example/\r\n", ""));
}

static void sec_fetch_site_is_believed_before_origin(void **state) {
  (void)state;
  assert_false(is_cross_origin("Sec-Fetch-Site: same-origin\r\n", ""));
  assert_false(is_cross_origin("Sec-Fetch-Site: none\r\n", ""));
  assert_false(is_cross_origin("Sec-Fetch-Site: same-origin\r\nOrigin: https://behind-a-proxy.example\r\n", ""));
  assert_true(is_cross_origin("Sec-Fetch-Site: cross-site\r\n", ""));
  assert_true(is_cross_origin("Sec-Fetch-Site: same-site\r\nOrigin: https://shop.example:8443\r\n", ""));
}

static void a_word_that_no_browser_says_counts_as_elsewhere(void **state) {
  (void)state;
  assert_true(is_cross_origin("Sec-Fetch-Site: Same-Origin\r\n", ""));
  assert_true(is_cross_origin("Sec-Fetch-Site: same-origin, cross-site\r\n", ""));
  assert_true(is_cross_origin("Sec-Fetch-Site: same-origin;a=b\r\n", ""));
}

static void an_origin_is_ours_when_its_host_and_port_are(void **state) {
  (void)state;
  assert_false(is_cross_origin("Origin: https://shop.example:8443\r\n", ""));
  assert_false(is_cross_origin("Origin: http://SHOP.example:8443\r\n", ""));
  assert_true(is_cross_origin("Origin: https://shop.example\r\n", ""));
  assert_true(is_cross_origin("Origin: https://shop.example:84\r\n", ""));
  assert_true(is_cross_origin("Origin: https://shop.example:8443.evil.example\r\n", ""));
  assert_true(is_cross_origin("Origin: https://a.shop.example:8443\r\n", ""));
  assert_true(is_cross_origin("Origin: null\r\n", ""));
  assert_true(is_cross_origin("Origin: https://\r\n", ""));
  assert_true(is_cross_origin("Origin: shop.example:8443\r\n", ""));
  assert_true(is_cross_origin("Origin: ftp://shop.example:8443\r\n", ""));
}

static void the_name_that_a_trusted_proxy_was_asked_for_is_ours(void **state) {
  (void)state;
  assert_false(is_cross_origin("Origin: https://front.example\r\n", "front.example"));
  assert_false(is_cross_origin("Origin: https://front.example\r\n", "front.example:443"));
  assert_false(is_cross_origin("Origin: http://front.example\r\n", "front.example:80"));
  assert_true(is_cross_origin("Origin: http://front.example\r\n", "front.example:443"));
  assert_true(is_cross_origin("Origin: https://shop.example:8443\r\n", "front.example"));
}

static void a_page_that_came_without_tls_is_another_origin_to_what_came_by_it(void **state) {
  (void)state;
  assert_true(is_cross_origin_by("Origin: http://shop.example:8443\r\n", "", true));
  assert_true(is_cross_origin_by("Origin: http://front.example\r\n", "front.example", true));
  assert_true(is_cross_origin_by("Origin: http://front.example\r\n", "front.example:80", true));
  assert_false(is_cross_origin_by("Origin: https://shop.example:8443\r\n", "", true));
  assert_false(is_cross_origin_by("Origin: https://front.example\r\n", "front.example:443", true));
  assert_false(is_cross_origin_by("", "", true));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_client_that_is_no_browser_comes_from_nowhere_else),
      cmocka_unit_test(sec_fetch_site_is_believed_before_origin),
      cmocka_unit_test(a_word_that_no_browser_says_counts_as_elsewhere),
      cmocka_unit_test(an_origin_is_ours_when_its_host_and_port_are),
      cmocka_unit_test(a_page_that_came_without_tls_is_another_origin_to_what_came_by_it),
      cmocka_unit_test(the_name_that_a_trusted_proxy_was_asked_for_is_ours),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
