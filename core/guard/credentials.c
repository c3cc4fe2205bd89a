/* SPDX-License-Identifier: MIT */
/*
 * Where credentials stand in a request: Authorization, a field of the app's choice,
 * a cookie. Never the query string, which ends in logs and histories. One that comes
 * twice is nobody's: two readers could each take another.
 */
#include "guard/internal.h"

#include "http/text.h"

bool dl_guard_is_token(dl_str s) {
  static const char others[] = "!#$%&'*+-.^_`|~";
  for (size_t i = 0; i < s.len; i++) {
    char c = s.ptr[i], lower = dl_ascii_lower(c);
    if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') && (c == 0 || !strchr(others, c))) return false;
  }
  return s.len > 0;
}

static dl_credential absent(const char **reason, const char *why) {
  *reason = why;
  return DL_CREDENTIAL_ABSENT;
}

static dl_credential malformed(const char **reason, const char *why) {
  *reason = why;
  return DL_CREDENTIAL_MALFORMED;
}

static bool comes_again(const dl_http_request *request, uint32_t first, uint8_t id) {
  for (uint32_t i = first + 1; i < request->header_count; i++)
    if (request->headers[i].id == id) return true;
  return false;
}

dl_credential dl_credential_authorization(const dl_http_request *request, dl_str scheme, dl_str *out, const char **reason) {
  dl_str value = dl_http_request_header(request, DL_HEADER_AUTHORIZATION);
  if (!value.ptr) return absent(reason, "there is no Authorization field");
  if (comes_again(request, (uint32_t)request->known[DL_HEADER_AUTHORIZATION], DL_HEADER_AUTHORIZATION))
    return malformed(reason, "there is more than one Authorization field");
  const char *space = value.len ? memchr(value.ptr, ' ', value.len) : NULL;
  dl_str given = dl_str_from(value.ptr, space ? (size_t)(space - value.ptr) : value.len);
  if (!dl_str_equal_nocase(given, scheme)) {
    return dl_guard_is_token(given) ? absent(reason, "Authorization is of another scheme")
                                    : malformed(reason, "Authorization does not begin with a scheme");
  }
  *out = dl_str_skip(value, given.len);
  while (out->len && out->ptr[0] == ' ') *out = dl_str_skip(*out, 1);
  return out->len ? DL_CREDENTIAL_FOUND : malformed(reason, "Authorization has a scheme and nothing behind it");
}

dl_credential dl_credential_field(const dl_http_request *request, dl_str name, dl_str *out, const char **reason) {
  bool found = false;
  for (uint32_t i = 0; i < request->header_count; i++) {
    if (!dl_str_equal_nocase(request->headers[i].name, name)) continue;
    if (found) return malformed(reason, "the API key's field is there more than once");
    *out = request->headers[i].value;
    found = true;
  }
  return found ? DL_CREDENTIAL_FOUND : absent(reason, "the API key's field is not there");
}

dl_credential dl_credential_cookie(const dl_guard_context *context, dl_str name, dl_str *out, const char **reason) {
  dl_pair *pairs = NULL;
  uint32_t count = 0;
  bool found = false;
  if (!dl_http_request_header(context->request, DL_HEADER_COOKIE).ptr) return absent(reason, "there is no Cookie field");
  dl_str field = dl_http_request_find(context->request, DL_STR("cookie"), context->arena);
  if (dl_http_cookies(field, DL_GUARD_COOKIES_MAX, context->arena, &pairs, &count)) return malformed(reason, "the Cookie field cannot be read");
  for (uint32_t i = 0; i < count; i++) {
    if (!dl_str_equal(pairs[i].name, name)) continue;
    if (found) return malformed(reason, "the cookie is there more than once");
    *out = pairs[i].value;
    found = true;
  }
  return found ? DL_CREDENTIAL_FOUND : absent(reason, "the cookie is not there");
}

dl_guard_result dl_credential_refuse(dl_guard_attempt *attempt, const dl_guard_node *node, dl_credential found, const char *reason) {
  return dl_guard_refuse(attempt, node, found == DL_CREDENTIAL_MALFORMED ? DL_GUARD_ERROR_MALFORMED : DL_GUARD_ERROR_ABSENT, reason);
}
