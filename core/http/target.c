/* SPDX-License-Identifier: MIT */
/*
 * The request line and its target (RFC 9112 3): which method, which version,
 * which path. A path is decoded once, here, and a path that two programs could
 * read differently (%2F, "..", "//", NUL) is refused rather than tidied up.
 */
#include "http/internal.h"

#include "base/utf8.h"

/* "HTTP/1.1" at the end of the line. */
static dl_http_result version_read(dl_http_line *line, dl_str version, dl_http_refusal *refusal) {
  if (dl_str_equal(version, DL_STR("HTTP/1.1"))) line->version_minor = 1;
  else if (dl_str_equal(version, DL_STR("HTTP/1.0"))) line->version_minor = 0;
  else if (version.len == 8 && dl_str_starts(version, DL_STR("HTTP/")) && dl_http_is(version.ptr[5], DL_CHAR_DIGIT) && version.ptr[5] != '0' &&
           version.ptr[6] == '.' && dl_http_is(version.ptr[7], DL_CHAR_DIGIT))
    return dl_http_refuse(refusal, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
  else return dl_http_refuse(refusal, 400, "the request line must end in HTTP/1.1, with one space between its parts");
  return DL_HTTP_DONE;
}

static dl_http_result method_read(dl_http_line *line, dl_str name, dl_http_refusal *refusal) {
  if (!dl_http_all(name, DL_CHAR_TOKEN)) return dl_http_refuse(refusal, 400, "the request line does not begin with a method");
  line->method = dl_method_of(name);
  if (line->method != DL_METHOD_COUNT) return DL_HTTP_DONE;
  /* The preface of HTTP/2 (RFC 9113 3.4) reads as a request of this method. */
  if (dl_str_equal(name, DL_STR("PRI"))) return dl_http_refuse(refusal, 505, "HTTP/2 is not spoken here, only HTTP/1.1");
  if (dl_str_equal(name, DL_STR("CONNECT"))) return dl_http_refuse(refusal, 501, "CONNECT is not served: this is not a proxy");
  return dl_http_refuse(refusal, 501, "the method is not one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
}

dl_http_result dl_http_line_read(dl_http_line *line, dl_str text, size_t at, const dl_http_limits *limits, dl_http_refusal *refusal) {
  const char *space = memchr(text.ptr, ' ', text.len);
  if (!space) return dl_http_refuse(refusal, 400, "the request line has no target");
  dl_str method = dl_str_from(text.ptr, (size_t)(space - text.ptr)), rest = dl_str_skip(text, method.len + 1);
  const char *end = memchr(rest.ptr, ' ', rest.len);
  dl_str target = dl_str_from(rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len);
  if (target.len > limits->max_target_bytes) return dl_http_refuse(refusal, 414, "the request target is too long");
  if (!end) return dl_http_refuse(refusal, 400, "the request line has no version; HTTP/0.9 is not spoken here");
  if (!target.len) return dl_http_refuse(refusal, 400, "the request line has two spaces in a row");
  *line = (dl_http_line){.method_at = at, .method_len = method.len, .target_at = at + method.len + 1, .target_len = target.len};
  dl_http_result result = version_read(line, dl_str_skip(rest, target.len + 1), refusal);
  return result == DL_HTTP_DONE && (result = method_read(line, method, refusal)) == DL_HTTP_DONE ? DL_HTTP_MORE : result;
}

/* A decoded segment: not one that names itself or its parent, and only the last
 * may be empty. */
static const char *segment_fault(dl_str segment, bool last) {
  if (!segment.len) return last ? NULL : "the path has an empty segment (\"//\")";
  if (segment.ptr[0] != '.') return NULL;
  if (segment.len == 1 || (segment.len == 2 && segment.ptr[1] == '.')) return "the path has a \".\" or \"..\" segment; write the path it means";
  return NULL;
}

static const char *segments_fault(dl_str path) {
  for (size_t from = 1; from <= path.len;) {
    const char *slash = memchr(path.ptr + from, '/', path.len - from);
    size_t end = slash ? (size_t)(slash - path.ptr) : path.len;
    const char *fault = segment_fault(dl_str_from(path.ptr + from, end - from), !slash);
    if (fault) return fault;
    from = end + 1;
  }
  return NULL;
}

static const char *decoded_fault(dl_str raw, dl_str path) {
  size_t slashes = 0;
  for (size_t i = 0; i < raw.len; i++) slashes += raw.ptr[i] == '/';
  for (size_t i = 0; i < path.len; i++) {
    unsigned char c = (unsigned char)path.ptr[i];
    if (c == '\0') return "the path has a NUL (%00)";
    if (c < 0x20 || c == 0x7f) return "the path has an escaped control character";
    if (c == '\\') return "the path has a backslash (%5C)";
    slashes -= c == '/';
  }
  if (slashes) return "the path has an escaped slash (%2F); send such a value in the query or the body";
  return dl_utf8_valid(path) ? NULL : "the path is not UTF-8";
}

/* raw begins with "/" and holds only bytes that a path may hold. */
static const char *path_decode(dl_str raw, dl_arena *arena, dl_str *path) {
  *path = raw;
  if (memchr(raw.ptr, '%', raw.len)) {
    char *copy = dl_arena_alloc(arena, raw.len);
    *path = (dl_str){copy, 0};
    if (!dl_http_percent_decode(raw, false, copy, &path->len)) return "the path has a \"%\" without two hexadecimal digits behind it";
    const char *fault = decoded_fault(raw, *path);
    if (fault) return fault;
  }
  return segments_fault(*path);
}

/* The bytes of s up to one that is not of the class; seen: the classes of those before. */
static inline size_t span(dl_str s, size_t from, unsigned class, unsigned *seen) {
  size_t at = from;
  while (at < s.len && dl_http_is(s.ptr[at], class)) *seen |= dl_http_class[(unsigned char)s.ptr[at++]];
  return at;
}

static bool has_empty_segment(dl_str path) {
  for (size_t i = 1; i < path.len; i++)
    if (path.ptr[i] == '/' && path.ptr[i - 1] == '/') return true;
  return false;
}

/* "/path?query" (RFC 9112 3.2.1) */
static dl_http_result origin_form(dl_str target, dl_arena *arena, dl_http_request *request, dl_http_refusal *refusal) {
  unsigned seen = 0, ignored = 0;
  size_t path_len = span(target, 0, DL_CHAR_PATH, &seen), end = path_len;
  if (end < target.len && target.ptr[end] == '?') end = span(target, end, DL_CHAR_QUERY, &ignored);
  if (end < target.len) {
    if (target.ptr[end] == '#') return dl_http_refuse(refusal, 400, "the request target has a fragment; what is behind \"#\" is not sent");
    return dl_http_refuse(refusal, 400, "the request target has a character that must be percent-encoded");
  }
  request->path = dl_str_from(target.ptr, path_len);
  request->query = path_len < end ? dl_str_from(target.ptr + path_len + 1, end - path_len - 1) : (dl_str){0};
  if (!(seen & DL_CHAR_SUSPECT) && !has_empty_segment(request->path)) return DL_HTTP_DONE;
  const char *fault = path_decode(request->path, arena, &request->path);
  return fault ? dl_http_refuse(refusal, 400, fault) : DL_HTTP_DONE;
}

/* "http://host:port/path?query" (RFC 9112 3.2.2), which a server must accept. */
static dl_http_result absolute_form(dl_str target, size_t scheme_len, dl_arena *arena, dl_http_request *request, dl_str *authority,
                                    dl_http_refusal *refusal) {
  dl_str rest = dl_str_skip(target, scheme_len);
  size_t end = 0;
  while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?' && rest.ptr[end] != '#') end++;
  *authority = dl_str_from(rest.ptr, end);
  if (!end) return dl_http_refuse(refusal, 400, "the request target has no host");
  rest = dl_str_skip(rest, end);
  if (rest.len && rest.ptr[0] == '/') return origin_form(rest, arena, request, refusal);
  unsigned ignored = 0;
  if (rest.len && (rest.ptr[0] == '#' || span(rest, 0, DL_CHAR_QUERY, &ignored) < rest.len))
    return dl_http_refuse(refusal, 400, "the request target has a fragment or a character that must be percent-encoded");
  request->path = DL_STR("/");
  request->query = rest.len ? dl_str_skip(rest, 1) : (dl_str){0};
  return DL_HTTP_DONE;
}

static size_t scheme_length(dl_str target) {
  static const dl_str schemes[] = {{"http://", 7}, {"https://", 8}};
  for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
    if (target.len > schemes[i].len && dl_str_equal_nocase(dl_str_from(target.ptr, schemes[i].len), schemes[i])) return schemes[i].len;
  return 0;
}

dl_http_result dl_http_target_read(const dl_http_line *line, dl_str bytes, dl_arena *arena, dl_http_request *request, dl_str *authority,
                                   dl_http_refusal *refusal) {
  dl_str target = dl_str_from(bytes.ptr + line->target_at, line->target_len);
  request->method = line->method;
  request->method_text = dl_str_from(bytes.ptr + line->method_at, line->method_len);
  request->version_minor = line->version_minor;
  request->target = target;
  *authority = (dl_str){0};
  if (target.ptr[0] == '/') return origin_form(target, arena, request, refusal);
  if (dl_str_equal(target, DL_STR("*"))) {
    if (line->method != DL_METHOD_OPTIONS) return dl_http_refuse(refusal, 400, "the target \"*\" is for OPTIONS only");
    request->path = target;
    request->query = (dl_str){0};
    return DL_HTTP_DONE;
  }
  size_t scheme_len = scheme_length(target);
  if (scheme_len) return absolute_form(target, scheme_len, arena, request, authority, refusal);
  return dl_http_refuse(refusal, 400, "the request target must begin with \"/\"");
}
