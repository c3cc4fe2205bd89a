/* SPDX-License-Identifier: MIT */
/* The grammar of limits. What is wrong is told in one sentence with what to write. */
#include "limit/rule.h"

#include "base/hash.h"

#include <stdarg.h>
#include <stdio.h>

enum { NAME_PREFIX_MAX = 24 };

typedef struct unit {
  const char *name;
  uint32_t seconds;
} unit;

static const unit units[] = {{"second", 1}, {"minute", 60}, {"hour", 3600}, {"day", 86400}};

/* What people write for what they mean. */
static const struct {
  const char *word, *instead;
} near_units[] = {
    {"s", "second"},  {"sec", "second"},  {"secs", "seconds"}, {"m", "minute"},       {"min", "minute"},       {"mins", "minutes"},
    {"h", "hour"},    {"hr", "hour"},     {"hrs", "hours"},    {"d", "day"},          {"w", "7 days"},         {"week", "7 days"},
    {"weeks", "7 days"}, {"month", "30 days"}, {"months", "30 days"}, {"year", "31 days at most"}, {"years", "31 days at most"},
};

typedef struct reader {
  const char *at, *end;
  dl_str text; /* all of it, for messages */
  char *error;
} reader;

/* Says what is wrong. The text is quoted as far as it is printable: it may come
 * from anywhere, and the message goes to a terminal. */
__attribute__((format(printf, 2, 3))) static bool wrong(const reader *r, const char *format, ...) {
  char shown[49], reason[160];
  size_t length = r->text.len < sizeof(shown) - 1 ? r->text.len : sizeof(shown) - 1;
  for (size_t i = 0; i < length; i++) shown[i] = r->text.ptr[i] >= ' ' && r->text.ptr[i] <= '~' ? r->text.ptr[i] : '?';
  shown[length] = '\0';
  va_list args;
  va_start(args, format);
  vsnprintf(reason, sizeof(reason), format, args);
  va_end(args);
  snprintf(r->error, DL_LIMIT_ERROR_BYTES, "limit \"%s%s\" %s", shown, length < r->text.len ? "..." : "", reason);
  return false;
}

static void skip_blanks(reader *r) {
  while (r->at < r->end && (*r->at == ' ' || (*r->at >= '\t' && *r->at <= '\r'))) r->at++;
}

static bool is_digit(const reader *r) { return r->at < r->end && *r->at >= '0' && *r->at <= '9'; }

/* A number that is over every bound stays over it, whatever its length. */
static uint64_t read_number(reader *r) {
  uint64_t number = 0;
  while (is_digit(r)) {
    if (number < UINT32_MAX) number = number * 10 + (uint64_t)(*r->at - '0');
    r->at++;
  }
  return number;
}

static dl_str read_word(reader *r) {
  const char *begin = r->at;
  while (r->at < r->end && dl_ascii_lower(*r->at) >= 'a' && dl_ascii_lower(*r->at) <= 'z') r->at++;
  return dl_str_from(begin, (size_t)(r->at - begin));
}

static bool read_count(reader *r, dl_limit *limit) {
  skip_blanks(r);
  if (!is_digit(r)) return wrong(r, "does not say how many requests pass; begin with a number, as in \"5/minute\"");
  uint64_t count = read_number(r);
  if (count == 0) return wrong(r, "lets nobody in; write 1 or more, or leave the route out");
  if (count > DL_LIMIT_COUNT_MAX) return wrong(r, "counts too far; write at most %d, over a shorter time if need be", DL_LIMIT_COUNT_MAX);
  limit->count = (uint32_t)count;
  return true;
}

static bool read_per(reader *r) {
  skip_blanks(r);
  if (r->at < r->end && *r->at == '/') {
    r->at++;
    return true;
  }
  dl_str word = read_word(r);
  if (dl_str_equal_nocase(word, DL_STR("per"))) return true;
  return wrong(r, "does not say in what time; write \"/\" or \"per\" and a unit behind the number, as in \"5/minute\" or \"5 per minute\"");
}

static const unit *find_unit(dl_str word) {
  if (word.len > 1 && dl_ascii_lower(word.ptr[word.len - 1]) == 's') word.len--;
  for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
    if (dl_str_equal_nocase(word, dl_str_of(units[i].name))) return &units[i];
  return NULL;
}

static bool wrong_unit(const reader *r, dl_str word) {
  if (word.len == 0) return wrong(r, "has no unit of time; write second, minute, hour or day, as in \"5/minute\"");
  for (size_t i = 0; i < sizeof(near_units) / sizeof(*near_units); i++)
    if (dl_str_equal_nocase(word, dl_str_of(near_units[i].word)))
      return wrong(r, "has a unit that is not known; write %s instead of %s", near_units[i].instead, near_units[i].word);
  return wrong(r, "has a unit that is not known; write second, minute, hour or day, as in \"5/minute\"");
}

/* Gives the window's length and what the client reads as its name. */
static bool read_window(reader *r, dl_limit *limit, const char *prefix) {
  skip_blanks(r);
  bool multiple = is_digit(r);
  uint64_t times = multiple ? read_number(r) : 1;
  skip_blanks(r);
  dl_str word = read_word(r);
  const unit *found = find_unit(word);
  if (!found) return wrong_unit(r, word);
  if (times == 0) return wrong(r, "has a window of no length; write 1 %s or more", found->name);
  if (times * found->seconds > DL_LIMIT_SECONDS_MAX) return wrong(r, "has a window that is too long; write at most 31 days");
  limit->seconds = (uint32_t)times * found->seconds;
  char window[32];
  if (times == 1) snprintf(window, sizeof(window), "%s", found->name);
  else snprintf(window, sizeof(window), "%u %ss", (unsigned)times, found->name);
  snprintf(limit->name, sizeof(limit->name), "%s%s%u/%s", prefix, *prefix ? " " : "", limit->count, window);
  return true;
}

/* The scope is hashed under a constant: the same rule must have the same id in
 * every process and machine, and who writes rules is not an attacker. */
static uint64_t make_id(dl_str scope, const dl_limit *limit) {
  uint64_t key[2] = {limit->seconds, limit->fixed}, id[2];
  dl_hash128(key, scope, id);
  return id[0];
}

static bool same_window(const reader *r, const dl_limit *limits, size_t count) {
  for (size_t i = 0; i + 1 < count; i++)
    if (limits[i].seconds == limits[count - 1].seconds)
      return !wrong(r, "has two rules for a window of %u seconds; keep the smaller", limits[i].seconds);
  return false;
}

static bool read_rule(reader *r, const dl_limit_options *options, const char *prefix, dl_limit *limit) {
  *limit = (dl_limit){.cost = options->cost ? options->cost : 1, .fixed = options->fixed};
  if (!read_count(r, limit) || !read_per(r) || !read_window(r, limit, prefix)) return false;
  if (limit->cost > limit->count)
    return wrong(r, "never lets a request of cost %u in; write a cost of at most %u, or a greater number", limit->cost, limit->count);
  limit->id = make_id(options->scope, limit);
  return true;
}

/* True when another rule follows; complete tells whether the text was well formed so far. */
static bool next_rule(reader *r, bool *complete) {
  skip_blanks(r);
  *complete = r->at == r->end || *r->at == ';' || *r->at == ',' || *r->at == '|';
  if (!*complete) wrong(r, "goes on where it should end; put \";\" between rules, as in \"10/second;100/hour\"");
  if (!*complete || r->at == r->end) return false;
  r->at++;
  return true;
}

static bool read_prefix(const reader *r, dl_str name, char prefix[NAME_PREFIX_MAX + 1]) {
  bool plain = name.len <= NAME_PREFIX_MAX;
  for (size_t i = 0; plain && i < name.len; i++) {
    char c = dl_ascii_lower(name.ptr[i]);
    plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    prefix[i] = name.ptr[i];
  }
  if (!plain) return wrong(r, "has a name that cannot stand in a header field; write up to %d letters, digits, \"-\" and \"_\"", NAME_PREFIX_MAX);
  prefix[name.len] = '\0';
  return true;
}

size_t dl_limit_parse(dl_str text, const dl_limit_options *options, dl_limit out[DL_LIMIT_WINDOWS_MAX], char error[DL_LIMIT_ERROR_BYTES]) {
  if (text.len == 0) text = DL_STR("");
  reader r = {.at = text.ptr, .end = text.ptr + text.len, .text = text, .error = error};
  char prefix[NAME_PREFIX_MAX + 1];
  size_t count = 0;
  bool more = true, complete = true;
  error[0] = '\0';
  if (!read_prefix(&r, options->name, prefix)) return 0;
  while (more) {
    if (count == DL_LIMIT_WINDOWS_MAX) {
      wrong(&r, "has too many rules; write at most %d", DL_LIMIT_WINDOWS_MAX);
      return 0;
    }
    if (!read_rule(&r, options, prefix, &out[count++])) return 0;
    if (same_window(&r, out, count)) return 0;
    more = next_rule(&r, &complete);
  }
  return complete ? count : 0;
}
