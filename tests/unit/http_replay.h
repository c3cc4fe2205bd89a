/* SPDX-License-Identifier: MIT */
/*
 * Plays bytes into a parser as a connection would, in pieces of a chosen size,
 * and writes down all that comes out. Two ways of cutting the same bytes must
 * give the same text. Each piece lies in a heap block of exactly its size, so
 * that AddressSanitizer sees a read beyond it.
 */
#ifndef DL_TESTS_HTTP_REPLAY_H
#define DL_TESTS_HTTP_REPLAY_H

#include "base/buffer.h"
#include "http/parser.h"

#include <stdlib.h>

typedef struct replay {
  dl_http_parser *parser;
  dl_arena arena;
  dl_str bytes;   /* all */
  size_t at;      /* consumed */
  size_t arrived; /* of bytes */
  size_t step;    /* bytes that arrive next */
  char *block;    /* [at, arrived) */
  dl_buffer *out;
} replay;

static bool replay_inside(const replay *play, dl_str s) {
  if (!s.len) return true;
  return s.ptr >= play->block && s.ptr + s.len <= play->block + (play->arrived - play->at);
}

static void replay_block(replay *play) {
  free(play->block);
  play->block = malloc(play->arrived - play->at ? play->arrived - play->at : 1);
  if (!play->block) abort();
  if (play->arrived > play->at) memcpy(play->block, play->bytes.ptr + play->at, play->arrived - play->at);
}

static bool replay_more(replay *play) {
  if (play->arrived == play->bytes.len) return false;
  play->arrived = play->bytes.len - play->arrived < play->step ? play->bytes.len : play->arrived + play->step;
  replay_block(play);
  return true;
}

static dl_str replay_left(const replay *play) { return dl_str_from(play->block, play->arrived - play->at); }

static void replay_request(replay *play, const dl_http_request *request) {
  dl_buffer_printf(play->out, "%.*s path=%.*s query=%.*s 1.%u%s%s", DL_STR_ARGS(request->method_text), DL_STR_ARGS(request->path),
                   DL_STR_ARGS(request->query), request->version_minor, request->keep_alive ? " keep" : " close",
                   request->expect_continue ? " expect" : "");
  if (request->has_body && !request->chunked) dl_buffer_printf(play->out, " length=%llu", (unsigned long long)request->content_length);
  if (request->chunked) dl_buffer_printf(play->out, " chunked");
  for (uint32_t i = 0; i < request->header_count; i++) {
    const dl_header *header = &request->headers[i];
    if (!replay_inside(play, header->name) || !replay_inside(play, header->value)) abort();
    dl_buffer_printf(play->out, " [%.*s=%.*s]", DL_STR_ARGS(header->name), DL_STR_ARGS(header->value));
  }
  if (!replay_inside(play, request->target) || !replay_inside(play, request->query) || !request->path.len) abort();
}

static dl_http_result replay_body(replay *play) {
  dl_buffer_printf(play->out, " body=");
  for (;;) {
    dl_str data;
    size_t consumed;
    dl_http_result result = dl_http_parser_body(play->parser, replay_left(play), &data, &consumed);
    if (consumed > replay_left(play).len || !replay_inside(play, data)) abort();
    dl_buffer_append_str(play->out, data);
    play->at += consumed;
    replay_block(play);
    if (result != DL_HTTP_MORE) return result;
    if (play->at == play->arrived && !replay_more(play)) return DL_HTTP_MORE;
  }
}

static dl_http_result replay_one(replay *play) {
  dl_http_request request;
  size_t consumed;
  dl_http_result result;
  while ((result = dl_http_parser_head(play->parser, replay_left(play), &play->arena, &request, &consumed)) == DL_HTTP_MORE)
    if (!replay_more(play)) return result;
  if (result == DL_HTTP_ERROR) return result;
  if (consumed > replay_left(play).len) abort();
  replay_request(play, &request);
  play->at += consumed;
  replay_block(play);
  return request.has_body ? replay_body(play) : result;
}

/* Writes one line per request into out; a refusal ends it with status and reason,
 * bytes that are not a whole request with "more". */
static inline void replay_all(dl_str bytes, const dl_http_limits *limits, size_t first, size_t step, dl_buffer *out) {
  replay play = {.parser = dl_http_parser_new(limits), .bytes = bytes, .step = first, .out = out};
  dl_arena_init(&play.arena, 0);
  replay_more(&play);
  play.step = step;
  dl_http_result result = DL_HTTP_DONE;
  while (result == DL_HTTP_DONE && (play.at < play.arrived || replay_more(&play))) {
    result = replay_one(&play);
    if (result == DL_HTTP_ERROR) dl_buffer_printf(out, " %d %s", dl_http_parser_status(play.parser), dl_http_parser_reason(play.parser));
    if (result == DL_HTTP_MORE) dl_buffer_printf(out, " more");
    DL_BUFFER_LITERAL(out, "\n");
    if (result == DL_HTTP_DONE) dl_http_parser_reset(play.parser);
    dl_arena_reset(&play.arena);
  }
  free(play.block);
  dl_arena_free(&play.arena);
  dl_http_parser_free(play.parser);
}

#endif
