/* SPDX-License-Identifier: MIT */
/* Limits in a real redis-server: exact, and quick to fail while it is stopped, restarted, frozen, full or locked. */
#include "redis_world.h"

enum { LONG_MS = 20000 /* far more than a deadline, on a machine that is busy with other things as well */ };

static void admits_exactly_the_count_and_says_what_is_left(void **state) {
  (void)state;
  NEEDS_REDIS_SERVER();
  world w;
  world_make(&w);
  server_start(&w, NULL, NULL);
  store_open(&w, (dl_limit_redis_options){.command_ms = 5000});
  store_wait(&w);
  for (uint32_t i = 0; i < 5; i++) {
    dl_limit_result result = hit(&w, "a");
    assert_true(result.allowed);
    assert_ptr_equal(result.limit, &w.limits[0]);
    assert_int_equal(result.remaining, 4 - i);
    assert_in_range(result.reset_s, 50, 60);
  }
  dl_limit_result result = hit(&w, "a");
  assert_false(result.allowed);
  assert_in_range(result.retry_after_s, 50, 60);
  assert_true(hit(&w, "b").allowed);
  assert_int_equal(dl_limit_redis_read_stats(w.redis).answered, 7);
  world_end(&w);
}

static bool all_came(void *data) {
  answer *answers = data;
  for (size_t i = 0; i < 64 * 20; i++)
    if (!answers[i].came) return false;
  return true;
}

static void admits_exactly_the_count_over_64_connections_at_once(void **state) {
  (void)state;
  NEEDS_REDIS_SERVER();
  world w;
  world_make(&w);
  server_start(&w, NULL, NULL);
  static answer answers[64 * 20];
  dl_limit_redis *stores[64];
  for (size_t i = 0; i < 64; i++) {
    store_open(&w, (dl_limit_redis_options){.command_ms = 10000});
    store_wait(&w);
    stores[i] = w.redis;
  }
  for (size_t i = 0; i < 64 * 20; i++) assert_true(send_to(&w, stores[i % 64], "a", &answers[i]));
  assert_true(turn(&w, 20000, all_came, answers));
  uint32_t allowed = 0;
  for (size_t i = 0; i < 64 * 20; i++) {
    assert_int_equal(answers[i].came, 1);
    assert_false(answers[i].failed);
    allowed += answers[i].result.allowed;
  }
  assert_int_equal(allowed, 5);
  for (size_t i = 0; i < 64; i++) {
    w.redis = stores[i];
    store_close(&w);
  }
  world_end(&w);
}

/* Has it be that time, however long what came before took. */
static void hold(dl_clock *clock, uint64_t at_us) {
  dl_clock_update(clock);
  dl_clock_move(clock, ((int64_t)at_us - (int64_t)clock->monotonic_us) / 1000);
}

static void counts_as_the_table_does_under_a_moved_clock(void **state) {
  (void)state;
  NEEDS_REDIS_SERVER();
  static const struct {
    const char *rule;
    bool fixed;
    uint32_t cost;
  } rows[] = {{"5/minute", false, 1}, {"5/minute", true, 1}, {"10/minute;60/hour", false, 3}, {"1/minute", false, 1}};
  static const int steps_s[] = {0, 0, 31, 30, 13, 12, 12, 1, 12, 25, 61, 0, 119, 200, 0, 45, 90, 3700, 0, -20, -4000, 31, 30};
  world w;
  world_make(&w);
  server_start(&w, NULL, NULL);
  store_open(&w, (dl_limit_redis_options){.command_ms = 5000});
  store_wait(&w);
  for (size_t row = 0; row < sizeof(rows) / sizeof(*rows); row++) {
    char scope[32];
    snprintf(scope, sizeof(scope), "row %zu", row);
    world_rule(&w, rows[row].rule, (dl_limit_options){.scope = dl_str_of(scope), .fixed = rows[row].fixed, .cost = rows[row].cost});
    dl_limit_table *table = dl_limit_table_new(8192);
    uint64_t now_us = w.loop.clock.monotonic_us;
    for (size_t step = 0; step < sizeof(steps_s) / sizeof(*steps_s); step++) {
      /* Windows begin with the first step; the rest is half a second off their seconds, since the two read their clocks one after the other. */
      now_us += (uint64_t)((int64_t)steps_s[step] * 1000000) + (step == 1 ? 500000u : 0);
      for (int i = 0; i < 4; i++) {
        hold(&w.loop.clock, now_us);
        dl_limit_result expected = dl_limit_check(table, w.limits, w.count, DL_STR("a"), w.loop.clock.monotonic_us), result = hit(&w, "a");
        if (result.allowed != expected.allowed || result.limit != expected.limit || result.remaining != expected.remaining)
          fail_msg("row %zu, step %zu: %d %s %u, table: %d %s %u", row, step, result.allowed, result.limit->name, result.remaining, expected.allowed,
                   expected.limit->name, expected.remaining);
        assert_in_range(result.retry_after_s + 1, expected.retry_after_s, expected.retry_after_s + 2);
      }
    }
    dl_limit_table_free(table);
  }
  world_end(&w);
}

static void a_refused_request_takes_nothing_from_the_other_windows(void **state) {
  (void)state;
  NEEDS_REDIS_SERVER();
  world w;
  world_make(&w);
  server_start(&w, NULL, NULL);
  store_open(&w, (dl_limit_redis_options){.command_ms = 5000});
  store_wait(&w);
  world_rule(&w, "2/minute;6/day", (dl_limit_options){0});
  for (int i = 0; i < 3; i++) {
    assert_int_equal(admitted(&w, "a", 10), 2);
    dl_clock_move(&w.loop.clock, 130000);
  }
  dl_limit_result result = hit(&w, "a");
  assert_false(result.allowed);
  assert_ptr_equal(result.limit, &w.limits[1]);
  world_end(&w);
}

static void keys_expire_and_hold_no_client(void **state) {
  (void)state;
  NEEDS_REDIS_SERVER();
  world w;
  world_make(&w);
  server_start(&w, NULL, NULL);
  store_open(&w, (dl_limit_redis_options){.command_ms = 5000, .prefix = DL_STR("shop")});
  store_wait(&w);
  world_rule(&w, "5/minute", (dl_limit_options){0});
  hit(&w, "secret-api-key");
  redisContext *raw = raw_connection(&w);
  redisReply *keys = redisCommand(raw, "KEYS *");
  assert_int_equal(keys->elements, 1);
  const char *key = keys->element[0]->str;
  assert_memory_equal(key, "shop:{", 6);
  assert_null(strstr(key, "secret"));
  redisReply *left = redisCommand(raw, "PTTL %s", key);
  assert_in_range(left->integer, 100000, 120000);
  freeReplyObject(left);
  freeReplyObject(keys);
  redisFree(raw);
  world_end(&w);
}

static void other_ways_in(void **state) {
  (void)state;
  NEEDS_REDIS_SERVER();
  static const char *const forms[] = {"redis://127.0.0.1:%d", "redis://localhost:%d/3", "redis://:open%%20sesame@127.0.0.1:%d/1",
                                      "redis://ada:sesame@127.0.0.1:%d"};
  for (size_t i = 0; i < 4; i++) {
    world w;
    world_make(&w);
    server_start(&w, i == 2 ? "--requirepass" : NULL, i == 2 ? "open sesame" : NULL);
    if (i == 3) server_command(&w, "ACL SETUSER ada on >sesame ~* +@all");
    snprintf(w.url, sizeof(w.url), forms[i], w.port);
    store_open(&w, (dl_limit_redis_options){.command_ms = 5000});
    store_wait(&w);
    assert_int_equal(admitted(&w, "a", 9), 5);
    if (i == 1) assert_int_equal(server_command(&w, "DBSIZE"), 0); /* it is in database 3 */
    world_end(&w);
  }
}

static void a_wrong_password_is_told_and_does_no_harm(void **state) {
  (void)state;
  NEEDS_REDIS_SERVER();
  world w;
  world_make(&w);
  server_start(&w, "--requirepass", "right");
  snprintf(w.url, sizeof(w.url), "redis://:wrong-one@127.0.0.1:%d", w.port);
  store_open(&w, (dl_limit_redis_options){.backoff_ms = 5});
  wait_for_lines(&w, "WRONGPASS", 1);
  assert_false(turn(&w, 300, is_ready, w.redis));
  answer a;
  assert_false(send_check(&w, "a", &a));
  assert_int_equal(logged(&w, "WRONGPASS"), 1);
  assert_int_equal(logged(&w, "wrong-one"), 0);
  world_end(&w);
}

static void a_script_that_the_server_forgot_is_sent_again(void **state) {
  (void)state;
  NEEDS_REDIS_SERVER();
  world w;
  world_make(&w);
  server_start(&w, NULL, NULL);
  store_open(&w, (dl_limit_redis_options){.command_ms = 5000});
  store_wait(&w);
  assert_int_equal(admitted(&w, "a", 2), 2);
  server_command(&w, "SCRIPT FLUSH");
  assert_int_equal(admitted(&w, "a", 9), 3);
  server_command(&w, "SCRIPT FLUSH");
  answer answers[64 * 20];
  for (size_t i = 0; i < 64 * 20; i++) {
    char key[16];
    snprintf(key, sizeof(key), "%zu", i % 10);
    answers[i].came = 1;
    if (i < 100) assert_true(send_check(&w, key, &answers[i]));
  }
  assert_true(turn(&w, 10000, all_came, answers));
  uint32_t allowed = 0;
  for (size_t i = 0; i < 100; i++) allowed += !answers[i].failed && answers[i].result.allowed;
  assert_int_equal(allowed, 50);
  assert_int_equal(dl_limit_redis_read_stats(w.redis).connections, 1);
  world_end(&w);
}

/* --- a store in trouble ------------------------------------------------------------- */

static void a_store_that_is_not_there_costs_nothing(void **state) {
  (void)state;
  world w;
  world_make(&w);
  for (int i = 0; i < 2; i++) {
    if (i == 1) snprintf(w.url, sizeof(w.url), "redis://127.0.0.1:%d", w.port); /* a refused connection, of which hiredis tells nobody */
    store_open(&w, (dl_limit_redis_options){.backoff_ms = 1});
    answer a;
    assert_false(send_check(&w, "a", &a));
    wait_for_lines(&w, i == 1 ? "connection refused" : "no such file or directory", 1);
    assert_false(turn(&w, 200, is_ready, w.redis));
    assert_false(send_check(&w, "a", &a));
    assert_int_equal(dl_limit_redis_read_stats(w.redis).unavailable, 2);
    store_close(&w);
  }
  assert_int_equal(logged(&w, "no such file or directory"), 1);
  assert_int_equal(logged(&w, "connection refused"), 1);
  world_end(&w);
}

static void a_server_that_stops_fails_what_is_under_way_and_comes_back(void **state) {
  (void)state;
  NEEDS_REDIS_SERVER();
  world w;
  world_make(&w);
  server_start(&w, NULL, NULL);
  store_open(&w, (dl_limit_redis_options){.command_ms = 10 * LONG_MS, .backoff_ms = 10});
  store_wait(&w);
  assert_int_equal(admitted(&w, "a", 9), 5);
  kill(w.server, SIGSTOP);
  answer a;
  assert_true(send_check(&w, "a", &a));
  turn(&w, 20, NULL, NULL);
  server_stop(&w);
  assert_true(turn(&w, LONG_MS, has_come, &a));
  assert_true(a.failed);
  assert_true(a.took_ms < LONG_MS);
  wait_for_lines(&w, "on_store_failure decides", 1);
  turn(&w, 50, NULL, NULL);
  assert_false(send_check(&w, "a", &a));
  server_start(&w, NULL, NULL);
  store_wait(&w);
  assert_int_equal(admitted(&w, "a", 9), 5); /* a new server has nothing: script and counts */
  assert_int_equal(logged(&w, "counts limits again"), 1);
  assert_int_equal(dl_limit_redis_read_stats(w.redis).connections, 2);
  world_end(&w);
}

static void a_frozen_server_holds_no_check_beyond_its_deadline(void **state) {
  (void)state;
  NEEDS_REDIS_SERVER();
  world w;
  world_make(&w);
  server_start(&w, NULL, NULL);
  store_open(&w, (dl_limit_redis_options){.connect_ms = 10 * LONG_MS});
  store_wait(&w);
  kill(w.server, SIGSTOP);
  static answer answers[64 * 20];
  for (size_t i = 0; i < 64 * 20; i++) answers[i].came = i >= 100;
  for (size_t i = 0; i < 100; i++) assert_true(send_check(&w, "a", &answers[i]));
  assert_true(turn(&w, LONG_MS, all_came, answers));
  for (size_t i = 0; i < 100; i++) {
    assert_true(answers[i].failed);
    assert_in_range(answers[i].took_ms, 49, LONG_MS);
  }
  /* Who comes now does not wait at all. */
  answer a;
  uint64_t begun_ms = world_now_ms();
  for (int i = 0; i < 1000; i++) assert_false(send_check(&w, "a", &a));
  assert_true(world_now_ms() - begun_ms < LONG_MS); /* not 50 ms each */
  assert_int_equal(dl_limit_redis_read_stats(w.redis).failed, 100);
  assert_int_equal(logged(&w, "it is slow"), 1);
  /* It goes on: so does the store, on the same connection. */
  kill(w.server, SIGCONT);
  store_wait(&w);
  assert_false(hit_in_the_end(&w, "a").allowed); /* what was asked was counted, only too late */
  assert_int_equal(dl_limit_redis_read_stats(w.redis).connections, 1);
  world_end(&w);
}

static void a_server_frozen_for_long_is_left_and_found_again(void **state) {
  (void)state;
  NEEDS_REDIS_SERVER();
  world w;
  world_make(&w);
  server_start(&w, NULL, NULL);
  store_open(&w, (dl_limit_redis_options){.connect_ms = 100, .backoff_ms = 10});
  store_wait(&w);
  int before = logged(&w, "it does not answer"); /* also of a start on a busy machine */
  kill(w.server, SIGSTOP);
  answer a;
  assert_true(send_check(&w, "a", &a));
  assert_true(turn(&w, LONG_MS, has_come, &a));
  assert_true(a.failed);
  wait_for_lines(&w, "it does not answer", before + 1);
  assert_false(turn(&w, 600, is_ready, w.redis)); /* the kernel still accepts for it */
  assert_int_equal(logged(&w, "it does not answer"), before + 1);
  kill(w.server, SIGCONT);
  store_wait(&w);
  assert_true(hit_in_the_end(&w, "b").allowed);
  assert_true(dl_limit_redis_read_stats(w.redis).connections >= 2);
  world_end(&w);
}

static void a_full_server_fails_checks_and_counts_again_when_it_has_room(void **state) {
  (void)state;
  NEEDS_REDIS_SERVER();
  world w;
  world_make(&w);
  server_start(&w, NULL, NULL);
  store_open(&w, (dl_limit_redis_options){.command_ms = 5000});
  store_wait(&w);
  assert_true(hit(&w, "a").allowed);
  server_command(&w, "CONFIG SET maxmemory-policy noeviction");
  server_command(&w, "CONFIG SET maxmemory 1");
  for (int i = 0; i < 10; i++) {
    answer a = ask(&w, "a");
    assert_true(a.failed);
  }
  assert_int_equal(logged(&w, "OOM"), 1);
  server_command(&w, "CONFIG SET maxmemory 0");
  assert_int_equal(admitted(&w, "a", 9), 4); /* nothing was half counted */
  assert_int_equal(logged(&w, "counts limits again"), 1);
  assert_int_equal(dl_limit_redis_read_stats(w.redis).connections, 1);
  world_end(&w);
}

static void a_key_that_somebody_else_wrote_fails_its_checks_only(void **state) {
  (void)state;
  NEEDS_REDIS_SERVER();
  world w;
  world_make(&w);
  server_start(&w, NULL, NULL);
  store_open(&w, (dl_limit_redis_options){.command_ms = 5000});
  store_wait(&w);
  assert_true(hit(&w, "a").allowed);
  redisContext *raw = raw_connection(&w);
  redisReply *keys = redisCommand(raw, "KEYS *");
  char key[128];
  snprintf(key, sizeof(key), "%s", keys->element[0]->str);
  freeReplyObject(keys);
  static const char *const writes[] = {"SET %s hello", "SET %s 1,2,3", "DEL %s"};
  for (size_t i = 0; i < 3; i++) {
    freeReplyObject(redisCommand(raw, writes[i], key));
    if (i == 2) freeReplyObject(redisCommand(raw, "LPUSH %s x", key));
    answer a = ask(&w, "a");
    assert_true(a.failed);
    assert_true(hit(&w, i == 0 ? "b" : i == 1 ? "c" : "d").allowed);
  }
  redisFree(raw);
  world_end(&w);
}

/* --- bounds and ends ------------------------------------------------------------------ */

static void only_so_many_are_under_way(void **state) {
  (void)state;
  NEEDS_REDIS_SERVER();
  world w;
  world_make(&w);
  server_start(&w, NULL, NULL);
  store_open(&w, (dl_limit_redis_options){.command_ms = 5000, .waiting_max = 4});
  store_wait(&w);
  answer answers[6];
  for (size_t i = 0; i < 4; i++) assert_true(send_check(&w, "a", &answers[i]));
  for (size_t i = 4; i < 6; i++) assert_false(send_check(&w, "a", &answers[i]));
  assert_true(turn(&w, 5000, has_come, &answers[3]));
  assert_true(hit(&w, "a").allowed);
  assert_int_equal(dl_limit_redis_read_stats(w.redis).unavailable, 2);
  world_end(&w);
}

static void a_cancelled_check_calls_nobody(void **state) {
  (void)state;
  NEEDS_REDIS_SERVER();
  world w;
  world_make(&w);
  server_start(&w, NULL, NULL);
  store_open(&w, (dl_limit_redis_options){.command_ms = 1000, .connect_ms = 10 * LONG_MS});
  store_wait(&w);
  answer gone = {0}, frozen = {0};
  dl_limit_query_cancel(dl_limit_redis_check(w.redis, w.limits, w.count, DL_STR("a"), on_answer, &gone));
  assert_int_equal(hit(&w, "a").remaining, 3);
  kill(w.server, SIGSTOP);
  dl_limit_query_cancel(dl_limit_redis_check(w.redis, w.limits, w.count, DL_STR("a"), on_answer, &frozen));
  turn(&w, 1200, NULL, NULL);
  kill(w.server, SIGCONT);
  store_wait(&w);
  assert_int_equal(gone.came + frozen.came, 0);
  world_end(&w);
}

static void closing_fails_what_is_under_way(void **state) {
  (void)state;
  NEEDS_REDIS_SERVER();
  world w;
  world_make(&w);
  server_start(&w, NULL, NULL);
  store_open(&w, (dl_limit_redis_options){0});
  store_close(&w); /* while it connects */
  snprintf(w.url, sizeof(w.url), "redis://localhost:%d", w.port);
  store_open(&w, (dl_limit_redis_options){0});
  store_close(&w); /* while it looks up the name */
  store_open(&w, (dl_limit_redis_options){0});
  store_wait(&w);
  answer a;
  assert_true(send_check(&w, "a", &a));
  bool closed = false;
  dl_limit_redis_close(w.redis, on_store_closed, &closed);
  w.redis = NULL;
  assert_int_equal(a.came, 1);
  assert_true(a.failed);
  assert_true(turn(&w, 5000, is_true, &closed));
  world_end(&w);
}

typedef struct closer {
  world *w;
  int came;
  bool closed;
} closer;

static void close_from_inside(void *owner, const dl_limit_result *result) {
  (void)result;
  closer *c = owner;
  if (c->came++ == 0) dl_limit_redis_close(c->w->redis, on_store_closed, &c->closed);
}

/* From a result, from a deadline and from a lost connection. */
static void a_callback_may_close_the_store(void **state) {
  (void)state;
  NEEDS_REDIS_SERVER();
  for (int row = 0; row < 3; row++) {
    world w;
    world_make(&w);
    server_start(&w, NULL, NULL);
    store_open(&w, (dl_limit_redis_options){.command_ms = row == 1 ? 20 : 5000});
    store_wait(&w);
    if (row) kill(w.server, SIGSTOP);
    closer c = {.w = &w};
    for (int i = 0; i < 5; i++) assert_non_null(dl_limit_redis_check(w.redis, w.limits, w.count, DL_STR("a"), close_from_inside, &c));
    turn(&w, 5, NULL, NULL);
    if (row == 2) server_stop(&w);
    assert_true(turn(&w, 5000, is_true, &c.closed));
    assert_int_equal(c.came, 5);
    w.redis = NULL;
    if (row == 1) kill(w.server, SIGCONT);
    world_end(&w);
  }
}

/* Our own loop was held up (a handler that computes): the answers were there in time. */
static void a_busy_loop_is_not_taken_for_a_slow_store(void **state) {
  (void)state;
  NEEDS_REDIS_SERVER();
  world w;
  world_make(&w);
  server_start(&w, NULL, NULL);
  store_open(&w, (dl_limit_redis_options){.command_ms = 200});
  store_wait(&w);
  for (int i = 0; i < 3; i++) {
    answer a;
    assert_true(send_check(&w, "a", &a));
    uv_run(&w.uv, UV_RUN_NOWAIT);
    uv_run(&w.uv, UV_RUN_NOWAIT);
    usleep(400000);
    assert_true(turn(&w, 5000, has_come, &a));
    assert_false(a.failed);
  }
  world_end(&w);
}

/* A server that is killed, frozen and started under load: every check is answered
 * once and in time, and in the end all is well. */
static void under_load_while_the_server_comes_and_goes(void **state) {
  (void)state;
  NEEDS_REDIS_SERVER();
  enum { STEPS = 400, AT_ONCE = 30 };
  world w;
  world_make(&w);
  world_rule(&w, "1000000/minute", (dl_limit_options){0});
  server_start(&w, NULL, NULL);
  store_open(&w, (dl_limit_redis_options){.connect_ms = 200, .backoff_ms = 5});
  static answer answers[STEPS][AT_ONCE];
  static bool sent[STEPS][AT_ONCE];
  uint32_t results = 0, failures = 0, unsent = 0;
  bool frozen = false;
  for (size_t step = 0; step < STEPS; step++) {
    if (step % 40 == 10) kill(w.server, frozen ? SIGCONT : SIGSTOP), frozen = !frozen;
    if (step % 80 == 65) {
      server_stop(&w);
      frozen = false;
    }
    if (!w.server && step % 80 == 75) server_start(&w, NULL, NULL);
    for (size_t i = 0; i < AT_ONCE; i++) sent[step][i] = send_check(&w, "a", &answers[step][i]);
    turn(&w, 3, NULL, NULL);
  }
  if (!w.server) server_start(&w, NULL, NULL);
  if (frozen) kill(w.server, SIGCONT);
  store_wait(&w);
  turn(&w, 100, NULL, NULL);
  uint64_t longest_ms = 0;
  for (size_t step = 0; step < STEPS; step++)
    for (size_t i = 0; i < AT_ONCE; i++) {
      answer *a = &answers[step][i];
      assert_int_equal(a->came, sent[step][i] ? 1 : 0);
      if (a->took_ms > longest_ms) longest_ms = a->took_ms;
      if (!sent[step][i]) unsent++;
      else if (a->failed) failures++;
      else results++;
    }
  print_message("%u results, %u failures, %u not sent, the longest took %u ms\n", results, failures, unsent, (unsigned)longest_ms);
  assert_true(results > 0 && failures > 0 && unsent > 0);
  assert_true(longest_ms <= LONG_MS);
  assert_true(hit_in_the_end(&w, "b").allowed);
  world_end(&w);
}

static void on_settled(void *owner) { (*(int *)owner)++; }
static bool has_settled(void *data) { return *(int *)data > 0; }

static dl_limit_redis *new_store(world *w) {
  const char *error;
  w->redis = dl_limit_redis_new(&w->loop, w->crypto, dl_str_of(w->url), &(dl_limit_redis_options){.backoff_ms = 10}, &error);
  assert_non_null(w->redis);
  return w->redis;
}

static void a_start_settles_once_with_a_server_or_without(void **state) {
  (void)state;
  NEEDS_REDIS_SERVER();
  world w;
  int settled = 0;
  world_make(&w);
  dl_limit_redis_start(new_store(&w), on_settled, &settled);
  assert_true(turn(&w, 10000, has_settled, &settled));
  assert_false(dl_limit_redis_ready(w.redis));
  server_start(&w, NULL, NULL);
  store_wait(&w);
  assert_int_equal(settled, 1);
  store_close(&w);
  settled = 0;
  dl_limit_redis_start(new_store(&w), on_settled, &settled);
  assert_true(turn(&w, 10000, has_settled, &settled));
  assert_true(dl_limit_redis_ready(w.redis));
  store_close(&w);
  settled = 0;
  kill(w.server, SIGSTOP);
  dl_limit_redis_start(new_store(&w), on_settled, &settled);
  store_close(&w); /* before anything was known */
  assert_int_equal(settled, 0);
  world_end(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(admits_exactly_the_count_and_says_what_is_left),
      cmocka_unit_test(admits_exactly_the_count_over_64_connections_at_once),
      cmocka_unit_test(counts_as_the_table_does_under_a_moved_clock),
      cmocka_unit_test(a_refused_request_takes_nothing_from_the_other_windows),
      cmocka_unit_test(keys_expire_and_hold_no_client),
      cmocka_unit_test(other_ways_in),
      cmocka_unit_test(a_wrong_password_is_told_and_does_no_harm),
      cmocka_unit_test(a_script_that_the_server_forgot_is_sent_again),
      cmocka_unit_test(a_store_that_is_not_there_costs_nothing),
      cmocka_unit_test(a_server_that_stops_fails_what_is_under_way_and_comes_back),
      cmocka_unit_test(a_frozen_server_holds_no_check_beyond_its_deadline),
      cmocka_unit_test(a_server_frozen_for_long_is_left_and_found_again),
      cmocka_unit_test(a_full_server_fails_checks_and_counts_again_when_it_has_room),
      cmocka_unit_test(a_key_that_somebody_else_wrote_fails_its_checks_only),
      cmocka_unit_test(only_so_many_are_under_way),
      cmocka_unit_test(a_cancelled_check_calls_nobody),
      cmocka_unit_test(closing_fails_what_is_under_way),
      cmocka_unit_test(a_callback_may_close_the_store),
      cmocka_unit_test(a_busy_loop_is_not_taken_for_a_slow_store),
      cmocka_unit_test(a_start_settles_once_with_a_server_or_without),
      cmocka_unit_test(under_load_while_the_server_comes_and_goes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
