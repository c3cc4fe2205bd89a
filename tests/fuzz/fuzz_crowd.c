/* SPDX-License-Identifier: MIT */
/*
 * Several clients at once, and what happens beside them: each byte or two of the input
 * is a step. A client connects, asks, sends a part, reads a little, says that it will
 * send no more, leaves or resets; the loop turns, the clock moves on past deadlines, the
 * app is loaded anew, the server ends. What a client reads are whole answers in the order in which it
 * asked, each to its own request; when all are gone, nothing of them stays.
 */
#include "loopback.h"

#include "crypto/password.h"

enum { INPUT_MAX = 1024, CLIENTS = 4, REQUESTS_MAX = 24, RELOADS_MAX = 2, QUIET_TURNS = 4000, STEP_MS = 700 };

static const char app_text[] =
    "local demilune = require 'demilune'\n"
    "local model, guard = demilune.model, demilune.guard\n"
    "local settings = demilune.settings { FUZZ_SECRET = model.secret { min_bytes = 32 }, FUZZ_HASH = model.secret() }\n"
    "local app = demilune.app { title = 'crowd', version = '1', guard = guard.public, docs = true,\n"
    "  limits = { max_requests = 3, max_queue = 2, queue_timeout = '1s', handler_timeout = '2s', header_timeout = '3s', body_timeout = '3s',\n"
    "    send_timeout = '3s', idle_timeout = '5s', max_body = 20000 } }\n"
    "local db = app:database 'sqlite::memory:'\n"
    "app:idempotency { database = db }\n"
    "local key = guard.api_key { keys = { one = { secret = settings.FUZZ_SECRET } } }\n"
    "local basic = guard.basic { users = { ann = settings.FUZZ_HASH } }\n"
    "local session = guard.session { secret = settings.FUZZ_SECRET, lifetime = '1h', database = db }\n"
    "local put = db:statement 'INSERT INTO numbers (id) VALUES (:id) ON CONFLICT (id) DO UPDATE SET id = id RETURNING id'\n"
    "local one = db:statement 'SELECT :id AS id'\n"
    "local Thing = model 'Thing' { name = model.string { max_length = 20 } }\n"
    "local open, x = false, ('x'):rep(60000)\n"
    "local function answer(req) return req.path.id .. ';' .. #(req.body or '') end\n"
    "local function stream(pause, fails)\n"
    "  return function(req)\n"
    "    return demilune.stream(function(write)\n"
    "      write(req.path.id .. ';')\n"
    "      for _ = 1, 5 do\n"
    "        if pause then demilune.sleep(pause) end\n"
    "        write(x:sub(1, pause and 10 or nil))\n"
    "      end\n"
    "      if fails then error('on purpose') end\n"
    "    end, { headers = { ['Content-Type'] = 'text/plain' } })\n"
    "  end\n"
    "end\n"
    "app:get('/echo/{id}', answer)\n"
    "app:post('/echo/{id}', answer)\n"
    "app:get('/wait/{id}', function(req) demilune.sleep '1ms' return answer(req) end)\n"
    "app:post('/wait/{id}', function(req) demilune.sleep(0) return answer(req) end)\n"
    "app:get('/gate/{id}', function(req)\n"
    "  for _ = 1, 20 do if not open then demilune.sleep '1ms' end end\n"
    "  open = false\n"
    "  return answer(req)\n"
    "end)\n"
    "app:get('/open/{id}', function(req) open = true return answer(req) end)\n"
    "app:get('/stream/{id}', stream())\n"
    "app:get('/stream-slow/{id}', stream '1ms')\n"
    "app:get('/stream-fails/{id}', stream(0, true))\n"
    "app:get('/large/{id}', function(req) return answer(req) .. x .. x .. x .. x end)\n"
    "app:get('/row/{id}', function(req) return put:one { id = req.path.id % 64 }.id and answer(req) end)\n"
    "app:get('/transaction/{id}', function(req)\n"
    "  return db:transaction(function() put:one { id = 1 } demilune.sleep(0) put:one { id = 2 } return answer(req) end)\n"
    "end)\n"
    "app:get('/row-stream/{id}', function(req)\n"
    "  return demilune.stream(function(write) write(req.path.id .. ';') for i = 1, 3 do write(tostring(one:value { id = i })) end end)\n"
    "end)\n"
    "local held = app:dependency(function(req)\n"
    "  demilune.sleep(0)\n"
    "  return 1, { finish = function() put:one { id = 3 } end, release = function() demilune.sleep(0) put:one { id = 4 } end }\n"
    "end)\n"
    "app:get('/held/{id}', { needs = { held = held } }, function(req) req:after_response(function() one:one { id = 1 } error 'after' end) return "
    "answer(req) end)\n"
    "app:get('/held-fails/{id}', { needs = { held = held } }, function() demilune.abort(409, 'no') end)\n"
    "app:get('/held-stream/{id}', { needs = { held = held } }, stream(0))\n"
    "app:post('/things/{id}', { body = Thing }, function(req) return req.body end)\n"
    "app:post('/login/{id}', { limit = '1000000/second' }, function(req)\n"
    "  return demilune.response { headers = { ['Set-Cookie'] = session:issue { subject = 'ann' }, ['Content-Type'] = 'text/plain' }, body = "
    "answer(req) }\n"
    "end)\n"
    "app:get('/me/{id}', { guard = session, shared = true }, answer)\n"
    "app:post('/logout/{id}', { guard = session, shared = true }, function(req)\n"
    "  return demilune.response { headers = { ['Set-Cookie'] = session:clear(req), ['Content-Type'] = 'text/plain' }, body = answer(req) }\n"
    "end)\n"
    "app:get('/basic/{id}', { guard = basic, limit = '1000000/second', shared = true }, answer)\n"
    "app:post('/pay/{id}', { guard = key, idempotent = true, shared = true }, function(req) demilune.sleep(0) return answer(req) end)\n"
    "app:get('/limited/{id}', { limit = { '9/second', { rate = '5/second', by = function(req) demilune.sleep(0) return req.path.id:sub(1, 1) end } } "
    "}, answer)\n"
    "app:get('/own/{id}', { guard = key, owner = function(req) demilune.sleep(0) return req.principal ~= nil end }, answer)\n"
    "app:get('/spawn/{id}', function(req) demilune.spawn(function() demilune.sleep '1ms' put:one { id = 5 } end) return answer(req) end)\n"
    "return app\n";

static const char migration_text[] =
    "CREATE TABLE numbers (id INTEGER PRIMARY KEY);\n"
    "CREATE TABLE sessions (digest TEXT PRIMARY KEY, subject TEXT NOT NULL, expires INTEGER NOT NULL);\n"
    "CREATE TABLE idempotency_keys (digest TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, attempt BLOB NOT NULL, ends INTEGER NOT NULL,\n"
    "  expires INTEGER NOT NULL, status INTEGER, fields BLOB, body BLOB);\n";

#define KEY "fuzz-secret-0123456789-0123456789"

/* A start ending in a slash is followed by the request's number, which the answer begins with unless it is unnamed. */
typedef struct kind {
  const char *start, *fields;
  bool body, chunked, unnamed, headless, cookie, closes;
} kind;

static const kind kinds[] = {
    {.start = "GET /echo/"},
    {.start = "HEAD /echo/", .headless = true},
    {.start = "POST /echo/", .body = true},
    {.start = "POST /wait/", .body = true, .chunked = true},
    {.start = "POST /wait/", .fields = "Expect: 100-continue\r\n", .body = true},
    {.start = "GET /wait/"},
    {.start = "GET /gate/"},
    {.start = "GET /open/"},
    {.start = "GET /stream/"},
    {.start = "GET /stream-slow/"},
    {.start = "GET /stream-fails/", .closes = true},
    {.start = "GET /large/"},
    {.start = "GET /row/"},
    {.start = "GET /transaction/"},
    {.start = "GET /row-stream/"},
    {.start = "GET /held/"},
    {.start = "GET /held-fails/"},
    {.start = "GET /held-stream/"},
    {.start = "POST /things/", .fields = "Content-Type: application/json\r\n", .body = true},
    {.start = "POST /login/", .body = true},
    {.start = "GET /me/", .cookie = true},
    {.start = "POST /logout/", .cookie = true, .body = true},
    {.start = "GET /basic/", .fields = "Authorization: Basic YW5uOmNvcnJlY3QgaG9yc2U=\r\n"},
    {.start = "GET /basic/", .fields = "Authorization: Basic YW5uOndyb25n\r\n"},
    {.start = "POST /pay/", .fields = "X-API-Key: " KEY "\r\nIdempotency-Key: one\r\n", .body = true},
    {.start = "POST /pay/1", .fields = "X-API-Key: " KEY "\r\nIdempotency-Key: two\r\n", .body = true, .unnamed = true},
    {.start = "GET /limited/"},
    {.start = "GET /own/", .fields = "X-API-Key: " KEY "\r\n"},
    {.start = "GET /spawn/"},
    {.start = "GET /echo/", .fields = "Connection: close\r\n", .closes = true},
    {.start = "GET /docs", .unnamed = true},
    {.start = "GET /openapi.json", .unnamed = true},
};

enum { KINDS = sizeof kinds / sizeof *kinds };

typedef struct client {
  int fd; /* -1: not connected */
  dl_buffer out, in;
  size_t sent;
  const kind *asked[REQUESTS_MAX];
  unsigned numbers[REQUESTS_MAX];
  size_t count;
  bool shut, ended; /* it said that it will send no more; the server closed */
} client;

static demilune_server *server;
static client clients[CLIENTS];
static char folder[] = "/tmp/demilune-fuzz-XXXXXX", cookie[512];
static unsigned number;
static bool moved; /* the clock, so that deadlines may have ended anything */
static const dl_clock unmoved;
static uint64_t began_us;

/* --- the server ------------------------------------------------------------------------ */

static void remove_app(void) {
  static const char *const paths[] = {"app.lua", "migrations/0001_all.sql", "migrations", ""};
  char path[128];
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    snprintf(path, sizeof path, "%s/%s", folder, paths[i]);
    remove(path);
  }
}

int LLVMFuzzerInitialize(int *count, char ***arguments) {
  char path[128], hash[DL_PASSWORD_TEXT];
  (void)count;
  (void)arguments;
  if (dl_password_hash(DL_STR("correct horse"), &(dl_password_cost){8, 1, 1}, hash) != DL_PASSWORD_OK) abort();
  setenv("FUZZ_SECRET", KEY, 1);
  setenv("FUZZ_HASH", hash, 1);
  if (!mkdtemp(folder)) abort();
  snprintf(path, sizeof path, "%s/migrations", folder);
  if (mkdir(path, 0700) != 0 || atexit(remove_app) != 0) abort();
  write_file(folder, "app.lua", app_text);
  write_file(folder, "migrations/0001_all.sql", migration_text);
  server = server_open(folder, false);
  for (size_t i = 0; i < CLIENTS; i++) clients[i].fd = -1;
  return 0;
}

static void turn(unsigned times) {
  while (times-- > 0) uv_run(&server->uv, UV_RUN_NOWAIT);
}

/* Until the server has something to do, or this client (-1: none) something to read; a millisecond at most. */
static void wait_for_news(int fd) {
  struct pollfd fds[] = {{.fd = uv_backend_fd(&server->uv), .events = POLLIN}, {.fd = fd, .events = POLLIN}};
  poll(fds, 2, 1);
}

/* A timer of the server's that is due at once. */
static void wake(uv_timer_t *timer) { uv_timer_start(timer, timer->timer_cb, 0, uv_timer_get_repeat(timer)); }

/* Deadlines are judged by a timer that real time wakes. */
static void move_clock(int64_t ms) {
  dl_clock_move(&server->loop.clock, ms);
  wake(&server->worker.sweep_timer);
  turn(2);
}

static void on_tick(uv_timer_t *tick) {
  (void)tick;
  dl_clock_move(&server->loop.clock, STEP_MS);
  wake(&server->worker.sweep_timer);
  if (uv_is_active((uv_handle_t *)&server->last_call)) wake(&server->last_call);
}

/* Until a stop that has begun is through, in less time than it takes. The loop's last turn closes the timer. */
static void run_to_the_end(void) {
  static uv_timer_t tick;
  uv_timer_init(&server->uv, &tick);
  uv_timer_start(&tick, on_tick, 1, 1);
  dl_server_run_loop(server);
  uv_close((uv_handle_t *)&tick, NULL);
}

static void on_loaded(demilune_server *loaded, const char *error) {
  if (error) fprintf(stderr, "%s\n", error);
  require(!error, "the app loads as it did before");
  dl_server_swap(loaded);
}

static void reload(void) {
  if (server->loaded) return;
  dl_server_load(server, server->generation->number + 1, -1, on_loaded, NULL);
}

/* --- a client ------------------------------------------------------------------------------ */

static void take_some(client *c, size_t most) {
  char bytes[16384];
  while (most > 0 && !c->ended) {
    ssize_t got = recv(c->fd, bytes, most < sizeof bytes ? most : sizeof bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN)) return;
    if (got <= 0) c->ended = true;
    else dl_buffer_append(&c->in, bytes, (size_t)got);
    most -= got > 0 ? (size_t)got : 0;
  }
}

static void send_some(client *c, size_t most) {
  size_t left = c->out.len - c->sent;
  if (c->shut || !left) return;
  ssize_t sent = send(c->fd, c->out.data + c->sent, left < most ? left : most, MSG_NOSIGNAL);
  if (sent > 0) c->sent += (size_t)sent;
}

static void append_body(client *c, bool chunked, size_t length) {
  static const char text[] = "{\"name\":1,\"GET /echo/1 HTTP/1.1\\r\\n\":2}\r\n0\r\n\r\n";
  char body[256];
  for (size_t i = 0; i < length; i++) body[i] = text[i % (sizeof text - 1)];
  if (!chunked) dl_buffer_printf(&c->out, "Content-Length: %zu\r\n\r\n", length);
  else if (length) dl_buffer_printf(&c->out, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", length);
  else DL_BUFFER_LITERAL(&c->out, "Transfer-Encoding: chunked\r\n\r\n");
  dl_buffer_append(&c->out, body, length);
  if (chunked && length) DL_BUFFER_LITERAL(&c->out, "\r\n");
  if (chunked) DL_BUFFER_LITERAL(&c->out, "0\r\n\r\n");
}

static void ask(client *c, const kind *what, size_t length) {
  if (c->count == REQUESTS_MAX || c->shut) return;
  c->asked[c->count] = what;
  c->numbers[c->count++] = ++number;
  dl_buffer_append_str(&c->out, dl_str_of(what->start));
  if (what->start[strlen(what->start) - 1] == '/') dl_buffer_printf(&c->out, "%u", number);
  dl_buffer_printf(&c->out, " HTTP/1.1\r\nHost: a\r\n%s", what->fields ? what->fields : "");
  if (what->cookie && *cookie) dl_buffer_printf(&c->out, "Cookie: %s\r\n", cookie);
  if (what->body) append_body(c, what->chunked, length);
  else DL_BUFFER_LITERAL(&c->out, "\r\n");
}

/* --- what came back ---------------------------------------------------------------------------- */

/* The session that a login began, for whoever asks next. */
static void keep_cookie(dl_str head) {
  dl_str value = field_of(head, "\nSet-Cookie: ");
  const char *end = memchr(value.ptr ? value.ptr : "", ';', value.len);
  if (end && end > value.ptr && (size_t)(end - value.ptr) < sizeof cookie) snprintf(cookie, sizeof cookie, "%.*s", (int)(end - value.ptr), value.ptr);
}

/* Takes a body off the front, and gives it without its chunks' sizes as far as the first chunk goes; false where it is cut off. */
static bool take_body(dl_str head, dl_str *rest, dl_str *body) {
  if (!field_of(head, "\nTransfer-Encoding: ").len) {
    size_t length = strtoul(field_of(head, "\nContent-Length: ").ptr, NULL, 10);
    *body = dl_str_from(rest->ptr, length < rest->len ? length : rest->len);
    *rest = dl_str_skip(*rest, body->len);
    return body->len == length;
  }
  for (bool first = true;; first = false) {
    const char *line = memchr(rest->ptr, '\n', rest->len);
    if (!line) return false;
    size_t size = strtoul(rest->ptr, NULL, 16);
    *rest = dl_str_skip(*rest, (size_t)(line + 1 - rest->ptr));
    if (first) *body = dl_str_from(rest->ptr, size < rest->len ? size : rest->len);
    if (size + 2 > rest->len) return false;
    *rest = dl_str_skip(*rest, size + 2);
    if (size == 0) return true;
  }
}

/* Whether an answer is the one to this request: an error tells nobody's number. */
static void check_body(const client *c, size_t place, dl_str head, dl_str body, bool whole) {
  char wanted[16];
  int length = snprintf(wanted, sizeof wanted, "%u;", c->numbers[place]);
  if (c->asked[place]->unnamed || !dl_str_starts(head, DL_STR("HTTP/1.1 200 "))) return;
  size_t have = body.len < (size_t)length ? body.len : (size_t)length;
  require(memcmp(body.ptr ? body.ptr : "", wanted, have) == 0 && (have == (size_t)length || !whole), "an answer is to its own request");
}

/* Gives how many answers came whole, and whether the last one said or brought the end. */
static size_t check_answers(const client *c, bool *over) {
  dl_str rest = dl_str_from(c->in.data, c->in.len);
  *over = false;
  for (size_t place = 0;; place++) {
    if (!rest.len || !memmem(rest.ptr, rest.len, "\r\n\r\n", 4)) return place;
    require(!*over, "nothing comes behind the last answer");
    dl_str head = take_head(&rest), body = {0};
    while (dl_str_starts(head, DL_STR("HTTP/1.1 100 ")) && memmem(rest.ptr, rest.len, "\r\n\r\n", 4)) head = take_head(&rest);
    if (dl_str_starts(head, DL_STR("HTTP/1.1 100 "))) return place;
    require(place < c->count, "nobody is answered who did not ask");
    keep_cookie(head);
    bool whole = c->asked[place]->headless || take_body(head, &rest, &body);
    if (!c->asked[place]->headless) check_body(c, place, head, body, whole);
    if (!whole) return place;
    *over = dl_str_equal(field_of(head, "\nConnection: "), DL_STR("close"));
  }
}

/* --- the steps ----------------------------------------------------------------------------------- */

static void leave(client *c, bool resets) {
  bool over;
  if (c->fd < 0) return;
  dl_buffer_append_char(&c->in, 0); /* strtoul stops there */
  c->in.len--;
  check_answers(c, &over);
  if (resets) setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
  close(c->fd);
  dl_buffer_free(&c->out);
  dl_buffer_free(&c->in);
  *c = (client){.fd = -1};
}

/* Who is not there yet arrives with whatever it does first. */
static void act(client *c, unsigned what, unsigned more, unsigned *reloads) {
  static const int64_t jumps[] = {300, 1100, 2100, 3100, 5100, 20000, 120000, 4000000};
  if (c->fd < 0) c->fd = connect_client(server, more & 128);
  switch (what) {
  case 0: send_some(c, SIZE_MAX); break;
  case 1: send_some(c, more + 1); break;
  case 2: take_some(c, SIZE_MAX); break;
  case 3: take_some(c, (more + 1) * 64); break;
  case 4: c->shut = shutdown(c->fd, SHUT_WR) == 0; break;
  case 5: leave(c, false); break;
  case 6: leave(c, true); break;
  case 7: turn(more % 8 + 1); break;
  case 8:
    wait_for_news(-1);
    turn(2);
    break;
  case 9:
    moved = true;
    move_clock(jumps[more % (sizeof jumps / sizeof *jumps)]);
    break;
  default:
    if ((*reloads)++ < RELOADS_MAX) reload();
    break;
  }
}

/* As little as the shortest deadline lasts; on a machine that let us wait, deadlines ended what they should. */
static bool took_long(void) { return dl_clock_monotonic_now_us(&unmoved) - began_us > 900000; }

/* Who stays is answered all it asked, unless time passed or a connection ended on the way. */
static void see_out(client *c) {
  bool over;
  if (c->fd < 0 || moved) return;
  for (int turns = 0; !c->ended && turns < QUIET_TURNS; turns++) {
    send_some(c, SIZE_MAX);
    if (c->sent == c->out.len && !c->shut) c->shut = shutdown(c->fd, SHUT_WR) == 0;
    turn(1);
    wait_for_news(c->fd);
    take_some(c, SIZE_MAX);
  }
  require(c->ended, "who says that it will send no more is answered, and the connection closed");
  dl_buffer_append_char(&c->in, 0);
  c->in.len--;
  size_t answers = check_answers(c, &over);
  bool closes = over || took_long();
  for (size_t i = 0; i < c->count; i++) closes = closes || c->asked[i]->closes;
  require(closes || answers == c->count || c->sent < c->out.len, "every request is answered");
}

/* What still runs for clients that have left ends by itself, or by its deadline. */
static void settle_all(void) {
  dl_worker *worker = &server->worker;
  for (int turns = 0; worker->connection_count > 0 || worker->exchange_count > 0 || worker->replaced || server->loaded; turns++) {
    require(turns < QUIET_TURNS, "what clients left behind ends");
    turn(1);
    if (turns > 10) wait_for_news(-1);
    if (turns > 15 && turns % 5 == 0) move_clock(STEP_MS);
  }
  require(!worker->queue.line.count && !worker->queue.running, "nobody is left in the queue");
  require(!dl_client_counts_all(&worker->clients), "no connection is left counted");
}

/* A stop that finishes what is in flight, one that is hurried, or none at all before the server is freed. */
static void end_server(unsigned how) {
  if (how < 128) dl_server_begin_stop(server);
  turn(how % 64);
  if (how >= 64 && how < 128) dl_server_begin_stop(server);
  for (size_t i = 0; i < CLIENTS; i++)
    if (how % 2) leave(&clients[i], how % 4 == 1);
  if (how < 128) run_to_the_end();
  require(how >= 128 || !server->worker.connection_count, "a server that has stopped has no connection");
  demilune_server_free(server);
  for (size_t i = 0; i < CLIENTS; i++) leave(&clients[i], false);
  server = server_open(folder, false);
}

/* Two bytes are a step; one that is left over may end the server. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  unsigned reloads = 0, end = size % 2 ? data[size - 1] : 255;
  if (size < 2 || size > INPUT_MAX) return 0;
  moved = false;
  began_us = dl_clock_monotonic_now_us(&unmoved);
  cookie[0] = 0;
  for (size_t at = 0; at + 1 < size; at += 2) {
    client *c = &clients[data[at] % CLIENTS];
    unsigned what = data[at] / CLIENTS, more = data[at + 1];
    if (what >= KINDS) {
      act(c, (what - KINDS) % 11, more, &reloads);
    } else {
      if (c->fd < 0) c->fd = connect_client(server, false);
      ask(c, &kinds[what], more);
    }
  }
  if (end < 192) {
    end_server(end);
    return 0;
  }
  for (size_t i = 0; i < CLIENTS; i++) see_out(&clients[i]);
  for (size_t i = 0; i < CLIENTS; i++) leave(&clients[i], false);
  settle_all();
  return 0;
}
