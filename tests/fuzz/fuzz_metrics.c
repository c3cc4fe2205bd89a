/* SPDX-License-Identifier: MIT */
/*
 * The block of memory that workers count in, with any bytes in it, as a worker could
 * leave them that was taken over: the input is written over its places, each piece with
 * four bytes for where, two for how long and one for how often. Who reads it stays
 * inside it, and what is shown is whole lines of the text format, whatever the names.
 */
#include "fuzz.h"

#include "app/metrics_internal.h"
#include "base/utf8.h"
#include "server/prometheus.h"

enum { WORKERS = 2 };

static void scribble(dl_metrics *metrics, dl_str input) {
  char *bytes = (char *)metrics->block;
  while (input.len > 7) {
    uint32_t where;
    uint16_t length;
    memcpy(&where, input.ptr, sizeof where);
    memcpy(&length, input.ptr + 4, sizeof length);
    size_t repeats = (unsigned char)input.ptr[6] % 16 + 1, at = where % metrics->bytes;
    input = dl_str_skip(input, 7);
    length %= 1024; /* what is shown of it grows with it, and takes time */
    if (length > input.len) length = (uint16_t)input.len;
    for (; repeats && at + length <= metrics->bytes; repeats--, at += length) memcpy(bytes + at, input.ptr, length);
    input = dl_str_skip(input, length);
  }
}

/* name{label="value",...} number, or a comment. */
static void check_line(dl_str line) {
  require(line.len > 0 && dl_utf8_valid(line), "a line is UTF-8");
  if (line.ptr[0] == '#') {
    require(dl_str_starts(line, DL_STR("# HELP demilune_")) || dl_str_starts(line, DL_STR("# TYPE demilune_")), "a comment is one of ours");
    return;
  }
  require(dl_str_starts(line, DL_STR("demilune_")), "a sample is one of ours");
  bool quoted = false, braced = false;
  size_t at = 0;
  for (; at < line.len && (quoted || line.ptr[at] != ' '); at++) {
    if (quoted && line.ptr[at] == '\\') {
      at++;
      require(at < line.len && strchr("\\\"n", line.ptr[at]), "an escape is one of three");
    } else if (line.ptr[at] == '"') {
      quoted = !quoted;
      require(braced, "a label stands in braces");
    } else if (!quoted && (line.ptr[at] == '{' || line.ptr[at] == '}')) {
      require(braced == (line.ptr[at] == '}'), "braces close");
      braced = !braced;
    }
  }
  require(!quoted && !braced && at + 1 < line.len, "a sample has a number");
  for (at++; at < line.len; at++) require(strchr("0123456789.", line.ptr[at]) != NULL, "a number is one");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dl_buffer out = {0};
  dl_metrics_writer writer;
  if (size > 16384) return 0;
  dl_metrics *metrics = dl_metrics_new(WORKERS);
  require(metrics != NULL, "there is memory");
  dl_metrics_open(&writer, metrics, 0);
  uint32_t series = dl_metrics_route(metrics, DL_METHOD_GET, DL_STR("/"));
  dl_metrics_count_request(&writer, series, 200, 10);
  scribble(metrics, dl_str_from((const char *)data, size));
  metrics->block->lock = (dl_shared_lock){0}; /* a lock that nobody gives back costs the time that one waits for it */
  dl_prometheus_write(&out, metrics, NULL);
  for (dl_str rest = dl_buffer_str(&out); rest.len;) check_line(take_until(&rest, '\n'));
  dl_metrics_unready(metrics);
  require(dl_metrics_route(metrics, DL_METHOD_PUT, DL_STR("/new")) < DL_SERIES_MAX, "a series is one of those there are");
  dl_metrics_count_reason(&writer, "a reason");
  dl_metrics_count_request(&writer, series, 404, 10);
  dl_metrics_worker_gone(metrics, 0);
  require(dl_metrics_read_pid(metrics, 0) == 0, "a worker that is gone has no process");
  dl_metrics_free(metrics);
  dl_buffer_free(&out);
  return 0;
}
