/* SPDX-License-Identifier: MIT */
/* Certificates made on the spot, and a real OpenSSL client in memory, for the tests of TLS. */
#ifndef DL_TESTS_TLS_WORLD_H
#define DL_TESTS_TLS_WORLD_H

#include "unit.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "net/tls_internal.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

typedef struct test_identity {
  EVP_PKEY *key;
  X509 *certificate;
} test_identity;

typedef struct test_subject {
  const char *common_name;
  const char *names; /* "DNS:a,DNS:b", or NULL */
  const char *usage, *permits; /* extendedKeyUsage, nameConstraints, or NULL */
  int begins, days;  /* from now; 0: 40 days ago, and in 30 */
  bool rsa, authority;
  const test_identity *issuer; /* NULL: itself */
} test_subject;

static inline void test_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
  assert_non_null(extension);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

static inline test_identity test_identify(test_subject subject) {
  static long serial = 0x1000;
  test_identity made = {subject.rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"), X509_new()};
  X509 *certificate = made.certificate, *issuer = subject.issuer ? subject.issuer->certificate : certificate;
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), 86400L * (subject.begins ? subject.begins : -40));
  X509_gmtime_adj(X509_getm_notAfter(certificate), 86400L * (subject.days ? subject.days : 30));
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, (const unsigned char *)subject.common_name, -1, -1, 0);
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
  X509_set_pubkey(certificate, made.key);
  if (subject.names) test_extension(certificate, issuer, NID_subject_alt_name, subject.names);
  if (subject.authority) test_extension(certificate, issuer, NID_basic_constraints, "critical,CA:TRUE");
  if (subject.usage) test_extension(certificate, issuer, NID_ext_key_usage, subject.usage);
  if (subject.permits) test_extension(certificate, issuer, NID_name_constraints, subject.permits);
  assert_true(X509_sign(certificate, subject.issuer ? subject.issuer->key : made.key, EVP_sha256()) > 0);
  return made;
}

static inline void test_forget(test_identity *identity) {
  EVP_PKEY_free(identity->key);
  X509_free(identity->certificate);
}

static inline dl_tls_file test_file(const char *name, const void *bytes, size_t len) {
  dl_tls_file file = {dl_strdup(name), dl_malloc(len + 1), len};
  memcpy(file.bytes, bytes, len);
  return file;
}

static inline dl_tls_file test_take(const char *name, BIO *bio) {
  char *bytes;
  long len = BIO_get_mem_data(bio, &bytes);
  dl_tls_file file = test_file(name, bytes, (size_t)len);
  BIO_free(bio);
  return file;
}

/* PEM of a certificate and those that issued it. */
static inline dl_tls_file test_pem(const char *name, X509 *first, X509 *second) {
  BIO *bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, first);
  if (second) PEM_write_bio_X509(bio, second);
  return test_take(name, bio);
}

static inline dl_tls_file test_key_pem(const char *name, EVP_PKEY *key, const char *password) {
  BIO *bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key, password ? EVP_aes_256_cbc() : NULL, NULL, 0, NULL, (void *)(uintptr_t)password);
  return test_take(name, bio);
}

static inline void test_add(dl_tls_material *material, const test_identity *identity, const char *name, const char *key_name) {
  material->certificates[material->pair_count] = test_pem(name, identity->certificate, NULL);
  material->keys[material->pair_count++] = test_key_pem(key_name, identity->key, NULL);
}

#endif
