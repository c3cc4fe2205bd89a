/* SPDX-License-Identifier: MIT */
/*
 * A listening socket: TCP or unix. When there is no descriptor (or memory) left for a
 * connection it pauses, and clients wait in the kernel's queue until one is: it tries
 * again when dl_listener_resume says that a connection ended, and ten times a second.
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
  uv_poll_t poll;   /* on fd, unless it is paused */
  uv_timer_t retry; /* runs while it is paused */
  void (*incoming)(struct dl_listener *listener, int fd); /* fd is the receiver's; see dl_stream_accept */
  void (*paused)(struct dl_listener *listener);           /* no descriptor was left; may be NULL */
  void (*closed)(struct dl_listener *listener);
  void *owner;
  dl_loop *loop;
  struct dl_listener *next_paused;
  int fd;   /* -1 when there is none */
  int port; /* as bound; 0 for unix sockets */
  dl_listener_kind kind;
  bool unix_domain, polled, is_paused, closing;
} dl_listener;

/* Binds and listens; owner, incoming, paused and kind are set before. host is an address ("127.0.0.1", "::1", "0.0.0.0") or
 * "localhost"; port 0 lets the system choose. NULL, or a sentence in message. */
const char *dl_listener_tcp(dl_listener *listener, dl_loop *loop, const char *host, int port, char message[256]);

/* A unix socket; a dead one at that path is replaced, a live one is refused. */
const char *dl_listener_unix(dl_listener *listener, dl_loop *loop, const char *path, char message[256]);

/* Binds a unix socket as above without a loop; *fd is the caller's. NULL, or a sentence. */
const char *dl_listener_unix_bind(const char *path, int *fd, char message[256]);

/* Accepts from a socket that was bound elsewhere and that other processes may hold as
 * well. fd is the listener's from here on, also when this fails. */
const char *dl_listener_adopt(dl_listener *listener, dl_loop *loop, int fd, char message[256]);

/* Whether it is a unix socket, whose clients have no address. */
bool dl_listener_is_unix(int fd);

/* It alone keeps no loop turning. */
void dl_listener_background(dl_listener *listener);

/* A descriptor became free: whoever paused tries again in the next turn. */
void dl_listener_resume(dl_loop *loop);

/* Takes all who wait, where accepting leaves some for the next turn; before closing. */
void dl_listener_last_call(dl_listener *listener);

/* Stops accepting and closes the socket; closed is called when no handle is left of it
 * (may be NULL). Also after an opening that failed. */
void dl_listener_close(dl_listener *listener, void (*closed)(dl_listener *listener));

/* "127.0.0.1" or "2001:db8::1" of the peer, "unix" for unix sockets, "gone" for one that left. out 46 bytes. */
size_t dl_listener_peer(const uv_stream_t *stream, char out[46]);

#endif
