/* SPDX-License-Identifier: MIT */
/*
 * A world for tests of the Redis store: a loop, a temporary folder, a real
 * redis-server in it that is started, stopped, frozen and filled, or a child that
 * answers whatever a test says; and checks that turn the loop until answered.
 */
#ifndef DL_TESTS_REDIS_WORLD_H
#define DL_TESTS_REDIS_WORLD_H

#include "unit.h"

#include "limit/redis_internal.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

typedef struct world {
  uv_loop_t uv;
  dl_loop loop;
  char folder[64], socket[96], url[128];
  int port;
  pid_t server; /* 0: none */
  dl_crypto *crypto;
  dl_limit_redis *redis;
  dl_limit limits[DL_LIMIT_WINDOWS_MAX];
  size_t count;
} world;

typedef struct answer {
  int came;
  bool failed;
  dl_limit_result result;
  uint64_t took_ms;
  uint64_t begun_ms;
} answer;

static inline uint64_t world_now_ms(void) { return uv_hrtime() / 1000000u; }

static inline bool have_redis_server(void) {
  static int have = -1;
  if (have < 0) have = system("command -v redis-server >/dev/null 2>&1") == 0;
  return have;
}

/* Prints that the test did not run, and why. */
#define NEEDS_REDIS_SERVER()                                                         \
  do {                                                                               \
    if (!have_redis_server()) {                                                      \
      print_message("skipped: redis-server is not installed (package redis-server)\n"); \
      skip();                                                                        \
    }                                                                                \
  } while (0)

/* Below those that the kernel gives to connections, or one of them could take it before the server does. */
static inline int free_port(void) {
  static int last;
  if (!last) last = 20000 + getpid() % 12000;
  for (int i = 0; i < 12000; i++) {
    last = last < 31999 ? last + 1 : 20000;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)last), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool is_free = bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    if (is_free) return last;
  }
  fail_msg("no port from 20000 to 31999 is free");
  return 0;
}

static inline void world_rule(world *w, const char *rule, dl_limit_options options) {
  char error[DL_LIMIT_ERROR_BYTES];
  if (!options.scope.len) options.scope = DL_STR("GET / client");
  w->count = dl_limit_parse(dl_str_of(rule), &options, w->limits, error);
  if (!w->count) fail_msg("%s", error);
}

static inline void world_make(world *w) {
  memset(w, 0, sizeof(*w));
  signal(SIGPIPE, SIG_IGN);
  strcpy(w->folder, "/tmp/demilune-redis-XXXXXX");
  assert_non_null(mkdtemp(w->folder));
  snprintf(w->socket, sizeof(w->socket), "%s/redis.sock", w->folder);
  snprintf(w->url, sizeof(w->url), "redis+unix://%s", w->socket);
  w->port = free_port();
  uv_loop_init(&w->uv);
  w->loop.uv = &w->uv;
  dl_clock_update(&w->loop.clock);
  char log[128];
  snprintf(log, sizeof(log), "%s/test.log", w->folder);
  dl_log_init(&w->loop.log, open(log, O_CREAT | O_RDWR | O_APPEND, 0600), DL_LOG_JSON, DL_LOG_INFO, &w->loop.clock);
  w->crypto = dl_crypto_new();
  world_rule(w, "5/minute", (dl_limit_options){0});
}

/* --- the server -------------------------------------------------------------------- */

static inline redisContext *raw_connection(const world *w) {
  redisContext *raw = redisConnectUnix(w->socket);
  if (raw && !raw->err) return raw;
  if (raw) redisFree(raw);
  return NULL;
}

static inline void wait_for_server(const world *w) {
  for (int i = 0; i < 1000; i++) {
    redisContext *raw = raw_connection(w);
    redisReply *reply = raw ? redisCommand(raw, "PING") : NULL;
    bool up = reply && (reply->type == REDIS_REPLY_STATUS || (reply->str && strncmp(reply->str, "NOAUTH", 6) == 0));
    if (reply) freeReplyObject(reply);
    if (raw) redisFree(raw);
    if (up) return;
    usleep(10000);
  }
  fail_msg("redis-server did not start");
}

static inline void server_start(world *w, const char *option, const char *value) {
  char port[16], log[128];
  snprintf(port, sizeof(port), "%d", w->port);
  snprintf(log, sizeof(log), "%s/redis.log", w->folder);
  w->server = fork_bound();
  if (w->server == 0) {
    execlp("redis-server", "redis-server", "--bind", "127.0.0.1", "--port", port, "--unixsocket", w->socket, "--dir", w->folder, "--save", "",
           "--appendonly", "no", "--logfile", log, option, value, (char *)NULL);
    _exit(1);
  }
  wait_for_server(w);
}

static inline void server_stop(world *w) {
  if (!w->server) return;
  kill(w->server, SIGKILL);
  waitpid(w->server, NULL, 0);
  w->server = 0;
}

/* What it answers, where that is a number. */
static inline long long server_command(const world *w, const char *command) {
  redisContext *raw = raw_connection(w);
  assert_non_null(raw);
  redisReply *reply = redisCommand(raw, command);
  assert_non_null(reply);
  if (reply->type == REDIS_REPLY_ERROR) fail_msg("%s: %s", command, reply->str);
  long long number = reply->integer;
  freeReplyObject(reply);
  redisFree(raw);
  return number;
}

/* --- the store --------------------------------------------------------------------- */

static inline void store_open(world *w, dl_limit_redis_options options) {
  const char *error;
  w->redis = dl_limit_redis_new(&w->loop, w->crypto, dl_str_of(w->url), &options, &error);
  if (!w->redis) fail_msg("%s", error);
  dl_limit_redis_start(w->redis, NULL, NULL);
}

static inline void on_wake(uv_timer_t *timer) { (void)timer; }

/* Turns the loop until the condition holds, at most ms; true when it does. */
static inline bool turn(world *w, uint64_t ms, bool (*holds)(void *data), void *data) {
  uv_timer_t wake;
  uint64_t until_ms = world_now_ms() + ms;
  uv_timer_init(&w->uv, &wake);
  uv_timer_start(&wake, on_wake, 1, 1);
  while (!(holds && holds(data)) && world_now_ms() < until_ms) {
    uv_run(&w->uv, UV_RUN_ONCE);
    dl_clock_update(&w->loop.clock);
  }
  uv_close((uv_handle_t *)&wake, NULL);
  uv_run(&w->uv, UV_RUN_NOWAIT);
  return holds && holds(data);
}

static inline bool is_ready(void *redis) { return dl_limit_redis_ready(redis); }
static inline bool has_come(void *a) { return ((answer *)a)->came > 0; }

static inline void store_wait(world *w) {
  if (!turn(w, 10000, is_ready, w->redis)) fail_msg("the store did not become ready");
}

static inline void on_answer(void *owner, const dl_limit_result *result) {
  answer *a = owner;
  a->came++;
  a->failed = !result;
  a->took_ms = world_now_ms() - a->begun_ms;
  if (result) a->result = *result;
}

/* False when the store could not be asked. */
static inline bool send_to(world *w, dl_limit_redis *redis, const char *key, answer *a) {
  *a = (answer){.begun_ms = world_now_ms()};
  return dl_limit_redis_check(redis, w->limits, w->count, dl_str_of(key), on_answer, a) != NULL;
}

static inline bool send_check(world *w, const char *key, answer *a) { return send_to(w, w->redis, key, a); }

static inline answer ask(world *w, const char *key) {
  answer a;
  assert_true(send_check(w, key, &a));
  if (!turn(w, 10000, has_come, &a)) fail_msg("no answer at all");
  return a;
}

/* A result, or the test fails. */
static inline dl_limit_result hit(world *w, const char *key) {
  answer a = ask(w, key);
  assert_false(a.failed);
  return a.result;
}

/* The same of a store with a deadline so short that a busy machine may miss it. */
static inline dl_limit_result hit_in_the_end(world *w, const char *key) {
  for (int i = 0; i < 200; i++) {
    answer a;
    if (send_check(w, key, &a) && turn(w, 10000, has_come, &a) && !a.failed) return a.result;
    turn(w, 10, NULL, NULL);
  }
  fail_msg("the store does not answer any more");
  return (dl_limit_result){0};
}

static inline uint32_t admitted(world *w, const char *key, uint32_t tries) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < tries; i++) count += hit(w, key).allowed;
  return count;
}

static inline void on_store_closed(void *owner) { *(bool *)owner = true; }
static inline bool is_true(void *data) { return *(bool *)data; }

static inline void store_close(world *w) {
  bool closed = false;
  dl_limit_redis_close(w->redis, on_store_closed, &closed);
  w->redis = NULL;
  assert_false(closed);
  assert_true(turn(w, 10000, is_true, &closed));
}

/* How many lines of the log hold the text. */
static inline int logged(world *w, const char *text) {
  char path[128], line[1024];
  int count = 0;
  dl_log_flush(&w->loop.log);
  snprintf(path, sizeof(path), "%.*s/test.log", (int)sizeof(w->folder), w->folder);
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  while (fgets(line, sizeof(line), file)) count += strstr(line, text) != NULL;
  fclose(file);
  return count;
}

typedef struct telling {
  world *w;
  const char *text;
  int times;
} telling;

static inline bool has_told(void *data) {
  const telling *t = data;
  return logged(t->w, t->text) >= t->times;
}

static inline void wait_for_lines(world *w, const char *text, int times) {
  if (!turn(w, 30000, has_told, &(telling){w, text, times})) fail_msg("the log does not say \"%s\"", text);
}

static inline int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *ftw) {
  (void)status, (void)kind, (void)ftw;
  return remove(path);
}

static inline void world_end(world *w) {
  if (w->redis) store_close(w);
  server_stop(w);
  uv_run(&w->uv, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&w->uv), 0);
  close(w->loop.log.fd);
  dl_log_free(&w->loop.log);
  dl_crypto_free(w->crypto);
  nftw(w->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
