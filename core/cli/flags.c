/* SPDX-License-Identifier: MIT */
/*
 * Flags of the app commands. Each has a DEMILUNE_* variable, which the flag beats.
 */
#include "cli/cli.h"
#include "server/admin.h"

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
  if (*value == 0 || *end || port < 0 || port > 65535) return "must be a number from 0 to 65535 (0 lets the system choose)";
  flags->options.port = (int)port;
  return NULL;
}

static const char *set_unix(dl_flags *flags, const char *value) {
  flags->options.unix_path = value;
  return NULL;
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
  if (*value == 0 || *end || workers < 1 || workers > 64) return "must be a number of processes from 1 to 64";
  flags->options.workers = (int)workers;
  return NULL;
}

static const char *set_redis(dl_flags *flags, const char *value) {
  flags->options.redis_url = value;
  return *value ? NULL : "must be an address, such as redis://127.0.0.1:6379/0";
}

static const char *set_pid(dl_flags *flags, const char *value) {
  char *end;
  flags->pid = strtol(value, &end, 10);
  return *value == 0 || *end || flags->pid < 1 ? "must be the number of a process" : NULL;
}

static const char *set_admin(dl_flags *flags, const char *value) {
  dl_admin_address address;
  flags->options.admin = value;
  return dl_admin_address_read(value, &address);
}

static const char *set_log_file(dl_flags *flags, const char *value) {
  flags->options.log_file = value;
  return *value ? NULL : "must be the path of a file";
}

static const char *set_trusted_proxies(dl_flags *flags, const char *value) {
  flags->options.trusted_proxies = value; /* read where it is used, with all that may be wrong with it */
  return NULL;
}

static const char *set_proxy_protocol(dl_flags *flags, const char *value) {
  bool on = strcmp(value, "on") == 0;
  flags->options.proxy_protocol = on;
  return on || strcmp(value, "off") == 0 ? NULL : "must be on or off";
}

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
  return *value ? NULL : "names no file";
}

static const char *set_http_redirect(dl_flags *flags, const char *value) {
  flags->options.http_redirect = value;
  return NULL;
}

/* What it says is the operator's; that it is one line is ours. */
static const char *set_hsts(dl_flags *flags, const char *value) {
  flags->options.hsts = value;
  for (const char *c = value; *c; c++)
    if (*c < ' ' || *c > '~') return "should be one line of plain text";
  bool says = strcmp(value, "off") == 0 || (strncmp(value, "max-age=", 8) == 0 && value[8] >= '0' && value[8] <= '9');
  return says && strlen(value) < 64 ? NULL : "should be off, or begin with max-age= and a number of seconds, such as max-age=63072000; includeSubDomains";
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
  return *value ? NULL : "must name an account, such as nobody";
}

/* Under this a worker does not get as far as its app. */
static const unsigned long long memory_least = 64ull << 20;

static const char *set_max_memory(dl_flags *flags, const char *value) {
  static const char units[] = "KMG";
  char *end;
  if (*value < '0' || *value > '9') return "must be a size, such as 512M or 2G";
  unsigned long long size = strtoull(value, &end, 10);
  const char *unit = *end ? strchr(units, *end) : NULL;
  unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
  if ((*end && (!unit || end[1])) || size > UINT64_MAX >> shift) return "must be a size, such as 512M or 2G";
  flags->options.max_memory = size << shift;
  return flags->options.max_memory < memory_least ? "must be at least 64M, or nothing could start" : NULL;
}

static const struct {
  const char *name, *variable;
  flag_setter set;
  const char *alone; /* what the flag means without a value; NULL: the next argument is its value */
} flag_table[] = {
    {"host", "DEMILUNE_HOST", set_host, NULL},
    {"port", "DEMILUNE_PORT", set_port, NULL},
    {"unix", "DEMILUNE_UNIX", set_unix, NULL},
    {"access-log", "DEMILUNE_ACCESS_LOG", set_access_log, NULL},
    {"workers", "DEMILUNE_WORKERS", set_workers, NULL},
    {"redis", "DEMILUNE_REDIS", set_redis, NULL},
    {"pid", "DEMILUNE_PID", set_pid, NULL},
    {"trusted-proxies", "DEMILUNE_TRUSTED_PROXIES", set_trusted_proxies, NULL},
    {"proxy-protocol", "DEMILUNE_PROXY_PROTOCOL", set_proxy_protocol, "on"},
    {"admin", "DEMILUNE_ADMIN", set_admin, NULL},
    {"log-file", "DEMILUNE_LOG_FILE", set_log_file, NULL},
    {"tls-cert", "DEMILUNE_TLS_CERT", set_tls_cert, NULL},
    {"tls-key", "DEMILUNE_TLS_KEY", set_tls_key, NULL},
    {"tls-ocsp", "DEMILUNE_TLS_OCSP", set_tls_ocsp, NULL},
    {"tls-client-ca", "DEMILUNE_TLS_CLIENT_CA", set_tls_client_ca, NULL},
    {"http-redirect", "DEMILUNE_HTTP_REDIRECT", set_http_redirect, NULL},
    {"hsts", "DEMILUNE_HSTS", set_hsts, NULL},
    {"sandbox", "DEMILUNE_SANDBOX", set_sandbox, NULL},
    {"user", "DEMILUNE_USER", set_user, NULL},
    {"max-memory", "DEMILUNE_MAX_MEMORY", set_max_memory, NULL},
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
    const char *value = getenv(flag_table[i].variable);
    if (value && !set(flags, i, value, false)) return false;
  }
  flags->in_environment = false;
  return true;
}

/* One argument that begins with "--"; *at moves on when the value is the next one. */
static bool read_flag(dl_flags *flags, const char *command, int count, char **arguments, int *at) {
  const char *name = arguments[*at] + 2;
  const char *equals = strchr(name, '=');
  size_t len = equals ? (size_t)(equals - name) : strlen(name);
  if (strcmp(name, "json") == 0) {
    flags->json = true;
    return true;
  }
  for (size_t i = 0; i < FLAG_COUNT; i++) {
    if (strlen(flag_table[i].name) != len || strncmp(flag_table[i].name, name, len) != 0) continue;
    const char *alone = flag_table[i].alone;
    const char *value = equals ? equals + 1 : alone ? alone : *at + 1 < count ? arguments[++*at] : "";
    return set(flags, i, value, true);
  }
  fprintf(stderr, "demilune %s: there is no flag --%.*s; see demilune help\n", command, (int)len, name);
  return false;
}

/* What only makes sense beside something else. */
static bool check_together(const dl_flags *flags, const char *command) {
  const demilune_options *options = &flags->options;
  bool has_tls = options->tls_cert[0] || options->tls_key[0];
  const char *alone = options->tls_ocsp[0] ? "tls-ocsp" : options->tls_client_ca ? "tls-client-ca" : options->http_redirect ? "http-redirect" : NULL;
  if (!alone || has_tls) return true;
  fprintf(stderr, "demilune %s: --%s is about TLS, and there is none: give --tls-cert and --tls-key too\n", command, alone);
  return false;
}

bool dl_flags_read(dl_flags *flags, const char *command, int count, char **arguments) {
  bool flags_over = false;
  if (!read_environment(flags)) return false;
  for (int i = 0; i < count; i++) {
    const char *argument = arguments[i];
    if (!flags_over && strcmp(argument, "--") == 0) {
      flags_over = true;
    } else if (!flags_over && strncmp(argument, "--", 2) == 0) {
      if (!read_flag(flags, command, count, arguments, &i)) return false;
    } else if (flags->positional_count < (int)(sizeof flags->positional / sizeof *flags->positional)) {
      flags->positional[flags->positional_count++] = argument;
    } else {
      fprintf(stderr, "demilune %s: too many arguments, from \"%s\" on\n", command, argument);
      return false;
    }
  }
  flags->options.folder = flags->positional_count ? flags->positional[0] : ".";
  return check_together(flags, command);
}
