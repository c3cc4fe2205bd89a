/* SPDX-License-Identifier: MIT */
/* Which bytes may stand where: one table for all grammars of this folder. */
#include "http/internal.h"
#include "http/text.h"

#define TOKEN DL_CHAR_TOKEN
#define VALUE DL_CHAR_VALUE
#define PLAIN (DL_CHAR_PATH | DL_CHAR_QUERY)                          /* sub-delims, ":", "@", "/" */
#define ALPHA (TOKEN | PLAIN | DL_CHAR_HOST | DL_CHAR_COOKIE | VALUE) /* also "-", "_" */
#define DIGIT (ALPHA | DL_CHAR_DIGIT)
#define COOKIE (DL_CHAR_COOKIE | VALUE)
/* The WHATWG URL Standard leaves these bytes of a query as they are, so browsers
 * send them, though RFC 3986 has them escaped. They separate nothing in a query. */
#define BROWSER (DL_CHAR_QUERY | COOKIE)

const uint8_t dl_http_class[256] = {
    ['\t'] = VALUE,
    [' '] = COOKIE,
    ['!'] = TOKEN | PLAIN | COOKIE,
    ['"'] = VALUE,
    ['#'] = TOKEN | COOKIE,
    ['$'] = TOKEN | PLAIN | COOKIE,
    ['%'] = TOKEN | PLAIN | COOKIE | DL_CHAR_SUSPECT,
    ['&'] = TOKEN | PLAIN | COOKIE,
    ['\''] = TOKEN | PLAIN | COOKIE,
    ['('] = PLAIN | COOKIE,
    [')'] = PLAIN | COOKIE,
    ['*'] = TOKEN | PLAIN | COOKIE,
    ['+'] = TOKEN | PLAIN | COOKIE,
    [','] = PLAIN | COOKIE,
    ['-'] = ALPHA,
    ['.'] = ALPHA | DL_CHAR_SUSPECT,
    ['/'] = PLAIN | COOKIE,
    ['0' ... '9'] = DIGIT,
    [':'] = PLAIN | COOKIE,
    [';'] = PLAIN | VALUE,
    ['<'] = COOKIE,
    ['='] = PLAIN | COOKIE,
    ['>'] = COOKIE,
    ['?'] = DL_CHAR_QUERY | COOKIE,
    ['@'] = PLAIN | COOKIE,
    ['A' ... 'Z'] = ALPHA,
    ['['] = BROWSER,
    ['\\'] = DL_CHAR_QUERY | VALUE,
    [']'] = BROWSER,
    ['^'] = TOKEN | BROWSER,
    ['_'] = ALPHA,
    ['`'] = TOKEN | BROWSER,
    ['a' ... 'z'] = ALPHA,
    ['{'] = BROWSER,
    ['|'] = TOKEN | BROWSER,
    ['}'] = BROWSER,
    ['~'] = TOKEN | PLAIN | COOKIE,
    [0x80 ... 0xff] = VALUE,
};

bool dl_http_all(dl_str s, unsigned classes) {
  for (size_t i = 0; i < s.len; i++)
    if (!dl_http_is(s.ptr[i], classes)) return false;
  return s.len > 0;
}

int dl_http_hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  char lower = dl_ascii_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool dl_http_list_next(dl_str *list, dl_str *element) {
  if (!list->ptr) return false;
  if (!list->len || !memchr(list->ptr, ',', list->len)) { /* one element, as nearly always */
    *element = dl_str_trim(*list);
    *list = (dl_str){0};
    return true;
  }
  size_t at = 0;
  for (bool quoted = false; at < list->len; at++) {
    char c = list->ptr[at];
    if (quoted && c == '\\' && at + 1 < list->len) at++;
    else if (c == '"') quoted = !quoted;
    else if (c == ',' && !quoted) break;
  }
  *element = dl_str_trim(dl_str_from(list->ptr, at));
  *list = at < list->len ? dl_str_skip(*list, at + 1) : (dl_str){0};
  return true;
}
