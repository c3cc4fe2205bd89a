/* SPDX-License-Identifier: MIT */
/* Where the worker's own numbers enter the shared block (app/metrics.h). */
#ifndef DL_APP_MEASURE_H
#define DL_APP_MEASURE_H

#include "app/exchange.h"

/* The finished exchange: its route, status and duration, and who refused it. */
void dl_metrics_record(dl_exchange *exchange);

/* What is read from time to time rather than counted: gauges, bytes, lost log lines.
 * Called by the sweep, and before figures are read in the worker's own process. */
void dl_metrics_publish(dl_worker *worker);

/* What a generation counted by itself, before it ends: it stays in the worker's figures. */
void dl_metrics_keep(dl_worker *worker, const dl_generation *generation);

/* Gives every route of a generation its series. Before its first request; requests of
 * a generation without count as "other". */
void dl_metrics_attach(dl_metrics *metrics, dl_generation *generation);

#endif
