/* SPDX-License-Identifier: MIT */
/*
 * Responses as bytes, into the worker's output buffer. A response is written whole
 * before anything of it is sent, so that its length is always known; streams are
 * the exception, and are chunked.
 */
#include "app/exchange.h"

#include "http/conditional.h"

/* Bodies over this go to the kernel from where they lie instead of being copied. */
enum { COPY_MAX_BYTES = 16384 };

enum { ANSWER_MAX_BYTES = 16 << 20 }; /* a kept one must be read back, whole */

/* A front may take an answer for the end of the exchange and send somebody else's request
 * where the rest of the body is awaited: no connection outlives an answer that comes before. */
static bool closes(const dl_exchange *exchange) { return exchange->close || !exchange->body_came; }

static void append_length(dl_buffer *out, uint64_t length) {
  DL_BUFFER_LITERAL(out, "Content-Length: ");
  dl_buffer_append_uint(out, length);
  DL_BUFFER_LITERAL(out, "\r\n");
}

/* An HTTP/1.0 client keeps the connection only when it is told so. */
static void append_connection(dl_exchange *exchange, dl_buffer *out) {
  if (closes(exchange)) DL_BUFFER_LITERAL(out, "Connection: close\r\n");
  else if (exchange->request.version_minor == 0) DL_BUFFER_LITERAL(out, "Connection: keep-alive\r\n");
}

static void append_body(dl_exchange *exchange, dl_buffer *out, dl_str body) {
  if (exchange->head_only) return;
  exchange->sent_bytes = body.len;
  if (body.len <= COPY_MAX_BYTES) dl_buffer_append_str(out, body);
  else dl_connection_flush(exchange->connection, body);
}

/* Only where TLS protects it from being made up (RFC 6797 7.2), and once: fields are what this one response says itself. */
static void append_hsts(dl_exchange *exchange, dl_buffer *out, dl_str fields) {
  bool own = exchange->route && exchange->route->own_hsts;
  if (own || !dl_stream_is_secure(&exchange->connection->stream)) return;
  dl_http_header_lines_except(out, exchange->worker->hsts, fields);
}

/* What limits and cors have to say, behind a head that begins at `head`. */
static void append_access_fields(dl_exchange *exchange, dl_buffer *out, size_t head, dl_str fields) {
  dl_buffer_append_str(out, exchange->view.access_fields);
  if (fields.len || (exchange->route && exchange->route->varies)) dl_http_join_vary(out, head);
}

static void finish_head(dl_exchange *exchange, dl_buffer *out, bool has_length, uint64_t length) {
  dl_worker *worker = exchange->worker;
  dl_buffer_append_str(out, dl_http_date_line(&worker->date, &worker->loop->clock));
  if (has_length) append_length(out, length);
  append_connection(exchange, out);
  DL_BUFFER_LITERAL(out, "\r\n");
}

static dl_str refusal_fields(const dl_exchange *exchange) {
  return exchange->route ? exchange->route->refusal_fields : exchange->plan->refusal_fields;
}

/* A cookie is for whom it is sent to, whatever the route lets caches keep of its other answers. */
static dl_str declared_fields(const dl_exchange *exchange) {
  if (exchange->sets_cookie) return refusal_fields(exchange);
  return exchange->route ? exchange->route->fields : exchange->plan->fields;
}

static void append_fields(dl_buffer *out, dl_str content_type, dl_str declared, dl_str fields) {
  if (content_type.len) dl_http_header_line(out, DL_STR("Content-Type"), content_type);
  if (fields.len) dl_http_header_lines_except(out, declared, fields);
  else dl_buffer_append_str(out, declared);
  dl_buffer_append_str(out, fields);
}

static dl_buffer *begin_with(dl_exchange *exchange, int status, dl_str content_type, dl_str declared, dl_str fields) {
  dl_buffer *out = dl_connection_output(exchange->connection);
  size_t head = out->len;
  exchange->status = status;
  dl_http_status_line(out, status);
  append_fields(out, content_type, declared, fields);
  append_hsts(exchange, out, fields);
  append_access_fields(exchange, out, head, fields);
  return out;
}

/* What belongs to this one request and its connection is left out: Date, limits, origins. */
static void keep(dl_exchange *exchange, int status, dl_str content_type, dl_str declared, dl_str fields, dl_str body) {
  if (body.len > ANSWER_MAX_BYTES) {
    dl_result_send_failure(exchange, DL_STR("an idempotent route's answer can have at most 16 MiB, for it is kept"), (dl_str){0});
    return;
  }
  dl_buffer lines = {0};
  bool has_body = dl_http_status_has_body(status);
  append_fields(&lines, has_body ? content_type : (dl_str){0}, declared, fields);
  exchange->status = status;
  exchange->answer.status = status;
  exchange->answer.fields = dl_arena_copy(&exchange->arena, dl_buffer_str(&lines));
  exchange->answer.body = has_body ? dl_arena_copy(&exchange->arena, body) : (dl_str){0};
  dl_buffer_free(&lines);
}

void dl_respond_answer(dl_exchange *exchange, bool replayed) {
  const dl_answer *answer = &exchange->answer;
  dl_buffer *out = begin_with(exchange, answer->status, (dl_str){0}, (dl_str){0}, answer->fields);
  bool has_body = dl_http_status_has_body(answer->status);
  if (replayed) DL_BUFFER_LITERAL(out, "Idempotent-Replayed: true\r\n");
  finish_head(exchange, out, dl_http_status_has_length(answer->status), answer->body.len);
  if (has_body) append_body(exchange, out, answer->body);
}

static void respond_with(dl_exchange *exchange, int status, dl_str content_type, dl_str declared, dl_str fields, dl_str body) {
  if (exchange->view.keeps_answer) {
    keep(exchange, status, content_type, declared, fields, body);
    return;
  }
  bool has_body = dl_http_status_has_body(status);
  dl_buffer *out = begin_with(exchange, status, has_body ? content_type : (dl_str){0}, declared, fields);
  finish_head(exchange, out, dl_http_status_has_length(status), has_body ? body.len : 0);
  if (has_body) append_body(exchange, out, body);
}

void dl_respond(dl_exchange *exchange, int status, dl_str content_type, dl_str fields, dl_str body) {
  respond_with(exchange, status, content_type, declared_fields(exchange), fields, body);
}

void dl_respond_refusal(dl_exchange *exchange, int status, dl_str content_type, dl_str fields, dl_str body) {
  respond_with(exchange, status, content_type, refusal_fields(exchange), fields, body);
}

void dl_respond_page(dl_exchange *exchange, int status, dl_str html) {
  static const dl_str type = DL_STR("text/html; charset=utf-8");
  if (exchange->view.keeps_answer) {
    keep(exchange, status, type, exchange->plan->page_fields, (dl_str){0}, html);
    return;
  }
  dl_buffer *out = begin_with(exchange, status, type, exchange->plan->page_fields, (dl_str){0});
  finish_head(exchange, out, true, html.len);
  append_body(exchange, out, html);
}

void dl_respond_error(dl_exchange *exchange, int status, dl_str detail, dl_str fields) {
  dl_buffer *scratch = &exchange->worker->scratch;
  dl_buffer_clear(scratch);
  DL_BUFFER_LITERAL(scratch, "{\"detail\":");
  dl_buffer_append_json_string(scratch, detail);
  DL_BUFFER_LITERAL(scratch, "}");
  dl_respond_refusal(exchange, status, DL_STR("application/json"), fields, dl_buffer_str(scratch));
}

void dl_respond_scratch_json(dl_exchange *exchange) {
  dl_str body = dl_buffer_str(&exchange->worker->scratch);
  const dl_route *route = exchange->route;
  if (exchange->view.keeps_answer) {
    keep(exchange, route->status, DL_STR("application/json"), route->fields, (dl_str){0}, body);
    return;
  }
  dl_buffer *out = dl_connection_output(exchange->connection);
  size_t head = out->len;
  bool has_body = dl_http_status_has_body(route->status);
  exchange->status = route->status;
  dl_buffer_append_str(out, route->json_head);
  append_hsts(exchange, out, (dl_str){0});
  append_access_fields(exchange, out, head, (dl_str){0});
  finish_head(exchange, out, dl_http_status_has_length(route->status), has_body ? body.len : 0);
  if (has_body) append_body(exchange, out, body);
}

void dl_respond_other_version(dl_exchange *exchange) {
  dl_respond_error(exchange, 412, DL_STR("What you ask for is another version than the one that you want"), (dl_str){0});
}

/* For the documentation page of `demilune dev`. */
static void respond_reload(dl_exchange *exchange) {
  dl_buffer body = {0};
  const char *problem = exchange->worker->reload_problem;
  dl_buffer_printf(&body, "{\"generation\":%llu,\"problem\":", (unsigned long long)exchange->generation->number);
  if (problem) dl_buffer_append_json_string(&body, dl_str_of(problem));
  else DL_BUFFER_LITERAL(&body, "null");
  DL_BUFFER_LITERAL(&body, "}");
  dl_respond(exchange, 200, DL_STR("application/json"), DL_STR("Cache-Control: no-store\r\n"), dl_buffer_str(&body));
  dl_buffer_free(&body);
}

void dl_respond_file(dl_exchange *exchange, const dl_file *file) {
  if (file->live) {
    respond_reload(exchange);
    return;
  }
  dl_buffer fields = {0};
  dl_http_validators validators = {.etag = file->etag};
  dl_http_due due = dl_http_due_of(&exchange->request, &validators, exchange->worker->loop->clock.wall_ms / 1000, &exchange->arena);
  dl_http_header_line(&fields, DL_STR("ETag"), file->etag);
  DL_BUFFER_LITERAL(&fields, "Cache-Control: no-cache\r\n");
  if (due == DL_HTTP_DUE_REFUSAL) {
    dl_respond_other_version(exchange);
  } else if (due == DL_HTTP_DUE_NOT_MODIFIED) {
    dl_respond(exchange, 304, (dl_str){0}, dl_buffer_str(&fields), (dl_str){0});
  } else {
    if (file->encoding.len) dl_http_header_line(&fields, DL_STR("Content-Encoding"), file->encoding);
    dl_respond(exchange, 200, file->content_type, dl_buffer_str(&fields), file->body);
  }
  dl_buffer_free(&fields);
}

/* --- streams ---------------------------------------------------------------------- */

void dl_respond_stream_begin(dl_exchange *exchange, int status, dl_str fields) {
  exchange->chunked = exchange->request.version_minor == 1;
  if (!exchange->chunked) exchange->close = exchange->connection->ends_body = true; /* HTTP/1.0: the end of the connection is the end of the body */
  dl_buffer *out = begin_with(exchange, status, (dl_str){0}, declared_fields(exchange), fields);
  if (exchange->chunked) DL_BUFFER_LITERAL(out, "Transfer-Encoding: chunked\r\n");
  finish_head(exchange, out, false, 0);
}

void dl_respond_stream_write(dl_exchange *exchange, dl_str piece) {
  if (piece.len == 0 || exchange->head_only) return;
  dl_buffer *out = dl_connection_output(exchange->connection);
  exchange->sent_bytes += piece.len;
  if (exchange->chunked) dl_http_chunk(out, piece);
  else dl_buffer_append_str(out, piece);
  dl_connection_flush(exchange->connection, (dl_str){0});
}

void dl_respond_stream_end(dl_exchange *exchange) {
  if (exchange->chunked && !exchange->head_only) dl_http_chunk(dl_connection_output(exchange->connection), (dl_str){0});
}
