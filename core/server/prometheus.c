/* SPDX-License-Identifier: MIT */
#include "server/prometheus.h"

#include "base/utf8.h"
#include "demilune.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void dl_prometheus_label_value(dl_buffer *out, dl_str value) {
  for (size_t i = 0, step; i < value.len; i += step) {
    step = dl_utf8_sequence(value.ptr + i, value.len - i);
    if (step == 0) {
      DL_BUFFER_LITERAL(out, "\xef\xbf\xbd");
      step = 1;
    } else if (value.ptr[i] == '\n') {
      DL_BUFFER_LITERAL(out, "\\n");
    } else {
      if (value.ptr[i] == '"' || value.ptr[i] == '\\') dl_buffer_append_char(out, '\\');
      dl_buffer_append(out, value.ptr + i, step);
    }
  }
}

static void family(dl_buffer *out, const char *name, const char *type, const char *help) {
  dl_buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* --- requests ------------------------------------------------------------------------ */

static const char *const status_labels[DL_METRICS_STATUS_COUNT] = {
    [DL_METRICS_STATUS_NONE] = "none", "1xx", "2xx", "3xx", "4xx", "5xx",
#define LABEL(status) [DL_METRICS_STATUS_##status] = #status,
    DL_METRICS_STATUSES(LABEL)
#undef LABEL
};
static const char *const bucket_labels[DL_METRICS_BUCKETS + 1] = {"0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1",
                                                                  "0.25",  "0.5",    "1",     "2.5",  "5",     "10",   "+Inf"};

/* method="GET",route="/users/{id}" */
static void append_series_labels(dl_buffer *out, const dl_metrics *metrics, uint32_t series) {
  char room[DL_METRICS_NAME_BYTES];
  dl_str name = dl_metrics_series_name(metrics, series, room), method = DL_STR("other"), route = DL_STR("other");
  const char *space = name.len ? memchr(name.ptr, ' ', name.len) : NULL;
  if (space) {
    method = dl_str_from(name.ptr, (size_t)(space - name.ptr));
    route = dl_str_skip(name, method.len + 1);
  } else if (series >= DL_SERIES_UNMATCHED) {
    dl_method number = (dl_method)(series - DL_SERIES_UNMATCHED);
    if (number < DL_METHOD_COUNT) method = dl_method_name(number);
    route = DL_STR("unmatched");
  }
  DL_BUFFER_LITERAL(out, "method=\"");
  dl_prometheus_label_value(out, method);
  DL_BUFFER_LITERAL(out, "\",route=\"");
  dl_prometheus_label_value(out, route);
  DL_BUFFER_LITERAL(out, "\"");
}

static void write_statuses(dl_buffer *out, const dl_metrics_series *counts, dl_str labels) {
  for (size_t i = 0; i < DL_METRICS_STATUS_COUNT; i++) {
    if (counts->statuses[i] == 0) continue;
    DL_BUFFER_LITERAL(out, "demilune_http_requests_total{");
    dl_buffer_append_str(out, labels);
    dl_buffer_printf(out, ",status=\"%s\"} %llu\n", status_labels[i], (unsigned long long)counts->statuses[i]);
  }
}

static void write_histogram(dl_buffer *out, const dl_metrics_series *counts, dl_str labels) {
  unsigned long long below = 0;
  for (size_t i = 0; i <= DL_METRICS_BUCKETS; i++) {
    below += counts->buckets[i];
    DL_BUFFER_LITERAL(out, "demilune_http_request_duration_seconds_bucket{");
    dl_buffer_append_str(out, labels);
    dl_buffer_printf(out, ",le=\"%s\"} %llu\n", bucket_labels[i], below);
  }
  DL_BUFFER_LITERAL(out, "demilune_http_request_duration_seconds_sum{");
  dl_buffer_append_str(out, labels);
  dl_buffer_printf(out, "} %llu.%06llu\n", (unsigned long long)(counts->sum_us / 1000000), (unsigned long long)(counts->sum_us % 1000000));
  DL_BUFFER_LITERAL(out, "demilune_http_request_duration_seconds_count{");
  dl_buffer_append_str(out, labels);
  dl_buffer_printf(out, "} %llu\n", below);
}

/* All of one family stand together, so the series are walked twice. */
static void write_requests(dl_buffer *out, const dl_metrics *metrics) {
  typedef void (*writer)(dl_buffer *, const dl_metrics_series *, dl_str);
  static const struct {
    const char *name, *type, *help;
    writer write;
  } families[] = {
      {"demilune_http_requests_total", "counter", "Requests that are over, by route and status.", write_statuses},
      {"demilune_http_request_duration_seconds", "histogram", "From the last byte of the head to the end of the response's last function.", write_histogram},
  };
  dl_buffer labels = {0};
  for (size_t f = 0; f < 2; f++) {
    family(out, families[f].name, families[f].type, families[f].help);
    for (uint32_t i = 0, count = dl_metrics_series_count(metrics); i < count; i++) {
      dl_metrics_series counts;
      uint64_t all = 0;
      dl_metrics_read_series(metrics, i, &counts);
      for (size_t k = 0; k <= DL_METRICS_BUCKETS; k++) all += counts.buckets[k];
      if (all == 0) continue;
      dl_buffer_clear(&labels);
      append_series_labels(&labels, metrics, i);
      families[f].write(out, &counts, dl_buffer_str(&labels));
    }
  }
  dl_buffer_free(&labels);
}

/* --- the rest, a row for each sample ----------------------------------------------------- */

/* Rows of one family follow each other; only the first has a help text. */
static const struct {
  dl_counter counter;
  const char *name, *labels, *help;
} counter_rows[] = {
    {DL_COUNTER_CONNECTIONS_ACCEPTED, "demilune_connections_accepted_total", "", "Connections taken."},
    {DL_COUNTER_CONNECTIONS_OVER_TOTAL, "demilune_connections_refused_total", "{reason=\"max_connections\"}", "Connections closed as they came, or to make room where max_connections were open or no descriptor was left."},
    {DL_COUNTER_CONNECTIONS_OVER_CLIENT, "demilune_connections_refused_total", "{reason=\"max_connections_per_client\"}", NULL},
    {DL_COUNTER_CONNECTIONS_UNANNOUNCED, "demilune_connections_refused_total", "{reason=\"proxy_header\"}", NULL},
    {DL_COUNTER_CONNECTIONS_DRAINING, "demilune_connections_refused_total", "{reason=\"draining\"}", NULL},
    {DL_COUNTER_CONNECTIONS_FAILED, "demilune_connections_refused_total", "{reason=\"system\"}", NULL},
    {DL_COUNTER_ACCEPT_PAUSES, "demilune_accept_pauses_total", "", "Times that no descriptor was left, so that clients waited."},
    {DL_COUNTER_BYTES_IN, "demilune_received_bytes_total", "", "Bytes that came from clients."},
    {DL_COUNTER_BYTES_OUT, "demilune_sent_bytes_total", "", "Bytes that the kernel took for clients."},
    {DL_COUNTER_TLS_FULL, "demilune_tls_handshakes_total", "{result=\"full\"}", "Handshakes that are over."},
    {DL_COUNTER_TLS_RESUMED, "demilune_tls_handshakes_total", "{result=\"resumed\"}", NULL},
    {DL_COUNTER_TLS_FAILED, "demilune_tls_handshakes_total", "{result=\"failed\"}", NULL},
    {DL_COUNTER_LIMITED_CLIENT, "demilune_limit_refusals_total", "{by=\"client\"}", "Requests refused by a limit, by what it counts."},
    {DL_COUNTER_LIMITED_PRINCIPAL, "demilune_limit_refusals_total", "{by=\"principal\"}", NULL},
    {DL_COUNTER_LIMITED_API_KEY, "demilune_limit_refusals_total", "{by=\"api_key\"}", NULL},
    {DL_COUNTER_VALIDATION_REFUSALS, "demilune_validation_refusals_total", "", "Requests refused by their models."},
    {DL_COUNTER_QUEUE_REFUSALS, "demilune_queue_refusals_total", "", "Requests answered 503 since too many were in their handlers."},
    {DL_COUNTER_HANDLER_TIMEOUTS, "demilune_handler_timeouts_total", "", "Handlers, streams and functions after a response that were cancelled at their deadline."},
    {DL_COUNTER_LOG_LINES_LOST, "demilune_log_lines_lost_total", "", "Lines of the log that nobody took."},
    {DL_COUNTER_REDIS_ANSWERED, "demilune_limit_store_checks_total", "{result=\"answered\"}", "Checks of limits by the Redis store."},
    {DL_COUNTER_REDIS_FAILED, "demilune_limit_store_checks_total", "{result=\"failed\"}", NULL},
    {DL_COUNTER_REDIS_UNAVAILABLE, "demilune_limit_store_checks_total", "{result=\"unavailable\"}", NULL},
    {DL_COUNTER_REDIS_CONNECTIONS, "demilune_limit_store_connections_total", "", "Connections made to the Redis store."},
};

static void write_counters(dl_buffer *out, const dl_metrics *metrics) {
  for (size_t i = 0; i < sizeof counter_rows / sizeof *counter_rows; i++) {
    if (counter_rows[i].help) family(out, counter_rows[i].name, "counter", counter_rows[i].help);
    dl_buffer_printf(out, "%s%s %llu\n", counter_rows[i].name, counter_rows[i].labels,
                     (unsigned long long)dl_metrics_read_counter(metrics, counter_rows[i].counter));
  }
}

static void write_reasons(dl_buffer *out, const dl_metrics *metrics) {
  char room[DL_METRICS_NAME_BYTES];
  family(out, "demilune_guard_refusals_total", "counter", "Requests refused by a guard, by its reason.");
  for (uint32_t i = 0, count = dl_metrics_reason_count(metrics); i < count; i++) {
    DL_BUFFER_LITERAL(out, "demilune_guard_refusals_total{reason=\"");
    dl_prometheus_label_value(out, dl_metrics_reason_name(metrics, i, room));
    dl_buffer_printf(out, "\"} %llu\n", (unsigned long long)dl_metrics_read_reason(metrics, i));
  }
}

static const struct {
  dl_event event;
  const char *name, *labels, *help;
} event_rows[] = {
    {DL_EVENT_RELOAD_OK, "demilune_reloads_total", "{outcome=\"ok\"}", "Reloads of the app, by their outcome."},
    {DL_EVENT_RELOAD_FAILED, "demilune_reloads_total", "{outcome=\"failed\"}", NULL},
    {DL_EVENT_WORKER_DIED, "demilune_workers_died_total", "", "Workers that ended without being told to."},
    {DL_EVENT_WORKER_REPLACED, "demilune_workers_replaced_total", "", "Workers started in the place of one that died or was stuck."},
};

static void write_events(dl_buffer *out, const dl_metrics *metrics) {
  for (size_t i = 0; i < sizeof event_rows / sizeof *event_rows; i++) {
    if (event_rows[i].help) family(out, event_rows[i].name, "counter", event_rows[i].help);
    dl_buffer_printf(out, "%s%s %llu\n", event_rows[i].name, event_rows[i].labels, (unsigned long long)dl_metrics_read_event(metrics, event_rows[i].event));
  }
}

static void write_limit_table(dl_buffer *out, const dl_limit_table *limits) {
  if (!limits) return;
  dl_limit_table_stats stats = dl_limit_table_read_stats(limits);
  const struct {
    const char *event;
    uint64_t count;
  } rows[] = {{"evicted", stats.evicted}, {"crowded", stats.crowded}, {"repaired", stats.repaired}, {"stuck", stats.stuck}};
  family(out, "demilune_limit_table_events_total", "counter",
         "Of the shared table of limits: windows evicted, requests refused for want of a place or behind a stuck lock, locks taken over from the dead.");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    dl_buffer_printf(out, "demilune_limit_table_events_total{event=\"%s\"} %llu\n", rows[i].event, (unsigned long long)rows[i].count);
}

/* --- workers ---------------------------------------------------------------------------- */

static const struct {
  dl_gauge gauge;
  const char *name, *help;
} gauge_rows[] = {
    {DL_GAUGE_CONNECTIONS, "demilune_connections", "Connections open."},
    {DL_GAUGE_REQUESTS, "demilune_http_requests_in_flight", "Requests begun and not over."},
    {DL_GAUGE_QUEUED, "demilune_http_requests_queued", "Requests in flight that wait for their handlers."},
    {DL_GAUGE_TASKS, "demilune_coroutines", "Coroutines that run handlers, idle ones included."},
    {DL_GAUGE_TASKS_IDLE, "demilune_coroutines_idle", "Coroutines that wait for work in the pool."},
    {DL_GAUGE_LUA_BYTES, "demilune_lua_memory_bytes", "Memory of Lua's heap."},
    {DL_GAUGE_TRACES, "demilune_lua_traces", "Traces that LuaJIT has compiled in the current generation."},
    {DL_GAUGE_GENERATIONS, "demilune_generations", "Generations of the app that are loaded; over 1 while an old one drains."},
};

static void write_gauges(dl_buffer *out, const dl_metrics *metrics) {
  for (size_t i = 0; i < sizeof gauge_rows / sizeof *gauge_rows; i++) {
    family(out, gauge_rows[i].name, "gauge", gauge_rows[i].help);
    for (uint32_t slot = 0; slot < dl_metrics_slot_count(metrics); slot++) {
      if (!dl_metrics_read_pid(metrics, slot)) continue;
      unsigned long long value = dl_metrics_read_gauge(metrics, slot, gauge_rows[i].gauge);
      dl_buffer_printf(out, "%s{worker=\"%u\"} %llu\n", gauge_rows[i].name, (unsigned)slot, value);
    }
  }
}

/* 0 when it cannot be known. The second number of statm is in pages (proc(5)). */
static uint64_t resident_bytes(pid_t pid) {
  char path[32], text[128];
  snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  text[got > 0 ? got : 0] = 0;
  const char *space = strchr(text, ' ');
  return space ? strtoull(space, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static void write_memory(dl_buffer *out, const dl_metrics *metrics) {
  family(out, "demilune_worker_resident_memory_bytes", "gauge", "Memory of the worker's process that is in RAM.");
  for (uint32_t slot = 0; slot < dl_metrics_slot_count(metrics); slot++) {
    pid_t pid = dl_metrics_read_pid(metrics, slot);
    uint64_t bytes = pid ? resident_bytes(pid) : 0;
    if (bytes) dl_buffer_printf(out, "demilune_worker_resident_memory_bytes{worker=\"%u\"} %llu\n", (unsigned)slot, (unsigned long long)bytes);
  }
}

void dl_prometheus_write(dl_buffer *out, const dl_metrics *metrics, const dl_limit_table *limits) {
  family(out, "demilune_build_info", "gauge", "1; the version is in the label.");
  dl_buffer_printf(out, "demilune_build_info{version=\"%s\"} 1\n", DEMILUNE_VERSION);
  family(out, "demilune_ready", "gauge", "1 when the service takes requests, as /readyz has it.");
  dl_buffer_printf(out, "demilune_ready %d\n", !dl_metrics_unready(metrics));
  write_requests(out, metrics);
  write_counters(out, metrics);
  write_reasons(out, metrics);
  write_limit_table(out, limits);
  write_events(out, metrics);
  write_gauges(out, metrics);
  write_memory(out, metrics);
}
