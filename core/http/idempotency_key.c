/* SPDX-License-Identifier: MIT */
#include "http/idempotency_key.h"

static const char malformed[] =
    "The Idempotency-Key is malformed; send a string of 1 to 255 visible ASCII characters in double quotes, such as a UUID";
static const char repeated[] = "There are several Idempotency-Key fields; send one";

static bool is_bare(char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != ',' && c != ';'; }

/* Without its quotes: the characters, as many as there are up to the closing quote,
 * which must be the last one. */
static bool read_quoted(dl_str text, dl_arena *arena, dl_str *key) {
  char *out = dl_arena_alloc(arena, text.len);
  size_t length = 0, at = 1;
  for (; at < text.len && text.ptr[at] != '"'; at++) {
    char c = text.ptr[at];
    if (c == '\\' && (++at == text.len || (c = text.ptr[at], c != '"' && c != '\\'))) return false;
    if (c < ' ' || c > '~') return false;
    out[length++] = c;
  }
  *key = dl_str_from(out, length);
  return at + 1 == text.len;
}

static bool read_bare(dl_str text, dl_str *key) {
  for (size_t i = 0; i < text.len; i++)
    if (!is_bare(text.ptr[i])) return false;
  *key = text;
  return true;
}

/* Two lines of one string would join to a key that nobody sent: one field only. */
static uint32_t find(const dl_http_request *request, dl_str *value) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < request->header_count; i++) {
    const dl_header *header = &request->headers[i];
    if (header->id != DL_HEADER_OTHER || !dl_str_equal_nocase(header->name, DL_STR("Idempotency-Key"))) continue;
    *value = header->value;
    count++;
  }
  return count;
}

const char *dl_http_idempotency_key(const dl_http_request *request, dl_arena *arena, dl_str *key) {
  dl_str text = {0};
  *key = (dl_str){0};
  uint32_t count = find(request, &text);
  if (count == 0) return NULL;
  if (count > 1) return repeated;
  bool good = text.len && text.ptr[0] == '"' ? read_quoted(text, arena, key) : read_bare(text, key);
  return good && key->len >= 1 && key->len <= DL_IDEMPOTENCY_KEY_MAX ? NULL : malformed;
}
