/* SPDX-License-Identifier: MIT */
/*
 * Bytes in, through everything: a real server on loopback, a client that sends the
 * input in one or many pieces and then says that it will send no more. What comes
 * back must be whole responses, no more of them than there were heads, and then
 * the end of the connection. Or the client resets, having sent it all and read
 * nothing. Either way nothing of the connection may be left in the worker.
 */
#include "connection_world.h"

#define KEY_DIGEST "f9afb103cb36990a5e82df5528bf3d39a4148778d0fbba843ac652b26af14c20"

enum { INPUT_MAX = 65536 };

/* The key is "fuzz-key-0123456789-0123456789-01", the token's secret is in connection_world.h: seeds hold both. */
const char app_text[] =
    "local demilune = require 'demilune'\n"
    "local model, guard = demilune.model, demilune.guard\n"
    "local settings = demilune.settings { FUZZ_SECRET = model.secret { min_bytes = 32 } }\n"
    "local bearer = guard.bearer { secret = settings.FUZZ_SECRET, lifetime = '3650d', allow_long_lived = true, roles = { 'user', 'admin' } }\n"
    "local session = guard.session { secret = settings.FUZZ_SECRET, lifetime = '1h' }\n"
    "local key = guard.api_key { keys = { one = { roles = { 'admin' },\n"
    "  digest = '" KEY_DIGEST "' } } }\n"
    "local app = demilune.app { title = 'fuzz', version = '1', guard = guard.public, docs = true, limits = { max_body = 20000 },\n"
    "  cors = { origins = { 'https://a.example', 'https://*.b.example' }, credentials = true, headers = { 'Authorization' }, methods = { 'GET', 'PUT' } } }\n"
    "local Thing = model 'Thing' { name = model.string { max_length = 20 }, age = model.integer { ge = 0 }, mail = model.optional(model.email()) }\n"
    "local db = app:database('sqlite::memory:', { migrations = false })\n"
    "local one = db:statement 'SELECT :a AS a'\n"
    "app:get('/', function() return 'root' end)\n"
    "app:get('/items/{id}', { path = { id = model.integer() }, query = { q = model.optional(model.string()) } }, function(req) return { id = req.path.id } end)\n"
    "app:post('/things', { body = Thing, returns = Thing, status = 201 }, function(req) return req.body end)\n"
    "app:post('/form', { form = { a = model.integer() } }, function(req) return { a = req.form.a } end)\n"
    "app:put('/raw', { body = model.raw() }, function(req) return { length = #req.body } end)\n"
    "app:post('/text', { body_kind = 'text' }, function(req) return req.body end)\n"
    "app:get('/stream', function() return demilune.stream(function(write) write('one') write('two') end) end)\n"
    "app:get('/fails', function() error('on purpose') end)\n"
    "local held = app:dependency(function() demilune.sleep(0) return 1, { finish = function() end, release = function() demilune.sleep(0) end } end)\n"
    "app:get('/wait', function() demilune.sleep(0) return 'waited' end)\n"
    "app:post('/wait', function(req) demilune.sleep(0) return req.body end)\n"
    "app:get('/held', { needs = { held = held } }, function(req) req:after_response(function() error('after') end) return 'held' end)\n"
    "app:get('/held-fails', { needs = { held = held } }, function() demilune.abort(409, 'no') end)\n"
    "app:get('/held-stream', { needs = { held = held } }, function()\n"
    "  return demilune.stream(function(write) demilune.sleep(0) write('one') demilune.sleep(0) end)\n"
    "end)\n"
    "app:get('/large', function() return ('x'):rep(300000) end)\n"
    "app:get('/large-stream', function() return demilune.stream(function(write) for _ = 1, 5 do write(('x'):rep(100000)) end end) end)\n"
    "app:get('/cookie', { cookie = { a = model.integer() }, header = { x_b = model.optional(model.array(model.string())) } },\n"
    "  function(req) return { a = req.cookie.a, b = req.header.x_b } end)\n"
    "app:get('/row', function() return one:one { a = 1 } end)\n"
    "app:get('/transaction', function() return db:transaction(function() demilune.sleep(0) return one:one { a = 2 } end) end)\n"
    "app:get('/row-stream', function() return demilune.stream(function(write) for i = 1, 3 do write(one:value { a = 'x' }) end end) end)\n"
    "app:get('/limited', { limit = { '3/second', { rate = '5/second', by = function(req) return req:get_header('X-B') end } } }, function() return 1 end)\n"
    "app:post('/me', { guard = guard.any { bearer, key, session }, limit = { rate = '1000/second', by = 'principal' } }, function(req) return req.principal.guard end)\n"
    "app:get('/admins', { guard = guard.role('admin', guard.any { bearer, key }) }, function() return 'admin' end)\n"
    "app:get('/own/{id}', { guard = bearer, owner = function(req) demilune.sleep(0) return req.path.id == req.principal.subject end }, function() return 'mine' end)\n"
    "app:post('/leave', { guard = session }, function(req) return demilune.response { status = 204, headers = { ['Set-Cookie'] = session:clear(req) } } end)\n"
    "local closed = demilune.router { prefix = '/closed', cors = false }\n"
    "closed:delete('/{rest:path}', { status = 204 }, function() end)\n"
    "closed:get('/old', { deprecated = '2030-01-01', sunset = '2031-01-01' }, function() return demilune.response { status = 308, headers = { Location = '/' } } end)\n"
    "app:mount(closed)\n"
    "return app\n";

/* Sends what the system takes at once, turns the loop a few times, and is gone. */
static void play_reset(demilune_server *server, int fd, dl_str bytes, int turns) {
  uv_run(&server->uv, UV_RUN_NOWAIT);
  if (send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL) < 0 && errno != EAGAIN && errno != ENOTCONN) abort();
  while (turns-- > 0) uv_run(&server->uv, UV_RUN_NOWAIT);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
}

/* --- what came back ------------------------------------------------------------------- */

static dl_str skip_chunks(dl_str rest) {
  while (true) {
    char *end;
    size_t size = strtoul(rest.ptr, &end, 16), head = (size_t)(end - rest.ptr) + 2;
    require(end != rest.ptr && head + size + 2 <= rest.len, "chunks are whole");
    rest = dl_str_skip(rest, head + size + 2);
    if (size == 0) return rest;
  }
}

/* Takes one response off; a head whose body does not follow was HEAD's. */
static dl_str skip_response(dl_str rest) {
  dl_str head = take_head(&rest), length = field_of(head, "\r\nContent-Length: ");
  if (rest.len == 0 || dl_str_starts(rest, DL_STR("HTTP/1.1 "))) return rest;
  if (field_of(head, "\r\nTransfer-Encoding: ").len) return skip_chunks(rest);
  if (!length.len) return dl_str_skip(rest, rest.len); /* HTTP/1.0: a stream that the end ends */
  size_t bytes = strtoul(length.ptr, NULL, 10);
  require(bytes <= rest.len, "a body is as long as its head says");
  return dl_str_skip(rest, bytes);
}

/* The first byte: 64 to 127, a client that resets after so many turns; from 128 on,
 * pieces of so many bytes; 32 to 63, a proxy that should announce whom it speaks for. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dl_buffer received = {0};
  if (size < 2 || size > INPUT_MAX) return 0;
  bool resets = (data[0] & 0xc0) == 0x40;
  demilune_server *server = (data[0] & 0xe0) == 0x20 ? announced : plain;
  int fd = connect_client(server, false);
  dl_str input = dl_str_from((const char *)data + 1, size - 1);
  if (resets) play_reset(server, fd, input, data[0] & 0xf);
  else play(&server->uv, fd, input, data[0] < 128 ? INPUT_MAX : (size_t)(data[0] & 0x3f) + 1, &received);
  close(fd);
  settle(server);
  dl_buffer_append_char(&received, 0); /* strtoul stops there */
  size_t responses = 0, lines = 1;
  for (size_t i = 0; i < input.len; i++) lines += input.ptr[i] == '\n';
  for (dl_str rest = dl_str_from(received.data, received.len - 1); rest.len; responses++) rest = skip_response(rest);
  require(responses <= lines, "there are no more responses than heads");
  dl_buffer_free(&received);
  return 0;
}
