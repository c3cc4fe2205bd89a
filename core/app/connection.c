/* SPDX-License-Identifier: MIT */
/*
 * One client's connection: bytes in, requests one after the other, responses out
 * in that order. It knows where a request ends and when to give up waiting; what
 * a request means is the pipeline's.
 */
#include "app/client.h"
#include "app/crowd.h"
#include "app/measure.h"

#include "base/memory.h"

enum {
  STATE_HEAD,    /* waiting for, or reading, a head */
  STATE_BODY,    /* reading a body for the pipeline */
  STATE_RUNNING, /* the pipeline has the request */
  STATE_DISCARD, /* answered early: the rest of the body is read and dropped */
  STATE_LINGER,  /* closing: the answer is on its way, what still comes is dropped */
  STATE_PROXY    /* waiting for, or reading, the PROXY header of a trusted proxy */
};

enum { DISCARD_MAX_BYTES = 65536, OUTPUT_FLUSH_BYTES = 65536, LINGER_US = 2000000, LAST_CALL_US = 1000000 };
enum { TURN_REQUESTS = 64, TURN_US = 1000, BODY_ROOM_BYTES = DL_STREAM_BUFFER_BYTES / 4 };

static void advance(dl_connection *connection);

/* --- output --------------------------------------------------------------------- */

dl_buffer *dl_connection_output(dl_connection *connection) {
  dl_worker *worker = connection->worker;
  if (worker->out_owner && worker->out_owner != connection) dl_connection_flush(worker->out_owner, (dl_str){0});
  worker->out_owner = connection;
  return &worker->out;
}

static void limit_sending(dl_connection *connection) {
  dl_worker *worker = connection->worker;
  dl_deadline_set(&worker->send_deadlines, &connection->deadline, worker->loop->clock.monotonic_us + worker->generation->plan->limits.send_timeout_us);
}

void dl_connection_flush(dl_connection *connection, dl_str body) {
  dl_worker *worker = connection->worker;
  dl_str head = {0};
  if (worker->out_owner == connection) {
    head = dl_buffer_str(&worker->out);
    worker->out_owner = NULL;
  }
  if (!connection->broken) dl_stream_send(&connection->stream, head, body);
  dl_buffer_clear(&worker->out);
  if (head.len + body.len && connection->stream.unsent_bytes && !connection->stream.closing) limit_sending(connection);
}

/* --- ending --------------------------------------------------------------------- */

static void end_exchange(dl_connection *connection) {
  if (!connection->exchange || connection->state == STATE_RUNNING) return;
  dl_exchange_end(connection->exchange);
  connection->exchange = NULL;
}

/* What it has not sent is dropped: who still owes an answer lingers instead. Who would
 * take a part of it for all of it learns by a reset. */
void dl_connection_close(dl_connection *connection) {
  dl_worker *worker = connection->worker;
  dl_deadline_clear(&connection->deadline);
  dl_turn_clear(&connection->turn);
  if (worker->out_owner == connection) {
    worker->out_owner = NULL;
    dl_buffer_clear(&worker->out);
  }
  end_exchange(connection);
  if (connection->ends_body && connection->stream.unsent_bytes) dl_stream_cut(&connection->stream);
  dl_stream_close(&connection->stream);
}

static void limit_linger(dl_connection *connection) {
  dl_worker *worker = connection->worker;
  dl_deadline_set(&worker->linger_deadlines, &connection->deadline, worker->loop->clock.monotonic_us + LINGER_US);
}

/* The last response leaves first, under the send deadline as any other; only then
 * does the client get its moment to stop sending. A broken connection has no more than
 * that moment for all. */
static void linger(dl_connection *connection) {
  dl_stream_cork(&connection->stream);
  dl_connection_flush(connection, (dl_str){0});
  if (connection->stream.closing) return;
  connection->state = STATE_LINGER;
  dl_stream_linger(&connection->stream);
  if (connection->stream.closing) return;
  if (connection->stream.unsent_bytes && !connection->broken) limit_sending(connection);
  else limit_linger(connection);
}

/* Nobody is answered any more, but who broke TLS is told so. */
static void end_broken(dl_connection *connection) {
  if (!connection->stream.alerting) {
    dl_connection_close(connection);
    return;
  }
  end_exchange(connection);
  linger(connection);
}

void dl_connection_finished(dl_connection *connection) {
  dl_exchange *exchange = connection->exchange;
  bool discard = exchange->request.has_body && !exchange->body_complete;
  bool close = exchange->close || (discard && exchange->refusal_lingers);
  connection->ends_behind_body = !exchange->body_came;
  dl_exchange_measure(exchange);
  if (exchange->elapsed_us >= TURN_US) connection->turn_requests = TURN_REQUESTS;
  connection->exchange = NULL;
  dl_exchange_end(exchange);
  connection->state = discard ? STATE_DISCARD : STATE_HEAD;
  if (!discard) dl_http_parser_reset(connection->parser);
  if (connection->broken) end_broken(connection);
  else if (close) linger(connection);
  else if (!connection->advancing) advance(connection);
}

/* While the worker drains, a client that does not know yet may be about to ask: its
 * request is answered, with "close", instead of being lost. */
static void limit_idle(dl_connection *connection) {
  dl_worker *worker = connection->worker;
  uint64_t now_us = connection->heard_us = worker->loop->clock.monotonic_us;
  if (worker->draining) dl_deadline_set(&worker->last_call_deadlines, &connection->deadline, now_us + LAST_CALL_US);
  else dl_deadline_set(&worker->idle_deadlines, &connection->deadline, now_us + worker->generation->plan->limits.idle_timeout_us);
}

/* --- who is announced ---------------------------------------------------------- */

/* From here on the bytes are the client's own. */
static void begin_requests(dl_connection *connection) {
  dl_worker *worker = connection->worker;
  connection->state = STATE_HEAD;
  dl_metrics_count(&worker->metrics, DL_COUNTER_CONNECTIONS_ACCEPTED);
  if (connection->secure) dl_stream_begin_tls(&connection->stream, worker->tls);
  limit_idle(connection);
}

/* Nothing can be answered to who does not speak the protocol: it is closed. */
static bool step_proxy(dl_connection *connection) {
  dl_stream *stream = &connection->stream;
  dl_address client;
  size_t consumed;
  dl_str bytes = dl_stream_bytes(stream);
  dl_proxy_result result = dl_proxy_protocol_read(bytes, &consumed, &client);
  if (result == DL_PROXY_MORE && !stream->ended) {
    dl_stream_read_start(stream);
    return false;
  }
  bool known = result != DL_PROXY_MORE && result != DL_PROXY_ERROR, taken = known && dl_client_announced(connection, result, &client);
  if (!known && bytes.len > 0) dl_client_complain(connection, "its connection did not begin with a PROXY header, which --proxy-protocol asks for");
  if (!taken) {
    dl_metrics_count(&connection->worker->metrics, known ? DL_COUNTER_CONNECTIONS_OVER_CLIENT : DL_COUNTER_CONNECTIONS_UNANNOUNCED);
    dl_connection_close(connection);
    return false;
  }
  stream->start += (uint32_t)consumed;
  begin_requests(connection);
  return !connection->secure; /* what is there already is not a request but TLS */
}

/* --- others' turns ---------------------------------------------------------------- */

static void on_turn(dl_turn *turn) {
  dl_connection *connection = (dl_connection *)(void *)((char *)turn - offsetof(dl_connection, turn));
  connection->turn_requests = 0;
  advance(connection);
}

/* Who sends many requests at once has a share of a turn as others have, by number and by time. */
static bool lets_others_first(dl_connection *connection) {
  dl_worker *worker = connection->worker;
  uint64_t turn_ms = uv_now(worker->loop->uv);
  if (connection->turn_ms != turn_ms) connection->turn_requests = 0;
  connection->turn_ms = turn_ms;
  if (connection->turn_requests++ < TURN_REQUESTS) return false;
  dl_turn_wait(&worker->turns, &connection->turn, on_turn);
  return true;
}

/* --- heads ---------------------------------------------------------------------- */

static void refuse(dl_connection *connection, int status, const char *reason) {
  dl_exchange *exchange = connection->exchange;
  if (connection->state == STATE_HEAD) {
    exchange->request = (dl_http_request){0}; /* what it holds is half a request, or another one's */
    exchange->head_only = dl_http_parser_is_head(connection->parser);
  }
  exchange->close = true;
  exchange->body_complete = exchange->body_came = true;
  dl_respond_error(exchange, status, dl_str_of(reason), (dl_str){0});
  dl_connection_finished(connection);
}

/* Nothing has arrived yet: the buffer goes back, only the connection stays. */
static bool wait_for_request(dl_connection *connection) {
  if (connection->exchange) {
    dl_exchange_end(connection->exchange);
    connection->exchange = NULL;
  }
  dl_connection_flush(connection, (dl_str){0});
  if (connection->stream.closing || connection->stream.unsent_bytes) return false;
  if (connection->stream.ended) {
    dl_connection_close(connection);
    return false;
  }
  dl_stream_release_buffer(&connection->stream);
  connection->timing_head = false;
  limit_idle(connection);
  dl_stream_read_start(&connection->stream);
  return false;
}

static bool wait_for_head(dl_connection *connection) {
  dl_worker *worker = connection->worker;
  dl_stream *stream = &connection->stream;
  if (stream->ended) {
    linger(connection);
    return false;
  }
  if (stream->filled == DL_STREAM_BUFFER_BYTES) {
    if (stream->start == 0) {
      refuse(connection, 431, "The request's head is too large");
      return true;
    }
    dl_stream_compact(stream, 0);
  }
  if (!connection->timing_head) {
    connection->timing_head = true;
    connection->heard_us = worker->loop->clock.monotonic_us;
    dl_deadline_set(&worker->head_deadlines, &connection->deadline, connection->heard_us + connection->exchange->plan->limits.header_timeout_us);
  }
  dl_stream_read_start(stream);
  return false;
}

static void begin_body(dl_connection *connection) {
  dl_exchange *exchange = connection->exchange;
  connection->state = STATE_BODY;
  if (!exchange->request.expect_continue || connection->stream.start < connection->stream.filled) return;
  DL_BUFFER_LITERAL(dl_connection_output(connection), "HTTP/1.1 100 Continue\r\n\r\n");
  dl_connection_flush(connection, (dl_str){0});
}

static void serve(dl_connection *connection) {
  connection->state = STATE_RUNNING;
  connection->exchange->body_complete = connection->exchange->body_came = true;
  dl_deadline_clear(&connection->deadline);
  dl_pipeline_serve(connection->exchange);
}

/* Chunks are not looked through for it, and who waits to be told to send it may mean its next request by what came. */
static bool has_body_come(const dl_connection *connection) {
  const dl_http_request *request = &connection->exchange->request;
  if (!request->has_body) return true;
  return !request->chunked && !request->expect_continue && dl_stream_bytes(&connection->stream).len >= request->content_length;
}

/* The pipeline has the exchange from here on: a client that goes away while it is refused does not end it. */
static void admit(dl_connection *connection) {
  connection->state = STATE_RUNNING;
  connection->exchange->body_came = has_body_come(connection);
  switch (dl_pipeline_admit(connection->exchange)) {
    case DL_REFUSED: dl_connection_finished(connection); break;
    case DL_UNDECIDED: break;
    case DL_ADMITTED:
      if (connection->exchange->request.has_body) begin_body(connection);
      else serve(connection);
      break;
  }
}

void dl_connection_readmit(dl_connection *connection) {
  connection->advancing = true;
  connection->body_began_us = connection->worker->loop->clock.monotonic_us;
  admit(connection);
  connection->advancing = false;
  advance(connection);
}

/* A body passes through what its head leaves of the buffer. Where requests before it
 * took most of that, there would be a read for every few bytes of it, or no room at all. */
static dl_http_result read_head(dl_connection *connection, size_t *consumed) {
  dl_stream *stream = &connection->stream;
  dl_exchange *exchange = connection->exchange;
  dl_http_result result = dl_http_parser_head(connection->parser, dl_stream_bytes(stream), &exchange->arena, &exchange->request, consumed);
  if (result != DL_HTTP_DONE || !exchange->request.has_body || stream->start == 0) return result;
  if (DL_STREAM_BUFFER_BYTES - stream->start - *consumed >= BODY_ROOM_BYTES) return result;
  dl_stream_compact(stream, 0);
  dl_http_parser_reset(connection->parser);
  return dl_http_parser_head(connection->parser, dl_stream_bytes(stream), &exchange->arena, &exchange->request, consumed);
}

static bool step_head(dl_connection *connection) {
  dl_stream *stream = &connection->stream;
  if (connection->worker->out.len > OUTPUT_FLUSH_BYTES) dl_connection_flush(connection, (dl_str){0});
  if (stream->unsent_bytes) return false;
  if (stream->start == stream->filled) return wait_for_request(connection);
  if (lets_others_first(connection)) return false;
  if (!connection->exchange) connection->exchange = dl_exchange_begin(connection->worker, connection);
  dl_exchange *exchange = connection->exchange;
  size_t consumed = 0;
  dl_http_result result = read_head(connection, &consumed);
  if (result == DL_HTTP_MORE) return wait_for_head(connection);
  if (result == DL_HTTP_ERROR) {
    refuse(connection, dl_http_parser_status(connection->parser), dl_http_parser_reason(connection->parser));
    return true;
  }
  stream->start += (uint32_t)consumed;
  connection->keep = stream->start;
  connection->body_taken = 0;
  connection->timing_head = false;
  dl_deadline_clear(&connection->deadline);
  exchange->started_us = connection->body_began_us = connection->worker->loop->clock.monotonic_us;
  exchange->close = !exchange->request.keep_alive || connection->worker->draining;
  exchange->head_only = exchange->request.method == DL_METHOD_HEAD;
  exchange->body_complete = !exchange->request.has_body;
  exchange->refusal_lingers = exchange->request.expect_continue || exchange->request.content_length > DISCARD_MAX_BYTES;
  admit(connection);
  return true;
}

/* --- bodies --------------------------------------------------------------------- */

/* Of a body that is kept what came faster than it had to gives no time on credit, or who
 * sends most of it at once would have it kept for hours; began moves on instead. */
static void limit_body(dl_connection *connection) {
  dl_worker *worker = connection->worker;
  const dl_plan_limits *limits = &worker->generation->plan->limits;
  uint64_t now_us = connection->heard_us = worker->loop->clock.monotonic_us;
  uint64_t earned_us = limits->min_body_rate ? connection->body_taken * 1000000 / limits->min_body_rate : now_us - connection->body_began_us;
  if (connection->state == STATE_BODY && connection->body_began_us + earned_us > now_us) connection->body_began_us = now_us - earned_us;
  dl_deadline_set(&worker->body_deadlines, &connection->deadline, connection->body_began_us + limits->body_timeout_us + earned_us);
}

/* While answers before it wait to be sent their deadline runs, which no byte of the body moves. */
static bool wait_for_body(dl_connection *connection) {
  dl_stream *stream = &connection->stream;
  if (stream->ended) {
    if (connection->state == STATE_BODY) refuse(connection, 400, "The connection ended before the body did");
    else linger(connection);
    return true;
  }
  dl_stream_compact(stream, connection->state == STATE_DISCARD ? 0 : connection->keep);
  if (connection->state == STATE_BODY && stream->filled == DL_STREAM_BUFFER_BYTES) {
    refuse(connection, 431, "The request's head is too large");
    return true;
  }
  dl_connection_flush(connection, (dl_str){0});
  if (!stream->unsent_bytes && !stream->closing) limit_body(connection);
  dl_stream_read_start(stream);
  return false;
}

/* Takes what has arrived of the body; DONE, MORE or ERROR (answered). */
static dl_http_result take_body(dl_connection *connection, dl_buffer *body, uint64_t max_bytes) {
  dl_stream *stream = &connection->stream;
  while (true) {
    dl_str data = {0};
    size_t consumed = 0;
    dl_http_result result = dl_http_parser_body(connection->parser, dl_stream_bytes(stream), &data, &consumed);
    stream->start += (uint32_t)consumed;
    connection->body_taken += data.len;
    if (result == DL_HTTP_ERROR || connection->body_taken > max_bytes) return DL_HTTP_ERROR;
    if (body && !dl_exchange_reserve_body(connection->exchange, data.len)) {
      connection->exchange->starved = true;
      return DL_HTTP_ERROR;
    }
    if (body) dl_buffer_append_str(body, data);
    if (result == DL_HTTP_DONE || consumed == 0 || stream->start == stream->filled) return result;
  }
}

/* The one that asks for much is refused, and gives back what it has: the others go on. */
static void refuse_starved(dl_connection *connection) {
  dl_exchange *exchange = connection->exchange;
  dl_log *log = &connection->worker->loop->log;
  if (dl_log_begin(log, DL_LOG_WARNING, DL_STR("there was no memory for a request's body; it was answered 503"))) {
    dl_request_log(&exchange->view, log);
    dl_log_field_int(log, "body_bytes", (int64_t)connection->body_taken);
    dl_log_end(log);
  }
  dl_buffer_free(&exchange->body);
  refuse(connection, 503, "The server has no memory for this body at the moment");
}

static bool step_body(dl_connection *connection) {
  dl_exchange *exchange = connection->exchange;
  dl_stream *stream = &connection->stream;
  const dl_http_request *request = &exchange->request;
  dl_str bytes = dl_stream_bytes(stream);
  if (!request->chunked && connection->body_taken == 0 && bytes.len >= request->content_length) {
    exchange->body_bytes = dl_str_from(bytes.ptr, request->content_length);
    stream->start += (uint32_t)request->content_length;
    serve(connection);
    return true;
  }
  uint64_t max_bytes = exchange->route ? exchange->route->max_body_bytes : exchange->plan->limits.max_body_bytes;
  switch (take_body(connection, &exchange->body, max_bytes)) {
    case DL_HTTP_MORE: return wait_for_body(connection);
    case DL_HTTP_DONE:
      exchange->body_bytes = dl_buffer_str(&exchange->body);
      serve(connection);
      return true;
    default:
      if (exchange->starved) refuse_starved(connection);
      else if (connection->body_taken > max_bytes) refuse(connection, 413, "The body is too large");
      else refuse(connection, dl_http_parser_status(connection->parser), dl_http_parser_reason(connection->parser));
      return true;
  }
}

static bool step_discard(dl_connection *connection) {
  switch (take_body(connection, NULL, DISCARD_MAX_BYTES)) {
    case DL_HTTP_MORE: return wait_for_body(connection);
    case DL_HTTP_DONE:
      if (connection->ends_behind_body) break;
      connection->state = STATE_HEAD;
      dl_http_parser_reset(connection->parser);
      return true;
    default: break;
  }
  linger(connection);
  return false;
}

static void advance(dl_connection *connection) {
  bool more = true;
  if (connection->advancing || connection->turn.next) return;
  connection->advancing = true;
  while (more && !connection->stream.closing) {
    switch (connection->state) {
      case STATE_HEAD: more = step_head(connection); break;
      case STATE_BODY: more = step_body(connection); break;
      case STATE_DISCARD: more = step_discard(connection); break;
      case STATE_PROXY: more = step_proxy(connection); break;
      default: more = false;
    }
  }
  connection->advancing = false;
  if (connection->worker->out_owner == connection) dl_connection_flush(connection, (dl_str){0});
}

/* --- events --------------------------------------------------------------------- */

static void on_data(dl_stream *stream) {
  dl_connection *connection = (dl_connection *)stream;
  dl_clock_update(&connection->worker->loop->clock);
  advance(connection);
}

static void on_ended(dl_stream *stream) {
  dl_connection *connection = (dl_connection *)stream;
  on_data(stream);
  if (connection->state == STATE_RUNNING && connection->exchange) dl_queue_client_ended(connection->exchange);
}

static void on_drained(dl_stream *stream) {
  dl_connection *connection = (dl_connection *)stream;
  dl_exchange *exchange = connection->exchange;
  dl_clock_update(&connection->worker->loop->clock);
  dl_deadline_clear(&connection->deadline); /* it was the sender's; who waits for something else says so again */
  connection->timing_head = false;
  if (connection->state == STATE_RUNNING && exchange->task) dl_handle_drained(exchange);
  else if (connection->state == STATE_LINGER) limit_linger(connection);
  else advance(connection);
}

/* Ends an exchange whose handler has not begun; nobody is there to be answered. */
static void forgo(dl_connection *connection) {
  dl_pipeline_forgo(connection->exchange);
  dl_connection_finished(connection);
}

static void on_failed(dl_stream *stream) {
  dl_connection *connection = (dl_connection *)stream;
  if (connection->broken) return;
  connection->broken = true;
  bool answering = connection->advancing; /* its answer is being sent: who sends it ends the exchange */
  if (connection->state == STATE_RUNNING && !connection->exchange->task && answering) return;
  if (connection->state == STATE_RUNNING && !connection->exchange->task) forgo(connection);
  else if (connection->state == STATE_RUNNING) dl_handle_drained(connection->exchange);
  else end_broken(connection);
}

static void on_closed(dl_stream *stream) {
  dl_connection *connection = (dl_connection *)stream;
  dl_worker *worker = connection->worker;
  dl_deadline_clear(&connection->deadline); /* a stream that lingered closes by itself */
  dl_turn_clear(&connection->turn);
  if (connection->previous) connection->previous->next = connection->next;
  else worker->connections = connection->next;
  if (connection->next) connection->next->previous = connection->previous;
  if (connection->exchange) dl_exchange_end(connection->exchange);
  dl_client_counts_remove(&worker->clients, connection->client_hash);
  worker->connection_count--;
  dl_listener_resume(worker->loop);
  dl_http_parser_free(connection->parser);
  dl_free(connection);
  if (worker->draining && worker->connection_count == 0 && worker->drained) worker->drained(worker, worker->owner);
}

static const dl_stream_events stream_events = {on_data, on_ended, on_drained, on_failed, on_closed};

static dl_connection *connection_of(dl_deadline *deadline) { return (dl_connection *)(void *)((char *)deadline - offsetof(dl_connection, deadline)); }

void dl_connection_idle_expired(dl_deadline *deadline) { dl_connection_close(connection_of(deadline)); }

void dl_connection_head_expired(dl_deadline *deadline) {
  dl_connection *connection = connection_of(deadline);
  if (connection->state != STATE_PROXY) {
    refuse(connection, 408, "The request's head did not arrive in time");
    return;
  }
  dl_metrics_count(&connection->worker->metrics, DL_COUNTER_CONNECTIONS_UNANNOUNCED);
  dl_connection_close(connection);
}

void dl_connection_body_expired(dl_deadline *deadline) {
  dl_connection *connection = connection_of(deadline);
  if (connection->state == STATE_BODY) refuse(connection, 408, "The body did not arrive in time");
  else dl_connection_close(connection);
}

/* A reader that took something since the last look gets as long again. */
void dl_connection_send_expired(dl_deadline *deadline) {
  dl_connection *connection = connection_of(deadline);
  dl_worker *worker = connection->worker;
  size_t queued = uv_stream_get_write_queue_size(&connection->stream.uv.stream);
  if (queued && queued != connection->queued_seen) {
    connection->queued_seen = queued;
    dl_deadline_set(&worker->send_deadlines, deadline, worker->loop->clock.monotonic_us + worker->generation->plan->limits.send_timeout_us);
    return;
  }
  on_failed(&connection->stream);
}

/* --- beginning ------------------------------------------------------------------ */

void dl_connection_accept(dl_worker *worker, const dl_listener *listener, int fd) {
  const dl_plan_limits *limits = &worker->generation->plan->limits;
  dl_connection *connection = dl_calloc(1, sizeof *connection);
  connection->worker = worker;
  connection->next = worker->connections;
  if (connection->next) connection->next->previous = connection;
  worker->connections = connection;
  worker->connection_count++;
  connection->redirects = listener->kind == DL_LISTENER_REDIRECT;
  dl_clock_update(&worker->loop->clock);
  connection->secure = listener->kind == DL_LISTENER_TLS;
  int error = dl_stream_accept(&connection->stream, listener, fd, &worker->buffers, NULL, &stream_events);
  bool over_client = !dl_client_connected(connection);
  bool full = !error && !over_client && limits->max_connections && dl_client_counts_all(&worker->clients) > limits->max_connections;
  bool over_total = full && !dl_crowd_make_room(worker, 0);
  bool capped = over_total || over_client;
  if (error || capped || worker->draining) {
    dl_metrics_count(&worker->metrics, error              ? DL_COUNTER_CONNECTIONS_FAILED
                                       : worker->draining ? DL_COUNTER_CONNECTIONS_DRAINING
                                       : over_total       ? DL_COUNTER_CONNECTIONS_OVER_TOTAL
                                                          : DL_COUNTER_CONNECTIONS_OVER_CLIENT);
    dl_connection_close(connection);
    return;
  }
  connection->parser = dl_http_parser_new(&limits->http);
  if (dl_client_is_announced(connection)) {
    connection->state = STATE_PROXY;
    connection->heard_us = worker->loop->clock.monotonic_us;
    dl_deadline_set(&worker->head_deadlines, &connection->deadline, connection->heard_us + limits->header_timeout_us);
    return;
  }
  begin_requests(connection);
}

bool dl_connection_is_idle(const dl_connection *connection) {
  bool waits = connection->state == STATE_HEAD || connection->state == STATE_PROXY;
  return waits && !connection->exchange && connection->stream.unsent_bytes == 0;
}

void dl_connection_drain(dl_connection *connection) {
  if (dl_connection_is_idle(connection)) limit_idle(connection);
  else if (connection->exchange) connection->exchange->close = true;
}

void dl_connection_abort(dl_connection *connection) {
  if (connection->state != STATE_RUNNING) {
    dl_connection_close(connection);
    return;
  }
  if (connection->exchange->task) {
    dl_handle_abort(connection->exchange);
    return;
  }
  connection->broken = true;
  forgo(connection);
}
