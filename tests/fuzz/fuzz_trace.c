/* SPDX-License-Identifier: MIT */
/*
 * Trace fields: the first line of input is a traceparent, the second a tracestate.
 * Whatever came, what goes out is a traceparent that we would join ourselves.
 */
#include "http/trace.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
  if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dl_random random = {{1, 2, 3, 4}};
  dl_trace trace, next;
  char out[DL_TRACEPARENT_BYTES];
  const char *end = size ? memchr(data, '\n', size) : NULL;
  size_t first = end ? (size_t)(end - (const char *)data) : size;
  char *parent = malloc(first ? first : 1); /* of its exact size, so that one byte too far is seen */
  if (!parent) abort();
  if (first) memcpy(parent, data, first);
  dl_trace_begin(&trace, dl_str_from(parent, first), &random);
  dl_trace_write(&trace, out);
  dl_trace_begin(&next, dl_str_from(out, sizeof out), &random);
  require(next.has_parent && next.sampled == trace.sampled && memcmp(next.trace_id, trace.trace_id, sizeof trace.trace_id) == 0);
  require(memcmp(next.parent_id, trace.span_id, sizeof trace.span_id) == 0);
  if (trace.has_parent) require(memcmp(parent + 3, trace.trace_id, sizeof trace.trace_id) == 0);
  free(parent);
  if (end) dl_tracestate_valid(dl_str_from(end + 1, size - first - 1));
  return 0;
}
