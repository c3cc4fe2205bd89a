/* SPDX-License-Identifier: MIT */
/* Where the store is: redis:// and redis+unix:// addresses. */
#include "limit/redis_internal.h"

#include "base/memory.h"

#include <sys/un.h>

enum { PORT_DEFAULT = 6379, DATABASE_MAX = 65535, PART_MAX = 512 };

static const char wrong_scheme[] = "the address of a Redis store begins with redis:// or redis+unix://; write for example redis://127.0.0.1:6379/0";
static const char wrong_tls[] = "Redis over TLS (rediss://) is not to be had; write redis:// to a tunnel on this machine, or redis+unix:// to a socket";
static const char wrong_host[] = "the Redis address has no host; write redis://host:port, or redis+unix:///path/to/socket";
static const char wrong_at[] = "the Redis address has a second @; write %40 for one in a password";
static const char wrong_port[] = "the port in the Redis address is no number from 1 to 65535; write for example redis://127.0.0.1:6379";
static const char wrong_database[] =
    "the database in the Redis address is no number; write for example redis://127.0.0.1:6379/0 or redis+unix:///path?db=0";
static const char wrong_escape[] = "the Redis address has a % that is not followed by two hexadecimal digits (or by 00); write %25 for a percent sign";
static const char wrong_path[] = "the path of the Redis socket is empty, not absolute or too long; write redis+unix:///path/to/socket, up to 107 bytes";
static const char wrong_part[] = "the Redis address has a part over 512 bytes, or a character that must be written as %20";

static int hex_digit(char c) {
  char lower = dl_ascii_lower(c);
  if (c >= '0' && c <= '9') return c - '0';
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Gives a copy without percent-encoding, or an error. */
static const char *decode(dl_str text, char **out) {
  if (text.len > PART_MAX) return wrong_part;
  char *copy = *out = dl_calloc(text.len + 1, 1);
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    if (c <= ' ' || c == 0x7f) return wrong_part;
    if (c == '%') {
      int high = i + 2 < text.len ? hex_digit(text.ptr[i + 1]) : -1, low = high >= 0 ? hex_digit(text.ptr[i + 2]) : -1;
      if (low < 0 || high * 16 + low == 0) return wrong_escape;
      c = (char)(high * 16 + low);
      i += 2;
    }
    *copy++ = c;
  }
  return NULL;
}

static bool read_number(dl_str text, uint32_t max, uint32_t *out) {
  uint32_t number = 0;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9' || number > max) return false;
    number = number * 10 + (uint32_t)(text.ptr[i] - '0');
  }
  *out = number;
  return text.len > 0 && number <= max;
}

/* What stands before the first c; rest becomes what stands behind it. */
static bool cut(dl_str *rest, char c, dl_str *before) {
  const char *at = rest->len ? memchr(rest->ptr, c, rest->len) : NULL;
  if (!at) return false;
  *before = dl_str_from(rest->ptr, (size_t)(at - rest->ptr));
  *rest = dl_str_skip(*rest, before->len + 1);
  return true;
}

/* "user:password" or "password" alone is refused: only ":password" leaves out the user. */
static const char *read_login(dl_str login, dl_redis_address *address) {
  dl_str user;
  if (!cut(&login, ':', &user)) return "the Redis address has a user but no password; write redis://:password@host or redis://user:password@host";
  const char *error = user.len ? decode(user, &address->user) : NULL;
  return error ? error : decode(login, &address->password);
}

static const char *read_socket(dl_str rest, dl_redis_address *address) {
  dl_str path = rest;
  if (cut(&rest, '?', &path)) {
    if (!dl_str_starts(rest, DL_STR("db=")) || !read_number(dl_str_skip(rest, 3), DATABASE_MAX, &address->database)) return wrong_database;
  }
  const char *error = decode(path, &address->path);
  if (error) return error;
  size_t length = strlen(address->path);
  return length == 0 || address->path[0] != '/' || length >= sizeof(((struct sockaddr_un *)NULL)->sun_path) ? wrong_path : NULL;
}

static const char *read_host(dl_str rest, dl_redis_address *address) {
  dl_str host = rest, database = {0};
  if (cut(&rest, '/', &host)) database = rest;
  if (database.len && !read_number(database, DATABASE_MAX, &address->database)) return wrong_database;
  bool bracketed = host.len && host.ptr[0] == '[';
  dl_str name = host, port = {0};
  if (bracketed) {
    host = dl_str_skip(host, 1);
    if (!cut(&host, ']', &name)) return wrong_host;
    if (host.len && host.ptr[0] != ':') return wrong_port;
    port = host.len ? dl_str_skip(host, 1) : host;
    if (host.len && !port.len) return wrong_port;
  } else if (cut(&host, ':', &name)) {
    port = host;
    if (!port.len) return wrong_port;
  }
  if (name.len && memchr(name.ptr, '@', name.len)) return wrong_at; /* or part of the password would be looked up, and logged */
  address->port = PORT_DEFAULT;
  if (port.len && (!read_number(port, 65535, &address->port) || address->port == 0)) return wrong_port;
  return name.len ? decode(name, &address->host) : wrong_host;
}

const char *dl_redis_address_parse(dl_str url, dl_redis_address *address) {
  static const dl_str tcp = {"redis://", 8}, unix_socket = {"redis+unix://", 13};
  *address = (dl_redis_address){0};
  bool is_unix = dl_str_starts(url, unix_socket);
  if (dl_str_starts(url, DL_STR("rediss://"))) return wrong_tls;
  if (!is_unix && !dl_str_starts(url, tcp)) return wrong_scheme;
  dl_str rest = dl_str_skip(url, is_unix ? unix_socket.len : tcp.len), path = rest, before_path = rest, login;
  cut(&path, '/', &before_path);
  if (cut(&before_path, '@', &login)) {
    const char *error = read_login(login, address);
    if (error) return error;
    rest = dl_str_skip(rest, login.len + 1);
  }
  return is_unix ? read_socket(rest, address) : read_host(rest, address);
}

void dl_redis_address_free(dl_redis_address *address) {
  char *parts[] = {address->host, address->user, address->password, address->path};
  for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) dl_free(parts[i]);
  *address = (dl_redis_address){0};
}
