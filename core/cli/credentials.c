/* SPDX-License-Identifier: MIT */
/*
 * demilune secret, hash: what an operator makes by hand. Passwords come from the
 * terminal, never from arguments, which every user of the machine can read.
 */
#include "cli/cli.h"
#include "crypto/base64.h"
#include "crypto/password.h"
#include "crypto/random.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

enum { SECRET_BYTES = 32, SECRET_BYTES_MAX = 256 };

/* --- secret ----------------------------------------------------------------------- */

int dl_command_secret(int count, char **arguments) {
  unsigned char bytes[SECRET_BYTES_MAX];
  char text[SECRET_BYTES_MAX * 2];
  char *end = "";
  long wanted = count > 0 ? strtol(arguments[0], &end, 10) : SECRET_BYTES;
  if (count > 1 || *end || wanted < 16 || wanted > SECRET_BYTES_MAX) {
    fprintf(stderr, "demilune secret: takes a number of bytes from 16 to %d (%d when left out)\n", SECRET_BYTES_MAX, SECRET_BYTES);
    return 2;
  }
  dl_random_bytes(bytes, (size_t)wanted);
  dl_base64_encode(DL_BASE64URL, dl_str_from((char *)bytes, (size_t)wanted), text);
  printf("%.*s\n", (int)dl_base64_encoded_length((size_t)wanted), text);
  return 0;
}

/* --- hash ------------------------------------------------------------------------- */

static struct termios terminal_before; /* for whoever interrupts */

static void on_end(int number) {
  tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
  raise(number); /* by then it has its own effect again */
}

/* A shell whose program was interrupted would go on without showing what is typed. */
static void show_again_when_ended(void) {
  static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  struct sigaction action = {.sa_handler = on_end, .sa_flags = (int)SA_RESETHAND};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) sigaction(numbers[i], &action, NULL);
}

/* One line as it is; size says that it is longer. */
static size_t read_line(char *line, size_t size) {
  size_t len = 0;
  for (int c; len < size && (c = getchar()) != EOF && c != '\n';) line[len++] = (char)c;
  return len && len < size && line[len - 1] == '\r' ? len - 1 : len;
}

/* One line from standard input, without echo on a terminal. */
static dl_str read_password(char *line, size_t size) {
  bool terminal = tcgetattr(STDIN_FILENO, &terminal_before) == 0;
  if (terminal) {
    struct termios quiet = terminal_before;
    show_again_when_ended();
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    fputs("Password: ", stderr);
  }
  size_t len = read_line(line, size);
  if (terminal) {
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_before);
    fputc('\n', stderr);
  }
  return dl_str_from(line, len);
}

int dl_command_hash(int count, char **arguments) {
  char line[DL_PASSWORD_LENGTH_MAX + 2], text[DL_PASSWORD_TEXT];
  (void)arguments;
  if (count > 0) {
    fputs("demilune hash: reads the password from standard input; an argument could be read by every user of this machine\n", stderr);
    return 2;
  }
  dl_str password = read_password(line, sizeof line);
  if (!password.len) {
    fputs("demilune hash: there was no password on standard input\n", stderr);
    return 1;
  }
  if (password.len > DL_PASSWORD_LENGTH_MAX) {
    fprintf(stderr, "demilune hash: a password has at most %d bytes\n", DL_PASSWORD_LENGTH_MAX);
    return 1;
  }
  if (dl_password_hash(password, &DL_PASSWORD_COST, text) != DL_PASSWORD_OK) {
    fputs("demilune hash: the password could not be hashed; is there memory for it?\n", stderr);
    return 1;
  }
  puts(text);
  return 0;
}
