/* SPDX-License-Identifier: MIT */
/*
 * Limits counted in Redis, exactly across machines: one script, one round trip for
 * all windows of a check. hiredis writes and reads the protocol; connecting, reading,
 * writing and deadlines are this folder's, on libuv (README.md says why). A store
 * that is slow, away, full or talks nonsense costs a check at most its deadline; what
 * then counts (the table, everybody, nobody) is the caller's choice.
 * Every function is for the loop thread.
 *
 * Needs of the system: a TCP or Unix connection to the store, name lookup; no files.
 */
#ifndef DL_LIMIT_REDIS_H
#define DL_LIMIT_REDIS_H

#include "base/needs.h"
#include "crypto/crypto.h"
#include "limit/limit.h"
#include "net/loop.h"

typedef struct dl_limit_redis dl_limit_redis;
typedef struct dl_limit_query dl_limit_query;

/* Zero fields mean the default in brackets. */
typedef struct dl_limit_redis_options {
  dl_str prefix;        /* begins every key, so that apps may share a store; up to 64 bytes [demilune] */
  uint32_t command_ms;  /* what a check may take [50] */
  uint32_t connect_ms;  /* what connecting and preparing may take, and how long a store may stay silent [1,000] */
  uint32_t backoff_ms;  /* pause after the first failure; doubles up to 100 times that [50] */
  uint32_t waiting_max; /* checks that may be under way [1,024] */
} dl_limit_redis_options;

/* For metrics. */
typedef struct dl_limit_redis_stats {
  uint64_t answered;    /* checks with a result */
  uint64_t failed;      /* sent, but late, cut off, refused by the store, or answered with nonsense */
  uint64_t unavailable; /* not sent: the store was away or slow, or too many were under way */
  uint64_t connections; /* made, from the first on */
} dl_limit_redis_stats;

/* Prepares a store; nothing is connected. url is one of
 *   redis://[[user]:password@]host[:port][/database]
 *   redis+unix://[[user]:password@]/path/to/socket[?db=database]
 * NULL with *error, a static sentence that says what to write, when it is neither.
 * crypto is borrowed. */
dl_limit_redis *dl_limit_redis_new(dl_loop *loop, const dl_crypto *crypto, dl_str url, const dl_limit_redis_options *options, const char **error);

/* What is wrong with an address, as dl_limit_redis_new would say; NULL: nothing. */
const char *dl_limit_redis_problem(dl_str url);

/* The TCP port that such an address connects to, 0 for a unix socket. False when it is
 * none. */
bool dl_limit_redis_where(dl_str url, uint16_t *port);

/* Connects, now and again after every failure, with a growing pause between. What
 * happens is logged, once for each trouble. settled, unless it is NULL, is called once:
 * when the store is ready, or when the first attempt has failed, maybe before this
 * returns; not after a close. */
void dl_limit_redis_start(dl_limit_redis *redis, void (*settled)(void *owner), void *owner);

/* Whether a check would be sent at this moment. */
bool dl_limit_redis_ready(const dl_limit_redis *redis);

/* Counts a request as dl_limit_check does. NULL, and nothing else happens, when the
 * store cannot be asked at this moment. Otherwise done is called exactly once, from
 * a later turn of the loop and within command_ms: with a result that lives during the
 * call, or with NULL when the store failed (it may have counted all the same). limits
 * must live until then; key is not kept. Tests that move the loop's clock move the
 * store's time for these checks as well. */
typedef void (*dl_limit_redis_done)(void *owner, const dl_limit_result *result);
dl_limit_query *dl_limit_redis_check(dl_limit_redis *redis, const dl_limit *limits, size_t count, dl_str key, dl_limit_redis_done done, void *owner);

/* done will not be called. For a query whose done was not called yet. */
void dl_limit_query_cancel(dl_limit_query *query);

dl_limit_redis_stats dl_limit_redis_read_stats(const dl_limit_redis *redis);

/* Disconnects. Checks under way fail before this returns; closed is called from a
 * later turn, after which redis is gone. */
void dl_limit_redis_close(dl_limit_redis *redis, void (*closed)(void *owner), void *owner);

extern const dl_needs dl_limit_redis_needs;

#endif
