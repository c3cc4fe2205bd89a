/* SPDX-License-Identifier: MIT */
#include "net/tls_ticket_keys.h"

#include <string.h>
#include <sys/random.h>

enum {
  SLOTS = 4,
  TRIES = 100 /* a rotation comes once in hours; a worker that was taken over can turn as it likes */
};

bool dl_tls_ticket_keys_rotate(dl_tls_ticket_keys *keys) {
  dl_tls_ticket_key fresh;
  if (getrandom(&fresh, sizeof fresh, 0) != sizeof fresh) return false;
  uint32_t next = atomic_load_explicit(&keys->turn, memory_order_relaxed) + 1;
  if (next == 0) next = SLOTS; /* 0 says that there is none; the remainder stays in step */
  keys->slots[next % SLOTS] = fresh;
  atomic_store_explicit(&keys->turn, next, memory_order_release);
  atomic_thread_fence(memory_order_release); /* who sees any of what is wiped sees that turn has moved */
  explicit_bzero(&keys->slots[(next + SLOTS - 2) % SLOTS], sizeof fresh);
  explicit_bzero(&fresh, sizeof fresh);
  return true;
}

/* Copies the key `back` turns ago. A rotation meanwhile may have wiped it under our
 * hands: then turn has moved, and the copy is not used. */
static bool copy(const dl_tls_ticket_keys *keys, uint32_t turn, uint32_t back, dl_tls_ticket_key *out) {
  *out = keys->slots[(turn - back) % SLOTS];
  atomic_thread_fence(memory_order_acquire);
  return atomic_load_explicit(&keys->turn, memory_order_relaxed) == turn;
}

bool dl_tls_ticket_keys_current(const dl_tls_ticket_keys *keys, dl_tls_ticket_key *out) {
  for (int i = 0; i < TRIES; i++) {
    uint32_t turn = atomic_load_explicit(&keys->turn, memory_order_acquire);
    if (turn == 0) return false;
    if (copy(keys, turn, 0, out)) return true;
  }
  return false;
}

bool dl_tls_ticket_keys_find(const dl_tls_ticket_keys *keys, const unsigned char name[16], dl_tls_ticket_key *out) {
  dl_tls_ticket_key candidates[2];
  uint32_t turn = 0;
  bool copied = false;
  for (int i = 0; i < TRIES && !copied; i++) {
    turn = atomic_load_explicit(&keys->turn, memory_order_acquire);
    if (turn == 0) return false;
    copied = copy(keys, turn, 0, &candidates[0]) && copy(keys, turn, 1, &candidates[1]);
  }
  if (!copied) return false;
  for (uint32_t back = 0; back < 2; back++) {
    if ((back && turn == 1) || memcmp(candidates[back].name, name, sizeof candidates[back].name) != 0) continue;
    *out = candidates[back];
    return true;
  }
  return false;
}
