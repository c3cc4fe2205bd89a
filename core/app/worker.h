/* SPDX-License-Identifier: MIT */
/*
 * A worker: one loop, its current generation, its connections, and what they
 * share: pools, the date line, scratch buffers, counters. Inside the app layer
 * everything reaches everything else through it.
 */
#ifndef DL_APP_WORKER_H
#define DL_APP_WORKER_H

#include "app/generation.h"
#include "app/metrics.h"
#include "app/queue.h"
#include "base/random.h"
#include "http/response.h"
#include "limit/redis.h"
#include "net/cidr.h"
#include "net/client_counts.h"
#include "net/deadline.h"
#include "net/listener.h"
#include "net/stream.h"
#include "net/tls_context.h"
#include "net/turn.h"

typedef struct dl_connection dl_connection;
typedef struct dl_exchange dl_exchange;

typedef enum dl_access_log { DL_ACCESS_LOG_OFF, DL_ACCESS_LOG_JSON, DL_ACCESS_LOG_TEXT } dl_access_log;

typedef struct dl_worker {
  dl_loop *loop;              /* borrowed */
  dl_generation *generation;  /* new requests begin in it */
  dl_generation *replaced;    /* older ones whose requests go on; each ends with its last request */
  dl_limit_redis_stats ended_stores; /* what stores of generations that are over counted; for metrics */
  dl_token_cache *tokens;        /* verified lately */
  struct dl_limit_table *limits; /* borrowed: what all workers count in */
  dl_access_log access_log;
  char *reload_problem;       /* why the last reload failed; NULL: it did not */
  bool development;           /* tracebacks in responses, inputs echoed */
  bool local;                 /* in dev, for this machine alone: by its names an app is asked whatever hosts it names, and by no others if it names none */
  bool draining;              /* answers say close; connections that stay idle are closed */
  dl_metrics_writer metrics;  /* its slot of what all workers count; zeroed: nothing is counted */
  dl_stream_pool buffers;
  dl_tls_context *tls;        /* held: for new connections of a TLS listener; NULL: none */
  int https_port;             /* where a redirecting listener sends people */
  dl_str hsts;                /* borrowed: a header line for what is sent under TLS, or empty */
  dl_http_date date;
  dl_buffer out;              /* responses of the connection that is being served */
  dl_connection *out_owner;
  dl_buffer scratch;          /* a body before its length is known */
  dl_buffer spare_body;       /* the room of the last large body, for the next one: new room has to be cleared by the system first */
  bool spare_body_used;       /* since the last sweep */
  dl_exchange *idle_exchanges;
  uint32_t idle_exchange_count, least_idle_exchanges; /* least: since the last sweep */
  dl_connection *connections;
  uint32_t connection_count, exchange_count;
  dl_client_counts clients;
  dl_deadlines idle_deadlines, head_deadlines, send_deadlines, linger_deadlines, last_call_deadlines;
  dl_deadlines body_deadlines, handler_deadlines;
  dl_queue queue;             /* for a turn in a handler */
  dl_turns turns;             /* of connections that have more to be served */
  uv_timer_t sweep_timer;
  uint64_t swept_us;          /* monotonic, when deadlines were last judged */
  bool sweep_put_off;         /* until what came meanwhile has been read */
  uint64_t request_count, password_count;
  uint32_t id_prefix;
  dl_random random;           /* names of traces */
  dl_trusted *trusted;        /* owned: the proxies of the command line; NULL: the plan's */
  bool proxy_protocol;        /* trusted proxies begin each connection with a PROXY header */
  uint64_t complained_us;     /* when the log was last told about a proxy, 0: never */
  void (*drained)(struct dl_worker *worker, void *owner); /* after dl_worker_drain, when nothing is left */
  void *owner;
} dl_worker;

/* loop and generation are borrowed; the worker begins idle. */
void dl_worker_init(dl_worker *worker, dl_loop *loop, dl_generation *generation);

/* Who may speak for others: the list of --trusted-proxies (NULL: what the app says;
 * "": nobody), and whether they do by the PROXY protocol. After dl_worker_init. NULL,
 * or a sentence, maybe in message. */
const char *dl_worker_set_proxies(dl_worker *worker, const char *trusted, bool proxy_protocol, char message[256]);

/* Connections from now on get this context, whose reference is taken over; those
 * that are there keep theirs. Before a listener of kind TLS accepts. */
void dl_worker_use_tls(dl_worker *worker, dl_tls_context *context);

/* For dl_listener.incoming and dl_listener.paused; listener->owner is the worker. Where nobody
 * can be taken, the connection gives way that has been silent for longest, and for a second. */
void dl_worker_accept(dl_listener *listener, int fd);
void dl_worker_pause(dl_listener *listener);

/* New requests begin in this generation from now on. The one before is stopped, ended
 * and freed by the worker as soon as no request of it is left. */
void dl_worker_replace_generation(dl_worker *worker, dl_generation *generation);

/* Ends a generation that never served, with the replaced ones. */
void dl_worker_forget_generation(dl_worker *worker, dl_generation *generation);

/* Ends and frees the replaced generations, finished or not. */
void dl_worker_end_replaced(dl_worker *worker);

/* Lets requests in flight finish, closes the rest, and calls drained. */
void dl_worker_drain(dl_worker *worker, void (*drained)(dl_worker *worker, void *owner), void *owner);

/* Whether no connection has anything in flight. */
bool dl_worker_is_idle(const dl_worker *worker);

/* Closes what is left at once. */
void dl_worker_abort_connections(dl_worker *worker);

/* Frees the pools; no connection may be left. */
void dl_worker_free(dl_worker *worker);

#endif
