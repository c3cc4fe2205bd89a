/* SPDX-License-Identifier: MIT */
#include "net/tls.h"

#include "base/memory.h"
#include "net/tls_internal.h"

#include <openssl/bio.h>
#include <openssl/err.h>

struct dl_tls {
  dl_tls_hub *hub;
  dl_tls_context *context; /* held */
  void *owner;
  SSL *ssl;     /* NULL until the first byte */
  dl_str input; /* ciphertext not yet taken: in the hub's buffer, or in kept */
  char *kept;
  dl_deadline deadline; /* of the handshake */
  dl_tls *previous_waiting, *next_waiting;
  dl_tls_peer *peer;
  unsigned char authorities[32]; /* those that last vouched for the peer */
  size_t answered_bytes; /* since the handshake, to what held no plaintext */
  bool shaking, established, failed, waits;
};

/* --- OpenSSL's way to the bytes ----------------------------------------------------- */

static int bio_read(BIO *bio, char *out, int size) {
  dl_tls *tls = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (tls->input.len == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  size_t len = tls->input.len < (size_t)size ? tls->input.len : (size_t)size;
  memcpy(out, tls->input.ptr, len);
  tls->input = dl_str_skip(tls->input, len);
  return (int)len;
}

static int bio_write(BIO *bio, const char *bytes, int len) {
  dl_tls *tls = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  dl_buffer_append(&tls->hub->output, bytes, (size_t)len);
  return len;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
  (void)bio;
  (void)number;
  (void)pointer;
  return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *make_method(void) {
  BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "demilune");
  if (!method) dl_memory_exhausted(sizeof(void *));
  BIO_meth_set_read(method, bio_read);
  BIO_meth_set_write(method, bio_write);
  BIO_meth_set_ctrl(method, bio_control);
  return method;
}

/* --- the hub -------------------------------------------------------------------------- */

static void on_deadline(dl_deadline *deadline) {
  dl_tls *tls = (dl_tls *)(void *)((char *)deadline - offsetof(dl_tls, deadline));
  tls->hub->failures++;
  tls->hub->timed_out(tls->owner);
}

static void stop_waiting(dl_tls *tls) {
  if (!tls->waits) return;
  tls->waits = false;
  if (tls->previous_waiting) tls->previous_waiting->next_waiting = tls->next_waiting;
  else tls->hub->waiting = tls->next_waiting;
  if (tls->next_waiting) tls->next_waiting->previous_waiting = tls->previous_waiting;
  else tls->hub->first_waiting = tls->previous_waiting;
  if (!tls->hub->waiting) uv_idle_stop(&tls->hub->turn);
}

/* Only those that waited when the turn began: who waits again gets the next one. */
static void on_turn(uv_idle_t *idle) {
  dl_tls_hub *hub = idle->data;
  uint32_t count = 0;
  for (const dl_tls *tls = hub->waiting; tls; tls = tls->next_waiting) count++;
  while (count-- && hub->waiting) {
    dl_tls *first = hub->first_waiting;
    stop_waiting(first);
    hub->readable(first->owner);
  }
}

dl_tls_hub *dl_tls_hub_new(dl_loop *loop, void (*timed_out)(void *owner), void (*readable)(void *owner)) {
  dl_tls_hub *hub = dl_calloc(1, sizeof *hub);
  hub->loop = loop;
  hub->input = dl_malloc(DL_TLS_INPUT_BYTES);
  hub->gather = dl_malloc(DL_TLS_RECORD_BYTES);
  hub->method = make_method();
  hub->timed_out = timed_out;
  hub->readable = readable;
  dl_deadlines_init(&hub->silent, on_deadline);
  dl_deadlines_init(&hub->shaking, on_deadline);
  uv_idle_init(loop->uv, &hub->turn);
  hub->turn.data = hub;
  return hub;
}

void dl_tls_hub_sweep(dl_tls_hub *hub, uint64_t now_us) {
  dl_deadlines_sweep(&hub->silent, now_us);
  dl_deadlines_sweep(&hub->shaking, now_us);
}

void dl_tls_hub_free(dl_tls_hub *hub) {
  if (!hub) return;
  dl_free(hub->input);
  dl_free(hub->gather);
  dl_buffer_free(&hub->output);
  BIO_meth_free(hub->method);
  dl_free(hub);
}

/* --- connections ------------------------------------------------------------------------ */

dl_tls *dl_tls_new(dl_tls_hub *hub, dl_tls_context *context, void *owner) {
  dl_tls *tls = dl_calloc(1, sizeof *tls);
  tls->hub = hub;
  tls->context = dl_tls_context_hold(context);
  tls->owner = owner;
  dl_deadline_set(&hub->silent, &tls->deadline, hub->loop->clock.monotonic_us + DL_TLS_HANDSHAKE_US);
  return tls;
}

static void stop_shaking(dl_tls *tls) {
  dl_deadline_clear(&tls->deadline);
  if (tls->shaking) tls->hub->shaking_count--;
  tls->shaking = false;
}

void dl_tls_free(dl_tls *tls) {
  if (!tls) return;
  stop_waiting(tls);
  stop_shaking(tls);
  SSL_free(tls->ssl);
  dl_tls_context_drop(tls->context);
  dl_tls_peer_free(tls->peer);
  dl_free(tls->kept);
  dl_free(tls);
}

/* A flood of clients that begin and do not go on costs its own oldest, hardly ever a
 * client that means it: that one is done in a few round trips. */
static void begin_shaking(dl_tls *tls) {
  dl_tls_hub *hub = tls->hub;
  if (hub->shaking_count >= DL_TLS_HANDSHAKES_MAX) {
    dl_deadline *oldest = hub->shaking.head.next;
    dl_deadline_clear(oldest);
    on_deadline(oldest);
  }
  tls->shaking = true;
  hub->shaking_count++;
  dl_deadline_set(&hub->shaking, &tls->deadline, hub->loop->clock.monotonic_us + DL_TLS_HANDSHAKE_US);
}

static dl_tls_result begin(dl_tls *tls) {
  tls->ssl = SSL_new(tls->context->choices[0].ssl);
  BIO *bio = BIO_new(tls->hub->method);
  if (!tls->ssl || !bio) dl_memory_exhausted(sizeof(void *));
  BIO_set_data(bio, tls);
  BIO_set_init(bio, 1);
  SSL_set_bio(tls->ssl, bio, bio);
  SSL_set_accept_state(tls->ssl);
  begin_shaking(tls);
  return DL_TLS_DATA;
}

/* --- reading ----------------------------------------------------------------------------- */

void dl_tls_feed(dl_tls *tls, dl_str ciphertext) { tls->input = ciphertext; }

static dl_tls_result fail(dl_tls *tls) {
  if (!tls->failed) tls->hub->failures++;
  tls->failed = true;
  tls->input.len = 0;
  stop_shaking(tls);
  ERR_clear_error();
  return DL_TLS_FAILED;
}

static dl_tls_result error_of(dl_tls *tls, int result) {
  switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ: return DL_TLS_MORE;
    case SSL_ERROR_ZERO_RETURN: return DL_TLS_ENDED;
    default: return fail(tls);
  }
}

/* A record of a handshake begins with 22 (RFC 8446 5.1); a method with a capital. */
static dl_tls_result look_at_first(dl_tls *tls) {
  unsigned char first = (unsigned char)tls->input.ptr[0];
  if (first == SSL3_RT_HANDSHAKE) return begin(tls);
  if (first < 'A' || first > 'Z') return fail(tls);
  tls->hub->failures++;
  tls->failed = true;
  tls->input.len = 0;
  return DL_TLS_PLAIN; /* the deadline runs on: there is an answer to be read */
}

static void note_peer(dl_tls *tls) {
  if (!tls->context->asks_clients || SSL_get_verify_result(tls->ssl) != X509_V_OK) return;
  X509 *certificate = SSL_get1_peer_certificate(tls->ssl);
  if (certificate) tls->peer = dl_tls_peer_new(certificate);
  memcpy(tls->authorities, tls->context->authorities, sizeof tls->authorities);
  X509_free(certificate);
}

static dl_tls_result shake(dl_tls *tls) {
  int result = SSL_do_handshake(tls->ssl);
  if (result != 1) return error_of(tls, result);
  stop_shaking(tls);
  tls->established = true;
  tls->hub->handshakes++;
  if (SSL_session_reused(tls->ssl)) tls->hub->resumptions++;
  note_peer(tls);
  return DL_TLS_DATA;
}

/* Key updates (RFC 8446 4.6.3) and renegotiations are owed an answer each. Who goes on
 * asking takes work that no limit of requests counts, and memory if he does not read. */
static dl_tls_result read_plaintext(dl_tls *tls, char *out, size_t size, size_t *got) {
  size_t before = tls->hub->output.len;
  int read = SSL_read_ex(tls->ssl, out, size, got);
  tls->answered_bytes += tls->hub->output.len - before;
  if (tls->answered_bytes > DL_TLS_ANSWERS_BYTES) return fail(tls);
  return read ? DL_TLS_DATA : error_of(tls, read);
}

dl_tls_result dl_tls_read(dl_tls *tls, char *out, size_t size, size_t *got) {
  *got = 0;
  if (tls->failed) return DL_TLS_FAILED;
  if (!tls->ssl) {
    if (tls->input.len == 0) return DL_TLS_MORE;
    dl_tls_result first = look_at_first(tls);
    if (first != DL_TLS_DATA) return first;
  }
  ERR_clear_error();
  if (!tls->established) {
    dl_tls_result result = shake(tls);
    if (result != DL_TLS_DATA) return result == DL_TLS_ENDED ? fail(tls) : result;
  }
  return read_plaintext(tls, out, size, got);
}

void dl_tls_keep(dl_tls *tls) {
  char *kept = NULL;
  if (tls->input.len) {
    kept = dl_malloc(tls->input.len);
    memcpy(kept, tls->input.ptr, tls->input.len);
  }
  dl_free(tls->kept);
  tls->kept = kept;
  tls->input.ptr = kept;
}

bool dl_tls_has_input(const dl_tls *tls) { return tls->input.len > 0 || (tls->ssl && SSL_pending(tls->ssl) > 0); }

void dl_tls_wait(dl_tls *tls) {
  dl_tls_hub *hub = tls->hub;
  if (tls->waits) return;
  if (!hub->waiting) uv_idle_start(&hub->turn, on_turn);
  tls->waits = true;
  tls->previous_waiting = NULL;
  tls->next_waiting = hub->waiting;
  if (hub->waiting) hub->waiting->previous_waiting = tls;
  else hub->first_waiting = tls;
  hub->waiting = tls;
}

/* --- writing ------------------------------------------------------------------------------ */

bool dl_tls_write(dl_tls *tls, dl_str plaintext) {
  size_t written;
  if (!tls->established || tls->failed) return false;
  ERR_clear_error();
  if (SSL_write_ex(tls->ssl, plaintext.ptr, plaintext.len, &written)) return true;
  fail(tls);
  return false;
}

void dl_tls_close_notify(dl_tls *tls) {
  if (!tls->established || tls->failed) return;
  ERR_clear_error();
  SSL_shutdown(tls->ssl);
  ERR_clear_error();
}

bool dl_tls_is_established(const dl_tls *tls) { return tls->established; }

const dl_tls_peer *dl_tls_peer_of(dl_tls *tls, const dl_tls_context *today, bool *disowned) {
  *disowned = false;
  if (!tls->peer || memcmp(tls->authorities, today->authorities, sizeof tls->authorities) == 0) return tls->peer;
  memcpy(tls->authorities, today->authorities, sizeof tls->authorities);
  if (dl_tls_policy_vouches(today, tls->ssl)) return tls->peer;
  dl_tls_peer_free(tls->peer);
  tls->peer = NULL;
  *disowned = true;
  return NULL;
}
