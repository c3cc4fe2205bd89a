/* SPDX-License-Identifier: MIT */
#include "net/stream_internal.h"

#include "base/forget.h"
#include "base/memory.h"
#include "net/listener.h"

#include <unistd.h>

enum { BUFFERS_KEPT = 16 };

/* --- read buffers ----------------------------------------------------------- */

static char *buffer_take(dl_stream_pool *pool) {
  if (!pool->free_buffers) return dl_malloc(DL_STREAM_BUFFER_BYTES);
  char *buffer = pool->free_buffers;
  memcpy(&pool->free_buffers, buffer, sizeof(void *));
  dl_forget(buffer, sizeof(void *));
  if (--pool->free_count < pool->least_free) pool->least_free = pool->free_count;
  return buffer;
}

static void buffer_give(dl_stream_pool *pool, char *buffer) {
  dl_forget(buffer, DL_STREAM_BUFFER_BYTES);
  memcpy(buffer, &pool->free_buffers, sizeof(void *));
  pool->free_buffers = buffer;
  pool->free_count++;
}

void dl_stream_pool_sweep(dl_stream_pool *pool, uint64_t now_us) {
  for (uint32_t count = pool->least_free; count > BUFFERS_KEPT; count--) dl_free(buffer_take(pool));
  pool->least_free = pool->free_count;
  if (pool->tls) dl_tls_hub_sweep(pool->tls, now_us);
}

void dl_stream_pool_free(dl_stream_pool *pool) {
  while (pool->free_buffers) dl_free(buffer_take(pool));
  dl_tls_hub_free(pool->tls);
  pool->tls = NULL;
}

void dl_stream_take_buffer(dl_stream *stream) {
  if (!stream->buffer) stream->buffer = buffer_take(stream->pool);
}

void dl_stream_release_buffer(dl_stream *stream) {
  if (stream->buffer) buffer_give(stream->pool, stream->buffer);
  stream->buffer = NULL;
  stream->start = stream->filled = 0;
}

void dl_stream_compact(dl_stream *stream, uint32_t keep) {
  uint32_t waiting = stream->filled - stream->start;
  if (keep == stream->start) return;
  memmove(stream->buffer + keep, stream->buffer + stream->start, waiting);
  stream->start = keep;
  stream->filled = keep + waiting;
  dl_forget(stream->buffer + stream->filled, DL_STREAM_BUFFER_BYTES - stream->filled);
}

/* --- reading ---------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out) {
  (void)suggested;
  dl_stream *stream = handle->data;
  if (stream->tls) {
    dl_stream_tls_allocate(stream, out);
    return;
  }
  dl_stream_take_buffer(stream);
  if (stream->lingering) stream->start = stream->filled = 0;
  *out = uv_buf_init(stream->buffer + stream->filled, DL_STREAM_BUFFER_BYTES - stream->filled);
}

void dl_stream_fail(dl_stream *stream) {
  if (stream->closing) return;
  dl_stream_read_stop(stream);
  stream->ended = stream->dead = true;
  stream->events->failed(stream);
}

static void on_end(dl_stream *stream, ssize_t error) {
  dl_stream_read_stop(stream);
  if (stream->filled == stream->start && stream->start == 0) dl_stream_release_buffer(stream);
  if (error != UV_EOF) {
    dl_stream_fail(stream);
  } else if (stream->tls) {
    dl_stream_tls_cut(stream);
  } else {
    stream->ended = true;
    stream->events->ended(stream);
  }
}

/* Who sends no more may well be reading: it gets what it is owed, and then on_shut_down closes. */
static void end_linger(dl_stream *stream, ssize_t error) {
  if (error != UV_EOF || stream->unsent_bytes == 0) {
    dl_stream_close(stream);
    return;
  }
  dl_stream_read_stop(stream);
  dl_stream_release_buffer(stream);
  stream->ended = true;
}

static void on_read(uv_stream_t *handle, ssize_t count, const uv_buf_t *buffer) {
  (void)buffer;
  dl_stream *stream = handle->data;
  if (count == 0 || stream->closing) return;
  if (count > 0) stream->pool->received_bytes += (uint64_t)count;
  if (stream->lingering) {
    if (count < 0) end_linger(stream, count);
    return;
  }
  if (count < 0) {
    on_end(stream, count);
  } else if (stream->tls) {
    dl_stream_tls_received(stream, (size_t)count);
  } else {
    stream->filled += (uint32_t)count;
    if (stream->filled == DL_STREAM_BUFFER_BYTES) dl_stream_read_stop(stream);
    stream->events->data(stream);
  }
}

void dl_stream_resume_socket(dl_stream *stream) {
  int error = uv_read_start(&stream->uv.stream, on_alloc, on_read);
  stream->reading = error == 0 || error == UV_EALREADY;
}

void dl_stream_read_start(dl_stream *stream) {
  if (stream->reading || stream->ended || stream->closing || stream->filled == DL_STREAM_BUFFER_BYTES) return;
  stream->reading = true;
  if (stream->tls && !stream->lingering && dl_stream_tls_resume(stream)) return;
  dl_stream_resume_socket(stream);
}

void dl_stream_read_stop(dl_stream *stream) {
  if (!stream->reading) return;
  uv_read_stop(&stream->uv.stream);
  stream->reading = false;
}

int dl_stream_accept(dl_stream *stream, const dl_listener *listener, int fd, dl_stream_pool *pool, struct dl_tls_context *tls, const dl_stream_events *events) {
  memset(stream, 0, sizeof *stream);
  stream->events = events;
  stream->pool = pool;
  if (listener->unix_domain) uv_pipe_init(listener->loop->uv, &stream->uv.pipe, 0);
  else uv_tcp_init(listener->loop->uv, &stream->uv.tcp);
  stream->uv.handle.data = stream;
  int error = listener->unix_domain ? uv_pipe_open(&stream->uv.pipe, fd) : uv_tcp_open(&stream->uv.tcp, fd);
  if (error) {
    close(fd);
    return error;
  }
  if (!listener->unix_domain) {
    uv_tcp_nodelay(&stream->uv.tcp, 1);
    /* Inherited of a listener that other processes hold too, one of which may want every answer cut off. */
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){0}, sizeof(struct linger));
  }
  if (tls) stream->tls = dl_tls_new(pool->tls, tls, stream);
  dl_stream_read_start(stream);
  return 0;
}

/* --- writing ---------------------------------------------------------------- */

typedef struct queued_write {
  uv_write_t request;
  uint32_t len;
  char bytes[];
} queued_write;

static void on_written(uv_write_t *request, int status) {
  queued_write *write = (queued_write *)request;
  dl_stream *stream = request->handle->data;
  stream->unsent_bytes -= write->len;
  if (status >= 0) stream->pool->sent_bytes += write->len;
  dl_free(write);
  if (stream->closing) return;
  if (status < 0) dl_stream_fail(stream);
  else if (stream->unsent_bytes == 0) stream->events->drained(stream);
}

static void enqueue(dl_stream *stream, dl_str head, dl_str body) {
  queued_write *write = dl_try_realloc(NULL, sizeof *write + head.len + body.len);
  if (!write) { /* an answer is as large as its client likes, and waits for as long as that one does not read it */
    dl_stream_fail(stream);
    return;
  }
  write->len = (uint32_t)(head.len + body.len);
  if (head.len) memcpy(write->bytes, head.ptr, head.len);
  if (body.len) memcpy(write->bytes + head.len, body.ptr, body.len);
  uv_buf_t buffer = uv_buf_init(write->bytes, write->len);
  stream->unsent_bytes += write->len;
  if (uv_write(&write->request, &stream->uv.stream, &buffer, 1, on_written) == 0) return;
  stream->unsent_bytes -= write->len;
  dl_free(write);
  dl_stream_fail(stream);
}

void dl_stream_send(dl_stream *stream, dl_str head, dl_str body) {
  if (stream->closing || head.len + body.len == 0) return;
  if (stream->tls) dl_stream_tls_send(stream, head, body);
  else dl_stream_send_bytes(stream, head, body);
}

void dl_stream_send_bytes(dl_stream *stream, dl_str head, dl_str body) {
  if (stream->closing || head.len + body.len == 0) return;
  size_t sent = 0;
  if (stream->unsent_bytes == 0) {
    uv_buf_t buffers[2] = {uv_buf_init((char *)(uintptr_t)head.ptr, (unsigned)head.len), uv_buf_init((char *)(uintptr_t)body.ptr, (unsigned)body.len)};
    int count = uv_try_write(&stream->uv.stream, buffers, body.len ? 2 : 1);
    if (count < 0 && count != UV_EAGAIN) {
      dl_stream_fail(stream);
      return;
    }
    sent = count > 0 ? (size_t)count : 0;
    stream->pool->sent_bytes += sent;
  }
  if (sent == head.len + body.len) return;
  dl_str head_left = sent < head.len ? dl_str_skip(head, sent) : (dl_str){0};
  dl_str body_left = sent < head.len ? body : dl_str_skip(body, sent - head.len);
  enqueue(stream, head_left, body_left);
}

/* --- closing ---------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle) {
  dl_stream *stream = handle->data;
  dl_tls_free(stream->tls);
  stream->tls = NULL;
  stream->events->closed(stream);
}

void dl_stream_cut(dl_stream *stream) { stream->cut = true; }

/* uv_tcp_close_reset would not, where a shutdown waits behind what is dropped. */
static void reset_at_close(dl_stream *stream) {
  uv_os_fd_t fd;
  if (stream->uv.handle.type == UV_TCP && uv_fileno(&stream->uv.handle, &fd) == 0)
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
}

void dl_stream_close(dl_stream *stream) {
  if (stream->closing) return;
  if (stream->tls && !stream->dead && !stream->cut && !stream->lingering && stream->unsent_bytes == 0) dl_stream_tls_finish(stream);
  if (stream->closing) return;
  stream->closing = true;
  stream->reading = false;
  dl_stream_release_buffer(stream);
  if (stream->cut) reset_at_close(stream);
  uv_close(&stream->uv.handle, on_closed);
}

static void on_shut_down(uv_shutdown_t *request, int status) {
  dl_stream *stream = request->handle->data;
  dl_free(request);
  if (stream->closing) return;
  if (status < 0 || stream->ended) dl_stream_close(stream);
}

/* Without a turn of the loop, where nothing waits to be sent. */
static bool shut_down_now(dl_stream *stream) {
  uv_os_fd_t fd;
  if (stream->unsent_bytes || uv_fileno(&stream->uv.handle, &fd) != 0) return false;
  if (shutdown(fd, SHUT_WR) != 0 || stream->ended) dl_stream_close(stream);
  else dl_stream_read_start(stream);
  return true;
}

void dl_stream_linger(dl_stream *stream) {
  if (stream->closing || stream->lingering) return;
  stream->lingering = true;
  stream->corked = false;
  dl_stream_release_buffer(stream);
  if (stream->tls) dl_stream_tls_finish(stream);
  if (stream->closing || shut_down_now(stream)) return;
  uv_shutdown_t *request = dl_malloc(sizeof *request);
  if (uv_shutdown(request, &stream->uv.stream, on_shut_down) != 0) {
    dl_free(request);
    dl_stream_close(stream);
    return;
  }
  dl_stream_read_start(stream);
}
