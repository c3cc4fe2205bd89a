/* SPDX-License-Identifier: MIT */
/*
 * What trusted proxies say about a request they pass on: Forwarded (RFC 7239), or
 * X-Forwarded-For, -Proto and -Host. Each proxy adds on the right, so both are read
 * from the right, and only as far as those who wrote it are trusted. Called by the
 * pipeline for requests that a trusted proxy brought; nothing here believes others.
 */
#ifndef DL_HTTP_FORWARDED_H
#define DL_HTTP_FORWARDED_H

#include "base/arena.h"
#include "http/request.h"
#include "net/cidr.h"

typedef enum dl_scheme { DL_SCHEME_UNKNOWN, DL_SCHEME_HTTP, DL_SCHEME_HTTPS } dl_scheme;

typedef struct dl_forwarded {
  dl_address client;   /* the first that is not trusted, or the last trusted one that named nobody */
  dl_scheme scheme;    /* as the client spoke to the first trusted proxy; UNKNOWN when none said */
  dl_str host;         /* that it asked for, as in a Host field; empty when none said */
  const char *problem; /* a static sentence when something was not believed for its form; else NULL */
} dl_forwarded;

/* peer: who brought the request, itself trusted. An identifier that hides its owner
 * (unknown, _secret) or is malformed ends the reading: the client is then the hop
 * that wrote it, and nothing left of it counts. With both kinds of field Forwarded
 * counts, unless the X-Forwarded- fields say something else: then a client may have
 * sent what its proxy neither writes nor removes, and neither is believed. Slices are
 * the request's or the arena's. */
dl_forwarded dl_forwarded_read(const dl_http_request *request, const dl_address *peer, const dl_trusted *trusted, dl_arena *arena);

#endif
