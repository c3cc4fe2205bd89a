/* SPDX-License-Identifier: MIT */
/*
 * What was counted, as Prometheus reads it: text exposition format 0.0.4. Families
 * and samples come in the same order every time; a series of a route appears with its
 * first request, so that what nobody uses costs nothing to read.
 *
 * Needs of the system: reads /proc/PID/statm of the workers; without that their
 * resident memory is left out.
 */
#ifndef DL_SERVER_PROMETHEUS_H
#define DL_SERVER_PROMETHEUS_H

#include "app/metrics.h"
#include "base/buffer.h"
#include "limit/table.h"

#define DL_PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Appends it all. limits may be NULL: then nothing is told of the table. Any process. */
void dl_prometheus_write(dl_buffer *out, const dl_metrics *metrics, const dl_limit_table *limits);

/* Appends a label's value between its quotes: \, " and line feeds are escaped, and what
 * is no UTF-8 becomes U+FFFD, since one such byte would spoil the whole page. */
void dl_prometheus_label_value(dl_buffer *out, dl_str value);

#endif
