/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"

#include "base/memory.h"
#include "base/scan.h"
#include "base/short_double.h"
#include "base/utf8.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static size_t grown_cap(const dl_buffer *buffer, size_t more) {
  size_t wanted = buffer->len + more, cap = buffer->cap ? buffer->cap : 256;
  while (cap < wanted) cap *= 2;
  return cap;
}

void dl_buffer_grow(dl_buffer *buffer, size_t more) {
  if (more > SIZE_MAX / 2 - buffer->len) dl_memory_exhausted(more);
  size_t cap = grown_cap(buffer, more);
  buffer->data = dl_realloc(buffer->data, cap);
  buffer->cap = cap;
}

bool dl_buffer_try_grow(dl_buffer *buffer, size_t more) {
  if (more > SIZE_MAX / 2 - buffer->len) return false;
  size_t cap = grown_cap(buffer, more);
  char *data = dl_try_realloc(buffer->data, cap);
  if (!data) return false;
  buffer->data = data;
  buffer->cap = cap;
  return true;
}

void dl_buffer_append_uint(dl_buffer *buffer, uint64_t number) {
  char digits[20];
  size_t at = sizeof(digits);
  do {
    digits[--at] = (char)('0' + number % 10);
    number /= 10;
  } while (number);
  dl_buffer_append(buffer, digits + at, sizeof(digits) - at);
}

void dl_buffer_append_int(dl_buffer *buffer, int64_t number) {
  if (number < 0) dl_buffer_append_char(buffer, '-');
  dl_buffer_append_uint(buffer, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

void dl_buffer_printf(dl_buffer *buffer, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (length > 0) {
    dl_buffer_reserve(buffer, (size_t)length + 1);
    vsnprintf(buffer->data + buffer->len, (size_t)length + 1, format, again);
    buffer->len += (size_t)length;
  }
  va_end(again);
}

/* whole / 10^behind, as "%.15g" writes what is not below 0.0001. */
static void append_short(dl_buffer *buffer, uint64_t whole, int behind) {
  char text[24];
  size_t at = sizeof(text);
  for (int left = behind; left > 0; left--, whole /= 10) text[--at] = (char)('0' + whole % 10);
  text[--at] = '.';
  do text[--at] = (char)('0' + whole % 10);
  while (whole /= 10);
  dl_buffer_append(buffer, text + at, sizeof(text) - at);
}

void dl_buffer_append_double(dl_buffer *buffer, double number) {
  uint64_t whole;
  int behind;
  if (number == floor(number) && fabs(number) < 9007199254740992.0) {
    /* "-0" would read back as an integer and lose its sign. */
    if (number == 0 && signbit(number)) DL_BUFFER_LITERAL(buffer, "-0.0");
    else dl_buffer_append_int(buffer, (int64_t)number);
    return;
  }
  if (fabs(number) >= 0.0001 && dl_short_double(fabs(number), &whole, &behind)) {
    if (number < 0) dl_buffer_append_char(buffer, '-');
    append_short(buffer, whole, behind);
    return;
  }
  dl_buffer_reserve(buffer, 32);
  int length = 0;
  /* 15 digits are enough for most numbers that people write, 17 for all. */
  for (int precision = 15; precision <= 17; precision++) {
    length = snprintf(buffer->data + buffer->len, 32, "%.*g", precision, number);
    if (strtod(buffer->data + buffer->len, NULL) == number) break;
  }
  buffer->len += (size_t)length;
}

/* What stands behind the backslash for a byte that JSON wants escaped: 'u' for
 * the six-character form, 0 for a byte that may stand as it is. */
static const char json_escape[256] = {
    ['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', [0x00] = 'u', [0x01] = 'u',
    [0x02] = 'u', [0x03] = 'u', [0x04] = 'u', [0x05] = 'u', [0x06] = 'u', [0x07] = 'u', [0x0b] = 'u', [0x0e] = 'u', [0x0f] = 'u',
    [0x10] = 'u', [0x11] = 'u', [0x12] = 'u', [0x13] = 'u', [0x14] = 'u', [0x15] = 'u', [0x16] = 'u', [0x17] = 'u', [0x18] = 'u',
    [0x19] = 'u', [0x1a] = 'u', [0x1b] = 'u', [0x1c] = 'u', [0x1d] = 'u', [0x1e] = 'u', [0x1f] = 'u', [0x7f] = 'u',
};

/* The byte at at cannot stand as it is, or has to be looked at: appends what
 * stands for it and gives its length in s. */
static size_t append_json_special(dl_buffer *buffer, dl_str s, size_t at) {
  static const char hex[] = "0123456789abcdef";
  unsigned char c = (unsigned char)s.ptr[at];
  size_t sequence = c < 0x80 ? 0 : dl_utf8_sequence(s.ptr + at, s.len - at);
  if (sequence) dl_buffer_append(buffer, s.ptr + at, sequence);
  else if (c >= 0x80) DL_BUFFER_LITERAL(buffer, "\xef\xbf\xbd");
  else if (json_escape[c] != 'u') dl_buffer_append(buffer, (char[]){'\\', json_escape[c]}, 2);
  else dl_buffer_append(buffer, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
  return sequence ? sequence : 1;
}

void dl_buffer_append_json_string(dl_buffer *buffer, dl_str s) {
  const char *end = s.ptr + s.len;
  dl_buffer_reserve(buffer, s.len + 2);
  dl_buffer_append_char(buffer, '"');
  for (const char *p = s.ptr; p < end;) {
    const char *stop = dl_scan_plain(p, end);
    dl_buffer_append(buffer, p, (size_t)(stop - p));
    p = stop;
    if (p < end) p += append_json_special(buffer, s, (size_t)(p - s.ptr));
  }
  dl_buffer_append_char(buffer, '"');
}

void dl_buffer_free(dl_buffer *buffer) {
  dl_free(buffer->data);
  *buffer = (dl_buffer){0};
}
