/* SPDX-License-Identifier: MIT */
/*
 * The Idempotency-Key field (draft-ietf-httpapi-idempotency-key-header): what a
 * client calls one thing that it wants done, so that sending it again is not doing
 * it again.
 */
#ifndef DL_HTTP_IDEMPOTENCY_KEY_H
#define DL_HTTP_IDEMPOTENCY_KEY_H

#include "base/arena.h"
#include "http/request.h"

enum { DL_IDEMPOTENCY_KEY_MAX = 255 }; /* bytes */

/* The key: 1 to 255 characters of a string (RFC 9651 3.3.3), or, as many clients send
 * it, the same without quotes, without "," ";" and spaces. Lies in the request, or in
 * the arena when it held escapes; ptr NULL when there is no such field. NULL, or a
 * static sentence: what is wrong, and what to send. */
const char *dl_http_idempotency_key(const dl_http_request *request, dl_arena *arena, dl_str *key);

#endif
