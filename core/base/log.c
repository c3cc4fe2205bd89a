/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FLUSH_BYTES = 32 * 1024, PATIENCE_MS = 50 };

static const struct {
  const char *name, *colour, *priority;
} levels[] = {[DL_LOG_DEBUG] = {"debug", "\x1b[2m", "<7>"},
              [DL_LOG_INFO] = {"info", "\x1b[36m", "<6>"},
              [DL_LOG_WARNING] = {"warning", "\x1b[33m", "<4>"},
              [DL_LOG_ERROR] = {"error", "\x1b[31m", "<3>"}};

/* As systemd.exec(5) says: the service manager names the file that it connected us to. */
static bool is_journal(const struct stat *what) {
  const char *named = getenv("JOURNAL_STREAM");
  char text[64];
  snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)what->st_dev, (unsigned long long)what->st_ino);
  return named && strcmp(named, text) == 0;
}

static void use_fd(dl_log *log, int fd) {
  struct stat what;
  log->fd = fd;
  log->torn = false;
  if (fstat(fd, &what) != 0) what = (struct stat){.st_mode = S_IFREG}; /* a write will say what is wrong */
  log->journal = is_journal(&what);
  log->sink = S_ISSOCK(what.st_mode) ? DL_LOG_SINK_SOCKET : S_ISFIFO(what.st_mode) || isatty(fd) ? DL_LOG_SINK_PIPE : DL_LOG_SINK_PROMPT;
}

void dl_log_init(dl_log *log, int fd, dl_log_format format, dl_log_level level, const dl_clock *clock) {
  *log = (dl_log){.level = level, .format = format, .clock = clock, .colour = format == DL_LOG_TEXT && isatty(fd)};
  use_fd(log, fd);
}

/* What a terminal obeys although it is no ASCII: C1 controls, one of which begins
 * sequences as ESC [ does, and the marks that turn the direction of writing. */
static bool is_obeyed(const char *p, size_t length) {
  const unsigned char *s = (const unsigned char *)p;
  if (length == 2) return (s[0] == 0xc2 && s[1] < 0xa0) || (s[0] == 0xd8 && s[1] == 0x9c);
  if (length != 3 || s[0] != 0xe2) return false;
  return (s[1] == 0x80 && (s[2] == 0x8e || s[2] == 0x8f || (s[2] >= 0xa8 && s[2] <= 0xae))) || (s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9);
}

/* The first character from at on that is obeyed, and its length; s.len and 0 when there is none. */
static size_t find_obeyed(dl_str s, size_t at, size_t *length) {
  for (*length = 0; at < s.len; at += *length ? *length : 1) {
    *length = (unsigned char)s.ptr[at] < 0x80 ? 1 : dl_utf8_sequence(s.ptr + at, s.len - at);
    if (*length > 1 && is_obeyed(s.ptr + at, *length)) return at;
  }
  *length = 0;
  return s.len;
}

static unsigned code_point(const char *p, size_t length) {
  const unsigned char *s = (const unsigned char *)p;
  return length == 2 ? (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu) : (s[0] & 0x0fu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
}

/* JSON, whose strings may hold such characters: as escapes they say the same to a machine,
 * and nothing to the terminal of who looks. */
static void append_json(dl_buffer *out, dl_str json) {
  for (size_t at = 0, next, length; at < json.len; at = next + length) {
    next = find_obeyed(json, at, &length);
    dl_buffer_append(out, json.ptr + at, next - at);
    if (length) dl_buffer_printf(out, "\\u%04x", code_point(json.ptr + next, length));
  }
}

void dl_log_append_json(dl_buffer *out, dl_str text) {
  size_t length;
  if (find_obeyed(text, 0, &length) == text.len) {
    dl_buffer_append_json_string(out, text);
    return;
  }
  dl_buffer json = {0};
  dl_buffer_append_json_string(&json, text);
  append_json(out, dl_buffer_str(&json));
  dl_buffer_free(&json);
}

/* Text for people: as it is, but nothing that moves the cursor or starts a line. */
static void append_plain(dl_buffer *out, dl_str text, bool lines) {
  for (size_t i = 0; i < text.len; i++) {
    unsigned char c = (unsigned char)text.ptr[i];
    size_t length = c < 0x80 ? 1 : dl_utf8_sequence(text.ptr + i, text.len - i);
    if (length > 1 && !is_obeyed(text.ptr + i, length)) {
      dl_buffer_append(out, text.ptr + i, length);
      i += length - 1;
      continue;
    }
    if (c == '\n' && lines) DL_BUFFER_LITERAL(out, "\n    ");
    else if (c == '\t' && lines) DL_BUFFER_LITERAL(out, "  ");
    else if (c < 0x20 || c >= 0x7f) dl_buffer_printf(out, "\\x%02x", c);
    else dl_buffer_append_char(out, (char)c);
  }
}

bool dl_log_begin(dl_log *log, dl_log_level level, dl_str message) {
  if (level < log->level) return false;
  char time[25];
  dl_clock_rfc3339(log->clock->wall_ms, time);
  log->current = level;
  if (log->journal) dl_buffer_append_str(&log->lines, dl_str_of(levels[level].priority));
  if (log->format == DL_LOG_JSON) {
    DL_BUFFER_LITERAL(&log->lines, "{\"time\":\"");
    dl_buffer_append_str(&log->lines, dl_str_of(time));
    DL_BUFFER_LITERAL(&log->lines, "\",\"level\":\"");
    dl_buffer_append_str(&log->lines, dl_str_of(levels[level].name));
    DL_BUFFER_LITERAL(&log->lines, "\",\"message\":");
    dl_log_append_json(&log->lines, message);
    return true;
  }
  dl_buffer_printf(&log->lines, "%.8s %s%-7s%s ", time + 11, log->colour ? levels[level].colour : "", levels[level].name, log->colour ? "\x1b[0m" : "");
  append_plain(&log->lines, message, true);
  return true;
}

/* No printf: whoever is refused may ask very often, and each time costs a line. */
static void append_key(dl_log *log, const char *key) {
  bool json = log->format == DL_LOG_JSON;
  dl_buffer_append_str(&log->lines, json ? DL_STR(",\"") : DL_STR(" "));
  dl_buffer_append_str(&log->lines, dl_str_of(key));
  dl_buffer_append_str(&log->lines, json ? DL_STR("\":") : DL_STR("="));
}

/* A value may be a client's or an app's: one line of a log must not hold all of it. */
static void append_clipped(dl_log *log, const char *key, dl_str value) {
  char length_key[64];
  snprintf(length_key, sizeof(length_key), "%s_bytes", key);
  dl_log_field(log, key, dl_str_from(value.ptr, DL_LOG_FIELD_BYTES));
  dl_log_field_int(log, length_key, (int64_t)value.len);
}

void dl_log_field(dl_log *log, const char *key, dl_str value) {
  if (value.len > DL_LOG_FIELD_BYTES) {
    append_clipped(log, key, value);
    return;
  }
  if (log->format == DL_LOG_TEXT && memchr(value.ptr ? value.ptr : "", '\n', value.len)) {
    dl_buffer_printf(&log->lines, "\n  %s:\n    ", key);
    append_plain(&log->lines, value, true);
    return;
  }
  append_key(log, key);
  if (log->format == DL_LOG_JSON) dl_log_append_json(&log->lines, value);
  else append_plain(&log->lines, value, false);
}

void dl_log_field_int(dl_log *log, const char *key, int64_t value) {
  append_key(log, key);
  dl_buffer_append_int(&log->lines, value);
}

void dl_log_field_json(dl_log *log, const char *key, dl_str json) {
  append_key(log, key);
  append_json(&log->lines, json);
}

void dl_log_end(dl_log *log) {
  if (log->format == DL_LOG_JSON) dl_buffer_append_char(&log->lines, '}');
  dl_buffer_append_char(&log->lines, '\n');
  if (log->current >= DL_LOG_WARNING || log->lines.len >= FLUSH_BYTES) dl_log_flush(log);
}

void dl_log_text(dl_log *log, dl_log_level level, const char *format, ...) {
  va_list args;
  va_start(args, format);
  char text[1024];
  int length = vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  size_t bytes = length < 0 ? 0 : (size_t)length < sizeof(text) ? (size_t)length : sizeof(text) - 1;
  if (dl_log_begin(log, level, dl_str_from(text, bytes))) dl_log_end(log);
}

/* --- leaving -------------------------------------------------------------------------- */

static void lose_lines(dl_log *log, size_t from, int error) {
  uint64_t lost = 0;
  for (size_t i = from; i < log->lines.len; i++) lost += log->lines.data[i] == '\n';
  log->lost_lines += lost;
  log->lost_ever += lost;
  log->lost_error = error;
}

/* Whole lines as long as they fit: workers share the pipe, and what is written at once
 * stays together only up to PIPE_BUF bytes. */
static size_t piece_for_pipe(const char *bytes, size_t len) {
  if (len <= PIPE_BUF) return len;
  const char *last = memrchr(bytes, '\n', PIPE_BUF);
  return last ? (size_t)(last + 1 - bytes) : PIPE_BUF;
}

/* What the kernel takes now: of a pipe that says it has room at most so much that it
 * takes it at once (pipe(7)), since the descriptor may be one that blocks. A reader is
 * given a moment, but not again and again while it does not read. */
static ssize_t write_some(const dl_log *log, const char *bytes, size_t len) {
  if (log->sink == DL_LOG_SINK_PROMPT) return write(log->fd, bytes, len);
  struct pollfd ready = {.fd = log->fd, .events = POLLOUT};
  int polled = poll(&ready, 1, log->lost_lines ? 0 : PATIENCE_MS);
  if (polled == 0) errno = EAGAIN;
  if (polled <= 0) return -1;
  if (log->sink == DL_LOG_SINK_SOCKET) return send(log->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
  return write(log->fd, bytes, piece_for_pipe(bytes, len));
}

/* How much of it went out; less than all leaves errno. */
static size_t write_all(const dl_log *log, const char *bytes, size_t len) {
  size_t sent = 0;
  while (sent < len) {
    ssize_t wrote = write_some(log, bytes + sent, len - sent);
    if (wrote > 0) sent += (size_t)wrote;
    else if (wrote == 0 || errno != EINTR) break;
  }
  return sent;
}

static bool tell_lost(dl_log *log) {
  char text[256];
  unsigned long long lost = log->lost_lines;
  const char *start = log->torn ? "\n" : "", *priority = log->journal ? levels[DL_LOG_WARNING].priority : "";
  const char *why = log->lost_error == EAGAIN ? "the log's reader is too slow" : strerror(log->lost_error);
  int length = log->format == DL_LOG_JSON
                   ? snprintf(text, sizeof text, "%s%s{\"level\":\"warning\",\"message\":\"log lines were lost\",\"lost_lines\":%llu,\"reason\":\"%s\"}\n", start,
                                priority, lost, why)
                   : snprintf(text, sizeof text, "%s%swarning: %llu log lines were lost (%s)\n", start, priority, lost, why);
  size_t sent = write_all(log, text, (size_t)length);
  if (sent) log->torn = sent < (size_t)length;
  if (sent < (size_t)length) return false;
  log->lost_lines = 0;
  return true;
}

void dl_log_flush(dl_log *log) {
  if (log->lines.len == 0) return;
  if (log->lost_lines && !tell_lost(log)) {
    lose_lines(log, 0, errno);
  } else {
    size_t sent = write_all(log, log->lines.data, log->lines.len);
    if (sent < log->lines.len) {
      lose_lines(log, sent, errno);
      log->torn = sent && log->lines.data[sent - 1] != '\n';
    }
  }
  dl_buffer_clear(&log->lines);
}

void dl_log_set_fd(dl_log *log, int fd) {
  dl_log_flush(log);
  use_fd(log, fd);
}

/* Not waiting for whoever may read: it may be a FIFO. */
int dl_log_open_file(const char *path, char message[256]) {
  int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
  if (fd < 0) snprintf(message, 256, "cannot open the log file %.160s: %s", path, strerror(errno));
  return fd;
}

void dl_log_free(dl_log *log) {
  dl_log_flush(log);
  dl_buffer_free(&log->lines);
}
