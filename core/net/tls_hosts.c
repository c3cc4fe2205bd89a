/* SPDX-License-Identifier: MIT */
/*
 * Which certificates for which name (RFC 6066 3). Each name that any certificate is
 * for gets, of each kind of key, the first certificate that covers it; names with
 * the same certificates share one choice.
 */
#include "net/tls_internal.h"

#include "base/memory.h"

#include <openssl/x509v3.h>
#include <stdlib.h>

/* "a.example.com" → ".example.com"; empty when there is no dot. */
static dl_str parent_of(dl_str name) {
  const char *dot = name.len ? memchr(name.ptr, '.', name.len) : NULL;
  return dot ? dl_str_skip(name, (size_t)(dot - name.ptr)) : (dl_str){0};
}

/* A wildcard stands for exactly one label (RFC 6125 6.4.3). */
static bool matches(const char *pattern, dl_str name) {
  dl_str text = dl_str_of(pattern);
  if (dl_str_equal_nocase(text, name)) return true;
  dl_str parent = parent_of(name);
  return dl_str_starts(text, DL_STR("*.")) && parent.len < name.len && parent.len && dl_str_equal_nocase(dl_str_skip(text, 1), parent);
}

static bool covers(const dl_tls_certificate *certificate, dl_str name) {
  for (size_t i = 0; i < certificate->name_count; i++)
    if (matches(certificate->names[i], name)) return true;
  return false;
}

static dl_tls_choice choice_for(const dl_tls_context *context, dl_str name) {
  dl_tls_choice choice = {0};
  for (int kind = 0; kind < DL_TLS_KEY_KINDS; kind++) choice.certificate[kind] = -1;
  for (size_t i = 0; i < context->certificate_count; i++) {
    const dl_tls_certificate *certificate = &context->certificates[i];
    if (choice.certificate[certificate->kind] < 0 && covers(certificate, name)) choice.certificate[certificate->kind] = (int)i;
  }
  return choice;
}

static size_t add_choice(dl_tls_context *context, dl_tls_choice choice) {
  for (size_t i = 0; i < context->choice_count; i++)
    if (memcmp(context->choices[i].certificate, choice.certificate, sizeof choice.certificate) == 0) return i;
  context->choices = dl_realloc(context->choices, (context->choice_count + 1) * sizeof *context->choices);
  context->choices[context->choice_count] = choice;
  return context->choice_count++;
}

static int compare_hosts(const void *a, const void *b) { return strcmp(((const dl_tls_host *)a)->name, ((const dl_tls_host *)b)->name); }

static const dl_tls_host *locate(const dl_tls_context *context, const char *name) {
  dl_tls_host wanted = {.name = name};
  return context->host_count ? bsearch(&wanted, context->hosts, context->host_count, sizeof wanted, compare_hosts) : NULL;
}

static void add_host(dl_tls_context *context, const char *name) {
  for (size_t i = 0; i < context->host_count; i++)
    if (strcmp(context->hosts[i].name, name) == 0) return;
  size_t choice = add_choice(context, choice_for(context, dl_str_of(name)));
  context->hosts = dl_realloc(context->hosts, (context->host_count + 1) * sizeof *context->hosts);
  context->hosts[context->host_count++] = (dl_tls_host){name, choice};
}

/* The first certificate is the default, with those of other kinds for its first name. */
void dl_tls_hosts_build(dl_tls_context *context) {
  const dl_tls_certificate *first = &context->certificates[0];
  dl_tls_choice choice = choice_for(context, first->name_count ? dl_str_of(first->names[0]) : (dl_str){0});
  choice.certificate[first->kind] = 0;
  add_choice(context, choice);
  for (size_t i = 0; i < context->certificate_count; i++)
    for (size_t name = 0; name < context->certificates[i].name_count; name++) add_host(context, context->certificates[i].names[name]);
  if (context->host_count) qsort(context->hosts, context->host_count, sizeof *context->hosts, compare_hosts);
}

void dl_tls_hosts_free(dl_tls_context *context) {
  for (size_t i = 0; i < context->choice_count; i++) SSL_CTX_free(context->choices[i].ssl);
  dl_free(context->choices);
  dl_free(context->hosts);
}

const dl_tls_choice *dl_tls_hosts_find(const dl_tls_context *context, dl_str name) {
  char lower[256];
  if (name.len == 0 || name.len > 253) return &context->choices[0];
  for (size_t i = 0; i < name.len; i++) lower[i] = dl_ascii_lower(name.ptr[i]);
  lower[name.len] = 0;
  if (lower[name.len - 1] == '.') lower[name.len - 1] = 0; /* a root's dot, which RFC 6066 does not want */
  const dl_tls_host *host = locate(context, lower);
  if (host) return &context->choices[host->choice];
  char *dot = strchr(lower, '.');
  if (!dot || dot == lower) return &context->choices[0];
  dot[-1] = '*';
  host = locate(context, dot - 1);
  return &context->choices[host ? host->choice : 0];
}

bool dl_tls_context_covers(const dl_tls_context *context, dl_str host) {
  char address[64];
  if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']') host = dl_str_from(host.ptr + 1, host.len - 2);
  if (host.len == 0) return false;
  for (size_t i = 0; i < context->certificate_count; i++)
    if (covers(&context->certificates[i], host)) return true;
  if (host.len >= sizeof address) return false;
  memcpy(address, host.ptr, host.len);
  address[host.len] = 0;
  for (size_t i = 0; i < context->certificate_count; i++)
    if (X509_check_ip_asc(context->certificates[i].leaf, address, 0) == 1) return true;
  return false;
}
