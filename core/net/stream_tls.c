/* SPDX-License-Identifier: MIT */
/*
 * Streams under TLS: their plaintext lies in the same buffer as a plain stream's
 * bytes, so that nobody above knows the difference.
 */
#include "net/stream_internal.h"

#include "base/forget.h"

enum { FLUSH_BYTES = 64 * 1024 };

/* Said without TLS to those who came without it, so that they can read it. */
static const char plain_answer[] =
    "HTTP/1.1 400 Bad Request\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: 65\r\n"
    "Connection: close\r\n"
    "\r\n"
    "{\"detail\":\"This port speaks TLS only; write https:// in the URL\"}";
_Static_assert(sizeof "{\"detail\":\"This port speaks TLS only; write https:// in the URL\"}" - 1 == 65, "Content-Length is that of the body");

/* --- output --------------------------------------------------------------------------- */

static void flush(dl_stream *stream) {
  dl_tls_hub *hub = stream->pool->tls;
  if (hub->output_owner != stream) return;
  hub->output_owner = NULL;
  if (hub->output.len) dl_stream_send_bytes(stream, dl_buffer_str(&hub->output), (dl_str){0});
  dl_buffer_clear(&hub->output);
  if (hub->output.cap > 2 * FLUSH_BYTES) dl_buffer_free(&hub->output);
}

/* What OpenSSL says now is this stream's; what another one left goes first. */
static void own_output(dl_stream *stream) {
  dl_tls_hub *hub = stream->pool->tls;
  if (hub->output_owner && hub->output_owner != stream) flush(hub->output_owner);
  hub->output_owner = stream;
}

/* One record's worth: of both parts, where the head leaves room for the body. */
static dl_str next_piece(dl_tls_hub *hub, dl_str *head, dl_str *body) {
  if (head->len == 0 || body->len == 0 || head->len >= DL_TLS_RECORD_BYTES) {
    dl_str *from = head->len ? head : body;
    dl_str piece = dl_str_from(from->ptr, from->len < DL_TLS_RECORD_BYTES ? from->len : DL_TLS_RECORD_BYTES);
    *from = dl_str_skip(*from, piece.len);
    return piece;
  }
  size_t room = DL_TLS_RECORD_BYTES - head->len, of_body = body->len < room ? body->len : room;
  memcpy(hub->gather, head->ptr, head->len);
  memcpy(hub->gather + head->len, body->ptr, of_body);
  dl_str piece = dl_str_from(hub->gather, head->len + of_body);
  *head = (dl_str){0};
  *body = dl_str_skip(*body, of_body);
  return piece;
}

void dl_stream_tls_send(dl_stream *stream, dl_str head, dl_str body) {
  dl_tls_hub *hub = stream->pool->tls;
  own_output(stream);
  while (head.len + body.len > 0 && !stream->closing) {
    if (!dl_tls_write(stream->tls, next_piece(hub, &head, &body))) {
      flush(stream);
      dl_stream_fail(stream);
      return;
    }
    if (hub->output.len < FLUSH_BYTES) continue;
    flush(stream);
    own_output(stream);
  }
  if (!stream->corked) flush(stream);
}

void dl_stream_tls_finish(dl_stream *stream) {
  own_output(stream);
  dl_tls_close_notify(stream->tls);
  flush(stream);
}

/* --- input ------------------------------------------------------------------------------ */

void dl_stream_tls_allocate(dl_stream *stream, uv_buf_t *out) {
  dl_forget(stream->pool->tls->input, DL_TLS_INPUT_BYTES);
  *out = uv_buf_init(stream->pool->tls->input, DL_TLS_INPUT_BYTES);
}

/* It reads no TLS, so the stream becomes a plain one that says so and lingers; the
 * handshake's deadline, which still runs, ends that. */
static void answer_plain(dl_stream *stream) {
  if (stream->closing) return;
  dl_stream_send_bytes(stream, DL_STR(plain_answer), (dl_str){0});
  dl_stream_linger(stream);
}

/* Decrypts until the buffer is full or nothing is left. */
static dl_tls_result decrypt(dl_stream *stream, bool *added) {
  size_t got = 0;
  dl_tls_result result = DL_TLS_DATA;
  *added = false;
  while (result == DL_TLS_DATA && stream->filled < DL_STREAM_BUFFER_BYTES) {
    if (!stream->buffer) dl_stream_take_buffer(stream);
    result = dl_tls_read(stream->tls, stream->buffer + stream->filled, DL_STREAM_BUFFER_BYTES - stream->filled, &got);
    if (result != DL_TLS_DATA) break;
    stream->filled += (uint32_t)got;
    *added = true;
  }
  if (stream->filled == stream->start && stream->start == 0) dl_stream_release_buffer(stream);
  return result;
}

static void end(dl_stream *stream) {
  if (stream->closing || stream->lingering || stream->ended) return;
  dl_stream_read_stop(stream);
  stream->ended = true;
  stream->events->ended(stream);
}

/* The alert that says why still leaves, if the owner lets it (RFC 8446 6.2). */
static void fail(dl_stream *stream) {
  bool has_alert = stream->pool->tls->output.len > 0;
  flush(stream);
  stream->alerting = has_alert && stream->unsent_bytes > 0;
  dl_stream_fail(stream);
}

/* What the handshake has to say leaves with the first answer, if there is one at once. */
static void pump(dl_stream *stream) {
  bool added;
  own_output(stream);
  dl_tls_result result = decrypt(stream, &added);
  dl_tls_keep(stream->tls);
  if (stream->filled == DL_STREAM_BUFFER_BYTES) dl_stream_read_stop(stream);
  if (result == DL_TLS_PLAIN) answer_plain(stream);
  else if (result != DL_TLS_FAILED && added) stream->events->data(stream);
  if (result == DL_TLS_FAILED) {
    fail(stream);
    return;
  }
  flush(stream);
  if (result == DL_TLS_ENDED) end(stream);
}

void dl_stream_tls_received(dl_stream *stream, size_t count) {
  dl_tls_feed(stream->tls, dl_str_from(stream->pool->tls->input, count));
  pump(stream);
}

/* Without close_notify nobody knows whether the peer ended or was cut off (RFC 8446
 * 6.1), so what it has begun does not count. */
void dl_stream_tls_cut(dl_stream *stream) { dl_stream_fail(stream); }

bool dl_stream_tls_resume(dl_stream *stream) {
  if (!dl_tls_has_input(stream->tls)) return false;
  dl_tls_wait(stream->tls);
  return true;
}

/* --- the hub's calls ----------------------------------------------------------------------- */

static void on_timed_out(void *owner) {
  dl_stream *stream = owner;
  if (stream->lingering) dl_stream_close(stream);
  else dl_stream_fail(stream);
}

static void on_readable(void *owner) {
  dl_stream *stream = owner;
  if (stream->closing || stream->lingering || !stream->reading) return;
  pump(stream);
  if (stream->reading && !dl_tls_has_input(stream->tls)) dl_stream_resume_socket(stream);
}

void dl_stream_pool_use_tls(dl_stream_pool *pool, dl_loop *loop) {
  if (!pool->tls) pool->tls = dl_tls_hub_new(loop, on_timed_out, on_readable);
}

void dl_stream_begin_tls(dl_stream *stream, dl_tls_context *tls) {
  stream->tls = dl_tls_new(stream->pool->tls, tls, stream);
  dl_tls_feed(stream->tls, dl_stream_bytes(stream));
  dl_tls_keep(stream->tls);
  dl_stream_release_buffer(stream);
  dl_stream_read_stop(stream);
  dl_stream_read_start(stream);
}

bool dl_stream_is_secure(const dl_stream *stream) { return stream->tls != NULL; }

const struct dl_tls_peer *dl_stream_peer(const dl_stream *stream, const struct dl_tls_context *today, bool *disowned) {
  *disowned = false;
  return stream->tls ? dl_tls_peer_of(stream->tls, today, disowned) : NULL;
}
