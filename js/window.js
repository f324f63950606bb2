/**
 * Byte windows: how much a peer may send on one socket before somebody has read it. Pure.
 * Twin of pynet_browser/window.py; times here are milliseconds.
 * @module
 */

import { ProtocolError } from "./errors.js";

export const WINDOW_INITIAL = 256 * 1024;
export const WINDOW_MAX = 16 << 20;

/** Smallest window that a program may ask for. */
export const WINDOW_MIN = 2048;

/** Half a window taken within so many ms: the window, not the reader, may be what holds the sender back. */
const BUSY = 250;

const CREDIT_MAX = 2 ** 32 - 1;

/** Bytes that the windows of one session may grow by, all together. */
export class Budget {
  /** @param {number} size */
  constructor(size) {
    this.left = size;
  }

  /** Take `size` bytes if they are there. @param {number} size */
  take(size) {
    if (size > this.left) return false;
    this.left -= size;
    return true;
  }

  /** Give back what was taken. @param {number} size */
  give(size) {
    this.left += size;
  }
}

/** What the peer still lets this end send. */
export class SendWindow {
  /** @param {number} credit */
  constructor(credit) {
    this.credit = credit;
  }

  /** So many bytes have left; the caller has made sure that the credit covers them. @param {number} size */
  sent(size) {
    this.credit -= size;
  }

  /** The peer grants more. @param {number} credit */
  opened(credit) {
    this.credit += credit;
    if (this.credit > CREDIT_MAX) throw new ProtocolError(`window of ${this.credit} bytes`);
  }
}

/**
 * What this end lets the peer send, and when to let it send more.
 *
 * It doubles each time its reader has taken half of it quickly and had nothing left to read on the way, up to
 * `limit` and as far as the budget allows: a fast reader on a long line ends with a window that keeps the line
 * full, a slow one with the memory it had at first. One whose size was set stays as it is.
 */
export class ReceiveWindow {
  /** Taken from the budget. */
  #charge = 0;
  #granted;
  /** Read and not granted again; below zero what a smaller window still has to withhold. */
  #taken = 0;
  #drained = false;
  #since = -Infinity;

  /**
   * @param {Budget} budget
   * @param {number} [size]
   * @param {number} [limit]
   */
  constructor(budget, size = WINDOW_INITIAL, limit = WINDOW_MAX) {
    this.budget = budget;
    this.size = size;
    this.initial = size;
    this.limit = limit;
    this.#granted = size;
  }

  /** So many bytes have come in. @param {number} size */
  received(size) {
    if (size > this.#granted) throw new ProtocolError(`${size} bytes came in a window of ${this.#granted}`);
    this.#granted -= size;
  }

  /**
   * `size` bytes were read and `held` are left; returns the credit to grant now (0: none yet).
   * @param {number} size
   * @param {number} held
   * @param {number} now
   */
  consumed(size, held, now) {
    const withholding = this.#taken < 0;
    this.#taken += size;
    if (withholding) this.#settle();
    if (held === 0) this.#drained = true;
    if (this.#taken * 2 < this.size) return 0;
    let credit = this.#taken;
    const growth = Math.min(this.size, this.limit - this.size);
    if (growth > 0 && this.#drained && now - this.#since < BUSY && this.budget.take(growth)) {
      this.#charge += growth;
      this.size += growth;
      credit += growth;
    }
    this.#taken = 0;
    this.#drained = false;
    this.#since = now;
    this.#granted += credit;
    return credit;
  }

  /**
   * Set the size once and for all, as far as the budget goes; returns the credit to grant now.
   * What was granted cannot be taken back: a smaller window withholds credit until it has come in.
   * @param {number} wanted
   */
  resize(wanted) {
    const size = Math.min(Math.max(wanted, WINDOW_MIN), WINDOW_MAX, this.initial + this.#charge + this.budget.left);
    this.#taken += size - this.size;
    const credit = size > this.size ? Math.max(this.#taken, 0) : 0;
    this.size = this.limit = size;
    this.#taken -= credit;
    this.#granted += credit;
    this.#settle();
    return credit;
  }

  /** The socket is gone: give back what the window grew by. It does not grow again. */
  close() {
    this.size = this.limit = this.initial;
    this.#taken = Math.max(this.#taken, 0);
    this.#settle();
  }

  /** Have from the budget what the window, with what it still withholds, has beyond its first size. */
  #settle() {
    const charge = Math.max(this.size - Math.min(this.#taken, 0) - this.initial, 0);
    this.budget.give(this.#charge - charge);
    this.#charge = charge;
  }
}
