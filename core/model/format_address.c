/* SPDX-License-Identifier: MIT */
/*
 * ipv4, ipv6 and cidr. Zones ("%eth0") are refused: they mean something on one
 * machine only. So are leading zeros in IPv4, which some read as octal, and
 * networks with host bits set, which are more often a mistake than a network.
 */
#include "model/formats.h"

#include <arpa/inet.h>

/* inet_pton wants a NUL; it knows neither zones nor leading zeros nor locales. */
static bool read_address(int family, dl_str text, unsigned char *address) {
  char copy[INET6_ADDRSTRLEN];
  if (text.len >= sizeof(copy) || memchr(text.ptr, '\0', text.len)) return false;
  memcpy(copy, text.ptr, text.len);
  copy[text.len] = '\0';
  return inet_pton(family, copy, address) == 1;
}

bool dl_ipv4_read(dl_str text, unsigned char address[4]) { return text.len && read_address(AF_INET, text, address); }

bool dl_ipv6_read(dl_str text, unsigned char address[16]) { return text.len && read_address(AF_INET6, text, address); }

/* A number of at most three decimal digits; the place behind it. */
static char *put_decimal(char *p, unsigned number) {
  if (number >= 100) *p++ = (char)('0' + number / 100);
  if (number >= 10) *p++ = (char)('0' + number / 10 % 10);
  *p++ = (char)('0' + number % 10);
  return p;
}

static char *put_hex(char *p, unsigned number) {
  static const char hex[] = "0123456789abcdef";
  for (unsigned shift = 12; shift; shift -= 4)
    if (number >> shift) *p++ = hex[number >> shift & 15];
  *p++ = hex[number & 15];
  return p;
}

static char *ipv4_write(char *p, const unsigned char address[4]) {
  for (int i = 0; i < 4; i++) {
    if (i) *p++ = '.';
    p = put_decimal(p, address[i]);
  }
  return p;
}

/* The longest run of at least two zero groups, the first of equals (RFC 5952 4.2). */
static int longest_zeros(const uint16_t groups[8], int *length) {
  int best = -1;
  *length = 1;
  for (int i = 0; i < 8; i++) {
    int run = 0;
    while (i + run < 8 && groups[i + run] == 0) run++;
    if (run > *length) {
      best = i;
      *length = run;
    }
    i += run;
  }
  return best;
}

char *dl_ipv6_write(char *p, const unsigned char address[16], bool mixed) {
  static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
  if (mixed && memcmp(address, mapped, sizeof(mapped)) == 0) {
    memcpy(p, "::ffff:", 7);
    return ipv4_write(p + 7, address + 12);
  }
  uint16_t groups[8];
  for (int i = 0; i < 8; i++) groups[i] = (uint16_t)(address[2 * i] << 8 | address[2 * i + 1]);
  int length, zeros = longest_zeros(groups, &length);
  for (int i = 0; i < 8; i++) {
    if (i && i != zeros + length) *p++ = ':';
    if (i != zeros) {
      p = put_hex(p, groups[i]);
      continue;
    }
    if (!i) *p++ = ':';
    *p++ = ':';
    i += length - 1;
  }
  return p;
}

/* Pydantic's type for what is no text: the format's own in lax mode. */
static bool refuse_kind(dl_mode mode, const char *type, const char *message, dl_conversion *conversion) {
  return dl_format_refuse(conversion, mode == DL_MODE_STRICT ? "string_type" : type, message);
}

bool dl_format_ipv4(dl_mode mode, dl_value *value, dl_conversion *conversion) {
  static const char type[] = "ip_v4_address", message[] = "should be an IPv4 address, as a string like \"192.0.2.1\"";
  if (value->kind != DL_VALUE_STRING) return refuse_kind(mode, type, message, conversion);
  unsigned char address[4];
  if (!dl_ipv4_read(dl_value_str(value), address)) return dl_format_refuse(conversion, type, message);
  char text[16];
  return dl_format_accept(value, dl_str_from(text, (size_t)(ipv4_write(text, address) - text)), conversion);
}

bool dl_format_ipv6(dl_mode mode, dl_value *value, dl_conversion *conversion) {
  static const char type[] = "ip_v6_address", message[] = "should be an IPv6 address without a zone, as a string like \"2001:db8::1\"";
  if (value->kind != DL_VALUE_STRING) return refuse_kind(mode, type, message, conversion);
  unsigned char address[16];
  if (!dl_ipv6_read(dl_value_str(value), address)) return dl_format_refuse(conversion, type, message);
  char text[DL_IPV6_TEXT];
  return dl_format_accept(value, dl_str_from(text, (size_t)(dl_ipv6_write(text, address, true) - text)), conversion);
}

/* "0" to "128" without leading zeros; at most, or -1. */
static int read_prefix(dl_str text, int most) {
  if (!text.len || text.len > 3 || (text.len > 1 && text.ptr[0] == '0')) return -1;
  int prefix = 0;
  for (size_t i = 0; i < text.len; i++) {
    if (!dl_format_digit(text.ptr[i])) return -1;
    prefix = prefix * 10 + (text.ptr[i] - '0');
  }
  return prefix <= most ? prefix : -1;
}

static bool host_bits_set(const unsigned char *address, int bits, int prefix) {
  for (int bit = prefix; bit < bits; bit++)
    if (address[bit / 8] & (0x80 >> (bit % 8))) return true;
  return false;
}

bool dl_format_cidr(dl_mode mode, dl_value *value, dl_conversion *conversion) {
  (void)mode;
  static const char type[] = "ip_any_network", message[] = "should be a network, as a string like \"192.0.2.0/24\" or \"2001:db8::/32\"";
  if (value->kind != DL_VALUE_STRING) return dl_format_refuse(conversion, type, message);
  dl_str text = dl_value_str(value);
  const char *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;
  dl_str host = slash ? dl_str_from(text.ptr, (size_t)(slash - text.ptr)) : text;
  unsigned char address[16];
  bool four = dl_ipv4_read(host, address);
  if (!four && !dl_ipv6_read(host, address)) return dl_format_refuse(conversion, type, message);
  int bits = four ? 32 : 128;
  int prefix = slash ? read_prefix(dl_str_skip(text, host.len + 1), bits) : bits;
  if (prefix < 0) return dl_format_refuse(conversion, type, "should end in a prefix length of at most 32 for IPv4 and 128 for IPv6");
  if (host_bits_set(address, bits, prefix))
    return dl_format_refuse(conversion, type, "should be a network: bits behind the prefix should be 0, as in \"192.0.2.0/24\"");
  char out[DL_IPV6_TEXT + 4], *end = four ? ipv4_write(out, address) : dl_ipv6_write(out, address, true);
  *end++ = '/';
  end = put_decimal(end, (unsigned)prefix);
  return dl_format_accept(value, dl_str_from(out, (size_t)(end - out)), conversion);
}
