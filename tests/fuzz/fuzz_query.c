/* SPDX-License-Identifier: MIT */
/*
 * Paths, queries and forms: what comes out is UTF-8 without NUL, as many pairs as
 * were allowed, and encoding it again and decoding that gives the same; a path
 * that is taken has no trick in it, whatever was in the target.
 */
#include "base/buffer.h"
#include "base/utf8.h"
#include "http/parser.h"
#include "http/text.h"

#include <stdlib.h>

enum { MAX_PAIRS = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
  if (!holds) abort();
}

static void encode(dl_buffer *out, dl_str s) {
  for (size_t i = 0; i < s.len; i++) dl_buffer_printf(out, "%%%02X", (unsigned)(unsigned char)s.ptr[i]);
}

static void check_query(dl_str text) {
  dl_arena arena;
  dl_arena_init(&arena, 0);
  dl_buffer again = {0};
  dl_pair *pairs, *others;
  uint32_t count, other_count;
  if (!dl_http_query(text, MAX_PAIRS, &arena, &pairs, &count)) {
    require(count <= MAX_PAIRS);
    for (uint32_t i = 0; i < count; i++) {
      require(dl_utf8_valid(pairs[i].name) && dl_utf8_valid(pairs[i].value));
      require(!pairs[i].name.len || !memchr(pairs[i].name.ptr, 0, pairs[i].name.len));
      require(!pairs[i].value.len || !memchr(pairs[i].value.ptr, 0, pairs[i].value.len));
      encode(&again, pairs[i].name);
      dl_buffer_append_char(&again, '=');
      encode(&again, pairs[i].value);
      dl_buffer_append_char(&again, '&');
    }
    require(!dl_http_query(dl_buffer_str(&again), MAX_PAIRS, &arena, &others, &other_count) && other_count == count);
    for (uint32_t i = 0; i < count; i++) require(dl_str_equal(pairs[i].name, others[i].name) && dl_str_equal(pairs[i].value, others[i].value));
  }
  dl_buffer_free(&again);
  dl_arena_free(&arena);
}

static void check_path(dl_str path) {
  require(path.len && path.ptr[0] == '/' && dl_utf8_valid(path));
  for (size_t i = 0; i < path.len; i++) require((unsigned char)path.ptr[i] >= 0x20 && path.ptr[i] != 0x7f && path.ptr[i] != '\\');
  dl_buffer text = {0};
  dl_buffer_append_str(&text, path);
  dl_buffer_append(&text, "/", 2);
  static const char *const tricks[] = {"//", "/./", "/../"};
  text.len -= path.ptr[path.len - 1] == '/' ? 2 : 1;
  text.data[text.len] = '\0';
  for (size_t i = 0; i < sizeof(tricks) / sizeof(tricks[0]); i++) require(!strstr(text.data, tricks[i]));
  dl_buffer_free(&text);
}

static void check_target(dl_str target) {
  dl_http_limits limits = {.max_head_bytes = 1 << 20, .max_target_bytes = 1 << 20, .max_headers = 4};
  dl_http_parser *parser = dl_http_parser_new(&limits);
  dl_arena arena;
  dl_arena_init(&arena, 0);
  dl_buffer head = {0};
  DL_BUFFER_LITERAL(&head, "GET ");
  dl_buffer_append_str(&head, target);
  DL_BUFFER_LITERAL(&head, " HTTP/1.1\r\nHost: a\r\n\r\n");
  dl_http_request request;
  size_t consumed;
  if (dl_http_parser_head(parser, dl_buffer_str(&head), &arena, &request, &consumed) == DL_HTTP_DONE) check_path(request.path);
  dl_buffer_free(&head);
  dl_arena_free(&arena);
  dl_http_parser_free(parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dl_str text = dl_str_from((const char *)data, size);
  check_query(text);
  check_target(text);
  return 0;
}
