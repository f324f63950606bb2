/**
 * Whether a carrier is alive, told by the clock. Pure. Twin of pynet_browser/keepalive.py, in milliseconds.
 * @module
 */

/** A proxy that asks for signs of life more often (ms) is not heeded: the answers would come too late. */
export const KEEPALIVE_MIN = 1_000;

export class KeepAlive {
  #probed = false;

  /**
   * Asks for a probe after `interval` ms without a sign of life, gives up after twice that.
   * @param {number} interval
   * @param {number} now
   */
  constructor(interval, now) {
    this.interval = interval;
    this.last = now;
  }

  /** Anything at all came from the peer. @param {number} now */
  heard(now) {
    this.last = now;
    this.#probed = false;
  }

  /** When tick() has something to say. */
  get deadline() {
    return this.last + this.interval * (this.#probed ? 2 : 1);
  }

  /**
   * What to do now: nothing, send a ping, or give the carrier up.
   * @param {number} now
   * @returns {"quiet" | "probe" | "lost"}
   */
  tick(now) {
    if (now < this.deadline) return "quiet";
    if (this.#probed) return "lost";
    this.#probed = true;
    // After a machine slept, both deadlines are over at once: the peer still gets its chance to answer.
    this.last = Math.max(this.last, now - this.interval);
    return "probe";
  }
}
