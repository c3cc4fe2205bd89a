/* SPDX-License-Identifier: MIT */
/*
 * A growable run of bytes on the heap: response heads and bodies, log lines,
 * JSON text. Keeps its memory when cleared, so that a worker's scratch buffers
 * stop allocating after the first requests.
 */
#ifndef DL_BASE_BUFFER_H
#define DL_BASE_BUFFER_H

#include "base/forget.h"
#include "base/str.h"

#include <stdint.h>

typedef struct dl_buffer {
  char *data; /* owned; NULL until first use */
  size_t len;
  size_t cap;
} dl_buffer;

/* Makes room for more bytes behind len. */
void dl_buffer_grow(dl_buffer *buffer, size_t more);

static inline void dl_buffer_reserve(dl_buffer *buffer, size_t more) {
  if (buffer->cap - buffer->len < more) dl_buffer_grow(buffer, more);
}

/* As dl_buffer_grow, for what is as large as a client likes: false when there is no such memory, and the buffer is as it was. */
bool dl_buffer_try_grow(dl_buffer *buffer, size_t more);

static inline bool dl_buffer_try_reserve(dl_buffer *buffer, size_t more) {
  return buffer->cap - buffer->len >= more || dl_buffer_try_grow(buffer, more);
}

static inline void dl_buffer_append(dl_buffer *buffer, const void *bytes, size_t len) {
  dl_buffer_reserve(buffer, len);
  if (len) memcpy(buffer->data + buffer->len, bytes, len);
  buffer->len += len;
}

static inline void dl_buffer_append_str(dl_buffer *buffer, dl_str s) { dl_buffer_append(buffer, s.ptr, s.len); }

static inline void dl_buffer_append_char(dl_buffer *buffer, char c) {
  dl_buffer_reserve(buffer, 1);
  buffer->data[buffer->len++] = c;
}

/* Appends a string literal. */
#define DL_BUFFER_LITERAL(buffer, literal) dl_buffer_append((buffer), (literal), sizeof(literal) - 1)

void dl_buffer_append_uint(dl_buffer *buffer, uint64_t number);
void dl_buffer_append_int(dl_buffer *buffer, int64_t number);
void dl_buffer_printf(dl_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends s as a JSON string with its quotes (RFC 8259 7). Valid UTF-8 passes
 * as it is; a byte that is not valid UTF-8 becomes U+FFFD. "<", ">" and "&" are
 * not escaped: responses are never sniffed as HTML (nosniff). */
void dl_buffer_append_json_string(dl_buffer *buffer, dl_str s);

/* Appends the shortest decimal form that reads back as the same double
 * ("1", "0.1", "1e+300"); integral values below 2^53 have no fraction.
 * The caller has refused NaN and infinities, which JSON does not have. */
void dl_buffer_append_double(dl_buffer *buffer, double number);

static inline dl_str dl_buffer_str(const dl_buffer *buffer) { return dl_str_from(buffer->data, buffer->len); }
static inline void dl_buffer_clear(dl_buffer *buffer) {
  dl_forget(buffer->data, buffer->cap);
  buffer->len = 0;
}

/* Frees the memory; the buffer can be used again. */
void dl_buffer_free(dl_buffer *buffer);

#endif
