/* SPDX-License-Identifier: MIT */
#include "crypto/seal.h"

#include "base/memory.h"
#include "crypto/base64.h"
#include "crypto/hmac.h"
#include "crypto/random.h"
#include "crypto/xaes.h"

#include <openssl/crypto.h>

/* A sealed text's bytes: version, key's name, nonce, ciphertext, tag. */
enum { VERSION = 1, NAME_BYTES = 4, HEAD_BYTES = 1 + NAME_BYTES, OVERHEAD_BYTES = HEAD_BYTES + DL_XAES_NONCE + DL_XAES_TAG };

typedef struct seal_key {
  dl_xaes *xaes;
  unsigned char name[NAME_BYTES]; /* tells keys apart without trying each */
} seal_key;

struct dl_sealer {
  size_t count;
  seal_key keys[DL_SEAL_KEYS_MAX];
};

static void derive_key(const dl_crypto *crypto, dl_str secret, seal_key *key) {
  unsigned char bytes[DL_DIGEST_MAX];
  dl_hmac *hmac = dl_hmac_new(crypto, DL_DIGEST_SHA256, secret);
  dl_hmac_compute(hmac, DL_STR("demilune seal 1: name"), bytes);
  memcpy(key->name, bytes, NAME_BYTES);
  dl_hmac_compute(hmac, DL_STR("demilune seal 1: key"), bytes);
  key->xaes = dl_xaes_new(crypto, bytes);
  OPENSSL_cleanse(bytes, sizeof(bytes));
  dl_hmac_free(hmac);
}

dl_sealer *dl_sealer_new(const dl_crypto *crypto, const dl_str *secrets, size_t count) {
  if (count == 0 || count > DL_SEAL_KEYS_MAX) return NULL;
  for (size_t i = 0; i < count; i++)
    if (secrets[i].len < DL_SEAL_SECRET_MIN) return NULL;
  dl_sealer *sealer = dl_calloc(1, sizeof(*sealer));
  sealer->count = count;
  for (size_t i = 0; i < count; i++) derive_key(crypto, secrets[i], &sealer->keys[i]);
  return sealer;
}

void dl_sealer_free(dl_sealer *sealer) {
  if (!sealer) return;
  for (size_t i = 0; i < sealer->count; i++) dl_xaes_free(sealer->keys[i].xaes);
  dl_free(sealer);
}

/* What is authenticated beside the plain text: the head, then the purpose. */
static void bind_purpose(const unsigned char *head, dl_str purpose, dl_buffer *bound) {
  dl_buffer_append(bound, head, HEAD_BYTES);
  dl_buffer_append_str(bound, purpose);
}

bool dl_seal(dl_sealer *sealer, dl_str purpose, dl_str plain, dl_buffer *out) {
  if (plain.len > DL_SEAL_PLAIN_MAX) return false;
  const seal_key *key = &sealer->keys[0];
  dl_buffer sealed = {0}, bound = {0};
  dl_buffer_reserve(&sealed, plain.len + OVERHEAD_BYTES);
  unsigned char *bytes = (unsigned char *)sealed.data, *nonce = bytes + HEAD_BYTES, *ciphertext = nonce + DL_XAES_NONCE;
  bytes[0] = VERSION;
  memcpy(bytes + 1, key->name, NAME_BYTES);
  dl_random_bytes(nonce, DL_XAES_NONCE);
  bind_purpose(bytes, purpose, &bound);
  dl_xaes_encrypt(key->xaes, nonce, dl_buffer_str(&bound), plain, ciphertext);
  sealed.len = plain.len + OVERHEAD_BYTES;
  size_t length = dl_base64_encoded_length(sealed.len);
  dl_buffer_reserve(out, length);
  dl_base64_encode(DL_BASE64URL, dl_buffer_str(&sealed), out->data + out->len);
  out->len += length;
  dl_buffer_free(&sealed);
  dl_buffer_free(&bound);
  return true;
}

/* The key whose name is in the head, or NULL. Names are no secrets. */
static const seal_key *named_key(const dl_sealer *sealer, const unsigned char *head, size_t *index) {
  for (size_t i = 0; i < sealer->count; i++)
    if (memcmp(sealer->keys[i].name, head + 1, NAME_BYTES) == 0) {
      *index = i;
      return &sealer->keys[i];
    }
  return NULL;
}

static bool unseal_bytes(dl_sealer *sealer, dl_str purpose, const unsigned char *bytes, size_t length, dl_buffer *out, size_t *index) {
  if (length < OVERHEAD_BYTES || bytes[0] != VERSION) return false;
  const seal_key *key = named_key(sealer, bytes, index);
  if (!key) return false;
  size_t plain_length = length - OVERHEAD_BYTES;
  const unsigned char *nonce = bytes + HEAD_BYTES;
  dl_buffer bound = {0};
  bind_purpose(bytes, purpose, &bound);
  dl_buffer_reserve(out, plain_length + 1);
  bool opened = dl_xaes_decrypt(key->xaes, nonce, dl_buffer_str(&bound), nonce + DL_XAES_NONCE, plain_length + DL_XAES_TAG,
                                (unsigned char *)out->data + out->len);
  if (opened) out->len += plain_length;
  dl_buffer_free(&bound);
  return opened;
}

bool dl_unseal(dl_sealer *sealer, dl_str purpose, dl_str text, dl_buffer *out, size_t *key_index) {
  if (text.len > dl_base64_encoded_length(DL_SEAL_PLAIN_MAX + OVERHEAD_BYTES)) return false;
  size_t length, index;
  unsigned char *bytes = dl_malloc(dl_base64_decoded_max(text.len) + 1);
  bool opened = dl_base64_decode(DL_BASE64URL, text, bytes, &length) == DL_BASE64_OK && unseal_bytes(sealer, purpose, bytes, length, out, &index);
  if (opened && key_index) *key_index = index;
  dl_free(bytes);
  return opened;
}
