/* SPDX-License-Identifier: MIT */
/*
 * The store: keeps a connection ready, sends checks, and sees to it that each is
 * answered in time, with a result or without. Answers come in the order of the
 * commands, so a queue says whose is next; a check that was given up stays in it
 * until its answer comes or the connection ends.
 */
#include "limit/redis_internal.h"

#include "base/memory.h"
#include "crypto/digest.h"

#include <stdio.h>
#include <stdlib.h>

enum {
  COMMAND_MS = 50,
  CONNECT_MS = 1000,
  BACKOFF_MS = 50,
  BACKOFF_GROWS = 100,
  WAITING_MAX = 1024,
  PREFIX_MAX = 64,
  TROUBLE_AGAIN_MS = 10000, /* the same trouble is logged this often at most */
  TROUBLES_MAX = 5,         /* and so many different ones meanwhile: a server may give each check a reason of its own */
};

/* SLOW: connected, but an answer is overdue; nothing is sent until it comes. */
typedef enum store_state { STATE_IDLE, STATE_AWAY, STATE_CONNECTING, STATE_READY, STATE_SLOW, STATE_CLOSING } store_state;

struct dl_limit_query {
  dl_limit_query *next;
  dl_limit_redis *redis;
  dl_redis_check check;
  dl_limit_redis_done done; /* NULL: cancelled */
  void *owner;
  uint64_t expires_ms;
  bool given_up; /* done was called; the answer falls */
  bool whole;    /* sent with the script's text, which the store did not have */
};

struct dl_limit_redis {
  dl_loop *loop;
  const dl_crypto *crypto;
  dl_redis_address address;
  dl_limit_redis_options options;
  char prefix[PREFIX_MAX + 1], sha[DL_REDIS_SHA_BYTES + 1];
  store_state state;
  dl_redis_link *link;
  uint32_t greetings;           /* answers that come before the store is ready */
  uint32_t attempt, backoff_ms; /* connections tried; next pause */
  dl_limit_query *first, **last;
  uint32_t waiting, overdue; /* in the queue; given up, of these */
  uint64_t heard_ms;   /* when the last answer came, or the connection was ready */
  bool grace;          /* an answer may lie unread in the kernel: one more turn */
  uv_timer_t timer;    /* pause, deadline of connecting, or of the queue, by the state */
  uv_prepare_t leave;  /* sends what a turn has queued in one write */
  dl_limit_redis_stats stats;
  char trouble[DL_REDIS_REASON_BYTES]; /* last logged */
  uint64_t trouble_ms, troubles_since_ms;
  unsigned troubles;      /* logged since then */
  uint64_t away_since_ms; /* 0: nothing is wrong */
  bool told;              /* of the trouble there is */
  void (*settled)(void *owner); /* NULL once called */
  void *settled_owner;
  void (*closed)(void *owner);
  void *closed_owner;
  int open_handles;
};

static uint64_t now_ms(void) { return uv_hrtime() / 1000000u; }

/* --- log ------------------------------------------------------------------------------- */

static void append_address(const dl_limit_redis *redis, char out[160]) {
  const dl_redis_address *address = &redis->address;
  if (address->path) snprintf(out, 160, "%s", address->path);
  else snprintf(out, 160, "%.120s:%u", address->host, (unsigned)address->port);
}

static void say(dl_limit_redis *redis, dl_log_level level, const char *message, const char *reason, uint64_t away_ms) {
  dl_log *log = &redis->loop->log;
  char address[160];
  append_address(redis, address);
  if (!dl_log_begin(log, level, dl_str_of(message))) return;
  dl_log_field(log, "store", dl_str_of(address));
  if (reason) dl_log_field(log, "reason", dl_str_of(reason));
  if (away_ms) dl_log_field_int(log, "away_ms", (int64_t)away_ms);
  dl_log_end(log);
}

static bool may_tell(dl_limit_redis *redis, const char *reason, uint64_t now) {
  if (strcmp(redis->trouble, reason) == 0 && now < redis->trouble_ms + TROUBLE_AGAIN_MS) return false;
  if (!redis->troubles || now >= redis->troubles_since_ms + TROUBLE_AGAIN_MS) {
    redis->troubles_since_ms = now;
    redis->troubles = 0;
  }
  return redis->troubles++ < TROUBLES_MAX;
}

/* A store that stays away is not told of at every attempt, nor one that refuses at every
 * check. said is a server's: it may be long, and other than the last. */
static void say_trouble(dl_limit_redis *redis, const char *said) {
  char reason[DL_REDIS_REASON_BYTES];
  uint64_t now = now_ms();
  snprintf(reason, sizeof(reason), "%s", said);
  if (!redis->away_since_ms) redis->away_since_ms = now;
  if (!may_tell(redis, reason, now)) return;
  memcpy(redis->trouble, reason, sizeof(reason));
  redis->trouble_ms = now;
  redis->told = true;
  say(redis, DL_LOG_WARNING, "Redis cannot be asked about limits; on_store_failure decides", reason, 0);
}

static void say_well(dl_limit_redis *redis) {
  if (!redis->away_since_ms) return;
  uint64_t away_ms = now_ms() - redis->away_since_ms;
  redis->away_since_ms = 0;
  if (redis->told) say(redis, DL_LOG_INFO, "Redis counts limits again", NULL, away_ms ? away_ms : 1);
  redis->told = false;
}

/* --- the queue -------------------------------------------------------------------------- */

static void push(dl_limit_redis *redis, dl_limit_query *query) {
  query->next = NULL;
  *redis->last = query;
  redis->last = &query->next;
  redis->waiting++;
}

static dl_limit_query *shift(dl_limit_redis *redis) {
  dl_limit_query *query = redis->first;
  redis->first = query->next;
  if (!redis->first) redis->last = &redis->first;
  redis->waiting--;
  return query;
}

/* Calls back once; a query that was given up or cancelled has nobody to call. */
static void settle(dl_limit_query *query, const dl_limit_result *result) {
  dl_limit_redis *redis = query->redis;
  if (query->given_up) return;
  query->given_up = true;
  if (result) redis->stats.answered++;
  else redis->stats.failed++;
  if (query->done) query->done(query->owner, result);
}

static void fail_all(dl_limit_redis *redis) {
  while (redis->first) {
    dl_limit_query *query = shift(redis);
    settle(query, NULL);
    dl_free(query);
  }
  redis->overdue = 0;
}

void dl_limit_query_cancel(dl_limit_query *query) { query->done = NULL; }

/* --- connecting ------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer);
static void on_leave(uv_prepare_t *leave);
static const dl_redis_link_events link_events;

static void settle_start(dl_limit_redis *redis) {
  void (*settled)(void *owner) = redis->settled;
  redis->settled = NULL;
  if (settled) settled(redis->settled_owner);
}

static void set_timer(dl_limit_redis *redis, uint64_t ms) { uv_timer_start(&redis->timer, on_timer, ms, 0); }

/* Pauses grow, and differ by up to a quarter, so that workers do not come back to a
 * restarted store in step. */
static void go_away(dl_limit_redis *redis, const char *reason) {
  redis->state = STATE_AWAY;
  redis->link = NULL;
  uv_prepare_stop(&redis->leave);
  say_trouble(redis, reason);
  uint64_t pause_ms = redis->backoff_ms + uv_hrtime() / 1000 % (redis->backoff_ms / 4 + 1);
  if (redis->backoff_ms < redis->options.backoff_ms * BACKOFF_GROWS) redis->backoff_ms *= 2;
  set_timer(redis, pause_ms);
  fail_all(redis);
  settle_start(redis);
}

static void drop(dl_limit_redis *redis, const char *reason) {
  dl_redis_link_close(redis->link);
  go_away(redis, reason);
}

static void connect_now(dl_limit_redis *redis) {
  char reason[DL_REDIS_REASON_BYTES];
  redis->state = STATE_CONNECTING;
  redis->link = dl_redis_link_open(redis->loop->uv, &redis->address, redis->attempt++, &link_events, redis, reason);
  if (redis->link) set_timer(redis, redis->options.connect_ms);
  else go_away(redis, reason);
}

static void greet(dl_limit_redis *redis, int argc, const char *first, const char *second, const char *third) {
  const char *argv[3] = {first, second, third};
  size_t lengths[3];
  for (int i = 0; i < argc; i++) lengths[i] = strlen(argv[i]);
  dl_redis_link_command(redis->link, argc, argv, lengths);
  redis->greetings++;
}

/* All at once: one round trip until the store is ready. */
static void on_connected(void *owner) {
  dl_limit_redis *redis = owner;
  const dl_redis_address *address = &redis->address;
  char database[12];
  snprintf(database, sizeof(database), "%u", (unsigned)address->database);
  redis->greetings = 0;
  if (address->user) greet(redis, 3, "AUTH", address->user, address->password);
  else if (address->password) greet(redis, 2, "AUTH", address->password, NULL);
  if (address->database) greet(redis, 2, "SELECT", database, NULL);
  greet(redis, 3, "SCRIPT", "LOAD", dl_redis_script().ptr);
  dl_redis_link_flush(redis->link);
}

static void become_ready(dl_limit_redis *redis) {
  redis->state = STATE_READY;
  redis->backoff_ms = redis->options.backoff_ms;
  redis->heard_ms = now_ms();
  redis->stats.connections++;
  uv_timer_stop(&redis->timer);
  say_well(redis);
  settle_start(redis);
}

/* The last greeting's answer is the script's digest. */
static void on_greeted(dl_limit_redis *redis, const redisReply *reply) {
  bool is_last = --redis->greetings == 0;
  if (reply->type == REDIS_REPLY_ERROR) {
    drop(redis, reply->str);
  } else if (!is_last) {
    return;
  } else if (reply->type != REDIS_REPLY_STRING || reply->len != DL_REDIS_SHA_BYTES) {
    drop(redis, "it answers with nonsense: no digest of the script");
  } else {
    memcpy(redis->sha, reply->str, DL_REDIS_SHA_BYTES);
    become_ready(redis);
  }
}

static void on_link_failed(void *owner, const char *reason) { go_away(owner, reason); }

/* --- answers ---------------------------------------------------------------------------- */

/* Sent again with the text: the store was restarted or emptied behind our back. */
static bool resend(dl_limit_query *query, const redisReply *reply) {
  dl_limit_redis *redis = query->redis;
  if (query->whole || query->given_up || !dl_str_starts(dl_str_from(reply->str, reply->len), DL_STR("NOSCRIPT"))) return false;
  query->whole = true;
  dl_redis_script_send(redis->link, dl_str_of(redis->prefix), &query->check, NULL);
  uv_prepare_start(&redis->leave, on_leave);
  push(redis, query);
  return true;
}

static void answer(dl_limit_query *query, const redisReply *reply) {
  dl_limit_redis *redis = query->redis;
  dl_limit_result result;
  if (reply->type == REDIS_REPLY_ERROR) {
    if (resend(query, reply)) return;
    say_trouble(redis, reply->str);
    settle(query, NULL);
  } else if (dl_redis_script_result(&query->check, reply, &result)) {
    say_well(redis);
    settle(query, &result);
  } else {
    /* Who answers one command with nonsense may be answering another. */
    settle(query, NULL);
    if (redis->link) drop(redis, "it answers with nonsense: not what the script says");
  }
  dl_free(query);
}

static void on_reply(void *owner, const redisReply *reply) {
  dl_limit_redis *redis = owner;
  redis->heard_ms = now_ms();
  if (redis->greetings) {
    on_greeted(redis, reply);
    return;
  }
  if (!redis->first) {
    drop(redis, reply->type == REDIS_REPLY_ERROR ? reply->str : "it answers with nonsense: nothing was asked");
    return;
  }
  dl_limit_query *query = shift(redis);
  if (query->given_up && --redis->overdue == 0 && redis->state == STATE_SLOW) redis->state = STATE_READY;
  answer(query, reply);
}

static const dl_redis_link_events link_events = {.connected = on_connected, .reply = on_reply, .failed = on_link_failed};

/* --- deadlines -------------------------------------------------------------------------- */

/* Gives up what is overdue. The callbacks may send, cancel or close. */
static void expire(dl_limit_redis *redis, uint64_t now) {
  for (dl_limit_query *query = redis->first; query; query = query->next) {
    if (query->expires_ms > now || query->given_up) continue;
    redis->state = STATE_SLOW;
    redis->overdue++;
    settle(query, NULL);
    if (redis->state != STATE_SLOW) return; /* closed: the queue is gone */
  }
  if (redis->overdue) say_trouble(redis, "it is slow");
}

/* The next moment at which something is due: a deadline, or that of a silent store. */
static void set_next_deadline(dl_limit_redis *redis, uint64_t now) {
  uint64_t next = UINT64_MAX;
  for (const dl_limit_query *query = redis->first; query; query = query->next)
    if (!query->given_up && query->expires_ms < next) next = query->expires_ms;
  if (redis->state == STATE_SLOW && redis->heard_ms + redis->options.connect_ms < next) next = redis->heard_ms + redis->options.connect_ms;
  if (next != UINT64_MAX) set_timer(redis, next > now ? next - now : 1);
}

/* The timer runs before the loop reads. When the loop itself was held up, the answers
 * may have come in time and lie in the kernel: they are read first. */
static void on_deadline(dl_limit_redis *redis) {
  uint64_t now = now_ms();
  bool due = redis->state == STATE_SLOW && redis->heard_ms + redis->options.connect_ms <= now;
  for (const dl_limit_query *query = redis->first; query && !due; query = query->next) due = !query->given_up && query->expires_ms <= now;
  if (due && !redis->grace) {
    redis->grace = true;
    set_timer(redis, 1); /* with 0 libuv 1.44 would call again before it reads */
    return;
  }
  redis->grace = false;
  if (redis->state == STATE_SLOW && redis->heard_ms + redis->options.connect_ms <= now) {
    drop(redis, "it does not answer");
    return;
  }
  expire(redis, now);
  if (redis->state == STATE_READY || redis->state == STATE_SLOW) set_next_deadline(redis, now);
}

static void on_timer(uv_timer_t *timer) {
  dl_limit_redis *redis = timer->data;
  switch (redis->state) {
    case STATE_AWAY: connect_now(redis); break;
    case STATE_CONNECTING: drop(redis, "it does not answer"); break;
    case STATE_READY:
    case STATE_SLOW: on_deadline(redis); break;
    default: break;
  }
}

/* --- checks ------------------------------------------------------------------------------- */

static void on_leave(uv_prepare_t *leave) {
  dl_limit_redis *redis = leave->data;
  uv_prepare_stop(leave);
  if (redis->link) dl_redis_link_flush(redis->link);
}

/* What is stored and logged of a key (an address, an API key) is a digest. */
static void digest_key(const dl_crypto *crypto, dl_str key, char out[DL_REDIS_DIGEST_BYTES]) {
  static const char hex[] = "0123456789abcdef";
  unsigned char digest[DL_DIGEST_MAX];
  dl_digest(crypto, DL_DIGEST_SHA256, key, digest);
  for (size_t i = 0; i < DL_REDIS_DIGEST_BYTES; i++) out[i] = hex[i % 2 ? digest[i / 2] & 15 : digest[i / 2] >> 4];
}

bool dl_limit_redis_ready(const dl_limit_redis *redis) { return redis->state == STATE_READY && redis->waiting < redis->options.waiting_max; }

dl_limit_query *dl_limit_redis_check(dl_limit_redis *redis, const dl_limit *limits, size_t count, dl_str key, dl_limit_redis_done done, void *owner) {
  if (!dl_limit_redis_ready(redis) || count == 0 || count > DL_LIMIT_WINDOWS_MAX) {
    redis->stats.unavailable++;
    return NULL;
  }
  dl_limit_query *query = dl_calloc(1, sizeof(*query));
  query->redis = redis;
  query->check = (dl_redis_check){.limits = limits, .count = count, .moved_us = redis->loop->clock.moved_ms * 1000};
  query->done = done;
  query->owner = owner;
  query->expires_ms = now_ms() + redis->options.command_ms;
  digest_key(redis->crypto, key, query->check.digest);
  dl_redis_script_send(redis->link, dl_str_of(redis->prefix), &query->check, redis->sha);
  uv_prepare_start(&redis->leave, on_leave);
  if (!redis->first) {
    redis->heard_ms = now_ms(); /* silence counts from the first that waits */
    redis->grace = false;
    set_timer(redis, redis->options.command_ms);
  }
  push(redis, query);
  return query;
}

/* --- from beginning to end ------------------------------------------------------------------ */

static uint32_t or_default(uint32_t value, uint32_t otherwise) { return value ? value : otherwise; }

static void free_parts(dl_limit_redis *redis) {
  dl_redis_address_free(&redis->address);
  dl_free(redis);
}

dl_limit_redis *dl_limit_redis_new(dl_loop *loop, const dl_crypto *crypto, dl_str url, const dl_limit_redis_options *options, const char **error) {
  dl_limit_redis *redis = dl_calloc(1, sizeof(*redis));
  redis->loop = loop;
  redis->crypto = crypto;
  redis->last = &redis->first;
  redis->options = (dl_limit_redis_options){
      .command_ms = or_default(options->command_ms, COMMAND_MS),
      .connect_ms = or_default(options->connect_ms, CONNECT_MS),
      .backoff_ms = or_default(options->backoff_ms, BACKOFF_MS),
      .waiting_max = or_default(options->waiting_max, WAITING_MAX),
  };
  redis->backoff_ms = redis->options.backoff_ms;
  dl_str prefix = options->prefix.len ? options->prefix : DL_STR("demilune");
  *error = dl_redis_address_parse(url, &redis->address);
  if (!*error && prefix.len > PREFIX_MAX) *error = "the prefix of Redis keys is too long; write up to 64 bytes";
  if (*error) {
    free_parts(redis);
    return NULL;
  }
  memcpy(redis->prefix, prefix.ptr, prefix.len);
  uv_timer_init(loop->uv, &redis->timer);
  uv_prepare_init(loop->uv, &redis->leave);
  redis->timer.data = redis->leave.data = redis;
  redis->open_handles = 2;
  return redis;
}

const char *dl_limit_redis_problem(dl_str url) {
  dl_redis_address address;
  const char *problem = dl_redis_address_parse(url, &address);
  dl_redis_address_free(&address);
  return problem;
}

bool dl_limit_redis_where(dl_str url, uint16_t *port) {
  dl_redis_address address;
  bool known = dl_redis_address_parse(url, &address) == NULL;
  *port = known && !address.path ? (uint16_t)address.port : 0;
  dl_redis_address_free(&address);
  return known;
}

void dl_limit_redis_start(dl_limit_redis *redis, void (*settled)(void *owner), void *owner) {
  redis->settled = settled;
  redis->settled_owner = owner;
  connect_now(redis);
}

dl_limit_redis_stats dl_limit_redis_read_stats(const dl_limit_redis *redis) { return redis->stats; }

static void on_closed(uv_handle_t *handle) {
  dl_limit_redis *redis = handle->data;
  if (--redis->open_handles) return;
  if (redis->closed) redis->closed(redis->closed_owner);
  free_parts(redis);
}

void dl_limit_redis_close(dl_limit_redis *redis, void (*closed)(void *owner), void *owner) {
  redis->state = STATE_CLOSING;
  redis->settled = NULL;
  redis->closed = closed;
  redis->closed_owner = owner;
  if (redis->link) dl_redis_link_close(redis->link);
  redis->link = NULL;
  fail_all(redis);
  uv_close((uv_handle_t *)&redis->timer, on_closed);
  uv_close((uv_handle_t *)&redis->leave, on_closed);
}
