/* SPDX-License-Identifier: MIT */
/*
 * demilune secret, hash, token: what an operator makes by hand. Secrets come from
 * the terminal or the environment, never from arguments, which every user of the
 * machine can read.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "crypto/base64.h"
#include "crypto/jwt.h"
#include "crypto/password.h"
#include "crypto/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

enum { SECRET_BYTES = 32, SECRET_BYTES_MAX = 256 };

/* --- secret ----------------------------------------------------------------------- */

int dl_command_secret(int count, char **arguments) {
  unsigned char bytes[SECRET_BYTES_MAX];
  char text[SECRET_BYTES_MAX * 2];
  long wanted = count > 0 ? strtol(arguments[0], NULL, 10) : SECRET_BYTES;
  if (wanted < 16 || wanted > SECRET_BYTES_MAX) {
    fprintf(stderr, "demilune secret: takes a number of bytes from 16 to %d (%d when left out)\n", SECRET_BYTES_MAX, SECRET_BYTES);
    return 2;
  }
  dl_random_bytes(bytes, (size_t)wanted);
  dl_base64_encode(DL_BASE64URL, dl_str_from((char *)bytes, (size_t)wanted), text);
  printf("%.*s\n", (int)dl_base64_encoded_length((size_t)wanted), text);
  return 0;
}

/* --- hash ------------------------------------------------------------------------- */

/* One line from standard input, without echo on a terminal. */
static bool read_password(char *line, size_t size) {
  struct termios before;
  bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
  if (terminal) {
    struct termios quiet = before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    fputs("Password: ", stderr);
  }
  bool ok = fgets(line, (int)size, stdin) != NULL;
  if (terminal) {
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputc('\n', stderr);
  }
  line[ok ? strcspn(line, "\r\n") : 0] = 0;
  return ok && line[0];
}

int dl_command_hash(int count, char **arguments) {
  char line[DL_PASSWORD_LENGTH_MAX + 2], text[DL_PASSWORD_TEXT];
  (void)arguments;
  if (count > 0) {
    fputs("demilune hash: reads the password from standard input; an argument could be read by every user of this machine\n", stderr);
    return 2;
  }
  if (!read_password(line, sizeof line)) {
    fputs("demilune hash: there was no password on standard input\n", stderr);
    return 1;
  }
  if (dl_password_hash(dl_str_of(line), &DL_PASSWORD_COST, text) != DL_PASSWORD_OK) {
    fputs("demilune hash: the password could not be hashed; is there memory for it?\n", stderr);
    return 1;
  }
  puts(text);
  return 0;
}

/* --- token ------------------------------------------------------------------------ */

typedef struct token_request {
  dl_str subject, roles, scopes, algorithm;
  const char *variable;
  long seconds;
} token_request;

static bool read_token_flag(token_request *request, const char *argument) {
  const char *equals = strchr(argument, '=');
  if (strncmp(argument, "--", 2) != 0 || !equals) return false;
  dl_str name = dl_str_from(argument + 2, (size_t)(equals - argument) - 2), value = dl_str_of(equals + 1);
  if (dl_str_equal(name, DL_STR("subject"))) request->subject = value;
  else if (dl_str_equal(name, DL_STR("roles"))) request->roles = value;
  else if (dl_str_equal(name, DL_STR("scopes"))) request->scopes = value;
  else if (dl_str_equal(name, DL_STR("algorithm"))) request->algorithm = value;
  else if (dl_str_equal(name, DL_STR("secret-variable"))) request->variable = value.ptr;
  else if (dl_str_equal(name, DL_STR("seconds"))) request->seconds = strtol(value.ptr, NULL, 10);
  else return false;
  return true;
}

/* "admin,editor" as ["admin","editor"]. */
static void append_list(dl_buffer *claims, dl_str list) {
  dl_buffer_append_char(claims, '[');
  for (size_t from = 0, at = 0; list.len && at <= list.len; at++) {
    if (at < list.len && list.ptr[at] != ',') continue;
    if (from) dl_buffer_append_char(claims, ',');
    dl_buffer_append_json_string(claims, dl_str_from(list.ptr + from, at - from));
    from = at + 1;
  }
  dl_buffer_append_char(claims, ']');
}

static void write_claims(const token_request *request, dl_buffer *claims) {
  dl_clock clock = {0};
  dl_clock_update(&clock);
  int64_t now = clock.wall_ms / 1000;
  DL_BUFFER_LITERAL(claims, "{\"sub\":");
  dl_buffer_append_json_string(claims, request->subject);
  dl_buffer_printf(claims, ",\"iat\":%lld,\"exp\":%lld", (long long)now, (long long)now + request->seconds);
  if (request->roles.len) {
    DL_BUFFER_LITERAL(claims, ",\"roles\":");
    append_list(claims, request->roles);
  }
  if (request->scopes.len) {
    DL_BUFFER_LITERAL(claims, ",\"scope\":");
    dl_buffer_append_json_string(claims, request->scopes);
  }
  DL_BUFFER_LITERAL(claims, "}");
}

static const char *sign(const token_request *request, dl_key_algorithm algorithm, dl_buffer *token) {
  const char *error = NULL;
  const char *secret = getenv(request->variable);
  dl_buffer claims = {0};
  if (!secret) return "the variable that holds the secret is not set; name it by --secret-variable=NAME";
  dl_crypto *crypto = dl_crypto_new();
  dl_key *key = dl_key_from_secret(crypto, algorithm, dl_str_of(secret), (dl_str){0}, &error);
  if (key) {
    write_claims(request, &claims);
    dl_jwt_sign(key, dl_buffer_str(&claims), token);
    dl_key_free(key);
  }
  dl_buffer_free(&claims);
  dl_crypto_free(crypto);
  return error;
}

int dl_command_token(int count, char **arguments) {
  token_request request = {.algorithm = DL_STR("HS256"), .variable = "JWT_SECRET", .seconds = 900};
  dl_key_algorithm algorithm;
  dl_buffer token = {0};
  for (int i = 0; i < count; i++)
    if (!read_token_flag(&request, arguments[i])) {
      fprintf(stderr, "demilune token: \"%s\" is not understood; it takes --subject=, --roles=a,b, --scopes=\"a b\", --seconds=900, --algorithm=HS256, --secret-variable=JWT_SECRET\n",
              arguments[i]);
      return 2;
    }
  if (request.subject.len == 0 || request.seconds <= 0 || !dl_key_algorithm_named(request.algorithm, &algorithm)) {
    fputs("demilune token: needs --subject=WHO, a lifetime in seconds over 0, and HS256, HS384 or HS512\n", stderr);
    return 2;
  }
  const char *problem = sign(&request, algorithm, &token);
  if (problem) fprintf(stderr, "demilune token: %s\n", problem);
  else printf("%.*s\n", (int)token.len, token.data);
  dl_buffer_free(&token);
  return problem ? 1 : 0;
}
