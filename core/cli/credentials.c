/* SPDX-License-Identifier: MIT */
/*
 * demilune secret, hash: what an operator makes by hand. Passwords come from the
 * terminal, never from arguments, which every user of the machine can read.
 */
#include "cli/cli.h"
#include "crypto/base64.h"
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
