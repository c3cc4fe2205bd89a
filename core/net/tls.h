/* SPDX-License-Identifier: MIT */
/*
 * The server's side of TLS connections, as bytes in and bytes out: core/net/stream
 * moves them to and from sockets, nobody else needs this. What is sent gathers in
 * the hub, so that the records of one turn leave in one write. Nothing is
 * allocated for a client before it has sent something. Loop thread only.
 */
#ifndef DL_NET_TLS_H
#define DL_NET_TLS_H

#include "net/deadline.h"
#include "net/loop.h"
#include "net/tls_context.h"
#include "net/tls_peer.h"

enum {
  DL_TLS_INPUT_BYTES = 32 * 1024,
  DL_TLS_RECORD_BYTES = 16 * 1024, /* plaintext of one record at most (RFC 8446 5.1) */
  DL_TLS_HANDSHAKES_MAX = 1024,    /* at once; one more ends the oldest */
  DL_TLS_ANSWERS_BYTES = 16384,    /* to key updates and renegotiations, of a whole connection; more ends it */
  DL_TLS_HANDSHAKE_US = 10000000   /* to send the first byte, and as long again for the rest */
};

typedef struct dl_tls dl_tls;

/* What all TLS connections of a worker share. */
typedef struct dl_tls_hub {
  dl_loop *loop;           /* borrowed */
  char *input;             /* DL_TLS_INPUT_BYTES: ciphertext as it was read, during a read */
  char *gather;            /* DL_TLS_RECORD_BYTES: small pieces that make one record */
  dl_buffer output;        /* ciphertext of output_owner that has not left yet */
  void *output_owner;      /* a stream */
  void *method;            /* how OpenSSL reaches our bytes */
  dl_deadlines silent;     /* connected, have sent nothing */
  dl_deadlines shaking;    /* in the handshake */
  uint32_t shaking_count;
  dl_tls *waiting;         /* have input left that nobody asked for yet; who came last */
  dl_tls *first_waiting;   /* and who came first, whose turn it is */
  uv_idle_t turn;          /* runs while there are such */
  uint64_t handshakes, resumptions, failures; /* since the worker began */
  void (*timed_out)(void *owner);
  void (*readable)(void *owner);
} dl_tls_hub;

/* timed_out: the handshake took too long, or another needs the place. readable: asked
 * for by dl_tls_wait, a turn later. The loop's owner closes its handles before free. */
dl_tls_hub *dl_tls_hub_new(dl_loop *loop, void (*timed_out)(void *owner), void (*readable)(void *owner));
void dl_tls_hub_sweep(dl_tls_hub *hub, uint64_t now_us);
void dl_tls_hub_free(dl_tls_hub *hub);

/* A new connection; the context is held. owner comes back in the hub's calls. */
dl_tls *dl_tls_new(dl_tls_hub *hub, dl_tls_context *context, void *owner);
void dl_tls_free(dl_tls *tls);

typedef enum dl_tls_result {
  DL_TLS_DATA,   /* bytes were written to out */
  DL_TLS_MORE,   /* nothing yet; more ciphertext is needed */
  DL_TLS_ENDED,  /* close_notify: the peer will send no more (RFC 8446 6.1) */
  DL_TLS_FAILED, /* the connection is of no use any more; an alert may be in the output */
  DL_TLS_PLAIN   /* it speaks HTTP without TLS */
} dl_tls_result;

/* Ciphertext that arrived, in the hub's input or in what dl_tls_keep kept. It must be
 * read to its end, or kept, before this returns to the loop. */
void dl_tls_feed(dl_tls *tls, dl_str ciphertext);
dl_tls_result dl_tls_read(dl_tls *tls, char *out, size_t size, size_t *got);

/* Keeps what was fed and not read, since nobody wants more plaintext now. */
void dl_tls_keep(dl_tls *tls);
/* Whether something is there to be read without the socket. */
bool dl_tls_has_input(const dl_tls *tls);
/* Calls the hub's readable in the next turn of the loop. */
void dl_tls_wait(dl_tls *tls);

/* Encrypts into the hub's output, which must be this owner's or empty. False when
 * the connection cannot send: no handshake yet, or it failed. */
bool dl_tls_write(dl_tls *tls, dl_str plaintext);

/* Says that we shall send no more. */
void dl_tls_close_notify(dl_tls *tls);

bool dl_tls_is_established(const dl_tls *tls);

/* Who the client proved to be, or NULL. The client CAs of today, which new connections
 * get, must vouch for it too: a reload may have taken away the one that did. *disowned:
 * the client has just become nobody, and should come anew. Valid until the next call. */
const dl_tls_peer *dl_tls_peer_of(dl_tls *tls, const dl_tls_context *today, bool *disowned);

#endif
