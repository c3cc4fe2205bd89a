/* SPDX-License-Identifier: MIT */
/*
 * What the parser takes and what it refuses. Each row is played whole, cut in two
 * at every byte, byte by byte, and in a pipeline with good requests around it; the
 * outcome may not depend on any of that.
 */
#include "unit.h"

#include "http_replay.h"

static const dl_http_limits ordinary = {.max_head_bytes = 16384, .max_target_bytes = 8192, .max_headers = 100};

#define GOOD "GET /good HTTP/1.1\r\nHost: a\r\n\r\n"
#define GOOD_TEXT "GET path=/good query= 1.1 keep [Host=a]\n"
#define HOST "Host: a\r\n"
#define CHUNKED "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"

typedef struct row {
  const char *bytes;
  const char *text; /* what the transcript begins with */
} row;

static void expect_same(dl_str bytes, const dl_http_limits *limits, size_t first, size_t step, dl_str whole) {
  dl_buffer out = {0};
  replay_all(bytes, limits, first, step, &out);
  if (!dl_str_equal(dl_buffer_str(&out), whole))
    fail_msg("cut at %zu by %zu: %.*s instead of %.*s", first, step, DL_STR_ARGS(dl_buffer_str(&out)), DL_STR_ARGS(whole));
  dl_buffer_free(&out);
}

static void expect_cut_anywhere(dl_str bytes, const dl_http_limits *limits, dl_str whole) {
  for (size_t first = 1; first < bytes.len; first++) expect_same(bytes, limits, first, bytes.len, whole);
  for (size_t step = 1; step < 20; step += 6) expect_same(bytes, limits, step, step, whole);
}

static void expect_text(dl_str bytes, const dl_http_limits *limits, const char *text) {
  dl_buffer out = {0};
  replay_all(bytes, limits, bytes.len, 1, &out);
  if (!dl_str_starts(dl_buffer_str(&out), dl_str_of(text)))
    fail_msg("%.*s: got %.*s instead of %s", DL_STR_ARGS(bytes), DL_STR_ARGS(dl_buffer_str(&out)), text);
  expect_cut_anywhere(bytes, limits, dl_buffer_str(&out));
  dl_buffer_free(&out);
}

static void expect_rows(const row *rows, size_t count) {
  for (size_t i = 0; i < count; i++) {
    expect_text(dl_str_of(rows[i].bytes), &ordinary, rows[i].text);
    dl_buffer bytes = {0}, text = {0};
    dl_buffer_printf(&bytes, "%s%s%s", GOOD, rows[i].bytes, GOOD);
    dl_buffer_printf(&text, "%s%s%c", GOOD_TEXT, rows[i].text, '\0');
    expect_text(dl_buffer_str(&bytes), &ordinary, text.data);
    dl_buffer_free(&bytes);
    dl_buffer_free(&text);
  }
}

#define EXPECT_ROWS(...)                                                                                                                             \
  do {                                                                                                                                               \
    static const row rows_[] = {__VA_ARGS__};                                                                                                        \
    expect_rows(rows_, sizeof(rows_) / sizeof(rows_[0]));                                                                                            \
  } while (0)

static void takes_plain_requests(void **state) {
  (void)state;
  EXPECT_ROWS({"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET path=/ query= 1.1 keep [Host=a]\n"},
              {"GET /a/b?c=d&e HTTP/1.1\r\nhOST:\t a:80 \t\r\nX-Empty:\r\nX-Y: \xc3\xa9,\"q\"\r\n\r\n",
               "GET path=/a/b query=c=d&e 1.1 keep [hOST=a:80] [X-Empty=] [X-Y=\xc3\xa9,\"q\"]\n"},
              {"GET / HTTP/1.0\r\n\r\n", "GET path=/ query= 1.0 close\n"},
              {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET path=/ query= 1.0 keep"},
              {"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", "GET path=/ query= 1.1 close"},
              {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", "GET path=/ query= 1.1 close"},
              {"GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n\r\n", "GET path=/ query= 1.1 keep"},
              {"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET path=/ query= 1.1 keep [Host=a]\n"},
              {"DELETE /x HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", "DELETE path=/x query= 1.1 keep [Host=[::1]:8000]\n"},
              {"PATCH /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "PATCH path=/x query= 1.1 keep [Host=a] [Content-Length=0]\n"},
              {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS path=* query= 1.1 keep"},
              {"GET http://A.example:80/p?q HTTP/1.1\r\nHost: a.example:80\r\n\r\n", "GET path=/p query=q 1.1 keep"},
              {"GET HTTPS://a HTTP/1.1\r\nHost: a\r\n\r\n", "GET path=/ query= 1.1 keep"}, {"GET http://a?q=/# HTTP/1.1\r\nHost: a\r\n\r\n", " 400"},
              {"GET http://a?q=/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET path=/ query=q=/ 1.1 keep"});
}

static void takes_bodies(void **state) {
  (void)state;
  EXPECT_ROWS({"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
               "POST path=/ query= 1.1 keep length=5 [Host=a] [Content-Length=5] body=hello\n"},
              {"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", "POST path=/ query= 1.0 close length=2 [Content-Length=2] body=hi\n"},
              {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\nhi", "POST path=/ query= 1.1 keep expect length=2"},
              {"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", "GET path=/ query= 1.1 keep [Host=a]"},
              {CHUNKED "5\r\nhello\r\n0\r\n\r\n", "POST path=/ query= 1.1 keep chunked [Host=a] [Transfer-Encoding=chunked] body=hello\n"},
              {CHUNKED "1\r\na\r\nA\r\n0123456789\r\n0\r\n\r\n",
               "POST path=/ query= 1.1 keep chunked [Host=a] [Transfer-Encoding=chunked] body=a0123456789\n"},
              {CHUNKED "3;name=value; b=\"q;\\\"\"\r\nabc\r\n000\r\n\r\n",
               "POST path=/ query= 1.1 keep chunked [Host=a] [Transfer-Encoding=chunked] body=abc\n"},
              {CHUNKED "0000000000000003\r\nabc\r\n0\r\nX-Trailer: 1\r\nContent-Length: 99\r\nTransfer-Encoding: x\r\n\r\n",
               "POST path=/ query= 1.1 keep chunked [Host=a] [Transfer-Encoding=chunked] body=abc\n"},
              {"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \tChunked \r\n\r\n0\r\n\r\n",
               "PUT path=/ query= 1.1 keep chunked [Host=a] [Transfer-Encoding=Chunked] body=\n"},
              {"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
               "POST path=/ query= 1.1 close chunked [Host=a] [Connection=Upgrade] [Upgrade=websocket] [Transfer-Encoding=chunked] body=x\n"},
              {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n",
               "GET path=/ query= 1.1 keep"},
              {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: , H2C\r\nUpgrade:\r\n\r\n", "GET path=/ query= 1.1 keep"},
              {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nX: a\r\nUpgrade: h2c, h2\r\n\r\n", "GET path=/ query= 1.1 close"});
}

static void refuses_line_ends_that_are_not_crlf(void **state) {
  (void)state;
  EXPECT_ROWS(
      {"GET / HTTP/1.1\r\nHost: a\r\nX-A:\rX-B: 1\r\n\r\n", " 400 there is a CR without LF"},
      {"GET / HTTP/1.1\r\nHost: a\r\n\rX", " 400 there is a CR without LF"},
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\rGET /b HTTP/1.1\r\n\r\n", " 400 there is a CR without LF"},
      {"GET / HTTP/1.1\nHost: a\r\n\r\n", " 400 there is an LF without CR"},
      {"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", " 400 there is an LF without CR"},
      {"GET / HTTP/1.1\r\nHost: a\n\r\n", " 400 there is an LF without CR"}, {"GET / HTTP/1.1\r\nHost: a\r\n\n", " 400 there is an LF without CR"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: 1\n\r\n", " 400 there is an LF without CR"}, {"\rGET / HTTP/1.1\r\n\r\n", " 400 there is a CR without LF"},
      {"\r\n\nGET / HTTP/1.1\r\n\r\n", " 400 there is an LF without CR"}, {"\r\n\r\n\r\n\r\n\r\nGET", " 400 there are too many empty lines"});
}

static void refuses_bad_fields(void **state) {
  (void)state;
  EXPECT_ROWS({"GET / HTTP/1.1\r\nHost : a\r\n\r\n", " 400 a header field has a character"},
              {"POST / HTTP/1.1\r\nHost: a\r\n Content-Length: 5\r\n\r\nhello", " 400 a header line begins with white space"},
              {"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n", " 400 a header line begins with white space"},
              {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", " 400 a header line begins with white space"},
              {"GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n", " 400 a header field has no name"},
              {"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", " 400 "}, {"GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n", " 400 "},
              {"GET / HTTP/1.1\r\nHost: a\r\nX(Y): 1\r\n\r\n", " 400 a header field has a character"},
              {"GET / HTTP/1.1\r\nHost: a\r\nX\xc3\xa9: 1\r\n\r\n", " 400 a header field has a character"},
              {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x01\r\n\r\n", " 400 there is a control character"},
              {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x7f\r\n\r\n", " 400 there is a control"},
              {"GET / HTTP/1.1\r\nHost: a\r\nX\t: a\r\n\r\n", " 400 a header field has a character"}, {"\x16\x03\x01\x02", " 400 "});
}

static void refuses_nul_anywhere(void **state) {
  (void)state;
  static const char request[] = "POST /a HTTP/1.1\r\nHost: a\r\nX: b\r\n\r\n";
  for (size_t at = 0; at < sizeof(request) - 1; at++) {
    dl_buffer bytes = {0};
    dl_buffer_append(&bytes, request, sizeof(request) - 1);
    bytes.data[at] = '\0';
    expect_text(dl_buffer_str(&bytes), &ordinary, " 400 ");
    dl_buffer_free(&bytes);
  }
}

static void refuses_bad_request_lines(void **state) {
  (void)state;
  EXPECT_ROWS({"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the request line has two spaces"},
              {"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the request line must end"}, {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", " 400 "},
              {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", " 400 the request line must end"}, {"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", " 400 "},
              {"GET /\r\n\r\n", " 400 the request line has no version"}, {"GET\r\n\r\n", " 400 the request line has no target"},
              {"GET / HTTP/0.9\r\n\r\n", " 400 "}, {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", " 505 "}, {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", " 505 "},
              {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", " 505 "}, {"GET / HTTP/1\r\nHost: a\r\n\r\n", " 400 "},
              {"GET / HTTP/11\r\nHost: a\r\n\r\n", " 400 "}, {"GET / HTTP/1.10\r\nHost: a\r\n\r\n", " 400 "},
              {"GET / http/1.1\r\nHost: a\r\n\r\n", " 400 "}, {"GET / ICE/1.0\r\n\r\n", " 400 "}, {"SOURCE / ICE/1.0\r\n\r\n", " 400 "},
              {"GET / RTSP/1.0\r\n\r\n", " 400 "}, {"DESCRIBE / RTSP/1.0\r\n\r\n", " 400 "}, {"SOURCE / HTTP/1.1\r\nHost: a\r\n\r\n", " 501 "},
              {"ANNOUNCE / HTTP/1.1\r\nHost: a\r\n\r\n", " 501 "}, {"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", " 501 "},
              {"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", " 501 "}, {"get / HTTP/1.1\r\nHost: a\r\n\r\n", " 501 "},
              {"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", " 501 "}, {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", " 505 "},
              {"PRI * HTTP/1.1\r\n\r\n", " 505 "}, {"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", " 400 "},
              {"M-SEARCH * HTTP/1.1\r\nHost: a\r\n\r\n", " 501 "});
}

static void refuses_bad_targets(void **state) {
  (void)state;
  EXPECT_ROWS({"GET /#f HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the request target has a fragment"},
              {"GET /?a#f HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the request target has a fragment"},
              {"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the request target has a character"},
              {"GET /?\xff HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the request target has a character"},
              {"GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", " 400 "}, {"GET /a\"b HTTP/1.1\r\nHost: a\r\n\r\n", " 400 "},
              {"GET /a<b HTTP/1.1\r\nHost: a\r\n\r\n", " 400 "}, {"GET /?a<b HTTP/1.1\r\nHost: a\r\n\r\n", " 400 "},
              {"GET /{a} HTTP/1.1\r\nHost: a\r\n\r\n", " 400 "}, {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the target \"*\""},
              {"OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n", " 400 "}, {"GET a HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the request target must begin"},
              {"GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", " 400 "}, {"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", " 400 "},
              {"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n", " 400 "}, {"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", " 400 "},
              {"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the Host field and the request target"},
              {"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the host in the request target"},
              {"GET http://a:x/ HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the host in the request target"},
              {"GET http://a HTTP/1.1\r\n\r\n", " 400 the Host field is missing"});
}

static void takes_what_browsers_leave_in_a_query(void **state) {
  (void)state;
  EXPECT_ROWS({"GET /?a[b]={c|d}^`\\&e='f' HTTP/1.1\r\nHost: a\r\n\r\n", "GET path=/ query=a[b]={c|d}^`\\&e='f' 1.1 keep"});
}

static void decodes_paths_once(void **state) {
  (void)state;
  EXPECT_ROWS({"GET /caf%C3%A9%20%2525 HTTP/1.1\r\nHost: a\r\n\r\n", "GET path=/caf\xc3\xa9 %25 query= 1.1"},
              {"GET /a/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET path=/a/ query= 1.1"},
              {"GET /.well-known/..a/...?x=%2e%2e HTTP/1.1\r\nHost: a\r\n\r\n", "GET path=/.well-known/..a/... query=x=%2e%2e 1.1"},
              {"GET /a+b;c=d,e@f:g!$&'()*~ HTTP/1.1\r\nHost: a\r\n\r\n", "GET path=/a+b;c=d,e@f:g!$&'()*~ query= 1.1"},
              {"GET /%7euser HTTP/1.1\r\nHost: a\r\n\r\n", "GET path=/~user query= 1.1"});
}

static void refuses_path_tricks(void **state) {
  (void)state;
  EXPECT_ROWS(
      {"GET // HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path has an empty"}, {"GET //a HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path has an empty"},
      {"GET /a//b HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path has an empty"}, {"GET /a// HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path has an empty"},
      {"GET /. HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path has a \".\""}, {"GET /a/./b HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path has a \".\""},
      {"GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path has a \".\""},
      {"GET /a/.. HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path has a \".\""},
      {"GET /%2e%2E/b HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path has a \".\""},
      {"GET /.%2e HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path has a \".\""},
      {"GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path has an escaped slash"},
      {"GET /a%2Fb HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path has an escaped slash"},
      {"GET /a%5cb HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path has a backslash"},
      {"GET /a%00 HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path has a NUL"},
      {"GET /a%0d%0a HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path has an escaped control"},
      {"GET /a%7f HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path has an escaped control"},
      {"GET /%ff HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path is not UTF-8"},
      {"GET /%c0%af HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path is not UTF-8"}, {"GET /% HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path has a \"%\""},
      {"GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path has a \"%\""}, {"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path has a \"%\""},
      {"GET /%u0041 HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path has a \"%\""},
      {"GET http://a//b HTTP/1.1\r\nHost: a\r\n\r\n", " 400 the path has an empty"});
}

static void refuses_bad_hosts(void **state) {
  (void)state;
  EXPECT_ROWS(
      {"GET / HTTP/1.1\r\n\r\n", " 400 the Host field is missing"},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", " 400 the Host field is there twice"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhost: b\r\n\r\n", " 400 the Host field is there twice"},
      {"GET / HTTP/1.1\r\nHost:\r\n\r\n", " 400 the Host field is not"}, {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", " 400 the Host field is not"},
      {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", " 400 the Host field is not"}, {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", " 400 the Host field is not"},
      {"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", " 400 the Host field is not"},
      {"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", " 400 the Host field is not"},
      {"GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", " 400 the Host field is not"}, {"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", " 400 the Host field is not"},
      {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", " 400 the Host field is not"}, {"GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n", " 400 the Host field is not"},
      {"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", " 400 the Host field is not"}, {"GET / HTTP/1.1\r\nHost: []\r\n\r\n", " 400 the Host field is not"},
      {"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", " 400 the Host field is not"},
      {"GET / HTTP/1.1\r\nHost: [1111:2222:3333:4444:5555:6666:7777:8888:9999:1111:2222:3333]\r\n\r\n", " 400 the Host field is not"},
      {"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\nAuthorization: Bearer y\r\n\r\n", " 400 the Authorization field is there twice"},
      {"GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", " 417 "});
}

static void refuses_ambiguous_framing(void **state) {
  (void)state;
#define POST(fields) "POST / HTTP/1.1\r\nHost: a\r\n" fields "\r\n5\r\nhello\r\n0\r\n\r\n"
  EXPECT_ROWS({POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), " 400 "},
              {POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), " 400 "}, {POST("Content-Length: 5\r\nContent-Length: 5\r\n"), " 400 "},
              {POST("Content-Length: 5\r\nContent-Length: 6\r\n"), " 400 "}, {POST("Content-Length: 5, 5\r\n"), " 400 "},
              {POST("Content-Length: +5\r\n"), " 400 "}, {POST("Content-Length: -5\r\n"), " 400 "}, {POST("Content-Length: 0x5\r\n"), " 400 "},
              {POST("Content-Length: 5 5\r\n"), " 400 "}, {POST("Content-Length: five\r\n"), " 400 "}, {POST("Content-Length:\r\n"), " 400 "},
              {POST("Content-Length: 99999999999999999999\r\n"), " 400 "}, {POST("Content-Length: 18446744073709551616\r\n"), " 400 "},
              {POST("Transfer-Encoding:\r\nContent-Length: 5\r\n"), " 400 "}, {POST("Content-Length: 5\r\nTransfer-Encoding:\r\n"), " 400 "},
              {POST("Transfer-Encoding:\r\n"), " 400 "}, {POST("Transfer-Encoding: identity\r\n"), " 400 "},
              {POST("Transfer-Encoding: gzip\r\n"), " 400 "}, {POST("Transfer-Encoding: gzip, chunked\r\n"), " 501 "},
              {POST("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"), " 501 "}, {POST("Transfer-Encoding: chunked, gzip\r\n"), " 400 "},
              {POST("Transfer-Encoding: chunked, chunked\r\n"), " 400 "},
              {POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), " 400 "}, {POST("Transfer-Encoding: chunked,\r\n"), " 400 "},
              {POST("Transfer-Encoding: ,chunked\r\n"), " 400 "}, {POST("Transfer-Encoding: xchunked\r\n"), " 400 "},
              {POST("Transfer-Encoding: chunkedx\r\n"), " 400 "}, {POST("Transfer-Encoding: chunked;q=1\r\n"), " 400 "},
              {POST("Transfer-Encoding: \"chunked\"\r\n"), " 400 "}, {POST("Transfer-Encoding: chunked x\r\n"), " 400 "},
              {POST("Transfer-Encoding: chunked\t\r\n"), " 400 "},
              {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", " 400 an HTTP/1.0 request"},
              {"POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", " 400 "});
#undef POST
}

static void refuses_bad_chunks(void **state) {
  (void)state;
#define HEAD "POST path=/ query= 1.1 keep chunked [Host=a] [Transfer-Encoding=chunked] body="
  EXPECT_ROWS(
      {CHUNKED "1\r\nxZZ0\r\n\r\n", HEAD "x 400 chunk data is not followed by CRLF"},
      {CHUNKED "1\r\nx\r0\r\n\r\n", HEAD "x 400 chunk data is not followed"}, {CHUNKED "1\r\nx\n0\r\n\r\n", HEAD "x 400 chunk data is not followed"},
      {CHUNKED "1\nx\r\n0\r\n\r\n", HEAD " 400 "}, {CHUNKED "g\r\n", HEAD " 400 "}, {CHUNKED "-1\r\n", HEAD " 400 "},
      {CHUNKED "+1\r\n", HEAD " 400 "}, {CHUNKED " 1\r\n", HEAD " 400 "}, {CHUNKED "1 \r\nx", HEAD " 400 "}, {CHUNKED "0x1\r\n", HEAD " 400 "},
      {CHUNKED "\r\n", HEAD " 400 "}, {CHUNKED ";a\r\n", HEAD " 400 "}, {CHUNKED "1\r\rx", HEAD " 400 "},
      {CHUNKED "1;a\nx\r\n0\r\n\r\n", HEAD " 400 "}, {CHUNKED "00000000000000001\r\nx\r\n", HEAD " 400 a chunk size has more than 16"},
      {CHUNKED "10000000000000000\r\nx\r\n", HEAD " 400 a chunk size has more than 16"}, {CHUNKED "0\r\n X: 1\r\n\r\n", HEAD " 400 a trailer line"},
      {CHUNKED "0\r\nX: 1\r\n Y: 1\r\n\r\n", HEAD " 400 a trailer line"}, {CHUNKED "0\r\n: 1\r\n\r\n", HEAD " 400 a trailer line"},
      {CHUNKED "0\r\nX\r\n\r\n", HEAD " 400 "}, {CHUNKED "0\r\nX: 1\n\r\n", HEAD " 400 "}, {CHUNKED "0\r\nX: 1\r\n\rX", HEAD " 400 "},
      {CHUNKED "0\r\n\rX", HEAD " 400 "}, {CHUNKED "0\r\nX : 1\r\n\r\n", HEAD " 400 "}, {CHUNKED "0\r\nX: \x01\r\n\r\n", HEAD " 400 "});
#undef HEAD
}

/* head, then `count` times `unit`, then tail: what comes out. */
static void expect_long(const char *head, const char *unit, size_t count, const char *tail, const dl_http_limits *limits, const char *text) {
  dl_buffer bytes = {0}, out = {0};
  dl_buffer_append_str(&bytes, dl_str_of(head));
  for (size_t i = 0; i < count; i++) dl_buffer_append_str(&bytes, dl_str_of(unit));
  dl_buffer_append_str(&bytes, dl_str_of(tail));
  replay_all(dl_buffer_str(&bytes), limits, bytes.len, 1, &out);
  if (!memmem(out.data, out.len, text, strlen(text))) fail_msg("%zu x %s: %.*s instead of %s", count, unit, DL_STR_ARGS(dl_buffer_str(&out)), text);
  for (size_t step = 1; step < bytes.len; step = step * 3 + 1) expect_same(dl_buffer_str(&bytes), limits, step, step, dl_buffer_str(&out));
  dl_buffer_free(&bytes);
  dl_buffer_free(&out);
}

static void limits_extensions_and_trailers(void **state) {
  (void)state;
  expect_long(CHUNKED "1;", "a", 255, "\r\nx\r\n0\r\n\r\n", &ordinary, "body=x\n");
  expect_long(CHUNKED "1;", "a", 256, "\r\nx\r\n0\r\n\r\n", &ordinary, "400 a chunk extension is longer");
  expect_long(CHUNKED "0\r\n", "X-Trailer: 123\r\n", 511, "\r\n", &ordinary, "body=\n");
  expect_long(CHUNKED "0\r\n", "X-Trailer: 123\r\n", 600, "\r\n", &ordinary, "431 the trailer section");
}

static void limits_the_target_with_414(void **state) {
  (void)state;
  expect_long("GET /", "a", 8191, " HTTP/1.1\r\nHost: a\r\n\r\n", &ordinary, "1.1 keep [Host=a]\n");
  expect_long("GET /", "a", 8192, " HTTP/1.1\r\nHost: a\r\n\r\n", &ordinary, " 414 ");
  expect_long("GET /", "a", 20000, " HTTP/1.1\r\nHost: a\r\n\r\n", &ordinary, " 414 ");
  expect_long("", "a", 20000, " / HTTP/1.1\r\nHost: a\r\n\r\n", &ordinary, " 400 the request line has no target");
}

static void limits_the_head_with_431(void **state) {
  (void)state;
  expect_long("GET / HTTP/1.1\r\nHost: a\r\nX: ", "a", 16000, "\r\n\r\n", &ordinary, "1.1 keep");
  expect_long("GET / HTTP/1.1\r\nHost: a\r\nX: ", "a", 17000, "\r\n\r\n", &ordinary, " 431 the request line and header fields");
  expect_long("GET / HTTP/1.1\r\nHost: a\r\n", "X: a\r\n", 99, "\r\n", &ordinary, "1.1 keep");
  expect_long("GET / HTTP/1.1\r\nHost: a\r\n", "X: a\r\n", 100, "\r\n", &ordinary, " 431 there are too many header fields");
  static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  dl_http_limits exact = {.max_head_bytes = sizeof(request) - 1, .max_target_bytes = 10, .max_headers = 10};
  expect_text(dl_str_of(request), &exact, "GET path=/ query= 1.1 keep");
  for (exact.max_head_bytes--; exact.max_head_bytes >= 16; exact.max_head_bytes--) expect_text(dl_str_of(request), &exact, " 431 ");
}

static void stays_refused_after_a_refusal(void **state) {
  (void)state;
  dl_http_parser *parser = dl_http_parser_new(&ordinary);
  dl_arena arena;
  dl_arena_init(&arena, 0);
  dl_http_request request;
  size_t consumed;
  dl_str data;
  assert_int_equal(dl_http_parser_head(parser, DL_STR("GET / HTTP/2.0\r\n"), &arena, &request, &consumed), DL_HTTP_ERROR);
  assert_int_equal(dl_http_parser_head(parser, DL_STR(GOOD), &arena, &request, &consumed), DL_HTTP_ERROR);
  assert_int_equal(dl_http_parser_body(parser, DL_STR(GOOD), &data, &consumed), DL_HTTP_ERROR);
  assert_int_equal(dl_http_parser_status(parser), 505);
  dl_http_parser_free(parser);
  dl_arena_free(&arena);
}

static void knows_its_headers(void **state) {
  (void)state;
  static const char *const names[] = {
#define NAME(constant, name) name,
      DL_HEADERS(NAME)
#undef NAME
  };
  for (int i = 0; i < DL_HEADER_OTHER; i++) {
    dl_buffer bytes = {0};
    dl_http_parser *parser = dl_http_parser_new(&ordinary);
    dl_arena arena;
    dl_arena_init(&arena, 0);
    dl_http_request request;
    size_t consumed;
    bool host = i == DL_HEADER_HOST;
    const char *value = i == DL_HEADER_CONTENT_LENGTH      ? "7"
                        : i == DL_HEADER_TRANSFER_ENCODING ? "chunked"
                        : i == DL_HEADER_EXPECT            ? "100-continue"
                                                           : "v";
    dl_buffer_printf(&bytes, "GET / HTTP/1.1\r\n%s%c%s: %s\r\n\r\n", host ? "" : "Host: a\r\n", names[i][0] & ~0x20, names[i] + 1, value);
    assert_int_equal(dl_http_parser_head(parser, dl_buffer_str(&bytes), &arena, &request, &consumed), DL_HTTP_DONE);
    assert_int_equal(request.known[i], host ? 0 : 1);
    assert_str(dl_http_request_header(&request, (dl_header_id)i), value);
    assert_str(dl_http_request_find(&request, dl_str_of(names[i]), &arena), value);
    dl_http_parser_free(parser);
    dl_arena_free(&arena);
    dl_buffer_free(&bytes);
  }
}

static void joins_repeated_fields(void **state) {
  (void)state;
  dl_http_parser *parser = dl_http_parser_new(&ordinary);
  dl_arena arena;
  dl_arena_init(&arena, 0);
  dl_http_request request;
  size_t consumed;
  dl_str bytes = DL_STR("GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1\r\nX-Y:\r\nAccept: b\r\ncookie: b=2\r\nx-y: 2\r\nX-y: 3\r\n\r\n");
  assert_int_equal(dl_http_parser_head(parser, bytes, &arena, &request, &consumed), DL_HTTP_DONE);
  assert_int_equal(consumed, bytes.len);
  assert_str(dl_http_request_find(&request, DL_STR("COOKIE"), &arena), "a=1; b=2");
  assert_str(dl_http_request_find(&request, DL_STR("X-Y"), &arena), ", 2, 3");
  assert_str(dl_http_request_find(&request, DL_STR("accept"), &arena), "b");
  assert_null(dl_http_request_find(&request, DL_STR("origin"), &arena).ptr);
  assert_null(dl_http_request_find(&request, DL_STR("x-z"), &arena).ptr);
  assert_null(dl_http_request_find(&request, DL_STR(""), &arena).ptr);
  dl_http_parser_free(parser);
  dl_arena_free(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_plain_requests),
      cmocka_unit_test(takes_bodies),
      cmocka_unit_test(refuses_line_ends_that_are_not_crlf),
      cmocka_unit_test(refuses_bad_fields),
      cmocka_unit_test(refuses_nul_anywhere),
      cmocka_unit_test(refuses_bad_request_lines),
      cmocka_unit_test(refuses_bad_targets),
      cmocka_unit_test(takes_what_browsers_leave_in_a_query),
      cmocka_unit_test(decodes_paths_once),
      cmocka_unit_test(refuses_path_tricks),
      cmocka_unit_test(refuses_bad_hosts),
      cmocka_unit_test(refuses_ambiguous_framing),
      cmocka_unit_test(refuses_bad_chunks),
      cmocka_unit_test(limits_extensions_and_trailers),
      cmocka_unit_test(limits_the_target_with_414),
      cmocka_unit_test(limits_the_head_with_431),
      cmocka_unit_test(stays_refused_after_a_refusal),
      cmocka_unit_test(knows_its_headers),
      cmocka_unit_test(joins_repeated_fields),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
