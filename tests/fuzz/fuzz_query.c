/* SPDX-License-Identifier: MIT */
/*
 * Paths, queries and forms, beside a reader that is slow and plain: what comes out is
 * UTF-8 without NUL, as many pairs as were allowed, and encoding it again and decoding
 * that gives the same; a path that is taken is the target's, decoded once, and has no
 * trick in it, whatever was in the target.
 */
#include "fuzz.h"

#include "base/buffer.h"
#include "base/utf8.h"
#include "http/internal.h"
#include "http/text.h"

enum { MAX_PAIRS = 32 };

static void encode(dl_buffer *out, dl_str s) {
  for (size_t i = 0; i < s.len; i++) dl_buffer_printf(out, "%%%02X", (unsigned)(unsigned char)s.ptr[i]);
}

/* --- beside a reader that is slow and plain -------------------------------------------- */

static int digit_of(char c) {
  const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
  return at ? (int)(at - digits) : -1;
}

/* One byte at a time; false for a "%" that is not followed by two digits. */
static bool decode_plainly(dl_str text, bool plus, dl_buffer *out) {
  for (size_t i = 0; i < text.len; i++) {
    bool escaped = text.ptr[i] == '%';
    int high = escaped && text.len - i > 2 ? digit_of(text.ptr[i + 1]) : -1, low = high >= 0 ? digit_of(text.ptr[i + 2]) : -1;
    if (escaped && low < 0) return false;
    dl_buffer_append_char(out, escaped ? (char)(high * 16 + low) : plus && text.ptr[i] == '+' ? ' ' : text.ptr[i]);
    i += escaped ? 2 : 0;
  }
  return true;
}

static void check_percent(dl_str text, bool plus) {
  dl_buffer slow = {0};
  char *fast = malloc(text.len + 1);
  size_t length = 0;
  require(fast != NULL, "there is memory");
  bool taken = dl_http_percent_decode(text, plus, fast, &length);
  require(taken == decode_plainly(text, plus, &slow), "what is taken is what can be decoded");
  if (taken) require(length == slow.len && (length == 0 || memcmp(fast, slow.data, length) == 0), "both readers find the same bytes");
  free(fast);
  dl_buffer_free(&slow);
}

/* A name or a value, which has to be UTF-8 without NUL. */
static bool takes(dl_str raw, const dl_str *found) {
  dl_buffer slow = {0};
  bool good = decode_plainly(raw, true, &slow) && dl_utf8_valid(dl_buffer_str(&slow)) && !(slow.len && memchr(slow.data, 0, slow.len));
  if (good && found) require(dl_str_equal(dl_buffer_str(&slow), *found), "both readers find the same pairs");
  dl_buffer_free(&slow);
  return good;
}

/* The pieces between "&" give these pairs, and are refused where one of them is wrong. */
static void check_pairs(dl_str text, bool taken, const dl_pair *pairs, uint32_t count) {
  uint32_t pieces = 0;
  bool good = true;
  while (text.len) {
    dl_str piece = take_until(&text, '&');
    if (!piece.len) continue;
    dl_str value = piece, name = take_until(&value, '=');
    const dl_pair *found = taken && pieces < count ? &pairs[pieces] : NULL;
    good = takes(name, found ? &found->name : NULL) && takes(value, found ? &found->value : NULL) && good;
    pieces++;
  }
  require(taken == (good && pieces <= MAX_PAIRS), "what is taken is what can be decoded");
  require(!taken || pieces == count, "there is a pair for each piece");
}

static void check_query(dl_str text) {
  dl_arena arena;
  dl_arena_init(&arena, 0);
  dl_buffer again = {0};
  dl_pair *pairs, *others;
  uint32_t count, other_count;
  bool taken = !dl_http_query(text, MAX_PAIRS, &arena, &pairs, &count);
  check_pairs(text, taken, pairs, count);
  if (taken) {
    require(count <= MAX_PAIRS, "there are no more pairs than were allowed");
    for (uint32_t i = 0; i < count; i++) {
      require(dl_utf8_valid(pairs[i].name) && dl_utf8_valid(pairs[i].value), "a pair is UTF-8");
      require(!pairs[i].name.len || !memchr(pairs[i].name.ptr, 0, pairs[i].name.len), "a name holds no NUL");
      require(!pairs[i].value.len || !memchr(pairs[i].value.ptr, 0, pairs[i].value.len), "a value holds no NUL");
      encode(&again, pairs[i].name);
      dl_buffer_append_char(&again, '=');
      encode(&again, pairs[i].value);
      dl_buffer_append_char(&again, '&');
    }
    require(!dl_http_query(dl_buffer_str(&again), MAX_PAIRS, &arena, &others, &other_count) && other_count == count, "pairs written again are taken");
    for (uint32_t i = 0; i < count; i++) require(dl_str_equal(pairs[i].name, others[i].name) && dl_str_equal(pairs[i].value, others[i].value), "pairs written again are the same");
  }
  dl_buffer_free(&again);
  dl_arena_free(&arena);
}

/* "/a%20b?c" leads to "/a b" and nowhere else; another form names a host first. */
static void check_decoded(dl_str target, dl_str path) {
  dl_buffer slow = {0};
  dl_str raw = take_until(&target, '?');
  require(decode_plainly(raw, false, &slow) && dl_str_equal(dl_buffer_str(&slow), path), "a path is the target's, decoded once");
  dl_buffer_free(&slow);
}

static void check_path(dl_str path) {
  require(path.len && path.ptr[0] == '/' && dl_utf8_valid(path), "a path begins with a slash and is UTF-8");
  for (size_t i = 0; i < path.len; i++) require((unsigned char)path.ptr[i] >= 0x20 && path.ptr[i] != 0x7f && path.ptr[i] != '\\', "a path holds no control character and no backslash");
  dl_buffer text = {0};
  dl_buffer_append_str(&text, path);
  dl_buffer_append(&text, "/", 2);
  static const char *const tricks[] = {"//", "/./", "/../"};
  text.len -= path.ptr[path.len - 1] == '/' ? 2 : 1;
  text.data[text.len] = '\0';
  for (size_t i = 0; i < sizeof(tricks) / sizeof(tricks[0]); i++) require(!strstr(text.data, tricks[i]), "a path leads nowhere else");
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
  if (dl_http_parser_head(parser, dl_buffer_str(&head), &arena, &request, &consumed) == DL_HTTP_DONE) {
    check_path(request.path);
    if (target.len && target.ptr[0] == '/') check_decoded(request.target, request.path);
  }
  dl_buffer_free(&head);
  dl_arena_free(&arena);
  dl_http_parser_free(parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dl_str text = dl_str_from((const char *)data, size);
  check_query(text);
  check_percent(text, true);
  check_percent(text, false);
  check_target(text);
  return 0;
}
