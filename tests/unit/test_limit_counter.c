/* SPDX-License-Identifier: MIT */
/* Where limits are counted when there is no Redis, or when it cannot be asked. */
#include "unit.h"

#include "limit/counter.h"

enum { NOW_US = 100000000 };

static dl_limit_group group_of(const char *rule) {
  dl_limit_group group;
  char error[DL_LIMIT_ERROR_BYTES];
  group.count = dl_limit_parse(dl_str_of(rule), &(dl_limit_options){.scope = DL_STR("GET / client")}, group.limits, error);
  if (!group.count) fail_msg("%s", error);
  return group;
}

static void without_a_store_the_table_counts_whatever_is_chosen(void **state) {
  (void)state;
  dl_limit_table *table = dl_limit_table_new(65536);
  dl_limit_group group = group_of("2/minute");
  dl_limit_result result;
  uint32_t allowed = 0;
  for (int i = 0; i < 6; i++) {
    dl_limit_counter counter = {.fallback = (dl_limit_fallback)(i % 3)};
    assert_null(dl_limit_ask_store(&counter, &group, DL_STR("a"), NULL, NULL));
    assert_true(dl_limit_count_here(&counter, table, &group, DL_STR("a"), NOW_US, &result));
    assert_ptr_equal(result.limit, &group.limits[0]);
    allowed += result.allowed;
  }
  assert_int_equal(allowed, 2);
  dl_limit_table_free(table);
}

static void a_store_that_cannot_be_asked_is_done_without_as_chosen(void **state) {
  (void)state;
  uv_loop_t uv;
  dl_loop loop = {.uv = &uv};
  const char *error;
  uv_loop_init(&uv);
  dl_crypto *crypto = dl_crypto_new();
  dl_limit_redis *redis = dl_limit_redis_new(&loop, crypto, DL_STR("redis+unix:///nowhere"), &(dl_limit_redis_options){0}, &error);
  dl_limit_table *table = dl_limit_table_new(65536);
  dl_limit_group group = group_of("1/minute");
  dl_limit_result result;
  dl_limit_counter counter = {.redis = redis, .fallback = DL_LIMIT_CLOSED};
  assert_null(dl_limit_ask_store(&counter, &group, DL_STR("a"), NULL, NULL));
  assert_false(dl_limit_count_here(&counter, table, &group, DL_STR("a"), NOW_US, &result));
  counter.fallback = DL_LIMIT_OPEN;
  for (int i = 0; i < 5; i++) {
    assert_true(dl_limit_count_here(&counter, table, &group, DL_STR("a"), NOW_US, &result));
    assert_true(result.allowed);
    assert_null(result.limit);
  }
  counter.fallback = DL_LIMIT_LOCAL;
  assert_true(dl_limit_count_here(&counter, table, &group, DL_STR("a"), NOW_US, &result) && result.allowed);
  assert_true(dl_limit_count_here(&counter, table, &group, DL_STR("a"), NOW_US, &result) && !result.allowed);
  dl_limit_redis_close(redis, NULL, NULL);
  uv_run(&uv, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&uv), 0);
  dl_limit_table_free(table);
  dl_crypto_free(crypto);
}

static void knows_the_choices_by_name(void **state) {
  (void)state;
  dl_limit_fallback fallback = DL_LIMIT_CLOSED;
  assert_true(dl_limit_fallback_of(DL_STR("local"), &fallback) && fallback == DL_LIMIT_LOCAL);
  assert_true(dl_limit_fallback_of(DL_STR("open"), &fallback) && fallback == DL_LIMIT_OPEN);
  assert_true(dl_limit_fallback_of(DL_STR("closed"), &fallback) && fallback == DL_LIMIT_CLOSED);
  assert_false(dl_limit_fallback_of(DL_STR("Open"), &fallback));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(without_a_store_the_table_counts_whatever_is_chosen),
      cmocka_unit_test(a_store_that_cannot_be_asked_is_done_without_as_chosen),
      cmocka_unit_test(knows_the_choices_by_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
