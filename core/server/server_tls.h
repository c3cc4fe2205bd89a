/* SPDX-License-Identifier: MIT */
/*
 * A server's TLS: from the options, or from what its master read, to a worker that
 * has a context; and the keys of session tickets where there is no master to own them.
 */
#ifndef DL_SERVER_SERVER_TLS_H
#define DL_SERVER_SERVER_TLS_H

#include "app/worker.h"
#include "demilune.h"

struct dl_server_world;

typedef struct dl_server_tls {
  dl_tls_ticket_keys own_tickets;    /* of a server that stands alone */
  const dl_tls_ticket_keys *tickets; /* those, or the master's */
  uv_timer_t rotation;
  char hsts[96];
} dl_server_tls;

/* The files that the options name. */
bool dl_server_tls_is_asked(const demilune_options *options);
bool dl_server_tls_read(const demilune_options *options, dl_tls_material *out, dl_log *log, char message[DL_TLS_MESSAGE_BYTES]);

/* Gives the worker its context, when TLS is asked for. NULL, or a sentence in message. */
const char *dl_server_tls_open(dl_server_tls *tls, const demilune_options *options, const struct dl_server_world *world, dl_worker *worker,
                               char message[DL_TLS_MESSAGE_BYTES]);

/* New connections get what lies in the descriptor (dl_tls_material_pack); when that
 * cannot serve, they get what there was, and the log says so. */
void dl_server_tls_replace(const dl_server_tls *tls, dl_worker *worker, int fd);

/* Wipes the ticket keys. */
void dl_server_tls_free(dl_server_tls *tls);

#endif
