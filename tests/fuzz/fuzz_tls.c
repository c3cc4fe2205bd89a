/* SPDX-License-Identifier: MIT */
/*
 * What strangers send to the TLS port: the input is the client's bytes, in one or in
 * many pieces, before and in the handshake; or, with the first byte odd, what follows
 * a handshake that a real client has made, under its keys. Nothing may crash, leak or
 * be served that was not sent under TLS, and no handshake may stay counted.
 */
#include "base/buffer.h"
#include "base/memory.h"
#include "net/tls.h"
#include "net/tls_internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

enum { PLAIN_BYTES = 4096 };

static uv_loop_t uv;
static dl_loop loop = {.uv = &uv};
static dl_tls_hub *hub;
static dl_tls_ticket_keys tickets;
static dl_tls_context *context;
static SSL_CTX *client_context;

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_event(void *owner) { (void)owner; }

static dl_tls_file take(const char *name, BIO *bio) {
  char *bytes;
  long len = BIO_get_mem_data(bio, &bytes);
  dl_tls_file file = {dl_strdup(name), dl_malloc((size_t)len), (size_t)len};
  memcpy(file.bytes, bytes, file.len);
  BIO_free(bio);
  return file;
}

static void make_context(void) {
  dl_tls_material material = {.pair_count = 1};
  char message[DL_TLS_MESSAGE_BYTES];
  EVP_PKEY *key = EVP_EC_gen("P-256");
  X509 *certificate = X509_new();
  BIO *certificate_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem()), *authority_bio = BIO_new(BIO_s_mem());
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC, (const unsigned char *)"fuzz", -1, -1, 0);
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  X509_set_pubkey(certificate, key);
  X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:fuzz.example,DNS:*.wild.example,DNS:a.wild.example");
  X509_add_ext(certificate, names, -1);
  X509_EXTENSION_free(names);
  X509_sign(certificate, key, EVP_sha256());
  PEM_write_bio_X509(certificate_bio, certificate);
  PEM_write_bio_X509(authority_bio, certificate);
  PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL);
  material.certificates[0] = take("fuzz.pem", certificate_bio);
  material.keys[0] = take("fuzz.key", key_bio);
  material.client_ca = take("ca.pem", authority_bio);
  context = dl_tls_context_new(&material, &tickets, NULL, message);
  if (!context) abort();
  dl_tls_material_free(&material);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

int LLVMFuzzerInitialize(int *count, char ***arguments) {
  (void)count;
  (void)arguments;
  uv_loop_init(&uv);
  dl_clock_update(&loop.clock);
  hub = dl_tls_hub_new(&loop, on_event, on_event);
  dl_tls_ticket_keys_rotate(&tickets);
  make_context();
  client_context = SSL_CTX_new(TLS_client_method());
  return client_context ? 0 : -1;
}

/* Feeds it in pieces; gives how many plaintext bytes came of it. */
static size_t feed(dl_tls *tls, const uint8_t *data, size_t size, size_t piece) {
  char plain[PLAIN_BYTES];
  size_t got, total = 0;
  while (size) {
    size_t len = size < piece ? size : piece;
    memcpy(hub->input, data, len);
    dl_tls_feed(tls, dl_str_from(hub->input, len));
    while (dl_tls_read(tls, plain, sizeof plain, &got) == DL_TLS_DATA) total += got;
    dl_tls_keep(tls);
    data += len;
    size -= len;
  }
  return total;
}

static void deliver(dl_tls *tls, BIO *to_server, BIO *to_client) {
  char bytes[PLAIN_BYTES];
  int len;
  while ((len = BIO_read(to_server, bytes, sizeof bytes)) > 0) feed(tls, (const uint8_t *)bytes, (size_t)len, sizeof bytes);
  if (hub->output.len) BIO_write(to_client, hub->output.data, (int)hub->output.len);
  dl_buffer_clear(&hub->output);
}

/* The name that the client asks for: the input up to its first line feed. */
static void ask_for_name(SSL *client, const uint8_t *data, size_t size) {
  char name[256];
  const uint8_t *end = memchr(data, '\n', size);
  size_t length = end ? (size_t)(end - data) : size;
  if (length >= sizeof name) return;
  memcpy(name, data, length);
  name[length] = 0;
  SSL_set_tlsext_host_name(client, name);
}

/* A real client up to the end of its handshake, to which it comes whatever name it asks
 * for; then the input: as plaintext under its keys, and then as it is. */
static void play_after_handshake(dl_tls *tls, const uint8_t *data, size_t size, size_t piece) {
  SSL *client = SSL_new(client_context);
  BIO *to_client = BIO_new(BIO_s_mem()), *to_server = BIO_new(BIO_s_mem());
  SSL_set_bio(client, to_client, to_server);
  SSL_set_connect_state(client);
  ask_for_name(client, data, size);
  for (int turn = 0; turn < 6 && !dl_tls_is_established(tls); turn++) {
    SSL_do_handshake(client);
    deliver(tls, to_server, to_client);
  }
  if (!dl_tls_is_established(tls)) abort();
  if (size) SSL_write(client, data, (int)size);
  deliver(tls, to_server, to_client);
  feed(tls, data, size, piece);
  dl_tls_write(tls, DL_STR("answer"));
  dl_tls_close_notify(tls);
  SSL_free(client);
  ERR_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2 || size > DL_TLS_INPUT_BYTES) return 0;
  dl_tls *tls = dl_tls_new(hub, context, &uv);
  size_t piece = data[0] < 128 ? DL_TLS_INPUT_BYTES : (size_t)(data[0] & 0x3f) + 1;
  if (data[0] & 1) play_after_handshake(tls, data + 1, size - 1, piece);
  else if (feed(tls, data + 1, size - 1, piece) > 0) abort(); /* nobody without the keys is read */
  dl_tls_free(tls);
  dl_buffer_clear(&hub->output);
  if (hub->shaking_count || hub->waiting) abort();
  return 0;
}
