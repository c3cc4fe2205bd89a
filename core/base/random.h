/* SPDX-License-Identifier: MIT */
/*
 * Numbers that do not repeat, without a system call for each: xoshiro256**
 * (Blackman and Vigna, 2018). For names of things, such as trace ids. Whoever sees
 * some of them can tell the next: nothing that must not be guessed comes from here.
 */
#ifndef DL_BASE_RANDOM_H
#define DL_BASE_RANDOM_H

#include <stdint.h>

typedef struct dl_random {
  uint64_t state[4];
} dl_random;

/* Seeds it from the system. Each process its own, after it was forked. */
void dl_random_seed(dl_random *random);

static inline uint64_t dl_random_rotate(uint64_t word, int bits) { return word << bits | word >> (64 - bits); }

static inline uint64_t dl_random_next(dl_random *random) {
  uint64_t *s = random->state;
  uint64_t result = dl_random_rotate(s[1] * 5, 7) * 9, shifted = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= shifted;
  s[3] = dl_random_rotate(s[3], 45);
  return result;
}

#endif
