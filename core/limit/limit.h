/* SPDX-License-Identifier: MIT */
/*
 * Limits: may this request pass, and what is the client told about it.
 * The table in shared memory answers at once (table.h); a Redis store answers
 * later (redis.h) with the same result. README.md shows how a pipeline uses both.
 */
#ifndef DL_LIMIT_LIMIT_H
#define DL_LIMIT_LIMIT_H

#include "base/buffer.h"
#include "limit/rule.h"

/* Of the limit that binds the client most: of those that refuse the one that does
 * so longest, else the one with the fewest units left. */
typedef struct dl_limit_result {
  bool allowed;
  const dl_limit *limit;  /* one of those given; count, window and name are there */
  uint32_t remaining;     /* units left after this request */
  uint32_t reset_s;       /* until more units are there; 0 when all are */
  uint32_t retry_after_s; /* until the same request would pass, 0 when it did */
} dl_limit_result;

enum { DL_LIMIT_KEY_BYTES = 9 };

/* Whom an address stands for: an IPv4 address for itself, an IPv6 address for its
 * /64 (the least that one customer is given, RFC 6177), an IPv4 address inside an
 * IPv6 one (::ffff:0:0/96, 64:ff9b::/96) for the IPv4 address. The key is written
 * to out. What is no address (a Unix socket's peer) is its own key, and stays where
 * it is. */
dl_str dl_limit_client_key(dl_str address, char out[DL_LIMIT_KEY_BYTES]);

/* "RateLimit-Policy: ...\r\n" (draft-ietf-httpapi-ratelimit-headers-10, 3), to be
 * made at load and sent as it is. Nothing for no limits. */
void dl_limit_write_policy(dl_buffer *out, const dl_limit *limits, size_t count);

/* "RateLimit: ...\r\n" (section 4) with an item for each of several results (what
 * was counted by client, what by principal), and "Retry-After: ...\r\n" (RFC 9110
 * 10.2.3) when one of them refuses. Results without a limit are left out. */
void dl_limit_write_fields(dl_buffer *out, const dl_limit_result *results, size_t count);

#endif
