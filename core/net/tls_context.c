/* SPDX-License-Identifier: MIT */
#include "net/tls_internal.h"

#include "base/memory.h"

#include <openssl/err.h>

static bool read_certificates(dl_tls_context *context, const dl_tls_material *material, dl_log *log, char *message) {
  for (size_t i = 0; i < material->pair_count; i++) {
    context->certificate_count++;
    if (!dl_tls_certificate_read(&context->certificates[i], &material->certificates[i], &material->keys[i], log, message)) return false;
  }
  for (size_t i = 0; i < material->staple_count; i++)
    if (!dl_tls_staple(context->certificates, context->certificate_count, &material->staples[i], log, message)) return false;
  return context->certificate_count > 0 || dl_tls_complain(message, "TLS needs a certificate: give --tls-cert and --tls-key");
}

static bool digest_authorities(dl_tls_context *context, const dl_tls_file *client_ca) {
  unsigned len = sizeof context->authorities;
  return EVP_Digest(client_ca->bytes ? client_ca->bytes : "", client_ca->len, context->authorities, &len, EVP_sha256(), NULL) == 1;
}

static bool build(dl_tls_context *context, const dl_tls_material *material, dl_log *log, char *message) {
  context->ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
  if (!context->ticket_cipher || !digest_authorities(context, &material->client_ca))
    return dl_tls_complain(message, "OpenSSL cannot do AES-256-CBC or SHA-256 here: %s", dl_tls_reason());
  if (!read_certificates(context, material, log, message)) return false;
  dl_tls_hosts_build(context);
  for (size_t i = 0; i < context->choice_count; i++) {
    context->choices[i].ssl = dl_tls_policy_new(context, &context->choices[i], &material->client_ca, message);
    if (!context->choices[i].ssl) return false;
  }
  return true;
}

dl_tls_context *dl_tls_context_new(const dl_tls_material *material, const dl_tls_ticket_keys *tickets, dl_log *log, char message[DL_TLS_MESSAGE_BYTES]) {
  dl_tls_context *context = dl_calloc(1, sizeof *context);
  context->references = 1;
  context->tickets = tickets;
  context->asks_clients = material->client_ca.bytes != NULL;
  if (build(context, material, log, message)) return context;
  dl_tls_context_drop(context);
  ERR_clear_error();
  return NULL;
}

dl_tls_context *dl_tls_context_hold(dl_tls_context *context) {
  context->references++;
  return context;
}

void dl_tls_context_drop(dl_tls_context *context) {
  if (!context || --context->references) return;
  dl_tls_hosts_free(context);
  for (size_t i = 0; i < context->certificate_count; i++) dl_tls_certificate_free(&context->certificates[i]);
  EVP_CIPHER_free(context->ticket_cipher);
  dl_free(context);
}

bool dl_tls_context_asks_clients(const dl_tls_context *context) { return context->asks_clients; }
