/* SPDX-License-Identifier: MIT */
/* Certificates, keys and OCSP responses from their files' bytes, with sentences for all that can be wrong with them. */
#include "net/tls_internal.h"

#include "base/memory.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum { RSA_BITS_MIN = 2048, CHAIN_MAX = 16, EXPIRES_SOON_S = 7 * 86400, CLOCK_SKEW_S = 300 };

bool dl_tls_complain(char *message, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, DL_TLS_MESSAGE_BYTES, format, arguments);
  va_end(arguments);
  return false;
}

const char *dl_tls_reason(void) {
  const char *reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason ? reason : "it says no more";
}

static BIO *open_bytes(const dl_tls_file *file) {
  BIO *bio = BIO_new_mem_buf(file->bytes, (int)file->len);
  if (!bio) dl_memory_exhausted(file->len);
  return bio;
}

/* --- certificates ------------------------------------------------------------------ */

int dl_tls_read_pem(const dl_tls_file *file, const char *what, STACK_OF(X509) *list, char *message) {
  BIO *bio = open_bytes(file);
  int count = 0;
  X509 *certificate;
  ERR_clear_error();
  while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
    sk_X509_push(list, certificate);
    count++;
  }
  BIO_free(bio);
  bool at_end = ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_PEM && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  const char *reason = dl_tls_reason();
  if (!at_end) dl_tls_complain(message, "%s %.300s: certificate %d in it cannot be read: %s", what, file->name, count + 1, reason);
  else if (count == 0) dl_tls_complain(message, "%s %.300s: there is no certificate in it; it should be PEM, with -----BEGIN CERTIFICATE-----", what, file->name);
  return at_end && count ? count : -1;
}

static bool read_chain(dl_tls_certificate *certificate, const dl_tls_file *file, char *message) {
  certificate->chain = sk_X509_new_null();
  if (dl_tls_read_pem(file, "the certificate", certificate->chain, message) < 0) return false;
  if (sk_X509_num(certificate->chain) > CHAIN_MAX)
    return dl_tls_complain(message, "the certificate %.300s: there are %d certificates in it; it should hold one and what leads to its root, not a whole store", file->name,
                           sk_X509_num(certificate->chain));
  certificate->leaf = sk_X509_shift(certificate->chain);
  return true;
}

static int64_t seconds_of(const ASN1_TIME *moment) {
  struct tm parts;
  return moment && ASN1_TIME_to_tm(moment, &parts) ? (int64_t)timegm(&parts) : 0;
}

static void warn_of_dates(const dl_tls_certificate *certificate, dl_log *log) {
  int64_t now = time(NULL), until = seconds_of(X509_get0_notAfter(certificate->leaf));
  char text[32] = "";
  struct tm parts;
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate->leaf), &parts)) strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (until < now) dl_log_text(log, DL_LOG_WARNING, "the certificate %s expired at %s: clients will refuse it", certificate->file, text);
  else if (until - now < EXPIRES_SOON_S) dl_log_text(log, DL_LOG_WARNING, "the certificate %s expires soon, at %s", certificate->file, text);
  if (seconds_of(X509_get0_notBefore(certificate->leaf)) > now + CLOCK_SKEW_S)
    dl_log_text(log, DL_LOG_WARNING, "the certificate %s is not valid yet; is the clock of this machine right?", certificate->file);
}

/* A chain out of order works with some clients and not with others. */
static void warn_of_order(const dl_tls_certificate *certificate, dl_log *log) {
  X509 *below = certificate->leaf;
  for (int i = 0; i < sk_X509_num(certificate->chain); i++) {
    X509 *above = sk_X509_value(certificate->chain, i);
    if (X509_check_issued(above, below) != X509_V_OK) {
      dl_log_text(log, DL_LOG_WARNING, "the certificate %s: number %d in it did not issue the one before it; some clients will not find the way to the root", certificate->file, i + 2);
      return;
    }
    below = above;
  }
}

/* --- names -------------------------------------------------------------------------- */

static void add_name(dl_tls_certificate *certificate, const ASN1_STRING *value) {
  int len = ASN1_STRING_length(value);
  const char *bytes = (const char *)ASN1_STRING_get0_data(value);
  if (len <= 0 || len > 253 || memchr(bytes, 0, (size_t)len)) return;
  char *name = dl_strndup(bytes, (size_t)len);
  for (char *c = name; *c; c++) *c = dl_ascii_lower(*c);
  certificate->names = dl_realloc(certificate->names, (certificate->name_count + 1) * sizeof *certificate->names);
  certificate->names[certificate->name_count++] = name;
}

/* The common name counts only where there is no DNS name (RFC 6125 6.4.4). */
static void read_names(dl_tls_certificate *certificate) {
  GENERAL_NAMES *names = X509_get_ext_d2i(certificate->leaf, NID_subject_alt_name, NULL, NULL);
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_DNS) add_name(certificate, name->d.dNSName);
  }
  GENERAL_NAMES_free(names);
  if (certificate->name_count) return;
  const X509_NAME *subject = X509_get_subject_name(certificate->leaf);
  int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at >= 0) add_name(certificate, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

/* --- keys ----------------------------------------------------------------------------- */

/* Nobody is there to be asked for a password. */
static int refuse_password(char *buffer, int size, int writing, void *asked) {
  (void)buffer;
  (void)size;
  (void)writing;
  *(bool *)asked = true;
  return -1;
}

static bool kind_of(dl_tls_certificate *certificate, char *message) {
  switch (EVP_PKEY_get_base_id(certificate->key)) {
    case EVP_PKEY_EC: certificate->kind = DL_TLS_KEY_EC; return true;
    case EVP_PKEY_ED25519:
    case EVP_PKEY_ED448: certificate->kind = DL_TLS_KEY_EDWARDS; return true;
    case EVP_PKEY_RSA: certificate->kind = DL_TLS_KEY_RSA; break;
    default: return dl_tls_complain(message, "the key %.300s is of a kind that servers do not use; it should be ECDSA (P-256), Ed25519 or RSA", certificate->key_file);
  }
  int bits = EVP_PKEY_get_bits(certificate->key);
  if (bits >= RSA_BITS_MIN) return true;
  return dl_tls_complain(message, "the key %.300s has %d bits, which can be broken; an RSA key needs %d at least", certificate->key_file, bits, RSA_BITS_MIN);
}

static bool read_key(dl_tls_certificate *certificate, const dl_tls_file *file, char *message) {
  bool asked = false;
  BIO *bio = open_bytes(file);
  ERR_clear_error();
  certificate->key = PEM_read_bio_PrivateKey(bio, NULL, refuse_password, &asked);
  BIO_free(bio);
  const char *reason = dl_tls_reason();
  if (asked) return dl_tls_complain(message, "the key %.300s is encrypted, and a server has nobody to ask for the password; decrypt it (openssl pkey) and guard the file by its rights", file->name);
  if (!certificate->key) return dl_tls_complain(message, "the key %.300s: there is no private key in it that can be read (%s); it should be PEM, with -----BEGIN PRIVATE KEY-----", file->name, reason);
  if (!kind_of(certificate, message)) return false;
  if (X509_check_private_key(certificate->leaf, certificate->key)) return true;
  ERR_clear_error();
  return dl_tls_complain(message, "the key %.200s does not belong to the certificate %.200s", file->name, certificate->file);
}

bool dl_tls_certificate_read(dl_tls_certificate *certificate, const dl_tls_file *file, const dl_tls_file *key, dl_log *log, char *message) {
  certificate->file = file->name;
  certificate->key_file = key->name;
  if (!read_chain(certificate, file, message) || !read_key(certificate, key, message)) return false;
  read_names(certificate);
  if (log) {
    warn_of_dates(certificate, log);
    warn_of_order(certificate, log);
  }
  return true;
}

void dl_tls_certificate_free(dl_tls_certificate *certificate) {
  X509_free(certificate->leaf);
  sk_X509_pop_free(certificate->chain, X509_free);
  EVP_PKEY_free(certificate->key);
  for (size_t i = 0; i < certificate->name_count; i++) dl_free(certificate->names[i]);
  dl_free(certificate->names);
  dl_free(certificate->staple);
}

/* --- OCSP ------------------------------------------------------------------------------- */

/* What the response says of the certificate: its status, or -1 when it is of another. */
static int status_of(OCSP_BASICRESP *basic, const dl_tls_certificate *certificate, ASN1_GENERALIZEDTIME **next) {
  ASN1_GENERALIZEDTIME *revoked, *this;
  int reason, status;
  if (sk_X509_num(certificate->chain) < 1) return -1;
  OCSP_CERTID *id = OCSP_cert_to_id(NULL, certificate->leaf, sk_X509_value(certificate->chain, 0));
  if (!id || !OCSP_resp_find_status(basic, id, &status, &reason, &revoked, &this, next)) status = -1;
  OCSP_CERTID_free(id);
  return status;
}

static void attach(dl_tls_certificate *certificate, const dl_tls_file *file, int64_t until_s, dl_log *log) {
  dl_free(certificate->staple);
  certificate->staple = dl_malloc(file->len);
  memcpy(certificate->staple, file->bytes, file->len);
  certificate->staple_len = file->len;
  certificate->staple_until_s = until_s;
  if (log && until_s < time(NULL)) dl_log_text(log, DL_LOG_WARNING, "the OCSP response %s is too old to be sent; fetch a new one", file->name);
}

static bool staple_basic(dl_tls_certificate *certificates, size_t count, OCSP_BASICRESP *basic, const dl_tls_file *file, dl_log *log, char *message) {
  for (size_t i = 0; i < count; i++) {
    ASN1_GENERALIZEDTIME *next = NULL;
    int status = status_of(basic, &certificates[i], &next);
    if (status < 0) continue;
    if (status != V_OCSP_CERTSTATUS_GOOD)
      return dl_tls_complain(message, "the OCSP response %.200s says that the certificate %.200s is %s", file->name, certificates[i].file, OCSP_cert_status_str(status));
    attach(&certificates[i], file, next ? seconds_of(next) : INT64_MAX, log);
    return true;
  }
  return dl_tls_complain(message, "the OCSP response %.300s is about none of the certificates given; the file of each should hold its issuer's certificate too", file->name);
}

bool dl_tls_staple(dl_tls_certificate *certificates, size_t count, const dl_tls_file *file, dl_log *log, char *message) {
  const unsigned char *at = (const unsigned char *)file->bytes;
  OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)file->len);
  OCSP_BASICRESP *basic = response ? OCSP_response_get1_basic(response) : NULL;
  bool ok = basic ? staple_basic(certificates, count, basic, file, log, message)
                  : dl_tls_complain(message, "the OCSP response %.300s cannot be read; it should be a successful one, in DER, as `openssl ocsp -respout` writes it", file->name);
  OCSP_BASICRESP_free(basic);
  OCSP_RESPONSE_free(response);
  ERR_clear_error();
  return ok;
}
