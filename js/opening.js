/**
 * How a session is let in for the first time: what has been tried, and when that was enough. Pure.
 * @module
 */

/** So many carriers of different kinds are tried. */
const TRIES = 2;

/** So often it asks to be let in, each time at whichever proxy a balancer chooses, before "no room" is believed. */
const KNOCKS = 5;

export class Opening {
  /** How often a proxy had no room. */
  knocks = 0;
  /** Why carriers have failed. @type {string[]} */
  #failures = [];

  /**
   * @param {() => void} resolve called when it is let in
   * @param {(error: Error) => void} reject called when it is not
   */
  constructor(resolve, reject) {
    this.resolve = resolve;
    this.reject = reject;
  }

  /**
   * A carrier has failed.
   * @param {string} kind @param {string} reason
   * @returns {string} why all of them have; empty if there is another to try
   */
  failed(kind, reason) {
    this.#failures.push(`${kind}: ${reason}`);
    return this.#failures.length < TRIES ? "" : this.#failures.join("; ");
  }

  /** A proxy had no room. @returns {boolean} whether to ask once more */
  knocksAgain() {
    return ++this.knocks < KNOCKS;
  }
}
