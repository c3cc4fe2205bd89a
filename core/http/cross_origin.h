/* SPDX-License-Identifier: MIT */
/*
 * Whose page made a request: what browsers say by Sec-Fetch-Site (W3C Fetch
 * Metadata), and older ones by Origin (RFC 6454 7, WHATWG Fetch 3.1).
 */
#ifndef DL_HTTP_CROSS_ORIGIN_H
#define DL_HTTP_CROSS_ORIGIN_H

#include "base/arena.h"
#include "http/request.h"

/* Whether a browser says that a page of another origin made the request. host: what
 * the client asked for, when a trusted proxy told it; empty for the Host field. https:
 * that it came by TLS is known; then a page that did not is another origin. Else only
 * the host and its port are compared, for a proxy that ends TLS may not say so.
 * False for clients that send neither field, which are no browsers. */
bool dl_http_cross_origin(const dl_http_request *request, dl_str host, bool https);

/* Whether a browser says that its user followed a link or was sent on, so that the
 * answer is the page that he sees next, and no part of another one. */
bool dl_http_navigation(const dl_http_request *request, dl_arena *arena);

#endif
