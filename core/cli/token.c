/* SPDX-License-Identifier: MIT */
/*
 * demilune token: a signed token for trying an app by hand. The secret comes from where
 * demilune dev has it, the environment or the app's .env, and a private key from a file,
 * never from arguments, which every user of the machine can read.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/hash.h"
#include "bridge/bridge.h"
#include "cli/cli.h"
#include "crypto/jwt.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEY_FILE_MAX = 65536, LIFETIME_MAX = 10 * 366 * 86400 };

typedef struct token_request {
  dl_str subject, roles, scopes, issuer, audience, kid, algorithm, seconds;
  dl_str variable, key_file; /* both end in NUL: they are arguments' ends */
  const char *folder;        /* NULL: the current one */
} token_request;

/* A row for each flag: where its value goes, and what it looks like. */
static const struct {
  dl_str name;
  size_t place;
  const char *example, *summary;
} flags[] = {
    {DL_STR("subject"), offsetof(token_request, subject), "WHO", "whose token it is; always needed"},
    {DL_STR("roles"), offsetof(token_request, roles), "a,b", "its roles"},
    {DL_STR("scopes"), offsetof(token_request, scopes), "\"a b\"", "its scopes"},
    {DL_STR("issuer"), offsetof(token_request, issuer), "URL", "who gives it out"},
    {DL_STR("audience"), offsetof(token_request, audience), "NAME", "whom it is for"},
    {DL_STR("seconds"), offsetof(token_request, seconds), "900", "how long it lives (900)"},
    {DL_STR("algorithm"), offsetof(token_request, algorithm), "HS256", "what it is signed with (HS256; with --key-file that of its curve; an RSA key needs it)"},
    {DL_STR("kid"), offsetof(token_request, kid), "NAME", "the name of the key"},
    {DL_STR("secret-variable"), offsetof(token_request, variable), "JWT_SECRET", "the variable, or line of APP/.env, that holds the secret (JWT_SECRET)"},
    {DL_STR("key-file"), offsetof(token_request, key_file), "private.pem", "the private key (PEM), in place of a secret"},
};

enum { FLAGS = sizeof(flags) / sizeof(flags[0]) };

/* The folder, or one flag, as --name=value or --name value; *at moves on when the value is the next argument. */
static bool read_argument(token_request *request, int count, char **arguments, int *at) {
  const char *argument = arguments[*at], *equals = strchr(argument, '=');
  if (*argument != '-' && !request->folder) {
    request->folder = argument;
    return true;
  }
  if (strncmp(argument, "--", 2) != 0 || (!equals && *at + 1 == count)) return false;
  dl_str name = equals ? dl_str_from(argument + 2, (size_t)(equals - argument) - 2) : dl_str_of(argument + 2);
  for (size_t i = 0; i < FLAGS; i++) {
    if (!dl_str_equal(name, flags[i].name)) continue;
    dl_str value = dl_str_of(equals ? equals + 1 : arguments[++*at]);
    memcpy((char *)request + flags[i].place, &value, sizeof(value));
    return true;
  }
  return false;
}

static int refuse(const char *problem) {
  fprintf(stderr, "demilune token: %s\n", problem);
  return 2;
}

static int refuse_flag(const char *argument) {
  fprintf(stderr, "demilune token: \"%s\" is not understood; it takes", argument);
  for (size_t i = 0; i < FLAGS; i++) fprintf(stderr, "%s --%.*s=%s", i ? "," : "", DL_STR_ARGS(flags[i].name), flags[i].example);
  fputc('\n', stderr);
  return 2;
}

void dl_token_print_flags(void) {
  for (size_t i = 0; i < FLAGS; i++) {
    char left[64];
    snprintf(left, sizeof left, "--%.*s %s", DL_STR_ARGS(flags[i].name), flags[i].example);
    printf("  %-29s%s\n", left, flags[i].summary);
  }
}

/* --- claims ----------------------------------------------------------------------- */

static void append_text(dl_buffer *claims, const char *name, dl_str text) {
  if (!text.len) return;
  dl_buffer_printf(claims, ",\"%s\":", name);
  dl_buffer_append_json_string(claims, text);
}

/* "admin,editor" as ["admin","editor"]. */
static void append_list(dl_buffer *claims, const char *name, dl_str list) {
  if (!list.len) return;
  dl_buffer_printf(claims, ",\"%s\":[", name);
  for (size_t from = 0, at = 0; at <= list.len; at++) {
    if (at < list.len && list.ptr[at] != ',') continue;
    if (from) dl_buffer_append_char(claims, ',');
    dl_buffer_append_json_string(claims, dl_str_from(list.ptr + from, at - from));
    from = at + 1;
  }
  dl_buffer_append_char(claims, ']');
}

static void write_claims(const token_request *request, long seconds, dl_buffer *claims) {
  dl_clock clock = {0};
  dl_clock_update(&clock);
  int64_t now = clock.wall_ms / 1000;
  DL_BUFFER_LITERAL(claims, "{\"sub\":");
  dl_buffer_append_json_string(claims, request->subject);
  dl_buffer_printf(claims, ",\"iat\":%lld,\"exp\":%lld", (long long)now, (long long)now + seconds);
  append_text(claims, "iss", request->issuer);
  append_text(claims, "aud", request->audience);
  append_list(claims, "roles", request->roles);
  append_text(claims, "scope", request->scopes);
  DL_BUFFER_LITERAL(claims, "}");
}

/* --- keys ------------------------------------------------------------------------- */

static dl_key *key_from_file(const token_request *request, const dl_crypto *crypto, dl_key_algorithm algorithm, const char **error) {
  char text[KEY_FILE_MAX];
  FILE *file = fopen(request->key_file.ptr, "rb");
  if (!file) {
    *error = strerror(errno);
    return NULL;
  }
  size_t len = fread(text, 1, sizeof(text), file);
  fclose(file);
  dl_key *key = dl_key_from_pem(crypto, algorithm, dl_str_from(text, len), request->kid, error);
  explicit_bzero(text, len);
  return key;
}

/* settings.in_env_file(folder, name) → the value, nil, or an error. Left on the stack. */
static bool look_into_env_file(lua_State *L, const token_request *request) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "demilune.settings");
  if (lua_pcall(L, 1, 1, 0) != 0) return false;
  lua_getfield(L, -1, "in_env_file");
  lua_pushstring(L, request->folder ? request->folder : ".");
  lua_pushstring(L, request->variable.ptr);
  return lua_pcall(L, 2, 1, 0) == 0;
}

static dl_key *key_from_env_file(const token_request *request, const dl_crypto *crypto, dl_key_algorithm algorithm, const char **error) {
  static char problem[512];
  dl_loop loop = {.uv = uv_default_loop()};
  dl_hash_seed();
  dl_clock_update(&loop.clock);
  dl_log_init(&loop.log, STDERR_FILENO, DL_LOG_TEXT, DL_LOG_WARNING, &loop.clock);
  dl_lua *lua = dl_lua_new(&loop);
  lua_State *L = dl_lua_state(lua);
  dl_key *key = NULL;
  const char *folder = request->folder ? request->folder : ".";
  if (!look_into_env_file(L, request)) {
    snprintf(problem, sizeof problem, "%s/%s", folder, lua_tostring(L, -1));
    *error = problem;
  } else if (lua_objlen(L, -1) == 0) {
    snprintf(problem, sizeof problem,
             "it is neither in the environment nor in %s/.env; write %s=SECRET there, with what `demilune secret` prints, and "
             "`demilune dev` takes it from there too; or name another variable by --secret-variable=NAME, or a private key by --key-file=FILE",
             folder, request->variable.ptr);
    *error = problem;
  } else {
    key = dl_key_from_secret(crypto, algorithm, dl_str_of(lua_tostring(L, -1)), request->kid, error);
  }
  dl_lua_free(lua);
  dl_log_free(&loop.log);
  uv_loop_close(loop.uv);
  return key;
}

/* One that is empty is not set, as in demilune.settings. */
static dl_key *key_from_secret(const token_request *request, const dl_crypto *crypto, dl_key_algorithm algorithm, const char **error) {
  const char *secret = getenv(request->variable.ptr);
  if (!secret || !*secret) return key_from_env_file(request, crypto, algorithm, error);
  return dl_key_from_secret(crypto, algorithm, dl_str_of(secret), request->kid, error);
}

/* NULL, or what is wrong. */
static const char *sign(const token_request *request, dl_key_algorithm algorithm, long seconds, dl_buffer *token) {
  const char *error = NULL;
  dl_buffer claims = {0};
  dl_crypto *crypto = dl_crypto_new();
  dl_key *key = (request->key_file.len ? key_from_file : key_from_secret)(request, crypto, algorithm, &error);
  if (key && !dl_key_can_sign(key)) error = "the key is a public one, which cannot sign; give the private one";
  else if (key) {
    error = NULL;
    write_claims(request, seconds, &claims);
    dl_jwt_sign(key, dl_buffer_str(&claims), token);
  }
  dl_key_free(key);
  dl_buffer_free(&claims);
  dl_crypto_free(crypto);
  return error;
}

/* --- the command --------------------------------------------------------------------- */

int dl_command_token(int count, char **arguments) {
  token_request request = {.variable = DL_STR("JWT_SECRET"), .seconds = DL_STR("900")};
  dl_key_algorithm algorithm = DL_KEY_UNSTATED;
  dl_buffer token = {0};
  for (int i = 0; i < count; i++)
    if (!read_argument(&request, count, arguments, &i)) return refuse_flag(arguments[i]);
  char *end;
  long seconds = strtol(request.seconds.ptr, &end, 10);
  if (!request.subject.len) return refuse("needs to know whose token it is: --subject=WHO");
  if (*end || seconds < 1 || seconds > LIFETIME_MAX) return refuse("--seconds is how long the token lives, from 1 to 316224000, which is ten years, such as 900");
  /* A curve says itself what it signs with. */
  if (!request.algorithm.len && !request.key_file.len) request.algorithm = DL_STR("HS256");
  if (request.algorithm.len && !dl_key_algorithm_named(request.algorithm, &algorithm))
    return refuse("--algorithm is none; write HS256 or, with --key-file=private.pem, that of the key, such as RS256, ES256 or EdDSA");
  const char *problem = sign(&request, algorithm, seconds, &token);
  const char *place = request.key_file.len ? request.key_file.ptr : request.variable.ptr;
  if (problem) fprintf(stderr, "demilune token: %s: %s\n", place, problem);
  else printf("%.*s\n", (int)token.len, token.data);
  dl_buffer_free(&token);
  return problem ? 1 : 0;
}
