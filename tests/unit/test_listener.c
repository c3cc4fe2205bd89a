/* SPDX-License-Identifier: MIT */
/* Whose place a unix socket takes: nobody's who is there, however busy he is and whatever he speaks. */
#include "unit.h"

#include "net/listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct world {
  char folder[64];
  struct sockaddr_un address;
} world;

static int open_world(void **state) {
  world *w = calloc(1, sizeof *w);
  strcpy(w->folder, "/tmp/demilune-listener-XXXXXX");
  assert_non_null(mkdtemp(w->folder));
  w->address.sun_family = AF_UNIX;
  snprintf(w->address.sun_path, sizeof w->address.sun_path, "%s/socket", w->folder);
  *state = w;
  return 0;
}

static int close_world(void **state) {
  world *w = *state;
  unlink(w->address.sun_path);
  rmdir(w->folder);
  free(w);
  return 0;
}

static int open_socket(const world *w, int type) {
  int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(bind(fd, (const struct sockaddr *)&w->address, sizeof w->address), 0);
  if (type != SOCK_DGRAM) assert_int_equal(listen(fd, 0), 0);
  return fd;
}

static void is_refused(const world *w) {
  char message[256];
  int fd = -1;
  alarm(30); /* it must not wait for who is there */
  const char *problem = dl_listener_unix_bind(w->address.sun_path, &fd, message);
  alarm(0);
  assert_non_null(problem);
  assert_non_null(strstr(problem, "address already in use"));
  assert_int_equal(access(w->address.sun_path, F_OK), 0);
}

static void is_taken(const world *w) {
  char message[256];
  int fd = -1;
  assert_null(dl_listener_unix_bind(w->address.sun_path, &fd, message));
  close(fd);
  unlink(w->address.sun_path);
}

static void takes_the_place_of_what_is_dead_and_of_nobody_else_of_any_kind(void **state) {
  static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  const world *w = *state;
  is_taken(w);
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    int fd = open_socket(w, types[i]);
    is_refused(w);
    close(fd);
    is_taken(w);
  }
}

static void takes_one_whose_queue_is_full_for_alive(void **state) {
  enum { CLIENTS = 4 };
  const world *w = *state;
  int clients[CLIENTS], fd = open_socket(w, SOCK_STREAM), waiting = 0;
  for (size_t i = 0; i < CLIENTS; i++) {
    clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    waiting += connect(clients[i], (const struct sockaddr *)&w->address, sizeof w->address) != 0 && errno == EAGAIN;
  }
  assert_true(waiting > 0);
  is_refused(w);
  for (size_t i = 0; i < CLIENTS; i++) close(clients[i]);
  close(fd);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(takes_the_place_of_what_is_dead_and_of_nobody_else_of_any_kind, open_world, close_world),
      cmocka_unit_test_setup_teardown(takes_one_whose_queue_is_full_for_alive, open_world, close_world),
  };
  return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
