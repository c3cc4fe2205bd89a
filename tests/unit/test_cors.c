/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "http/cors.h"

#include <stdlib.h>

static int set_up(void **state) {
  dl_arena *arena = calloc(1, sizeof(*arena));
  if (!arena) return -1;
  dl_arena_init(arena, 0);
  *state = arena;
  return 0;
}

static int tear_down(void **state) {
  dl_arena_free(*state);
  free(*state);
  return 0;
}

static dl_cors *compile(void **state, dl_cors_options options) {
  const char *fault;
  dl_cors *cors = dl_cors_compile(&options, *state, &fault);
  if (!cors) fail_msg("%s", fault);
  assert_null(fault);
  return cors;
}

static dl_cors *article(void **state) {
  const dl_str origins[] = {DL_STR("https://yourapp.com"), DL_STR("http://localhost:3000")}, methods[] = {DL_STR("GET"), DL_STR("PUT")};
  const dl_str headers[] = {DL_STR("Authorization"), DL_STR("X-Thing")}, expose[] = {DL_STR("X-Request-Id")};
  return compile(state, (dl_cors_options){origins, 2, methods, 2, headers, 2, expose, 1, .credentials = true});
}

static void an_origin_on_the_list_gets_its_block(void **state) {
  dl_cors *cors = article(state);
  assert_str(dl_cors_origin(cors, DL_STR("https://yourapp.com"), *state),
             "Access-Control-Allow-Origin: https://yourapp.com\r\nAccess-Control-Allow-Credentials: true\r\n"
             "Access-Control-Expose-Headers: X-Request-Id\r\nVary: Origin\r\n");
  assert_true(dl_cors_allows(cors, DL_STR("http://localhost:3000")));
}

static void any_other_origin_gets_only_vary(void **state) {
  dl_cors *cors = article(state);
  static const char *const others[] = {"",
                                       "null",
                                       "https://yourapp.com.evil.example",
                                       "https://evil-yourapp.com",
                                       "http://yourapp.com",
                                       "https://yourapp.com:444",
                                       "https://yourapp.com/",
                                       "https://yourapp.co",
                                       "HTTPS://yourapp.com",
                                       "https://YOURAPP.com",
                                       "https://sub.yourapp.com",
                                       "http://localhost",
                                       "http://localhost:30000",
                                       "*",
                                       "https://yourapp.com\r\nX: y",
                                       "https://yourapp.com, http://localhost:3000"};
  for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
    assert_str(dl_cors_origin(cors, dl_str_of(others[i]), *state), "Vary: Origin\r\n");
    assert_false(dl_cors_allows(cors, dl_str_of(others[i])));
    assert_false(dl_cors_preflight(cors, dl_str_of(others[i]), DL_STR("GET"), (dl_str){0}, (dl_str){0}, *state).allowed);
  }
  assert_str(dl_cors_origin(cors, (dl_str){0}, *state), "Vary: Origin\r\n");
}

static void a_pattern_stands_for_subdomains_and_nothing_else(void **state) {
  const dl_str origins[] = {DL_STR("https://*.example.com"), DL_STR("http://*.dev.example:8080"), DL_STR("https://one.example")};
  dl_cors *cors = compile(state, (dl_cors_options){.origins = origins, .origin_count = 3});
  static const char *const yes[] = {"https://a.example.com", "https://a.b.example.com", "https://x-1_y.example.com", "http://a.dev.example:8080",
                                    "https://one.example"};
  static const char *const no[] = {
      "https://example.com",       "https://.example.com",        "https://a..example.com",     "https://.a.example.com",
      "https://aexample.com",      "http://a.example.com",        "https://a.example.com:444",  "https://a.example.com.evil",
      "https://evil/.example.com", "https://evil:80.example.com", "https://evil@a.example.com", "https://A.example.com",
      "https://a.EXAMPLE.com",     "http://a.dev.example",        "http://a.dev.example:80800", "https://evil#.example.com",
      "https://evil?.example.com", "https://evil\\.example.com",  "https://a\xc3.example.com",  "https://*.example.com",
      "https://a b.example.com",   "https://%61.example.com",     "https://a\r\n.example.com",  "https://two.one.example"};
  for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
    if (!dl_cors_allows(cors, dl_str_of(yes[i]))) fail_msg("%s is refused", yes[i]);
  for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
    if (dl_cors_allows(cors, dl_str_of(no[i]))) fail_msg("%s is taken", no[i]);
  assert_str(dl_cors_origin(cors, DL_STR("https://a.example.com"), *state), "Access-Control-Allow-Origin: https://a.example.com\r\nVary: Origin\r\n");
  dl_cors_answer answer = dl_cors_preflight(cors, DL_STR("https://a.example.com"), DL_STR("POST"), (dl_str){0}, (dl_str){0}, *state);
  assert_true(answer.allowed);
  assert_true(dl_str_starts(answer.fields,
                            DL_STR("Access-Control-Allow-Origin: https://a.example.com\r\nAccess-Control-Allow-Methods: GET, HEAD, POST\r\n")));
}

static void preflights_are_answered_from_the_list(void **state) {
  dl_cors *cors = article(state);
  dl_cors_answer answer =
      dl_cors_preflight(cors, DL_STR("https://yourapp.com"), DL_STR("PUT"), DL_STR("authorization, content-type,X-THING"), (dl_str){0}, *state);
  assert_true(answer.allowed);
  assert_null(answer.reason);
  assert_str(answer.fields, "Access-Control-Allow-Origin: https://yourapp.com\r\nAccess-Control-Allow-Credentials: true\r\n"
                            "Access-Control-Allow-Methods: GET, HEAD, PUT\r\n"
                            "Access-Control-Allow-Headers: Accept, Accept-Language, Content-Language, Content-Type, Authorization, X-Thing\r\n"
                            "Access-Control-Max-Age: 600\r\nVary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n");
}

static void a_header_that_pages_may_always_send_is_named_once(void **state) {
  const dl_str origin[] = {DL_STR("https://a.example")}, headers[] = {DL_STR("content-type"), DL_STR("X-Thing"), DL_STR("Accept")};
  dl_cors *cors =
      compile(state, (dl_cors_options){.origins = origin, .origin_count = 1, .headers = headers, .header_count = 3, .max_age_seconds = 60});
  dl_cors_answer answer = dl_cors_preflight(cors, origin[0], DL_STR("POST"), DL_STR("content-type,x-thing"), (dl_str){0}, *state);
  assert_true(answer.allowed);
  assert_str(answer.fields, "Access-Control-Allow-Origin: https://a.example\r\nAccess-Control-Allow-Methods: GET, HEAD, POST\r\n"
                            "Access-Control-Allow-Headers: Accept, Accept-Language, Content-Language, Content-Type, X-Thing\r\n"
                            "Access-Control-Max-Age: 60\r\nVary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n");
}

static void preflights_are_refused_with_a_reason(void **state) {
  dl_cors *cors = article(state);
  static const struct {
    const char *origin, *method, *headers, *private_network, *reason;
  } rows[] = {
      {"https://evil.example", "GET", "", "", "this origin is not among"},
      {"https://yourapp.com", "DELETE", "", "", "the requested method is not among"},
      {"https://yourapp.com", "put", "", "", "the requested method is not among"},
      {"https://yourapp.com", "", "", "", "the requested method is not among"},
      {"https://yourapp.com", "BREW", "", "", "the requested method is not among"},
      {"https://yourapp.com", "PUT", "x-other", "", "a requested header is not among"},
      {"https://yourapp.com", "PUT", "authorization,,x-thing", "", "Access-Control-Request-Headers is not"},
      {"https://yourapp.com", "PUT", "authorization,", "", "Access-Control-Request-Headers is not"},
      {"https://yourapp.com", "PUT", "a b", "", "Access-Control-Request-Headers is not"},
      {"https://yourapp.com", "PUT", "*", "", "a requested header is not among"},
      {"https://yourapp.com", "GET", "", "true", "requests from a public page into a private network"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    dl_cors_answer answer = dl_cors_preflight(cors, dl_str_of(rows[i].origin), dl_str_of(rows[i].method), dl_str_of(rows[i].headers),
                                              dl_str_of(rows[i].private_network), *state);
    assert_false(answer.allowed);
    assert_str(answer.fields, "Vary: Origin\r\n");
    if (strncmp(answer.reason, rows[i].reason, strlen(rows[i].reason)) != 0) fail_msg("row %zu: %s", i, answer.reason);
  }
}

static void a_star_admits_all_without_credentials(void **state) {
  const dl_str star[] = {DL_STR("*")};
  dl_cors *cors = compile(state, (dl_cors_options){.origins = star, .origin_count = 1, .headers = star, .header_count = 1, .max_age_seconds = 60});
  assert_str(dl_cors_origin(cors, DL_STR("https://a.example"), *state), "Access-Control-Allow-Origin: *\r\nVary: Origin\r\n");
  assert_str(dl_cors_origin(cors, DL_STR("null"), *state), "Access-Control-Allow-Origin: *\r\nVary: Origin\r\n");
  assert_str(dl_cors_origin(cors, (dl_str){0}, *state), "Vary: Origin\r\n");
  dl_cors_answer answer = dl_cors_preflight(cors, DL_STR("https://a.example"), DL_STR("POST"), DL_STR("x-any"), (dl_str){0}, *state);
  assert_true(answer.allowed);
  assert_str(answer.fields,
             "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: GET, HEAD, POST\r\n"
             "Access-Control-Allow-Headers: Accept, Accept-Language, Content-Language, Content-Type, *\r\nAccess-Control-Max-Age: 60\r\n"
             "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n");
  assert_false(dl_cors_preflight(cors, DL_STR("https://a.example"), DL_STR("POST"), DL_STR("Authorization"), (dl_str){0}, *state).allowed);
}

static void refuses_origins_that_browsers_never_send(void **state) {
  static const char *const rows[][2] = {{"null", "sandboxed pages"},
                                        {"NULL", "sandboxed pages"},
                                        {"yourapp.com", "it has no scheme"},
                                        {"", "it has no scheme"},
                                        {"//yourapp.com", "it has no scheme"},
                                        {"https://yourapp.com/", "it has a path"},
                                        {"https://yourapp.com/app", "it has a path"},
                                        {"https://me@yourapp.com", "it has a user"},
                                        {"https://YourApp.com", "it has capital letters"},
                                        {"HTTPS://yourapp.com", "it has capital letters"},
                                        {"https://yourapp.com:443", "it has the port"},
                                        {"http://yourapp.com:80", "it has the port"},
                                        {"https://yourapp.com:", "its port is not"},
                                        {"https://yourapp.com:x", "its port is not"},
                                        {"https://yourapp.com:0", "its port is not"},
                                        {"https://yourapp.com:65536", "its port is not"},
                                        {"https://yourapp.com:08080", "its port is not"},
                                        {"https://", "its host is not"},
                                        {"https://.com", "its host is not"},
                                        {"https://a..b", "its host is not"},
                                        {"https://a.b.", "its host is not"},
                                        {"https://a b", "its host is not"},
                                        {"https://a?b", "its host is not"},
                                        {"https://a#b", "its host is not"},
                                        {"https://caf\xc3\xa9.example", "its host is not"},
                                        {"https://[::1", "its host is not"},
                                        {"https://[::g]", "its host is not"},
                                        {"https://[]", "its host is not"},
                                        {"https://a.example\r\nX: y", "it has capital letters"},
                                        {"https://a.example\r\nx: y", "its host is not"},
                                        {"file://a", "its scheme is not"},
                                        {"1ttp://a", "its scheme is not"},
                                        {"://a", "its scheme is not"},
                                        {"https://*", "\"*\" stands only"},
                                        {"https://a*.example.com", "\"*\" stands only"},
                                        {"https://*a.example.com", "\"*\" stands only"},
                                        {"https://a.*.example.com", "\"*\" stands only"},
                                        {"https://*.*.example.com", "\"*\" stands only"},
                                        {"*.example.com", "it has no scheme"},
                                        {"*://a.example", "its scheme is not"},
                                        {"https://*.com", "\"*.\" needs a name"},
                                        {"https://*.", "its host is not"},
                                        {"https://*.127.0.0.1", "\"*.\" needs a name"},
                                        {"https://*.[::1]", "its host is not"}};
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    const char *fault;
    dl_str origins[] = {DL_STR("https://good.example"), dl_str_of(rows[i][0])};
    assert_null(dl_cors_compile(&(dl_cors_options){.origins = origins, .origin_count = 2}, *state, &fault));
    char *expected = dl_arena_format(*state, "the CORS origin \"%s\" is refused: %s", rows[i][0], rows[i][1]);
    if (strncmp(fault, expected, strlen(expected)) != 0) fail_msg("%s instead of %s", fault, expected);
  }
}

static void takes_origins_that_browsers_send(void **state) {
  static const char *const good[] = {"https://a.example",           "http://localhost",      "http://localhost:3000",       "http://127.0.0.1:8080",
                                     "http://[::1]:3000",           "https://[2001:db8::1]", "https://xn--caf-dma.example", "capacitor://localhost",
                                     "chrome-extension://abcdefgh", "https://a_b.example",   "http://a.example:443"};
  for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
    dl_str origin = dl_str_of(good[i]);
    dl_cors *cors = compile(state, (dl_cors_options){.origins = &origin, .origin_count = 1});
    assert_true(dl_cors_allows(cors, origin));
  }
}

static void refuses_what_cannot_be_meant(void **state) {
  const dl_str star[] = {DL_STR("*")}, both[] = {DL_STR("*"), DL_STR("https://a.example")}, one[] = {DL_STR("https://a.example")};
  const dl_str bad_name[] = {DL_STR("X Y")}, bad_method[] = {DL_STR("GET"), DL_STR("*")}, lower[] = {DL_STR("get")};
  const struct {
    dl_cors_options options;
    const char *fault;
  } rows[] = {
      {{.origin_count = 0}, "CORS has no origins"},
      {{.origins = star, .origin_count = 1, .credentials = true}, "the CORS origin \"*\" is refused together with credentials"},
      {{.origins = both, .origin_count = 2, .credentials = true}, "the CORS origin \"*\" is refused together with credentials"},
      {{.origins = both, .origin_count = 2}, "the CORS origin \"*\" stands for all"},
      {{.origins = one, .origin_count = 1, .headers = star, .header_count = 1, .credentials = true},
       "\"*\" among the CORS headers is refused together"},
      {{.origins = one, .origin_count = 1, .expose = star, .expose_count = 1, .credentials = true},
       "\"*\" among the CORS exposed headers is refused together"},
      {{.origins = one, .origin_count = 1, .headers = bad_name, .header_count = 1}, "\"X Y\" among the CORS headers is refused"},
      {{.origins = one, .origin_count = 1, .expose = bad_name, .expose_count = 1}, "\"X Y\" among the CORS exposed headers is refused"},
      {{.origins = one, .origin_count = 1, .methods = bad_method, .method_count = 2}, "the CORS method \"*\" is refused"},
      {{.origins = one, .origin_count = 1, .methods = lower, .method_count = 1}, "the CORS method \"get\" is refused"},
      {{.origins = one, .origin_count = 1, .max_age_seconds = 86401}, "the CORS max_age is over a day"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    const char *fault = NULL;
    assert_null(dl_cors_compile(&rows[i].options, *state, &fault));
    if (strncmp(fault, rows[i].fault, strlen(rows[i].fault)) != 0) fail_msg("row %zu: %s", i, fault);
  }
}

static void nothing_of_the_options_is_kept(void **state) {
  char origin[] = "https://a.example", pattern[] = "https://*.b.example", header[] = "X-A";
  dl_str origins[] = {dl_str_of(origin), dl_str_of(pattern)}, headers[] = {dl_str_of(header)};
  dl_cors *cors = compile(state, (dl_cors_options){.origins = origins, .origin_count = 2, .headers = headers, .header_count = 1});
  memset(origin, 'x', sizeof(origin) - 1);
  memset(pattern, 'x', sizeof(pattern) - 1);
  memset(header, 'x', sizeof(header) - 1);
  assert_true(dl_cors_preflight(cors, DL_STR("https://a.example"), DL_STR("GET"), DL_STR("x-a"), (dl_str){0}, *state).allowed);
  assert_true(dl_cors_allows(cors, DL_STR("https://c.b.example")));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(an_origin_on_the_list_gets_its_block),
      TEST(any_other_origin_gets_only_vary),
      TEST(a_pattern_stands_for_subdomains_and_nothing_else),
      TEST(preflights_are_answered_from_the_list),
      TEST(a_header_that_pages_may_always_send_is_named_once),
      TEST(preflights_are_refused_with_a_reason),
      TEST(a_star_admits_all_without_credentials),
      TEST(refuses_origins_that_browsers_never_send),
      TEST(takes_origins_that_browsers_send),
      TEST(refuses_what_cannot_be_meant),
      TEST(nothing_of_the_options_is_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
