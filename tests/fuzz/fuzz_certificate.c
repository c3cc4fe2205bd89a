/* SPDX-License-Identifier: MIT */
/*
 * A client's certificate: the input is one in DER, as it comes in a handshake. What
 * becomes of it is text that may stand in a log and in a principal: names are printable
 * ASCII or valid UTF-8, hold no NUL, and are the same for the same certificate.
 */
#include "fuzz.h"

#include "base/utf8.h"
#include "net/tls_peer.h"

#include <openssl/err.h>
#include <openssl/x509.h>

static void check_line(dl_str text) {
  require(dl_utf8_valid(text), "a name is UTF-8");
  for (size_t i = 0; i < text.len; i++) require((unsigned char)text.ptr[i] >= 0x20 && text.ptr[i] != 0x7f, "a name holds no control character");
}

static void check_hexadecimal(dl_str text) {
  for (size_t i = 0; i < text.len; i++) require(strchr("0123456789abcdef", text.ptr[i]) && text.ptr[i], "a number is in hexadecimal");
}

static bool same(dl_str a, dl_str b) { return a.len == b.len && (!a.len || memcmp(a.ptr, b.ptr, a.len) == 0); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const unsigned char *at = data;
  X509 *certificate = d2i_X509(NULL, &at, (long)size);
  ERR_clear_error();
  if (!certificate) return 0;
  dl_tls_peer *peer = dl_tls_peer_new(certificate), *again = dl_tls_peer_new(certificate);
  check_line(peer->subject);
  check_line(peer->issuer);
  check_hexadecimal(peer->serial);
  require(strlen(peer->fingerprint) == 64, "a certificate has a fingerprint");
  check_hexadecimal(dl_str_of(peer->fingerprint));
  require(!peer->common_name.len || (!memchr(peer->common_name.ptr, 0, peer->common_name.len) && dl_utf8_valid(peer->common_name)), "a common name is UTF-8 without NUL");
  require(peer->name_count <= DL_TLS_PEER_NAMES_MAX, "names are few");
  for (uint32_t i = 0; i < peer->name_count; i++) {
    dl_str name = peer->names[i].text;
    require(name.len > 0, "a name holds something");
    for (size_t at_byte = 0; at_byte < name.len; at_byte++) require(name.ptr[at_byte] >= ' ' && name.ptr[at_byte] <= '~', "a name is printable ASCII");
    require(again->names[i].kind == peer->names[i].kind && same(again->names[i].text, name), "a certificate is read the same twice");
  }
  require(same(peer->subject, again->subject) && same(peer->common_name, again->common_name), "a certificate is read the same twice");
  dl_tls_peer_free(peer);
  dl_tls_peer_free(again);
  X509_free(certificate);
  ERR_clear_error();
  return 0;
}
