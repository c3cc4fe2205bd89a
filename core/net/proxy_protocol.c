/* SPDX-License-Identifier: MIT */
#include "net/proxy_protocol.h"

enum { V1_MAX_BYTES = 107, V2_HEAD_BYTES = 16, V2_VERSION = 0x20, V2_LOCAL = 0, V2_PROXY = 1 };

static const dl_str v1_begin = {"PROXY ", 6};
static const dl_str v2_begin = {"\r\n\r\n\0\r\nQUIT\n", 12};

/* --- version 1 ---------------------------------------------------------------------- */

/* Up to the next space, which is taken too; the last one takes what is left. */
static dl_str take_word(dl_str *line) {
  const char *space = line->len ? memchr(line->ptr, ' ', line->len) : NULL;
  dl_str word = dl_str_from(line->ptr, space ? (size_t)(space - line->ptr) : line->len);
  *line = space ? dl_str_skip(*line, word.len + 1) : (dl_str){0};
  return word;
}

static bool is_port(dl_str word) {
  unsigned value = 0;
  if (word.len == 0 || word.len > 5 || (word.len > 1 && word.ptr[0] == '0')) return false;
  for (size_t i = 0; i < word.len; i++) {
    if (word.ptr[i] < '0' || word.ptr[i] > '9') return false;
    value = value * 10 + (unsigned)(word.ptr[i] - '0');
  }
  return value <= 65535;
}

static bool is_address(dl_str word, bool ipv6, dl_address *address) {
  return word.len && (memchr(word.ptr, ':', word.len) != NULL) == ipv6 && dl_address_read(word, address);
}

/* "TCP4 192.0.2.1 198.51.100.1 56324 443", without "PROXY " and CRLF. */
static dl_proxy_result read_line(dl_str line, dl_address *client) {
  dl_address server;
  dl_str family = take_word(&line);
  if (dl_str_equal(family, DL_STR("UNKNOWN"))) return DL_PROXY_UNKNOWN; /* what follows is to be ignored */
  bool ipv6 = dl_str_equal(family, DL_STR("TCP6"));
  if (!ipv6 && !dl_str_equal(family, DL_STR("TCP4"))) return DL_PROXY_ERROR;
  bool fits = is_address(take_word(&line), ipv6, client) && is_address(take_word(&line), ipv6, &server) && is_port(take_word(&line));
  return fits && is_port(line) ? DL_PROXY_CLIENT : DL_PROXY_ERROR;
}

/* The line has to end within its bytes, and nothing in it may be a control character. */
static dl_proxy_result read_v1(dl_str bytes, size_t *consumed, dl_address *client) {
  for (size_t i = 0; i < bytes.len && i < V1_MAX_BYTES; i++) {
    unsigned char c = (unsigned char)bytes.ptr[i];
    if (c >= 0x20 && c < 0x7f) continue;
    if (c != '\r') return DL_PROXY_ERROR;
    if (i + 1 == V1_MAX_BYTES) return DL_PROXY_ERROR;
    if (i + 1 == bytes.len) return DL_PROXY_MORE;
    if (bytes.ptr[i + 1] != '\n') return DL_PROXY_ERROR;
    *consumed = i + 2;
    return read_line(dl_str_from(bytes.ptr + v1_begin.len, i - v1_begin.len), client);
  }
  return bytes.len < V1_MAX_BYTES ? DL_PROXY_MORE : DL_PROXY_ERROR;
}

/* --- version 2 ---------------------------------------------------------------------- */

/* The family and transport byte, and how many bytes its two addresses take. */
static const struct {
  uint8_t family;
  uint16_t bytes;
  uint8_t address; /* of one, when it is IP */
} families[] = {
    {0x11, 12, 4},   /* TCP over IPv4 */
    {0x21, 36, 16},  /* TCP over IPv6 */
    {0x31, 216, 0},  /* a unix stream */
};

static dl_proxy_result read_addresses(uint8_t family, dl_str block, dl_address *client) {
  if (family == 0) return DL_PROXY_UNKNOWN;
  for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
    if (families[i].family != family) continue;
    if (block.len < families[i].bytes) return DL_PROXY_ERROR;
    *client = families[i].address ? dl_address_of(block.ptr, families[i].address) : (dl_address){.kind = DL_ADDRESS_UNIX};
    return DL_PROXY_CLIENT;
  }
  return DL_PROXY_ERROR; /* datagrams, or a family of which nobody has heard: it came by a stream */
}

/* What follows the addresses (TLVs) says nothing that is asked here: it is passed over. */
static dl_proxy_result read_v2(dl_str bytes, size_t *consumed, dl_address *client) {
  const uint8_t *head = (const uint8_t *)bytes.ptr;
  if (bytes.len > 12 && (head[12] & 0xf0) != V2_VERSION) return DL_PROXY_ERROR;
  if (bytes.len > 12 && (head[12] & 0x0f) > V2_PROXY) return DL_PROXY_ERROR;
  if (bytes.len < V2_HEAD_BYTES) return DL_PROXY_MORE;
  size_t length = (size_t)head[14] << 8 | head[15];
  if (V2_HEAD_BYTES + length > DL_PROXY_HEADER_MAX_BYTES) return DL_PROXY_ERROR;
  if (bytes.len < V2_HEAD_BYTES + length) return DL_PROXY_MORE;
  *consumed = V2_HEAD_BYTES + length;
  if ((head[12] & 0x0f) == V2_LOCAL) return DL_PROXY_SELF; /* its family and addresses are to be ignored */
  return read_addresses(head[13], dl_str_from(bytes.ptr + V2_HEAD_BYTES, length), client);
}

/* --- both --------------------------------------------------------------------------- */

static bool fits(dl_str bytes, dl_str begin) {
  size_t known = bytes.len < begin.len ? bytes.len : begin.len;
  return known == 0 || memcmp(bytes.ptr, begin.ptr, known) == 0;
}

dl_proxy_result dl_proxy_protocol_read(dl_str bytes, size_t *consumed, dl_address *client) {
  *consumed = 0;
  if (fits(bytes, v1_begin)) return bytes.len < v1_begin.len ? DL_PROXY_MORE : read_v1(bytes, consumed, client);
  if (fits(bytes, v2_begin)) return bytes.len < v2_begin.len ? DL_PROXY_MORE : read_v2(bytes, consumed, client);
  return DL_PROXY_ERROR;
}
