/* SPDX-License-Identifier: MIT */
/*
 * A server that an embedder runs on a loop of its own: its admin listener shares that
 * loop, shows numbers of this very moment, and leaves nothing behind.
 */
#include "unit.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "server/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { TURNS_MAX = 1000000 };

typedef struct world {
  char folder[32], app[64], admin[64];
  demilune_server *server;
} world;

static world begin(void) {
  world w = {.folder = "/tmp/demilune-admin-XXXXXX"};
  char *error = NULL, address[80];
  assert_non_null(mkdtemp(w.folder));
  snprintf(w.app, sizeof w.app, "%s/app.lua", w.folder);
  snprintf(w.admin, sizeof w.admin, "%s/admin", w.folder);
  snprintf(address, sizeof address, "unix:%s", w.admin);
  FILE *file = fopen(w.app, "w");
  assert_non_null(file);
  fputs("local demilune = require 'demilune'\n"
        "local app = demilune.app { title = 'embedded', version = '1', guard = demilune.guard.public }\n"
        "app:get('/', function() return 'root' end)\n"
        "return app\n",
        file);
  fclose(file);
  demilune_options options = {.folder = w.folder, .access_log = DEMILUNE_ACCESS_LOG_OFF, .admin = address};
  w.server = dl_server_new(&options, "serve", NULL, &error);
  if (!w.server) fail_msg("%s", error);
  w.server->loop.log.level = DL_LOG_ERROR;
  memset(address, 'x', sizeof address); /* borrowed until it was made, no longer */
  return w;
}

static void end(world *w) {
  dl_server_begin_stop(w->server);
  assert_int_equal(dl_server_run_loop(w->server), 0);
  demilune_server_free(w->server);
  assert_int_not_equal(access(w->admin, F_OK), 0);
  unlink(w->app);
  assert_int_equal(rmdir(w->folder), 0);
}

static int connect_app(const world *w) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)demilune_server_port(w->server)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

static int connect_admin(const world *w) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", w->admin);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

/* Sends and turns the loop until the other side has closed; what came, NUL ended. */
static char *exchange(const world *w, int fd, const char *request) {
  dl_buffer all = {0};
  char bytes[4096];
  ssize_t got = -1;
  assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
  for (int i = 0; i < TURNS_MAX && got != 0; i++) {
    uv_run(&w->server->uv, UV_RUN_NOWAIT);
    got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got > 0) dl_buffer_append(&all, bytes, (size_t)got);
    else if (got < 0 && errno != EAGAIN) break;
  }
  close(fd);
  dl_buffer_append_char(&all, 0);
  return all.data;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

static void expect(char *answer, const char *text) {
  if (!strstr(answer, text)) fail_msg("no \"%s\" in:\n%s", text, answer);
  dl_free(answer);
}

static void an_embedded_server_shows_numbers_of_the_moment(void **state) {
  (void)state;
  world w = begin();
  expect(exchange(&w, connect_admin(&w), GET("/readyz")), "HTTP/1.1 200 OK\r\n");
  int waiting = connect_app(&w);
  expect(exchange(&w, connect_app(&w), GET("/")), "root");
  expect(exchange(&w, connect_admin(&w), GET("/metrics")), "\ndemilune_http_requests_total{method=\"GET\",route=\"/\",status=\"200\"} 1\n");
  expect(exchange(&w, connect_admin(&w), GET("/metrics")), "\ndemilune_connections{worker=\"0\"} 1\n");
  close(waiting);
  end(&w);
}

static void it_says_that_it_drains_while_a_visitor_is_there(void **state) {
  (void)state;
  world w = begin();
  int waiting = connect_app(&w), silent = connect_admin(&w);
  expect(exchange(&w, connect_admin(&w), GET("/livez")), "alive");
  const char half[] = "GET / HTTP/1.1\r\n"; /* keeps the worker from ending */
  assert_int_equal(send(waiting, half, sizeof half - 1, 0), sizeof half - 1);
  expect(exchange(&w, connect_admin(&w), GET("/livez")), "alive");
  dl_server_begin_stop(w.server);
  expect(exchange(&w, connect_admin(&w), GET("/readyz")), "{\"ready\":false,\"reason\":\"draining\"}");
  assert_int_equal(send(waiting, "Host: a\r\n\r\n", 11, 0), 11);
  assert_int_equal(dl_server_run_loop(w.server), 0);
  demilune_server_free(w.server);
  close(waiting);
  close(silent);
  unlink(w.app);
  rmdir(w.folder);
}

static void a_path_that_is_taken_is_named(void **state) {
  (void)state;
  world w = begin();
  char *error = NULL, address[80];
  snprintf(address, sizeof address, "unix:%s", w.admin);
  demilune_options options = {.folder = w.folder, .access_log = DEMILUNE_ACCESS_LOG_OFF, .admin = address};
  assert_null(dl_server_new(&options, "serve", NULL, &error));
  assert_non_null(strstr(error, w.admin));
  dl_free(error);
  options.admin = "nowhere";
  assert_null(dl_server_new(&options, "serve", NULL, &error));
  assert_non_null(strstr(error, "the admin address \"nowhere\" must be a port"));
  dl_free(error);
  expect(exchange(&w, connect_admin(&w), GET("/livez")), "alive"); /* the first one is as it was */
  end(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(an_embedded_server_shows_numbers_of_the_moment),
                                     cmocka_unit_test(it_says_that_it_drains_while_a_visitor_is_there), cmocka_unit_test(a_path_that_is_taken_is_named)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
