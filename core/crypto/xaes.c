/* SPDX-License-Identifier: MIT */
#include "crypto/xaes.h"

#include "base/memory.h"
#include "crypto/internal.h"

#include <openssl/crypto.h>
#include <openssl/err.h>

enum { BLOCK = 16, HALF_NONCE = 12 };

struct dl_xaes {
  EVP_CIPHER_CTX *block; /* AES-256 under the long-lived key */
  EVP_CIPHER_CTX *gcm;   /* re-keyed for each message */
  const EVP_CIPHER *gcm_cipher;
  unsigned char subkey[BLOCK]; /* CMAC's K1 (NIST SP 800-38B) */
};

static void encrypt_block(dl_xaes *xaes, const unsigned char in[BLOCK], unsigned char out[BLOCK]) {
  int length;
  if (!EVP_EncryptUpdate(xaes->block, out, &length, in, BLOCK) || length != BLOCK) dl_crypto_broken("AES-256");
}

dl_xaes *dl_xaes_new(const dl_crypto *crypto, const unsigned char key[DL_XAES_KEY]) {
  static const unsigned char zero[BLOCK];
  dl_xaes *xaes = dl_calloc(1, sizeof(*xaes));
  xaes->block = EVP_CIPHER_CTX_new();
  xaes->gcm = EVP_CIPHER_CTX_new();
  xaes->gcm_cipher = crypto->aes_gcm;
  if (!xaes->block || !xaes->gcm || !EVP_EncryptInit_ex2(xaes->block, crypto->aes_block, key, NULL, NULL)) dl_crypto_broken("AES-256");
  EVP_CIPHER_CTX_set_padding(xaes->block, 0);
  /* K1 is the zero block's encryption doubled in GF(2^128). */
  unsigned char first[BLOCK];
  encrypt_block(xaes, zero, first);
  for (int i = 0; i < BLOCK; i++) xaes->subkey[i] = (unsigned char)(first[i] << 1 | (i + 1 < BLOCK ? first[i + 1] >> 7 : 0));
  xaes->subkey[BLOCK - 1] ^= (unsigned char)(0x87 & (0 - (first[0] >> 7)));
  OPENSSL_cleanse(first, sizeof(first));
  return xaes;
}

void dl_xaes_free(dl_xaes *xaes) {
  if (!xaes) return;
  EVP_CIPHER_CTX_free(xaes->block);
  EVP_CIPHER_CTX_free(xaes->gcm);
  OPENSSL_cleanse(xaes->subkey, sizeof(xaes->subkey));
  dl_free(xaes);
}

/* Keys the GCM context for the nonce: two blocks of SP 800-108 in counter mode over
 * CMAC with the label "X" and the nonce's first half; its second half is GCM's. */
static void begin_message(dl_xaes *xaes, const unsigned char nonce[DL_XAES_NONCE], int encrypt) {
  unsigned char key[DL_XAES_KEY];
  for (unsigned char counter = 1; counter <= 2; counter++) {
    unsigned char block[BLOCK] = {0, counter, 'X', 0};
    memcpy(block + 4, nonce, HALF_NONCE);
    for (int i = 0; i < BLOCK; i++) block[i] ^= xaes->subkey[i];
    encrypt_block(xaes, block, key + (counter - 1) * BLOCK);
  }
  if (!EVP_CipherInit_ex2(xaes->gcm, xaes->gcm_cipher, key, nonce + HALF_NONCE, encrypt, NULL)) dl_crypto_broken("AES-256-GCM");
  OPENSSL_cleanse(key, sizeof(key));
}

static bool put(dl_xaes *xaes, unsigned char *out, dl_str in) {
  int length;
  return in.len == 0 || EVP_CipherUpdate(xaes->gcm, out, &length, (const unsigned char *)in.ptr, (int)in.len);
}

void dl_xaes_encrypt(dl_xaes *xaes, const unsigned char nonce[DL_XAES_NONCE], dl_str bound, dl_str plain, unsigned char *out) {
  int length;
  begin_message(xaes, nonce, 1);
  bool done = put(xaes, NULL, bound) && put(xaes, out, plain) && EVP_CipherFinal_ex(xaes->gcm, out + plain.len, &length) &&
              EVP_CIPHER_CTX_ctrl(xaes->gcm, EVP_CTRL_AEAD_GET_TAG, DL_XAES_TAG, out + plain.len);
  if (!done) dl_crypto_broken("AES-256-GCM");
}

bool dl_xaes_decrypt(dl_xaes *xaes, const unsigned char nonce[DL_XAES_NONCE], dl_str bound, const unsigned char *ciphertext, size_t length,
                     unsigned char *out) {
  size_t plain_length = length - DL_XAES_TAG;
  unsigned char tag[DL_XAES_TAG];
  int final_length;
  memcpy(tag, ciphertext + plain_length, DL_XAES_TAG);
  begin_message(xaes, nonce, 0);
  ERR_set_mark();
  bool opened = put(xaes, NULL, bound) && put(xaes, out, dl_str_from((const char *)ciphertext, plain_length)) &&
                EVP_CIPHER_CTX_ctrl(xaes->gcm, EVP_CTRL_AEAD_SET_TAG, DL_XAES_TAG, tag) && EVP_CipherFinal_ex(xaes->gcm, out + plain_length, &final_length) > 0;
  ERR_pop_to_mark(); /* a forged text is no error of OpenSSL's next caller */
  if (!opened) OPENSSL_cleanse(out, plain_length);
  return opened;
}
