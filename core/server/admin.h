/* SPDX-License-Identifier: MIT */
/*
 * The admin listener: /livez, /readyz and /metrics over HTTP/1.1, for who runs the
 * service. Apart from the app: no Lua, no routes, one request a connection, GET and
 * HEAD only, few connections at once and none for long. It reads the shared block and
 * changes nothing.
 *
 * Needs of the system: a listening TCP or unix socket, and what prometheus.h needs.
 */
#ifndef DL_SERVER_ADMIN_H
#define DL_SERVER_ADMIN_H

#include "app/metrics.h"
#include "limit/table.h"
#include "net/loop.h"

/* --- address --------------------------------------------------------------------- */

typedef struct dl_admin_address {
  char unix_path[108]; /* empty: TCP */
  char host[48];
  int port;            /* 0 lets the system choose */
  bool loopback;       /* nobody on another machine can reach it */
} dl_admin_address;

/* Reads "9090" (on 127.0.0.1), "10.0.0.1:9090", "[::1]:9090", "localhost:9090" or
 * "unix:/run/service/admin.sock". NULL, or a static sentence that says what to write. */
const char *dl_admin_address_read(const char *text, dl_admin_address *out);

/* Whether a Host field names an IP address or localhost. A page whose own name was
 * bound to our address (DNS rebinding) sends that name. */
bool dl_admin_host_is_plain(dl_str host);

/* --- socket ------------------------------------------------------------------------- */

typedef struct dl_admin_socket {
  int fd; /* listens; -1: there is none */
  dl_admin_address address; /* with the port as bound */
  bool inherited;
} dl_admin_socket;

/* Binds what text says (NULL: nothing, and fd is -1), or takes what the program before
 * this one passed on in DEMILUNE_ADMIN_SOCKET, which leaves the environment. NULL, or a
 * sentence in message. */
const char *dl_admin_socket_open(dl_admin_socket *out, const char *text, char message[256]);

/* Says in the log where it is; a warning if other machines can reach it. */
void dl_admin_socket_announce(const dl_admin_socket *admin_socket, dl_log *log);

/* Closes it unless it was given away (fd -1), and removes a unix socket's file unless
 * keep_path, since another process goes on with it. */
void dl_admin_socket_close(dl_admin_socket *admin_socket, bool keep_path);

/* --- listener ---------------------------------------------------------------------- */

typedef struct dl_admin dl_admin;

typedef struct dl_admin_source {
  const dl_metrics *metrics;
  const dl_limit_table *limits;  /* NULL: nothing is told of it */
  void (*refresh)(void *owner);  /* called before figures are read, or NULL */
  void *owner;
  bool background;               /* it does not keep the loop turning by itself */
} dl_admin_source;

/* Answers on the socket, whose descriptor it takes. source is copied, what it points
 * to borrowed. NULL with a sentence in message; then one more turn of the loop frees
 * what is left. */
dl_admin *dl_admin_start(dl_loop *loop, dl_admin_socket *admin_socket, const dl_admin_source *source, char message[256]);

/* Closes everything; gone after the loop's next turn. NULL is nothing. */
void dl_admin_stop(dl_admin *admin);

#endif
