/* SPDX-License-Identifier: MIT */
/*
 * The keys of session tickets (RFC 8446 4.6.1, RFC 5077), as a plain struct that
 * lives in memory which workers share: a ticket of one opens at another. One owner
 * (the master) rotates, anybody reads without a lock.
 *
 * A key seals for one period and opens for one more, and a ticket is good for one
 * period: none outlives two periods, after which the bytes are gone.
 *
 * Needs of the system: getrandom(2).
 */
#ifndef DL_NET_TLS_TICKET_KEYS_H
#define DL_NET_TLS_TICKET_KEYS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { DL_TLS_TICKET_PERIOD_S = 12 * 3600 }; /* how often the owner should rotate */

typedef struct dl_tls_ticket_key {
  unsigned char name[16], cipher[32], mac[32];
} dl_tls_ticket_key;

typedef struct dl_tls_ticket_keys {
  dl_tls_ticket_key slots[4];
  _Atomic uint32_t turn; /* slots[turn % 4] seals, the one before it still opens; 0: none was made */
} dl_tls_ticket_keys;

/* Makes a new key, and forgets the one before the last. Also the first time, on
 * zeroed memory. False when the system gave no random bytes; nothing changed then. */
bool dl_tls_ticket_keys_rotate(dl_tls_ticket_keys *keys);

/* The key that seals now. False before the first rotation. */
bool dl_tls_ticket_keys_current(const dl_tls_ticket_keys *keys, dl_tls_ticket_key *out);

/* The key of that name, while it opens. */
bool dl_tls_ticket_keys_find(const dl_tls_ticket_keys *keys, const unsigned char name[16], dl_tls_ticket_key *out);

#endif
