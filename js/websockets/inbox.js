/**
 * Messages that have come on a WebSocket, and its end.
 * @module
 */

/**
 * @typedef {string | Uint8Array} Data
 * @typedef {{code: number, reason: string, clean: boolean, error: string}} Ending
 */

/** Bytes of messages that may wait where nothing holds back whoever sends them. */
export const WAITING_MAX = 64 << 20;

/** How a connection is closed on which more waits. */
export const OVERFLOW = { code: 4008, reason: "messages came faster than they were read" };

/** A queue of messages, and whoever waits for the next. */
export class Inbox {
  protocol = "";
  extensions = "";
  url = "";
  /** How it has ended. @type {Ending | undefined} */
  ending;
  /** Whoever else wants to know what comes; undefined stands for the end. @type {((data?: Data) => void) | null} */
  told = null;
  /** Bytes of messages that wait. */
  size = 0;
  /** @type {Data[]} */
  #queue = [];
  /** Where the next is in the queue: moving all for each takes long where many wait. */
  #next = 0;
  /** @type {(() => void)[]} */
  #waiting = [];

  /** How many messages wait. */
  get available() {
    return this.#queue.length - this.#next;
  }

  /** The next message that is here already; undefined if none is. */
  take() {
    if (!this.available) return undefined;
    const data = this.#queue[this.#next];
    this.#queue[this.#next++] = "";
    this.size -= data.length;
    if (2 * this.#next >= this.#queue.length) [this.#queue, this.#next] = [this.#queue.slice(this.#next), 0];
    return data;
  }

  /** Settled when there is a message, or an end. */
  ready() {
    if (this.available || this.ending) return Promise.resolve();
    return new Promise((/** @type {(value?: undefined) => void} */ resolve) => this.#waiting.push(resolve));
  }

  /** @param {Data} data */
  push(data) {
    this.#queue.push(data);
    this.size += data.length;
    this.told?.(data);
    this.wake();
  }

  /** @param {Ending} ending */
  end(ending) {
    if (this.ending) return;
    this.ending = ending;
    this.told?.();
    this.wake();
  }

  /** Let those who wait look again; also where one of them has given up, so that he is forgotten. */
  wake() {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
