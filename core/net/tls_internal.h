/* SPDX-License-Identifier: MIT */
/* What the files of TLS share. Nobody outside includes it, but their tests. */
#ifndef DL_NET_TLS_INTERNAL_H
#define DL_NET_TLS_INTERNAL_H

#include "net/tls_context.h"

#include <openssl/ssl.h>

/* Kinds of keys that can stand side by side for one name: a client says which it reads. */
typedef enum dl_tls_key_kind { DL_TLS_KEY_EC, DL_TLS_KEY_EDWARDS, DL_TLS_KEY_RSA, DL_TLS_KEY_KINDS } dl_tls_key_kind;

/* One --tls-cert with its --tls-key. */
typedef struct dl_tls_certificate {
  const char *file, *key_file; /* the material's; valid while the context is built */
  X509 *leaf;
  STACK_OF(X509) *chain; /* without the leaf */
  EVP_PKEY *key;
  dl_tls_key_kind kind;
  char **names; /* lower case, owned; wildcards as they stand: "*.example.com" */
  size_t name_count;
  unsigned char *staple; /* what is stapled to it, or NULL */
  size_t staple_len;
  int64_t staple_until_s; /* after that it is not sent any more */
} dl_tls_certificate;

/* Certificates of different kinds for the same names; -1: none of that kind. */
typedef struct dl_tls_choice {
  int certificate[DL_TLS_KEY_KINDS];
  SSL_CTX *ssl;
} dl_tls_choice;

typedef struct dl_tls_host {
  const char *name; /* a certificate's */
  size_t choice;
} dl_tls_host;

struct dl_tls_context {
  uint32_t references;
  dl_tls_certificate certificates[DL_TLS_FILES_MAX];
  size_t certificate_count;
  dl_tls_choice *choices; /* the first is the default */
  size_t choice_count;
  dl_tls_host *hosts; /* sorted by name */
  size_t host_count;
  const dl_tls_ticket_keys *tickets; /* borrowed */
  EVP_CIPHER *ticket_cipher;
  unsigned char authorities[32]; /* SHA-256 of the client CAs' file: connections and sessions are made under it */
  bool asks_clients;
};

/* --- tls_certificate.c ------------------------------------------------------------ */

/* Reads a pair. False with a sentence; free it all the same. */
bool dl_tls_certificate_read(dl_tls_certificate *certificate, const dl_tls_file *file, const dl_tls_file *key, dl_log *log, char *message);
void dl_tls_certificate_free(dl_tls_certificate *certificate);

/* Staples the OCSP response to the certificate it speaks of. */
bool dl_tls_staple(dl_tls_certificate *certificates, size_t count, const dl_tls_file *file, dl_log *log, char *message);

/* Adds the certificates of a PEM file to the list: how many, or -1 with a sentence. */
int dl_tls_read_pem(const dl_tls_file *file, const char *what, STACK_OF(X509) *list, char *message);

/* Writes the sentence; always false. */
bool dl_tls_complain(char *message, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Why OpenSSL refused; empties its queue of errors. */
const char *dl_tls_reason(void);

/* --- tls_hosts.c ------------------------------------------------------------------- */

/* Groups the certificates by the names they are for; ssl stays NULL. */
void dl_tls_hosts_build(dl_tls_context *context);
void dl_tls_hosts_free(dl_tls_context *context);

/* The choice for a name that a client asked for; the first for one we do not have. */
const dl_tls_choice *dl_tls_hosts_find(const dl_tls_context *context, dl_str name);

/* --- tls_policy.c ------------------------------------------------------------------ */

/* A new SSL_CTX with all rules and the choice's certificates. NULL with a sentence. */
SSL_CTX *dl_tls_policy_new(dl_tls_context *context, const dl_tls_choice *choice, const dl_tls_file *client_ca, char *message);

/* Whether the client CAs of this context vouch for the certificate of a client that was
 * let in by others. */
bool dl_tls_policy_vouches(const dl_tls_context *context, const SSL *ssl);

/* The context that a connection belongs to. */
dl_tls_context *dl_tls_context_of(const SSL *ssl);

#endif
