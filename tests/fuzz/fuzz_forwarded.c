/* SPDX-License-Identifier: MIT */
/*
 * Forwarded fields: each line of input is the value of one field, its first letter
 * saying which. Whatever a client wrote, the client is an address, and what the
 * proxy wrote behind it on the same line is what counts.
 */
#include "http/forwarded.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIELDS_MAX = 16 };

static void require(bool holds) {
  if (!holds) abort();
}

static dl_header_id field_of(char letter) {
  switch (letter) {
    case 'f': return DL_HEADER_X_FORWARDED_FOR;
    case 'p': return DL_HEADER_X_FORWARDED_PROTO;
    case 'h': return DL_HEADER_X_FORWARDED_HOST;
    default: return DL_HEADER_FORWARDED;
  }
}

static void add(dl_http_request *request, dl_header *headers, dl_header_id id, dl_str value) {
  if (request->known[id] < 0) request->known[id] = (int16_t)request->header_count;
  headers[request->header_count++] = (dl_header){.value = dl_str_trim(value), .id = (uint8_t)id};
  request->headers = headers;
}

/* The slices lie in what they came from or in the arena; the client is never nobody. */
static dl_forwarded read_all(const dl_http_request *request, const dl_trusted *trusted, dl_arena *arena) {
  dl_address peer;
  char text[DL_ADDRESS_TEXT_BYTES];
  dl_address_read(DL_STR("10.0.0.1"), &peer);
  dl_forwarded found = dl_forwarded_read(request, &peer, trusted, arena);
  require(found.client.kind == DL_ADDRESS_IP);
  size_t length = dl_address_write(&found.client, text);
  dl_address again;
  require(dl_address_read(dl_str_from(text, length), &again) && dl_address_equal(&again, &found.client));
  for (size_t i = 0; i < found.host.len; i++) require((unsigned char)found.host.ptr[i] > ' ' && found.host.ptr[i] != '/' && found.host.ptr[i] != '"');
  return found;
}

/* The client's field, and behind it the proxy's element. */
static void check_appended(dl_str value, dl_header_id id, const char *element, const dl_trusted *trusted, dl_arena *arena) {
  dl_http_request request = {0};
  dl_header headers[1];
  dl_address proxied;
  memset(request.known, 0xff, sizeof request.known);
  add(&request, headers, id, dl_str_of(dl_arena_format(arena, "%.*s, %s", DL_STR_ARGS(value), element)));
  dl_forwarded found = read_all(&request, trusted, arena);
  dl_address_read(DL_STR("2001:db8::1"), &proxied);
  require(dl_address_equal(&found.client, &proxied) && !found.problem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dl_arena arena;
  dl_trusted trusted = {0};
  dl_http_request request = {0};
  dl_header headers[FIELDS_MAX];
  dl_str rest = dl_str_from((const char *)data, size);
  if (size > 4096 || memchr(data ? data : (const uint8_t *)"", 0, size)) return 0; /* the parser lets no NUL come so far */
  dl_arena_init(&arena, 0);
  dl_trusted_add(&trusted, DL_STR("10.0.0.0/8"));
  memset(request.known, 0xff, sizeof request.known);
  while (rest.len > 0 && request.header_count < FIELDS_MAX) {
    const char *end = memchr(rest.ptr, '\n', rest.len);
    dl_str line = dl_str_from(rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len);
    rest = dl_str_skip(rest, end ? line.len + 1 : line.len);
    if (line.len == 0) continue;
    dl_header_id id = field_of(line.ptr[0]);
    add(&request, headers, id, dl_str_skip(line, 1));
    if (id == DL_HEADER_FORWARDED) check_appended(dl_str_skip(line, 1), id, "for=\"[2001:db8::1]:80\";x=\"a,b\\\"\";host=\"\\a\"", &trusted, &arena);
    if (id == DL_HEADER_X_FORWARDED_FOR) check_appended(dl_str_skip(line, 1), id, "2001:db8::1", &trusted, &arena);
  }
  read_all(&request, &trusted, &arena);
  dl_arena_free(&arena);
  return 0;
}
