/* SPDX-License-Identifier: MIT */
/*
 * Cookie, Content-Type, Accept, If-None-Match, If-Modified-Since and Idempotency-Key
 * fields: what is given lies in the input, no more than was asked for, and cookies, dates
 * and keys written out again read the same.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "http/conditional.h"
#include "http/idempotency_key.h"
#include "http/text.h"

#include <stdlib.h>

enum { MAX_PAIRS = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
  if (!holds) abort();
}

static bool inside(dl_str part, dl_str whole) { return !part.len || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len); }

static void check_cookies(dl_str text, dl_arena *arena) {
  dl_pair *pairs, *others;
  uint32_t count, other_count;
  dl_buffer again = {0};
  if (dl_http_cookies(text, MAX_PAIRS, arena, &pairs, &count)) return;
  require(count <= MAX_PAIRS);
  for (uint32_t i = 0; i < count; i++) {
    require(pairs[i].name.len && inside(pairs[i].name, text) && inside(pairs[i].value, text));
    dl_buffer_append_str(&again, pairs[i].name);
    DL_BUFFER_LITERAL(&again, "=\"");
    dl_buffer_append_str(&again, pairs[i].value);
    DL_BUFFER_LITERAL(&again, "\"; ");
  }
  require(!dl_http_cookies(dl_buffer_str(&again), MAX_PAIRS, arena, &others, &other_count) && other_count == count);
  for (uint32_t i = 0; i < count; i++) require(dl_str_equal(pairs[i].name, others[i].name) && dl_str_equal(pairs[i].value, others[i].value));
  dl_buffer_free(&again);
}

static void check_media_type(dl_str text, dl_arena *arena) {
  dl_str type, charset;
  if (!dl_http_media_type(text, arena, &type, &charset)) return;
  require(type.len >= 3 && memchr(type.ptr, '/', type.len) && inside(charset, text));
  for (size_t i = 0; i < type.len; i++) require(type.ptr[i] == dl_ascii_lower(type.ptr[i]));
}

static const char *read_key(dl_str field, dl_arena *arena, dl_str *key) {
  dl_header header = {DL_STR("Idempotency-Key"), field, DL_HEADER_OTHER};
  dl_http_request request = {.headers = &header, .header_count = 1};
  return dl_http_idempotency_key(&request, arena, key);
}

static void check_key(dl_str text, dl_arena *arena) {
  dl_str key, again;
  dl_buffer quoted = {0};
  if (read_key(text, arena, &key)) return;
  require(key.len >= 1 && key.len <= DL_IDEMPOTENCY_KEY_MAX);
  dl_buffer_append_char(&quoted, '"');
  for (size_t i = 0; i < key.len; i++) {
    require(key.ptr[i] >= ' ' && key.ptr[i] <= '~');
    if (key.ptr[i] == '"' || key.ptr[i] == '\\') dl_buffer_append_char(&quoted, '\\');
    dl_buffer_append_char(&quoted, key.ptr[i]);
  }
  dl_buffer_append_char(&quoted, '"');
  require(!read_key(dl_buffer_str(&quoted), arena, &again) && dl_str_equal(key, again));
  dl_buffer_free(&quoted);
}

/* A leap second at the end of the last year has no date that it could be written as. */
static void check_date(dl_str text) {
  static const int64_t year_10000 = 253402300800;
  int64_t seconds, again;
  char written[30];
  if (!dl_http_date_read(text, 0, &seconds) || seconds >= year_10000) return;
  dl_clock_imf_fixdate(seconds * 1000, written);
  require(dl_http_date_valid(dl_str_of(written)) && dl_http_date_read(dl_str_of(written), 0, &again) && again == seconds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dl_arena arena;
  dl_arena_init(&arena, 0);
  dl_str text = dl_str_from((const char *)data, size);
  check_cookies(text, &arena);
  check_media_type(text, &arena);
  check_key(text, &arena);
  dl_http_prefers_html(text);
  require(dl_http_etag_matches(text, DL_STR("\"a\"")) == dl_http_etag_matches(text, DL_STR("W/\"a\"")));
  require(!dl_http_etag_matches_strongly(text, DL_STR("\"a\"")) || dl_http_etag_matches(text, DL_STR("\"a\"")));
  require(!dl_http_etag_excluded(text, DL_STR("\"a\"")) || !dl_http_etag_matches(text, DL_STR("\"a\"")));
  require(!dl_http_etag_valid(text) || dl_http_etag_matches(text, text));
  check_date(text);
  dl_arena_free(&arena);
  return 0;
}
