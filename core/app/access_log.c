/* SPDX-License-Identifier: MIT */
/*
 * One line per request. JSON for machines; for people at a terminal a short line
 * in colour. Neither has the target's query, which may hold what is nobody's
 * business, nor a path of which a part is declared to be a secret.
 */
#include "app/exchange.h"

/* The route whose path the request has, where the log has its pattern in place of that path; else NULL. Asked anew for what was refused
 * before its route was known, or by its method: the path is the same. */
static const dl_route *hidden_by(const dl_exchange *exchange) {
  if (!exchange->plan->hides_paths || !exchange->request.path.len) return NULL;
  if (exchange->route) return exchange->route->hides_path ? exchange->route : NULL;
  for (int method = 0; method < DL_METHOD_COUNT; method++) {
    dl_route_match match;
    if (dl_router_find(exchange->plan->router, (dl_method)method, exchange->request.path, &match) != DL_ROUTE_FOUND) continue;
    const dl_route *route = match.route;
    if (route->hides_path) return route;
  }
  return NULL;
}

static void write_json(dl_exchange *exchange, dl_buffer *line) {
  char time[25];
  const dl_trace *trace = dl_request_trace(&exchange->view);
  const dl_route *hidden = hidden_by(exchange);
  dl_clock_rfc3339(exchange->worker->loop->clock.wall_ms, time);
  DL_BUFFER_LITERAL(line, "{\"time\":\"");
  dl_buffer_append(line, time, 24);
  DL_BUFFER_LITERAL(line, "\",\"level\":\"info\",\"message\":\"request\",\"method\":");
  dl_buffer_append_json_string(line, exchange->request.method_text);
  DL_BUFFER_LITERAL(line, ",\"path\":");
  dl_log_append_json(line, hidden ? hidden->path : exchange->request.path);
  DL_BUFFER_LITERAL(line, ",\"route\":");
  dl_buffer_append_json_string(line, exchange->view.route);
  DL_BUFFER_LITERAL(line, ",\"status\":");
  dl_buffer_append_uint(line, (uint64_t)exchange->status);
  DL_BUFFER_LITERAL(line, ",\"microseconds\":");
  dl_buffer_append_uint(line, exchange->elapsed_us);
  DL_BUFFER_LITERAL(line, ",\"bytes\":");
  dl_buffer_append_uint(line, exchange->sent_bytes);
  DL_BUFFER_LITERAL(line, ",\"request_id\":\"");
  dl_buffer_append_str(line, exchange->view.id);
  DL_BUFFER_LITERAL(line, "\",\"trace_id\":\"");
  dl_buffer_append(line, trace->trace_id, sizeof trace->trace_id);
  DL_BUFFER_LITERAL(line, "\",\"span_id\":\"");
  dl_buffer_append(line, trace->span_id, sizeof trace->span_id);
  if (trace->has_parent) {
    DL_BUFFER_LITERAL(line, "\",\"parent_id\":\"");
    dl_buffer_append(line, trace->parent_id, sizeof trace->parent_id);
  }
  DL_BUFFER_LITERAL(line, "\",\"client\":\"");
  dl_buffer_append_str(line, exchange->view.client);
  DL_BUFFER_LITERAL(line, "\"}\n");
}

static const char *colour_of(int status) {
  if (status >= 500) return "\x1b[31m";
  if (status >= 400) return "\x1b[33m";
  return "\x1b[32m";
}

/* The path as it was sent, without a scheme and a host before it: percent-encoded, it
 * holds nothing that a terminal obeys and no blank. */
static dl_str sent_path(const dl_http_request *request) {
  dl_str path = request->target;
  const char *query = memchr(path.ptr, '?', path.len);
  if (query) path.len = (size_t)(query - path.ptr);
  if (path.ptr[0] == '/' || dl_str_equal(path, DL_STR("*"))) return path;
  const char *slashes = memchr(path.ptr, '/', path.len); /* "http://host/path" */
  path = dl_str_skip(path, (size_t)(slashes - path.ptr) + 2);
  const char *begin = memchr(path.ptr, '/', path.len);
  return begin ? dl_str_skip(path, (size_t)(begin - path.ptr)) : request->path;
}

static void write_text(dl_exchange *exchange, dl_buffer *line) {
  const dl_log *log = &exchange->worker->loop->log;
  dl_buffer_printf(line, "%s%d%s %-6.*s ", log->colour ? colour_of(exchange->status) : "", exchange->status, log->colour ? "\x1b[0m" : "",
                   DL_STR_ARGS(exchange->request.method_text));
  const dl_route *hidden = hidden_by(exchange);
  if (hidden) dl_buffer_append_str(line, hidden->path);
  else dl_buffer_append_str(line, exchange->request.target.len ? sent_path(&exchange->request) : DL_STR("(no request)"));
  dl_buffer_printf(line, "  %.1f ms  %llu B  %.*s\n", (double)exchange->elapsed_us / 1000.0, (unsigned long long)exchange->sent_bytes, DL_STR_ARGS(exchange->view.client));
}

void dl_access_log_write(dl_exchange *exchange) {
  dl_worker *worker = exchange->worker;
  bool polled = exchange->route && exchange->route->file && exchange->route->file->live; /* once a second, by a page in dev */
  if (worker->access_log == DL_ACCESS_LOG_OFF || polled) return;
  dl_log *log = &worker->loop->log;
  if (worker->access_log == DL_ACCESS_LOG_JSON) write_json(exchange, &log->lines);
  else write_text(exchange, &log->lines);
}
