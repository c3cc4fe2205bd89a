/* SPDX-License-Identifier: MIT */
/*
 * Flags of the app commands: a row for each says what it sets, which commands take it
 * and what help says. Those of dev and serve have a DEMILUNE_* variable, which the flag
 * beats. A flag of another command is refused, so that nobody believes it did something.
 */
#include "cli/cli.h"
#include "cli/nearest.h"
#include "server/admin.h"
#include "server/options.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef const char *(*flag_setter)(dl_flags *flags, const char *value);

static const char *set_host(dl_flags *flags, const char *value) {
  flags->options.host = value;
  return NULL;
}

static const char *set_port(dl_flags *flags, const char *value) {
  char *end;
  long port = strtol(value, &end, 10);
  const char *problem = dl_option_port(*value == 0 || *end ? -1 : port);
  if (!problem) flags->options.port = (int)port;
  return problem;
}

static const char *set_unix(dl_flags *flags, const char *value) {
  flags->options.unix_path = value;
  return dl_option_text("unix", value);
}

static const char *set_access_log(dl_flags *flags, const char *value) {
  static const char *const names[] = {"off", "json", "text"};
  for (size_t i = 0; i < 3; i++)
    if (strcmp(value, names[i]) == 0) {
      flags->options.access_log = (demilune_access_log)i;
      return NULL;
    }
  return "must be off, json or text";
}

static const char *set_workers(dl_flags *flags, const char *value) {
  char *end;
  long workers = strtol(value, &end, 10);
  const char *problem = dl_option_workers(*value == 0 || *end ? 0 : workers);
  if (!problem) flags->options.workers = (int)workers;
  return problem;
}

static const char *set_redis(dl_flags *flags, const char *value) {
  flags->options.redis_url = value;
  return dl_option_text("redis", value);
}

static const char *set_pid(dl_flags *flags, const char *value) {
  char *end;
  flags->pid = strtol(value, &end, 10);
  return *value == 0 || *end || flags->pid < 1 ? "must be the number of a process" : NULL;
}

static const char *set_json(dl_flags *flags, const char *value) {
  flags->json = true;
  return *value ? "takes no value" : NULL;
}

static const char *set_admin(dl_flags *flags, const char *value) {
  dl_admin_address address;
  flags->options.admin = value;
  return dl_admin_address_read(value, &address);
}

static const char *set_log_file(dl_flags *flags, const char *value) {
  flags->options.log_file = value;
  return dl_option_text("log-file", value);
}

static const char *set_trusted_proxies(dl_flags *flags, const char *value) {
  flags->options.trusted_proxies = value; /* read where it is used, with all that may be wrong with it */
  return NULL;
}

static const char *set_switch(bool *out, const char *value) {
  *out = strcmp(value, "on") == 0;
  return *out || strcmp(value, "off") == 0 ? NULL : "must be on or off";
}

static const char *set_proxy_protocol(dl_flags *flags, const char *value) { return set_switch(&flags->options.proxy_protocol, value); }
static const char *set_exposed(dl_flags *flags, const char *value) { return set_switch(&flags->options.exposed, value); }

/* Flags that may come several times; a variable says all at once, with commas. */
static const char *add_file(const char **list, const char *value) {
  size_t count = 0;
  while (list[count]) count++;
  if (*value == 0) return "names no file";
  if (count == DEMILUNE_TLS_FILES_MAX) return "is one too many; 16 will do";
  list[count] = value;
  return NULL;
}

static const char *add_files(dl_flags *flags, const char **list, size_t which, const char *value) {
  const char *problem = NULL;
  char *copy = flags->variable_lists[which], *rest = copy;
  if (!flags->in_environment) {
    if (*copy) memset(list, 0, sizeof *list * DEMILUNE_TLS_FILES_MAX);
    *copy = 0;
    return add_file(list, value);
  }
  if (strlen(value) >= sizeof flags->variable_lists[which]) return "is too long";
  strcpy(copy, value);
  for (char *name; !problem && (name = strsep(&rest, ","));) problem = add_file(list, name);
  return problem;
}

static const char *set_tls_cert(dl_flags *flags, const char *value) { return add_files(flags, flags->options.tls_cert, 0, value); }
static const char *set_tls_key(dl_flags *flags, const char *value) { return add_files(flags, flags->options.tls_key, 1, value); }
static const char *set_tls_ocsp(dl_flags *flags, const char *value) { return add_files(flags, flags->options.tls_ocsp, 2, value); }

static const char *set_tls_client_ca(dl_flags *flags, const char *value) {
  flags->options.tls_client_ca = value;
  return dl_option_text("tls-client-ca", value);
}

static const char *set_http_redirect(dl_flags *flags, const char *value) {
  flags->options.http_redirect = value;
  return NULL;
}

static const char *set_hsts(dl_flags *flags, const char *value) {
  flags->options.hsts = value;
  return dl_option_hsts(value);
}

static const char *set_sandbox(dl_flags *flags, const char *value) {
  static const char *const names[] = {"off", "on", "strict"};
  for (size_t i = 0; i < 3; i++)
    if (strcmp(value, names[i]) == 0) {
      flags->options.sandbox = (demilune_sandbox)i;
      return NULL;
    }
  return "must be off, on or strict";
}

static const char *set_user(dl_flags *flags, const char *value) {
  flags->options.user = value;
  return dl_option_text("user", value);
}

static const char *set_max_memory(dl_flags *flags, const char *value) {
  static const char units[] = "KMG";
  char *end;
  if (*value < '0' || *value > '9') return "must be a size, such as 512M or 2G";
  unsigned long long size = strtoull(value, &end, 10);
  const char *unit = *end ? strchr(units, *end) : NULL;
  unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
  if ((*end && (!unit || end[1])) || size > UINT64_MAX >> shift) return "must be a size, such as 512M or 2G";
  flags->options.max_memory = size << shift;
  return dl_option_max_memory(flags->options.max_memory);
}

static const struct {
  const char *name, *value; /* what help calls its value */
  const char *variable;     /* NULL: none */
  flag_setter set;
  const char *alone; /* what the flag means without a value; NULL: the next argument is its value */
  unsigned commands;
  const char *summary;
} flag_table[] = {
    {"host", "ADDRESS", "DEMILUNE_HOST", set_host, NULL, DL_FLAGS_SERVING,
     "listen on this address (127.0.0.1)"},
    {"exposed", "", "DEMILUNE_EXPOSED", set_exposed, "on", DL_FLAGS_SERVING,
     "dev: other machines may reach it and see its tracebacks (in a container)"},
    {"port", "NUMBER", "DEMILUNE_PORT", set_port, NULL, DL_FLAGS_SERVING,
     "listen on this port (8000; 0 lets the system choose)"},
    {"unix", "PATH", "DEMILUNE_UNIX", set_unix, NULL, DL_FLAGS_SERVING,
     "listen on a unix socket instead"},
    {"access-log", "off|json|text", "DEMILUNE_ACCESS_LOG", set_access_log, NULL, DL_FLAGS_SERVING,
     "a line for each request (dev: text, serve: json)"},
    {"workers", "NUMBER", "DEMILUNE_WORKERS", set_workers, NULL, DL_FLAGS_SERVING,
     "processes that serve, up to 64 (dev: 1, serve: one for each core)"},
    {"redis", "URL", "DEMILUNE_REDIS", set_redis, NULL, DL_FLAGS_SERVING | DL_FLAGS_LISTING | DL_FLAGS_OPENAPI,
     "count limits there, where the app names no store"},
    {"log-file", "PATH", "DEMILUNE_LOG_FILE", set_log_file, NULL, DL_FLAGS_SERVING,
     "add the log to this file; SIGUSR1 opens it again"},
    {"admin", "PORT|ADDRESS:PORT|unix:PATH", "DEMILUNE_ADMIN", set_admin, NULL, DL_FLAGS_SERVING,
     "answer /livez, /readyz and /metrics there (a port alone: on loopback)"},
    {"trusted-proxies", "LIST", "DEMILUNE_TRUSTED_PROXIES", set_trusted_proxies, NULL, DL_FLAGS_SERVING,
     "who may say for whom they speak: 10.0.0.0/8,unix"},
    {"proxy-protocol", "", "DEMILUNE_PROXY_PROTOCOL", set_proxy_protocol, "on", DL_FLAGS_SERVING,
     "they begin each connection with a PROXY header"},
    {"tls-cert", "FILE", "DEMILUNE_TLS_CERT", set_tls_cert, NULL, DL_FLAGS_SERVING,
     "serve by TLS with this certificate (PEM, with its chain); may come again"},
    {"tls-key", "FILE", "DEMILUNE_TLS_KEY", set_tls_key, NULL, DL_FLAGS_SERVING,
     "the key of the certificate in the same place (PEM)"},
    {"tls-ocsp", "FILE", "DEMILUNE_TLS_OCSP", set_tls_ocsp, NULL, DL_FLAGS_SERVING,
     "an OCSP response to staple (DER); may come again"},
    {"tls-client-ca", "FILE", "DEMILUNE_TLS_CLIENT_CA", set_tls_client_ca, NULL, DL_FLAGS_SERVING,
     "ask clients for certificates that these vouch for (PEM)"},
    {"http-redirect", "[ADDRESS:]PORT", "DEMILUNE_HTTP_REDIRECT", set_http_redirect, NULL, DL_FLAGS_SERVING,
     "a port without TLS that sends readers to https"},
    {"hsts", "VALUE|off", "DEMILUNE_HSTS", set_hsts, NULL, DL_FLAGS_SERVING,
     "what Strict-Transport-Security says (serve: max-age=31536000)"},
    {"sandbox", "off|on|strict", "DEMILUNE_SANDBOX", set_sandbox, NULL, DL_FLAGS_SERVING,
     "walls of the operating system (dev: off, serve: on; strict: all or no start)"},
    {"user", "NAME", "DEMILUNE_USER", set_user, NULL, DL_FLAGS_SERVING,
     "become this account once the sockets are open"},
    {"max-memory", "SIZE", "DEMILUNE_MAX_MEMORY", set_max_memory, NULL, DL_FLAGS_SERVING,
     "private memory of each worker in the sandbox, such as 512M"},
    {"pid", "NUMBER", NULL, set_pid, NULL, DL_FLAGS_RELOAD,
     "the server's process, where several serve the app"},
    {"json", "", NULL, set_json, "", DL_FLAGS_LISTING,
     "print JSON for other programs"},
};
enum { FLAG_COUNT = sizeof flag_table / sizeof *flag_table };

static bool set(dl_flags *flags, size_t index, const char *value, bool is_flag) {
  const char *problem = flag_table[index].set(flags, value);
  if (problem) fprintf(stderr, "demilune: %s%s=%s %s\n", is_flag ? "--" : "", is_flag ? flag_table[index].name : flag_table[index].variable, value, problem);
  return !problem;
}

static bool read_environment(dl_flags *flags) {
  flags->in_environment = true;
  for (size_t i = 0; i < FLAG_COUNT; i++) {
    const char *variable = flags->taken & flag_table[i].commands ? flag_table[i].variable : NULL;
    const char *value = variable ? getenv(variable) : NULL;
    if (value && !set(flags, i, value, false)) return false;
  }
  flags->in_environment = false;
  return true;
}

/* A variable that nobody reads is an app's own, unless it is nearly one of ours. */
static void warn_of_variables(const dl_flags *flags) {
  static const dl_str prefix = DL_STR("DEMILUNE_");
  for (char **at = environ; flags->taken & DL_FLAGS_SERVING && *at; at++) {
    const char *equals = strchr(*at, '=');
    dl_str name = dl_str_from(*at, equals ? (size_t)(equals - *at) : strlen(*at));
    if (!dl_str_starts(name, prefix)) continue;
    dl_nearest nearest = {.written = dl_str_skip(name, prefix.len)};
    dl_nearest_offer(&nearest, "DATA");
    for (size_t i = 0; i < FLAG_COUNT; i++)
      if (flag_table[i].variable) dl_nearest_offer(&nearest, flag_table[i].variable + prefix.len);
    if (nearest.name && nearest.steps > 0)
      fprintf(stderr, "demilune: warning: nothing reads the variable %.*s; did you mean DEMILUNE_%s?\n", DL_STR_ARGS(name), nearest.name);
  }
}

static void no_flag(const dl_flags *flags, const char *command, dl_str name) {
  dl_nearest nearest = {.written = name};
  for (size_t i = 0; i < FLAG_COUNT; i++)
    if (flags->taken & flag_table[i].commands) dl_nearest_offer(&nearest, flag_table[i].name);
  if (nearest.name)
    fprintf(stderr, "demilune %s: there is no flag --%.*s; did you mean --%s? See demilune help %s\n", command, DL_STR_ARGS(name), nearest.name, command);
  else fprintf(stderr, "demilune %s: there is no flag --%.*s; see demilune help %s\n", command, DL_STR_ARGS(name), command);
}

/* One argument that begins with "--"; *at moves on when the value is the next one. */
static bool read_flag(dl_flags *flags, const char *command, int count, char **arguments, int *at) {
  const char *name = arguments[*at] + 2;
  const char *equals = strchr(name, '=');
  size_t len = equals ? (size_t)(equals - name) : strlen(name);
  for (size_t i = 0; i < FLAG_COUNT; i++) {
    if (!(flags->taken & flag_table[i].commands) || strlen(flag_table[i].name) != len || strncmp(flag_table[i].name, name, len) != 0) continue;
    const char *alone = flag_table[i].alone;
    const char *value = equals ? equals + 1 : alone ? alone : *at + 1 < count ? arguments[++*at] : "";
    return set(flags, i, value, true);
  }
  no_flag(flags, command, dl_str_from(name, len));
  return false;
}

/* What is no flag is the folder, of which there is one. */
static bool read_folder(dl_flags *flags, const char *command, const char *argument, bool flags_over) {
  if (!flags_over && argument[0] == '-') {
    fprintf(stderr, "demilune %s: there is no flag %s; flags begin with two dashes, see demilune help %s\n", command, argument, command);
    return false;
  }
  if (flags->options.folder) {
    fprintf(stderr, "demilune %s: takes one folder, and there are two: \"%s\" and \"%s\"\n", command, flags->options.folder, argument);
    return false;
  }
  flags->options.folder = argument;
  return true;
}

bool dl_flags_read(dl_flags *flags, const char *command, int count, char **arguments) {
  char message[DL_OPTIONS_MESSAGE_BYTES];
  bool flags_over = false;
  warn_of_variables(flags);
  if (!read_environment(flags)) return false;
  for (int i = 0; i < count; i++) {
    const char *argument = arguments[i];
    if (!flags_over && strcmp(argument, "--") == 0) flags_over = true;
    else if (!flags_over && strncmp(argument, "--", 2) == 0) {
      if (!read_flag(flags, command, count, arguments, &i)) return false;
    } else if (!read_folder(flags, command, argument, flags_over)) return false;
  }
  if (!flags->options.folder) flags->options.folder = ".";
  const char *problem = flags->taken & DL_FLAGS_SERVING ? dl_options_check(&flags->options, message) : NULL;
  if (problem) fprintf(stderr, "demilune %s: %s\n", command, problem);
  return !problem;
}

void dl_flags_print(unsigned taken) {
  for (size_t i = 0; i < FLAG_COUNT; i++) {
    char left[64];
    if (!(taken & flag_table[i].commands)) continue;
    int length = snprintf(left, sizeof left, "--%s%s%s", flag_table[i].name, *flag_table[i].value ? " " : "", flag_table[i].value);
    printf("  %-29s%s%s\n", left, length < 29 ? "" : "\n                               ", flag_table[i].summary);
  }
}
