/* SPDX-License-Identifier: MIT */
#include "http/forwarded.h"

#include "http/internal.h"

/* More proxies than that stand in no row: the rest is somebody's attempt to be slow. */
enum { HOPS_MAX = 32, PORT_DIGITS_MAX = 5 };

static const char malformed[] = "a forwarded field is malformed";
static const char contradicts[] = "Forwarded and the X-Forwarded- fields contradict each other; let the proxy remove those that it does not write";

/* --- elements from the right ---------------------------------------------------------- */

/* All fields of one name, taken apart from the end of the last one on. */
typedef struct cursor {
  const dl_http_request *request;
  dl_header_id id;
  uint32_t next; /* fields from here on were given out */
  dl_str rest;   /* of the field being taken apart */
} cursor;

static cursor begin(const dl_http_request *request, dl_header_id id) {
  bool present = (uint32_t)request->known[id] < request->header_count;
  return (cursor){.request = request, .id = id, .next = present ? request->header_count : 0};
}

/* Whether the quotation mark at `at` has an odd number of backslashes before it. */
static bool is_escaped(dl_str text, size_t at) {
  size_t first = at;
  while (first > 0 && text.ptr[first - 1] == '\\') first--;
  return (at - first) % 2 == 1;
}

/* Off the end of a field, so that a quotation mark that a client left open cannot
 * swallow what its proxy wrote behind it. Commas inside quotes do not separate. */
static dl_str take_last(dl_str *list) {
  bool quoted = false;
  size_t at = list->len;
  while (at > 0) {
    char c = list->ptr[at - 1];
    if (c == '"') quoted = quoted ? is_escaped(*list, at - 1) : true;
    else if (c == ',' && !quoted) break;
    at--;
  }
  dl_str element = dl_str_trim(dl_str_skip(*list, at));
  *list = at > 0 ? dl_str_from(list->ptr, at - 1) : (dl_str){0};
  return element;
}

/* Empty elements are none (RFC 9110 5.6.1). False when there are no more. */
static bool previous(cursor *list, dl_str *element) {
  while (true) {
    while (list->rest.len > 0) {
      *element = take_last(&list->rest);
      if (element->len > 0) return true;
    }
    do {
      if (list->next == 0) return false;
      list->next--;
    } while (list->request->headers[list->next].id != list->id);
    list->rest = list->request->headers[list->next].value;
  }
}

/* --- identifiers ------------------------------------------------------------------------ */

/* Digits, or a hidden port ("_secret"). */
static bool is_port(dl_str port) {
  if (port.len > 1 && port.ptr[0] == '_') {
    for (size_t i = 1; i < port.len; i++)
      if (!dl_http_is(port.ptr[i], DL_CHAR_HOST)) return false;
    return true;
  }
  return port.len <= PORT_DIGITS_MAX && dl_http_all(port, DL_CHAR_DIGIT);
}

static bool is_hidden(dl_str name) {
  if (dl_str_equal_nocase(name, DL_STR("unknown"))) return true;
  return name.len > 1 && name.ptr[0] == '_' && dl_http_all(name, DL_CHAR_HOST);
}

/* nodename [":" port] (RFC 7239 6). address->kind NONE: hidden. bare: an IPv6 address
 * may stand without brackets, as in X-Forwarded-For. */
static bool read_node(dl_str node, bool bare, dl_address *address) {
  *address = (dl_address){0};
  if (bare && dl_address_read(node, address)) return true;
  const char *end = node.len && node.ptr[0] == '[' ? memchr(node.ptr, ']', node.len) : NULL;
  const char *colon = end ? end + 1 : node.len ? memchr(node.ptr, ':', node.len) : NULL;
  dl_str name = dl_str_from(node.ptr, colon ? (size_t)(colon - node.ptr) : node.len);
  dl_str port = dl_str_skip(node, name.len);
  if (port.len > 0 && (port.ptr[0] != ':' || !is_port(dl_str_skip(port, 1)))) return false;
  if (end) {
    dl_str inside = dl_str_from(name.ptr + 1, name.len - 2);
    return memchr(inside.ptr, ':', inside.len) && dl_address_read(inside, address);
  }
  return is_hidden(name) || dl_address_read(name, address);
}

/* A host and maybe a port: what a Host field may hold (RFC 9110 7.2). */
static bool is_host(dl_str host) {
  const char *end = host.len && host.ptr[0] == '[' ? memchr(host.ptr, ']', host.len) : NULL;
  const char *colon = end ? end + 1 : host.len ? memchr(host.ptr, ':', host.len) : NULL;
  dl_str name = dl_str_from(host.ptr, colon ? (size_t)(colon - host.ptr) : host.len), port = dl_str_skip(host, name.len);
  dl_address address;
  if (port.len > 0 && (port.ptr[0] != ':' || port.len > 1 + PORT_DIGITS_MAX || !dl_http_all(dl_str_skip(port, 1), DL_CHAR_DIGIT))) return false;
  if (end) return name.len > 2 && dl_address_read(dl_str_from(name.ptr + 1, name.len - 2), &address);
  return name.len <= 255 && dl_http_all(name, DL_CHAR_HOST);
}

/* Other schemes say nothing about how this request came: they are let pass. */
static bool read_scheme(dl_str text, dl_scheme *scheme) {
  if (dl_str_equal_nocase(text, DL_STR("https"))) *scheme = DL_SCHEME_HTTPS;
  else if (dl_str_equal_nocase(text, DL_STR("http"))) *scheme = DL_SCHEME_HTTP;
  return dl_http_all(text, DL_CHAR_TOKEN);
}

/* --- walking from hop to hop ---------------------------------------------------------------- */

/* What one element says. for_hidden: it was there and named nobody. */
typedef struct hop {
  bool has_for;
  dl_address address;
  dl_scheme scheme;
  dl_str host;
} hop;

/* Takes what a trusted hop said. Whether the one it names is to be asked in turn. */
static bool believe(dl_forwarded *found, const hop *said, const dl_trusted *trusted) {
  if (said->scheme != DL_SCHEME_UNKNOWN) found->scheme = said->scheme;
  if (said->host.len > 0) found->host = said->host;
  if (!said->has_for || said->address.kind == DL_ADDRESS_NONE) return false;
  found->client = said->address;
  return dl_trusted_has(trusted, &said->address);
}

/* --- Forwarded ---------------------------------------------------------------------------------- */

/* A quoted string's text (RFC 9110 5.6.4), taken off the front with its quotes;
 * only one with a backslash is copied. */
static bool take_quoted(dl_str *rest, dl_arena *arena, dl_str *text) {
  size_t at = 1, escapes = 0;
  while (at < rest->len && rest->ptr[at] != '"') {
    bool escape = rest->ptr[at] == '\\';
    escapes += escape;
    at += escape ? 2 : 1;
  }
  if (at >= rest->len) return false;
  *text = dl_str_from(rest->ptr + 1, at - 1);
  *rest = dl_str_skip(*rest, at + 1);
  if (!escapes) return true;
  char *copy = dl_arena_alloc(arena, text->len);
  size_t length = 0;
  for (size_t i = 0; i < text->len; i++) {
    if (text->ptr[i] == '\\') i++;
    copy[length++] = text->ptr[i];
  }
  *text = dl_str_from(copy, length);
  return true;
}

static dl_str take_token(dl_str *rest) {
  size_t length = 0;
  while (length < rest->len && dl_http_is(rest->ptr[length], DL_CHAR_TOKEN)) length++;
  dl_str token = dl_str_from(rest->ptr, length);
  *rest = dl_str_skip(*rest, length);
  return token;
}

/* Each parameter may be there once (RFC 7239 4). Unknown ones are let pass. */
static bool take_parameter(hop *said, dl_str name, dl_str value) {
  dl_address by;
  if (dl_str_equal_nocase(name, DL_STR("for"))) {
    bool first = !said->has_for;
    said->has_for = true;
    return first && read_node(value, false, &said->address);
  }
  if (dl_str_equal_nocase(name, DL_STR("proto"))) return said->scheme == DL_SCHEME_UNKNOWN && read_scheme(value, &said->scheme);
  if (dl_str_equal_nocase(name, DL_STR("by"))) return read_node(value, false, &by);
  if (!dl_str_equal_nocase(name, DL_STR("host"))) return true;
  bool first = said->host.len == 0;
  said->host = value;
  return first && is_host(value);
}

/* name=value pairs with ";" between (RFC 7239 4); blanks around it are let pass. */
static bool read_element(dl_str element, dl_arena *arena, hop *said) {
  *said = (hop){0};
  while (true) {
    element = dl_str_trim(element);
    if (element.len > 0 && element.ptr[0] != ';') {
      dl_str name = take_token(&element), value;
      if (name.len == 0 || element.len < 2 || element.ptr[0] != '=') return false;
      element = dl_str_skip(element, 1);
      if (element.ptr[0] == '"') {
        if (!take_quoted(&element, arena, &value)) return false;
      } else {
        value = take_token(&element);
      }
      if (value.len == 0 || !take_parameter(said, name, value)) return false;
      element = dl_str_trim(element);
    }
    if (element.len == 0) return true;
    if (element.ptr[0] != ';') return false;
    element = dl_str_skip(element, 1);
  }
}

static dl_forwarded read_forwarded(const dl_http_request *request, const dl_address *peer, const dl_trusted *trusted, dl_arena *arena) {
  dl_forwarded found = {.client = *peer};
  cursor list = begin(request, DL_HEADER_FORWARDED);
  dl_str element;
  hop said;
  for (int hops = 0; hops < HOPS_MAX && previous(&list, &element); hops++) {
    if (!read_element(element, arena, &said)) {
      found.problem = malformed;
      break;
    }
    if (!believe(&found, &said, trusted)) break;
  }
  return found;
}

/* --- X-Forwarded- --------------------------------------------------------------------------------- */

static uint32_t count_elements(const dl_http_request *request, dl_header_id id) {
  cursor list = begin(request, id);
  dl_str element;
  uint32_t count = 0;
  while (previous(&list, &element)) count++;
  return count;
}

/* The element that goes with the hop'th from the right of X-Forwarded-For: where the
 * two lists are as long as each other they were written side by side; where not,
 * only the last one is known to be the trusted proxy's. */
static bool element_beside(const dl_http_request *request, dl_header_id id, uint32_t hop_number, dl_str *element) {
  cursor list = begin(request, id);
  if (!previous(&list, element)) return false;
  if (hop_number < 2 || count_elements(request, id) != count_elements(request, DL_HEADER_X_FORWARDED_FOR)) return true;
  while (--hop_number > 0 && previous(&list, element)) {}
  return true;
}

static dl_forwarded read_x_forwarded(const dl_http_request *request, const dl_address *peer, const dl_trusted *trusted) {
  dl_forwarded found = {.client = *peer};
  cursor list = begin(request, DL_HEADER_X_FORWARDED_FOR);
  dl_str element;
  uint32_t hops = 0;
  for (bool more = true; more && hops < HOPS_MAX && previous(&list, &element); hops++) {
    hop said = {.has_for = true};
    if (!read_node(element, true, &said.address)) {
      found.problem = malformed;
      break;
    }
    more = believe(&found, &said, trusted);
  }
  if (element_beside(request, DL_HEADER_X_FORWARDED_PROTO, hops, &element) && !read_scheme(element, &found.scheme)) found.problem = malformed;
  if (element_beside(request, DL_HEADER_X_FORWARDED_HOST, hops, &element)) {
    if (is_host(element)) found.host = element;
    else found.problem = malformed;
  }
  return found;
}

/* --- both ------------------------------------------------------------------------------------------- */

static bool has(const dl_http_request *request, dl_header_id id) { return (uint32_t)request->known[id] < request->header_count; }

/* What is not said contradicts nothing. */
static bool agrees(const dl_forwarded *found, const dl_forwarded *other, bool names_client) {
  if (names_client && !dl_address_equal(&found->client, &other->client)) return false;
  if (other->scheme != DL_SCHEME_UNKNOWN && other->scheme != found->scheme) return false;
  return other->host.len == 0 || dl_str_equal_nocase(other->host, found->host);
}

dl_forwarded dl_forwarded_read(const dl_http_request *request, const dl_address *peer, const dl_trusted *trusted, dl_arena *arena) {
  bool names_client = has(request, DL_HEADER_X_FORWARDED_FOR);
  bool others = names_client || has(request, DL_HEADER_X_FORWARDED_PROTO) || has(request, DL_HEADER_X_FORWARDED_HOST);
  if (!has(request, DL_HEADER_FORWARDED)) return others ? read_x_forwarded(request, peer, trusted) : (dl_forwarded){.client = *peer};
  dl_forwarded found = read_forwarded(request, peer, trusted, arena);
  if (!others) return found;
  dl_forwarded other = read_x_forwarded(request, peer, trusted);
  if (agrees(&found, &other, names_client)) return found;
  return (dl_forwarded){.client = *peer, .problem = contradicts};
}
