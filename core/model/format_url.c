/* SPDX-License-Identifier: MIT */
/*
 * url: an absolute URL, written as WHATWG URLs are: scheme and host in lower
 * case, no default port, dot segments resolved, the rest percent-encoded. What
 * two parsers read differently is refused instead of mended: backslashes,
 * controls, a missing "//", two "@", encoded or numeric hosts ("0x7f.1"). That
 * is what attacks on fetching services are made of. International host names
 * are taken in their ASCII form only.
 */
#include "model/formats.h"

enum { URL_MAX = 2083, HOST_MAX = 253, LABEL_MAX = 63 };

typedef struct scheme {
  dl_str name;
  int port; /* 0: no default; "//" may be missing then, and the host */
} scheme;

static const scheme known_schemes[] = {
    {DL_STR("http"), 80}, {DL_STR("https"), 443}, {DL_STR("ws"), 80}, {DL_STR("wss"), 443}, {DL_STR("ftp"), 21},
};

typedef struct url {
  dl_mode mode;
  int default_port;
  const char *type;  /* of the error, when a step gives a reason */
  bool full;         /* out ran over */
  size_t length;
  char out[URL_MAX];
} url;

static void put(url *u, const char *bytes, size_t length) {
  if (length > URL_MAX - u->length) {
    u->full = true;
    return;
  }
  memcpy(u->out + u->length, bytes, length);
  u->length += length;
}

static void put_char(url *u, char c) { put(u, &c, 1); }

static const char *violation(url *u, const char *reason) {
  u->type = "url_syntax_violation";
  return reason;
}

/* Appends one part, encoding what may not stand in it: letters, digits, -._~ and
 * what kept names may. Lax mode encodes what strict mode wants encoded already. */
static const char *put_part(url *u, dl_str part, const char *kept) {
  static const char hex[] = "0123456789ABCDEF";
  for (size_t i = 0; i < part.len; i++) {
    char c = part.ptr[i];
    bool escape = c == '%' && i + 2 < part.len && dl_format_hex(part.ptr[i + 1]) >= 0 && dl_format_hex(part.ptr[i + 2]) >= 0;
    if (dl_format_letter(c) || dl_format_digit(c) || strchr("-._~", c) || strchr(kept, c) || escape) {
      put_char(u, c);
      continue;
    }
    bool ascii = (unsigned char)c < 0x80;
    if (ascii && u->mode == DL_MODE_STRICT) return violation(u, "it holds a character that should be percent-encoded");
    if (c == '%') put_char(u, c);
    else put(u, (char[]){'%', hex[(unsigned char)c >> 4], hex[c & 15]}, 3);
  }
  return NULL;
}

#define SUB_DELIMITERS "!$&'()*+,;="
#define URL_CODE_POINTS SUB_DELIMITERS ":@/?[]"

/* 1 for ".", 2 for "..", encoded or not, else 0. */
static int dots(dl_str segment) {
  int count = 0;
  while (segment.len) {
    size_t length = segment.ptr[0] == '.' ? 1 : segment.len >= 3 && dl_str_equal_nocase(dl_str_from(segment.ptr, 3), DL_STR("%2e")) ? 3 : 0;
    if (!length || ++count > 2) return 0;
    segment = dl_str_skip(segment, length);
  }
  return count;
}

/* path is empty or begins with a slash. */
static const char *put_path(url *u, dl_str path) {
  size_t start = u->length;
  while (path.len) {
    path = dl_str_skip(path, 1);
    const char *slash = path.len ? memchr(path.ptr, '/', path.len) : NULL;
    dl_str segment = slash ? dl_str_from(path.ptr, (size_t)(slash - path.ptr)) : path;
    int dot_count = dots(segment);
    if (dot_count == 2)
      while (u->length > start && u->out[--u->length] != '/') {}
    if (!dot_count || !slash) put_char(u, '/');
    const char *wrong = dot_count ? NULL : put_part(u, segment, URL_CODE_POINTS);
    if (wrong) return wrong;
    path = dl_str_skip(path, segment.len);
  }
  if (u->length == start && u->default_port) put_char(u, '/');
  return NULL;
}

static const char *put_userinfo(url *u, dl_str userinfo) {
  const char *colon = userinfo.len ? memchr(userinfo.ptr, ':', userinfo.len) : NULL;
  dl_str user = colon ? dl_str_from(userinfo.ptr, (size_t)(colon - userinfo.ptr)) : userinfo;
  dl_str password = colon ? dl_str_skip(userinfo, user.len + 1) : (dl_str){0};
  if (!user.len && !password.len) return NULL;
  const char *wrong = put_part(u, user, SUB_DELIMITERS);
  if (!wrong && password.len) {
    put_char(u, ':');
    wrong = put_part(u, password, SUB_DELIMITERS);
  }
  put_char(u, '@');
  return wrong;
}

/* Whether a host with this last label is an IPv4 address, or refused for not being one. */
static bool numeric_label(dl_str label) {
  if (label.len >= 2 && label.ptr[0] == '0' && dl_ascii_lower(label.ptr[1]) == 'x') {
    for (size_t i = 2; i < label.len; i++)
      if (dl_format_hex(label.ptr[i]) < 0) return false;
    return true;
  }
  for (size_t i = 0; i < label.len; i++)
    if (!dl_format_digit(label.ptr[i])) return false;
  return label.len > 0;
}

static const char *check_name(dl_str host) {
  if (host.len > HOST_MAX) return "its host has more than 253 bytes";
  dl_str label = {host.ptr, 0};
  for (size_t i = 0; i < host.len; i++) {
    char c = host.ptr[i];
    if ((unsigned char)c >= 0x80) return "an international host should be in its ASCII form, which begins with xn--";
    if (c != '.' && !dl_format_letter(c) && !dl_format_digit(c) && c != '-' && c != '_') return "its host should hold letters, digits, hyphens and dots";
    if (c != '.') label.len++;
    else if (!label.len) return "its host has an empty label: a dot at the start, or two in a row";
    else if (i + 1 < host.len) label = (dl_str){host.ptr + i + 1, 0};
    if (label.len > LABEL_MAX) return "its host has a label of more than 63 bytes";
  }
  unsigned char address[4];
  bool bad_address = numeric_label(label) && !dl_ipv4_read(host, address);
  return bad_address ? "its host ends in a number, but is no IPv4 address of four numbers" : NULL;
}

static const char *put_host(url *u, dl_str host) {
  if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']') {
    unsigned char address[16];
    char text[DL_IPV6_TEXT];
    if (!dl_ipv6_read(dl_str_from(host.ptr + 1, host.len - 2), address)) return "there is no IPv6 address in its brackets";
    put_char(u, '[');
    put(u, text, (size_t)(dl_ipv6_write(text, address, false) - text));
    put_char(u, ']');
    return NULL;
  }
  const char *wrong = check_name(host);
  for (size_t i = 0; i < host.len && !wrong; i++) put_char(u, dl_ascii_lower(host.ptr[i]));
  return wrong;
}

static const char *put_port(url *u, dl_str port) {
  static const char reason[] = "its port should be a number from 0 to 65535";
  unsigned number = 0;
  for (size_t i = 0; i < port.len; i++) {
    if (!dl_format_digit(port.ptr[i])) return reason;
    number = number * 10 + (unsigned)(port.ptr[i] - '0');
    if (number > 65535) return reason;
  }
  if (!port.len || number == (unsigned)u->default_port) return NULL;
  size_t zeros = 0;
  while (zeros + 1 < port.len && port.ptr[zeros] == '0') zeros++;
  put_char(u, ':');
  put(u, port.ptr + zeros, port.len - zeros);
  return NULL;
}

/* Where the colon of the port stands, or the end; those in brackets are the address's. */
static size_t host_end(dl_str authority) {
  size_t at = 0;
  if (authority.len && authority.ptr[0] == '[')
    while (at < authority.len && authority.ptr[at] != ']') at++;
  while (at < authority.len && authority.ptr[at] != ':') at++;
  return at;
}

static const char *put_authority(url *u, dl_str authority) {
  const char *at = authority.len ? memchr(authority.ptr, '@', authority.len) : NULL;
  if (at) {
    dl_str userinfo = dl_str_from(authority.ptr, (size_t)(at - authority.ptr));
    authority = dl_str_skip(authority, userinfo.len + 1);
    if (authority.len && memchr(authority.ptr, '@', authority.len)) return violation(u, "an @ before the host's should be percent-encoded");
    const char *wrong = put_userinfo(u, userinfo);
    if (wrong) return wrong;
  }
  size_t host_length = host_end(authority);
  bool colon = host_length < authority.len;
  dl_str host = dl_str_from(authority.ptr, host_length);
  if (!host.len && (u->default_port || at || colon)) return "its host is missing";
  const char *wrong = put_host(u, host);
  if (!wrong && colon) wrong = put_port(u, dl_str_skip(authority, host_length + 1));
  return wrong;
}

/* Everything behind "scheme:". */
static const char *put_rest(url *u, dl_str rest) {
  const char *hash = rest.len ? memchr(rest.ptr, '#', rest.len) : NULL;
  dl_str before = hash ? dl_str_from(rest.ptr, (size_t)(hash - rest.ptr)) : rest;
  const char *mark = before.len ? memchr(before.ptr, '?', before.len) : NULL;
  dl_str body = mark ? dl_str_from(before.ptr, (size_t)(mark - before.ptr)) : before;
  if (body.len && memchr(body.ptr, '\\', body.len)) return violation(u, "a backslash should be / or percent-encoded");
  const char *wrong = NULL;
  if (dl_str_starts(body, DL_STR("//"))) {
    dl_str authority = dl_str_skip(body, 2);
    const char *slash = authority.len ? memchr(authority.ptr, '/', authority.len) : NULL;
    if (slash) authority.len = (size_t)(slash - authority.ptr);
    put(u, "//", 2);
    wrong = put_authority(u, authority);
    if (!wrong) wrong = put_path(u, dl_str_skip(body, 2 + authority.len));
  } else if (u->default_port) return violation(u, "// is missing behind its scheme");
  else wrong = put_part(u, body, URL_CODE_POINTS);
  if (!wrong && mark) {
    put_char(u, '?');
    wrong = put_part(u, dl_str_skip(before, body.len + 1), URL_CODE_POINTS);
  }
  if (!wrong && hash) {
    put_char(u, '#');
    wrong = put_part(u, dl_str_skip(rest, before.len + 1), URL_CODE_POINTS);
  }
  return wrong;
}

/* The length of the scheme before the colon, or 0. */
static size_t scheme_length(dl_str text) {
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    if (c == ':') return i;
    if (!dl_format_letter(c) && (i == 0 || (!dl_format_digit(c) && c != '+' && c != '-' && c != '.'))) return 0;
  }
  return 0;
}

static bool refuse_scheme(const dl_str *schemes, size_t count, dl_conversion *conversion) {
  dl_buffer list = {0};
  for (size_t i = 0; i < count; i++) dl_buffer_printf(&list, "%s'%.*s'", i == 0 ? "" : i + 1 < count ? ", " : " or ", DL_STR_ARGS(schemes[i]));
  dl_str expected = dl_arena_copy(conversion->arena, dl_buffer_str(&list));
  dl_buffer_free(&list);
  const char *message = dl_arena_format(conversion->arena, "should be a URL with the scheme %.*s", DL_STR_ARGS(expected));
  return dl_format_refuse_with(conversion, "url_scheme", message, "expected_schemes", dl_value_string(expected));
}

static bool refuse_length(dl_conversion *conversion) {
  return dl_format_refuse_with(conversion, "url_too_long", "should be a URL of at most 2083 characters", "max_length", dl_value_integer(URL_MAX));
}

/* Leading and trailing spaces, and controls anywhere. */
static const char *check_characters(url *u, dl_str text) {
  if (text.ptr[0] == ' ' || text.ptr[text.len - 1] == ' ') return violation(u, "there is a space before or behind it");
  for (size_t i = 0; i < text.len; i++)
    if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f) return violation(u, "it holds a control character");
  return NULL;
}

static bool listed(dl_str name, const dl_str *schemes, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (dl_str_equal_nocase(name, schemes[i])) return true;
  return count == 0;
}

bool dl_convert_url(const dl_str *schemes, size_t count, dl_mode mode, dl_value *value, dl_conversion *conversion) {
  static const char wanted[] = "should be a URL like \"https://example.com/\"";
  if (value->kind != DL_VALUE_STRING) return dl_format_refuse(conversion, "url_type", "should be a URL, as a string");
  dl_str text = dl_value_str(value);
  if (text.len > URL_MAX) return refuse_length(conversion);
  if (!text.len) return dl_format_refuse_because(conversion, "url_parsing", wanted, "error", "it is empty");
  url u = {.mode = mode, .type = "url_parsing"};
  const char *wrong = check_characters(&u, text);
  dl_str name = dl_str_from(text.ptr, scheme_length(text));
  if (!wrong && !name.len) wrong = "it has no scheme, such as https://";
  if (!wrong && !listed(name, schemes, count)) return refuse_scheme(schemes, count, conversion);
  for (size_t i = 0; i < sizeof(known_schemes) / sizeof(known_schemes[0]); i++)
    if (dl_str_equal_nocase(name, known_schemes[i].name)) u.default_port = known_schemes[i].port;
  for (size_t i = 0; i < name.len; i++) put_char(&u, dl_ascii_lower(name.ptr[i]));
  put_char(&u, ':');
  if (!wrong) wrong = put_rest(&u, dl_str_skip(text, name.len + 1));
  if (wrong) return dl_format_refuse_because(conversion, u.type, wanted, "error", wrong);
  if (u.full) return refuse_length(conversion);
  return dl_format_accept(value, dl_str_from(u.out, u.length), conversion);
}

bool dl_format_url(dl_mode mode, dl_value *value, dl_conversion *conversion) {
  static const dl_str web[] = {DL_STR("http"), DL_STR("https")};
  return dl_convert_url(web, 2, mode, value, conversion);
}
