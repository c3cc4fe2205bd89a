/* SPDX-License-Identifier: MIT */
/*
 * The one-pass JSON reader. Values gather on a stack; when an array or object
 * closes, its part of the stack moves to the arena in one piece, so that items
 * and members lie side by side. Nothing recurses: depth costs heap, not C stack,
 * and has its limit. Functions take the place reached and give back the next one,
 * or NULL with the error filled.
 */
#include "model/json.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/scan.h"
#include "base/utf8.h"
#include "model/json_internal.h"

#include <assert.h>

enum {
  STACK_FIRST = 256,    /* values on the C stack before the heap is asked: 4 KiB */
  COMPARE_MEMBERS = 16, /* up to here every pair of keys is compared, above a hash finds the same */
  DEFAULT_DEPTH = 64,
  DEFAULT_NODES = 1000000
};

#define NOT_OPEN SIZE_MAX

typedef struct reader {
  dl_arena *arena;
  const char *begin, *end;
  dl_json_error *error;
  dl_value *stack; /* values whose container is still open; keys stand before their values */
  size_t top, capacity;
  size_t open; /* place on the stack of the innermost open container's mark, or NOT_OPEN */
  uint32_t depth, max_depth, nodes, max_nodes;
  uint64_t *seen; /* scratch for the keys of large objects; owned */
  size_t seen_capacity;
  dl_value first[STACK_FIRST];
} reader;

const char *dl_json_fail(dl_json_error *error, size_t offset, const char *message) {
  *error = (dl_json_error){.offset = offset, .message = message};
  return NULL;
}

static const char *fail(reader *r, const char *at, const char *message) { return dl_json_fail(r->error, (size_t)(at - r->begin), message); }

static inline const char *skip_space(const reader *r, const char *p) {
  while (p < r->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
  return p;
}

/* How many values a text has is its sender's choice. */
static const char *starve(reader *r, const char *at) {
  fail(r, at, "there is no memory for so many values at the moment");
  r->error->starved = true;
  return NULL;
}

static bool stack_grow(reader *r) {
  size_t bytes = r->capacity * sizeof(*r->stack);
  dl_value *larger = dl_try_realloc(r->stack == r->first ? NULL : r->stack, bytes * 2);
  if (!larger) return false;
  if (r->stack == r->first) memcpy(larger, r->first, bytes);
  r->stack = larger;
  r->capacity *= 2;
  return true;
}

/* NULL when there is no memory. */
static inline dl_value *stack_push(reader *r) {
  if (r->top == r->capacity && !stack_grow(r)) return NULL;
  return &r->stack[r->top++];
}

static const char message_value[] = "expected a value: an object, an array, a string, a number, true, false or null";

/* --- strings --- */

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  char lower = dl_ascii_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The four hexadecimal digits at p, or -1. */
static int32_t hex_quad(const char *p, const char *end) {
  if (end - p < 4) return -1;
  int32_t unit = 0;
  for (int i = 0; i < 4; i++) {
    int digit = hex_digit(p[i]);
    if (digit < 0) return -1;
    unit = unit << 4 | digit;
  }
  return unit;
}

/* What stands for the character behind a backslash; 0 for those that may not follow one. */
static const char escape_meaning[256] = {
    ['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'};

/* p is at a backslash. Gives the place behind the escape and what it stands for. */
static const char *read_escape(reader *r, const char *p, uint32_t *code_point) {
  if (r->end - p < 2) return fail(r, p, "the text ends inside a string; it needs a closing quotation mark");
  if (p[1] != 'u') {
    *code_point = (uint32_t)escape_meaning[(unsigned char)p[1]];
    return *code_point ? p + 2 : fail(r, p, "no such escape; write \\\" \\\\ \\/ \\b \\f \\n \\r \\t or \\u with four hexadecimal digits");
  }
  int32_t unit = hex_quad(p + 2, r->end);
  if (unit < 0) return fail(r, p, "\\u needs four hexadecimal digits");
  if (unit == 0) return fail(r, p, "\\u0000 is not allowed in a string");
  *code_point = (uint32_t)unit;
  if (unit < 0xd800 || unit > 0xdfff) return p + 6;
  int32_t low = unit < 0xdc00 && r->end - p >= 12 && p[6] == '\\' && p[7] == 'u' ? hex_quad(p + 8, r->end) : -1;
  if (low < 0xdc00 || low > 0xdfff) return fail(r, p, "half of a surrogate pair; write both halves, high one first, or the character itself");
  *code_point = 0x10000u + (((uint32_t)unit - 0xd800u) << 10) + ((uint32_t)low - 0xdc00u);
  return p + 12;
}

/* p is where dl_scan_plain stopped, at no quotation mark. Gives the place to scan
 * on from. Kept out of line, since plain strings are what the reader mostly meets. */
static __attribute__((noinline)) const char *read_special(reader *r, const char *p, bool *escaped) {
  if (p == r->end) return fail(r, p, "the text ends inside a string; it needs a closing quotation mark");
  uint32_t code_point;
  unsigned char c = (unsigned char)*p;
  if (c == '\\') {
    *escaped = true;
    return read_escape(r, p, &code_point);
  }
  if (c < 0x20) return fail(r, p, "a control character in a string; write it as an escape, a line end as \\n");
  /* A text that is not in ASCII has few ASCII bytes between its letters. */
  while (p < r->end && ((unsigned char)*p & 0x80)) {
    size_t length = dl_utf8_sequence(p, (size_t)(r->end - p));
    if (!length) return fail(r, p, "bytes that are not UTF-8; send the text in UTF-8");
    p += length;
  }
  return p + (c == 0x7f);
}

/* The text between begin and end, which has been checked, with its escapes undone; NULL when there is no memory. */
static __attribute__((noinline)) dl_str unescape(reader *r, const char *begin, const char *end) {
  char *text = dl_arena_try_alloc(r->arena, (size_t)(end - begin)), *out = text;
  if (!text) return (dl_str){0};
  for (const char *p = begin; p < end;) {
    const char *backslash = memchr(p, '\\', (size_t)(end - p));
    size_t length = (size_t)((backslash ? backslash : end) - p);
    memcpy(out, p, length);
    out += length;
    if (!backslash) break;
    uint32_t code_point = 0;
    p = read_escape(r, backslash, &code_point);
    assert(p);
    out += dl_utf8_encode(code_point, out);
  }
  return dl_str_from(text, (size_t)(out - text));
}

/* p is behind the opening quotation mark. */
static inline const char *read_string(reader *r, const char *p, dl_value *out) {
  const char *begin = p;
  bool escaped = false;
  for (;;) {
    p = dl_scan_plain(p, r->end);
    if (p < r->end && *p == '"') break;
    p = read_special(r, p, &escaped);
    if (!p) return NULL;
  }
  *out = dl_value_string(escaped ? unescape(r, begin, p) : dl_str_from(begin, (size_t)(p - begin)));
  if (!out->string) return starve(r, p);
  return p + 1;
}

/* --- arrays and objects --- */

static const char *fail_duplicate(reader *r, const char *closing, const dl_value *key) {
  bool in_text = key->string > r->begin && key->string < r->end;
  return fail(r, in_text ? key->string - 1 : closing, "a key that the object has already; send each key once");
}

static inline bool same_key(const dl_value *a, const dl_value *b) {
  return a->len == b->len && (a->len == 0 || (a->string[0] == b->string[0] && memcmp(a->string, b->string, a->len) == 0));
}

static size_t seen_capacity_for(size_t count) {
  size_t capacity = 64;
  while (capacity < count * 2) capacity *= 2;
  return capacity;
}

/* Room to look for a key that stands twice among so many. */
static bool reserve_seen(reader *r, size_t count) {
  size_t capacity = count > COMPARE_MEMBERS ? seen_capacity_for(count) : 0;
  if (capacity <= r->seen_capacity) return true;
  uint64_t *larger = dl_try_realloc(r->seen, capacity * sizeof(*r->seen));
  if (!larger) return false;
  r->seen = larger;
  r->seen_capacity = capacity;
  return true;
}

/* The first key that stands twice, or NULL. Open addressing over the hash's upper
 * half beside the member's number; the table is at most half full. */
static const dl_value *find_duplicate_hashed(reader *r, const dl_member *members, size_t count) {
  size_t capacity = seen_capacity_for(count);
  memset(r->seen, 0, capacity * sizeof(*r->seen));
  for (size_t i = 0; i < count; i++) {
    uint64_t hash = dl_hash(dl_value_str(&members[i].key)), tag = hash & 0xffffffff00000000u;
    size_t at = (size_t)hash & (capacity - 1);
    for (; r->seen[at]; at = (at + 1) & (capacity - 1))
      if ((r->seen[at] & 0xffffffff00000000u) == tag && same_key(&members[(uint32_t)r->seen[at] - 1].key, &members[i].key)) return &members[i].key;
    r->seen[at] = tag | (uint32_t)(i + 1);
  }
  return NULL;
}

static inline const dl_value *find_duplicate(reader *r, const dl_member *members, size_t count) {
  if (count > COMPARE_MEMBERS) return find_duplicate_hashed(r, members, count);
  for (size_t i = 1; i < count; i++)
    for (size_t j = 0; j < i; j++)
      if (same_key(&members[i].key, &members[j].key)) return &members[i].key;
  return NULL;
}

/* p is at the bracket that closes the innermost container. */
static inline const char *close_container(reader *r, const char *p) {
  dl_value *mark = &r->stack[r->open];
  size_t above = r->top - r->open - 1, parent = (size_t)mark->integer;
  void *piece = above ? dl_arena_try_alloc(r->arena, above * sizeof(*mark)) : NULL;
  if (above && !piece) return starve(r, p);
  if (above) memcpy(piece, mark + 1, above * sizeof(*mark));
  if (mark->kind == DL_VALUE_OBJECT) {
    mark->len = (uint32_t)(above / 2);
    mark->members = piece;
    if (!reserve_seen(r, mark->len)) return starve(r, p);
    const dl_value *duplicate = find_duplicate(r, mark->members, mark->len);
    if (duplicate) return fail_duplicate(r, p, duplicate);
  } else {
    mark->len = (uint32_t)above;
    mark->items = piece;
  }
  r->top = r->open + 1;
  r->open = parent;
  r->depth--;
  return p + 1;
}

/* p is where a key has to be. Gives the place behind its colon. */
static inline const char *read_key(reader *r, const char *p) {
  if (p == r->end || *p != '"') return fail(r, p, "expected a key in quotation marks");
  dl_value *key = stack_push(r);
  if (!key) return starve(r, p);
  p = read_string(r, p + 1, key);
  if (!p) return NULL;
  p = skip_space(r, p);
  if (p == r->end || *p != ':') return fail(r, p, "expected a colon behind the key");
  return p + 1;
}

/* p is at an opening bracket. *whole says whether the container closed at once. */
static inline const char *open_container(reader *r, const char *p, bool *whole) {
  bool object = *p == '{';
  if (r->depth == r->max_depth) return fail(r, p, "arrays and objects are nested too deep");
  r->depth++;
  dl_value *mark = stack_push(r);
  if (!mark) return starve(r, p);
  *mark = (dl_value){.kind = object ? DL_VALUE_OBJECT : DL_VALUE_ARRAY, .integer = (int64_t)r->open};
  r->open = r->top - 1;
  p = skip_space(r, p + 1);
  *whole = p < r->end && *p == (object ? '}' : ']');
  if (*whole) return close_container(r, p);
  if (!object) return p;
  if (p == r->end) return fail(r, p, "expected a key in quotation marks or a closing brace");
  return read_key(r, p);
}

/* Behind a value inside a container: the comma and what leads to the next value
 * (*whole false), or the bracket that makes the container whole. */
static inline const char *read_behind(reader *r, const char *p, bool *whole) {
  bool object = r->stack[r->open].kind == DL_VALUE_OBJECT;
  p = skip_space(r, p);
  char c = p < r->end ? *p : '\0';
  *whole = c != ',';
  if (c == (object ? '}' : ']')) return close_container(r, p);
  if (c != ',') return fail(r, p, object ? "expected a comma or a closing brace" : "expected a comma or a closing bracket");
  return object ? read_key(r, skip_space(r, p + 1)) : p + 1;
}

static const char *read_word(reader *r, const char *p, dl_str word) {
  if (!dl_str_starts(dl_str_from(p, (size_t)(r->end - p)), word)) return fail(r, p, message_value);
  return p + word.len;
}

/* Reads a scalar whole, or opens a container. */
static inline const char *read_value(reader *r, const char *p, bool *whole) {
  p = skip_space(r, p);
  if (r->nodes++ == r->max_nodes) return fail(r, p, "more values than are allowed in one text");
  char c = p < r->end ? *p : '\0';
  if (c == '{' || c == '[') return open_container(r, p, whole);
  *whole = true;
  dl_value *value = stack_push(r);
  if (!value) return starve(r, p);
  switch (c) {
  case '"': return read_string(r, p + 1, value);
  case 't': *value = dl_value_boolean(true); return read_word(r, p, DL_STR("true"));
  case 'f': *value = dl_value_boolean(false); return read_word(r, p, DL_STR("false"));
  case 'n': *value = dl_value_null(); return read_word(r, p, DL_STR("null"));
  default: break;
  }
  if (c != '-' && (c < '0' || c > '9')) return fail(r, p, message_value);
  return dl_json_read_number(p, r->end, r->begin, value, r->error);
}

static const char *read_text(reader *r, const char *p) {
  bool whole = false;
  while (p && !whole) {
    p = read_value(r, p, &whole);
    while (p && whole && r->open != NOT_OPEN) p = read_behind(r, p, &whole);
  }
  if (!p) return NULL;
  p = skip_space(r, p);
  return p == r->end ? p : fail(r, p, "expected nothing behind the value");
}

bool dl_json_read(dl_arena *arena, dl_str text, const dl_json_limits *limits, dl_value *out, dl_json_error *error) {
  if (text.len >= UINT32_MAX) return dl_json_fail(error, 0, "the text is over 4 GiB");
  const char *begin = text.ptr ? text.ptr : "";
  reader r;
  r.arena = arena;
  r.begin = begin;
  r.end = begin + text.len;
  r.error = error;
  r.stack = r.first;
  r.top = 0;
  r.capacity = STACK_FIRST;
  r.open = NOT_OPEN;
  r.depth = r.nodes = 0;
  r.max_depth = limits && limits->max_depth ? limits->max_depth : DEFAULT_DEPTH;
  r.max_nodes = limits && limits->max_nodes ? limits->max_nodes : DEFAULT_NODES;
  r.seen = NULL;
  r.seen_capacity = 0;
  bool read = read_text(&r, begin) != NULL;
  if (read) *out = r.stack[0];
  if (r.stack != r.first) dl_free(r.stack);
  dl_free(r.seen);
  return read;
}
