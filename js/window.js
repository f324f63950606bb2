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

/** Half a window taken in more than so many ms, with something left all the time: it can be smaller. */
const SLOW = 2_000;

/**
 * What BUSY is where a round trip takes so many ms: no less than two, in which a sender that waits for credit
 * sends all that it has and has it read.
 * @param {number} roundTrip
 */
export function busyWithin(roundTrip) {
  return Math.max(BUSY, 2 * roundTrip);
}

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
 * full, a slow one with the memory it had at first. It is halved when its reader takes that half slowly and always had
 * something left, down to its first size. One whose size was set stays as it is.
 */
export class ReceiveWindow {
  /** Taken from the budget. */
  #charge = 0;
  /** It does not shrink below. */
  #floor;
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
    this.#floor = size;
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
   * @param {number} [busy] see `busyWithin`
   */
  consumed(size, held, now, busy = BUSY) {
    const withholding = this.#taken < 0;
    this.#taken += size;
    if (withholding) this.#settle();
    if (held === 0) this.#drained = true;
    if (this.#taken * 2 < this.size) return 0;
    const change = this.#drained
      ? this.#growth(now - this.#since < busy)
      : -this.#shrinkage(now - this.#since > SLOW);
    const credit = this.#taken + change;
    this.#charge += change;
    this.size += change;
    this.#taken = 0;
    this.#drained = false;
    this.#since = now;
    this.#granted += credit;
    return credit;
  }

  /** What it grows by, taken from the budget. @param {boolean} busy */
  #growth(busy) {
    const growth = busy ? Math.max(0, Math.min(this.size, this.limit - this.size)) : 0;
    return this.budget.take(growth) ? growth : 0;
  }

  /** What it shrinks by, given back to the budget: no more than was taken, and so not granted. @param {boolean} slow */
  #shrinkage(slow) {
    const shrinkage = slow ? Math.min(this.size >> 1, this.size - this.#floor) : 0;
    this.budget.give(shrinkage);
    return shrinkage;
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
    this.size = this.limit = this.#floor = size;
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
