/**
 * Chance that can be repeated: mulberry32 over a seed.
 * @module
 */

export class Chance {
  #state;

  /** @param {number} seed */
  constructor(seed) {
    this.#state = seed;
  }

  /** From 0 to below 1. */
  random() {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, both ends included. @param {number} low @param {number} high */
  integer(low, high) {
    return low + Math.floor(this.random() * (high - low + 1));
  }

  /** @template T @param {T[]} choices */
  choice(choices) {
    return choices[this.integer(0, choices.length - 1)];
  }
}
