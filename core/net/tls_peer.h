/* SPDX-License-Identifier: MIT */
/*
 * Who is at the other end of a TLS connection, by a certificate that was verified
 * against the client CAs. Text is as in the certificate, valid UTF-8, and holds no NUL:
 * a name with one inside is left out, since readers could disagree on where it ends, and
 * so is an alternative name that is not printable ASCII, as RFC 5280 4.2.1.6 wants it.
 */
#ifndef DL_NET_TLS_PEER_H
#define DL_NET_TLS_PEER_H

#include "base/str.h"

#include <stdint.h>

typedef struct x509_st X509;

enum { DL_TLS_PEER_NAMES_MAX = 32 };

typedef enum dl_tls_name_kind { DL_TLS_NAME_DNS, DL_TLS_NAME_EMAIL, DL_TLS_NAME_URI } dl_tls_name_kind;

typedef struct dl_tls_name {
  dl_tls_name_kind kind;
  dl_str text;
} dl_tls_name;

typedef struct dl_tls_peer {
  dl_str subject, issuer; /* distinguished names by RFC 2253: "CN=worker-7,O=Example" */
  dl_str common_name;     /* the last CN of the subject; empty when there is none */
  dl_str serial;          /* hexadecimal */
  dl_tls_name names[DL_TLS_PEER_NAMES_MAX]; /* subjectAltName */
  uint32_t name_count;
  int64_t not_before_s, not_after_s; /* seconds since 1970 */
  char fingerprint[65];              /* SHA-256 of the whole certificate, hexadecimal */
} dl_tls_peer;

/* Copies what matters; never NULL. */
dl_tls_peer *dl_tls_peer_new(X509 *certificate);
void dl_tls_peer_free(dl_tls_peer *peer);

#endif
