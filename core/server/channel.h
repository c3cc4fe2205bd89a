/* SPDX-License-Identifier: MIT */
/*
 * What a master and its children say to one another: whole messages over a socket
 * pair, each with a text and, where it says so, a file descriptor.
 */
#ifndef DL_SERVER_CHANNEL_H
#define DL_SERVER_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

typedef enum dl_message_kind {
  /* to a child */
  DL_MESSAGE_LOAD,  /* load the app's files anew, beside what runs; fd: the files, number: the generation's */
  DL_MESSAGE_SERVE, /* take connections from now on; nothing to one that does already */
  DL_MESSAGE_SWAP,  /* new requests begin in what was loaded; number: by which LOAD, counted from 1 on */
  DL_MESSAGE_DROP,  /* forget what was loaded */
  DL_MESSAGE_STOP,  /* finish what is in flight and end; a second time: end at once */
  DL_MESSAGE_LOG,   /* fd: what the log is written to from now on */
  DL_MESSAGE_TLS,   /* fd: certificates and keys for new connections */
  DL_MESSAGE_NOTE,  /* text: why the last reload failed, or nothing; for the documentation page */
  /* to the master */
  DL_MESSAGE_READY,   /* it can serve, and waits for SERVE; number: the generation */
  DL_MESSAGE_LOADED,  /* what LOAD asked for is there; number: which LOAD, counted as above */
  DL_MESSAGE_SWAPPED, /* what SWAP asked for is done */
  DL_MESSAGE_FAILED   /* text: why it could not load; number: which LOAD, 0 at its start */
} dl_message_kind;

enum { DL_MESSAGE_TEXT_BYTES = 16384 };

typedef struct dl_message {
  uint32_t kind;
  uint32_t length; /* of text, without the NUL behind it */
  uint64_t number;
  char text[DL_MESSAGE_TEXT_BYTES];
} dl_message;

/* Two ends, closed on exec, neither of which blocks. False: no descriptors. */
bool dl_channel_open(int ends[2]);

/* Sends; text may be NULL and is clipped, fd -1 for none (it stays the caller's).
 * False: the other side is gone, or does not read. */
bool dl_channel_send(int channel, dl_message_kind kind, uint64_t number, const char *text, int fd);

/* The next message. 1: there it is, with *fd (the caller's now) or -1; 0: none waits;
 * -1: the other side is gone, or sent what is no message; *fd may have come with it.
 * Of several descriptors in one packet the first is taken, and none of the others. */
int dl_channel_receive(int channel, dl_message *message, int *fd);

#endif
