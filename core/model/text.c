/* SPDX-License-Identifier: MIT */
/*
 * lower for string fields: letters to lower case by Unicode's simple mapping, on
 * UTF-8 that has been checked.
 */
#include "model/schema_internal.h"

#include "base/utf8.h"

#include <locale.h>
#include <wctype.h>

/* A sequence of two to four bytes. */
static uint32_t decode(const char *p, size_t length) {
  const unsigned char *s = (const unsigned char *)p;
  switch (length) {
  case 2: return ((s[0] & 0x1fu) << 6) | (s[1] & 0x3fu);
  case 3: return ((s[0] & 0x0fu) << 12) | ((s[1] & 0x3fu) << 6) | (s[2] & 0x3fu);
  default: return ((s[0] & 0x07u) << 18) | ((s[1] & 0x3fu) << 12) | ((s[2] & 0x3fu) << 6) | (s[3] & 0x3fu);
  }
}

dl_str dl_text_lower(dl_str text, dl_locale *locale, dl_arena *arena) {
  /* A letter's lower case may take a byte more: U+023A has two, U+2C65 three. */
  char *out = dl_arena_alloc(arena, text.len * 2 + 4);
  size_t at = 0, written = 0;
  while (at < text.len) {
    size_t length = dl_utf8_sequence(text.ptr + at, text.len - at);
    if (length <= 1 || !locale) {
      out[written++] = dl_ascii_lower(text.ptr[at++]);
      continue;
    }
    written += dl_utf8_encode((uint32_t)towlower_l((wint_t)decode(text.ptr + at, length), (locale_t)locale), out + written);
    at += length;
  }
  return dl_str_from(out, written);
}

dl_locale *dl_locale_new(void) { return (dl_locale *)newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0); }

void dl_locale_free(dl_locale *locale) {
  if (locale) freelocale((locale_t)locale);
}
