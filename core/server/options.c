/* SPDX-License-Identifier: MIT */
#include "server/options.h"

#include "net/cidr.h"
#include "server/admin.h"
#include "server/sockets.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

enum { PORT_MAX = 65535, WORKERS_MAX = 64, HSTS_MAX = 63 };

/* Under this a worker does not get as far as its app. */
static const unsigned long long memory_least = 64ull << 20;

/* --- values ------------------------------------------------------------------------- */

const char *dl_option_port(long port) {
  return port < 0 || port > PORT_MAX ? "must be a number from 0 to 65535 (0 lets the system choose)" : NULL;
}

const char *dl_option_workers(long workers) { return workers < 1 || workers > WORKERS_MAX ? "must be a number of processes from 1 to 64" : NULL; }

/* What it says is the operator's; that it is one line is ours. */
const char *dl_option_hsts(const char *value) {
  for (const char *c = value; *c; c++)
    if (*c < ' ' || *c > '~') return "should be one line of plain text";
  bool says = strcmp(value, "off") == 0 || (strncmp(value, "max-age=", 8) == 0 && value[8] >= '0' && value[8] <= '9');
  return says && strlen(value) <= HSTS_MAX ? NULL : "should be off, or begin with max-age= and a number of seconds, such as max-age=63072000; includeSubDomains";
}

const char *dl_option_max_memory(unsigned long long bytes) { return bytes < memory_least ? "must be at least 64M, or nothing could start" : NULL; }

const char *dl_option_text(const char *flag, const char *value) {
  static const struct {
    const char *flag, *problem;
  } rows[] = {
      {"unix", "must be the path of a socket"},
      {"redis", "must be an address, such as redis://127.0.0.1:6379/0"},
      {"log-file", "must be the path of a file"},
      {"user", "must name an account, such as nobody"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (strcmp(flag, rows[i].flag) == 0) return *value ? NULL : rows[i].problem;
  return *value ? NULL : "names no file";
}

static const char *of_number(const char *flag, long long value, const char *problem, char *message) {
  if (problem) snprintf(message, DL_OPTIONS_MESSAGE_BYTES, "%s=%lld %s", flag, value, problem);
  return problem ? message : NULL;
}

/* A value of an enumeration, which C lets be any number. */
static const char *of_choice(const char *name, long long value, long long last, const char *names, char *message) {
  if (value >= 0 && value <= last) return NULL;
  snprintf(message, DL_OPTIONS_MESSAGE_BYTES, "%s is %lld, which is none; it must be %s", name, value, names);
  return message;
}

/* A value that is a text, or NULL. */
static const char *of_text(const char *flag, const char *value, char *message) {
  const char *problem = value ? dl_option_text(flag, value) : NULL;
  if (!problem) return NULL;
  snprintf(message, DL_OPTIONS_MESSAGE_BYTES, "--%s= %s", flag, problem);
  return message;
}

static const char *of_files(const char *flag, const char *const files[DEMILUNE_TLS_FILES_MAX + 1], char *message) {
  for (size_t i = 0; files[i]; i++) {
    const char *problem = of_text(flag, files[i], message);
    if (problem) return problem;
    if (i < DEMILUNE_TLS_FILES_MAX) continue;
    snprintf(message, DL_OPTIONS_MESSAGE_BYTES, "--%s=%.100s is one too many; 16 will do", flag, files[i]);
    return message;
  }
  return NULL;
}

static const char *of_admin(const char *value, char *message) {
  dl_admin_address address;
  const char *problem = value ? dl_admin_address_read(value, &address) : NULL;
  if (!problem) return NULL;
  snprintf(message, DL_OPTIONS_MESSAGE_BYTES, "--admin=%.100s %s", value, problem);
  return message;
}

/* Beside a unix socket it is nobody's address. */
static const char *of_host(const demilune_options *options, char *message) {
  struct sockaddr_in four;
  struct sockaddr_in6 six;
  const char *host = options->unix_path ? NULL : options->host;
  if (!host || strcmp(host, "localhost") == 0 || uv_ip4_addr(host, 0, &four) == 0 || uv_ip6_addr(host, 0, &six) == 0) return NULL;
  snprintf(message, DL_OPTIONS_MESSAGE_BYTES, "--host=%.100s must be an IPv4 or IPv6 address, such as 127.0.0.1 or ::", host);
  return message;
}

static const char *of_proxies(const char *list, char *message) {
  dl_trusted trusted = {0};
  dl_str wrong;
  const char *problem = list && *list ? dl_trusted_add_list(&trusted, dl_str_of(list), &wrong) : NULL;
  if (!problem) return NULL;
  snprintf(message, DL_OPTIONS_MESSAGE_BYTES, "--trusted-proxies: \"%.*s\" %s", wrong.len < 50 ? (int)wrong.len : 50, wrong.ptr, problem);
  return message;
}

static const char *check_texts(const demilune_options *options, char *message) {
  const char *problem = of_text("unix", options->unix_path, message);
  if (!problem) problem = of_text("redis", options->redis_url, message);
  if (!problem) problem = of_text("log-file", options->log_file, message);
  if (!problem) problem = of_admin(options->admin, message);
  if (!problem) problem = of_host(options, message);
  if (!problem) problem = of_proxies(options->trusted_proxies, message);
  if (!problem) problem = of_files("tls-cert", options->tls_cert, message);
  if (!problem) problem = of_files("tls-key", options->tls_key, message);
  if (!problem) problem = of_files("tls-ocsp", options->tls_ocsp, message);
  if (!problem) problem = of_text("tls-client-ca", options->tls_client_ca, message);
  if (!problem) problem = of_text("user", options->user, message);
  return problem;
}

static const char *check_values(const demilune_options *options, char *message) {
  const char *problem = of_choice("mode", options->mode, DEMILUNE_DEV, "DEMILUNE_SERVE or DEMILUNE_DEV", message);
  if (!problem) problem = of_choice("access_log", options->access_log, DEMILUNE_ACCESS_LOG_TEXT, "DEMILUNE_ACCESS_LOG_OFF, _JSON or _TEXT", message);
  if (!problem) problem = of_choice("sandbox", options->sandbox, DEMILUNE_SANDBOX_STRICT, "DEMILUNE_SANDBOX_OFF, _ON or _STRICT", message);
  if (!problem) problem = check_texts(options, message);
  if (!problem) problem = of_number("--port", options->port, dl_option_port(options->port), message);
  if (!problem && options->workers) problem = of_number("--workers", options->workers, dl_option_workers(options->workers), message);
  if (!problem && options->max_memory)
    problem = of_number("--max-memory", (long long)options->max_memory, dl_option_max_memory(options->max_memory), message);
  if (problem || !options->hsts || !(problem = dl_option_hsts(options->hsts))) return problem;
  snprintf(message, DL_OPTIONS_MESSAGE_BYTES, "--hsts=%.100s %s", options->hsts, problem);
  return message;
}

/* --- together ------------------------------------------------------------------------- */

/* What only makes sense beside something else. */
static const char *check_tls(const demilune_options *options, char *message) {
  bool has_tls = options->tls_cert[0] || options->tls_key[0];
  const char *alone = options->tls_ocsp[0] ? "tls-ocsp" : options->tls_client_ca ? "tls-client-ca" : options->http_redirect ? "http-redirect" : NULL;
  char host[DL_HOST_BYTES];
  int port;
  if (has_tls && options->http_redirect) return dl_sockets_redirect_address(options, host, &port, message);
  if (!alone || has_tls) return NULL;
  snprintf(message, DL_OPTIONS_MESSAGE_BYTES, "--%s is about TLS, and there is none: give --tls-cert and --tls-key too", alone);
  return message;
}

static bool is_loopback(const char *host) {
  struct in_addr four;
  struct in6_addr six;
  if (!host || strcmp(host, "localhost") == 0) return true;
  if (inet_pton(AF_INET, host, &four) == 1) return ntohl(four.s_addr) >> 24 == 127;
  return inet_pton(AF_INET6, host, &six) == 1 && (IN6_IS_ADDR_LOOPBACK(&six) || (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127));
}

/* Whether other machines may reach what a server shows that is there for its developer alone. */
static bool shows_others(const demilune_options *options) {
  return options->mode == DEMILUNE_DEV && !options->unix_path && !is_loopback(options->host);
}

static const char *check_exposure(const demilune_options *options, char *message) {
  if (options->exposed || !shows_others(options)) return NULL;
  snprintf(message, DL_OPTIONS_MESSAGE_BYTES,
           "dev shows tracebacks to whoever reaches it, and --host=%.100s lets other machines: leave it out, use `demilune serve`, "
           "or, in a container or a virtual machine, add --exposed",
           options->host);
  return message;
}

const char *dl_options_check(const demilune_options *options, char message[DL_OPTIONS_MESSAGE_BYTES]) {
  if (!options || !options->folder || !*options->folder) return "no folder is given; name the one that holds the app's app.lua";
  const char *problem = check_values(options, message);
  if (!problem) problem = check_tls(options, message);
  return problem ? problem : check_exposure(options, message);
}

const char *dl_options_explain_port(const char *problem, const char *how, char message[256]) {
  const char *taken = uv_strerror(UV_EADDRINUSE);
  if (problem != message) return problem; /* and nobody has written into message */
  size_t length = strlen(message), tail = strlen(taken);
  if (length > tail && strcmp(message + length - tail, taken) == 0)
    snprintf(message + length, 256 - length, "; end who listens there, or choose another port by %s", how);
  return problem;
}

void dl_options_warn(const demilune_options *options, dl_log *log) {
  if (!shows_others(options)) return;
  dl_log_text(log, DL_LOG_WARNING, "dev is exposed: whoever reaches %s is shown tracebacks, the app's documentation page and what was wrong with its files", options->host);
}
