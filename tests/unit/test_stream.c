/* SPDX-License-Identifier: MIT */
/* What a connection is, whatever the listener that it came by was told by another process that holds it. */
#include "unit.h"

#include "net/listener.h"
#include "net/stream.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static void ignore(dl_stream *stream) { (void)stream; }

static const dl_stream_events deaf = {.data = ignore, .ended = ignore, .drained = ignore, .failed = ignore, .closed = ignore};

/* A client's end, and the server's in *accepted, of a connection by a socket that resets what it closes. */
static int connect_by_resetting_listener(int *accepted) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listening = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(setsockopt(listening, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger)), 0);
  assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(listening, 1), 0);
  assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &length), 0);
  assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
  *accepted = accept(listening, NULL, NULL);
  close(listening);
  return client;
}

static void ends_in_order_although_its_listener_would_reset_it(void **state) {
  (void)state;
  uv_loop_t uv;
  dl_loop loop = {.uv = &uv};
  dl_listener listener = {.loop = &loop};
  dl_stream_pool pool = {0};
  dl_stream stream;
  int fd, client = connect_by_resetting_listener(&fd);
  char byte;
  uv_loop_init(&uv);
  assert_int_equal(dl_stream_accept(&stream, &listener, fd, &pool, NULL, &deaf), 0);
  dl_stream_send(&stream, DL_STR("x"), (dl_str){0});
  dl_stream_close(&stream);
  uv_run(&uv, UV_RUN_DEFAULT);
  assert_int_equal(recv(client, &byte, 1, 0), 1);
  assert_int_equal(recv(client, &byte, 1, 0), 0); /* and no ECONNRESET */
  close(client);
  assert_int_equal(uv_loop_close(&uv), 0);
  dl_stream_pool_free(&pool);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(ends_in_order_although_its_listener_would_reset_it)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
