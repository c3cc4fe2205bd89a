/* SPDX-License-Identifier: MIT */
/*
 * The server's side of a TLS connection against a real OpenSSL client, in memory:
 * handshakes, sessions that are resumed, ends in order and out of it, and bytes
 * that are no TLS.
 */
#include "tls_world.h"

#include "net/tls.h"

#include <openssl/err.h>

enum { PIECE = 4096 };

typedef struct world {
  uv_loop_t uv;
  dl_loop loop;
  dl_tls_hub *hub;
  dl_tls_ticket_keys tickets;
  test_identity authority, identity, client;
  dl_tls_context *context;
  int timed_out, readable;
} world;

typedef struct pair {
  world *w;
  dl_tls *tls;
  SSL_CTX *client_context;
  SSL *client;
  BIO *to_client, *to_server;
  size_t piece; /* how much of what the client sent arrives at once */
  dl_buffer received;
  dl_tls_result result;
  int client_reason; /* why the client's handshake failed */
} pair;

static void on_timed_out(void *owner) { ((pair *)owner)->w->timed_out++; }
static void on_readable(void *owner) { ((pair *)owner)->w->readable++; }

/* second may be NULL, as may both: then it asks nobody. */
static dl_tls_context *make_asking(world *w, X509 *first, X509 *second, bool tickets) {
  dl_tls_material material = {0};
  char message[DL_TLS_MESSAGE_BYTES];
  test_add(&material, &w->identity, "server.pem", "server.key");
  if (first) material.client_ca = test_pem("ca.pem", first, second);
  dl_tls_context *context = dl_tls_context_new(&material, tickets ? &w->tickets : NULL, NULL, message);
  if (!context) fail_msg("%s", message);
  dl_tls_material_free(&material);
  return context;
}

static dl_tls_context *make_context(world *w, bool asks_clients, bool tickets) {
  return make_asking(w, asks_clients ? w->authority.certificate : NULL, NULL, tickets);
}

static int begin(void **state) {
  world *w = dl_calloc(1, sizeof *w);
  uv_loop_init(&w->uv);
  w->loop.uv = &w->uv;
  dl_clock_update(&w->loop.clock);
  w->hub = dl_tls_hub_new(&w->loop, on_timed_out, on_readable);
  dl_tls_ticket_keys_rotate(&w->tickets);
  w->authority = test_identify((test_subject){.common_name = "authority", .authority = true});
  w->identity = test_identify((test_subject){.common_name = "server", .names = "DNS:server"});
  w->client = test_identify((test_subject){.common_name = "worker-7", .names = "email:w7@example.com,URI:spiffe://example/w7,DNS:w7.example.com", .issuer = &w->authority});
  w->context = make_context(w, false, true);
  *state = w;
  return 0;
}

static int end(void **state) {
  world *w = *state;
  dl_tls_context_drop(w->context);
  uv_close((uv_handle_t *)&w->hub->turn, NULL);
  uv_run(&w->uv, UV_RUN_DEFAULT);
  dl_tls_hub_free(w->hub);
  test_forget(&w->authority);
  test_forget(&w->identity);
  test_forget(&w->client);
  int closed = uv_loop_close(&w->uv);
  dl_free(w);
  return closed;
}

static void open_pair(pair *p, world *w, dl_tls_context *context) {
  *p = (pair){.w = w, .piece = PIECE};
  p->tls = dl_tls_new(w->hub, context, p);
  p->client_context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_session_cache_mode(p->client_context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  p->client = SSL_new(p->client_context);
  p->to_client = BIO_new(BIO_s_mem());
  p->to_server = BIO_new(BIO_s_mem());
  BIO_set_mem_eof_return(p->to_client, -1);
  BIO_set_mem_eof_return(p->to_server, -1);
  SSL_set_bio(p->client, p->to_client, p->to_server);
  SSL_set_connect_state(p->client);
}

static void close_pair(pair *p) {
  SSL_set_shutdown(p->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* else its session would not be used again */
  SSL_free(p->client);
  SSL_CTX_free(p->client_context);
  dl_tls_free(p->tls);
  dl_buffer_free(&p->received);
}

static void take_output(pair *p) {
  dl_buffer *output = &p->w->hub->output;
  if (output->len) BIO_write(p->to_client, output->data, (int)output->len);
  dl_buffer_clear(output);
}

/* What the client sent reaches the server, which reads all it can. */
static void deliver(pair *p) {
  char plain[PIECE];
  size_t got;
  int len;
  while ((len = BIO_read(p->to_server, p->w->hub->input, (int)p->piece)) > 0) {
    dl_tls_feed(p->tls, dl_str_from(p->w->hub->input, (size_t)len));
    while ((p->result = dl_tls_read(p->tls, plain, sizeof plain, &got)) == DL_TLS_DATA) dl_buffer_append(&p->received, plain, got);
    dl_tls_keep(p->tls);
  }
  take_output(p);
}

static void send_bytes(pair *p, const void *bytes, size_t len) {
  BIO_write(p->to_server, bytes, (int)len);
  deliver(p);
}

/* True when both sides are done with it. */
static bool shake(pair *p) {
  for (int turn = 0; turn < 10; turn++) {
    ERR_clear_error();
    int result = SSL_do_handshake(p->client);
    int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(p->client, result);
    p->client_reason = ERR_GET_REASON(ERR_peek_last_error());
    deliver(p);
    if (result == 1 && dl_tls_is_established(p->tls)) return true;
    if (result != 1 && error != SSL_ERROR_WANT_READ) return false;
  }
  return false;
}

static const dl_tls_peer *peer_of(pair *p, const dl_tls_context *today) {
  bool disowned;
  const dl_tls_peer *peer = dl_tls_peer_of(p->tls, today, &disowned);
  assert_false(disowned);
  return peer;
}

static int read_client(pair *p, char *out, int size) { return SSL_read(p->client, out, size); }

/* --- talking ---------------------------------------------------------------------------- */

static void talk(world *w, int version, size_t piece) {
  pair p;
  char answer[64];
  open_pair(&p, w, w->context);
  p.piece = piece;
  SSL_set_min_proto_version(p.client, version);
  SSL_set_max_proto_version(p.client, version);
  SSL_set_alpn_protos(p.client, (const unsigned char *)"\2h2\10http/1.1", 12);
  assert_true(shake(&p));
  const unsigned char *protocol;
  unsigned len;
  SSL_get0_alpn_selected(p.client, &protocol, &len);
  assert_int_equal(len, 8);
  assert_memory_equal(protocol, "http/1.1", 8);
  assert_int_equal(w->hub->shaking_count, 0);
  assert_int_equal(SSL_write(p.client, "hello", 5), 5);
  deliver(&p);
  assert_str(dl_buffer_str(&p.received), "hello");
  assert_true(dl_tls_write(p.tls, DL_STR("and back")));
  take_output(&p);
  assert_int_equal(read_client(&p, answer, sizeof answer), 8);
  assert_memory_equal(answer, "and back", 8);
  assert_null(peer_of(&p, w->context));
  close_pair(&p);
}

static void talks_in_both_versions_however_it_arrives(void **state) {
  static const size_t pieces[] = {PIECE, 1, 2, 5, 6, 100};
  for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
    talk(*state, TLS1_3_VERSION, pieces[i]);
    talk(*state, TLS1_2_VERSION, pieces[i]);
  }
}

/* A client that would take anything comes with this version and these ciphers of TLS 1.2. */
static void offer(pair *p, world *w, dl_tls_context *context, int version, const char *ciphers) {
  open_pair(p, w, context);
  SSL_set_security_level(p->client, 0);
  SSL_set_min_proto_version(p->client, version);
  SSL_set_max_proto_version(p->client, version);
  assert_true(SSL_set_cipher_list(p->client, ciphers));
}

static void refuses_old_versions(void **state) {
  static const int versions[] = {TLS1_VERSION, TLS1_1_VERSION};
  pair p;
  for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
    offer(&p, *state, ((world *)*state)->context, versions[i], "ALL:@SECLEVEL=0");
    assert_false(shake(&p));
    assert_int_equal(p.result, DL_TLS_FAILED);
    assert_int_equal(p.client_reason, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
    close_pair(&p);
  }
  ERR_clear_error();
}

/* With a certificate of each kind, so that no cipher lacks its key. The first two are good. */
static void refuses_weak_ciphers(void **state) {
  static const char *const rows[] = {"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256",
                                     "ECDHE-ECDSA-AES256-SHA",      "ECDHE-RSA-AES256-SHA384",       "aNULL",             "DHE-RSA-AES128-GCM-SHA256"};
  world *w = *state;
  test_identity rsa = test_identify((test_subject){.common_name = "server", .names = "DNS:server", .rsa = true});
  dl_tls_material material = {0};
  char message[DL_TLS_MESSAGE_BYTES];
  pair p;
  test_add(&material, &w->identity, "ec.pem", "ec.key");
  test_add(&material, &rsa, "rsa.pem", "rsa.key");
  dl_tls_context *context = dl_tls_context_new(&material, NULL, NULL, message);
  assert_non_null(context);
  dl_tls_material_free(&material);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    offer(&p, w, context, TLS1_2_VERSION, rows[i]);
    if (shake(&p) != (i < 2)) fail_msg("%s is %s", rows[i], i < 2 ? "refused" : "taken");
    if (i >= 2) assert_int_equal(p.client_reason, SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE);
    close_pair(&p);
  }
  ERR_clear_error();
  dl_tls_context_drop(context);
  test_forget(&rsa);
}

static void refuses_a_client_of_other_protocols(void **state) {
  pair p;
  open_pair(&p, *state, ((world *)*state)->context);
  SSL_set_alpn_protos(p.client, (const unsigned char *)"\2h2\3foo", 7);
  assert_false(shake(&p));
  assert_int_equal(p.result, DL_TLS_FAILED);
  assert_int_equal(p.client_reason, SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
  ERR_clear_error();
  close_pair(&p);
}

static void takes_no_renegotiation(void **state) {
  pair p;
  open_pair(&p, *state, ((world *)*state)->context);
  SSL_set_max_proto_version(p.client, TLS1_2_VERSION);
  assert_true(shake(&p));
  SSL_renegotiate(p.client);
  assert_false(shake(&p));
  assert_int_equal(p.client_reason, SSL_R_NO_RENEGOTIATION);
  assert_int_equal(p.w->hub->shaking_count, 0);
  ERR_clear_error();
  close_pair(&p);
}

/* True when the server still talks to a client that asked for new keys so many times. */
static bool stays_after_key_updates(world *w, int count, bool reads) {
  pair p;
  char none[8];
  open_pair(&p, w, w->context);
  assert_true(shake(&p));
  for (int i = 0; i < count && p.result != DL_TLS_FAILED; i++) {
    assert_int_equal(SSL_key_update(p.client, SSL_KEY_UPDATE_REQUESTED), 1);
    SSL_do_handshake(p.client);
    deliver(&p);
    if (reads) read_client(&p, none, sizeof none);
  }
  bool stays = p.result != DL_TLS_FAILED && dl_tls_write(p.tls, DL_STR("still here"));
  take_output(&p);
  ERR_clear_error();
  close_pair(&p);
  return stays;
}

static void answers_only_so_many_key_updates(void **state) {
  assert_true(stays_after_key_updates(*state, 100, true));
  assert_true(stays_after_key_updates(*state, 100, false));
  assert_false(stays_after_key_updates(*state, 2000, true));
  assert_false(stays_after_key_updates(*state, 2000, false));
}

/* --- large and small --------------------------------------------------------------------- */

static void keeps_what_nobody_wants_yet(void **state) {
  world *w = *state;
  pair p;
  char sent[20000], little[100];
  size_t got, total = 0;
  open_pair(&p, w, w->context);
  assert_true(shake(&p));
  memset(sent, 'x', sizeof sent);
  assert_int_equal(SSL_write(p.client, sent, sizeof sent), sizeof sent);
  int len = BIO_read(p.to_server, w->hub->input, DL_TLS_INPUT_BYTES);
  dl_tls_feed(p.tls, dl_str_from(w->hub->input, (size_t)len));
  assert_int_equal(dl_tls_read(p.tls, little, sizeof little, &got), DL_TLS_DATA);
  total += got;
  dl_tls_keep(p.tls);
  memset(w->hub->input, 0xee, DL_TLS_INPUT_BYTES); /* other connections read meanwhile */
  assert_true(dl_tls_has_input(p.tls));
  dl_tls_wait(p.tls);
  dl_tls_wait(p.tls);
  w->readable = 0;
  uv_run(&w->uv, UV_RUN_NOWAIT);
  assert_int_equal(w->readable, 1);
  uv_run(&w->uv, UV_RUN_NOWAIT);
  assert_int_equal(w->readable, 1);
  while (dl_tls_read(p.tls, little, sizeof little, &got) == DL_TLS_DATA) total += got;
  dl_tls_keep(p.tls);
  assert_int_equal(total, sizeof sent);
  assert_false(dl_tls_has_input(p.tls));
  dl_tls_wait(p.tls); /* and is freed while it waits */
  close_pair(&p);
  uv_run(&w->uv, UV_RUN_NOWAIT);
}

/* --- ends -------------------------------------------------------------------------------- */

static void tells_an_end_in_order_from_a_cut(void **state) {
  pair p;
  char nothing[8];
  open_pair(&p, *state, ((world *)*state)->context);
  assert_true(shake(&p));
  SSL_shutdown(p.client);
  deliver(&p);
  assert_int_equal(p.result, DL_TLS_ENDED);
  assert_true(dl_tls_write(p.tls, DL_STR("last"))); /* it may still be answered */
  dl_tls_close_notify(p.tls);
  take_output(&p);
  assert_int_equal(read_client(&p, nothing, sizeof nothing), 4);
  assert_int_equal(read_client(&p, nothing, sizeof nothing), 0);
  assert_int_equal(SSL_get_shutdown(p.client) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
  close_pair(&p);
}

static void fails_on_a_record_that_was_changed(void **state) {
  pair p;
  char record[PIECE];
  open_pair(&p, *state, ((world *)*state)->context);
  assert_true(shake(&p));
  SSL_write(p.client, "hello", 5);
  int len = BIO_read(p.to_server, record, sizeof record);
  record[len - 1] ^= 1;
  send_bytes(&p, record, (size_t)len);
  assert_int_equal(p.result, DL_TLS_FAILED);
  assert_int_equal(p.received.len, 0);
  assert_false(dl_tls_write(p.tls, DL_STR("no more")));
  send_bytes(&p, record, (size_t)len);
  assert_int_equal(p.result, DL_TLS_FAILED);
  close_pair(&p);
}

/* --- what is no TLS --------------------------------------------------------------------------- */

static void knows_plain_http_from_garbage(void **state) {
  static const struct {
    const char *bytes;
    dl_tls_result result;
  } rows[] = {{"GET / HTTP/1.1\r\n\r\n", DL_TLS_PLAIN}, {"P", DL_TLS_PLAIN},          {"\x80\x2e\x01\x03\x01", DL_TLS_FAILED}, {"hello", DL_TLS_FAILED},
              {"\x17\x03\x03\x01", DL_TLS_FAILED},       {"\x16", DL_TLS_MORE},        {"\x16\x03\x01\xff\xff garbage", DL_TLS_FAILED},
              {"\x16\x03\x01\x00\x04\x01\x00\x00\x10", DL_TLS_MORE},                   {"\x16\x03\x01\x00\x04\x0e\x00\x00\x00", DL_TLS_FAILED}};
  static const size_t lengths[] = {18, 1, 5, 5, 4, 1, 13, 9, 9};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    pair p;
    open_pair(&p, *state, ((world *)*state)->context);
    send_bytes(&p, rows[i].bytes, lengths[i]);
    if (p.result != rows[i].result) fail_msg("row %zu gave %d", i, (int)p.result);
    close_pair(&p);
    assert_int_equal(((world *)*state)->hub->shaking_count, 0);
  }
}

static void gives_up_on_clients_that_do_not_go_on(void **state) {
  world *w = *state;
  pair silent, slow;
  uint64_t now = w->loop.clock.monotonic_us;
  open_pair(&silent, w, w->context);
  open_pair(&slow, w, w->context);
  send_bytes(&slow, "\x16\x03", 2);
  w->timed_out = 0;
  dl_tls_hub_sweep(w->hub, now + DL_TLS_HANDSHAKE_US - 1);
  assert_int_equal(w->timed_out, 0);
  dl_tls_hub_sweep(w->hub, now + DL_TLS_HANDSHAKE_US);
  assert_int_equal(w->timed_out, 2);
  close_pair(&silent);
  close_pair(&slow);
}

static void ends_the_oldest_handshake_when_there_are_too_many(void **state) {
  world *w = *state;
  pair *all = dl_calloc(DL_TLS_HANDSHAKES_MAX + 1, sizeof *all);
  w->timed_out = 0;
  for (int i = 0; i <= DL_TLS_HANDSHAKES_MAX; i++) {
    all[i] = (pair){.w = w};
    all[i].tls = dl_tls_new(w->hub, w->context, &all[i]);
    memcpy(w->hub->input, "\x16", 1);
    dl_tls_feed(all[i].tls, dl_str_from(w->hub->input, 1));
    char none;
    size_t got;
    assert_int_equal(dl_tls_read(all[i].tls, &none, 1, &got), DL_TLS_MORE);
    assert_int_equal(w->timed_out, i == DL_TLS_HANDSHAKES_MAX);
  }
  for (int i = 0; i <= DL_TLS_HANDSHAKES_MAX; i++) dl_tls_free(all[i].tls);
  assert_int_equal(w->hub->shaking_count, 0);
  dl_free(all);
}

/* --- sessions ----------------------------------------------------------------------------------- */

/* A session as a client keeps it: with the tickets that came after the handshake. */
static SSL_SESSION *session_of(pair *p) {
  char nothing[8];
  read_client(p, nothing, sizeof nothing);
  SSL_SESSION *session = SSL_get1_session(p->client);
  assert_true(SSL_SESSION_is_resumable(session));
  return session;
}

static bool resumes(world *w, dl_tls_context *context, SSL_SESSION *session, int version) {
  pair p;
  open_pair(&p, w, context);
  SSL_SESSION *copy = SSL_SESSION_dup(session); /* what is refused is not offered again */
  SSL_set_max_proto_version(p.client, version);
  SSL_set_session(p.client, copy);
  SSL_SESSION_free(copy);
  assert_true(shake(&p));
  bool reused = SSL_session_reused(p.client);
  close_pair(&p);
  return reused;
}

static SSL_SESSION *make_session(world *w, dl_tls_context *context, int version) {
  pair p;
  open_pair(&p, w, context);
  SSL_set_max_proto_version(p.client, version);
  assert_true(shake(&p));
  SSL_SESSION *session = session_of(&p);
  close_pair(&p);
  return session;
}

static void resumes_what_another_worker_began(void **state) {
  world *w = *state;
  static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
  dl_tls_context *other = make_context(w, false, true), *without = make_context(w, false, false), *asking = make_context(w, true, true);
  for (size_t i = 0; i < 2; i++) {
    SSL_SESSION *session = make_session(w, w->context, versions[i]);
    assert_true(resumes(w, other, session, versions[i]));
    assert_false(resumes(w, without, session, versions[i]));
    assert_false(resumes(w, asking, session, versions[i])); /* it never said who it is */
    dl_tls_ticket_keys_rotate(&w->tickets);
    assert_true(resumes(w, other, session, versions[i]));
    dl_tls_ticket_keys_rotate(&w->tickets);
    assert_false(resumes(w, other, session, versions[i]));
    SSL_SESSION_free(session);
  }
  dl_tls_context_drop(other);
  dl_tls_context_drop(without);
  dl_tls_context_drop(asking);
}

/* --- client certificates --------------------------------------------------------------------------- */

static bool shake_as(pair *p, world *w, dl_tls_context *context, const test_identity *client) {
  open_pair(p, w, context);
  if (client) {
    SSL_use_certificate(p->client, client->certificate);
    SSL_use_PrivateKey(p->client, client->key);
  }
  return shake(p) && p->result != DL_TLS_FAILED;
}

static void assert_worker_7(const dl_tls_peer *peer) {
  assert_non_null(peer);
  assert_str(peer->subject, "CN=worker-7");
  assert_str(peer->issuer, "CN=authority");
  assert_str(peer->common_name, "worker-7");
  assert_int_equal(peer->name_count, 3);
  assert_str(peer->names[0].text, "w7@example.com");
  assert_int_equal(peer->names[1].kind, DL_TLS_NAME_URI);
  assert_str(peer->names[1].text, "spiffe://example/w7");
  assert_str(peer->names[2].text, "w7.example.com");
  assert_int_equal(strlen(peer->fingerprint), 64);
  assert_true(peer->not_after_s > peer->not_before_s);
}

static void knows_a_client_by_its_certificate(void **state) {
  world *w = *state;
  pair p;
  dl_tls_context *asking = make_context(w, true, true);
  assert_true(shake_as(&p, w, asking, &w->client));
  assert_worker_7(peer_of(&p, asking));
  SSL_SESSION *session = session_of(&p);
  close_pair(&p);
  open_pair(&p, w, asking);
  SSL_set_session(p.client, session);
  assert_true(shake(&p));
  assert_true(SSL_session_reused(p.client));
  assert_worker_7(peer_of(&p, asking)); /* also when the session is resumed */
  close_pair(&p);
  assert_true(shake_as(&p, w, asking, NULL)); /* the guard decides whether that will do */
  assert_null(peer_of(&p, asking));
  close_pair(&p);
  SSL_SESSION_free(session);
  dl_tls_context_drop(asking);
}

/* A reload changes the authorities under a connection that stays. */
static void asks_the_authorities_of_today(void **state) {
  world *w = *state;
  pair p;
  bool disowned;
  test_identity second = test_identify((test_subject){.common_name = "second", .authority = true});
  dl_tls_context *asking = make_context(w, true, true), *both = make_asking(w, second.certificate, w->authority.certificate, true),
                 *other = make_asking(w, second.certificate, NULL, true);
  assert_true(shake_as(&p, w, asking, &w->client));
  SSL_SESSION *session = session_of(&p);
  assert_worker_7(peer_of(&p, both));
  assert_worker_7(peer_of(&p, asking));
  assert_null(dl_tls_peer_of(p.tls, other, &disowned));
  assert_true(disowned);
  assert_null(peer_of(&p, other));
  assert_null(peer_of(&p, asking)); /* there is no way back but to come anew */
  close_pair(&p);
  open_pair(&p, w, asking);
  SSL_set_session(p.client, session);
  assert_true(shake(&p));
  assert_worker_7(peer_of(&p, both)); /* a resumed session knows the certificate too */
  assert_null(dl_tls_peer_of(p.tls, other, &disowned));
  assert_true(disowned);
  close_pair(&p);
  assert_false(resumes(w, other, session, TLS1_3_VERSION));
  assert_int_equal(ERR_peek_error(), 0);
  SSL_SESSION_free(session);
  test_forget(&second);
  dl_tls_context_drop(asking);
  dl_tls_context_drop(both);
  dl_tls_context_drop(other);
}

static void refuses_clients_that_nobody_vouches_for(void **state) {
  world *w = *state;
  pair p;
  dl_tls_context *asking = make_context(w, true, true);
  test_identity self = test_identify((test_subject){.common_name = "worker-7"});
  test_identity expired = test_identify((test_subject){.common_name = "worker-7", .issuer = &w->authority, .days = -1});
  test_identity early = test_identify((test_subject){.common_name = "worker-7", .issuer = &w->authority, .begins = 1});
  test_identity serving = test_identify((test_subject){.common_name = "worker-7", .issuer = &w->authority, .usage = "serverAuth"});
  test_identity below = test_identify((test_subject){.common_name = "worker-9", .issuer = &w->client}); /* which is no authority */
  test_identity *refused[] = {&self, &expired, &early, &serving, &below};
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    assert_false(shake_as(&p, w, asking, refused[i]));
    assert_null(peer_of(&p, asking));
    close_pair(&p);
    test_forget(refused[i]);
  }
  ERR_clear_error();
  dl_tls_context_drop(asking);
}

/* RFC 5280 4.2.1.9, 4.2.1.10: how far an authority may go, and for which names. */
static void keeps_to_an_authoritys_constraints(void **state) {
  world *w = *state;
  pair p;
  test_identity narrow = test_identify((test_subject){.common_name = "narrow", .authority = true, .permits = "permitted;DNS:example.com"});
  test_identity inside = test_identify((test_subject){.common_name = "worker-7", .names = "DNS:w7.example.com", .issuer = &narrow});
  test_identity outside = test_identify((test_subject){.common_name = "worker-7", .names = "DNS:w7.example.net", .issuer = &narrow});
  dl_tls_context *asking = make_asking(w, narrow.certificate, NULL, true);
  assert_true(shake_as(&p, w, asking, &inside));
  assert_non_null(peer_of(&p, asking));
  close_pair(&p);
  assert_false(shake_as(&p, w, asking, &outside));
  assert_null(peer_of(&p, asking));
  close_pair(&p);
  ERR_clear_error();
  test_forget(&narrow);
  test_forget(&inside);
  test_forget(&outside);
  dl_tls_context_drop(asking);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(talks_in_both_versions_however_it_arrives), cmocka_unit_test(refuses_old_versions),
      cmocka_unit_test(refuses_weak_ciphers),                      cmocka_unit_test(refuses_a_client_of_other_protocols),
      cmocka_unit_test(takes_no_renegotiation),                    cmocka_unit_test(answers_only_so_many_key_updates),
      cmocka_unit_test(keeps_what_nobody_wants_yet),               cmocka_unit_test(tells_an_end_in_order_from_a_cut),
      cmocka_unit_test(fails_on_a_record_that_was_changed),        cmocka_unit_test(knows_plain_http_from_garbage),
      cmocka_unit_test(gives_up_on_clients_that_do_not_go_on),     cmocka_unit_test(ends_the_oldest_handshake_when_there_are_too_many),
      cmocka_unit_test(resumes_what_another_worker_began),         cmocka_unit_test(knows_a_client_by_its_certificate),
      cmocka_unit_test(asks_the_authorities_of_today),             cmocka_unit_test(refuses_clients_that_nobody_vouches_for),
      cmocka_unit_test(keeps_to_an_authoritys_constraints),
  };
  return cmocka_run_group_tests_name("tls", tests, begin, end);
}
