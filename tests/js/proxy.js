/**
 * The proxy's end of a session, as far as a page can tell: numbers, acknowledges and replays as
 * docs/protocol.md says, and leaves what frames mean to the test.
 * @module
 */

import { joined } from "../../js/fields.js";
import { Link } from "../../js/link.js";
import { MessageReader, encodeFrame, encodeMessage, framesOf } from "../../js/wire.js";

/**
 * @typedef {import("../../js/wire.js").Frame} Frame
 * @typedef {(message: Uint8Array) => void} Deliver
 */

export class ProxyEnd {
  link = new Link();
  /** Greetings, oldest first. @type {Frame[]} */
  greetings = [];
  /** Frames of numbered messages, in order. @type {Frame[]} */
  heard = [];
  /** Frames of other messages. @type {Frame[]} */
  aside = [];
  /** Numbers of the messages that came. @type {number[]} */
  numbers = [];
  /** The newest acknowledgement that came. */
  acknowledged = 0;
  /** What a test makes of each frame that is heard. @type {(frame: Frame) => void} */
  answer = () => {};

  /** @param {object} [welcome] fields of the welcome other than usual */
  constructor(welcome = {}) {
    this.fields = {
      version: 1,
      session: "s-17",
      key: "k-8d2f",
      window: 256 * 1024,
      replay: 16 << 20,
      grace: 60_000,
      keepalive: 20_000,
      features: [],
      agent: "fake/1",
      ...welcome,
    };
  }

  /** Where the bytes of one more carrier go in. @returns {Deliver} */
  carrier() {
    const reader = new MessageReader();
    return (piece) => {
      for (const message of reader.feed(piece)) this.#receive(message);
    };
  }

  /** @param {import("../../js/wire.js").Message} message */
  #receive({ number, ack, body }) {
    this.acknowledged = Math.max(this.acknowledged, ack);
    this.link.acknowledge(ack);
    if (!number) {
      for (const frame of framesOf(body)) (frame.type === "hello" ? this.greetings : this.aside).push(frame);
      return;
    }
    this.numbers.push(number);
    for (const each of this.link.receive({ number, ack, body }, 0)) {
      for (const frame of framesOf(each.body)) {
        this.heard.push(frame);
        this.answer(frame);
      }
    }
  }

  /** Welcome to what has come so far, and all that the page has not seen. @param {number} [seen] @returns {Uint8Array[]} */
  welcome(seen = this.greetings.at(-1)?.seen ?? 0) {
    return [this.welcomeAlone(), ...this.link.replay(seen)];
  }

  /** What an exchange is answered with that brought this. @param {Uint8Array} body */
  exchange(body) {
    this.carrier()(body);
    const { limit } = /** @type {Frame} */ (this.aside.findLast(({ type }) => type === "poll"));
    this.link.acknowledge(this.greetings.at(-1)?.seen ?? 0);
    return joined([this.welcomeAlone(), ...this.link.outstanding(limit)]);
  }

  /** Whether the answer of an exchange would be held back now. @param {Uint8Array} body */
  holds(body) {
    const [first] = new MessageReader().feed(body);
    const [hello, poll] = framesOf(first.body);
    this.link.acknowledge(hello.seen);
    return poll.wait > 0 && this.link.room === this.link.replayLimit;
  }

  welcomeAlone() {
    return unnumbered({ type: "welcome", socket: 0, seen: this.link.received, ...this.fields });
  }

  /** @param {Frame} frame */
  queue(frame) {
    this.link.push(encodeFrame(frame));
  }

  /** Messages with these frames, as they would be sent now. @param {Frame[]} frames @returns {Uint8Array[]} */
  say(...frames) {
    for (const frame of frames) this.queue(frame);
    return this.link.take(Infinity);
  }

  /** The types of what was heard since this was last asked. */
  types() {
    return this.heard.splice(0).map(({ type }) => type);
  }
}

/** A message about the carrier or the end of the session. @param {Frame} frame @param {number} [ack] */
export function unnumbered(frame, ack = 0) {
  return encodeMessage(0, ack, [encodeFrame(frame)]);
}

/** A frame of a kind that nobody knows. @param {number} kind @param {number} socket */
export function frameOfKind(kind, socket) {
  const frame = encodeFrame({ type: "shutdown", socket });
  frame[0] = kind;
  return frame;
}
