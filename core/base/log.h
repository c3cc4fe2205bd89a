/* SPDX-License-Identifier: MIT */
/*
 * The log: one line per event, JSON for machines or coloured text for people.
 * Lines gather in memory and leave in one write per loop turn; warnings and
 * errors leave at once, so that they survive what comes next.
 */
#ifndef DL_BASE_LOG_H
#define DL_BASE_LOG_H

#include "base/buffer.h"
#include "base/clock.h"

typedef enum dl_log_level { DL_LOG_DEBUG, DL_LOG_INFO, DL_LOG_WARNING, DL_LOG_ERROR } dl_log_level;
typedef enum dl_log_format { DL_LOG_JSON, DL_LOG_TEXT } dl_log_format;

/* How to write without waiting: what never makes us wait (a file, a device); a socket,
 * which can be asked not to; a pipe or terminal, which is asked first whether it would. */
typedef enum dl_log_sink { DL_LOG_SINK_PROMPT, DL_LOG_SINK_SOCKET, DL_LOG_SINK_PIPE } dl_log_sink;

enum { DL_LOG_FIELD_BYTES = 16 * 1024 }; /* of one text in a line */

typedef struct dl_log {
  int fd;                /* borrowed, usually 2 */
  dl_log_sink sink;      /* what fd is */
  bool torn;             /* the last line went out in part */
  bool journal;          /* fd leads to systemd's journal, which takes each line's priority from its beginning (sd-daemon(3)) */
  dl_log_level level;    /* lower ones are dropped */
  dl_log_format format;
  bool colour;
  const dl_clock *clock; /* borrowed */
  dl_buffer lines; /* that wait for a flush; one made elsewhere (the access log) is appended with its newline */
  dl_log_level current;  /* of the line being written */
  uint64_t lost_lines;   /* dropped, and not told yet */
  uint64_t lost_ever;    /* dropped since the log began; for metrics */
  int lost_error;        /* the last errno that lost some */
} dl_log;

void dl_log_init(dl_log *log, int fd, dl_log_format format, dl_log_level level, const dl_clock *clock);

/* One event: begin, any number of fields, end. Nothing of it may be a secret;
 * control characters are escaped, so that a value cannot forge a line. begin
 * gives false, and the rest must be left out, when the level is not logged. */
bool dl_log_begin(dl_log *log, dl_log_level level, dl_str message);
/* A longer text is clipped, and its length follows as key_bytes. */
void dl_log_field(dl_log *log, const char *key, dl_str value);
void dl_log_field_int(dl_log *log, const char *key, int64_t value);
/* value is JSON text already; it stands as it is in both formats, but for what a terminal obeys. */
void dl_log_field_json(dl_log *log, const char *key, dl_str json);
void dl_log_end(dl_log *log);

/* A whole event without fields. */
void dl_log_text(dl_log *log, dl_log_level level, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Text as a JSON string, with what a terminal obeys beside ASCII escaped too; for lines made elsewhere. */
void dl_log_append_json(dl_buffer *out, dl_str text);

/* Writes what has gathered. A reader that is gone or too slow, or a disk that is full,
 * loses lines, never stalls the loop, and is told later how many it lost. (A pipe that
 * several processes write to may, seldom, hold up a writer that found it free.) */
void dl_log_flush(dl_log *log);

/* Goes on in fd; what has gathered goes to the old one, which is the caller's to close. */
void dl_log_set_fd(dl_log *log, int fd);

/* Opens a file for a log to be added to, made with mode 0640 when it is not there. The
 * descriptor, or -1 with a sentence in message. */
int dl_log_open_file(const char *path, char message[256]);

void dl_log_free(dl_log *log);

#endif
