/**
 * The wire format of docs/protocol.md: messages of frames, to and from bytes. Pure.
 *
 * Twin of pynet_browser/wire.py; tests/vectors holds them together. All integers are big-endian. Every
 * length is compared with what is there before it is used.
 *
 * A frame is a plain object: `type` (a key of LAYOUTS), `socket`, and the fields of its layout.
 * @module
 */

import { ProtocolError } from "./errors.js";
import { REST, Reader, joined, viewOf } from "./fields.js";
import { LAYOUTS } from "./layouts.js";

export { LAYOUTS, viewOf };

export const VERSION = 1;

/** Bytes of frames that follow (u32), number (u64), ack (u64). */
export const MESSAGE_HEADER = 20;

/** Kind (u8), flags (u8), socket (u32), bytes of payload (u32). */
export const FRAME_HEADER = 10;

/** Most bytes of frames in one message. */
export const MESSAGE_MAX = 1 << 20;

const TWO_32 = 2 ** 32;
/** Largest upper half of a u64 that is still an exact number: 2^53 - 1. */
const HIGH_MAX = 0x1fffff;

/**
 * @typedef {import("./fields.js").Address} Address
 * @typedef {{type: string, socket: number, [field: string]: any}} Frame
 * @typedef {{number: number, ack: number, body: Uint8Array, more?: Uint8Array[]}} Message `more`: where the body goes
 *   on, if it came in pieces
 * @typedef {import("./fields.js").Field} Field
 */

const NOTHING = new Uint8Array(0);

const TYPE_OF_KIND = new Map(Object.entries(LAYOUTS).map(([type, { kind }]) => [kind, type]));

/**
 * The bytes of a frame, header included.
 * @param {Frame} frame
 * @returns {Uint8Array}
 * @throws {RangeError} a field does not fit its place on the wire
 */
export function encodeFrame(frame) {
  const { kind, fields } = LAYOUTS[frame.type];
  /** @type {number[]} */
  const payload = [];
  for (const [name, field] of fields) field.write(payload, frame[name]);
  const rest = fields.at(-1)?.[1] === REST ? frame.data : NOTHING;
  const length = payload.length + rest.length;
  const bytes = new Uint8Array(FRAME_HEADER + length);
  writeFrameHeader(viewOf(bytes), 0, kind, frame.socket, length);
  bytes.set(payload, FRAME_HEADER);
  bytes.set(rest, FRAME_HEADER + payload.length);
  return bytes;
}

/**
 * Writes the header of a data frame; its bytes are put behind it by the caller, without another copy.
 * @param {DataView} view
 * @param {number} at
 * @param {number} socket
 * @param {number} length
 */
export function writeDataHeader(view, at, socket, length) {
  writeFrameHeader(view, at, LAYOUTS.data.kind, socket, length);
}

/**
 * @param {DataView} view
 * @param {number} at
 * @param {number} kind
 * @param {number} socket
 * @param {number} length
 */
function writeFrameHeader(view, at, kind, socket, length) {
  // setUint32 would keep the lower bits of what does not fit, and name another socket.
  if (socket >>> 0 !== socket) throw new RangeError(`socket ${socket} does not fit 4 bytes`);
  view.setUint8(at, kind);
  view.setUint8(at + 1, 0);
  view.setUint32(at + 2, socket);
  view.setUint32(at + 6, length);
}

/**
 * Writes a message's header in front of frames that are already in place.
 * @param {DataView} view
 * @param {number} size bytes of frames
 * @param {number} number
 * @param {number} ack
 * @throws {RangeError} they are too many, or a number does not fit its place
 */
export function writeMessageHeader(view, size, number, ack) {
  if (size > MESSAGE_MAX) throw new RangeError(`${size} bytes of frames in one message; at most ${MESSAGE_MAX}`);
  for (const value of [number, ack]) {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`message number or acknowledgement ${value} is not from 0 to 2^53 - 1`);
    }
  }
  view.setUint32(0, size);
  view.setUint32(4, Math.floor(number / TWO_32));
  view.setUint32(8, number % TWO_32);
  view.setUint32(12, Math.floor(ack / TWO_32));
  view.setUint32(16, ack % TWO_32);
}

/**
 * One message of these encoded frames, one after another.
 * @param {number} number 0 for a message that is not numbered
 * @param {number} ack
 * @param {Uint8Array[]} parts
 */
export function encodeMessage(number, ack, parts) {
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(MESSAGE_HEADER + size);
  writeMessageHeader(viewOf(bytes), size, number, ack);
  let at = MESSAGE_HEADER;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/**
 * The frames of a message's body, in order. A kind that is not known comes as type "unrecognized"; bytes
 * behind the last known field are ignored, since later versions put new fields there. Data frames hold
 * subarrays of `body` or of `more`, and come as several where they do not lie in one.
 * @param {Uint8Array} body
 * @param {Uint8Array[]} [more] where it goes on
 * @returns {Generator<Frame>}
 * @throws {ProtocolError} a length reaches beyond the body, or a field is malformed
 */
export function* framesOf(body, more = []) {
  const pieces = new Pieces(body, more);
  while (pieces.left > 0) {
    if (pieces.left < FRAME_HEADER) {
      throw new ProtocolError(`${pieces.left} bytes at the end of a message are no frame header`);
    }
    const { view, at } = pieces.lookAt(FRAME_HEADER);
    const kind = view.getUint8(at);
    const socket = view.getUint32(at + 2);
    const length = view.getUint32(at + 6);
    if (length > pieces.left) {
      throw new ProtocolError(`frame of ${length} bytes in a message with ${pieces.left} left`);
    }
    if (kind !== LAYOUTS.data.kind) {
      yield decodeFrame(kind, socket, pieces.take(length));
      continue;
    }
    let left = length;
    do {
      const data = pieces.takeSome(left);
      left -= data.length;
      yield { type: "data", socket, data }; // by far the most frequent
    } while (left > 0);
  }
}

/** Bytes that lie in pieces, read from their start. */
class Pieces {
  /** Index of the next piece of `more`. */
  #next = 0;
  #at = 0;

  /** @param {Uint8Array} first @param {Uint8Array[]} more */
  constructor(first, more) {
    this.piece = first;
    this.view = viewOf(first);
    this.more = more;
    this.left = more.reduce((sum, { length }) => sum + length, first.length);
  }

  /** Where `size` bytes are, past which it moves. @param {number} size */
  lookAt(size) {
    if (this.piece.length - this.#at >= size) {
      this.#at += size;
      this.left -= size;
      return { view: this.view, at: this.#at - size };
    }
    return { view: viewOf(this.take(size)), at: 0 };
  }

  /** The next `size` bytes, copied where they do not lie in one piece. @param {number} size */
  take(size) {
    const start = this.takeSome(size);
    if (start.length === size) return start;
    const whole = new Uint8Array(size);
    whole.set(start);
    for (let at = start.length; at < size; ) {
      const some = this.takeSome(size - at);
      whole.set(some, at);
      at += some.length;
    }
    return whole;
  }

  /** As many of the next `size` bytes as lie in one piece, one at least if there are any. @param {number} size */
  takeSome(size) {
    while (size > 0 && this.#at === this.piece.length) {
      this.piece = this.more[this.#next++];
      this.view = viewOf(this.piece);
      this.#at = 0;
    }
    const some = this.piece.subarray(this.#at, this.#at + size);
    this.#at += some.length;
    this.left -= some.length;
    return some;
  }
}

/**
 * @param {number} kind
 * @param {number} socket
 * @param {Uint8Array} payload
 * @returns {Frame}
 */
function decodeFrame(kind, socket, payload) {
  const type = TYPE_OF_KIND.get(kind);
  if (type === undefined) return { type: "unrecognized", socket, kind };
  /** @type {Frame} */
  const frame = { type, socket };
  const reader = new Reader(payload);
  for (const [name, field] of LAYOUTS[type].fields) frame[name] = field.read(reader);
  return frame;
}

/** A message that is no longer is joined where it came in pieces: a copy costs less than to know of them. */
const JOINED_MAX = 16 * 1024;

/**
 * Cuts a stream of bytes, in pieces of any size, into messages. Long ones are not copied. At most one message
 * of `limit` bytes is held.
 */
export class MessageReader {
  /** Of the message that is not whole yet: what has come of its header, or of its body. @type {Uint8Array[]} */
  pieces = [];
  /** @type {{size: number, number: number, ack: number} | null} */
  #header = null;
  /** Bytes of these. */
  #size = 0;

  /** @param {number} [limit] */
  constructor(limit = MESSAGE_MAX) {
    this.limit = limit;
  }

  /** Bytes of a message that is not whole yet. */
  get held() {
    return this.#size + (this.#header ? MESSAGE_HEADER : 0);
  }

  /**
   * The messages that are whole with `piece`; exhaust it before feeding again.
   * @param {Uint8Array} piece
   * @returns {Generator<Message>}
   * @throws {ProtocolError} the stream cannot be understood from here on
   */
  *feed(piece) {
    let at = 0;
    for (;;) {
      const wanted = (this.#header?.size ?? MESSAGE_HEADER) - this.#size;
      if (piece.length - at < wanted) {
        if (at < piece.length) this.pieces.push(piece.subarray(at));
        this.#size += piece.length - at;
        return;
      }
      const last = piece.subarray(at, at + wanted);
      at += wanted;
      if (this.#header) yield this.#message(this.#header, last);
      else this.#header = this.#read(this.#size ? this.#join(last) : last);
    }
  }

  /** @param {Uint8Array} header */
  #read(header) {
    const view = viewOf(header);
    const size = view.getUint32(0);
    if (size > this.limit) throw new ProtocolError(`message of ${size} bytes; at most ${this.limit}`);
    return { size, number: readSafe(view, 4), ack: readSafe(view, 12) };
  }

  /** @param {{size: number, number: number, ack: number}} header @param {Uint8Array} last @returns {Message} */
  #message({ size, number, ack }, last) {
    this.#header = null;
    if (!this.#size) return { number, ack, body: last };
    if (size <= JOINED_MAX || !number) return { number, ack, body: this.#join(last) };
    const [body, ...more] = [...this.pieces, last];
    this.pieces = [];
    this.#size = 0;
    return { number, ack, body, more };
  }

  /** @param {Uint8Array} last */
  #join(last) {
    const whole = joined([...this.pieces, last]);
    this.pieces = [];
    this.#size = 0;
    return whole;
  }
}

/** Bytes of frames in a message. @param {Message} message */
export function sizeOf({ body, more = [] }) {
  return more.reduce((sum, { length }) => sum + length, body.length);
}

/** @param {DataView} view @param {number} at */
function readSafe(view, at) {
  const high = view.getUint32(at);
  if (high > HIGH_MAX) throw new ProtocolError("message number beyond 2^53 - 1");
  return high * TWO_32 + view.getUint32(at + 4);
}
