/* SPDX-License-Identifier: MIT */
/*
 * A client's certificate, as it comes in a handshake: the input is one in DER, which
 * begins with '0'; or it says what is put into one, in entries of a kind, a type, a
 * length and that many bytes, of which an encoder makes DER that is whole. What
 * becomes of it is text that may stand in a log and in a principal: names are printable
 * ASCII or valid UTF-8, hold no NUL, and are the same for the same certificate.
 */
#include "fuzz.h"

#include "base/utf8.h"
#include "net/tls_peer.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

static void check_line(dl_str text) {
  require(dl_utf8_valid(text), "a name is UTF-8");
  for (size_t i = 0; i < text.len; i++) require((unsigned char)text.ptr[i] >= 0x20 && text.ptr[i] != 0x7f, "a name holds no control character");
}

static void check_hexadecimal(dl_str text) {
  for (size_t i = 0; i < text.len; i++) require(strchr("0123456789abcdef", text.ptr[i]) && text.ptr[i], "a number is in hexadecimal");
}

static bool same(dl_str a, dl_str b) { return a.len == b.len && (!a.len || memcmp(a.ptr, b.ptr, a.len) == 0); }

/* --- made of the input ------------------------------------------------------------------- */

static const int subject_parts[] = {NID_commonName, NID_organizationName, NID_serialNumber, NID_pkcs9_emailAddress};
static const int string_types[] = {V_ASN1_UTF8STRING,      V_ASN1_PRINTABLESTRING, V_ASN1_T61STRING, V_ASN1_IA5STRING,
                                   V_ASN1_UNIVERSALSTRING, V_ASN1_BMPSTRING,       V_ASN1_BIT_STRING, V_ASN1_OCTET_STRING};
static const int name_types[] = {GEN_DNS, GEN_EMAIL, GEN_URI, GEN_IPADD};

static void add_subject(X509_NAME *name, unsigned kind, unsigned type, dl_str bytes) {
  X509_NAME_ENTRY *entry = X509_NAME_ENTRY_new();
  X509_NAME_ENTRY_set_object(entry, OBJ_nid2obj(subject_parts[kind]));
  X509_NAME_ENTRY_set_data(entry, string_types[type % 8], (const unsigned char *)bytes.ptr, (int)bytes.len);
  X509_NAME_add_entry(name, entry, -1, 0);
  X509_NAME_ENTRY_free(entry);
}

static void add_alternative(GENERAL_NAMES *names, unsigned type, dl_str bytes) {
  bool octets = name_types[type % 4] == GEN_IPADD;
  GENERAL_NAME *name = GENERAL_NAME_new();
  ASN1_STRING *string = ASN1_STRING_type_new(octets ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
  ASN1_STRING_set(string, bytes.ptr, (int)bytes.len);
  GENERAL_NAME_set0_value(name, name_types[type % 4], string);
  sk_GENERAL_NAME_push(names, name);
}

/* Through DER and back, as from a client. */
static X509 *recode(X509 *certificate) {
  unsigned char *der = NULL;
  const unsigned char *at;
  int length = i2d_X509(certificate, &der);
  X509 *again = length > 0 ? (at = der, d2i_X509(NULL, &at, length)) : NULL;
  OPENSSL_free(der);
  return again;
}

static X509 *make(dl_str choices) {
  X509 *certificate = X509_new();
  GENERAL_NAMES *names = GENERAL_NAMES_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 0);
  while (choices.len > 3) {
    unsigned kind = (unsigned char)choices.ptr[0], type = (unsigned char)choices.ptr[1];
    size_t length = (unsigned char)choices.ptr[2], left = choices.len - 3;
    dl_str bytes = dl_str_from(choices.ptr + 3, length < left ? length : left);
    choices = dl_str_skip(choices, 3 + bytes.len);
    switch (kind % 8) {
      case 0:
      case 1:
      case 2:
      case 3: add_subject(X509_get_subject_name(certificate), kind % 4, type, bytes); break;
      case 4: ASN1_STRING_set(X509_get_serialNumber(certificate), bytes.ptr, (int)bytes.len); break;
      case 5: ASN1_STRING_set(type & 1 ? X509_getm_notAfter(certificate) : X509_getm_notBefore(certificate), bytes.ptr, (int)bytes.len); break;
      default: add_alternative(names, type, bytes); break;
    }
  }
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  if (sk_GENERAL_NAME_num(names) > 0) X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0);
  static EVP_PKEY *key;
  if (!key) key = EVP_EC_gen("P-256");
  X509_set_pubkey(certificate, key);
  X509_sign(certificate, key, EVP_sha256());
  X509 *again = recode(certificate);
  GENERAL_NAMES_free(names);
  X509_free(certificate);
  return again;
}

/* --- what becomes of it --------------------------------------------------------------------- */

static void check_names(const dl_tls_peer *peer, const dl_tls_peer *again) {
  require(peer->name_count <= DL_TLS_PEER_NAMES_MAX && peer->name_count == again->name_count, "names are few");
  for (uint32_t i = 0; i < peer->name_count; i++) {
    dl_str name = peer->names[i].text;
    require(name.len > 0, "a name holds something");
    for (size_t at = 0; at < name.len; at++) require(name.ptr[at] >= ' ' && name.ptr[at] <= '~', "a name is printable ASCII");
    require(again->names[i].kind == peer->names[i].kind && same(again->names[i].text, name), "a certificate is read the same twice");
  }
}

static void check_peer(const dl_tls_peer *peer, const dl_tls_peer *again) {
  check_line(peer->subject);
  check_line(peer->issuer);
  check_hexadecimal(peer->serial);
  check_hexadecimal(dl_str_of(peer->fingerprint));
  require(strlen(peer->fingerprint) == 64, "a certificate has a fingerprint");
  require(!peer->common_name.len || (!memchr(peer->common_name.ptr, 0, peer->common_name.len) && dl_utf8_valid(peer->common_name)), "a common name is UTF-8 without NUL");
  require(same(peer->subject, again->subject) && same(peer->common_name, again->common_name), "a certificate is read the same twice");
  check_names(peer, again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const unsigned char *at = data;
  if (size < 4) return 0;
  X509 *certificate = data[0] == '0' ? d2i_X509(NULL, &at, (long)size) : make(dl_str_from((const char *)data, size));
  ERR_clear_error();
  if (!certificate) return 0;
  dl_tls_peer *peer = dl_tls_peer_new(certificate), *again = dl_tls_peer_new(certificate);
  check_peer(peer, again);
  dl_tls_peer_free(peer);
  dl_tls_peer_free(again);
  X509_free(certificate);
  ERR_clear_error();
  return 0;
}
