/* SPDX-License-Identifier: MIT */
/*
 * Answering for origins at run time: nothing is built here but the one line that
 * echoes an origin which a pattern stands for.
 */
#include "http/cors_internal.h"

#include "http/internal.h"
#include "http/text.h"
#include "http/method.h"

static const dl_str vary = {"Vary: Origin\r\n", 14};

/* These need no leave unless their value is unusual, and a browser that asks about
 * one asks because of its value (Fetch 2.2.2): Content-Type with JSON, above all. */
static const dl_str safe_headers[] = {{"accept", 6}, {"accept-language", 15}, {"content-language", 16}, {"content-type", 12}};

/* One label or more, as browsers write them: no empty label, no other byte, so that
 * nothing of "evil.example/.example.com" or a port can hide in it. */
static bool labels_valid(dl_str labels) {
  for (size_t i = 0; i < labels.len; i++) {
    char c = labels.ptr[i];
    bool edge = i == 0 || i + 1 == labels.len || labels.ptr[i - 1] == '.';
    if (c == '.' ? edge : !(dl_http_is(c, DL_CHAR_HOST) && c == dl_ascii_lower(c))) return false;
  }
  return labels.len > 0;
}

static bool pattern_matches(const dl_cors_pattern *pattern, dl_str origin) {
  if (origin.len <= pattern->before.len + pattern->behind.len || !dl_str_starts(origin, pattern->before)) return false;
  dl_str labels = dl_str_from(origin.ptr + pattern->before.len, origin.len - pattern->before.len - pattern->behind.len);
  return memcmp(labels.ptr + labels.len, pattern->behind.ptr, pattern->behind.len) == 0 && labels_valid(labels);
}

static bool any_pattern_matches(const dl_cors *cors, dl_str origin) {
  for (size_t i = 0; i < cors->pattern_count; i++)
    if (pattern_matches(&cors->patterns[i], origin)) return true;
  return false;
}

static const dl_cors_blocks *blocks_of(const dl_cors *cors, dl_str origin) {
  if (!origin.len) return NULL;
  return cors->any_origin ? &cors->any : dl_map_get(&cors->exact, origin);
}

bool dl_cors_allows(const dl_cors *cors, dl_str origin) { return blocks_of(cors, origin) || any_pattern_matches(cors, origin); }

bool dl_cors_allows_credentials(const dl_cors *cors, dl_str origin) { return cors->credentials && dl_cors_allows(cors, origin); }

static dl_str with_origin(dl_str origin, dl_str tail, dl_arena *arena) {
  static const dl_str name = {DL_CORS_ALLOW_ORIGIN, sizeof(DL_CORS_ALLOW_ORIGIN) - 1};
  char *block = dl_arena_alloc(arena, name.len + origin.len + 2 + tail.len), *end = block;
  end = mempcpy(end, name.ptr, name.len);
  end = mempcpy(end, origin.ptr, origin.len);
  end = mempcpy(end, "\r\n", 2);
  end = mempcpy(end, tail.ptr, tail.len);
  return dl_str_from(block, (size_t)(end - block));
}

dl_str dl_cors_origin(const dl_cors *cors, dl_str origin, dl_arena *arena) {
  const dl_cors_blocks *blocks = blocks_of(cors, origin);
  if (blocks) return blocks->response;
  return any_pattern_matches(cors, origin) ? with_origin(origin, cors->tails.response, arena) : vary;
}

static bool method_allowed(const dl_cors *cors, dl_str name) {
  dl_method method = dl_method_of(name);
  return method != DL_METHOD_COUNT && cors->methods & 1u << method;
}

static bool among(const dl_str *names, size_t count, dl_str name) {
  for (size_t i = 0; i < count; i++)
    if (dl_str_equal_nocase(names[i], name)) return true;
  return false;
}

static bool header_allowed(const dl_cors *cors, dl_str name) {
  if (among(cors->headers, cors->header_count, name) || among(safe_headers, sizeof(safe_headers) / sizeof(safe_headers[0]), name)) return true;
  /* "*" does not stand for Authorization (Fetch 4.9). */
  return cors->any_header && !dl_str_equal_nocase(name, DL_STR("authorization"));
}

static const char *headers_fault(const dl_cors *cors, dl_str list) {
  if (!dl_str_trim(list).len) return NULL;
  for (dl_str name; dl_http_list_next(&list, &name);) {
    if (!dl_http_all(name, DL_CHAR_TOKEN)) return "Access-Control-Request-Headers is not a list of field names";
    if (!header_allowed(cors, name)) return "a requested header is not among those that other origins may send";
  }
  return NULL;
}

dl_cors_answer dl_cors_preflight(const dl_cors *cors, dl_str origin, dl_str method, dl_str headers, dl_str private_network, dl_arena *arena) {
  const dl_cors_blocks *blocks = blocks_of(cors, origin);
  const char *fault = NULL;
  if (!blocks && !any_pattern_matches(cors, origin)) fault = "this origin is not among those that may ask";
  else if (private_network.len) fault = "requests from a public page into a private network are not granted";
  else if (!method_allowed(cors, method)) fault = "the requested method is not among those that other origins may use";
  else fault = headers_fault(cors, headers);
  if (fault) return (dl_cors_answer){.fields = vary, .reason = fault};
  return (dl_cors_answer){.allowed = true, .fields = blocks ? blocks->preflight : with_origin(origin, cors->tails.preflight, arena)};
}
