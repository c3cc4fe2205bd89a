/* SPDX-License-Identifier: MIT */
#include "net/tls_peer.h"

#include "base/memory.h"
#include "base/utf8.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <time.h>

static dl_str keep(const char *text, size_t len) { return dl_str_from(dl_strndup(text, len), len); }

static dl_str distinguished_name(const X509_NAME *name) {
  dl_str text = {0};
  char *bytes = NULL;
  BIO *out = BIO_new(BIO_s_mem());
  if (!out) return text;
  /* UTF-8 stays, control characters are escaped: it may stand in a log. */
  if (X509_NAME_print_ex(out, name, 0, (XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB)) >= 0) {
    long len = BIO_get_mem_data(out, &bytes);
    if (len > 0) text = keep(bytes, (size_t)len);
  }
  BIO_free(out);
  return text;
}

static dl_str common_name(const X509_NAME *name) {
  dl_str text = {0};
  int at = -1;
  for (int next; (next = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0;) at = next;
  if (at < 0) return text;
  unsigned char *utf8 = NULL;
  int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
  if (len > 0 && !memchr(utf8, 0, (size_t)len) && dl_utf8_valid(dl_str_from((const char *)utf8, (size_t)len))) text = keep((const char *)utf8, (size_t)len);
  OPENSSL_free(utf8);
  return text;
}

/* An IA5String holds ASCII (RFC 5280 4.2.1.6), but nobody before us has looked. */
static bool is_printable(const char *bytes, size_t len) {
  for (size_t i = 0; i < len; i++)
    if (bytes[i] < ' ' || bytes[i] > '~') return false;
  return true;
}

static void add_name(dl_tls_peer *peer, dl_tls_name_kind kind, const ASN1_STRING *value) {
  int len = ASN1_STRING_length(value);
  const char *bytes = (const char *)ASN1_STRING_get0_data(value);
  if (len <= 0 || !is_printable(bytes, (size_t)len) || peer->name_count == DL_TLS_PEER_NAMES_MAX) return;
  peer->names[peer->name_count++] = (dl_tls_name){kind, keep(bytes, (size_t)len)};
}

static void read_names(dl_tls_peer *peer, X509 *certificate) {
  GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_DNS) add_name(peer, DL_TLS_NAME_DNS, name->d.dNSName);
    else if (name->type == GEN_EMAIL) add_name(peer, DL_TLS_NAME_EMAIL, name->d.rfc822Name);
    else if (name->type == GEN_URI) add_name(peer, DL_TLS_NAME_URI, name->d.uniformResourceIdentifier);
  }
  GENERAL_NAMES_free(names);
}

static int64_t seconds_of(const ASN1_TIME *time) {
  struct tm parts;
  return ASN1_TIME_to_tm(time, &parts) ? (int64_t)timegm(&parts) : 0;
}

static dl_str serial_of(X509 *certificate) {
  static const char digits[] = "0123456789abcdef";
  const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
  int len = ASN1_STRING_length(serial);
  const unsigned char *bytes = ASN1_STRING_get0_data(serial);
  char *text = dl_malloc((size_t)len * 2 + 1);
  for (int i = 0; i < len; i++) {
    text[i * 2] = digits[bytes[i] >> 4];
    text[i * 2 + 1] = digits[bytes[i] & 15];
  }
  return dl_str_from(text, (size_t)len * 2);
}

static void read_fingerprint(dl_tls_peer *peer, X509 *certificate) {
  static const char digits[] = "0123456789abcdef";
  unsigned char digest[32];
  unsigned len = sizeof digest;
  if (!X509_digest(certificate, EVP_sha256(), digest, &len)) return;
  for (unsigned i = 0; i < len; i++) {
    peer->fingerprint[i * 2] = digits[digest[i] >> 4];
    peer->fingerprint[i * 2 + 1] = digits[digest[i] & 15];
  }
}

dl_tls_peer *dl_tls_peer_new(X509 *certificate) {
  dl_tls_peer *peer = dl_calloc(1, sizeof *peer);
  peer->subject = distinguished_name(X509_get_subject_name(certificate));
  peer->issuer = distinguished_name(X509_get_issuer_name(certificate));
  peer->common_name = common_name(X509_get_subject_name(certificate));
  peer->serial = serial_of(certificate);
  peer->not_before_s = seconds_of(X509_get0_notBefore(certificate));
  peer->not_after_s = seconds_of(X509_get0_notAfter(certificate));
  read_names(peer, certificate);
  read_fingerprint(peer, certificate);
  return peer;
}

static void drop(dl_str text) { dl_free((void *)(uintptr_t)text.ptr); }

void dl_tls_peer_free(dl_tls_peer *peer) {
  if (!peer) return;
  drop(peer->subject);
  drop(peer->issuer);
  drop(peer->common_name);
  drop(peer->serial);
  for (uint32_t i = 0; i < peer->name_count; i++) drop(peer->names[i].text);
  dl_free(peer);
}
