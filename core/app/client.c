/* SPDX-License-Identifier: MIT */
#include "app/client.h"

#include "base/memory.h"
#include "http/forwarded.h"
#include "limit/limit.h"

#include <stdio.h>

enum { COMPLAINT_US = 60000000 };

/* --- whom to trust --------------------------------------------------------------------- */

const char *dl_worker_set_proxies(dl_worker *worker, const char *trusted, bool proxy_protocol, char message[256]) {
  worker->proxy_protocol = proxy_protocol;
  if (trusted) worker->trusted = dl_calloc(1, sizeof *worker->trusted);
  if (trusted && *trusted) {
    dl_str wrong;
    const char *problem = dl_trusted_add_list(worker->trusted, dl_str_of(trusted), &wrong);
    if (problem) {
      snprintf(message, 256, "trusted proxies: \"%.*s\" %s", wrong.len < 50 ? (int)wrong.len : 50, wrong.ptr, problem);
      return message;
    }
  }
  const dl_trusted *all = dl_client_trusted(worker);
  if (!proxy_protocol || (all && (all->count > 0 || all->unix_sockets))) return NULL;
  return "the PROXY protocol is believed from trusted proxies only, and none is named; write --trusted-proxies=10.0.0.0/8 with the networks of yours, or trusted_proxies in demilune.app";
}

const dl_trusted *dl_client_trusted(const dl_worker *worker) { return worker->trusted ? worker->trusted : worker->generation->plan->trusted; }

/* --- connections ------------------------------------------------------------------------- */

/* An IPv6 client has a whole network of addresses, and is one client as for limits; the proxies in one are several. */
static dl_str counted_as(const dl_connection *connection, char room[DL_LIMIT_KEY_BYTES]) {
  const dl_trusted *trusted = dl_client_trusted(connection->worker);
  dl_str address = dl_str_from(connection->client, connection->client_len);
  return trusted && dl_trusted_has(trusted, &connection->address) ? address : dl_limit_client_key(address, room);
}

/* One more of that client. What stands behind a unix socket is one proxy for everybody. */
static bool count(dl_connection *connection, bool capped) {
  dl_worker *worker = connection->worker;
  uint32_t most = worker->generation->plan->limits.max_connections_per_client;
  char room[DL_LIMIT_KEY_BYTES];
  connection->client_hash = dl_client_counts_hash(&worker->clients, counted_as(connection, room));
  uint32_t of_client = dl_client_counts_add(&worker->clients, connection->client_hash);
  return !capped || most == 0 || connection->address.kind == DL_ADDRESS_UNIX || of_client <= most;
}

/* By the list of the last reload: whoever was taken off it is believed no more, on whatever connection. */
static bool is_trusted(const dl_connection *connection) {
  const dl_trusted *trusted = dl_client_trusted(connection->worker);
  return trusted && !connection->unnamed && dl_trusted_has(trusted, &connection->address);
}

bool dl_client_is_announced(const dl_connection *connection) { return connection->worker->proxy_protocol && is_trusted(connection); }

bool dl_client_connected(dl_connection *connection) {
  connection->client_len = (uint8_t)dl_listener_peer(&connection->stream.uv.stream, connection->client);
  if (connection->stream.uv.handle.type != UV_TCP) connection->address.kind = DL_ADDRESS_UNIX;
  else if (!dl_address_read(dl_str_from(connection->client, connection->client_len), &connection->address)) connection->address.kind = DL_ADDRESS_NONE; /* it has left */
  connection->peer = connection->address;
  return count(connection, !dl_client_is_announced(connection));
}

/* Whom the proxy names is believed from then on, and trusted when they are another
 * trusted proxy. A client without an address keeps the proxy's, but not its trust. */
bool dl_client_announced(dl_connection *connection, dl_proxy_result result, const dl_address *client) {
  if (result == DL_PROXY_SELF) return true;
  connection->unnamed = result == DL_PROXY_UNKNOWN || client->kind != DL_ADDRESS_IP;
  if (result == DL_PROXY_UNKNOWN) return true;
  dl_client_counts_remove(&connection->worker->clients, connection->client_hash);
  connection->named = true;
  connection->address = *client;
  connection->client_len = (uint8_t)dl_address_write(client, connection->client);
  return count(connection, true);
}

void dl_client_complain(dl_connection *connection, const char *problem) {
  dl_worker *worker = connection->worker;
  dl_log *log = &worker->loop->log;
  uint64_t now_us = worker->loop->clock.monotonic_us;
  if (worker->complained_us && now_us < worker->complained_us + COMPLAINT_US) return;
  worker->complained_us = now_us;
  if (!dl_log_begin(log, DL_LOG_WARNING, DL_STR("a trusted proxy sent what was not believed"))) return;
  dl_log_field(log, "proxy", dl_str_from(connection->client, connection->client_len));
  dl_log_field(log, "problem", dl_str_of(problem));
  dl_log_end(log);
}

/* --- requests ------------------------------------------------------------------------------ */

/* Whose word it was that the client is who it is has been taken off the list. */
static bool is_disowned(const dl_connection *connection) {
  const dl_trusted *trusted = dl_client_trusted(connection->worker);
  return connection->named && !(trusted && dl_trusted_has(trusted, &connection->peer));
}

dl_admission dl_step_client(dl_exchange *exchange) {
  dl_connection *connection = exchange->connection;
  if (is_disowned(connection)) {
    exchange->close = true;
    dl_respond_error(exchange, 400, DL_STR("The proxy that named this connection's client is not trusted any more"), (dl_str){0});
    return DL_REFUSED;
  }
  if (!is_trusted(connection)) return DL_ADMITTED;
  dl_forwarded found = dl_forwarded_read(&exchange->request, &connection->address, dl_client_trusted(exchange->worker), &exchange->arena);
  if (found.problem) dl_client_complain(connection, found.problem);
  if (!dl_address_equal(&found.client, &connection->address)) {
    char *text = dl_arena_alloc(&exchange->arena, DL_ADDRESS_TEXT_BYTES);
    char room[DL_LIMIT_KEY_BYTES];
    exchange->view.client = dl_str_from(text, dl_address_write(&found.client, text));
    exchange->view.share = dl_client_counts_hash(&exchange->worker->clients, dl_limit_client_key(exchange->view.client, room));
  }
  if (found.scheme != DL_SCHEME_UNKNOWN) exchange->view.scheme = found.scheme == DL_SCHEME_HTTPS ? DL_STR("https") : DL_STR("http");
  exchange->view.host = found.host;
  return DL_ADMITTED;
}
