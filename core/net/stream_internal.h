/* SPDX-License-Identifier: MIT */
/* What the two files of streams share: plain bytes, and TLS on top of them. */
#ifndef DL_NET_STREAM_INTERNAL_H
#define DL_NET_STREAM_INTERNAL_H

#include "net/stream.h"
#include "net/tls.h"

/* --- stream.c ---------------------------------------------------------------------- */

/* Gives the stream its read buffer, if it has none. */
void dl_stream_take_buffer(dl_stream *stream);

/* To the socket, as it is: now what the kernel takes, the rest queued. */
void dl_stream_send_bytes(dl_stream *stream, dl_str head, dl_str body);

/* The peer is gone, or not worth talking to. */
void dl_stream_fail(dl_stream *stream);

/* The socket's own reading. */
void dl_stream_resume_socket(dl_stream *stream);

/* --- stream_tls.c -------------------------------------------------------------------- */

/* Where the socket's bytes go. */
void dl_stream_tls_allocate(dl_stream *stream, uv_buf_t *out);

/* Ciphertext came: decrypts it and tells the owner. */
void dl_stream_tls_received(dl_stream *stream, size_t count);

/* The socket ended: in order only after close_notify. */
void dl_stream_tls_cut(dl_stream *stream);

/* True when there is input to look at before the socket is read; that is then on its way. */
bool dl_stream_tls_resume(dl_stream *stream);

void dl_stream_tls_send(dl_stream *stream, dl_str head, dl_str body);

/* close_notify leaves, as far as it can. */
void dl_stream_tls_finish(dl_stream *stream);

#endif
