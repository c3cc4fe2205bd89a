/* SPDX-License-Identifier: MIT */
/*
 * Functions that valgrind puts around those of the core and of libraries, where what
 * comes out is public by design though it was computed from secrets. Their names are
 * valgrind's way of saying of which library and function; it calls them itself.
 */
#include "reveal.h"

#include "base/str.h"

#include <argon2.h>
#include <valgrind/memcheck.h>

static size_t revealed;

void ctgrind_hide(const void *bytes, size_t size) { (void)VALGRIND_MAKE_MEM_UNDEFINED(bytes, size); }

void ctgrind_reveal(const void *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) {
    unsigned char undefined = 0;
    if (VALGRIND_GET_VBITS((const char *)bytes + i, &undefined, 1) != 1 || !undefined) continue;
    revealed++;
    break;
  }
  (void)VALGRIND_MAKE_MEM_DEFINED(bytes, size);
}

size_t ctgrind_revealed(void) { return revealed; }

#define AROUND(library, function) I_WRAP_SONAME_FNNAME_ZU(library, function)
#define LIBCRYPTO libcryptoZdsoZa /* libcrypto.so*, as valgrind spells it */
#define LIBARGON2 libargon2ZdsoZa

/* Equal or not: the client learns it from the answer. */
bool AROUND(NONE, dl_crypto_equal)(const void *presented, size_t presented_length, const void *kept, size_t kept_length);
bool AROUND(NONE, dl_crypto_equal)(const void *presented, size_t presented_length, const void *kept, size_t kept_length) {
  OrigFn function;
  unsigned long result;
  VALGRIND_GET_ORIG_FN(function);
  CALL_FN_W_WWWW(result, function, presented, presented_length, kept, kept_length);
  ctgrind_reveal(&result, sizeof(result));
  return (result & 0xff) != 0;
}

/* The same of GCM's tag: OpenSSL branches on it, and a cookie opens or does not. */
int AROUND(LIBCRYPTO, CRYPTO_memcmp)(const void *a, const void *b, size_t length);
int AROUND(LIBCRYPTO, CRYPTO_memcmp)(const void *a, const void *b, size_t length) {
  OrigFn function;
  unsigned long result;
  VALGRIND_GET_ORIG_FN(function);
  CALL_FN_W_WWW(result, function, a, b, length);
  ctgrind_reveal(&result, sizeof(result));
  return (int)result;
}

/* The name of a seal's key is derived from the secret and stands in each cookie. */
void AROUND(NONE, dl_hmac_compute)(void *hmac, dl_str bytes, unsigned char *out);
void AROUND(NONE, dl_hmac_compute)(void *hmac, dl_str bytes, unsigned char *out) {
  OrigFn function;
  unsigned long unused;
  VALGRIND_GET_ORIG_FN(function);
  CALL_FN_W_WWWW(unused, function, hmac, bytes.ptr, bytes.len, out); /* a dl_str goes in two registers */
  (void)unused;
  if (dl_str_equal(bytes, DL_STR("demilune seal 1: name"))) ctgrind_reveal(out, 4);
}

/* Ciphertext and tag are sent to the client. */
void AROUND(NONE, dl_xaes_encrypt)(void *xaes, const unsigned char *nonce, dl_str bound, dl_str plain, unsigned char *out);
void AROUND(NONE, dl_xaes_encrypt)(void *xaes, const unsigned char *nonce, dl_str bound, dl_str plain, unsigned char *out) {
  OrigFn function;
  unsigned long unused;
  VALGRIND_GET_ORIG_FN(function);
  CALL_FN_W_7W(unused, function, xaes, nonce, bound.ptr, bound.len, plain.ptr, plain.len, out);
  (void)unused;
  ctgrind_reveal(out, plain.len + 16);
}

/* From its second half on Argon2id chooses addresses by the password (RFC 9106 3.4):
 * that is its design, and not shown here. Inside it the password counts as public;
 * the digest that comes out is secret. */
int AROUND(LIBARGON2, argon2id_ctx)(argon2_context *context);
int AROUND(LIBARGON2, argon2id_ctx)(argon2_context *context) {
  OrigFn function;
  unsigned long result;
  VALGRIND_GET_ORIG_FN(function);
  (void)VALGRIND_MAKE_MEM_DEFINED(context->pwd, context->pwdlen);
  CALL_FN_W_W(result, function, context);
  ctgrind_hide(context->pwd, context->pwdlen);
  ctgrind_hide(context->out, context->outlen);
  return (int)result;
}
