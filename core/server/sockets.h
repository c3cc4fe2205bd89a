/* SPDX-License-Identifier: MIT */
/*
 * The listening sockets, which the master makes and holds: a worker that dies or is
 * replaced leaves no connection behind in a closed queue, for its successor takes the
 * same socket. One SO_REUSEPORT socket for each worker, since a single one would wake
 * workers last-in first-out and spread badly.
 *
 * Needs of the system: socket, bind, listen; the right to write where a unix socket
 * is to lie.
 */
#ifndef DL_SERVER_SOCKETS_H
#define DL_SERVER_SOCKETS_H

#include "demilune.h"

#include <stddef.h>
#include <stdint.h>

enum { DL_SOCKETS_MAX = 128, DL_HOST_BYTES = 64, DL_PLACE_BYTES = 160 };

typedef struct dl_sockets {
  int fds[DL_SOCKETS_MAX];
  uint8_t place[DL_SOCKETS_MAX], same[DL_SOCKETS_MAX]; /* of each: its place among those of its address, and how many these are */
  size_t count;
  int port;        /* as bound; 0: none is a TCP socket */
  bool any_unix;   /* one of them is a unix socket */
  bool of_systemd; /* who keeps them when we end */
  bool inherited;  /* from a program that may still serve on them */
} dl_sockets;

/* Opens what the options name, as many as there are workers, or takes what was passed
 * on by systemd (LISTEN_FDS, sd_listen_fds(3)) or by the program before this one
 * (DEMILUNE_SOCKETS). Takes those variables out of the environment. NULL, or a
 * sentence in message. */
const char *dl_sockets_open(dl_sockets *sockets, const demilune_options *options, size_t workers, char message[256]);

/* Likewise for options->http_redirect (DEMILUNE_REDIRECT_SOCKETS). */
const char *dl_sockets_open_redirect(dl_sockets *sockets, const demilune_options *options, size_t workers, char message[256]);

/* What options->http_redirect says. NULL, or a sentence. */
const char *dl_sockets_redirect_address(const demilune_options *options, char host[DL_HOST_BYTES], int *port, char message[256]);

/* Whether the worker of that index accepts from that socket: of each address from its share of the sockets, so that
 * every worker is to be reached at every address. One that an address has only one of is everybody's. */
bool dl_sockets_is_for(const dl_sockets *sockets, size_t socket, size_t index, size_t workers);

/* "7,8,9" or "systemd:3,4", for DEMILUNE_SOCKETS. */
void dl_sockets_write(const dl_sockets *sockets, char *out, size_t room);

/* Where clients find that socket, as the system has it: "https://127.0.0.1:8443", "unix:/run/app.sock". Whoever handed
 * one on may have bound it to another address than the options name. */
void dl_sockets_describe(int fd, const char *scheme, char out[DL_PLACE_BYTES]);

/* Lets no new client in, while handshakes under way come to their end: closing a socket
 * at once would reset clients that the system has let in already. For sockets that
 * nobody uses after us. */
void dl_sockets_bar(const dl_sockets *sockets);

/* Whoever holds one may end its listening for everybody, as connect(2) to no address does:
 * before a worker takes the place of another. */
void dl_sockets_listen_again(const dl_sockets *sockets);

/* Closes this process' descriptors. */
void dl_sockets_close(dl_sockets *sockets);

#endif
