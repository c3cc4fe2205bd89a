/* SPDX-License-Identifier: MIT */
/*
 * A TLS context: certificates with their keys, and the rules that every connection
 * keeps (TLS 1.2 and 1.3, forward secrecy and authenticated encryption only, no
 * compression, no renegotiation, ALPN http/1.1). Built from bytes in the process
 * that uses it; connections hold a reference, so that a new one can take its place
 * for those that come later. Loop thread only.
 */
#ifndef DL_NET_TLS_CONTEXT_H
#define DL_NET_TLS_CONTEXT_H

#include "net/tls_material.h"
#include "net/tls_ticket_keys.h"

typedef struct dl_tls_context dl_tls_context;

/* NULL with a sentence that names the file: no certificate in it, a key that does
 * not match or is encrypted, a response for another certificate. What works but
 * should not stay so (expired, out of order) is a warning in log (may be NULL).
 * tickets is borrowed for the context's life; NULL: no sessions are resumed. The
 * material may be freed afterwards. The caller holds one reference. */
dl_tls_context *dl_tls_context_new(const dl_tls_material *material, const dl_tls_ticket_keys *tickets, dl_log *log, char message[DL_TLS_MESSAGE_BYTES]);

dl_tls_context *dl_tls_context_hold(dl_tls_context *context);
/* Gives a reference back; the last one frees. */
void dl_tls_context_drop(dl_tls_context *context);

/* Whether a certificate is for that host: a DNS name (wildcards count), or an
 * address as it is written in a URL. */
bool dl_tls_context_covers(const dl_tls_context *context, dl_str host);

/* Whether clients are asked for a certificate. */
bool dl_tls_context_asks_clients(const dl_tls_context *context);

#endif
