/**
 * The way of datagrams beside a session's messages: a data channel that is made when the first datagram socket is used,
 * and done without wherever there is none. Pure.
 * @module
 */

/** Bytes that may wait in the browser; with more, datagrams are dropped, as by any host whose line is full. */
const SEND_AHEAD = 256 * 1024;

/** How long (ms) it may take until a channel is open. */
export const OPEN_TIME = 15_000;

/** How long (ms) to do without after each failure in turn; after the last for good. */
export const PAUSES = [2_000, 10_000, 60_000];

/** A channel that stood for so long (ms) was a good one, and failures before it do not count. */
const LASTING = 60_000;

/**
 * closed: none is wanted until a datagram socket is used; asking: it is being made; open; resting: it has failed, and
 * is made again later; off: there is none for this session.
 * @typedef {"closed" | "asking" | "open" | "resting" | "off"} State
 *
 * @typedef {import("./channel-description.js").End} End
 * @typedef {import("./wire.js").Address} Address
 * @typedef {(end: End) => Promise<any>} Ask
 *
 * @typedef {object} ChannelEvents
 * @property {() => void} opened
 * @property {(message: Uint8Array) => void} received
 * @property {(reason: string) => void} closed it is of no use any more, and closed already
 *
 * @typedef {object} Channel
 * @property {number} waiting bytes that were not sent yet
 * @property {number} limit most bytes of one message
 * @property {(message: Uint8Array) => void} send
 * @property {() => void} close
 *
 * @typedef {object} Makings
 * @property {(events: ChannelEvents) => Channel} connect makes a channel
 * @property {() => string} obstacle why none can be made now; empty if one can
 * @property {() => number} now milliseconds, never going back
 * @property {(reason: string) => void} failed there is no channel though one was wanted
 */

export class Path {
  /** @type {State} */
  state = "closed";
  /** Why there is none, or none yet. */
  reason = "no datagram socket was used yet";
  /** Takes each message. @type {(message: Uint8Array) => void} */
  received = () => {};
  /** @type {Channel | null} */
  #channel = null;
  #failures = 0;
  #retryAt = 0;
  #openUntil = 0;
  #openedAt = 0;
  #makings;

  /** @param {Makings} makings */
  constructor(makings) {
    this.#makings = makings;
  }

  /** Whether datagrams can go by it. */
  get open() {
    return this.state === "open";
  }

  /** A datagram socket is used: have a channel, if there can be one. */
  want() {
    const { now, obstacle } = this.#makings;
    if (this.state === "asking" && now() >= this.#openUntil) {
      this.#channel?.close();
      this.#failed("it did not open in time");
    }
    if (this.state === "off" || this.state === "open" || this.state === "asking") return;
    if (this.state === "resting" && now() < this.#retryAt) return;
    const reason = obstacle();
    if (reason) {
      if (reason !== this.reason) this.#makings.failed(reason);
      this.reason = reason;
      return;
    }
    this.state = "asking";
    this.reason = "it is being made";
    this.#openUntil = now() + OPEN_TIME;
    try {
      this.#channel = this.#makings.connect(this.#events());
    } catch (error) {
      this.#failed(/** @type {Error} */ (error).message);
    }
  }

  /** @returns {ChannelEvents} of the channel that is made now */
  #events() {
    return {
      opened: () => {
        this.state = "open";
        this.reason = "";
        this.#openedAt = this.#makings.now();
      },
      received: (message) => this.received(message),
      closed: (reason) => this.#failed(reason),
    };
  }

  /** @param {string} reason */
  #failed(reason) {
    if (this.state === "off") return;
    const time = this.#makings.now();
    if (this.open && time - this.#openedAt >= LASTING) this.#failures = 0;
    const pause = PAUSES[this.#failures++];
    this.#channel = null;
    this.state = pause === undefined ? "off" : "resting";
    this.#retryAt = time + (pause ?? 0);
    this.reason = reason;
    this.#makings.failed(reason);
  }

  /** Whether a message may have so many bytes. @param {number} size */
  fits(size) {
    return size <= (this.#channel?.limit ?? 0);
  }

  /** Send a message; false if it is dropped. @param {Uint8Array} message */
  send(message) {
    const channel = this.#channel;
    if (!channel || channel.waiting + message.length > SEND_AHEAD) return false;
    channel.send(message);
    return true;
  }

  /** Do without from now on. @param {string} reason */
  close(reason) {
    const channel = this.#channel;
    this.#channel = null;
    this.state = "off";
    this.reason = reason;
    channel?.close();
  }
}
