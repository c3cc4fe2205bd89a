/* SPDX-License-Identifier: MIT */
/*
 * CORS: one line of input is the configured origin, the next the one that asks, the
 * third the headers it asks for. Who is admitted is who was named, and what comes
 * out is lines of fields, whatever went in.
 */
#include "http/cors.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
  if (!holds) abort();
}

static dl_str take_line(dl_str *rest) {
  const char *end = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
  dl_str line = dl_str_from(rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len);
  *rest = dl_str_skip(*rest, end ? line.len + 1 : line.len);
  return line;
}

/* Every line has a colon and ends in CRLF, and no CR or LF is anywhere else. */
static void check_block(dl_str block, uint32_t lines) {
  while (block.len) {
    const char *end = memchr(block.ptr, '\r', block.len);
    require(end != NULL);
    size_t length = (size_t)(end - block.ptr);
    require(length + 1 < block.len && end[1] == '\n' && memchr(block.ptr, ':', length) && !memchr(block.ptr, '\n', length) && lines-- > 0);
    block = dl_str_skip(block, length + 2);
  }
  require(lines == 0);
}

/* Slow and plain, to be compared with what the core says. */
static bool named(dl_str configured, dl_str origin) {
  const char *star = memchr(configured.ptr, '*', configured.len);
  if (!star) return dl_str_equal(configured, origin);
  size_t before = (size_t)(star - configured.ptr);
  dl_str tail = dl_str_skip(configured, before + 1);
  if (origin.len <= before + tail.len || memcmp(origin.ptr, configured.ptr, before) != 0) return false;
  if (memcmp(origin.ptr + origin.len - tail.len, tail.ptr, tail.len) != 0) return false;
  for (size_t i = before; i < origin.len - tail.len; i++) {
    char c = origin.ptr[i];
    bool inner = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (!inner && !(c == '.' && i > before && origin.ptr[i - 1] != '.' && origin.ptr[i + 1] != '.')) return false;
  }
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dl_arena arena;
  dl_arena_init(&arena, 0);
  dl_str rest = dl_str_from((const char *)data, size), configured = take_line(&rest), origin = take_line(&rest), headers = take_line(&rest);
  const dl_str allowed = DL_STR("X-A");
  const char *fault;
  dl_cors_options options = {.origins = &configured, .origin_count = 1, .headers = &allowed, .header_count = 1};
  dl_cors *cors = dl_cors_compile(&options, &arena, &fault);
  require((cors == NULL) == (fault != NULL));
  if (cors && !dl_str_equal(configured, DL_STR("*"))) {
    bool admits = origin.len && named(configured, origin);
    require(dl_cors_allows(cors, origin) == admits);
    check_block(dl_cors_origin(cors, origin, &arena), admits ? 2 : 1);
    dl_cors_answer answer = dl_cors_preflight(cors, origin, DL_STR("GET"), headers, (dl_str){0}, &arena);
    require(!answer.allowed || admits);
    check_block(answer.fields, answer.allowed ? 5 : 1);
  }
  dl_arena_free(&arena);
  return 0;
}
