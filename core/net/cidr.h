/* SPDX-License-Identifier: MIT */
/*
 * Addresses as bytes, networks of them, and the list of those whom a server lets
 * speak for others: its trusted proxies. An IPv4 address and the same one mapped
 * into IPv6 (RFC 4291 2.5.5.2) are one address here, whoever writes it how.
 */
#ifndef DL_NET_CIDR_H
#define DL_NET_CIDR_H

#include "base/str.h"

#include <stdint.h>

typedef enum dl_address_kind {
  DL_ADDRESS_NONE, /* nobody knows */
  DL_ADDRESS_IP,
  DL_ADDRESS_UNIX  /* whoever may open a unix socket */
} dl_address_kind;

typedef struct dl_address {
  uint8_t kind;      /* dl_address_kind */
  uint8_t bytes[16]; /* IPv6; IPv4 mapped, ::ffff:a.b.c.d */
} dl_address;

enum { DL_ADDRESS_TEXT_BYTES = 46, DL_TRUSTED_MAX = 128 };

/* "192.0.2.1" or "2001:db8::1", and nothing around it: no port, no brackets, no
 * zone, no leading zeros. */
bool dl_address_read(dl_str text, dl_address *address);

/* From the four or sixteen bytes of one, in network order. */
dl_address dl_address_of(const void *bytes, size_t length);

/* As dl_address_read takes it, IPv4 dotted; "unix", "unknown". Gives the length; a
 * NUL stands behind it. */
size_t dl_address_write(const dl_address *address, char out[DL_ADDRESS_TEXT_BYTES]);

bool dl_address_equal(const dl_address *a, const dl_address *b);

typedef struct dl_network {
  uint8_t bytes[16];
  uint8_t bits; /* of the 128; an IPv4 network's are over 96 */
} dl_network;

typedef struct dl_trusted {
  dl_network networks[DL_TRUSTED_MAX];
  uint32_t count;
  bool unix_sockets;
} dl_trusted;

/* Adds "10.0.0.0/8", "192.0.2.1", "2001:db8::/32" or "unix". NULL, or a static
 * sentence that says what to write instead and goes behind the text. Networks of
 * more addresses than an organisation has are refused: everybody is not a proxy. */
const char *dl_trusted_add(dl_trusted *trusted, dl_str text);

/* Adds a list with commas between ("10.0.0.0/8, unix"). NULL, or the sentence;
 * *wrong is then the element it is about. */
const char *dl_trusted_add_list(dl_trusted *trusted, dl_str list, dl_str *wrong);

bool dl_trusted_has(const dl_trusted *trusted, const dl_address *address);

#endif
