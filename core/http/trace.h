/* SPDX-License-Identifier: MIT */
/*
 * W3C Trace Context (Recommendation, level 1): which trace a request belongs to, so
 * that log lines of several services can be laid side by side. We take part as one
 * span: the trace's id is kept, the span's is ours, the caller's is its parent.
 */
#ifndef DL_HTTP_TRACE_H
#define DL_HTTP_TRACE_H

#include "base/arena.h"
#include "base/random.h"

enum { DL_TRACE_ID_DIGITS = 32, DL_SPAN_ID_DIGITS = 16, DL_TRACEPARENT_BYTES = 55 };

typedef struct dl_trace {
  char trace_id[DL_TRACE_ID_DIGITS]; /* lower-case hexadecimal digits, no NUL */
  char span_id[DL_SPAN_ID_DIGITS];   /* ours, new for each request */
  char parent_id[DL_SPAN_ID_DIGITS]; /* the caller's span */
  bool has_parent;                   /* the request brought a valid traceparent */
  bool sampled;                      /* as the caller says; false in a trace that begins here */
} dl_trace;

/* From a traceparent field (section 3.2), or a new trace when that is missing or not
 * valid: it is as if it had not been sent (4.3). Versions of the future are read as
 * far as 00 goes. */
void dl_trace_begin(dl_trace *trace, dl_str traceparent, dl_random *random);

/* The traceparent for calls this request leads to: "00-TRACE-SPAN-FLAGS". */
void dl_trace_write(const dl_trace *trace, char out[DL_TRACEPARENT_BYTES]);

/* Whether a tracestate (all fields joined, section 3.3) may be passed on. */
bool dl_tracestate_valid(dl_str text);

#endif
