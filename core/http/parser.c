/* SPDX-License-Identifier: MIT */
/*
 * Requests out of bytes. The scan (scan.c) finds a whole head first, llhttp then
 * reads it in one go, and target.c and framing.c judge what it means. Bodies with
 * a Content-Length are counted off; chunked ones pass the guard of chunked.c and
 * llhttp side by side, and where the two disagree the message is refused.
 */
#include "http/internal.h"

#include "base/memory.h"

#include <llhttp.h>

struct dl_http_parser {
  llhttp_t llhttp;
  dl_http_limits limits;
  dl_http_refusal refusal;
  dl_http_scan scan;
  dl_http_chunked chunked;
  uint64_t body_left; /* of a body with a Content-Length */
  bool is_chunked;
  bool complete;     /* llhttp has seen the end of a chunked body */
  dl_header *fields; /* in the arena; while a head is being read */
  uint32_t field_count;
  dl_str data; /* body bytes that llhttp gave in the current call */
};

_Static_assert(sizeof(struct dl_http_parser) < 512, "an idle connection keeps its parser");

static int on_name(llhttp_t *llhttp, const char *at, size_t length) {
  dl_http_parser *parser = llhttp->data;
  /* The scan counted lines, llhttp counts fields: no more than fit, whatever it finds. */
  if (parser->field_count == parser->scan.fields) return HPE_USER;
  parser->fields[parser->field_count++] = (dl_header){.name = {at, length}, .value = {at + length, 0}};
  return 0;
}

static int on_value(llhttp_t *llhttp, const char *at, size_t length) {
  dl_http_parser *parser = llhttp->data;
  dl_header *field = &parser->fields[parser->field_count - 1];
  /* In one piece: a head is whole, and a second piece would be a folded line. */
  if (field->value.len) return HPE_USER;
  field->value = dl_str_trim(dl_str_from(at, length));
  return 0;
}

static int on_head(llhttp_t *llhttp) {
  /* A request to change protocols is one that a server may ignore (RFC 9110 7.8); what lies behind it is framing.c's affair. */
  llhttp->upgrade = 0;
  return HPE_PAUSED;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t length) {
  ((dl_http_parser *)llhttp->data)->data = dl_str_from(at, length);
  return 0;
}

static int on_complete(llhttp_t *llhttp) {
  ((dl_http_parser *)llhttp->data)->complete = true;
  return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_name, .on_header_value = on_value, .on_headers_complete = on_head, .on_body = on_body, .on_message_complete = on_complete};

dl_http_parser *dl_http_parser_new(const dl_http_limits *limits) {
  dl_http_parser *parser = dl_calloc(1, sizeof(*parser));
  parser->limits = *limits;
  if (parser->limits.max_headers > INT16_MAX) parser->limits.max_headers = INT16_MAX; /* known[] holds indexes */
  llhttp_init(&parser->llhttp, HTTP_REQUEST, &settings);
  parser->llhttp.data = parser;
  return parser;
}

void dl_http_parser_free(dl_http_parser *parser) { dl_free(parser); }

void dl_http_parser_reset(dl_http_parser *parser) {
  llhttp_reset(&parser->llhttp);
  parser->refusal = (dl_http_refusal){0};
  parser->scan = (dl_http_scan){0};
  parser->chunked = (dl_http_chunked){0};
  parser->body_left = 0;
  parser->is_chunked = parser->complete = false;
}

static const struct {
  llhttp_errno_t error;
  const char *reason;
} errors[] = {
    {HPE_INVALID_HEADER_TOKEN, DL_HTTP_BAD_FIELD},
    {HPE_UNEXPECTED_CONTENT_LENGTH, "there is more than one Content-Length, or one beside a Transfer-Encoding"},
    {HPE_INVALID_CONTENT_LENGTH, "the Content-Length is not a number"},
    {HPE_INVALID_TRANSFER_ENCODING, "the Transfer-Encoding is empty or malformed"},
    {HPE_INVALID_CHUNK_SIZE, "a chunk size or extension is malformed"},
    {HPE_INVALID_URL, "the request target has a character that must be percent-encoded"},
};

static dl_http_result refuse_llhttp(dl_http_parser *parser, llhttp_errno_t error) {
  for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
    if (errors[i].error == error) return dl_http_refuse(&parser->refusal, 400, errors[i].reason);
  return dl_http_refuse(&parser->refusal, 400, "the request is not well-formed HTTP/1.1");
}

/* Names are tokens now; the first of each known one is remembered. Gives a bit for
 * each that came again. */
static uint32_t fields_take(dl_http_parser *parser, dl_http_request *request) {
  uint32_t repeated = 0;
  memset(request->known, 0xff, sizeof(request->known));
  for (uint32_t i = 0; i < parser->field_count; i++) {
    dl_header *field = &parser->fields[i];
    field->id = dl_http_header_id(field->name);
    if (field->id == DL_HEADER_OTHER) continue;
    if (request->known[field->id] < 0) request->known[field->id] = (int16_t)i;
    else repeated |= 1u << field->id;
  }
  request->headers = parser->fields;
  request->header_count = parser->field_count;
  return repeated;
}

_Static_assert(DL_HEADER_OTHER <= 32, "known fields are bits of a word");

/* Where llhttp sees the body end otherwise than framing.c, somebody else may too. */
static bool framing_agrees(const llhttp_t *llhttp, const dl_http_request *request) {
  bool chunked = (llhttp->flags & F_CHUNKED) != 0;
  uint64_t length = (llhttp->flags & F_CONTENT_LENGTH) ? llhttp->content_length : 0;
  return chunked == request->chunked && length == request->content_length;
}

static dl_http_result head_read(dl_http_parser *parser, dl_str bytes, dl_arena *arena, dl_http_request *request) {
  dl_str authority;
  dl_http_result result = dl_http_target_read(&parser->scan.line, bytes, arena, request, &authority, &parser->refusal);
  if (result != DL_HTTP_DONE) return result;
  parser->fields = dl_arena_alloc(arena, sizeof(*parser->fields) * (parser->scan.fields + 1));
  parser->field_count = 0;
  llhttp_errno_t error = llhttp_execute(&parser->llhttp, bytes.ptr + parser->scan.start, parser->scan.at - parser->scan.start);
  /* llhttp stops at the end of the head, having found the same lines. */
  if (error != HPE_PAUSED || parser->field_count != parser->scan.fields) return refuse_llhttp(parser, error);
  dl_http_result framing = dl_http_framing_read(request, fields_take(parser, request), authority, &parser->refusal);
  return framing == DL_HTTP_DONE && !framing_agrees(&parser->llhttp, request) ? refuse_llhttp(parser, HPE_INVALID_TRANSFER_ENCODING) : framing;
}

dl_http_result dl_http_parser_head(dl_http_parser *parser, dl_str bytes, dl_arena *arena, dl_http_request *request, size_t *consumed) {
  *consumed = 0;
  if (parser->refusal.status) return DL_HTTP_ERROR;
  dl_http_result result = dl_http_scan_head(&parser->scan, bytes, &parser->limits, &parser->refusal);
  if (result != DL_HTTP_DONE || (result = head_read(parser, bytes, arena, request)) != DL_HTTP_DONE) return result;
  parser->is_chunked = request->chunked;
  parser->body_left = request->content_length;
  if (request->chunked) llhttp_resume(&parser->llhttp);
  *consumed = parser->scan.at;
  return DL_HTTP_DONE;
}

static dl_http_result counted_body(dl_http_parser *parser, dl_str bytes, dl_str *data, size_t *consumed) {
  size_t run = bytes.len < parser->body_left ? bytes.len : (size_t)parser->body_left;
  parser->body_left -= run;
  *data = dl_str_from(bytes.ptr, run);
  *consumed = run;
  return parser->body_left ? DL_HTTP_MORE : DL_HTTP_DONE;
}

/* Both readers take the same bytes; true when llhttp found in them what the guard did. */
static bool llhttp_agrees(dl_http_parser *parser, dl_str bytes, size_t data_len, bool complete) {
  parser->data = (dl_str){0};
  llhttp_errno_t error = bytes.len ? llhttp_execute(&parser->llhttp, bytes.ptr, bytes.len) : HPE_OK;
  return error == (complete ? HPE_PAUSED : HPE_OK) && parser->complete == complete && parser->data.len == data_len;
}

/* Size lines, the CRLF behind data, trailers, up to data, the end of the body or of bytes. */
static dl_http_result chunk_framing(dl_http_parser *parser, dl_str bytes, size_t *consumed) {
  for (size_t at = 0, passed;; at += passed) {
    bool dropped;
    dl_http_result result = dl_http_chunked_pass(&parser->chunked, dl_str_skip(bytes, at), &passed, &dropped, &parser->refusal);
    /* llhttp refuses some extensions that RFC 9112 7.1.1 has us ignore, and reads
     * framing into trailers: it gets to see neither. */
    if (!dropped && !llhttp_agrees(parser, dl_str_from(bytes.ptr + at, passed), 0, result == DL_HTTP_DONE))
      return refuse_llhttp(parser, llhttp_get_errno(&parser->llhttp));
    if (result == DL_HTTP_ERROR) return result;
    *consumed = at + passed;
    if (result == DL_HTTP_DONE || !passed) return result;
  }
}

dl_http_result dl_http_parser_body(dl_http_parser *parser, dl_str bytes, dl_str *data, size_t *consumed) {
  *data = (dl_str){0};
  *consumed = 0;
  if (parser->refusal.status) return DL_HTTP_ERROR;
  if (!parser->is_chunked) return counted_body(parser, bytes, data, consumed);
  if (!bytes.len) return DL_HTTP_MORE;
  dl_http_result result = chunk_framing(parser, bytes, consumed);
  if (result != DL_HTTP_MORE || *consumed == bytes.len) return result;
  dl_str run = dl_str_skip(bytes, *consumed);
  if (run.len > parser->chunked.left) run.len = (size_t)parser->chunked.left;
  if (!llhttp_agrees(parser, run, run.len, false)) return refuse_llhttp(parser, llhttp_get_errno(&parser->llhttp));
  dl_http_chunked_took(&parser->chunked, run.len);
  *data = run;
  *consumed += run.len;
  return DL_HTTP_MORE;
}

int dl_http_parser_status(const dl_http_parser *parser) { return parser->refusal.status; }

const char *dl_http_parser_reason(const dl_http_parser *parser) { return parser->refusal.reason ? parser->refusal.reason : ""; }

bool dl_http_parser_is_head(const dl_http_parser *parser) { return parser->scan.has_line && parser->scan.line.method == DL_METHOD_HEAD; }
