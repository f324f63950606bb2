/**
 * Numbered messages, acknowledgements and replay: what lets a session outlive its carrier. Pure.
 *
 * A Link is one end of a session. Frames pushed into it leave as numbered messages and are kept until the
 * peer has acknowledged them; messages that come in are put back in order and delivered exactly once, on
 * whatever carrier they came. It never sends: `take()` says what is to be sent now. Twin of
 * pynet_browser/link.py; times here are milliseconds.
 * @module
 */

import { ProtocolError } from "./errors.js";
import { joined } from "./fields.js";
import {
  FRAME_HEADER,
  MESSAGE_HEADER,
  MESSAGE_MAX,
  encodeMessage,
  sizeOf,
  viewOf,
  writeDataHeader,
  writeMessageHeader,
} from "./wire.js";

/** A message is closed before it grows beyond this. Chromium's WebSocket is fastest from 64 to 256 KiB. */
export const MESSAGE_TARGET = 256 * 1024;

/** Most bytes kept for replay: as many as a 16 MiB window can have under way. */
export const REPLAY_LIMIT = 16 << 20;

/**
 * There is no room while so many messages are not acknowledged. A receiver endures twice as many ahead of their
 * turn: that bounds what it keeps, however small they are.
 */
export const MESSAGES_UNDER_WAY = 16384;

/** How long (ms) an acknowledgement may wait for a message to ride on. */
export const ACK_DELAY = 100;

/** An acknowledgement leaves at once when 1/8 of what the peer can keep has come in since the last one. */
const ACK_SHARE = 8;

/** First size of the buffer that small frames are merged in; it doubles as they come. */
const BATCH_MIN = 512;

/**
 * Messages beyond half of their target are written in buffers of this size, which are used again: a new one costs
 * the processor more than all that is copied into it, since its pages must be had and cleared (bulk send used 2.5 ms
 * of the page's thread for a megabyte, with them 1.9).
 */
const BUFFER_SIZE = MESSAGE_HEADER + FRAME_HEADER + MESSAGE_TARGET;

/** Most buffers that wait to be used again. */
const SPARE_MAX = 16;

/** @typedef {import("./wire.js").Message} Message */

export class Link {
  /** Bytes the peer keeps, as it said in its greeting; sets the pace of acknowledgements. */
  peerReplay = REPLAY_LIMIT;
  /** Number of the last message delivered: all up to it have been. */
  received = 0;
  #sent = 0;
  /** The message being filled: header space, then frames. @type {Uint8Array | null} */
  #batch = null;
  #used = MESSAGE_HEADER;
  /** @type {Uint8Array[]} */
  #spare = [];
  /** @type {Uint8Array[]} */
  #sealed = [];
  /** Sent and not acknowledged, oldest first. @type {Uint8Array[]} */
  #replay = [];
  #kept = 0;
  /** @type {Map<number, Message>} */
  #early = new Map();
  #earlySize = 0;
  #unacknowledged = 0;
  /** When an acknowledgement should leave; Infinity if none is owed. */
  ackAt = Infinity;

  /** @param {number} [replayLimit] most bytes of messages kept until they are acknowledged */
  constructor(replayLimit = REPLAY_LIMIT) {
    this.replayLimit = replayLimit;
  }

  // ── Sending ────────────────────────────────────────────────────────────────────────────────────────

  /** Bytes of frames that wait to be sent. */
  get pending() {
    return this.#used - MESSAGE_HEADER + this.#sealed.reduce((sum, message) => sum + message.length, 0);
  }

  /** Number of the last message that the peer has acknowledged. */
  get acknowledged() {
    return this.#sent - this.#replay.length;
  }

  /** Number of the message in which what was pushed last leaves. */
  get newest() {
    return this.#sent + (this.#used > MESSAGE_HEADER ? 1 : 0);
  }

  /** Bytes held: waiting, sent and not acknowledged, or arrived before their turn. */
  get buffered() {
    return this.#used - MESSAGE_HEADER + this.#kept + this.#earlySize;
  }

  /** Bytes that may still be pushed before producers should stop; negative if they went too far. */
  get room() {
    const room = this.replayLimit - (this.#used - MESSAGE_HEADER) - this.#kept;
    return this.#replay.length < MESSAGES_UNDER_WAY ? room : Math.min(room, 0);
  }

  /** How many messages are not acknowledged. */
  get underWay() {
    return this.#replay.length;
  }

  /** Whether so much has come in that the peer should be told without delay. */
  get ackDue() {
    return this.ackAt < Infinity && this.#unacknowledged >= Math.floor(this.peerReplay / ACK_SHARE);
  }

  /** Queue one encoded frame.
   * @param {Uint8Array} frame
   * @throws {RangeError} no message can hold it */
  push(frame) {
    const at = this.#reserve(frame.length);
    /** @type {Uint8Array} */ (this.#batch).set(frame, at);
  }

  /** Queue a data frame; `data` is copied, once, straight into the message.
   * @param {number} socket
   * @param {Uint8Array} data at most MESSAGE_TARGET bytes */
  pushData(socket, data) {
    const at = this.#reserve(FRAME_HEADER + data.length);
    const batch = /** @type {Uint8Array} */ (this.#batch);
    writeDataHeader(viewOf(batch), at, socket, data.length);
    batch.set(data, at + FRAME_HEADER);
  }

  /** Make room for a frame in the message being filled; returns where it starts.
   * @param {number} size */
  #reserve(size) {
    if (size > MESSAGE_MAX) throw new RangeError(`frame of ${size} bytes; at most ${MESSAGE_MAX}`);
    if (this.#used > MESSAGE_HEADER && this.#used - MESSAGE_HEADER + size > MESSAGE_TARGET) this.#seal();
    const at = this.#used;
    const needed = at + size;
    if (!this.#batch) {
      this.#batch = this.#buffer(Math.max(BATCH_MIN, needed));
    } else if (needed > this.#batch.length) {
      const larger = this.#buffer(Math.max(this.#batch.length * 2, needed));
      larger.set(this.#batch.subarray(0, at));
      this.#batch = larger;
    }
    this.#used = needed;
    return at;
  }

  /** @param {number} size that it has at least */
  #buffer(size) {
    const reusable = size > BUFFER_SIZE / 2 && size <= BUFFER_SIZE;
    return (reusable && this.#spare.pop()) || new Uint8Array(reusable ? BUFFER_SIZE : size);
  }

  #seal() {
    const message = /** @type {Uint8Array} */ (this.#batch).subarray(0, this.#used);
    writeMessageHeader(viewOf(message), this.#used - MESSAGE_HEADER, ++this.#sent, this.received);
    this.#batch = null;
    this.#used = MESSAGE_HEADER;
    this.#replay.push(message);
    this.#kept += message.length;
    this.#sealed.push(message);
  }

  /**
   * The messages to send now: all frames pushed since the last call, or an acknowledgement if it is due.
   * When the peer has acknowledged a message its memory is used again, here and of those below.
   * @param {number} now
   * @returns {Uint8Array[]}
   */
  take(now) {
    if (this.#used > MESSAGE_HEADER) this.#seal();
    if (this.#sealed.length) {
      const messages = this.#sealed;
      this.#sealed = [];
      this.#acknowledging();
      return messages;
    }
    if (now >= this.ackAt || this.ackDue) return [this.acknowledgement()];
    return [];
  }

  /** A message that carries nothing but the acknowledgement. */
  acknowledgement() {
    this.#acknowledging();
    return encodeMessage(0, this.received, []);
  }

  /**
   * What must be sent again, in order. That is asked when a carrier was attached, to a peer that has seen so
   * many messages, and when one was lost and another stays. A greeting can be overtaken by acknowledgements
   * on another carrier: what was acknowledged is not sent again even if the peer had not seen it yet.
   * @param {number} [seen]
   * @returns {Uint8Array[]}
   * @throws {ProtocolError} the peer claims messages that were never sent
   */
  replay(seen = 0) {
    this.acknowledge(seen);
    this.#sealed = [];
    return [...this.#replay];
  }

  /**
   * The oldest messages that are not acknowledged, sent before or not, in order: what an exchange takes along.
   * They count as sent, and the acknowledgement that is owed as made.
   * @param {number} limit bytes of them at most; but one message at least, unless it is 0
   * @returns {Uint8Array[]}
   */
  outstanding(limit) {
    if (this.#used > MESSAGE_HEADER) this.#seal();
    this.#acknowledging();
    let count = 0;
    for (let size = 0; limit > 0 && count < this.#replay.length; count++) {
      size += this.#replay[count].length;
      if (count && size > limit) break;
    }
    const sentBefore = this.#replay.length - this.#sealed.length;
    this.#sealed = this.#sealed.slice(Math.max(0, count - sentBefore));
    return this.#replay.slice(0, count);
  }

  /**
   * Forget the messages up to `number`: the peer has them. Tells whether there were any.
   * @param {number} number
   */
  acknowledge(number) {
    if (number > this.#sent) {
      throw new ProtocolError(`the peer acknowledges message ${number}; ${this.#sent} were sent`);
    }
    const count = number - (this.#sent - this.#replay.length);
    if (count <= 0) return false;
    for (const message of this.#replay.splice(0, count)) {
      this.#kept -= message.length;
      const { buffer } = message;
      if (buffer.byteLength === BUFFER_SIZE && this.#spare.length < SPARE_MAX) this.#spare.push(new Uint8Array(buffer));
    }
    return true;
  }

  // ── Receiving ──────────────────────────────────────────────────────────────────────────────────────

  /**
   * Take in a numbered message from any carrier; returns what is now to be delivered, in order. A message
   * seen before is dropped; one ahead of its turn (its elders are on another carrier) waits for them.
   * @param {Message} message
   * @param {number} now
   * @returns {Message[]}
   * @throws {ProtocolError} it is so far ahead that the peer must not have sent it yet
   */
  receive(message, now) {
    if (message.number <= this.received) {
      this.ackAt = now; // it was sent again: our acknowledgement is what the peer lacks
      return [];
    }
    if (message.number > this.received + 1) {
      this.#hold(message);
      return [];
    }
    const ready = [message];
    this.received++;
    for (let next; this.#early.size && (next = this.#early.get(this.received + 1)); ) {
      this.#early.delete(next.number);
      this.#earlySize -= MESSAGE_HEADER + sizeOf(next);
      this.received++;
      ready.push(next);
    }
    for (const each of ready) this.#unacknowledged += MESSAGE_HEADER + sizeOf(each);
    if (this.ackAt === Infinity) this.ackAt = now + ACK_DELAY;
    return ready;
  }

  /** @param {Message} message */
  #hold(message) {
    const { number, ack, body, more = [] } = message;
    if (this.#early.has(number)) return;
    const size = MESSAGE_HEADER + sizeOf(message);
    // A peer with room for one byte may push one more frame.
    const limit = Math.min(this.peerReplay, REPLAY_LIMIT) + MESSAGE_MAX;
    if (number - this.received > 2 * MESSAGES_UNDER_WAY || this.#earlySize + size > limit) {
      throw new ProtocolError(`message ${number} came and ${this.received + 1} did not`);
    }
    // It may be a view into a carrier's buffer many times its size: keep a copy of its own.
    this.#early.set(number, { number, ack, body: new Uint8Array(joined([body, ...more])) });
    this.#earlySize += size;
  }

  #acknowledging() {
    this.#unacknowledged = 0;
    this.ackAt = Infinity;
  }
}
