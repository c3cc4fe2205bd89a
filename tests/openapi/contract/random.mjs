// SPDX-License-Identifier: MIT
// Choices from a seed: the same seed makes the same requests, on every machine.

export class Random {
  constructor(seed) {
    this.state = seed >>> 0;
  }

  // From 0 up to, and without, 1.
  fraction() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = this.state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  // Both ends may come.
  integer(from, to) {
    return from + Math.floor(this.fraction() * (to - from + 1));
  }

  chance(share) {
    return this.fraction() < share;
  }

  pick(list) {
    return list[this.integer(0, list.length - 1)];
  }

  // At most count of the list, in its order.
  some(list, share) {
    return list.filter(() => this.chance(share));
  }
}

// A name as a seed, so that each operation has choices of its own.
export function seedOf(number, name) {
  let hash = number >>> 0;
  for (const character of name) hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193) >>> 0;
  return hash;
}
