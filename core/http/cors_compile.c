/* SPDX-License-Identifier: MIT */
/*
 * Reading what an app declares about other origins, and refusing what would not
 * protect or would not work: "*" with credentials, "null", an origin that browsers
 * never send. Every block of fields is written here, once.
 */
#include "http/cors_internal.h"

#include "http/internal.h"
#include "http/method.h"
#include "http/response.h"

#include <arpa/inet.h>

enum { DEFAULT_MAX_AGE = 600, LONGEST_MAX_AGE = 86400 };

/* An origin taken apart (RFC 6454 7). */
typedef struct parts {
  dl_str scheme, host, port;
  bool wild; /* the host began with "*.", which is left out of host */
} parts;

static const struct { dl_str scheme, port; } schemes[] = {{{"http", 4}, {"80", 2}}, {{"https", 5}, {"443", 3}}};

static bool has_port(dl_str scheme, dl_str port) {
  for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
    if (dl_str_equal(schemes[i].scheme, scheme) && dl_str_equal(schemes[i].port, port)) return true;
  return false;
}

static bool is_lower(dl_str s) {
  for (size_t i = 0; i < s.len; i++)
    if (s.ptr[i] != dl_ascii_lower(s.ptr[i])) return false;
  return true;
}

static bool scheme_valid(dl_str scheme) {
  for (size_t i = 0; i < scheme.len; i++) {
    char c = scheme.ptr[i];
    bool letter = c >= 'a' && c <= 'z';
    if (!letter && !(i > 0 && (dl_http_is(c, DL_CHAR_DIGIT) || c == '+' || c == '-' || c == '.'))) return false;
  }
  return scheme.len > 0;
}

static bool port_valid(dl_str port) {
  unsigned number = 0;
  if (!port.len || port.len > 5 || port.ptr[0] == '0') return false;
  for (size_t i = 0; i < port.len; i++) {
    if (!dl_http_is(port.ptr[i], DL_CHAR_DIGIT)) return false;
    number = number * 10 + (unsigned)(port.ptr[i] - '0');
  }
  return number <= 65535;
}

static bool ipv6_valid(dl_str host) {
  char text[INET6_ADDRSTRLEN];
  struct in6_addr address;
  if (host.len < 4 || host.len - 2 >= sizeof(text)) return false;
  memcpy(text, host.ptr + 1, host.len - 2);
  text[host.len - 2] = '\0';
  return inet_pton(AF_INET6, text, &address) == 1;
}

/* A name of labels, an IPv4 address, or an IPv6 address in brackets. */
static bool host_valid(dl_str host) {
  if (host.len && host.ptr[0] == '[') return ipv6_valid(host);
  if (!dl_http_all(host, DL_CHAR_HOST) || host.ptr[0] == '.' || host.ptr[host.len - 1] == '.') return false;
  return !memmem(host.ptr, host.len, "..", 2);
}

/* What "*." may stand before: a name of two labels or more. Before "com" it would
 * hand the server's answers to everybody who has a name. */
static bool base_valid(dl_str host) {
  const char *dot = memrchr(host.ptr, '.', host.len);
  return dot && !dl_http_is(dot[1], DL_CHAR_DIGIT);
}

static void take_port(dl_str *host, dl_str *port) {
  size_t from = host->len && host->ptr[0] == '[' ? (size_t)((const char *)memchr(host->ptr, ']', host->len) - host->ptr) : 0;
  const char *colon = memchr(host->ptr + from, ':', host->len - from);
  if (!colon) return;
  *port = dl_str_skip(*host, (size_t)(colon - host->ptr) + 1);
  host->len = (size_t)(colon - host->ptr);
}

/* A static sentence for what is wrong with the origin. */
static const char *origin_read(dl_str origin, parts *out) {
  *out = (parts){0};
  if (dl_str_equal_nocase(origin, DL_STR("null"))) return "sandboxed pages and local files of anybody send it; list the real origins";
  const char *colon = memmem(origin.ptr, origin.len, "://", 3);
  if (!colon) return "it has no scheme; write it as in \"https://app.example.com\"";
  out->scheme = dl_str_from(origin.ptr, (size_t)(colon - origin.ptr));
  out->host = dl_str_skip(origin, out->scheme.len + 3);
  if (memchr(out->host.ptr, '@', out->host.len)) return "it has a user in it; an origin is a scheme, a host and perhaps a port";
  if (memchr(out->host.ptr, '/', out->host.len)) return "it has a path; an origin is a scheme, a host and perhaps a port, without a \"/\" behind it";
  if (!is_lower(origin)) return "it has capital letters; browsers send origins in lower case, so write it so";
  if (out->host.len && out->host.ptr[0] == '[' && !memchr(out->host.ptr, ']', out->host.len)) return "its host is not a name or an address";
  take_port(&out->host, &out->port);
  out->wild = dl_str_starts(out->host, DL_STR("*."));
  if (out->wild) out->host = dl_str_skip(out->host, 2);
  if (!scheme_valid(out->scheme) || dl_str_equal(out->scheme, DL_STR("file"))) return "its scheme is not one that pages have";
  if (memchr(out->host.ptr, '*', out->host.len)) return "\"*\" stands only for the first labels of a host, as in \"https://*.example.com\"";
  if (!host_valid(out->host)) return "its host is not a name or an address; names that are not ASCII are written in their \"xn--\" form";
  if (out->wild && !base_valid(out->host)) return "\"*.\" needs a name of two labels or more behind it, as in \"https://*.example.com\"";
  if (out->port.ptr && !port_valid(out->port)) return "its port is not a number from 1 to 65535";
  if (has_port(out->scheme, out->port)) return "it has the port that its scheme has anyway; browsers leave it out, so leave it out";
  return NULL;
}

static bool is_star(const dl_str *list, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (dl_str_equal(list[i], DL_STR("*"))) return true;
  return false;
}

static bool allowed_anyway(dl_str header) {
  static const char *const names[] = {"Accept", "Accept-Language", "Content-Language", "Content-Type"};
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
    if (dl_str_equal_nocase(header, dl_str_of(names[i]))) return true;
  return false;
}

static void append_list(dl_buffer *out, const char *name, const dl_str *list, size_t count) {
  if (!count) return;
  dl_buffer_printf(out, "%s: ", name);
  for (size_t i = 0; i < count; i++) dl_buffer_printf(out, "%s%.*s", i ? ", " : "", DL_STR_ARGS(list[i]));
  DL_BUFFER_LITERAL(out, "\r\n");
}

/* The blocks without their first line. */
static void write_tails(dl_cors *cors, const dl_cors_options *options, dl_arena *arena) {
  dl_buffer response = {0}, preflight = {0};
  dl_str methods[DL_METHOD_COUNT];
  size_t count = 0;
  for (unsigned method = 0; method < DL_METHOD_COUNT; method++)
    if (cors->methods & 1u << method) methods[count++] = dl_method_name((dl_method)method);
  if (options->credentials) {
    DL_BUFFER_LITERAL(&response, "Access-Control-Allow-Credentials: true\r\n");
    dl_buffer_append_str(&preflight, dl_buffer_str(&response));
  }
  append_list(&response, "Access-Control-Expose-Headers", options->expose, options->expose_count);
  DL_BUFFER_LITERAL(&response, "Vary: Origin\r\n");
  append_list(&preflight, "Access-Control-Allow-Methods", methods, count);
  DL_BUFFER_LITERAL(&preflight, "Access-Control-Allow-Headers: Accept, Accept-Language, Content-Language, Content-Type");
  for (size_t i = 0; i < options->header_count; i++)
    if (!allowed_anyway(options->headers[i])) dl_buffer_printf(&preflight, ", %.*s", DL_STR_ARGS(options->headers[i]));
  dl_buffer_printf(&preflight, "\r\nAccess-Control-Max-Age: %u\r\n", options->max_age_seconds ? options->max_age_seconds : DEFAULT_MAX_AGE);
  DL_BUFFER_LITERAL(&preflight, "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n");
  cors->tails = (dl_cors_blocks){dl_arena_copy(arena, dl_buffer_str(&response)), dl_arena_copy(arena, dl_buffer_str(&preflight))};
  dl_buffer_free(&response);
  dl_buffer_free(&preflight);
}

static dl_str block(dl_arena *arena, dl_str origin, dl_str tail) {
  return dl_str_of(dl_arena_format(arena, DL_CORS_ALLOW_ORIGIN "%.*s\r\n%.*s", DL_STR_ARGS(origin), DL_STR_ARGS(tail)));
}

static const char *origins_take(dl_cors *cors, const dl_cors_options *options, dl_arena *arena) {
  dl_cors_pattern *patterns = dl_arena_zalloc(arena, options->origin_count, sizeof(*patterns));
  for (size_t i = 0; i < options->origin_count; i++) {
    dl_str origin = dl_arena_copy(arena, options->origins[i]);
    parts read;
    const char *fault = origin_read(origin, &read);
    if (fault) return dl_arena_format(arena, "the CORS origin \"%.*s\" is refused: %s", DL_STR_ARGS(origin), fault);
    if (read.wild) {
      size_t before = read.scheme.len + 3;
      patterns[cors->pattern_count++] = (dl_cors_pattern){dl_str_from(origin.ptr, before), dl_str_skip(origin, before + 1)};
      continue;
    }
    dl_cors_blocks *blocks = dl_arena_zalloc(arena, 1, sizeof(*blocks));
    *blocks = (dl_cors_blocks){block(arena, origin, cors->tails.response), block(arena, origin, cors->tails.preflight)};
    dl_map_put(&cors->exact, origin, blocks);
  }
  cors->patterns = patterns;
  return NULL;
}

static const char *methods_take(dl_cors *cors, const dl_cors_options *options, dl_arena *arena) {
  if (!options->method_count) cors->methods = 1u << DL_METHOD_GET | 1u << DL_METHOD_HEAD | 1u << DL_METHOD_POST;
  for (size_t i = 0; i < options->method_count; i++) {
    dl_method method = dl_method_of(options->methods[i]);
    if (method == DL_METHOD_COUNT)
      return dl_arena_format(
          arena, "the CORS method \"%.*s\" is refused: write out those that other origins may use, among GET, HEAD, POST, PUT, PATCH, DELETE",
          DL_STR_ARGS(options->methods[i]));
    cors->methods |= 1u << method;
    if (method == DL_METHOD_GET) cors->methods |= 1u << DL_METHOD_HEAD; /* as routes have it */
  }
  return NULL;
}

static const char *names_check(const char *what, const dl_str *names, size_t count, bool credentials, dl_arena *arena) {
  if (credentials && is_star(names, count))
    return dl_arena_format(
        arena, "\"*\" among the CORS %s is refused together with credentials, where browsers take it for a name; write the names out", what);
  for (size_t i = 0; i < count; i++)
    if (!dl_http_all(names[i], DL_CHAR_TOKEN))
      return dl_arena_format(arena, "\"%.*s\" among the CORS %s is refused: it is not a field name", DL_STR_ARGS(names[i]), what);
  return NULL;
}

static const char *star_check(const dl_cors_options *options) {
  if (!is_star(options->origins, options->origin_count)) return NULL;
  if (options->credentials)
    return "the CORS origin \"*\" is refused together with credentials: every page on the web could act as your users; list the origins, or leave "
           "credentials out";
  return options->origin_count > 1 ? "the CORS origin \"*\" stands for all origins; leave the others out, or leave \"*\" out" : NULL;
}

static void headers_take(dl_cors *cors, const dl_cors_options *options, dl_arena *arena) {
  dl_str *headers = dl_arena_zalloc(arena, options->header_count, sizeof(*headers));
  for (size_t i = 0; i < options->header_count; i++) headers[i] = dl_arena_copy(arena, options->headers[i]);
  cors->any_header = is_star(headers, options->header_count);
  cors->headers = headers;
  cors->header_count = options->header_count;
}

static const char *options_fault(const dl_cors_options *options, dl_arena *arena) {
  if (!options->origin_count) return "CORS has no origins: list those that may read the answers, or leave cors out";
  if (options->max_age_seconds > LONGEST_MAX_AGE) return "the CORS max_age is over a day (86400), more than any browser heeds; write less";
  const char *fault = star_check(options);
  if (!fault) fault = names_check("headers", options->headers, options->header_count, options->credentials, arena);
  return fault ? fault : names_check("exposed headers", options->expose, options->expose_count, options->credentials, arena);
}

dl_cors *dl_cors_compile(const dl_cors_options *options, dl_arena *arena, const char **fault) {
  dl_cors *cors = dl_arena_zalloc(arena, 1, sizeof(*cors));
  dl_map_init(&cors->exact, arena);
  *fault = options_fault(options, arena);
  if (!*fault) *fault = methods_take(cors, options, arena);
  if (*fault) return NULL;
  headers_take(cors, options, arena);
  write_tails(cors, options, arena);
  cors->credentials = options->credentials;
  cors->any_origin = is_star(options->origins, options->origin_count);
  cors->any = (dl_cors_blocks){block(arena, DL_STR("*"), cors->tails.response), block(arena, DL_STR("*"), cors->tails.preflight)};
  if (!cors->any_origin) *fault = origins_take(cors, options, arena);
  return *fault ? NULL : cors;
}
