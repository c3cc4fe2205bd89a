/* SPDX-License-Identifier: MIT */
/* Servers in a program that has others beside them, and a language of its own. */
#include "unit.h"

#include "demilune.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const char app[] =
    "local demilune = require 'demilune'\n"
    "local model = demilune.model\n"
    "local app = demilune.app { guard = demilune.guard.public, cors = { origins = { 'https://page.example' } } }\n"
    "app:on_stop(function() demilune.log.info 'the stop function ran' end)\n"
    "app:post('/half', { body = model 'Price' { price = model.number { multiple_of = 0.5 } } }, function(req) return { half = req.body.price / 2 } end)\n"
    "return app\n";

typedef struct world {
  char folder[64];
} world;

static int open_world(void **state) {
  world *w = calloc(1, sizeof *w);
  char path[128];
  strcpy(w->folder, "/tmp/demilune-embedded-XXXXXX");
  assert_non_null(mkdtemp(w->folder));
  snprintf(path, sizeof path, "%s/app.lua", w->folder);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_true(fputs(app, file) >= 0);
  assert_int_equal(fclose(file), 0);
  *state = w;
  return 0;
}

static int close_world(void **state) {
  world *w = *state;
  char command[128];
  setlocale(LC_ALL, "C");
  snprintf(command, sizeof command, "rm -r %s", w->folder);
  int status = system(command);
  free(w);
  return status;
}

static demilune_server *make_server(const world *w) {
  demilune_options options = {.folder = w->folder};
  char *error = NULL;
  demilune_server *server = demilune_server_new(&options, &error);
  if (!server) fail_msg("%s", error);
  return server;
}

static void *run(void *server) { return (void *)(intptr_t)demilune_server_run(server); }

static void stop(demilune_server *server, pthread_t thread) {
  void *status;
  demilune_server_stop(server);
  assert_int_equal(pthread_join(thread, &status), 0);
  assert_null(status);
  demilune_server_free(server);
}

static int connect_to(const demilune_server *server) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)demilune_server_port(server)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 10}, sizeof(struct timeval));
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

/* All that it answers to a page that asks for half of a price. */
static void ask(const demilune_server *server, const char *price, char answer[4096]) {
  char request[512], body[64];
  size_t got = 0;
  int fd = connect_to(server);
  snprintf(body, sizeof body, "{\"price\":%s}", price);
  int len = snprintf(request, sizeof request,
                     "POST /half HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: https://page.example\r\nConnection: close\r\n"
                     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     strlen(body), body);
  assert_int_equal(write(fd, request, (size_t)len), len);
  for (ssize_t more; got < 4095 && (more = read(fd, answer + got, 4095 - got)) > 0; got += (size_t)more) {}
  answer[got] = 0;
  close(fd);
}

static void holds(const char *answer, const char *words) {
  if (!strstr(answer, words)) fail_msg("no \"%s\" in: %s", words, answer);
}

static void a_second_server_leaves_the_first_as_it_was(void **state) {
  char answer[4096];
  pthread_t thread;
  demilune_server *first = make_server(*state);
  assert_int_equal(pthread_create(&thread, NULL, run, first), 0);
  demilune_server *second = make_server(*state);
  ask(first, "3", answer);
  holds(answer, "Access-Control-Allow-Origin: https://page.example");
  demilune_server_free(second);
  stop(first, thread);
}

/* The C library keeps what it made of LOCPATH. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:argz_add_sep\n"; }

/* Debian has the sources of all languages, but builds those that are asked for. */
static void speak_german(const world *w) {
  char command[192];
  snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >%s/localedef 2>&1", w->folder, w->folder);
  assert_int_equal(system(command), 0);
  setenv("LOCPATH", w->folder, 1);
  assert_non_null(setlocale(LC_ALL, "de_DE.UTF-8"));
}

static void numbers_have_a_point_whatever_the_program_speaks(void **state) {
  char answer[4096], own[16];
  pthread_t thread;
  speak_german(*state);
  demilune_server *server = make_server(*state);
  assert_int_equal(pthread_create(&thread, NULL, run, server), 0);
  ask(server, "2.5", answer);
  holds(answer, "{\"half\":1.25}");
  ask(server, "2.25", answer);
  holds(answer, "should be a multiple of 0.5");
  snprintf(own, sizeof own, "%.1f", 0.5);
  assert_string_equal(own, "0,5"); /* the program goes on as it was */
  stop(server, thread);
}

/* --- stopping ------------------------------------------------------------------------- */

static void read_file(const world *w, const char *name, char out[4096]) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", w->folder, name);
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  out[fread(out, 1, 4095, file)] = 0;
  fclose(file);
}

/* A program stops it where a terminal's Ctrl-C has told it as well. */
static void a_server_at_rest_that_is_stopped_twice_ends_in_order(void **state) {
  const world *w = *state;
  char log_file[128], log[4096], *error = NULL;
  snprintf(log_file, sizeof log_file, "%s/log", w->folder);
  demilune_options options = {.folder = w->folder, .log_file = log_file};
  demilune_server *server = demilune_server_new(&options, &error);
  if (!server) fail_msg("%s", error);
  demilune_server_stop(server);
  kill(getpid(), SIGTERM);
  assert_int_equal(demilune_server_run(server), 0);
  demilune_server_free(server);
  read_file(w, "log", log);
  holds(log, "the stop function ran");
  assert_null(strstr(log, "given up"));
}

/* A client that is between requests has nothing to lose. */
static void nor_is_it_failed_by_clients_that_ask_nothing(void **state) {
  static const char request[] = "GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
  char answer[4096];
  void *status;
  pthread_t thread;
  demilune_server *server = make_server(*state);
  assert_int_equal(pthread_create(&thread, NULL, run, server), 0);
  int asked = connect_to(server), silent = connect_to(server);
  for (int i = 0; i < 2; i++) { /* the second answer says that the other connection is accepted, too */
    assert_int_equal(write(asked, request, sizeof request - 1), sizeof request - 1);
    ssize_t got = read(asked, answer, sizeof answer - 1);
    assert_true(got > 0);
    answer[got] = 0;
    holds(answer, "{\"detail\":\"Not Found\"}");
  }
  demilune_server_stop(server);
  kill(getpid(), SIGTERM);
  assert_int_equal(pthread_join(thread, &status), 0);
  assert_null(status);
  demilune_server_free(server);
  assert_int_equal(read(asked, answer, sizeof answer), 0);
  close(asked);
  close(silent);
}

static void what_has_run_is_over(void **state) {
  const world *w = *state;
  char log_file[128], socket_path[128], log[4096], *error = NULL;
  snprintf(log_file, sizeof log_file, "%s/log-of-once", w->folder);
  snprintf(socket_path, sizeof socket_path, "%s/once", w->folder);
  demilune_options options = {.folder = w->folder, .log_file = log_file, .unix_path = socket_path};
  demilune_server *never = demilune_server_new(&options, &error);
  if (!never) fail_msg("%s", error);
  demilune_server_stop(never);
  demilune_server_free(never);
  read_file(w, "log-of-once", log);
  assert_null(strstr(log, "the stop function ran"));
  demilune_server *once = demilune_server_new(&options, &error);
  if (!once) fail_msg("%s", error);
  assert_int_equal(demilune_server_port(once), 0);
  demilune_server_stop(once);
  assert_int_equal(demilune_server_run(once), 0);
  assert_int_equal(demilune_server_run(once), 0);
  demilune_server_stop(once);
  demilune_server_free(once);
  read_file(w, "log-of-once", log);
  const char *ran = strstr(log, "the stop function ran");
  assert_non_null(ran);
  assert_null(strstr(ran + 1, "the stop function ran"));
  assert_null(strstr(log, "given up"));
}

/* --- in a process of its own ---------------------------------------------------------- */

/* What what gives in a child; -1: it was ended. */
static int in_a_child(int (*what)(const world *w, rlim_t number), const world *w, rlim_t number) {
  int status;
  fflush(NULL);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) _exit(what(w, number));
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

enum { STARTED, TOLD, UNTOLD };

static int start_with_few_descriptors(const world *w, rlim_t count) {
  demilune_options options = {.folder = w->folder};
  char *error = NULL;
  if (setrlimit(RLIMIT_NOFILE, &(struct rlimit){count, count}) != 0) return -1;
  demilune_server *server = demilune_server_new(&options, &error);
  bool told = error && *error && (count > 0 || strstr(error, "too many open files"));
  free(error);
  if (!server) return told ? TOLD : UNTOLD;
  demilune_server_free(server);
  return STARTED;
}

static void says_that_there_are_too_few_descriptors(void **state) {
  rlim_t count = 0;
  int outcome;
  while ((outcome = in_a_child(start_with_few_descriptors, *state, count)) == TOLD && count < 256) count++;
  assert_int_equal(outcome, STARTED);
  assert_true(count > 0);
}

/* What the log is written to would be a socket, a database or a pipe of the event loop. */
static int start_without_standard_files(const world *w, rlim_t unused) {
  (void)unused;
  demilune_options options = {.folder = w->folder};
  struct stat null, file;
  for (int fd = 0; fd <= 2; fd++) close(fd);
  demilune_server *server = demilune_server_new(&options, NULL);
  if (!server || stat("/dev/null", &null) != 0) return 1;
  for (int fd = 0; fd <= 2; fd++)
    if (fstat(fd, &file) != 0 || file.st_rdev != null.st_rdev) return 2;
  demilune_server_free(server);
  return 0;
}

static void a_program_without_standard_files_has_its_log_nowhere(void **state) {
  assert_int_equal(in_a_child(start_without_standard_files, *state, 0), 0);
}

/* --- forks ------------------------------------------------------------------------------ */

static void a_signal_for_a_child_of_the_program_is_not_the_servers(void **state) {
  char answer[4096];
  pthread_t thread;
  int status, numbers[] = {SIGTERM, SIGINT, SIGUSR1};
  demilune_server *server = make_server(*state);
  assert_int_equal(pthread_create(&thread, NULL, run, server), 0);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
      alarm(10); /* who lives on after the signal is ended by another one */
      for (;;) pause();
    }
    kill(pid, numbers[i]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), numbers[i]);
  }
  ask(server, "3", answer);
  holds(answer, "{\"half\":1.5}");
  stop(server, thread);
}

/* A program may fork one process for each of its servers. */
static int serve_until_told(const world *w, rlim_t unused) {
  (void)unused;
  demilune_options options = {.folder = w->folder};
  demilune_server *server = demilune_server_new(&options, NULL);
  if (!server) return 3;
  alarm(10);
  kill(getpid(), SIGTERM);
  int status = demilune_server_run(server);
  demilune_server_free(server);
  return status;
}

static void a_child_of_the_program_may_have_a_server_of_its_own(void **state) {
  char answer[4096];
  pthread_t thread;
  demilune_server *server = make_server(*state);
  assert_int_equal(pthread_create(&thread, NULL, run, server), 0);
  assert_int_equal(in_a_child(serve_until_told, *state, 0), 0);
  ask(server, "3", answer);
  holds(answer, "{\"half\":1.5}");
  stop(server, thread);
}

static FILE *of_the_program;

static void say_that_it_ends(void) { fputs("ended\n", of_the_program); }

static void program_with_a_master(const world *w) {
  char path[128], socket_path[128];
  snprintf(path, sizeof path, "%s/written", w->folder);
  snprintf(socket_path, sizeof socket_path, "%s/socket", w->folder);
  of_the_program = fopen(path, "w");
  demilune_options options = {.folder = w->folder, .unix_path = socket_path, .workers = 2};
  if (!of_the_program || atexit(say_that_it_ends) != 0) _exit(1);
  fputs("begun\n", of_the_program);
  exit(demilune_serve(&options));
}

static void wait_for_socket(const world *w) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char answer[16];
  int status = -1;
  snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", w->folder);
  for (int i = 0; status != 0 && i < 1000; i++) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 && write(fd, "\r\nno request\r\n\r\n", 16) == 16 && read(fd, answer, sizeof answer) > 0) status = 0;
    else usleep(10000);
    close(fd);
  }
  assert_int_equal(status, 0);
}

/* Workers are forked from the program: what it had written and not flushed, and what it does at its end, is not theirs. */
static void what_a_program_does_at_its_end_is_done_once(void **state) {
  const world *w = *state;
  char written[4096];
  int status;
  fflush(NULL);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) program_with_a_master(w);
  wait_for_socket(w);
  kill(pid, SIGTERM);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  read_file(w, "written", written);
  assert_string_equal(written, "begun\nended\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_second_server_leaves_the_first_as_it_was),
      cmocka_unit_test(numbers_have_a_point_whatever_the_program_speaks),
      cmocka_unit_test(a_server_at_rest_that_is_stopped_twice_ends_in_order),
      cmocka_unit_test(nor_is_it_failed_by_clients_that_ask_nothing),
      cmocka_unit_test(what_has_run_is_over),
      cmocka_unit_test(says_that_there_are_too_few_descriptors),
      cmocka_unit_test(a_program_without_standard_files_has_its_log_nowhere),
      cmocka_unit_test(a_signal_for_a_child_of_the_program_is_not_the_servers),
      cmocka_unit_test(a_child_of_the_program_may_have_a_server_of_its_own),
      cmocka_unit_test(what_a_program_does_at_its_end_is_done_once),
  };
  return cmocka_run_group_tests_name("embedded", tests, open_world, close_world);
}
