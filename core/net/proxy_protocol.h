/* SPDX-License-Identifier: MIT */
/*
 * The PROXY protocol, versions 1 (text) and 2 (binary): what a proxy that hands
 * connections through says about the client before the client's first byte. See
 * "The PROXY protocol", Willy Tarreau, 2020/03/05, sections 2.1 and 2.2. Pure: the
 * connection decides whom it believes, and until when it waits.
 */
#ifndef DL_NET_PROXY_PROTOCOL_H
#define DL_NET_PROXY_PROTOCOL_H

#include "net/cidr.h"

typedef enum dl_proxy_result {
  DL_PROXY_MORE,   /* fits so far, needs more bytes */
  DL_PROXY_CLIENT, /* *client is who connected to the proxy */
  DL_PROXY_SELF,   /* LOCAL: the proxy speaks for itself, as for a health check */
  DL_PROXY_UNKNOWN,/* a client of which the proxy cannot say the address */
  DL_PROXY_ERROR   /* no such header; the connection is to be closed */
} dl_proxy_result;

/* No header is longer: 107 bytes of text, or 16 and what follows them. The format
 * would allow 65,535 there, of which addresses take at most 216. */
enum { DL_PROXY_HEADER_MAX_BYTES = 16 + 4096 };

/* bytes: all that has arrived, from the first byte on. On CLIENT, SELF and UNKNOWN
 * *consumed is the header's length; what follows is the client's. What it says
 * depends on the bytes only, not on the pieces they came in. */
dl_proxy_result dl_proxy_protocol_read(dl_str bytes, size_t *consumed, dl_address *client);

#endif
