/* SPDX-License-Identifier: MIT */
/*
 * The log where nobody takes its lines: a full disk, a pipe that nobody reads, a reader
 * that left. Lines are lost and told; nothing waits and nothing ends.
 */
#include "unit.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 20 };

static dl_clock stopped_clock;

static dl_log begin(int fd) {
  dl_log log;
  dl_log_init(&log, fd, DL_LOG_JSON, DL_LOG_INFO, &stopped_clock);
  return log;
}

static void say(dl_log *log, unsigned times) {
  static const char line[] = "{\"line\":\"of some length, so that a few hundred of them fill a pipe that nobody reads\"}\n";
  for (unsigned i = 0; i < times; i++) DL_BUFFER_LITERAL(&log->lines, line);
  dl_log_flush(log);
}

static char *read_some(int fd) {
  char *text = malloc(READ_BYTES + 1);
  ssize_t got = read(fd, text, READ_BYTES);
  assert_true(got >= 0);
  text[got] = 0;
  return text;
}

static void a_full_disk_loses_lines_and_counts_each_once(void **state) {
  (void)state;
  int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
  assert_true(fd >= 0);
  dl_log log = begin(fd);
  for (unsigned i = 0; i < 10; i++) say(&log, 5);
  assert_int_equal(log.lost_lines, 50);
  assert_int_equal(log.lost_ever, 50);
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  dl_log_set_fd(&log, ends[1]);
  say(&log, 1);
  char *text = read_some(ends[0]);
  assert_non_null(strstr(text, "\"lost_lines\":50,\"reason\":\"No space left on device\"}\n{\"line\""));
  assert_int_equal(log.lost_lines, 0);
  assert_int_equal(log.lost_ever, 50);
  free(text);
  dl_log_free(&log);
  close(fd);
  close(ends[0]);
  close(ends[1]);
}

/* In a child, whose limit it is. What lies in the file afterwards are whole lines but
 * for the one that met the limit, and the notice begins on a line of its own. */
static void a_file_that_may_not_grow_ends_nobody(void **state) {
  (void)state;
  char path[] = "/tmp/demilune-log-XXXXXX";
  int fd = mkstemp(path), status;
  assert_true(fd >= 0);
  pid_t pid = fork();
  if (pid == 0) {
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {1000, 1 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
    dl_log log = begin(fd);
    say(&log, 20);
    say(&log, 20);
    if (!log.torn || log.lost_ever == 0) _exit(2);
    limit.rlim_cur = 1 << 20;
    setrlimit(RLIMIT_FSIZE, &limit);
    say(&log, 1);
    _exit(log.lost_lines == 0 ? 0 : 3);
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
  char *text = read_some(fd);
  char *notice = strstr(text, "\n{\"level\":\"warning\"");
  assert_non_null(notice);
  assert_int_equal(notice - text, 1000);
  assert_non_null(strstr(notice, "File too large"));
  free(text);
  unlink(path);
  close(fd);
}

/* In packets a read gives what one write gave: workers that share a pipe never cut each other's lines. */
static void a_pipe_gets_whole_lines(void **state) {
  (void)state;
  int ends[2];
  char packet[PIPE_BUF];
  size_t total = 0;
  assert_int_equal(pipe2(ends, O_DIRECT | O_NONBLOCK), 0);
  dl_log log = begin(ends[1]);
  say(&log, 150);
  for (ssize_t got; (got = read(ends[0], packet, sizeof packet)) > 0; total += (size_t)got) assert_int_equal(packet[got - 1], '\n');
  assert_true(total > 2 * PIPE_BUF);
  assert_int_equal(log.lost_ever, 0);
  close(ends[0]);
  close(ends[1]);
  dl_log_free(&log);
}

/* The pipe blocks, and is full: only the alarm would end a write that waits. */
static void a_pipe_that_nobody_reads_holds_nothing_up(void **state) {
  (void)state;
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  dl_log log = begin(ends[1]);
  alarm(60);
  for (unsigned i = 0; i < 1000; i++) say(&log, 10);
  alarm(0);
  assert_true(log.lost_lines > 8000);
  uint64_t lost = log.lost_lines;
  free(read_some(ends[0]));
  say(&log, 1);
  char *text = read_some(ends[0]), expected[96];
  snprintf(expected, sizeof expected, "\"lost_lines\":%llu,\"reason\":\"the log's reader is too slow\"}\n{\"line\"", (unsigned long long)lost);
  assert_non_null(strstr(text, expected));
  free(text);
  dl_log_free(&log);
  close(ends[0]);
  close(ends[1]);
}

static void a_socket_that_nobody_reads_holds_nothing_up(void **state) {
  (void)state;
  int ends[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  dl_log log = begin(ends[1]);
  alarm(60);
  for (unsigned i = 0; i < 1000; i++) say(&log, 20);
  alarm(0);
  assert_true(log.lost_lines > 1000);
  dl_log_free(&log);
  close(ends[0]);
  close(ends[1]);
}

static void name_the_journal(int fd, unsigned off) {
  struct stat what;
  char text[64];
  assert_int_equal(fstat(fd, &what), 0);
  snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)what.st_dev, (unsigned long long)what.st_ino + off);
  setenv("JOURNAL_STREAM", text, 1);
}

static void the_journal_is_told_each_lines_priority(void **state) {
  (void)state;
  int ends[2], other[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  assert_int_equal(pipe(other), 0);
  name_the_journal(ends[1], 0);
  dl_log log = begin(ends[1]);
  dl_log_text(&log, DL_LOG_INFO, "a");
  dl_log_text(&log, DL_LOG_WARNING, "b");
  say(&log, 1);
  dl_log_text(&log, DL_LOG_ERROR, "c");
  log.lost_lines = 2, log.lost_error = EAGAIN;
  dl_log_text(&log, DL_LOG_INFO, "d");
  dl_log_flush(&log);
  char *text = read_some(ends[0]), found[16], *line = text;
  size_t lines = 0;
  for (; *line; line = strchr(line, '\n') + 1) found[lines++] = *line == '<' ? line[1] : '-';
  found[lines] = 0;
  assert_string_equal(found, "64-346");
  free(text);
  dl_log_set_fd(&log, other[1]); /* a file of its own */
  dl_log_text(&log, DL_LOG_ERROR, "e");
  text = read_some(other[0]);
  assert_int_equal(text[0], '{');
  free(text);
  name_the_journal(ends[1], 1); /* of a service that started who started us */
  dl_log_set_fd(&log, ends[1]);
  dl_log_text(&log, DL_LOG_ERROR, "f");
  text = read_some(ends[0]);
  assert_int_equal(text[0], '{');
  free(text);
  unsetenv("JOURNAL_STREAM");
  dl_log_free(&log);
  for (int i = 0; i < 2; i++) close(ends[i]), close(other[i]);
}

static void a_reader_that_left_is_no_end(void **state) {
  (void)state;
  int ends[2];
  signal(SIGPIPE, SIG_IGN);
  assert_int_equal(pipe(ends), 0);
  close(ends[0]);
  dl_log log = begin(ends[1]);
  say(&log, 3);
  assert_int_equal(log.lost_lines, 3);
  close(ends[1]);
  dl_log_set_fd(&log, -1);
  say(&log, 3);
  assert_int_equal(log.lost_ever, 6);
  dl_log_free(&log);
}

static void a_log_file_is_added_to_and_kept_from_others(void **state) {
  (void)state;
  char folder[] = "/tmp/demilune-log-XXXXXX", path[64], message[256];
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/log", folder);
  umask(0);
  for (unsigned i = 0; i < 2; i++) {
    int fd = dl_log_open_file(path, message);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    dl_log log = begin(fd);
    say(&log, 1);
    dl_log_free(&log);
    close(fd);
  }
  struct stat what;
  assert_int_equal(stat(path, &what), 0);
  assert_int_equal(what.st_mode & 0777, 0640);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  char *text = read_some(fd);
  assert_non_null(strstr(text, "}\n{"));
  free(text);
  close(fd);
  unlink(path);
  assert_int_equal(dl_log_open_file(folder, message), -1);
  assert_non_null(strstr(message, "cannot open the log file /tmp/demilune-log-"));
  rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_full_disk_loses_lines_and_counts_each_once), cmocka_unit_test(a_file_that_may_not_grow_ends_nobody),
      cmocka_unit_test(a_pipe_gets_whole_lines),
      cmocka_unit_test(a_pipe_that_nobody_reads_holds_nothing_up),    cmocka_unit_test(a_socket_that_nobody_reads_holds_nothing_up),
      cmocka_unit_test(the_journal_is_told_each_lines_priority),      cmocka_unit_test(a_reader_that_left_is_no_end),                 cmocka_unit_test(a_log_file_is_added_to_and_kept_from_others),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
