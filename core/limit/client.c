/* SPDX-License-Identifier: MIT */
/* From an address to whom it stands for. */
#include "limit/limit.h"

#include <arpa/inet.h>

enum { ADDRESS_TEXT_BYTES = 64 };

/* Prefixes behind which an IPv4 address stands: mapped (RFC 4291 2.5.5.2), and what a
 * NAT64 in front of us makes of one (RFC 6052 2.1). By /64 all of IPv4 would be one. */
static const unsigned char ipv4_inside[][12] = {
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff},
    {0, 0x64, 0xff, 0x9b},
};

static dl_str key_of(char out[DL_LIMIT_KEY_BYTES], char kind, const void *bytes, size_t length) {
  out[0] = kind;
  memcpy(out + 1, bytes, length);
  return dl_str_from(out, length + 1);
}

/* The zone ("%eth0") names our own interface, not the client. */
static dl_str without_zone(dl_str address) {
  const char *zone = address.len ? memchr(address.ptr, '%', address.len) : NULL;
  return zone ? dl_str_from(address.ptr, (size_t)(zone - address.ptr)) : address;
}

dl_str dl_limit_client_key(dl_str address, char out[DL_LIMIT_KEY_BYTES]) {
  char text[ADDRESS_TEXT_BYTES];
  unsigned char bytes[16];
  dl_str bare = without_zone(address);
  if (bare.len == 0 || bare.len >= sizeof(text) || memchr(bare.ptr, '\0', bare.len)) return address;
  memcpy(text, bare.ptr, bare.len);
  text[bare.len] = '\0';
  if (inet_pton(AF_INET, text, bytes) == 1) return key_of(out, '4', bytes, 4);
  if (inet_pton(AF_INET6, text, bytes) != 1) return address;
  for (size_t i = 0; i < sizeof(ipv4_inside) / sizeof(*ipv4_inside); i++)
    if (memcmp(bytes, ipv4_inside[i], sizeof(ipv4_inside[i])) == 0) return key_of(out, '4', bytes + 12, 4);
  return key_of(out, '6', bytes, 8);
}
