/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "server/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static const char folder[] = "/usr";

/* Answers like a master whose reload went well, until it is killed. */
static _Noreturn void serve(int ready) {
  dl_control control;
  dl_control_open(&control, folder);
  if (write(ready, "r", 1) != 1) _exit(1);
  while (true) {
    poll(NULL, 0, 1);
    dl_control_accept(&control);
    for (size_t i = 0; i < DL_CONTROL_CLIENTS_MAX; i++)
      if (control.clients[i].fd >= 0 && dl_control_read(&control, &control.clients[i], false)) dl_control_answer(&control, "+done", false);
  }
}

/* Takes a name that says it is another process, and never answers. */
static _Noreturn void pretend(int ready) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "demilune.%u.%ld", (unsigned)geteuid(), (long)getppid());
  int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
  if (bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)) != 0 || listen(fd, 8) != 0) _exit(1);
  if (write(ready, "r", 1) != 1) _exit(1);
  while (true) pause();
}

/* Takes its own name, and has so many callers waiting that the next one would wait too. */
static _Noreturn void keep_waiting(int ready) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "demilune.%u.%ld", (unsigned)geteuid(), (long)getpid());
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
  int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
  if (bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 0) != 0) _exit(1);
  while (connect(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0), (struct sockaddr *)&address, size) == 0) {}
  if (errno != EAGAIN || write(ready, "r", 1) != 1) _exit(1);
  while (true) pause();
}

static pid_t start(void (*run)(int)) {
  int ready[2];
  char byte;
  assert_int_equal(pipe(ready), 0);
  pid_t child = fork_bound();
  if (child == 0) run(ready[1]);
  close(ready[1]);
  assert_int_equal(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  return child;
}

static void end(pid_t child) {
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
}

static void the_server_of_a_folder_is_found_and_asked(void **state) {
  (void)state;
  pid_t server = start(serve);
  assert_int_equal(dl_control_ask_reload(folder, 0), 0);
  assert_int_equal(dl_control_ask_reload(folder, server), 0);
  assert_int_equal(dl_control_ask_reload("/bin/..", server), 0);
  assert_int_equal(dl_control_ask_reload("/etc", 0), 1);
  end(server);
  assert_int_equal(dl_control_ask_reload(folder, server), 1);
}

static void two_of_one_folder_are_asked_by_process(void **state) {
  (void)state;
  pid_t one = start(serve), other = start(serve);
  assert_int_equal(dl_control_ask_reload(folder, 0), 1);
  assert_int_equal(dl_control_ask_reload(folder, one), 0);
  assert_int_equal(dl_control_ask_reload(folder, other), 0);
  end(one);
  end(other);
}

/* Anybody can take a name: it neither hides the server nor keeps us waiting. */
static void who_is_not_what_its_name_says_is_passed_over(void **state) {
  (void)state;
  pid_t impostor = start(pretend);
  assert_int_equal(dl_control_ask_reload(folder, 0), 1);
  assert_int_equal(dl_control_ask_reload(folder, getpid()), 1);
  pid_t server = start(serve);
  assert_int_equal(dl_control_ask_reload(folder, 0), 0);
  end(server);
  end(impostor);
}

enum { ADA = 65531, BOB = 65532 };

/* A name of his own, and the answer that everybody would like to hear. */
static _Noreturn void answer_as_bob(int ready) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char question[64];
  pid_t parent = getppid();
  if (setuid(BOB) != 0) _exit(1);
  die_with_parent(parent); /* another user's process has to say so again */
  int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "demilune.%u.%ld", (unsigned)BOB, (long)getpid());
  int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0), client;
  if (bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)) != 0 || listen(fd, 8) != 0) _exit(1);
  if (write(ready, "r", 1) != 1) _exit(1);
  while ((client = accept(fd, NULL, NULL)) >= 0) {
    if (recv(client, question, sizeof question, 0) > 0) (void)!send(client, folder, strlen(folder), MSG_NOSIGNAL);
    close(client);
  }
  _exit(1);
}

/* Bob says that he serves her folder: her order goes to her own server, and no question to his. */
static void who_serves_as_another_user_is_not_asked(void **state) {
  (void)state;
  int status;
  if (geteuid() != 0) skip();
  pid_t bob = start(answer_as_bob), ada = fork_bound();
  if (ada == 0) {
    if (setuid(ADA) != 0) _exit(2);
    pid_t server = start(serve);
    int outcome = dl_control_ask_reload(folder, 0);
    end(server);
    _exit(outcome);
  }
  waitpid(ada, &status, 0);
  end(bob);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

static void who_lets_everybody_wait_is_passed_over(void **state) {
  (void)state;
  pid_t full = start(keep_waiting), stopped = start(serve), server = start(serve);
  kill(stopped, SIGSTOP);
  assert_int_equal(dl_control_ask_reload(folder, 0), 0);
  end(server);
  end(stopped);
  end(full);
}

static void who_says_nothing_or_nonsense_is_let_go(void **state) {
  (void)state;
  dl_control control;
  int pair[2];
  dl_control_open(&control, folder);
  assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
  control.clients[0].fd = pair[0];
  assert_false(dl_control_read(&control, &control.clients[0], false));
  assert_int_equal(control.clients[0].fd, pair[0]);
  assert_int_equal(send(pair[1], "explode", 7, 0), 7);
  assert_false(dl_control_read(&control, &control.clients[0], false));
  assert_int_equal(control.clients[0].fd, -1);
  close(pair[1]);
  dl_control_close(&control);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_server_of_a_folder_is_found_and_asked),
      cmocka_unit_test(two_of_one_folder_are_asked_by_process),
      cmocka_unit_test(who_is_not_what_its_name_says_is_passed_over),
      cmocka_unit_test(who_serves_as_another_user_is_not_asked),
      cmocka_unit_test(who_lets_everybody_wait_is_passed_over),
      cmocka_unit_test(who_says_nothing_or_nonsense_is_let_go),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
