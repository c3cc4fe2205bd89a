/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "http/router.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct fixture {
  dl_arena arena;
  dl_router *router;
} fixture;

static int set_up(void **state) {
  fixture *made = calloc(1, sizeof(*made));
  if (!made) return -1;
  dl_arena_init(&made->arena, 0);
  made->router = dl_router_new(&made->arena);
  *state = made;
  return 0;
}

static int tear_down(void **state) {
  fixture *made = *state;
  dl_arena_free(&made->arena);
  free(made);
  return 0;
}

/* The pattern's own text is its route, so that a match names what was matched. */
static const char *add(void **state, dl_method method, const char *pattern) {
  fixture *made = *state;
  return dl_router_add(made->router, method, dl_str_of(pattern), (void *)(uintptr_t)pattern);
}

static void must_add(void **state, dl_method method, const char *pattern) {
  const char *fault = add(state, method, pattern);
  if (fault) fail_msg("%s", fault);
}

static void finish(void **state) { dl_router_finish(((fixture *)*state)->router); }

/* "pattern a|b" when found, else "404", "405 GET, HEAD" or "OPTIONS GET, HEAD". */
static const char *find(void **state, dl_method method, const char *path) {
  fixture *made = *state;
  dl_route_match match;
  dl_route_result result = dl_router_find(made->router, method, dl_str_of(path), &match);
  if (result == DL_ROUTE_NOT_FOUND) return "404";
  if (result == DL_ROUTE_METHOD) return dl_arena_format(&made->arena, "405 %.*s", DL_STR_ARGS(match.allow));
  if (result == DL_ROUTE_OPTIONS) return dl_arena_format(&made->arena, "OPTIONS %.*s", DL_STR_ARGS(match.allow));
  char *text = dl_arena_format(&made->arena, "%s", (const char *)match.route);
  for (uint32_t i = 0; i < match.parameter_count; i++)
    text = dl_arena_format(&made->arena, "%s%s%.*s", text, i ? "|" : " ", DL_STR_ARGS(match.parameters[i]));
  return text;
}

static void finds_literals_and_parameters(void **state) {
  must_add(state, DL_METHOD_GET, "/");
  must_add(state, DL_METHOD_GET, "/users");
  must_add(state, DL_METHOD_GET, "/users/{id}");
  must_add(state, DL_METHOD_GET, "/users/{id}/posts/{post}");
  finish(state);
  assert_string_equal(find(state, DL_METHOD_GET, "/"), "/");
  assert_string_equal(find(state, DL_METHOD_GET, "/users"), "/users");
  assert_string_equal(find(state, DL_METHOD_GET, "/users/7"), "/users/{id} 7");
  assert_string_equal(find(state, DL_METHOD_GET, "/users/7/posts/a b"), "/users/{id}/posts/{post} 7|a b");
  assert_string_equal(find(state, DL_METHOD_GET, "/users/7/posts"), "404");
  assert_string_equal(find(state, DL_METHOD_GET, "/user"), "404");
  assert_string_equal(find(state, DL_METHOD_GET, "/users/7/posts/8/9"), "404");
  assert_string_equal(find(state, DL_METHOD_GET, "/USERS"), "404");
}

static void a_parameter_is_never_empty(void **state) {
  must_add(state, DL_METHOD_GET, "/users/{id}");
  must_add(state, DL_METHOD_GET, "/files/{path:path}");
  must_add(state, DL_METHOD_GET, "/{a}/{b}/end");
  finish(state);
  assert_string_equal(find(state, DL_METHOD_GET, "/users/"), "404");
  assert_string_equal(find(state, DL_METHOD_GET, "/files/"), "404");
  assert_string_equal(find(state, DL_METHOD_GET, "/files"), "404");
  assert_string_equal(find(state, DL_METHOD_GET, "/x//end"), "404");
}

static void a_trailing_slash_is_another_path(void **state) {
  must_add(state, DL_METHOD_GET, "/users");
  must_add(state, DL_METHOD_GET, "/posts/");
  must_add(state, DL_METHOD_GET, "/posts/{id}/");
  finish(state);
  assert_string_equal(find(state, DL_METHOD_GET, "/users/"), "404");
  assert_string_equal(find(state, DL_METHOD_GET, "/posts"), "404");
  assert_string_equal(find(state, DL_METHOD_GET, "/posts/"), "/posts/");
  assert_string_equal(find(state, DL_METHOD_GET, "/posts/1"), "404");
  assert_string_equal(find(state, DL_METHOD_GET, "/posts/1/"), "/posts/{id}/ 1");
}

static void what_is_literal_wins(void **state) {
  must_add(state, DL_METHOD_GET, "/users/{id}");
  must_add(state, DL_METHOD_GET, "/users/me");
  must_add(state, DL_METHOD_GET, "/{any:path}");
  must_add(state, DL_METHOD_GET, "/{kind}/list");
  finish(state);
  assert_string_equal(find(state, DL_METHOD_GET, "/users/me"), "/users/me");
  assert_string_equal(find(state, DL_METHOD_GET, "/users/you"), "/users/{id} you");
  assert_string_equal(find(state, DL_METHOD_GET, "/users/list"), "/users/{id} list");
  assert_string_equal(find(state, DL_METHOD_GET, "/posts/list"), "/{kind}/list posts");
  assert_string_equal(find(state, DL_METHOD_GET, "/posts/other"), "/{any:path} posts/other");
}

static void comes_back_from_a_way_that_ends(void **state) {
  must_add(state, DL_METHOD_GET, "/a/b/c");
  must_add(state, DL_METHOD_GET, "/a/{x}/d");
  must_add(state, DL_METHOD_GET, "/{y}/b/e");
  must_add(state, DL_METHOD_GET, "/a/{rest:path}");
  finish(state);
  assert_string_equal(find(state, DL_METHOD_GET, "/a/b/c"), "/a/b/c");
  assert_string_equal(find(state, DL_METHOD_GET, "/a/b/d"), "/a/{x}/d b");
  assert_string_equal(find(state, DL_METHOD_GET, "/a/b/e"), "/a/{rest:path} b/e");
  assert_string_equal(find(state, DL_METHOD_GET, "/z/b/e"), "/{y}/b/e z");
  assert_string_equal(find(state, DL_METHOD_GET, "/a/b/c/d"), "/a/{rest:path} b/c/d");
}

static void the_rest_of_the_path_may_have_slashes(void **state) {
  must_add(state, DL_METHOD_GET, "/files/{path:path}");
  finish(state);
  assert_string_equal(find(state, DL_METHOD_GET, "/files/a"), "/files/{path:path} a");
  assert_string_equal(find(state, DL_METHOD_GET, "/files/a/b/"), "/files/{path:path} a/b/");
}

static void tells_which_methods_are_allowed(void **state) {
  must_add(state, DL_METHOD_GET, "/users");
  must_add(state, DL_METHOD_POST, "/users");
  must_add(state, DL_METHOD_DELETE, "/users/{id}");
  must_add(state, DL_METHOD_PUT, "/users/me");
  finish(state);
  assert_string_equal(find(state, DL_METHOD_DELETE, "/users"), "405 GET, HEAD, POST, OPTIONS");
  assert_string_equal(find(state, DL_METHOD_GET, "/users/7"), "405 DELETE, OPTIONS");
  assert_string_equal(find(state, DL_METHOD_GET, "/users/me"), "405 PUT, DELETE, OPTIONS");
  assert_string_equal(find(state, DL_METHOD_OPTIONS, "/users"), "OPTIONS GET, HEAD, POST, OPTIONS");
  assert_string_equal(find(state, DL_METHOD_OPTIONS, "/none"), "404");
  assert_string_equal(find(state, DL_METHOD_OPTIONS, "*"), "OPTIONS GET, HEAD, POST, PUT, DELETE, OPTIONS");
  assert_string_equal(find(state, DL_METHOD_GET, "*"), "404");
}

static void a_less_literal_route_may_have_the_method(void **state) {
  must_add(state, DL_METHOD_GET, "/users/me");
  must_add(state, DL_METHOD_DELETE, "/users/{id}");
  must_add(state, DL_METHOD_PATCH, "/users/{rest:path}");
  finish(state);
  assert_string_equal(find(state, DL_METHOD_DELETE, "/users/me"), "/users/{id} me");
  assert_string_equal(find(state, DL_METHOD_PATCH, "/users/me"), "/users/{rest:path} me");
  assert_string_equal(find(state, DL_METHOD_PUT, "/users/me"), "405 GET, HEAD, PATCH, DELETE, OPTIONS");
}

static void head_follows_get_unless_it_has_its_own(void **state) {
  must_add(state, DL_METHOD_GET, "/a");
  must_add(state, DL_METHOD_GET, "/b");
  must_add(state, DL_METHOD_HEAD, "/b");
  must_add(state, DL_METHOD_POST, "/c");
  must_add(state, DL_METHOD_HEAD, "/{x}");
  finish(state);
  dl_route_match match;
  assert_int_equal(dl_router_find(((fixture *)*state)->router, DL_METHOD_HEAD, DL_STR("/a"), &match), DL_ROUTE_FOUND);
  assert_int_equal(match.method, DL_METHOD_GET);
  assert_string_equal(match.route, "/a");
  assert_int_equal(dl_router_find(((fixture *)*state)->router, DL_METHOD_HEAD, DL_STR("/b"), &match), DL_ROUTE_FOUND);
  assert_int_equal(match.method, DL_METHOD_HEAD);
  assert_string_equal(find(state, DL_METHOD_HEAD, "/c"), "/{x} c");
}

/* As a preflight may ask for one: Access-Control-Request-Method holds any word. */
static void a_method_that_is_none_of_ours_finds_no_route(void **state) {
  must_add(state, DL_METHOD_GET, "/a");
  must_add(state, DL_METHOD_GET, "/{x}");
  must_add(state, DL_METHOD_GET, "/b/{rest:path}");
  finish(state);
  assert_string_equal(find(state, DL_METHOD_COUNT, "/a"), "405 GET, HEAD, OPTIONS");
  assert_string_equal(find(state, DL_METHOD_COUNT, "/z"), "405 GET, HEAD, OPTIONS");
  assert_string_equal(find(state, DL_METHOD_COUNT, "/b/c/d"), "405 GET, HEAD, OPTIONS");
  assert_string_equal(find(state, DL_METHOD_COUNT, "/c/d"), "404");
}

static void an_options_route_answers_itself(void **state) {
  must_add(state, DL_METHOD_GET, "/a");
  must_add(state, DL_METHOD_OPTIONS, "/a");
  finish(state);
  assert_string_equal(find(state, DL_METHOD_OPTIONS, "/a"), "/a");
}

static void refuses_patterns_that_match_the_same_requests(void **state) {
  must_add(state, DL_METHOD_GET, "/users/{id}");
  must_add(state, DL_METHOD_GET, "/files/{a:path}");
  must_add(state, DL_METHOD_GET, "/users");
  must_add(state, DL_METHOD_DELETE, "/users/{name}");
  assert_string_equal(add(state, DL_METHOD_GET, "/users/{name}"),
                      "GET /users/{id} and GET /users/{name} match the same requests; remove one, or give it another method or path");
  assert_non_null(add(state, DL_METHOD_GET, "/files/{b:path}"));
  assert_non_null(add(state, DL_METHOD_GET, "/users"));
  must_add(state, DL_METHOD_GET, "/files/{b}");
  finish(state);
  assert_string_equal(find(state, DL_METHOD_GET, "/users/7"), "/users/{id} 7");
  assert_string_equal(find(state, DL_METHOD_GET, "/files/x"), "/files/{b} x");
}

static void refuses_malformed_patterns(void **state) {
  static const char *const bad[] = {"",       "users",    "/a//b",       "//",       "/{id",  "/id}",  "/a{id}",  "/{id}.json", "/{}",    "/{1a}",
                                    "/{a b}", "/{a:int}", "/{a:path}/b", "/{a}/{a}", "/./a",  "/a/..", "/a?b",    "/a#b",       "/a%20b", "/a\\b",
                                    "/a\nb",  "/a\x7f",   "/{{a}}",      "/{:path}", "/\xff", "/{a:}", "/{a}{b}", "/{a-b}"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    const char *fault = add(state, DL_METHOD_GET, bad[i]);
    if (!fault) fail_msg("%s is taken", bad[i]);
    assert_non_null(strstr(fault, " of a GET route is refused: "));
  }
  finish(state);
  assert_string_equal(find(state, DL_METHOD_GET, "/a"), "404");
}

static void takes_sixteen_parameters_and_no_more(void **state) {
  char pattern[256], path[256];
  size_t at = 0, there = 0;
  for (int i = 0; i < DL_ROUTER_MAX_PARAMETERS; i++) {
    at += (size_t)snprintf(pattern + at, sizeof(pattern) - at, "/{p%d}", i);
    there += (size_t)snprintf(path + there, sizeof(path) - there, "/%d", i);
  }
  must_add(state, DL_METHOD_GET, pattern);
  snprintf(pattern + at, sizeof(pattern) - at, "/{last}");
  assert_non_null(add(state, DL_METHOD_GET, pattern));
  finish(state);
  assert_non_null(strstr(find(state, DL_METHOD_GET, path), "0|1|2|3|4|5|6|7|8|9|10|11|12|13|14|15"));
}

static void an_empty_router_finds_nothing(void **state) {
  finish(state);
  assert_string_equal(find(state, DL_METHOD_GET, "/"), "404");
  assert_string_equal(find(state, DL_METHOD_OPTIONS, "*"), "OPTIONS OPTIONS");
}

static void finds_each_of_many(void **state) {
  fixture *made = *state;
  static const char *const shapes[] = {"/r%d", "/api/r%d", "/api/{a}/r%d", "/r%d/{b}/{c}"};
  for (int i = 0; i < 400; i++)
    for (size_t s = 0; s < 4; s++) {
      char text[64];
      snprintf(text, sizeof(text), shapes[s], i);
      must_add(state, (dl_method)(i % DL_METHOD_COUNT), dl_arena_copy(&made->arena, dl_str_of(text)).ptr);
    }
  finish(state);
  for (int i = 0; i < 400; i++) {
    dl_method method = (dl_method)(i % DL_METHOD_COUNT);
    assert_string_equal(find(state, method, dl_arena_format(&made->arena, "/r%d", i)), dl_arena_format(&made->arena, "/r%d", i));
    assert_string_equal(find(state, method, dl_arena_format(&made->arena, "/api/r%d", i)), dl_arena_format(&made->arena, "/api/r%d", i));
    assert_string_equal(find(state, method, dl_arena_format(&made->arena, "/api/x/r%d", i)), dl_arena_format(&made->arena, "/api/{a}/r%d x", i));
    assert_string_equal(find(state, method, dl_arena_format(&made->arena, "/r%d/y/z", i)), dl_arena_format(&made->arena, "/r%d/{b}/{c} y|z", i));
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(finds_literals_and_parameters),
      TEST(a_parameter_is_never_empty),
      TEST(a_trailing_slash_is_another_path),
      TEST(what_is_literal_wins),
      TEST(comes_back_from_a_way_that_ends),
      TEST(the_rest_of_the_path_may_have_slashes),
      TEST(tells_which_methods_are_allowed),
      TEST(a_less_literal_route_may_have_the_method),
      TEST(head_follows_get_unless_it_has_its_own),
      TEST(a_method_that_is_none_of_ours_finds_no_route),
      TEST(an_options_route_answers_itself),
      TEST(refuses_patterns_that_match_the_same_requests),
      TEST(refuses_malformed_patterns),
      TEST(takes_sixteen_parameters_and_no_more),
      TEST(an_empty_router_finds_nothing),
      TEST(finds_each_of_many),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
