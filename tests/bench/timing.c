/* SPDX-License-Identifier: MIT */
/*
 * Does the time that something takes tell what it must not? Each case is run very
 * often with inputs of two sorts, in random order, and Welch's t says whether the two
 * take the same time (the method of dudect, Reparaz, Balasch and Verbauwhede 2017:
 * also over the samples below several percentiles, since interrupts lie above). A
 * comparison that leaks is planted: when it is not found, no figure here is worth
 * anything. |t| over 10 is a leak; under it, none was found in that many samples.
 */
#include "../unit/guard_world.h"

#include "crypto/base64.h"
#include "crypto/password.h"
#include "crypto/random.h"
#include "crypto/secret.h"

#include <math.h>
#include <time.h>

enum { INPUT_MAX = 512, CHUNK = 2000, CROPS = 12, LEAK = 10, TOKENS = 4096 };

/* --- Welch's t ------------------------------------------------------------------------ */

typedef struct series {
  double count, mean, squares; /* sum of squared differences from the mean (Welford) */
} series;

static void series_add(series *s, double value) {
  double before = value - s->mean;
  s->count++;
  s->mean += before / s->count;
  s->squares += before * (value - s->mean);
}

static double welch(const series *a, const series *b) {
  if (a->count < 100 || b->count < 100) return 0;
  double variance = a->squares / (a->count - 1) / a->count + b->squares / (b->count - 1) / b->count;
  return variance > 0 ? (a->mean - b->mean) / sqrt(variance) : 0;
}

/* The samples of both sorts: all of them, and those below each percentile of the first chunk. */
typedef struct verdict {
  series all[CROPS + 1][2];
  double limits[CROPS];
  bool has_limits;
} verdict;

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void set_limits(verdict *v, const double *samples, size_t count) {
  double sorted[CHUNK];
  memcpy(sorted, samples, count * sizeof(*sorted));
  qsort(sorted, count, sizeof(*sorted), by_value);
  for (int i = 0; i < CROPS; i++) v->limits[i] = sorted[(size_t)((1 - pow(0.5, (i + 1) / 2.0)) * (double)(count - 1))];
  v->has_limits = true;
}

static void take(verdict *v, const double *samples, const unsigned char *sorts, size_t count) {
  if (!v->has_limits) {
    set_limits(v, samples, count); /* and the first chunk warms up */
    return;
  }
  for (size_t i = 0; i < count; i++) {
    series_add(&v->all[CROPS][sorts[i]], samples[i]);
    for (int crop = 0; crop < CROPS; crop++)
      if (samples[i] < v->limits[crop]) series_add(&v->all[crop][sorts[i]], samples[i]);
  }
}

static double strongest(const verdict *v) {
  double most = 0;
  for (int i = 0; i <= CROPS; i++) {
    double t = fabs(welch(&v->all[i][0], &v->all[i][1]));
    if (t > most) most = t;
  }
  return most;
}

/* --- cases ------------------------------------------------------------------------------- */

typedef struct timing_world {
  guard_world *w;
  dl_arena scratch;
  const dl_guard *api_key, *bearer;
  char *place; /* of the credential in the parsed head */
  const char *tokens[TOKENS];
  char stored[DL_PASSWORD_TEXT];
  unsigned char kept[INPUT_MAX];
  volatile bool sink;
} timing_world;

typedef struct timing_case {
  const char *name;
  size_t samples;
  int repeats, chunk;
  size_t length; /* of an input */
  void (*begin)(timing_world *t);
  void (*make)(timing_world *t, int sort, char *input); /* sort 0 or 1 */
  void (*run)(timing_world *t, int sort, const char *input);
} timing_case;

/* Equality: near and far from what is kept; kept ones of two lengths. */

static void make_near_or_far(timing_world *t, int sort, char *input) {
  if (sort) dl_random_bytes(input, 64);
  else memcpy(input, t->kept, 64);
}

static bool leaky_equal(const char *a, const unsigned char *b, size_t length) {
  for (size_t i = 0; i < length; i++)
    if ((unsigned char)a[i] != *(volatile const unsigned char *)&b[i]) return false;
  return true;
}

static void run_leaky(timing_world *t, int sort, const char *input) { (void)sort, t->sink = leaky_equal(input, t->kept, 64); }
static void run_equal(timing_world *t, int sort, const char *input) { (void)sort, t->sink = dl_crypto_equal(input, 64, t->kept, 64); }

static void make_random(timing_world *t, int sort, char *input) {
  (void)t, (void)sort;
  dl_random_bytes(input, 64);
}

static void run_lengths(timing_world *t, int sort, const char *input) { t->sink = dl_crypto_equal(input, 64, t->kept, sort ? 16 : 64); }

/* Guards: the credential's bytes are written over those of a parsed head. */

static void parse_credential(timing_world *t, const char *name, const char *value) {
  char lines[2048];
  snprintf(lines, sizeof(lines), "%s%s\r\n", name, value);
  if (!world_parse(t->w, dl_str_of(lines))) world_broken("the head does not parse");
  t->place = memmem(t->w->block, t->w->text.len, value, strlen(value));
}

static void check(timing_world *t, const dl_guard *guard) {
  dl_guard_context context = {.request = &t->w->request, .arena = &t->scratch, .tokens = t->w->tokens, .now_s = NOW};
  t->sink = dl_guard_check(guard, &context, &t->w->principal) == DL_GUARD_PASS;
  dl_arena_reset(&t->scratch);
}

static const char right_key[] = "the new key";

static void begin_api_key(timing_world *t) { parse_credential(t, "X-API-Key: ", right_key); }

static void make_api_key(timing_world *t, int sort, char *input) {
  (void)t;
  memcpy(input, right_key, sizeof(right_key) - 1);
  if (sort) dl_random_bytes(input, sizeof(right_key) - 1);
  for (size_t i = 0; sort && i < sizeof(right_key) - 1; i++) input[i] = (char)('a' + (unsigned char)input[i] % 26);
  input[sizeof(right_key) - 2] = '#'; /* near, and none */
}

static void run_api_key(timing_world *t, int sort, const char *input) {
  (void)sort;
  memcpy(t->place, input, sizeof(right_key) - 1);
  check(t, t->api_key);
}

static void begin_token(timing_world *t) { parse_credential(t, "Authorization: Bearer ", t->tokens[0]); }

/* The last bit of the signature wrong, or all of them. Of many tokens: of a single one the processor would learn the
 * good signature's characters, and so be faster at what everybody may know. */
static void make_token(timing_world *t, int sort, char *input) {
  unsigned char signature[32];
  uint16_t number;
  dl_random_bytes(&number, sizeof(number));
  const char *token = t->tokens[number % TOKENS];
  size_t length = strlen(token), decoded;
  char *place = input + length - 43;
  memcpy(input, token, length);
  if (dl_base64_decode(DL_BASE64URL, dl_str_from(place, 43), signature, &decoded) != DL_BASE64_OK) world_broken("the token has no signature");
  if (sort) dl_random_bytes(signature, sizeof(signature));
  else signature[31] ^= 1;
  dl_base64_encode(DL_BASE64URL, dl_str_from((char *)signature, sizeof(signature)), place);
}

static void run_token(timing_world *t, int sort, const char *input) {
  (void)sort;
  memcpy(t->place, input, strlen(t->tokens[0]));
  check(t, t->bearer);
}

static void make_tokens(timing_world *t) {
  char expression[64];
  for (int i = 0; i < TOKENS; i++) {
    snprintf(expression, sizeof(expression), "token { sub = '%d' }", 10000 + i); /* all as long as each other */
    t->tokens[i] = world_text(t->w, expression);
  }
}

/* Logins: a password that is wrong, and a user that is none. */

static void run_password(timing_world *t, int sort, const char *input) {
  dl_str password = dl_str_from(input, 16);
  t->sink = (sort ? dl_password_verify_nobody(password, &DL_PASSWORD_COST) : dl_password_verify(dl_str_of(t->stored), password)) == DL_PASSWORD_OK;
}

static const timing_case cases[] = {
    {"a comparison that stops at the first difference (planted)", 200000, 16, CHUNK, 64, NULL, make_near_or_far, run_leaky},
    {"dl_crypto_equal: the kept bytes, or random ones", 400000, 16, CHUNK, 64, NULL, make_near_or_far, run_equal},
    {"dl_crypto_equal: 64 kept bytes, or 16", 400000, 16, CHUNK, 64, NULL, make_random, run_lengths},
    {"API key: all but the last byte right, or none", 200000, 4, CHUNK, sizeof(right_key) - 1, begin_api_key, make_api_key, run_api_key},
    {"token: all but the last bit of the signature right, or none", 200000, 2, CHUNK, INPUT_MAX, begin_token, make_token, run_token},
    {"login: a wrong password, or no such user (Argon2id)", 2400, 1, 400, 64, NULL, make_random, run_password},
};

/* --- running ------------------------------------------------------------------------------ */

static double now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* All inputs of a chunk are made before the first is timed, so that making leaves no trace in the caches. */
static void run_chunk(timing_world *t, const timing_case *c, verdict *v) {
  static char inputs[CHUNK][INPUT_MAX];
  double samples[CHUNK];
  unsigned char sorts[CHUNK];
  size_t count = (size_t)c->chunk;
  dl_random_bytes(sorts, count);
  for (size_t i = 0; i < count; i++) {
    sorts[i] &= 1;
    c->make(t, sorts[i], inputs[i]);
  }
  for (size_t i = 0; i < count; i++) {
    double begin = now_ns();
    for (int repeat = 0; repeat < c->repeats; repeat++) c->run(t, sorts[i], inputs[i]);
    samples[i] = (now_ns() - begin) / c->repeats;
  }
  take(v, samples, sorts, count);
}

/* Prints the case's line; gives its |t|. */
static double run_case(timing_world *t, const timing_case *c) {
  verdict v = {0};
  if (c->begin) c->begin(t);
  for (size_t done = 0; done < c->samples; done += (size_t)c->chunk) run_chunk(t, c, &v);
  double most = strongest(&v);
  const series *most_of_them = v.all[CROPS - 1]; /* without what an interrupt made slow */
  printf("| %s | %zu | %.1f | %.1f | %.2f | %s |\n", c->name, c->samples, most_of_them[0].mean, most_of_them[1].mean, most, most > LEAK ? "leaks" : "none found");
  fflush(stdout);
  return most;
}

int main(void) {
  timing_world t = {.w = world_open()};
  dl_arena_init(&t.scratch, 16384);
  dl_random_bytes(t.kept, sizeof(t.kept));
  t.api_key = world_guard(t.w, "api_key");
  t.bearer = world_guard(t.w, "bearer");
  make_tokens(&t);
  if (dl_password_hash(DL_STR("correct horse"), &DL_PASSWORD_COST, t.stored) != DL_PASSWORD_OK) world_broken("no memory for Argon2id");
  puts("| two sorts of input | samples | ns, first | ns, second | max abs t | leak |\n| --- | ---: | ---: | ---: | ---: | --- |");
  double planted = run_case(&t, &cases[0]);
  for (size_t i = 1; i < sizeof(cases) / sizeof(cases[0]); i++) run_case(&t, &cases[i]);
  dl_arena_free(&t.scratch);
  world_close(t.w);
  if (planted > LEAK) return 0;
  fputs("the planted leak was not found: this machine is too busy to tell\n", stderr);
  return 1;
}
