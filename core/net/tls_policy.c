/* SPDX-License-Identifier: MIT */
/*
 * The rules of a TLS connection: versions, ciphers, ALPN, SNI, tickets, staples,
 * client certificates. One SSL_CTX for each choice of certificates.
 */
#include "net/tls_internal.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <time.h>

enum { CLIENT_CHAIN_BYTES_MAX = 32768, CLIENT_CHAIN_DEPTH_MAX = 4, SECURITY_LEVEL = 2 };

/* Forward secrecy and AEAD only (RFC 9325 4.2). The 128-bit suites first: as good, and less work. */
static const char ciphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
static const char suites[] = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
static const char groups[] = "X25519:P-256:P-384";

dl_tls_context *dl_tls_context_of(const SSL *ssl) { return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)); }

/* --- callbacks ----------------------------------------------------------------------- */

/* A client that speaks other protocols only is told so (RFC 7301 3.2), instead of
 * being misunderstood, which is what cross-protocol attacks live on. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *offered, unsigned offered_len, void *unused) {
  static const unsigned char ours[] = "http/1.1";
  (void)ssl;
  (void)unused;
  for (unsigned at = 0; at < offered_len; at += offered[at] + 1u) {
    if (offered[at] != sizeof ours - 1 || offered_len - at <= offered[at] || memcmp(offered + at + 1, ours, sizeof ours - 1) != 0) continue;
    *out = ours;
    *out_len = sizeof ours - 1;
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* A name that no certificate is for gets the default: the client decides whether it
 * trusts that. SSL_set_SSL_CTX leaves verification and options as they are, which
 * are the same in all of them. */
static int choose_certificate(SSL *ssl, int *alert, void *unused) {
  (void)alert;
  (void)unused;
  const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  const dl_tls_context *context = dl_tls_context_of(ssl);
  if (!name) return SSL_TLSEXT_ERR_NOACK;
  const dl_tls_choice *choice = dl_tls_hosts_find(context, dl_str_of(name));
  if (choice->ssl && choice->ssl != SSL_get_SSL_CTX(ssl)) SSL_set_SSL_CTX(ssl, choice->ssl);
  return SSL_TLSEXT_ERR_OK;
}

static bool set_mac(EVP_MAC_CTX *mac, dl_tls_ticket_key *key) {
  char digest[] = "SHA256";
  OSSL_PARAM parameters[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof key->mac),
                             OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
  return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

static int seal_ticket(const dl_tls_context *context, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac) {
  dl_tls_ticket_key key;
  if (!dl_tls_ticket_keys_current(context->tickets, &key)) return 0;
  bool ok = RAND_bytes(iv, EVP_CIPHER_get_iv_length(context->ticket_cipher)) == 1 &&
            EVP_EncryptInit_ex2(cipher, context->ticket_cipher, key.cipher, iv, NULL) == 1 && set_mac(mac, &key);
  memcpy(name, key.name, sizeof key.name);
  OPENSSL_cleanse(&key, sizeof key);
  return ok ? 1 : -1;
}

/* 1: fine, 2: fine, and the client should have a new one; 0: a full handshake. */
static int open_ticket(const dl_tls_context *context, const unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac) {
  dl_tls_ticket_key key, current;
  if (!dl_tls_ticket_keys_find(context->tickets, name, &key)) return 0;
  bool ok = EVP_DecryptInit_ex2(cipher, context->ticket_cipher, key.cipher, iv, NULL) == 1 && set_mac(mac, &key);
  bool renew = dl_tls_ticket_keys_current(context->tickets, &current) && memcmp(current.name, name, sizeof current.name) != 0;
  OPENSSL_cleanse(&key, sizeof key);
  OPENSSL_cleanse(&current, sizeof current);
  return !ok ? -1 : renew ? 2 : 1;
}

static int use_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int sealing) {
  const dl_tls_context *context = dl_tls_context_of(ssl);
  return sealing ? seal_ticket(context, name, iv, cipher, mac) : open_ticket(context, name, iv, cipher, mac);
}

static int staple(SSL *ssl, void *unused) {
  (void)unused;
  const dl_tls_context *context = dl_tls_context_of(ssl);
  const X509 *leaf = SSL_get_certificate(ssl);
  for (size_t i = 0; i < context->certificate_count; i++) {
    const dl_tls_certificate *certificate = &context->certificates[i];
    if (certificate->leaf != leaf || !certificate->staple || certificate->staple_until_s < time(NULL)) continue;
    unsigned char *copy = OPENSSL_memdup(certificate->staple, certificate->staple_len); /* OpenSSL frees it */
    if (!copy) return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)certificate->staple_len);
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

/* --- setting up ------------------------------------------------------------------------ */

static bool set_rules(SSL_CTX *ssl) {
  SSL_CTX_set_security_level(ssl, SECURITY_LEVEL);
  SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF); /* what is resumed travels with the client */
  SSL_CTX_set_timeout(ssl, DL_TLS_TICKET_PERIOD_S);
  SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, NULL);
  return SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) && SSL_CTX_set_cipher_list(ssl, ciphers) && SSL_CTX_set_ciphersuites(ssl, suites) &&
         SSL_CTX_set1_groups_list(ssl, groups);
}

static bool set_tickets(SSL_CTX *ssl, const dl_tls_context *context) {
  if (!context->tickets) {
    SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
    return SSL_CTX_set_num_tickets(ssl, 0);
  }
  return SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, use_ticket_key);
}

/* A session belongs to the client CAs it was made under: with others, whoever it was
 * made for is asked again. */
static bool set_session_id(SSL_CTX *ssl, const dl_tls_context *context) {
  return SSL_CTX_set_session_id_context(ssl, context->authorities, sizeof context->authorities);
}

static bool set_clients(SSL_CTX *ssl, const dl_tls_file *client_ca, char *message) {
  STACK_OF(X509) *list = sk_X509_new_null();
  bool ok = dl_tls_read_pem(client_ca, "the client CA", list, message) > 0;
  for (int i = 0; ok && i < sk_X509_num(list); i++) {
    X509 *authority = sk_X509_value(list, i);
    if (X509_check_ca(authority) == 0)
      ok = dl_tls_complain(message, "the client CA %.300s: certificate %d in it is no CA's, and can vouch for nobody", client_ca->name, i + 1);
    else if (!X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl), authority) || !SSL_CTX_add_client_CA(ssl, authority))
      ok = dl_tls_complain(message, "the client CA %.300s cannot be used: %s", client_ca->name, dl_tls_reason());
  }
  sk_X509_pop_free(list, X509_free);
  SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, NULL);
  SSL_CTX_set_verify_depth(ssl, CLIENT_CHAIN_DEPTH_MAX);
  SSL_CTX_set_max_cert_list(ssl, CLIENT_CHAIN_BYTES_MAX);
  return ok;
}

static bool add_certificates(SSL_CTX *ssl, const dl_tls_context *context, const dl_tls_choice *choice, char *message) {
  for (int kind = 0; kind < DL_TLS_KEY_KINDS; kind++) {
    if (choice->certificate[kind] < 0) continue;
    const dl_tls_certificate *certificate = &context->certificates[choice->certificate[kind]];
    if (SSL_CTX_use_cert_and_key(ssl, certificate->leaf, certificate->key, certificate->chain, 1) == 1) continue;
    return dl_tls_complain(message, "the certificate %.300s cannot be used: %s", certificate->file, dl_tls_reason());
  }
  return true;
}

SSL_CTX *dl_tls_policy_new(dl_tls_context *context, const dl_tls_choice *choice, const dl_tls_file *client_ca, char *message) {
  SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());
  if (!ssl || !set_rules(ssl) || !set_tickets(ssl, context) || !set_session_id(ssl, context)) {
    dl_tls_complain(message, "OpenSSL cannot do TLS here: %s", dl_tls_reason());
    SSL_CTX_free(ssl);
    return NULL;
  }
  SSL_CTX_set_app_data(ssl, context);
  SSL_CTX_set_tlsext_servername_callback(ssl, choose_certificate);
  SSL_CTX_set_tlsext_status_cb(ssl, staple);
  if (add_certificates(ssl, context, choice, message) && (!client_ca->bytes || set_clients(ssl, client_ca, message))) return ssl;
  SSL_CTX_free(ssl);
  return NULL;
}

/* As OpenSSL does in a handshake. The certificates between may be missing, which a
 * resumed session does not keep. */
bool dl_tls_policy_vouches(const dl_tls_context *context, const SSL *ssl) {
  X509 *certificate = SSL_get1_peer_certificate(ssl);
  X509_STORE_CTX *check = X509_STORE_CTX_new();
  bool vouches = certificate && check &&
                 X509_STORE_CTX_init(check, SSL_CTX_get_cert_store(context->choices[0].ssl), certificate, SSL_get_peer_cert_chain(ssl)) == 1 &&
                 X509_STORE_CTX_set_default(check, "ssl_client") == 1;
  if (vouches) {
    X509_VERIFY_PARAM_set_depth(X509_STORE_CTX_get0_param(check), CLIENT_CHAIN_DEPTH_MAX);
    X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(check), SECURITY_LEVEL);
    vouches = X509_verify_cert(check) == 1;
  }
  X509_STORE_CTX_free(check);
  X509_free(certificate);
  ERR_clear_error();
  return vouches;
}
