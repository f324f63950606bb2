/**
 * One timer for whatever is next due.
 * @module
 */

/** Longest pause (ms) a timer can be set for. */
const LONGEST = 2 ** 31 - 1;

export class Alarm {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #at = Infinity;
  #ring;

  /** @param {() => void} ring called when it is time, or a little earlier; it sets the alarm for what comes next */
  constructor(ring) {
    this.#ring = ring;
  }

  /** @param {number} due by `performance.now()`; Infinity for nothing */
  set(due) {
    if (due >= this.#at && due < Infinity) return; // when it rings it is set anew
    clearTimeout(this.#timer);
    this.#at = due;
    if (due === Infinity) return;
    const pause = Math.min(Math.max(0, due - performance.now()), LONGEST);
    this.#timer = setTimeout(() => {
      this.#at = Infinity;
      this.#ring();
    }, pause);
  }
}
