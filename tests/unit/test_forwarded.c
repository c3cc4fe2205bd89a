/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "http/forwarded.h"
#include "http/parser.h"

#include <stdlib.h>

/* A head is parsed for each, as a connection would. 10.0.0.0/8 and fd00::/8 are ours; 10.0.0.1 brings the request. */
typedef struct world {
  dl_arena arena;
  dl_http_parser *parser;
  dl_trusted trusted;
  dl_address peer;
  char text[DL_ADDRESS_TEXT_BYTES];
} world;

static int set_up(void **state) {
  static const dl_http_limits limits = {16384, 8192, 1000};
  world *w = calloc(1, sizeof *w);
  if (!w) return -1;
  dl_arena_init(&w->arena, 0);
  w->parser = dl_http_parser_new(&limits);
  dl_trusted_add(&w->trusted, DL_STR("10.0.0.0/8"));
  dl_trusted_add(&w->trusted, DL_STR("fd00::/8"));
  dl_address_read(DL_STR("10.0.0.1"), &w->peer);
  *state = w;
  return 0;
}

static int tear_down(void **state) {
  world *w = *state;
  dl_http_parser_free(w->parser);
  dl_arena_free(&w->arena);
  free(w);
  return 0;
}

static dl_forwarded read_fields(world *w, const char *fields) {
  dl_http_request request;
  size_t consumed;
  char *head = dl_arena_format(&w->arena, "GET / HTTP/1.1\r\nHost: inner\r\n%s\r\n\r\n", fields);
  dl_http_parser_reset(w->parser);
  if (dl_http_parser_head(w->parser, dl_str_of(head), &w->arena, &request, &consumed) != DL_HTTP_DONE) fail_msg("%s", head);
  return dl_forwarded_read(&request, &w->peer, &w->trusted, &w->arena);
}

static void expect(world *w, const char *fields, const char *client, dl_scheme scheme, const char *host, bool problem) {
  dl_forwarded found = read_fields(w, fields);
  dl_address_write(&found.client, w->text);
  if (strcmp(w->text, client) != 0) fail_msg("%s: %s, not %s", fields, w->text, client);
  if (found.scheme != scheme) fail_msg("%s: scheme %d", fields, found.scheme);
  assert_str(found.host, host);
  if ((found.problem != NULL) != problem) fail_msg("%s: %s", fields, found.problem ? found.problem : "no problem");
}

static void the_forms_of_rfc_7239_are_read(void **state) {
  world *w = *state;
  expect(w, "Forwarded: for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60", DL_SCHEME_HTTP, "", false);
  expect(w, "Forwarded: For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17", DL_SCHEME_UNKNOWN, "", false);
  expect(w, "Forwarded: for=\"192.0.2.43:47011\"", "192.0.2.43", DL_SCHEME_UNKNOWN, "", false);
  expect(w, "Forwarded: for=192.0.2.43, for=198.51.100.17", "198.51.100.17", DL_SCHEME_UNKNOWN, "", false);
  expect(w, "Forwarded: for=192.0.2.43,for=\"[2001:db8:cafe::17]\",for=unknown", "10.0.0.1", DL_SCHEME_UNKNOWN, "", false);
  expect(w, "Forwarded: for=192.0.2.43, for=\"[2001:db8:cafe::17]\"", "2001:db8:cafe::17", DL_SCHEME_UNKNOWN, "", false);
  expect(w, "Forwarded: for=_hidden, for=_SEVKISEK", "10.0.0.1", DL_SCHEME_UNKNOWN, "", false);
  expect(w, "Forwarded: for=\"_gazonk\"", "10.0.0.1", DL_SCHEME_UNKNOWN, "", false);
  expect(w, "Forwarded: for=_gazonk;by=_mdn;host=example.com;proto=https", "10.0.0.1", DL_SCHEME_HTTPS, "example.com", false);
  expect(w, "Forwarded: for=192.0.2.43;by=\"_a:_b\";ext=\"x,y;z\"", "192.0.2.43", DL_SCHEME_UNKNOWN, "", false);
}

static void hops_are_believed_as_far_as_they_are_trusted(void **state) {
  world *w = *state;
  expect(w, "Forwarded: for=6.6.6.6, for=192.0.2.43;proto=https;host=a.example, for=10.0.0.7;proto=http", "192.0.2.43", DL_SCHEME_HTTPS, "a.example", false);
  expect(w, "Forwarded: for=6.6.6.6;proto=http;host=evil, for=192.0.2.43;proto=https", "192.0.2.43", DL_SCHEME_HTTPS, "", false);
  expect(w, "Forwarded: for=6.6.6.6, for=unknown, for=10.9.9.9, for=\"[fd00::2]\"", "10.9.9.9", DL_SCHEME_UNKNOWN, "", false);
  expect(w, "Forwarded: for=10.0.0.3, for=10.0.0.2", "10.0.0.3", DL_SCHEME_UNKNOWN, "", false);
  expect(w, "Forwarded: for=\"[::ffff:192.0.2.1]\", for=\"[::ffff:10.0.0.2]:80\"", "192.0.2.1", DL_SCHEME_UNKNOWN, "", false);
  expect(w, "Forwarded: for=6.6.6.6, proto=https, for=10.0.0.2", "10.0.0.2", DL_SCHEME_HTTPS, "", false);
  expect(w, "X-Other: 1", "10.0.0.1", DL_SCHEME_UNKNOWN, "", false);
}

static void several_fields_are_one_list(void **state) {
  world *w = *state;
  expect(w, "Forwarded: for=6.6.6.6\r\nX-Other: 1\r\nForwarded: for=192.0.2.43, for=10.0.0.2\r\nforwarded: for=10.0.0.3", "192.0.2.43", DL_SCHEME_UNKNOWN, "", false);
  expect(w, "Forwarded: for=192.0.2.43\r\nForwarded:\r\nForwarded: , ,", "192.0.2.43", DL_SCHEME_UNKNOWN, "", false);
  expect(w, "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.43\r\nX-Forwarded-For: 10.0.0.2", "192.0.2.43", DL_SCHEME_UNKNOWN, "", false);
}

static void what_is_malformed_ends_the_reading(void **state) {
  world *w = *state;
  static const char *const wrong[] = {
      "for=192.0.2.43:80", "for=[2001:db8::1]", "for=\"2001:db8::1\"", "for=\"[192.0.2.1]\"", "for=\"[2001:db8::1\"", "for=", "for=\"\"", "=x", "for", "for=1.2.3.4;for=1.2.3.4",
      "for=300.1.1.1", "for=\"1.2.3.4:123456\"", "for=\"1.2.3.4:\"", "for=\"1.2.3.4:x\"", "for=_", "for=\"_a b\"", "for=\"192.0.2.43", "for=192.0.2.43\"", "for=\"192.0.2.43\"x",
      "for =192.0.2.43", "for= 192.0.2.43", "for=192.0.2.43 x", "for=192.0.2.43;proto=ht/tp", "for=192.0.2.43;host=a/b", "for=192.0.2.43;host=\"a b\"", "for=192.0.2.43;host=\"a:b\"",
      "for=192.0.2.43;proto=http;proto=https", "for=192.0.2.43;host=a;host=b", "for=192.0.2.43;by=\"[x]\"", "for=\"[fe80::1%25eth0]\"", "for=\"[::1]80\"", "192.0.2.43"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    expect(w, dl_arena_format(&w->arena, "Forwarded: %s", wrong[i]), "10.0.0.1", DL_SCHEME_UNKNOWN, "", true);
    expect(w, dl_arena_format(&w->arena, "Forwarded: %s, for=10.0.0.2;proto=https", wrong[i]), "10.0.0.2", DL_SCHEME_HTTPS, "", true);
    expect(w, dl_arena_format(&w->arena, "Forwarded: %s, for=192.0.2.43", wrong[i]), "192.0.2.43", DL_SCHEME_UNKNOWN, "", false);
  }
}

static void a_client_cannot_swallow_what_its_proxy_wrote(void **state) {
  world *w = *state;
  static const char *const begun[] = {"for=6.6.6.6;x=\"", "\"", "x=\"\\", "\\\"", "for=6.6.6.6;x=\"a\\\\\\\"", "for=\"6.6.6.6", ",\",\",", "for=6.6.6.6;x=\"\\\\"};
  for (size_t i = 0; i < sizeof begun / sizeof *begun; i++) {
    expect(w, dl_arena_format(&w->arena, "Forwarded: %s, for=\"[2001:db8::1]:80\";host=\"a.example\"", begun[i]), "2001:db8::1", DL_SCHEME_UNKNOWN, "a.example", false);
    expect(w, dl_arena_format(&w->arena, "Forwarded: %s, for=192.0.2.43;by=\"_p\"", begun[i]), "192.0.2.43", DL_SCHEME_UNKNOWN, "", false);
  }
}

static void quoted_strings_are_what_they_stand_for(void **state) {
  world *w = *state;
  expect(w, "Forwarded: for=\"192\\.0.2.43\";host=\"a\\.example:8080\"", "192.0.2.43", DL_SCHEME_UNKNOWN, "a.example:8080", false);
  expect(w, "Forwarded: for=192.0.2.43;x=\"a\\\", for=6.6.6.6\"", "192.0.2.43", DL_SCHEME_UNKNOWN, "", false);
  expect(w, "Forwarded: for=192.0.2.43 ; host=\"[2001:db8::1]:443\"; proto=HTTPS;;", "192.0.2.43", DL_SCHEME_HTTPS, "[2001:db8::1]:443", false);
  expect(w, "Forwarded: for=192.0.2.43;proto=wss", "192.0.2.43", DL_SCHEME_UNKNOWN, "", false);
}

static void x_forwarded_fields_are_read_likewise(void **state) {
  world *w = *state;
  expect(w, "X-Forwarded-For: 6.6.6.6, 192.0.2.43, 10.0.0.2\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example", "192.0.2.43", DL_SCHEME_HTTPS, "a.example", false);
  expect(w, "X-Forwarded-For: 2001:db8::1", "2001:db8::1", DL_SCHEME_UNKNOWN, "", false);
  expect(w, "X-Forwarded-For: [2001:db8::1]:443", "2001:db8::1", DL_SCHEME_UNKNOWN, "", false);
  expect(w, "X-Forwarded-For: 192.0.2.43:56324", "192.0.2.43", DL_SCHEME_UNKNOWN, "", false);
  expect(w, "X-Forwarded-For: ::ffff:192.0.2.43", "192.0.2.43", DL_SCHEME_UNKNOWN, "", false);
  expect(w, "X-Forwarded-For: 192.0.2.43, unknown, 10.0.0.2", "10.0.0.2", DL_SCHEME_UNKNOWN, "", false);
  expect(w, "X-Forwarded-For: 192.0.2.43, junk here", "10.0.0.1", DL_SCHEME_UNKNOWN, "", true);
  expect(w, "X-Forwarded-For: junk, 192.0.2.43", "192.0.2.43", DL_SCHEME_UNKNOWN, "", false);
  expect(w, "X-Forwarded-Proto: https", "10.0.0.1", DL_SCHEME_HTTPS, "", false);
  expect(w, "X-Forwarded-Host: a/b", "10.0.0.1", DL_SCHEME_UNKNOWN, "", true);
  expect(w, "X-Forwarded-Proto: ht tp", "10.0.0.1", DL_SCHEME_UNKNOWN, "", true);
}

static void lists_of_equal_length_stand_side_by_side(void **state) {
  world *w = *state;
  expect(w, "X-Forwarded-For: 192.0.2.43, 10.0.0.2\r\nX-Forwarded-Proto: https, http\r\nX-Forwarded-Host: a.example, b.example", "192.0.2.43", DL_SCHEME_HTTPS, "a.example", false);
  expect(w, "X-Forwarded-For: 6.6.6.6, 192.0.2.43\r\nX-Forwarded-Proto: https, http", "192.0.2.43", DL_SCHEME_HTTP, "", false);
  expect(w, "X-Forwarded-For: 6.6.6.6, 192.0.2.43, 10.0.0.2\r\nX-Forwarded-Proto: https, http", "192.0.2.43", DL_SCHEME_HTTP, "", false);
}

static void with_both_kinds_forwarded_counts_unless_they_contradict(void **state) {
  world *w = *state;
  expect(w, "Forwarded: for=192.0.2.43;proto=https\r\nX-Forwarded-For: 192.0.2.43\r\nX-Forwarded-Proto: https", "192.0.2.43", DL_SCHEME_HTTPS, "", false);
  expect(w, "Forwarded: for=192.0.2.43;proto=https;host=a.example\r\nX-Forwarded-For: 6.6.6.6, 192.0.2.43", "192.0.2.43", DL_SCHEME_HTTPS, "a.example", false);
  expect(w, "Forwarded: for=6.6.6.6\r\nX-Forwarded-For: 192.0.2.43", "10.0.0.1", DL_SCHEME_UNKNOWN, "", true);
  expect(w, "Forwarded: for=192.0.2.43;proto=https\r\nX-Forwarded-For: 192.0.2.43\r\nX-Forwarded-Proto: http", "10.0.0.1", DL_SCHEME_UNKNOWN, "", true);
  expect(w, "Forwarded: for=192.0.2.43;host=evil\r\nX-Forwarded-Host: a.example", "10.0.0.1", DL_SCHEME_UNKNOWN, "", true);
}

static void a_row_of_proxies_has_an_end(void **state) {
  world *w = *state;
  char fields[2000] = "X-Forwarded-For: 192.0.2.43";
  for (int i = 0; i < 31; i++) strcat(fields, ", 10.0.0.2");
  expect(w, fields, "192.0.2.43", DL_SCHEME_UNKNOWN, "", false);
  strcat(fields, ", 10.0.0.2");
  expect(w, fields, "10.0.0.2", DL_SCHEME_UNKNOWN, "", false);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(the_forms_of_rfc_7239_are_read, set_up, tear_down),
      cmocka_unit_test_setup_teardown(hops_are_believed_as_far_as_they_are_trusted, set_up, tear_down),
      cmocka_unit_test_setup_teardown(several_fields_are_one_list, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_is_malformed_ends_the_reading, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_client_cannot_swallow_what_its_proxy_wrote, set_up, tear_down),
      cmocka_unit_test_setup_teardown(quoted_strings_are_what_they_stand_for, set_up, tear_down),
      cmocka_unit_test_setup_teardown(x_forwarded_fields_are_read_likewise, set_up, tear_down),
      cmocka_unit_test_setup_teardown(lists_of_equal_length_stand_side_by_side, set_up, tear_down),
      cmocka_unit_test_setup_teardown(with_both_kinds_forwarded_counts_unless_they_contradict, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_row_of_proxies_has_an_end, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
