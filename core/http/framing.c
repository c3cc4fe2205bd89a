/* SPDX-License-Identifier: MIT */
/*
 * What the fields say about the message itself: its host, where its body ends,
 * whether the connection stays (RFC 9112 3.2, 6, 9.3). Two programs that disagree
 * on any of these are what request smuggling lives on, so whatever can be read in
 * two ways is refused.
 */
#include "http/internal.h"
#include "http/text.h"

#include <arpa/inet.h>

/* Fields that may stand once (RFC 9110 5.3); of the others a list is made. */
static const struct {
  uint8_t id;
  const char *reason;
} singles[] = {
    {DL_HEADER_HOST, "the Host field is there twice"},
    {DL_HEADER_CONTENT_LENGTH, "the Content-Length field is there twice"},
    {DL_HEADER_CONTENT_TYPE, "the Content-Type field is there twice"},
    {DL_HEADER_AUTHORIZATION, "the Authorization field is there twice"},
    {DL_HEADER_EXPECT, "the Expect field is there twice"},
    {DL_HEADER_ORIGIN, "the Origin field is there twice"},
    {DL_HEADER_SEC_FETCH_SITE, "the Sec-Fetch-Site field is there twice"},
    {DL_HEADER_ACCESS_CONTROL_REQUEST_METHOD, "the Access-Control-Request-Method field is there twice"},
};

static dl_http_result singles_check(uint32_t repeated, dl_http_refusal *refusal) {
  for (size_t i = 0; repeated && i < sizeof(singles) / sizeof(singles[0]); i++)
    if (repeated & 1u << singles[i].id) return dl_http_refuse(refusal, 400, singles[i].reason);
  return DL_HTTP_DONE;
}

static bool port_valid(dl_str port) {
  unsigned number = 0;
  if (port.len > 5) return false;
  for (size_t i = 0; i < port.len; i++) {
    if (!dl_http_is(port.ptr[i], DL_CHAR_DIGIT)) return false;
    number = number * 10 + (unsigned)(port.ptr[i] - '0');
  }
  return number <= 65535;
}

/* host [":" port] of RFC 9110 7.2, where a host is a name as DNS has them, an
 * IPv4 address or an IPv6 address in brackets. */
static bool host_valid(dl_str host) {
  size_t end = 0;
  if (host.len && host.ptr[0] == '[') {
    const char *bracket = memchr(host.ptr, ']', host.len);
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (!bracket || (size_t)(bracket - host.ptr) > sizeof(text)) return false;
    end = (size_t)(bracket - host.ptr);
    memcpy(text, host.ptr + 1, end - 1);
    text[end - 1] = '\0';
    if (strlen(text) != end - 1 || inet_pton(AF_INET6, text, &address) != 1) return false;
    end++;
  } else {
    while (end < host.len && dl_http_is(host.ptr[end], DL_CHAR_HOST)) end++;
    if (!end) return false;
  }
  if (end == host.len) return true;
  return host.ptr[end] == ':' && port_valid(dl_str_skip(host, end + 1));
}

static dl_http_result host_check(const dl_http_request *request, dl_str authority, dl_http_refusal *refusal) {
  dl_str host = dl_http_request_header(request, DL_HEADER_HOST);
  if (authority.len && !host_valid(authority))
    return dl_http_refuse(refusal, 400, "the host in the request target is not a host name, or has a user in it");
  if (!host.ptr) return request->version_minor ? dl_http_refuse(refusal, 400, "the Host field is missing") : DL_HTTP_DONE;
  if (!host_valid(host)) return dl_http_refuse(refusal, 400, "the Host field is not a host name with an optional port");
  if (authority.len && !dl_str_equal_nocase(authority, host))
    return dl_http_refuse(refusal, 400, "the Host field and the request target name different hosts");
  return DL_HTTP_DONE;
}

static dl_http_result content_length(dl_http_request *request, dl_http_refusal *refusal) {
  dl_str text = dl_http_request_header(request, DL_HEADER_CONTENT_LENGTH);
  uint64_t length = 0;
  if (!text.ptr) return DL_HTTP_DONE;
  if (!text.len) return dl_http_refuse(refusal, 400, "the Content-Length is not a number");
  for (size_t i = 0; i < text.len; i++) {
    if (!dl_http_is(text.ptr[i], DL_CHAR_DIGIT)) return dl_http_refuse(refusal, 400, "the Content-Length is not a number");
    if (__builtin_mul_overflow(length, 10, &length) || __builtin_add_overflow(length, (uint64_t)(text.ptr[i] - '0'), &length))
      return dl_http_refuse(refusal, 400, "the Content-Length is too large a number");
  }
  request->content_length = length;
  request->has_body = length > 0;
  return DL_HTTP_DONE;
}

/* One Transfer-Encoding field that says "chunked" and nothing else (RFC 9112 6.1). */
static dl_http_result transfer_encoding(dl_http_request *request, dl_http_refusal *refusal) {
  bool others = false, last = false;
  uint32_t fields = 0;
  if (request->version_minor == 0) return dl_http_refuse(refusal, 400, "an HTTP/1.0 request cannot have a Transfer-Encoding");
  if (request->known[DL_HEADER_CONTENT_LENGTH] >= 0) return dl_http_refuse(refusal, 400, "there are both a Content-Length and a Transfer-Encoding");
  for (uint32_t i = 0; i < request->header_count; i++) {
    if (request->headers[i].id != DL_HEADER_TRANSFER_ENCODING) continue;
    fields++;
    for (dl_str list = request->headers[i].value, coding; dl_http_list_next(&list, &coding);) {
      if (last) return dl_http_refuse(refusal, 400, "chunked is not the last Transfer-Encoding");
      if (!coding.len || !dl_http_is(coding.ptr[0], DL_CHAR_TOKEN))
        return dl_http_refuse(refusal, 400, "the Transfer-Encoding is empty or malformed");
      last = dl_str_equal_nocase(coding, DL_STR("chunked"));
      others |= !last;
    }
  }
  if (!last) return dl_http_refuse(refusal, 400, "chunked is not the last Transfer-Encoding");
  if (others || fields > 1) return dl_http_refuse(refusal, 501, "the only Transfer-Encoding that is served is chunked");
  request->chunked = request->has_body = true;
  return DL_HTTP_DONE;
}

/* Connection is a list, over one field or several (RFC 9110 7.6.1). */
static bool connection_keeps(const dl_http_request *request) {
  bool keep = request->version_minor == 1;
  if (request->known[DL_HEADER_CONNECTION] < 0) return keep;
  for (uint32_t i = (uint32_t)request->known[DL_HEADER_CONNECTION]; i < request->header_count; i++) {
    if (request->headers[i].id != DL_HEADER_CONNECTION) continue;
    for (dl_str list = request->headers[i].value, option; dl_http_list_next(&list, &option);) {
      if (dl_str_equal_nocase(option, DL_STR("close"))) return false;
      if (dl_str_equal_nocase(option, DL_STR("keep-alive"))) keep = true;
    }
  }
  return keep;
}

/* Nobody changes protocols here, but a front may take the connection for a tunnel before it hears so, as nghttpx 1.52 does, or in spite of it,
 * as one that pipes: what its client sends behind is no request. For h2c everybody waits for a 101 (RFC 7540 3.2). */
static bool asks_for_tunnel(const dl_http_request *request) {
  if (request->known[DL_HEADER_UPGRADE] < 0) return false;
  for (uint32_t i = (uint32_t)request->known[DL_HEADER_UPGRADE]; i < request->header_count; i++) {
    if (request->headers[i].id != DL_HEADER_UPGRADE) continue;
    for (dl_str list = request->headers[i].value, protocol; dl_http_list_next(&list, &protocol);)
      if (protocol.len && !dl_str_equal_nocase(protocol, DL_STR("h2c"))) return true;
  }
  return false;
}

static dl_http_result expectation(dl_http_request *request, dl_http_refusal *refusal) {
  dl_str expect = dl_http_request_header(request, DL_HEADER_EXPECT);
  if (!expect.ptr || request->version_minor == 0) return DL_HTTP_DONE;
  if (!dl_str_equal_nocase(expect, DL_STR("100-continue"))) return dl_http_refuse(refusal, 417, "the only expectation that is met is 100-continue");
  request->expect_continue = request->has_body;
  return DL_HTTP_DONE;
}

dl_http_result dl_http_framing_read(dl_http_request *request, uint32_t repeated, dl_str authority, dl_http_refusal *refusal) {
  request->chunked = request->has_body = request->expect_continue = false;
  request->content_length = 0;
  if (singles_check(repeated, refusal) == DL_HTTP_ERROR || host_check(request, authority, refusal) == DL_HTTP_ERROR) return DL_HTTP_ERROR;
  bool coded = request->known[DL_HEADER_TRANSFER_ENCODING] >= 0;
  if ((coded ? transfer_encoding(request, refusal) : content_length(request, refusal)) == DL_HTTP_ERROR) return DL_HTTP_ERROR;
  request->keep_alive = connection_keeps(request) && !asks_for_tunnel(request);
  return expectation(request, refusal);
}
