/* SPDX-License-Identifier: MIT */
/*
 * Whole connections, of which every byte is known to be right: the input chooses
 * requests, how their bodies are framed and what is in them, who announces the client,
 * and where the stream is cut. What a body holds is the input's, so that a request may
 * lie in it. Each request is answered once, in order, with its own body and its own
 * client, and nothing else is: not one more response, not one more request counted.
 */
#include "connection_world.h"

enum { REQUESTS_MAX = 16 };

const char app_text[] =
    "local demilune = require 'demilune'\n"
    "local model, guard = demilune.model, demilune.guard\n"
    "local app = demilune.app { title = 'fuzz', version = '1', guard = guard.public }\n"
    "local function echo(req)\n"
    "  local body, sum = req.body or '', 0\n"
    "  for i = 1, #body do sum = (sum * 31 + body:byte(i)) % 1000003 end\n"
    "  return ('%d %d %d %s'):format(req.path.id, #body, sum, req.client)\n"
    "end\n"
    "app:get('/{id}', { path = { id = model.integer() } }, echo)\n"
    "app:put('/{id}', { path = { id = model.integer() }, body = model.raw() }, echo)\n"
    "app:post('/{id}', { path = { id = model.integer() }, body = model.raw() }, function(req) demilune.sleep(0) return echo(req) end)\n"
    "return app\n";

/* --- what is sent ------------------------------------------------------------------------ */

typedef struct request {
  bool closes, head_only;
  size_t length;
  unsigned sum;
} request;

typedef struct conversation {
  dl_str choices; /* what is left of the input */
  dl_buffer bytes;
  const char *client;
  request requests[REQUESTS_MAX];
  size_t count;
} conversation;

/* The next byte of the input; 0 when it has no more. */
static unsigned choose(conversation *c) {
  if (!c->choices.len) return 0;
  unsigned char byte = (unsigned char)c->choices.ptr[0];
  c->choices = dl_str_skip(c->choices, 1);
  return byte;
}

static dl_str choose_bytes(conversation *c, size_t length) {
  if (length > c->choices.len) length = c->choices.len;
  dl_str bytes = dl_str_from(c->choices.ptr, length);
  c->choices = dl_str_skip(c->choices, length);
  return bytes;
}

static void append_v2(dl_buffer *out, unsigned command, unsigned family, dl_str payload) {
  dl_buffer_append(out, "\r\n\r\n\0\r\nQUIT\n", 12);
  dl_buffer_append(out, (char[]){(char)command, (char)family, (char)(payload.len >> 8), (char)payload.len}, 4);
  dl_buffer_append_str(out, payload);
}

/* Who the client is, as a proxy says it. */
static void announce(conversation *c, unsigned how) {
  dl_buffer *out = &c->bytes, payload = {0};
  c->client = "127.0.0.1";
  switch (how) {
    case 1:
      DL_BUFFER_LITERAL(out, "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n");
      c->client = "192.0.2.1";
      break;
    case 2:
      DL_BUFFER_LITERAL(out, "PROXY TCP6 2001:db8::7 2001:db8::1 1 65535\r\n");
      c->client = "2001:db8::7";
      break;
    case 3: DL_BUFFER_LITERAL(out, "PROXY UNKNOWN\r\n"); break;
    case 4:
      dl_buffer_append(&payload, "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb", 12);
      dl_buffer_append_str(&payload, choose_bytes(c, choose(c))); /* what else the proxy says */
      append_v2(out, 0x21, 0x11, dl_buffer_str(&payload));
      c->client = "192.0.2.1";
      break;
    default: append_v2(out, 0x20, 0, choose_bytes(c, choose(c))); break;
  }
  dl_buffer_free(&payload);
}

/* Chunks as long as the input says, with what else may stand in such a body. */
static void append_chunked(conversation *c, dl_str body) {
  dl_buffer *out = &c->bytes;
  while (body.len) {
    unsigned style = choose(c);
    size_t size = style % 64 + 1;
    if (size > body.len) size = body.len;
    dl_buffer_printf(out, style & 64 ? "%zX" : "%03zx", size);
    if (style & 128) DL_BUFFER_LITERAL(out, ";a=\"b;\";c");
    DL_BUFFER_LITERAL(out, "\r\n");
    dl_buffer_append(out, body.ptr, size);
    DL_BUFFER_LITERAL(out, "\r\n");
    body = dl_str_skip(body, size);
  }
  DL_BUFFER_LITERAL(out, "0\r\n");
  if (choose(c) & 1) DL_BUFFER_LITERAL(out, "X-Trailer: GET / HTTP/1.1\r\n");
  DL_BUFFER_LITERAL(out, "\r\n");
}

/* Anything that a value may hold; a line cannot end in it. */
static void append_noise(conversation *c) {
  dl_str noise = choose_bytes(c, choose(c) % 64);
  DL_BUFFER_LITERAL(&c->bytes, "X-Noise: ");
  for (size_t i = 0; i < noise.len; i++) {
    unsigned char byte = (unsigned char)noise.ptr[i];
    dl_buffer_append_char(&c->bytes, (byte < ' ' && byte != '\t') || byte == 0x7f ? '.' : (char)byte);
  }
  DL_BUFFER_LITERAL(&c->bytes, "\r\n");
}

static void append_request(conversation *c) {
  static const char *const methods[] = {"GET", "HEAD", "PUT", "POST"};
  unsigned how = choose(c), more = choose(c);
  bool with_body = how & 2, chunked = with_body && how & 4, old = !chunked && (how & 0x38) == 0x38, closing = (how & 0xc0) == 0xc0;
  request *r = &c->requests[c->count];
  dl_buffer *out = &c->bytes;
  dl_str body = with_body ? choose_bytes(c, (more & 15) << (more >> 5)) : (dl_str){0};
  *r = (request){.closes = closing || (old && !(more & 16)), .head_only = (how & 3) == 1, .length = body.len};
  for (size_t i = 0; i < body.len; i++) r->sum = (r->sum * 31 + (unsigned char)body.ptr[i]) % 1000003;
  if ((how & 0x18) == 0x08) DL_BUFFER_LITERAL(out, "\r\n"); /* RFC 9112 2.2: an empty line before it is no request */
  dl_buffer_printf(out, "%s /%zu HTTP/1.%d\r\nHost: fuzz\r\n", methods[how & 3], c->count, !old);
  if ((how & 0x28) == 0x20) append_noise(c);
  if (closing) dl_buffer_printf(out, "Connection: %s\r\n", how & 0x20 ? "Upgrade\r\nUpgrade: websocket" : "close");
  else if (old && more & 16) DL_BUFFER_LITERAL(out, "Connection: keep-alive\r\n");
  if (with_body && !old && (how & 0x30) == 0x10) DL_BUFFER_LITERAL(out, "Expect: 100-continue\r\n");
  if (chunked) DL_BUFFER_LITERAL(out, "Transfer-Encoding: chunked\r\n\r\n");
  else if (with_body) dl_buffer_printf(out, "Content-Length: %zu\r\n\r\n", body.len);
  else DL_BUFFER_LITERAL(out, "\r\n");
  if (chunked) append_chunked(c, body);
  else dl_buffer_append_str(out, body);
  c->count++;
}

/* --- what must come back -------------------------------------------------------------------- */

static uint64_t counted(const demilune_server *server) {
  uint64_t total = 0;
  dl_metrics_series series;
  for (uint32_t i = 0; i < dl_metrics_series_count(server->metrics); i++) {
    dl_metrics_read_series(server->metrics, i, &series);
    for (size_t status = 0; status < DL_METRICS_STATUS_COUNT; status++) total += series.statuses[status];
  }
  return total;
}

static void check_response(const conversation *c, size_t number, dl_str *rest) {
  const request *r = &c->requests[number];
  char wanted[128];
  dl_str head = take_head(rest);
  while (dl_str_starts(head, DL_STR("HTTP/1.1 100 "))) head = take_head(rest);
  int length = snprintf(wanted, sizeof wanted, "%zu %zu %u %s", number, r->length, r->sum, c->client);
  require(dl_str_starts(head, DL_STR("HTTP/1.1 200 ")), "a request that is right is served");
  require(strtol(field_of(head, "\r\nContent-Length: ").ptr, NULL, 10) == length, "a response's length is its body's");
  bool says_close = field_of(head, "\r\nConnection: ").len == 5;
  require(!r->closes || says_close, "who asks for the end is told of it");
  require(!says_close || r->closes || number + 1 == c->count, "a connection is not closed before its last request");
  if (r->head_only) return;
  require(rest->len >= (size_t)length && memcmp(rest->ptr, wanted, (size_t)length) == 0, "a request is answered with its own body and client");
  *rest = dl_str_skip(*rest, (size_t)length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  conversation c = {.choices = dl_str_from((const char *)data, size)};
  dl_buffer received = {0};
  if (size < 4 || size > 16384) return 0;
  unsigned how = choose(&c), cut = choose(&c);
  demilune_server *server = how % 6 ? announced : plain;
  if (how % 6) announce(&c, how % 6);
  else c.client = "127.0.0.1";
  while (c.choices.len && c.count < REQUESTS_MAX) append_request(&c);
  size_t expected = 0;
  while (expected < c.count && !c.requests[expected++].closes) {}
  uint64_t before = counted(server);
  int fd = connect_client(server, false);
  play(&server->uv, fd, dl_buffer_str(&c.bytes), cut ? cut : c.bytes.len, &received);
  close(fd);
  settle(server);
  dl_buffer_append_char(&received, 0); /* strtol stops there */
  dl_str rest = dl_str_from(received.data, received.len - 1);
  for (size_t i = 0; i < expected; i++) check_response(&c, i, &rest);
  require(rest.len == 0, "nothing comes behind the last response");
  require(counted(server) - before == expected, "as many requests are counted as were sent");
  dl_buffer_free(&received);
  dl_buffer_free(&c.bytes);
  return 0;
}
