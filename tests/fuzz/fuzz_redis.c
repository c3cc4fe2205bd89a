/* SPDX-License-Identifier: MIT */
/*
 * A Redis that lies: a real store connects to a socket of ours, and the input is what
 * is answered, in pieces; each piece comes in a turn of its own. The first byte chooses
 * whether the script was loaded well before. Every check is called back exactly once,
 * with a result that keeps to its limits or with none, and the store ends in order.
 */
#include "socket_path.h"

#include "limit/redis_internal.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { TURNS_MAX = 10000, CHECKS = 3, FOREVER_MS = 3600000 };

#define DIGEST "$40\r\n0123456789012345678901234567890123456789\r\n"

static uv_loop_t uv;
static dl_loop loop = {.uv = &uv};
static dl_crypto *crypto;
static dl_limit limits[DL_LIMIT_WINDOWS_MAX];
static size_t limit_count;
static char url[128];
static int listener;

typedef struct check {
  int came;
} check;

int LLVMFuzzerInitialize(int *count, char ***arguments) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char error[DL_LIMIT_ERROR_BYTES];
  (void)count;
  (void)arguments;
  require(uv_loop_init(&uv) == 0, "there is a loop");
  snprintf(address.sun_path, sizeof address.sun_path, "%s", make_socket_path());
  snprintf(url, sizeof url, "redis+unix://%s", address.sun_path);
  listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  require(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 8) == 0, "there is a socket");
  crypto = dl_crypto_new();
  dl_clock_update(&loop.clock);
  dl_log_init(&loop.log, STDERR_FILENO, DL_LOG_JSON, DL_LOG_ERROR + 1, &loop.clock); /* trouble would fill the terminal */
  limit_count = dl_limit_parse(DL_STR("5/minute;9/hour"), &(dl_limit_options){.scope = DL_STR("fuzz")}, limits, error);
  require(limit_count == 2, "two windows are a rule");
  return 0;
}

static void on_done(void *owner, const dl_limit_result *result) {
  check *c = owner;
  c->came++;
  require(c->came == 1, "a check is answered once");
  if (!result) return;
  require(result->limit >= limits && result->limit < limits + limit_count, "a result names one of the limits");
  require(result->remaining <= result->limit->count, "no more is left than there was");
  require(result->allowed == (result->retry_after_s == 0) && result->reset_s <= 2 * result->limit->seconds && result->retry_after_s <= 2 * result->limit->seconds,
          "times fit the window");
}

static void on_closed(void *owner) { *(bool *)owner = true; }

static void turn(void) { uv_run(&uv, UV_RUN_NOWAIT); }

/* The store's end of the connection it makes. */
static int accept_store(void) {
  for (int i = 0; i < TURNS_MAX; i++) {
    turn();
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) return fd;
  }
  require(false, "a store connects");
  return -1;
}

static void drain(int fd) {
  char bytes[4096];
  while (recv(fd, bytes, sizeof bytes, 0) > 0) {}
}

/* Until the store has read what was sent, or closed. */
static void answer(int fd, dl_str bytes) {
  if (send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL) < 0) return;
  for (int i = 0; i < 3; i++) turn();
  drain(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2 || size > 8192) return 0;
  const char *error = NULL;
  bool closed = false;
  check checks[CHECKS] = {{0}};
  dl_limit_query *queries[CHECKS] = {0};
  dl_str rest = dl_str_from((const char *)data + 2, size - 2);
  size_t piece = data[1] ? data[1] : rest.len + 1;
  /* No deadline may decide what the input should. */
  dl_limit_redis_options options = {.command_ms = FOREVER_MS, .connect_ms = FOREVER_MS, .backoff_ms = FOREVER_MS / 100};
  dl_limit_redis *redis = dl_limit_redis_new(&loop, crypto, dl_str_of(url), &options, &error);
  require(redis != NULL, "the address is right");
  dl_limit_redis_start(redis, NULL, NULL);
  int fd = accept_store();
  turn();
  drain(fd);
  if (data[0] & 1) {
    answer(fd, DL_STR(DIGEST));
    for (int i = 0; i < TURNS_MAX && !dl_limit_redis_ready(redis); i++) turn();
    require(dl_limit_redis_ready(redis), "a store whose script was loaded is ready");
    for (int i = 0; i < CHECKS; i++) queries[i] = dl_limit_redis_check(redis, limits, limit_count, DL_STR("key"), on_done, &checks[i]);
    if (data[0] & 2) dl_limit_query_cancel(queries[1]);
    turn();
    drain(fd);
  }
  while (rest.len) {
    dl_str part = dl_str_from(rest.ptr, rest.len < piece ? rest.len : piece);
    answer(fd, part);
    rest = dl_str_skip(rest, part.len);
  }
  if (data[0] & 4) shutdown(fd, SHUT_WR);
  for (int i = 0; i < 3; i++) turn();
  dl_limit_redis_close(redis, on_closed, &closed);
  for (int i = 0; i < CHECKS; i++) require(checks[i].came == (queries[i] && !(i == 1 && data[0] & 2)), "every check is answered, unless nobody waits for it");
  for (int i = 0; i < TURNS_MAX && !closed; i++) turn();
  require(closed, "a store ends");
  close(fd);
  while (uv_run(&uv, UV_RUN_NOWAIT)) {}
  return 0;
}
