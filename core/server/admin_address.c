/* SPDX-License-Identifier: MIT */
/* Where the admin listener listens, and under which names it answers. */
#include "server/admin.h"

#include <arpa/inet.h>
#include <stdlib.h>

static const char how[] = "must be a port (on 127.0.0.1), ADDRESS:PORT with an IPv4 address or an IPv6 address in brackets, or unix:PATH";

static bool read_port(dl_str text, int *out) {
  int port = 0;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9' || i == 5) return false;
    port = port * 10 + (text.ptr[i] - '0');
  }
  *out = port;
  return text.len > 0 && port <= 65535;
}

static bool to_text(dl_str host, char out[48]) {
  if (host.len == 0 || host.len > 47) return false;
  memcpy(out, host.ptr, host.len);
  out[host.len] = 0;
  return strlen(out) == host.len;
}

/* An address as text, and whether it is of this machine alone. */
static bool read_address(dl_str host, char text[48], bool *loopback) {
  struct in_addr four;
  struct in6_addr six;
  bool bracketed = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
  if (bracketed) host = dl_str_from(host.ptr + 1, host.len - 2);
  if (!to_text(host, text)) return false;
  if (bracketed) {
    if (inet_pton(AF_INET6, text, &six) != 1) return false;
    *loopback = IN6_IS_ADDR_LOOPBACK(&six);
    return true;
  }
  if (inet_pton(AF_INET, text, &four) != 1) return false;
  *loopback = ntohl(four.s_addr) >> 24 == 127;
  return true;
}

/* The last colon that is not inside brackets; the length when there is none. */
static size_t port_colon(dl_str text) {
  for (size_t i = text.len; i-- > 0;) {
    if (text.ptr[i] == ':') return i;
    if (text.ptr[i] == ']') break;
  }
  return text.len;
}

const char *dl_admin_address_read(const char *text, dl_admin_address *out) {
  dl_str all = dl_str_of(text);
  *out = (dl_admin_address){.host = "127.0.0.1", .loopback = true};
  if (dl_str_starts(all, DL_STR("unix:"))) {
    dl_str path = dl_str_skip(all, 5);
    if (path.len >= sizeof out->unix_path) return "names a unix socket whose path is too long: it has at most 107 bytes";
    memcpy(out->unix_path, path.ptr, path.len);
    return path.len ? NULL : how;
  }
  if (read_port(all, &out->port)) return NULL;
  size_t colon = port_colon(all);
  dl_str host = dl_str_from(all.ptr, colon);
  if (colon == all.len || !read_port(dl_str_skip(all, colon + 1), &out->port)) return how;
  if (dl_str_equal(host, DL_STR("localhost"))) return NULL;
  return read_address(host, out->host, &out->loopback) ? NULL : how;
}

bool dl_admin_host_is_plain(dl_str host) {
  char text[48];
  bool loopback;
  int port;
  size_t colon = port_colon(host);
  if (colon < host.len && !read_port(dl_str_skip(host, colon + 1), &port)) return false;
  host.len = colon;
  return dl_str_equal_nocase(host, DL_STR("localhost")) || read_address(host, text, &loopback);
}
