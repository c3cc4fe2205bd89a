/* SPDX-License-Identifier: MIT */
/*
 * The Redis store inside: an address (redis_url.c), one connection at a time
 * (redis_link.c), what is said over it (redis_script.c), and the store that keeps
 * all three going (redis.c).
 */
#ifndef DL_LIMIT_REDIS_INTERNAL_H
#define DL_LIMIT_REDIS_INTERNAL_H

#include "limit/internal.h"
#include "limit/redis.h"

#include <hiredis/hiredis.h>

/* --- address ---------------------------------------------------------------------- */

typedef struct dl_redis_address {
  char *host, *user, *password, *path; /* owned; NULL where not given; path for a Unix socket, host otherwise */
  uint32_t port, database;
} dl_redis_address;

/* NULL, or a static sentence; address must be freed in both cases. */
const char *dl_redis_address_parse(dl_str url, dl_redis_address *address);
void dl_redis_address_free(dl_redis_address *address);

/* --- connection --------------------------------------------------------------------- */

enum { DL_REDIS_REASON_BYTES = 128 };

/* One connection, from looking up the name on. Frees itself some turns after it was
 * closed, however far it had come. */
typedef struct dl_redis_link dl_redis_link;

typedef struct dl_redis_link_events {
  void (*connected)(void *owner);
  void (*reply)(void *owner, const redisReply *reply); /* may close the link */
  void (*failed)(void *owner, const char *reason);     /* once; the link is closed already */
} dl_redis_link_events;

/* Begins to connect; attempt picks among a name's addresses. NULL, with the reason,
 * when that fails at once; events are called from later turns only. */
dl_redis_link *dl_redis_link_open(uv_loop_t *loop, const dl_redis_address *address, uint32_t attempt, const dl_redis_link_events *events, void *owner,
                                  char reason[DL_REDIS_REASON_BYTES]);

/* Queues a command; what was queued leaves with the next dl_redis_link_flush. */
void dl_redis_link_command(dl_redis_link *link, int argc, const char **argv, const size_t *lengths);
void dl_redis_link_flush(dl_redis_link *link);

/* Nothing is called back afterwards. */
void dl_redis_link_close(dl_redis_link *link);

/* --- script ------------------------------------------------------------------------- */

enum { DL_REDIS_SHA_BYTES = 40, DL_REDIS_DIGEST_BYTES = 32 };

dl_str dl_redis_script(void);

/* A check as it stands in a command. */
typedef struct dl_redis_check {
  const dl_limit *limits;
  size_t count;
  int64_t moved_us;                   /* how far the clock was moved */
  char digest[DL_REDIS_DIGEST_BYTES]; /* of the key, in hexadecimal */
} dl_redis_check;

/* Queues EVALSHA with the script's digest, or EVAL with its text when sha is NULL. */
void dl_redis_script_send(dl_redis_link *link, dl_str prefix, const dl_redis_check *check, const char *sha);

/* False when the reply is nothing that the script answers. */
bool dl_redis_script_result(const dl_redis_check *check, const redisReply *reply, dl_limit_result *result);

#endif
