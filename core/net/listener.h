/* SPDX-License-Identifier: MIT */
/*
 * A listening socket: TCP or unix. When the process has no descriptor left, those
 * who wait are hung up on instead of spinning on the queue.
 */
#ifndef DL_NET_LISTENER_H
#define DL_NET_LISTENER_H

#include "net/loop.h"

typedef enum dl_listener_kind {
  DL_LISTENER_PLAIN,
  DL_LISTENER_TLS,
  DL_LISTENER_REDIRECT /* plain, and sends everybody to the one under TLS */
} dl_listener_kind;

typedef struct dl_listener {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } uv;
  void (*incoming)(struct dl_listener *listener); /* accept with dl_stream_accept */
  void *owner;
  uv_prepare_t refill;
  int spare; /* descriptor that is let go when there is no other left; -1 then */
  int port; /* as bound; 0 for unix sockets */
  dl_listener_kind kind;
} dl_listener;

/* Binds and listens. host is an address ("127.0.0.1", "::1", "0.0.0.0") or
 * "localhost"; port 0 lets the system choose. NULL, or a sentence in message. */
const char *dl_listener_tcp(dl_listener *listener, dl_loop *loop, const char *host, int port, char message[256]);

/* A unix socket; a dead one at that path is replaced, a live one is refused. */
const char *dl_listener_unix(dl_listener *listener, dl_loop *loop, const char *path, char message[256]);

/* Binds a unix socket as above without a loop; *fd is the caller's. NULL, or a sentence. */
const char *dl_listener_unix_bind(const char *path, int *fd, char message[256]);

/* Accepts from a socket that listens already and that other processes hold as well. */
const char *dl_listener_adopt(dl_listener *listener, dl_loop *loop, int fd, bool unix_domain, char message[256]);

/* Stops accepting; closed is called when the handle is gone (may be NULL). */
void dl_listener_close(dl_listener *listener, uv_close_cb closed);

/* "127.0.0.1" or "2001:db8::1" of the peer, "unix" for unix sockets, "gone" for one that left. out 46 bytes. */
size_t dl_listener_peer(const uv_stream_t *stream, char out[46]);

#endif
