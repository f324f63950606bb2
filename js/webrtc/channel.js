/**
 * One data channel of WebRTC, for pynet_browser/webrtc.
 *
 * A data channel has a brake for what goes out, `bufferedAmount`, and none for what comes in: browsers hand over every
 * message at once. So one whose messages are not read is closed when much waits, since nothing may grow without bound.
 * @module
 */

import { Inbox } from "../websockets/inbox.js";

/** How much may wait to be sent (bytes) before senders wait, and at what they go on. */
export const UNSENT_MAX = 1 << 20;
const UNSENT_LOW = 256 << 10;

/** What a message that waits counts for beside its bytes: empty ones take memory, too. */
export const MESSAGE_COST = 64;

/** @typedef {import("../websockets/inbox.js").Data} Data */

/** Messages that have come, and ways to send some. */
export class Channel extends Inbox {
  #channel;
  #limit;
  #error = "";
  /** Who waits for room, or for the end. @type {(() => void)[]} */
  #waiting = [];
  /** @type {(value?: undefined) => void} */
  #closed = () => {};
  /** Settled when it has ended. @type {Promise<undefined>} */
  closed = new Promise((resolve) => {
    this.#closed = resolve;
  });

  /** @param {RTCDataChannel} channel @param {number} limit bytes of messages that may wait to be read */
  constructor(channel, limit) {
    super();
    this.#channel = channel;
    this.#limit = limit;
    channel.binaryType = "arraybuffer"; // browsers differ in what it is at first
    channel.bufferedAmountLowThreshold = UNSENT_LOW;
    channel.onopen = channel.onbufferedamountlow = () => this.wake();
    channel.onmessage = ({ data }) => this.#receive(typeof data === "string" ? data : new Uint8Array(data));
    channel.onerror = (event) => {
      const said = /** @type {RTCErrorEvent} */ (event).error?.message || "the browser does not say why";
      this.#error ||= `the channel broke, or the other side is gone (${said})`;
    };
    channel.onclose = () => this.finish("");
  }

  get readyState() {
    return this.ending ? "closed" : this.#channel.readyState;
  }

  get unsent() {
    return this.#channel.bufferedAmount;
  }

  /** Its number; undefined until both sides know it. */
  get id() {
    return this.#channel.id ?? undefined;
  }

  /** What it was made with; undefined where nothing was said. */
  get traits() {
    const { label, protocol, ordered, maxRetransmits, maxPacketLifeTime } = this.#channel;
    return [label, protocol, ordered, maxRetransmits ?? undefined, maxPacketLifeTime ?? undefined];
  }

  /** @param {Data} data @returns {boolean | undefined} false: wait for `room`, and try again; undefined: it has ended */
  send(data) {
    const { readyState, bufferedAmount } = this.#channel;
    if (this.ending || readyState === "closing" || readyState === "closed") return undefined;
    if (readyState === "connecting" || bufferedAmount > UNSENT_MAX) return false;
    this.#channel.send(/** @type {Uint8Array<ArrayBuffer>} */ (data));
    return true;
  }

  /** Settled when it is open and little waits to be sent, or it has ended. */
  room() {
    const { readyState, bufferedAmount } = this.#channel;
    const waits = readyState === "connecting" || (readyState === "open" && bufferedAmount > UNSENT_MAX);
    if (this.ending || !waits) return Promise.resolve();
    return this.changed();
  }

  /** Settled when there may be room, it has ended, or somebody has given up waiting. */
  changed() {
    return new Promise((/** @type {(value?: undefined) => void} */ resolve) => this.#waiting.push(resolve));
  }

  wake() {
    super.wake();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** What was sent goes out first, and what has come can still be taken. */
  close() {
    const { readyState } = this.#channel;
    this.#channel.close();
    if (readyState === "connecting") this.finish("it was closed before it was open"); // no event says so
  }

  /** It has ended. @param {string} error why, unless it was closed as it should be, or has told why itself */
  finish(error) {
    if (this.ending) return;
    error = this.#error || error;
    this.end({ code: 0, reason: "", clean: !error, error });
    this.#closed();
  }

  /** @param {Data} data */
  #receive(data) {
    if (this.ending) return;
    this.push(data);
    if (this.size + this.available * MESSAGE_COST <= this.#limit) return;
    this.close();
    this.finish(`messages came faster than they were read, and more than ${this.#limit} bytes of them waited`);
  }
}
