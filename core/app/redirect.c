/* SPDX-License-Identifier: MIT */
#include "app/redirect.h"

#include "http/text.h"

#include <stdio.h>

enum { HTTPS_PORT = 443 };

static dl_str without_port(dl_str host) {
  for (size_t i = host.len; i-- > 0;) {
    if (host.ptr[i] == ':') return dl_str_from(host.ptr, i);
    if (host.ptr[i] < '0' || host.ptr[i] > '9') break;
  }
  return host;
}

/* Only names that are ours: by allowed_hosts, or where the app names none, by the
 * certificates. Else whoever chooses the Host would choose where we send people. */
static bool is_ours(const dl_exchange *exchange, dl_str host) {
  if (exchange->plan->allowed_host_count) return dl_plan_allows_host(exchange->plan, host);
  return exchange->worker->tls && dl_tls_context_covers(exchange->worker->tls, host);
}

/* Path and query as they were sent, also behind "http://host". */
static dl_str path_and_query(dl_str target, dl_arena *arena) {
  if (target.len && target.ptr[0] == '/') return target;
  const char *scheme_end = memmem(target.ptr, target.len, "://", 3);
  if (!scheme_end) return DL_STR("/");
  dl_str rest = dl_str_skip(target, (size_t)(scheme_end - target.ptr) + 3);
  size_t host = 0;
  while (host < rest.len && rest.ptr[host] != '/' && rest.ptr[host] != '?') host++;
  rest = dl_str_skip(rest, host);
  return rest.len && rest.ptr[0] == '?' ? dl_str_of(dl_arena_format(arena, "/%.*s", DL_STR_ARGS(rest))) : rest.len ? rest : DL_STR("/");
}

static void send_there(dl_exchange *exchange, dl_str host) {
  dl_str rest = path_and_query(exchange->request.target, &exchange->arena);
  int port = exchange->worker->https_port;
  char port_text[8] = "";
  if (port && port != HTTPS_PORT) snprintf(port_text, sizeof port_text, ":%d", port);
  dl_buffer fields = {0};
  dl_str location = dl_str_of(dl_arena_format(&exchange->arena, "https://%.*s%s%.*s", DL_STR_ARGS(host), port_text, DL_STR_ARGS(rest)));
  if (dl_http_header_line(&fields, DL_STR("Location"), location))
    dl_respond(exchange, 308, DL_STR("application/json"), dl_buffer_str(&fields), DL_STR("{\"detail\":\"Use https\"}"));
  else
    dl_respond_error(exchange, 400, DL_STR("The request's target cannot stand in a URL"), (dl_str){0});
  dl_buffer_free(&fields);
}

/* Authorization, or a key in a field of its own, which is the guard's of the route that was meant. */
static bool has_credentials(const dl_exchange *exchange) {
  const dl_http_request *request = &exchange->request;
  dl_route_match match;
  if (dl_http_request_header(request, DL_HEADER_AUTHORIZATION).ptr) return true;
  if (dl_router_find(exchange->plan->router, request->method, request->path, &match) != DL_ROUTE_FOUND) return false;
  const dl_route *route = match.route;
  return route->guard && dl_guard_is_shown_key(route->guard, request);
}

/* What was sent here was readable on its way. Something that only reads is sent on;
 * credentials and changes are refused, so that their sender mends the URL. */
dl_admission dl_step_secure(dl_exchange *exchange) {
  const dl_http_request *request = &exchange->request;
  if (!exchange->connection->redirects) return DL_ADMITTED;
  dl_str host = without_port(dl_http_request_header(request, DL_HEADER_HOST));
  bool reads = request->method == DL_METHOD_GET || request->method == DL_METHOD_HEAD;
  exchange->close = true;
  if (!is_ours(exchange, host)) dl_respond_error(exchange, 400, DL_STR("Host is not one this server answers to"), (dl_str){0});
  else if (!reads) dl_respond_error(exchange, 403, DL_STR("This port only sends to https; write https:// in the URL"), (dl_str){0});
  else if (has_credentials(exchange))
    dl_respond_error(exchange, 403, DL_STR("Credentials were sent without TLS, where others can read them; write https:// in the URL and change them"), (dl_str){0});
  else send_there(exchange, host);
  return DL_REFUSED;
}
