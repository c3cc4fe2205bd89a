/* SPDX-License-Identifier: MIT */
/*
 * What is asked of Redis: one script that counts a request against all windows of
 * its check, or against none. It does in Lua what window.h does in C, in the same
 * words; its time is the store's own, so that machines need not agree on theirs.
 * What is refused is not stored, but for a window that a clock's going back opened
 * anew: else it would be opened at each check, and be as full for as long.
 * All keys of a check share a hash tag, and so a node of a cluster.
 */
#include "limit/redis_internal.h"

#include <stdio.h>

enum { ARGUMENTS = 4, KEY_BYTES = 64 + DL_REDIS_DIGEST_BYTES + 24, NUMBER_BYTES = 24 };

static const char script[] =
    "local time = redis.call('TIME')\n"
    "local now = time[1] * 1000000 + time[2] + ARGV[1]\n"
    "local answer, windows = {1}, {}\n"
    "for i, key in ipairs(KEYS) do\n"
    "  local at = i * 4 - 2\n"
    "  local count, cost, length, fixed = ARGV[at] + 0, ARGV[at + 1] + 0, ARGV[at + 2] * 1000000, ARGV[at + 3] == '1'\n"
    "  local start, current, previous = now, 0, 0\n"
    "  local stored = redis.call('GET', key)\n"
    "  if stored then\n"
    "    start, current, previous = string.match(stored, '^(%d+) (%d+) (%d+)$')\n"
    "    if not start then return redis.error_reply('ERR the value of ' .. key .. ' is not a window of a limit') end\n"
    "    start, current, previous = start + 0, current + 0, previous + 0\n"
    "  end\n"
    "  local anew = start > now + length\n"
    "  if anew then start = now end\n"
    "  local elapsed = math.max(now - start, 0)\n"
    "  if elapsed >= length then\n"
    "    if not fixed and elapsed < 2 * length then start, previous = start + length, current else start, previous = now, 0 end\n"
    "    current, elapsed = 0, now - start\n"
    "  end\n"
    "  local used = current\n"
    "  if previous > 0 and not fixed then used = used + math.floor((previous * (length - elapsed) - 1) / length) end\n"
    "  if used + cost > count then answer[1] = 0 end\n"
    "  windows[i] = {start, current, previous, cost, start + (fixed and length or 2 * length), elapsed, anew}\n"
    "end\n"
    "for i, key in ipairs(KEYS) do\n"
    "  local start, current, previous, cost, ends, elapsed, anew = unpack(windows[i])\n"
    "  if answer[1] == 1 then current = current + cost end\n"
    "  if answer[1] == 1 or anew then\n"
    "    redis.call('SET', key, string.format('%.0f %.0f %.0f', start, current, previous), 'PX', string.format('%.0f', math.ceil((ends - now) / 1000)))\n"
    "  end\n"
    "  answer[#answer + 1] = current\n"
    "  answer[#answer + 1] = previous\n"
    "  answer[#answer + 1] = elapsed\n"
    "end\n"
    "return answer\n";

dl_str dl_redis_script(void) { return DL_STR(script); }

/* The command's words, and the memory of those that are made. */
typedef struct words {
  int count;
  const char *text[3 + 1 + DL_LIMIT_WINDOWS_MAX * (1 + ARGUMENTS)];
  size_t lengths[3 + 1 + DL_LIMIT_WINDOWS_MAX * (1 + ARGUMENTS)];
  char keys[DL_LIMIT_WINDOWS_MAX][KEY_BYTES];
  char numbers[2 + DL_LIMIT_WINDOWS_MAX * ARGUMENTS][NUMBER_BYTES];
  size_t number_count;
} words;

static void add(words *w, const char *text, size_t length) {
  w->text[w->count] = text;
  w->lengths[w->count++] = length;
}

static void add_number(words *w, int64_t number) {
  char *text = w->numbers[w->number_count++];
  add(w, text, (size_t)snprintf(text, NUMBER_BYTES, "%lld", (long long)number));
}

void dl_redis_script_send(dl_redis_link *link, dl_str prefix, const dl_redis_check *check, const char *sha) {
  words w;
  w.count = 0, w.number_count = 0;
  add(&w, sha ? "EVALSHA" : "EVAL", sha ? 7 : 4);
  add(&w, sha ? sha : script, sha ? DL_REDIS_SHA_BYTES : sizeof(script) - 1);
  add_number(&w, (int64_t)check->count);
  for (size_t i = 0; i < check->count; i++)
    add(&w, w.keys[i],
        (size_t)snprintf(w.keys[i], KEY_BYTES, "%.*s:{%.*s}:%016llx", DL_STR_ARGS(prefix), DL_REDIS_DIGEST_BYTES, check->digest,
                         (unsigned long long)check->limits[i].id));
  add_number(&w, check->moved_us);
  for (size_t i = 0; i < check->count; i++) {
    const dl_limit *limit = &check->limits[i];
    add_number(&w, limit->count);
    add_number(&w, limit->cost);
    add_number(&w, limit->seconds);
    add_number(&w, limit->fixed);
  }
  dl_redis_link_command(link, w.count, w.text, w.lengths);
}

static bool read_integer(const redisReply *reply, size_t index, uint64_t max, uint64_t *out) {
  const redisReply *element = reply->element[index];
  if (!element || element->type != REDIS_REPLY_INTEGER || element->integer < 0 || (uint64_t)element->integer > max) return false;
  *out = (uint64_t)element->integer;
  return true;
}

/* The numbers of one window, as a window that opened at 0. */
static bool read_window(const redisReply *reply, size_t index, const dl_limit *limit, dl_window *window, uint64_t *elapsed_us) {
  uint64_t current, previous;
  if (!read_integer(reply, 1 + 3 * index, DL_LIMIT_COUNT_MAX, &current)) return false;
  if (!read_integer(reply, 2 + 3 * index, DL_LIMIT_COUNT_MAX, &previous)) return false;
  if (!read_integer(reply, 3 + 3 * index, dl_window_length(limit) - 1, elapsed_us)) return false;
  *window = (dl_window){.current = (uint32_t)current, .previous = (uint32_t)previous};
  return true;
}

bool dl_redis_script_result(const dl_redis_check *check, const redisReply *reply, dl_limit_result *result) {
  uint64_t allowed, elapsed_us;
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 1 + 3 * check->count || !read_integer(reply, 0, 1, &allowed)) return false;
  *result = (dl_limit_result){.allowed = allowed};
  for (size_t i = 0; i < check->count; i++) {
    const dl_limit *limit = &check->limits[i];
    dl_window window;
    if (!read_window(reply, i, limit, &window, &elapsed_us)) return false;
    bool full = dl_window_used(&window, dl_window_length(limit), limit->fixed, elapsed_us) + limit->cost > limit->count;
    if (allowed || full) dl_limit_judge(result, limit, &window, elapsed_us, allowed);
  }
  return result->limit != NULL; /* a refusal has a reason */
}
