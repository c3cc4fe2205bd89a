/* SPDX-License-Identifier: MIT */
/*
 * Step 3 of the pipeline: who the client is. Of a stranger's connection it is the
 * other end, and nothing that a request says changes that; what comes over a
 * trusted proxy's is for whom the proxy says.
 */
#ifndef DL_APP_CLIENT_H
#define DL_APP_CLIENT_H

#include "app/exchange.h"
#include "net/proxy_protocol.h"

/* Whom the worker trusts, by flag or else by app; NULL: nobody. */
const dl_trusted *dl_client_trusted(const dl_worker *worker);

/* A connection begins: its other end, and its place in the count of connections. False when it has too many already. */
bool dl_client_connected(dl_connection *connection);

/* Whether the connection has to begin with a PROXY header. */
bool dl_client_is_announced(const dl_connection *connection);

/* What that header said. False when the client has too many connections already. */
bool dl_client_announced(dl_connection *connection, dl_proxy_result result, const dl_address *client);

/* Says in the log, at most once a minute for the worker, what a trusted proxy sent
 * that was not believed. */
void dl_client_complain(dl_connection *connection, const char *problem);

/* The request's client, scheme and host, when a trusted proxy brought it. */
dl_admission dl_step_client(dl_exchange *exchange);

#endif
