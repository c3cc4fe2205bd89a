/* SPDX-License-Identifier: MIT */
/*
 * One accepted connection as bytes: a read buffer that is there only while bytes
 * wait in it, writes that go out at once where the kernel takes them, and an
 * orderly close. Knows nothing of HTTP. Loop thread only.
 */
#ifndef DL_NET_STREAM_H
#define DL_NET_STREAM_H

#include "net/loop.h"

enum { DL_STREAM_BUFFER_BYTES = 32 * 1024 };

typedef struct dl_stream dl_stream;
struct dl_tls_context;
struct dl_tls_peer;

/* Read buffers of the worker, last used first: the one in the cache. */
typedef struct dl_stream_pool {
  void *free_buffers;
  uint32_t free_count, least_free; /* least: since the last sweep */
  uint64_t received_bytes, sent_bytes; /* of all its streams, as they went over the wire */
  struct dl_tls_hub *tls; /* NULL until TLS is used */
} dl_stream_pool;

/* Once before the first connection under TLS. */
void dl_stream_pool_use_tls(dl_stream_pool *pool, dl_loop *loop);

/* With each sweep of deadlines: those of TLS, and buffers that nobody needed since the last one are freed, but for a few. */
void dl_stream_pool_sweep(dl_stream_pool *pool, uint64_t now_us);

/* After the loop was closed, which closes the pool's handle. */
void dl_stream_pool_free(dl_stream_pool *pool);

typedef struct dl_stream_events {
  void (*data)(dl_stream *stream);    /* bytes were added behind filled */
  void (*ended)(dl_stream *stream);   /* the peer will send no more (half-close) */
  void (*drained)(dl_stream *stream); /* everything queued was handed to the kernel */
  void (*failed)(dl_stream *stream);  /* reset, a write failed, or TLS was broken; only to close is left, or while alerting to linger */
  void (*closed)(dl_stream *stream);  /* the handle is gone: the memory may be freed */
} dl_stream_events;

struct dl_stream {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } uv;
  const dl_stream_events *events;
  dl_stream_pool *pool;
  struct dl_tls *tls;     /* NULL: plain */
  char *buffer;           /* DL_STREAM_BUFFER_BYTES, or NULL when nothing waits */
  uint32_t start, filled; /* unread bytes are buffer[start, filled) */
  uint32_t unsent_bytes;  /* queued in this process; under TLS, of ciphertext */
  bool reading, ended, closing, lingering, dead, corked;
  bool cut;               /* dl_stream_cut was called */
  bool alerting;          /* it failed, and the alert that says why waits for the socket */
};

/* Begins with a connection that the listener took, under TLS when a context is given
 * (and held). fd is the stream's from here on. 0 or a libuv error; the stream must then
 * be closed all the same. */
int dl_stream_accept(dl_stream *stream, const struct dl_listener *listener, int fd, dl_stream_pool *pool, struct dl_tls_context *tls, const dl_stream_events *events);

/* From here on it is under TLS; unread bytes are the client's first under it. For a
 * stream whose first bytes are not, as behind a proxy that speaks PROXY. */
void dl_stream_begin_tls(dl_stream *stream, struct dl_tls_context *tls);

/* Whether it is under TLS. */
bool dl_stream_is_secure(const dl_stream *stream);

/* Who the client proved to be by a certificate, or NULL: as dl_tls_peer_of has it. */
const struct dl_tls_peer *dl_stream_peer(const dl_stream *stream, const struct dl_tls_context *today, bool *disowned);

void dl_stream_read_start(dl_stream *stream);
void dl_stream_read_stop(dl_stream *stream);

/* Unread bytes. */
static inline dl_str dl_stream_bytes(const dl_stream *stream) {
  return stream->buffer ? dl_str_from(stream->buffer + stream->start, stream->filled - stream->start) : (dl_str){0};
}

/* Moves the bytes in [start, filled) down to `keep`, so that reading can go on. */
void dl_stream_compact(dl_stream *stream, uint32_t keep);

/* Gives an empty buffer back to the pool. */
void dl_stream_release_buffer(dl_stream *stream);

/* Sends head then body, now as far as the kernel takes them; the rest is copied
 * and queued. */
void dl_stream_send(dl_stream *stream, dl_str head, dl_str body);

/* What is sent from here on leaves together with what dl_stream_linger says, which has
 * to follow: one write less under TLS. */
static inline void dl_stream_cork(dl_stream *stream) { stream->corked = true; }

/* Closes. lingering: shuts the sending side down first and reads (and drops) what
 * the peer still sends for a moment, so that an answer is not lost to a reset
 * (RFC 9112 9.6); the owner's deadline ends that with a plain close. */
void dl_stream_close(dl_stream *stream);

/* What it has sent is not whole: when it closes, its end shall not look like an orderly one. */
void dl_stream_cut(dl_stream *stream);
void dl_stream_linger(dl_stream *stream);

#endif
