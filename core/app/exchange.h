/* SPDX-License-Identifier: MIT */
/*
 * An exchange: one request and its response, from the first byte of the head to
 * the last function that runs after the response. Pooled by the worker; its arena
 * is emptied between requests and never given back.
 */
#ifndef DL_APP_EXCHANGE_H
#define DL_APP_EXCHANGE_H

#include "app/worker.h"
#include "net/cidr.h"

enum { DL_LIMIT_PLACES = 3 };

typedef enum dl_counting { DL_COUNTING_NOT_ASKED, DL_COUNTING_ANSWERED, DL_COUNTING_FAILED } dl_counting;

/* Of what a step asks Lua: it runs in the call above, then it is waited for; and what came of it. */
typedef enum dl_asking { DL_ASKING_NOTHING, DL_ASKING_BEGINS, DL_ASKING_WAITS, DL_ASKING_ANSWERED, DL_ASKING_FAILED, DL_ASKING_LATE } dl_asking;

typedef struct dl_question dl_question;

typedef enum dl_phase { DL_PHASE_HANDLER, DL_PHASE_KEEP, DL_PHASE_STREAM, DL_PHASE_AFTER } dl_phase;

/* A handler that is cancelled has so long to end; an answer so long to be kept. */
enum { DL_HANDLER_GRACE_US = 5000000, DL_KEEP_US = 10000000, DL_STUCK_GRACE_US = 1000000 /* behind its deadline, for who runs without ever waiting */ };

/* An answer as it is kept: what every copy of it has in common. */
typedef struct dl_answer {
  int status;
  dl_str fields; /* header lines, CRLF ended */
  dl_str body;
} dl_answer;

struct dl_exchange {
  dl_request_view view;      /* what Lua sees; first, so that one is the other */
  dl_worker *worker;
  dl_connection *connection;
  dl_generation *generation;
  const dl_plan *plan;
  const dl_route *route;     /* NULL before routing, and for 404 and its like */
  dl_arena arena;
  dl_http_request request;
  dl_route_match match;
  dl_validation validation;
  dl_buffer body;            /* a body that did not lie in the read buffer whole */
  dl_str body_bytes;
  dl_guard_context guard;    /* what the guard was asked with */
  dl_limit_result limit_results[DL_LIMIT_PLACES]; /* by client, by principal, by API key */
  uint64_t password_serial;  /* which verification it waits for; 0: none */
  dl_limit_query *limit_query; /* what the store is being asked */
  dl_limit_result limit_answer; /* what it said */
  const dl_question *question; /* what Lua is being asked before the handler; else NULL */
  dl_task *ask_task;         /* which finds it out; else NULL */
  uint8_t asking;            /* dl_asking */
  uint8_t step;              /* of dl_pipeline_admit: the one that is undecided */
  uint8_t counting;          /* dl_counting, of that step */
  dl_fair_node queue_place;  /* queue.h: among those who wait */
  dl_task *task;             /* NULL before the handler begins */
  dl_deadline deadline;      /* of waiting for the handler, then of the handler */
  dl_ticket write_ticket;    /* a streaming handler that waits for the client to read */
  uint64_t started_us;
  uint64_t elapsed_us;       /* set when it is finished */
  uint32_t turn_bytes;       /* what a stream wrote since others had their turn, and what its pieces cost */
  uint64_t sent_bytes;       /* of the response's body */
  uint32_t after_done;       /* how many after_response functions have run */
  bool runs_afters;          /* these, or release functions, are being run one after the other */
  bool after_ended;          /* the one of them that ran last has ended */
  int status;                /* 0 until a response was begun */
  dl_answer answer;          /* while view.keeps_answer: what is kept and then sent */
  uint8_t phase;             /* dl_phase: whose turn the task has */
  bool password_refused;     /* it gave way to another client's while it waited */
  bool head_only;            /* HEAD: everything but the body */
  bool starved;              /* there was no memory for its body */
  bool body_complete;        /* the request's body was read to its end */
  bool body_came;            /* or lies behind its head, where nobody has to wait for it */
  bool refusal_lingers;      /* behind an answer before either the rest is too long to drop */
  bool queued;               /* it waits for its turn */
  bool in_handler;           /* it counts as running */
  bool forbidden;            /* the guard knows who asks, and that they may not */
  bool timed_out;            /* the handler's deadline passed: 504 whatever it says now */
  bool waits_for_drain;      /* the response must leave before release functions run */
  bool sets_cookie;          /* what the handler gave does: it is for one client, unless it says itself what caches may do */
  bool close;                /* the connection ends with this response */
  bool succeeded;            /* the handler returned and its result was sent */
  bool streaming;            /* the head is out, the handler writes the body */
  bool chunked;              /* the stream is chunked; otherwise close ends it */
  char id_text[20];
  dl_exchange *next_idle;
};

/* From the pool, with the current generation, ready for parsing. */
dl_exchange *dl_exchange_begin(dl_worker *worker, dl_connection *connection);

/* Its answer is out: how long that took, its line in the access log, and the metrics. */
void dl_exchange_measure(dl_exchange *exchange);

/* Back to the pool. Forgets everything. */
void dl_exchange_end(dl_exchange *exchange);

/* Makes room for so many bytes more in its body; false: there is no memory. */
bool dl_exchange_reserve_body(dl_exchange *exchange, size_t more);

/* Empties the pool. */
void dl_exchange_free_idle(dl_worker *worker);

/* Frees what nobody needed since it was last called: those of the pool but for a few, and the
 * room of a large body. Gives how many of the pool. */
uint32_t dl_exchange_give_back(dl_worker *worker);

/* One line for this exchange in the access log, if that is on. */
void dl_access_log_write(dl_exchange *exchange);

/* --- pipeline.c ---------------------------------------------------------------- */

typedef enum dl_admission {
  DL_ADMITTED,
  DL_REFUSED,  /* a response was sent instead */
  DL_UNDECIDED /* it waits for a password or a store: dl_connection_readmit is called later */
} dl_admission;

/* Steps 3 to 10 with the head alone. A step that was undecided is asked again, and
 * those after it, when this is called once more. */
dl_admission dl_pipeline_admit(dl_exchange *exchange);

/* Takes back what an exchange whose handler has not begun waits for. */
void dl_pipeline_forgo(dl_exchange *exchange);

/* Steps 11 to 14, with the body complete. Calls dl_connection_finished in the end,
 * maybe before it returns. */
void dl_pipeline_serve(dl_exchange *exchange);

/* --- respond.c ------------------------------------------------------------------ */

/* A whole response. fields: header lines, CRLF ended; content_type may be empty.
 * While view.keeps_answer it is not sent but becomes the exchange's answer. */
void dl_respond(dl_exchange *exchange, int status, dl_str content_type, dl_str fields, dl_str body);

/* Likewise, but no cache may keep it unless fields say so: what one client was refused is not for others. */
void dl_respond_refusal(dl_exchange *exchange, int status, dl_str content_type, dl_str fields, dl_str body);

/* A page of our own. */
void dl_respond_page(dl_exchange *exchange, int status, dl_str html);

/* A refusal with {"detail": text}. */
void dl_respond_error(dl_exchange *exchange, int status, dl_str detail, dl_str fields);

/* 412: the version that the client wants is not the one that there is. */
void dl_respond_other_version(dl_exchange *exchange);

/* 304, 412 or the file. */
void dl_respond_file(dl_exchange *exchange, const dl_file *file);

/* The JSON text in worker->scratch with the route's own status and fields. */
void dl_respond_scratch_json(dl_exchange *exchange);

/* The exchange's answer; replayed: another request's, which says so. */
void dl_respond_answer(dl_exchange *exchange, bool replayed);

/* A stream's head, its pieces, its end. */
void dl_respond_stream_begin(dl_exchange *exchange, int status, dl_str fields);
void dl_respond_stream_write(dl_exchange *exchange, dl_str piece);
void dl_respond_stream_end(dl_exchange *exchange);

/* --- handle.c, result.c -------------------------------------------------------- */

/* Runs the route's function in a task. */
void dl_handle(dl_exchange *exchange);

/* The connection's queue is empty, or it will never be (broken). */
void dl_handle_drained(dl_exchange *exchange);

/* Ends it now: what waits fails, and what then still waits is left where it stands. */
void dl_handle_abort(dl_exchange *exchange);

/* Answers with what lies on the task's stack: the handler's result, or its error.
 * False when the result is a stream, whose function was left on top of the stack. */
bool dl_result_send(dl_exchange *exchange, lua_State *co);
void dl_result_send_error(dl_exchange *exchange, lua_State *co);

/* A 500 with everything hidden but the request id, or in dev with the traceback. */
void dl_result_send_failure(dl_exchange *exchange, dl_str message, dl_str traceback);

/* --- connection.c --------------------------------------------------------------- */

struct dl_connection {
  dl_stream stream; /* first, so that one is the other */
  dl_worker *worker;
  dl_http_parser *parser;
  dl_exchange *exchange;
  dl_connection *previous, *next;
  dl_deadline deadline;
  dl_turn turn;           /* it has more requests, and waits until others had their turn */
  uint64_t turn_ms;       /* libuv's time, which stands still within a turn of the loop, */
  uint32_t turn_requests; /* and how many requests were served in it */
  uint64_t body_taken;    /* bytes of the current body that were consumed */
  uint64_t body_began_us; /* from which its deadline is counted */
  uint64_t heard_us;      /* when it was last begun to wait for what comes from it */
  uint64_t client_hash;
  uint32_t keep;          /* read buffer bytes that the current request's slices lie in */
  uint8_t state;          /* connection.c */
  bool advancing;         /* dl_connection_advance is on the stack */
  bool timing_head;       /* the head deadline runs: more bytes do not move it */
  size_t queued_seen;     /* what waited to be sent when the send deadline was last looked at */
  bool secure;            /* came to a port that speaks TLS */
  bool redirects;         /* came without TLS to the port that sends people to the one with it */
  bool broken;            /* reset by the peer: nothing can be sent any more */
  bool ends_body;         /* its end is that of the body that is being sent */
  bool ends_behind_body;  /* what it said of its end with an answer that left before the body had come */
  bool unnamed;           /* its PROXY header named no address: nobody on it is trusted */
  bool named;             /* its PROXY header named another than the other end */
  uint8_t client_len;
  char client[DL_ADDRESS_TEXT_BYTES]; /* the other end, or whom its PROXY header named */
  dl_address address;     /* the same */
  dl_address peer;        /* the other end */
};

/* The exchange is over, its response sent or queued. */
void dl_connection_finished(dl_connection *connection);

/* What dl_pipeline_admit waits for is there: it is called once more. */
void dl_connection_readmit(dl_connection *connection);

/* The worker's output buffer, for this connection's bytes; flush sends them. */
dl_buffer *dl_connection_output(dl_connection *connection);
void dl_connection_flush(dl_connection *connection, dl_str body);

/* Begins with a connection that the listener took; fd is the connection's. */
void dl_connection_accept(dl_worker *worker, const dl_listener *listener, int fd);
void dl_connection_close(dl_connection *connection);

/* Whether it waits for a request of which nothing has come, and all answers are out. */
bool dl_connection_is_idle(const dl_connection *connection);

/* Idle ones close now, busy ones after their response. */
void dl_connection_drain(dl_connection *connection);

/* Closes now; a handler that still runs is cancelled first. */
void dl_connection_abort(dl_connection *connection);

/* The callbacks of the worker's deadline lists. */
void dl_connection_idle_expired(dl_deadline *deadline);
void dl_connection_head_expired(dl_deadline *deadline);
void dl_connection_body_expired(dl_deadline *deadline);
void dl_connection_send_expired(dl_deadline *deadline);
void dl_handle_expired(dl_deadline *deadline);

#endif
