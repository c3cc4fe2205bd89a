/* SPDX-License-Identifier: MIT */
/*
 * Slices: a pointer and a length that somebody else owns.
 * Everything that arrives from a client is one of these; nothing in the core
 * assumes that input ends in NUL. A slice never frees what it points at.
 */
#ifndef DL_BASE_STR_H
#define DL_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct dl_str {
  const char *ptr; /* may be NULL only when len is 0 */
  size_t len;      /* bytes */
} dl_str;

/* A name and a value: a query, form or path parameter, a cookie, a header field. */
typedef struct dl_pair {
  dl_str name, value;
} dl_pair;

/* A slice of a string literal, without its NUL. */
#define DL_STR(literal) ((dl_str){(literal), sizeof(literal) - 1})

/* Arguments for a "%.*s" conversion. */
#define DL_STR_ARGS(s) (int)(s).len, (s).ptr ? (s).ptr : ""

static inline dl_str dl_str_from(const char *ptr, size_t len) { return (dl_str){ptr, len}; }

static inline dl_str dl_str_of(const char *text) { return (dl_str){text, text ? strlen(text) : 0}; }

/* Not constant time: for secrets use dl_crypto_equal. */
static inline bool dl_str_equal(dl_str a, dl_str b) { return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0); }

static inline char dl_ascii_lower(char c) { return (c >= 'A' && c <= 'Z') ? (char)(c | 0x20) : c; }

/* ASCII case-insensitive, as RFC 9110 field names and scheme names compare. */
static inline bool dl_str_equal_nocase(dl_str a, dl_str b) {
  if (a.len != b.len) return false;
  for (size_t i = 0; i < a.len; i++)
    if (dl_ascii_lower(a.ptr[i]) != dl_ascii_lower(b.ptr[i])) return false;
  return true;
}

static inline bool dl_str_starts(dl_str s, dl_str prefix) { return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0); }

static inline dl_str dl_str_skip(dl_str s, size_t n) { return (dl_str){s.ptr + n, s.len - n}; }

/* Removes optional white space (SP / HTAB, RFC 9110 5.6.3) from both ends. */
static inline dl_str dl_str_trim(dl_str s) {
  while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) s = dl_str_skip(s, 1);
  while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t')) s.len--;
  return s;
}

#endif
