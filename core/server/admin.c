/* SPDX-License-Identifier: MIT */
#include "server/admin.h"

#include "base/memory.h"
#include "http/parser.h"
#include "http/response.h"
#include "net/listener.h"
#include "net/stream.h"
#include "server/prometheus.h"

enum { VISITORS_MAX = 64, VISIT_US = 10000000, PATIENCE_US = 1000000, SWEEP_MS = 1000, ARENA_BYTES = 2048 };

static const dl_http_limits head_limits = {.max_head_bytes = 8192, .max_target_bytes = 1024, .max_headers = 64};

typedef struct visitor visitor;

struct dl_admin {
  dl_listener listener;
  uv_timer_t sweep; /* runs while somebody is here */
  dl_loop *loop;
  dl_admin_source source;
  bool named;       /* Host is looked at; behind a unix socket no browser can be */
  dl_stream_pool buffers;
  dl_http_date date;
  visitor *newest, *oldest;
  uint32_t visitor_count; /* leaving ones not counted */
  uint32_t handles;       /* listener, timer, and one for each visitor */
  bool stopping;
};

struct visitor {
  dl_stream stream; /* first, so that one is the other */
  dl_admin *admin;
  visitor *newer, *older;
  dl_http_parser *parser;
  dl_arena arena;
  uint64_t until_us;
  bool counted; /* among visitor_count */
};

/* --- the end ------------------------------------------------------------------------- */

static void release_handle(dl_admin *admin) {
  if (--admin->handles) return;
  dl_stream_pool_free(&admin->buffers);
  dl_free(admin);
}

static void on_handle_closed(uv_handle_t *handle) { release_handle(handle->data); }
static void on_listener_closed(dl_listener *listener) { release_handle(listener->owner); }

/* Its place is free at once, it is gone when its handle is. */
static void leave(visitor *v) {
  if (v->counted) v->admin->visitor_count--;
  v->counted = false;
  dl_stream_close(&v->stream);
}

static void on_closed(dl_stream *stream) {
  visitor *v = (visitor *)stream;
  dl_admin *admin = v->admin;
  leave(v); /* a stream that lingered closes by itself */
  if (v->newer) v->newer->older = v->older;
  else admin->newest = v->older;
  if (v->older) v->older->newer = v->newer;
  else admin->oldest = v->newer;
  if (!admin->newest && !admin->stopping) uv_timer_stop(&admin->sweep);
  dl_listener_resume(admin->loop);
  dl_http_parser_free(v->parser);
  dl_arena_free(&v->arena);
  dl_free(v);
  release_handle(admin);
}

void dl_admin_stop(dl_admin *admin) {
  if (!admin || admin->stopping) return;
  admin->stopping = true;
  for (visitor *v = admin->newest; v; v = v->older) leave(v);
  uv_close((uv_handle_t *)&admin->sweep, on_handle_closed);
  dl_listener_close(&admin->listener, on_listener_closed);
}

/* --- answers -------------------------------------------------------------------------- */

typedef struct answer {
  int status;
  dl_str content_type, fields;
  dl_buffer body;
} answer;

static void write_detail(answer *out, int status, const char *detail) {
  out->status = status;
  out->content_type = DL_STR("application/json");
  DL_BUFFER_LITERAL(&out->body, "{\"detail\":");
  dl_buffer_append_json_string(&out->body, dl_str_of(detail));
  DL_BUFFER_LITERAL(&out->body, "}\n");
}

/* That it is answered is the answer. */
static void write_livez(dl_admin *admin, answer *out) {
  (void)admin;
  DL_BUFFER_LITERAL(&out->body, "{\"alive\":true}\n");
}

static void write_readyz(dl_admin *admin, answer *out) {
  const char *reason = dl_metrics_unready(admin->source.metrics);
  out->status = reason ? 503 : 200;
  if (reason) dl_buffer_printf(&out->body, "{\"ready\":false,\"reason\":\"%s\"}\n", reason);
  else DL_BUFFER_LITERAL(&out->body, "{\"ready\":true}\n");
}

static void write_metrics(dl_admin *admin, answer *out) {
  out->content_type = DL_STR(DL_PROMETHEUS_CONTENT_TYPE);
  if (admin->source.refresh) admin->source.refresh(admin->source.owner);
  dl_prometheus_write(&out->body, admin->source.metrics, admin->source.limits);
}

static const struct {
  dl_str path;
  void (*write)(dl_admin *admin, answer *out);
} pages[] = {
    {{"/livez", 6}, write_livez},
    {{"/readyz", 7}, write_readyz},
    {{"/metrics", 8}, write_metrics},
};

static void decide(dl_admin *admin, const dl_http_request *request, answer *out) {
  if (admin->named && !dl_admin_host_is_plain(dl_http_request_header(request, DL_HEADER_HOST))) {
    write_detail(out, 400, "Host must be an IP address or localhost");
    return;
  }
  for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
    if (!dl_str_equal(request->path, pages[i].path)) continue;
    if (request->method != DL_METHOD_GET && request->method != DL_METHOD_HEAD) {
      out->fields = DL_STR("Allow: GET, HEAD\r\n");
      write_detail(out, 405, "Method Not Allowed");
      return;
    }
    *out = (answer){.status = 200, .content_type = DL_STR("application/json")};
    pages[i].write(admin, out);
    return;
  }
  write_detail(out, 404, "Not Found: there are /livez, /readyz and /metrics");
}

/* One answer, then no more: what the client still sends is dropped. */
static void send_answer(visitor *v, answer *out, bool head_only) {
  dl_admin *admin = v->admin;
  dl_buffer head = {0};
  dl_http_status_line(&head, out->status);
  dl_http_header_line(&head, DL_STR("Content-Type"), out->content_type);
  dl_buffer_append_str(&head, out->fields);
  DL_BUFFER_LITERAL(&head, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n");
  dl_buffer_append_str(&head, dl_http_date_line(&admin->date, &admin->loop->clock));
  dl_buffer_printf(&head, "Content-Length: %zu\r\n\r\n", out->body.len);
  dl_stream_send(&v->stream, dl_buffer_str(&head), head_only ? (dl_str){0} : dl_buffer_str(&out->body));
  dl_buffer_free(&head);
  dl_buffer_free(&out->body);
  if (v->stream.closing) return;
  if (v->stream.ended) dl_stream_read_stop(&v->stream);
  dl_stream_linger(&v->stream);
}

/* --- visits ----------------------------------------------------------------------------- */

static void on_data(dl_stream *stream) {
  visitor *v = (visitor *)stream;
  dl_http_request request;
  size_t consumed = 0;
  answer out = {0};
  dl_clock_update(&v->admin->loop->clock);
  switch (dl_http_parser_head(v->parser, dl_stream_bytes(stream), &v->arena, &request, &consumed)) {
    case DL_HTTP_MORE:
      if (stream->filled < DL_STREAM_BUFFER_BYTES) return;
      write_detail(&out, 431, "The request's head is too large");
      send_answer(v, &out, dl_http_parser_is_head(v->parser));
      return;
    case DL_HTTP_ERROR:
      write_detail(&out, dl_http_parser_status(v->parser), dl_http_parser_reason(v->parser));
      send_answer(v, &out, dl_http_parser_is_head(v->parser));
      return;
    case DL_HTTP_DONE:
      decide(v->admin, &request, &out);
      send_answer(v, &out, request.method == DL_METHOD_HEAD);
      return;
  }
}

static void on_drained(dl_stream *stream) { (void)stream; }
static void on_gone(dl_stream *stream) { leave((visitor *)stream); }

static const dl_stream_events stream_events = {on_data, on_gone, on_drained, on_gone, on_closed};

/* A visit has one deadline for all of it, so that nobody can hold a place. */
static void on_sweep(uv_timer_t *timer) {
  dl_admin *admin = timer->data;
  dl_clock_update(&admin->loop->clock);
  for (visitor *v = admin->newest; v; v = v->older)
    if (v->until_us <= admin->loop->clock.monotonic_us) leave(v);
}

/* When all places are taken the oldest visit ends: whoever holds them is slow, and
 * the newcomer may be the health check that decides about a restart. */
static void make_room(dl_admin *admin) {
  for (visitor *v = admin->oldest; v && admin->visitor_count > VISITORS_MAX; v = v->newer) leave(v);
}

/* The same where descriptors run out first; who came just now has not had a chance yet. */
static void on_paused(dl_listener *listener) {
  dl_admin *admin = listener->owner;
  for (visitor *v = admin->oldest; v; v = v->newer) {
    if (!v->counted) continue;
    if (v->until_us - VISIT_US + PATIENCE_US <= admin->loop->clock.monotonic_us) leave(v);
    return;
  }
}

static void on_incoming(dl_listener *listener, int fd) {
  dl_admin *admin = listener->owner;
  visitor *v = dl_calloc(1, sizeof *v);
  dl_clock_update(&admin->loop->clock);
  v->admin = admin;
  v->until_us = admin->loop->clock.monotonic_us + VISIT_US;
  v->parser = dl_http_parser_new(&head_limits);
  dl_arena_init(&v->arena, ARENA_BYTES);
  v->older = admin->newest;
  if (v->older) v->older->newer = v;
  else admin->oldest = v;
  admin->newest = v;
  admin->visitor_count++;
  v->counted = true;
  admin->handles++;
  if (!uv_is_active((uv_handle_t *)&admin->sweep)) uv_timer_start(&admin->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
  if (dl_stream_accept(&v->stream, listener, fd, &admin->buffers, NULL, &stream_events) != 0) leave(v);
  make_room(admin);
}

/* --- beginning ---------------------------------------------------------------------------- */

dl_admin *dl_admin_start(dl_loop *loop, dl_admin_socket *admin_socket, const dl_admin_source *source, char message[256]) {
  dl_admin *admin = dl_calloc(1, sizeof *admin);
  admin->loop = loop;
  admin->source = *source;
  admin->named = !dl_listener_is_unix(admin_socket->fd);
  admin->listener.owner = admin;
  admin->listener.incoming = on_incoming;
  admin->listener.paused = on_paused;
  admin->handles = 2;
  uv_timer_init(loop->uv, &admin->sweep);
  admin->sweep.data = admin;
  uv_unref((uv_handle_t *)&admin->sweep);
  const char *problem = dl_listener_adopt(&admin->listener, loop, admin_socket->fd, message);
  admin_socket->fd = -1;
  if (problem) {
    dl_admin_stop(admin);
    return NULL;
  }
  if (source->background) dl_listener_background(&admin->listener);
  return admin;
}
