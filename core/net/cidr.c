/* SPDX-License-Identifier: MIT */
#include "net/cidr.h"

#include <arpa/inet.h>

enum { IPV4_AT = 12, IPV4_BITS = 96, LEAST_IPV4_BITS = 8, LEAST_IPV6_BITS = 7 };

static const uint8_t mapped[IPV4_AT] = {[10] = 0xff, [11] = 0xff};

static bool is_ipv4(const uint8_t bytes[16]) { return memcmp(bytes, mapped, IPV4_AT) == 0; }

/* --- addresses -------------------------------------------------------------------- */

dl_address dl_address_of(const void *bytes, size_t length) {
  dl_address address = {.kind = DL_ADDRESS_IP};
  if (length == 4) memcpy(address.bytes, mapped, IPV4_AT);
  memcpy(address.bytes + (length == 4 ? IPV4_AT : 0), bytes, length == 4 ? 4 : 16);
  return address;
}

bool dl_address_read(dl_str text, dl_address *address) {
  char copy[DL_ADDRESS_TEXT_BYTES];
  uint8_t bytes[16];
  if (text.len == 0 || text.len >= sizeof copy || memchr(text.ptr, '\0', text.len)) return false;
  memcpy(copy, text.ptr, text.len);
  copy[text.len] = '\0';
  int family = memchr(text.ptr, ':', text.len) ? AF_INET6 : AF_INET;
  if (inet_pton(family, copy, bytes) != 1) return false;
  *address = dl_address_of(bytes, family == AF_INET6 ? 16 : 4);
  return true;
}

/* By hand: inet_ntop goes through sprintf, and this is for each request of a proxy. */
static size_t write_ipv4(const uint8_t bytes[4], char *out) {
  char *end = out;
  for (int i = 0; i < 4; i++) {
    unsigned byte = bytes[i];
    if (i > 0) *end++ = '.';
    if (byte >= 100) *end++ = (char)('0' + byte / 100);
    if (byte >= 10) *end++ = (char)('0' + byte / 10 % 10);
    *end++ = (char)('0' + byte % 10);
  }
  *end = '\0';
  return (size_t)(end - out);
}

size_t dl_address_write(const dl_address *address, char out[DL_ADDRESS_TEXT_BYTES]) {
  if (address->kind == DL_ADDRESS_IP && is_ipv4(address->bytes)) return write_ipv4(address->bytes + IPV4_AT, out);
  if (address->kind != DL_ADDRESS_IP) strcpy(out, address->kind == DL_ADDRESS_UNIX ? "unix" : "unknown");
  else inet_ntop(AF_INET6, address->bytes, out, DL_ADDRESS_TEXT_BYTES);
  return strlen(out);
}

bool dl_address_equal(const dl_address *a, const dl_address *b) { return a->kind == b->kind && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0; }

/* --- networks --------------------------------------------------------------------- */

/* The first `bits` of both are the same. */
static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits) {
  unsigned whole = bits / 8, rest = bits % 8;
  if (memcmp(a, b, whole) != 0) return false;
  return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

/* One or more digits, at most `most`; -1 otherwise. */
static int read_bits(dl_str digits, int most) {
  int value = 0;
  if (digits.len == 0 || digits.len > 3 || (digits.len > 1 && digits.ptr[0] == '0')) return -1;
  for (size_t i = 0; i < digits.len; i++) {
    if (digits.ptr[i] < '0' || digits.ptr[i] > '9') return -1;
    value = value * 10 + (digits.ptr[i] - '0');
  }
  return value <= most ? value : -1;
}

static const char *check_width(const dl_network *network) {
  if (is_ipv4(network->bytes) && network->bits >= IPV4_BITS)
    return network->bits >= IPV4_BITS + LEAST_IPV4_BITS ? NULL : "would trust what anybody says who they are; write the networks your proxies are in, such as 10.0.0.0/8";
  return network->bits >= LEAST_IPV6_BITS ? NULL : "would trust what anybody says who they are; write the networks your proxies are in, such as fd00::/8";
}

static const char *read_network(dl_str text, dl_network *network) {
  static const uint8_t zeros[16] = {0};
  const char *slash = memchr(text.ptr, '/', text.len);
  dl_str name = slash ? dl_str_from(text.ptr, (size_t)(slash - text.ptr)) : text;
  dl_address address;
  if (!dl_address_read(name, &address)) return "is no address; write a network such as 10.0.0.0/8 or 2001:db8::/32, one address, or unix for a unix socket's other end";
  bool dotted = !memchr(name.ptr, ':', name.len);
  int bits = slash ? read_bits(dl_str_from(slash + 1, text.len - name.len - 1), dotted ? 32 : 128) : dotted ? 32 : 128;
  if (bits < 0) return "has no number of bits that fits behind its slash; write a network such as 10.0.0.0/8 or 2001:db8::/32";
  *network = (dl_network){.bits = (uint8_t)(dotted ? bits + IPV4_BITS : bits)};
  memcpy(network->bytes, address.bytes, sizeof network->bytes);
  const char *problem = check_width(network);
  if (problem) return problem;
  uint8_t rest[16];
  memcpy(rest, address.bytes, sizeof rest);
  for (unsigned bit = 0; bit < network->bits; bit++) rest[bit / 8] &= (uint8_t)~(0x80u >> bit % 8);
  return memcmp(rest, zeros, sizeof rest) == 0 ? NULL : "has bits set behind those that its slash counts; write the network's first address, as in 10.0.0.0/8, or leave the slash out for one address";
}

const char *dl_trusted_add(dl_trusted *trusted, dl_str text) {
  if (dl_str_equal(text, DL_STR("unix"))) {
    trusted->unix_sockets = true;
    return NULL;
  }
  if (text.len == 0) return "is nothing; write a network such as 10.0.0.0/8, or leave it out";
  if (dl_str_equal(text, DL_STR("*"))) return "would trust what anybody says who they are; write the networks your proxies are in, such as 10.0.0.0/8, or unix";
  if (trusted->count == DL_TRUSTED_MAX) return "is one too many: at most 128 networks can be named; write fewer, wider ones";
  const char *problem = read_network(text, &trusted->networks[trusted->count]);
  if (!problem) trusted->count++;
  return problem;
}

const char *dl_trusted_add_list(dl_trusted *trusted, dl_str list, dl_str *wrong) {
  while (true) {
    const char *comma = list.len ? memchr(list.ptr, ',', list.len) : NULL;
    *wrong = dl_str_trim(dl_str_from(list.ptr, comma ? (size_t)(comma - list.ptr) : list.len));
    const char *problem = dl_trusted_add(trusted, *wrong);
    if (problem || !comma) return problem;
    list = dl_str_skip(list, (size_t)(comma - list.ptr) + 1);
  }
}

/* An IPv6 network that happens to hold ::ffff:0:0/96 says nothing of IPv4. */
bool dl_trusted_has(const dl_trusted *trusted, const dl_address *address) {
  if (address->kind == DL_ADDRESS_UNIX) return trusted->unix_sockets;
  if (address->kind != DL_ADDRESS_IP) return false;
  unsigned least = is_ipv4(address->bytes) ? IPV4_BITS : 0;
  for (uint32_t i = 0; i < trusted->count; i++) {
    const dl_network *network = &trusted->networks[i];
    if (network->bits >= least && same_bits(network->bytes, address->bytes, network->bits)) return true;
  }
  return false;
}
