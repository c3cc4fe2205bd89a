/* SPDX-License-Identifier: MIT */
/*
 * What is counted about a service: one block of shared memory, made by the master
 * before it forks. Each worker writes its own slot and nobody else's, without locks;
 * whoever reads adds the slots up. A worker that is replaced leaves its slot to its
 * successor, so that counters never go back. Routes and the guards' reasons get their
 * places once for all workers and generations; what finds no place counts as "other",
 * so that no client can make the block, or what is read from it, grow.
 *
 * Needs of the system: mmap(2), futex(2); no files, no network.
 */
#ifndef DL_APP_METRICS_H
#define DL_APP_METRICS_H

#include "base/str.h"
#include "http/method.h"

#include <stdint.h>
#include <sys/types.h>

enum {
  DL_METRICS_WORKERS_MAX = 64,
  DL_METRICS_ROUTES_MAX = 512,
  DL_METRICS_REASONS_MAX = 64,
  DL_METRICS_NAME_BYTES = 120, /* of a route with its method, or a reason; longer ones count as other */
};

/* The statuses that are counted each by itself; the others by their class. */
#define DL_METRICS_STATUSES(X)                                                                                                                        \
  X(200) X(201) X(204) X(301) X(304) X(308) X(400) X(401) X(403) X(404) X(405) X(408) X(409) X(413) X(415) X(422) X(429) X(431) X(500) X(503) X(504)

enum {
  DL_METRICS_STATUS_NONE,      /* no response was begun: the client left, or the server stopped */
  DL_METRICS_STATUS_CLASS = 0, /* + 1 to 5: the rest of that class */
  DL_METRICS_STATUS_EXACT = 6,
#define DL_METRICS_STATUS_PLACE(status) DL_METRICS_STATUS_##status,
  DL_METRICS_STATUS_BEFORE = DL_METRICS_STATUS_EXACT - 1,
  DL_METRICS_STATUSES(DL_METRICS_STATUS_PLACE)
#undef DL_METRICS_STATUS_PLACE
  DL_METRICS_STATUS_COUNT
};

/* Upper ends of the buckets in microseconds; one more takes what is over the last. */
#define DL_METRICS_BOUNDS_US {1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000}
enum { DL_METRICS_BUCKETS = 13 };

/* The requests of one route, or of those that have none. */
typedef struct dl_metrics_series {
  uint64_t statuses[DL_METRICS_STATUS_COUNT];
  uint64_t buckets[DL_METRICS_BUCKETS + 1]; /* each for itself, not added up */
  uint64_t sum_us;
} dl_metrics_series;

/* Series that are always there; routes come behind them. */
enum {
  DL_SERIES_OTHER = 0,                                              /* routes that found no place */
  DL_SERIES_UNMATCHED = 1,                                          /* + dl_method: requests that reached no route */
  DL_SERIES_ROUTES = DL_SERIES_UNMATCHED + DL_METHOD_COUNT + 1,
  DL_SERIES_MAX = DL_SERIES_ROUTES + DL_METRICS_ROUTES_MAX
};

/* Counted by workers. */
typedef enum dl_counter {
  DL_COUNTER_CONNECTIONS_ACCEPTED,
  DL_COUNTER_CONNECTIONS_OVER_TOTAL,  /* refused by max_connections, or closed to make room, also where no descriptor was left */
  DL_COUNTER_CONNECTIONS_OVER_CLIENT, /* by max_connections_per_client */
  DL_COUNTER_CONNECTIONS_UNANNOUNCED, /* of a trusted proxy, without the PROXY header that was asked for */
  DL_COUNTER_CONNECTIONS_DRAINING,    /* since the server stops */
  DL_COUNTER_CONNECTIONS_FAILED,      /* by the system */
  DL_COUNTER_ACCEPT_PAUSES,           /* no descriptor was left, so that clients waited */
  DL_COUNTER_BYTES_IN,
  DL_COUNTER_BYTES_OUT,
  DL_COUNTER_TLS_FULL,    /* handshakes */
  DL_COUNTER_TLS_RESUMED,
  DL_COUNTER_TLS_FAILED,
  DL_COUNTER_LIMITED_CLIENT,
  DL_COUNTER_LIMITED_PRINCIPAL,
  DL_COUNTER_LIMITED_API_KEY,
  DL_COUNTER_VALIDATION_REFUSALS,
  DL_COUNTER_QUEUE_REFUSALS, /* 503: more requests than handlers */
  DL_COUNTER_HANDLER_TIMEOUTS,
  DL_COUNTER_LOG_LINES_LOST,
  DL_COUNTER_REDIS_ANSWERED,
  DL_COUNTER_REDIS_FAILED,
  DL_COUNTER_REDIS_UNAVAILABLE,
  DL_COUNTER_REDIS_CONNECTIONS,
  DL_COUNTER_COUNT
} dl_counter;

/* As they are now, of each worker. */
typedef enum dl_gauge {
  DL_GAUGE_CONNECTIONS,
  DL_GAUGE_REQUESTS,
  DL_GAUGE_QUEUED, /* of these, waiting for their handlers */
  DL_GAUGE_TASKS,
  DL_GAUGE_TASKS_IDLE,
  DL_GAUGE_LUA_BYTES,
  DL_GAUGE_TRACES,
  DL_GAUGE_GENERATIONS,
  DL_GAUGE_COUNT
} dl_gauge;

/* Counted by the master. */
typedef enum dl_event { DL_EVENT_RELOAD_OK, DL_EVENT_RELOAD_FAILED, DL_EVENT_WORKER_DIED, DL_EVENT_WORKER_REPLACED, DL_EVENT_COUNT } dl_event;

/* Of the whole service; the master's word. */
typedef enum dl_service_phase { DL_SERVICE_STARTING, DL_SERVICE_SERVING, DL_SERVICE_LOST_DATABASE, DL_SERVICE_DRAINING } dl_service_phase;

typedef struct dl_metrics dl_metrics;

/* For that many workers, 1 to DL_METRICS_WORKERS_MAX. NULL when the system has no
 * memory for it. Call it before fork; children use the same pointer. Memory is taken
 * as it is used: some 400 bytes for each route in each worker. */
dl_metrics *dl_metrics_new(uint32_t workers);

/* Ends this process' use of it. */
void dl_metrics_free(dl_metrics *metrics);

/* --- the master's part -------------------------------------------------------------- */

void dl_metrics_count_event(dl_metrics *metrics, dl_event event);
void dl_metrics_set_phase(dl_metrics *metrics, dl_service_phase phase);

/* The worker of that slot is no more: its gauges go to 0, its counters stay. */
void dl_metrics_worker_gone(dl_metrics *metrics, uint32_t slot);

/* --- a worker's part ---------------------------------------------------------------- */

struct dl_metrics_slot;

/* Its hold on its slot; private to the process. Zeroed: nothing is counted, and every
 * function below does nothing. */
typedef struct dl_metrics_writer {
  dl_metrics *metrics;
  struct dl_metrics_slot *slot;
  uint64_t followed[DL_COUNTER_COUNT];
  const char *reasons[DL_METRICS_REASONS_MAX]; /* met so far, by their places */
} dl_metrics_writer;

/* Takes over a slot, after the fork; only one process may have it at a time. */
void dl_metrics_open(dl_metrics_writer *writer, dl_metrics *metrics, uint32_t slot);

/* Whether this worker answers requests: after its listener listens, before it drains. */
void dl_metrics_set_ready(dl_metrics_writer *writer, bool ready);

void dl_metrics_count(dl_metrics_writer *writer, dl_counter counter);
/* For what somebody else counts: takes in what is new. A value below the last one is of
 * a counter that began anew. */
void dl_metrics_follow(dl_metrics_writer *writer, dl_counter counter, uint64_t value);
void dl_metrics_set(dl_metrics_writer *writer, dl_gauge gauge, uint64_t value);
/* A guard's reason, which is static text. */
void dl_metrics_count_reason(dl_metrics_writer *writer, const char *reason);
/* A request that is over, in the series of that number. */
void dl_metrics_count_request(dl_metrics_writer *writer, uint32_t series, int status, uint64_t microseconds);

/* The number of a route's series, the same in every worker and after every reload;
 * at load, not for each request. DL_SERIES_OTHER when there is no place. */
uint32_t dl_metrics_route(dl_metrics *metrics, dl_method method, dl_str path);

/* --- reading: any process, any time ------------------------------------------------- */

/* Every number below is of all workers together unless a slot is named. Numbers that
 * are read one after the other need not be of one moment. */
uint64_t dl_metrics_read_counter(const dl_metrics *metrics, dl_counter counter);
uint64_t dl_metrics_read_event(const dl_metrics *metrics, dl_event event);
uint32_t dl_metrics_slot_count(const dl_metrics *metrics);
uint64_t dl_metrics_read_gauge(const dl_metrics *metrics, uint32_t slot, dl_gauge gauge);
/* 0: nobody has it. */
pid_t dl_metrics_read_pid(const dl_metrics *metrics, uint32_t slot);
/* Series are 0 to count - 1; the name of a route's is "GET /users/{id}", of the others empty. A name is copied to room. */
uint32_t dl_metrics_series_count(const dl_metrics *metrics);
dl_str dl_metrics_series_name(const dl_metrics *metrics, uint32_t series, char room[DL_METRICS_NAME_BYTES]);
void dl_metrics_read_series(const dl_metrics *metrics, uint32_t series, dl_metrics_series *out);
/* Reasons are 0 to count - 1; the first is "other". */
uint32_t dl_metrics_reason_count(const dl_metrics *metrics);
dl_str dl_metrics_reason_name(const dl_metrics *metrics, uint32_t reason, char room[DL_METRICS_NAME_BYTES]);
uint64_t dl_metrics_read_reason(const dl_metrics *metrics, uint32_t reason);
/* Why the service takes no requests, "starting", "draining", "no worker is ready" or that a database is lost; NULL when it does. */
const char *dl_metrics_unready(const dl_metrics *metrics);

#endif
