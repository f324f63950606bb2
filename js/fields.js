/**
 * What frames are made of: integers, text, addresses, to and from bytes. Pure.
 *
 * Twin of pynet_browser/fields.py. Every length is compared with what is there before it is used.
 * @module
 */

import { ProtocolError } from "./errors.js";

/** What UTF-8 cannot carry, and TextEncoder would silently replace. */
const LONE_SURROGATE = /\p{Surrogate}/u;

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * @typedef {{family: number, host: string, port: number}} Address family is 4 or 6, host is numeric
 * @typedef {{write(out: number[], value: any): void, read(reader: Reader): any}} Field
 */

/** The view over exactly these bytes: a subarray does not start where its buffer does.
 * @param {Uint8Array} bytes */
export function viewOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** @param {Uint8Array[]} parts */
export function joined(parts) {
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Reads fields one after another out of a frame's payload, never past its end. */
export class Reader {
  /** @param {Uint8Array} payload */
  constructor(payload) {
    this.payload = payload;
    this.view = viewOf(payload);
    this.at = 0;
  }

  /** Moves past `size` bytes; returns where they start.
   * @param {number} size */
  take(size) {
    const left = this.payload.length - this.at;
    if (size > left) {
      throw new ProtocolError(`frame payload ends early: ${size} bytes wanted, ${left} left`);
    }
    this.at += size;
    return this.at - size;
  }
}

/** @param {number} size in bytes @returns {Field} */
function integer(size) {
  const max = size === 8 ? Number.MAX_SAFE_INTEGER : 2 ** (8 * size) - 1;
  return {
    write(out, value) {
      if (!Number.isInteger(value) || value < 0 || value > max) {
        throw new RangeError(`${value} does not fit ${size} bytes`);
      }
      for (let i = size - 1; i >= 0; i--) out.push(Math.floor(value / 2 ** (8 * i)) % 256);
    },
    read(reader) {
      const at = reader.take(size);
      let value = 0;
      for (let i = 0; i < size; i++) value = value * 256 + reader.payload[at + i];
      if (value > max) throw new ProtocolError("integer is beyond 2^53 - 1");
      return value;
    },
  };
}

export const U8 = integer(1);
export const U16 = integer(2);
export const U32 = integer(4);
export const U64 = integer(8);

/** UTF-8 behind a u16 length in bytes. @type {Field} */
export const TEXT = {
  write(out, value) {
    if (typeof value !== "string" || LONE_SURROGATE.test(value)) {
      throw new RangeError(`${JSON.stringify(value)} is no text that UTF-8 can carry`);
    }
    const bytes = utf8.encode(value);
    U16.write(out, bytes.length);
    for (const byte of bytes) out.push(byte);
  },
  read(reader) {
    const size = U16.read(reader);
    const at = reader.take(size);
    try {
      return fromUtf8.decode(reader.payload.subarray(at, at + size));
    } catch (error) {
      throw new ProtocolError("text is not UTF-8", { cause: error });
    }
  },
};

const ADDRESS_FAMILIES = [4, 6];

/** @type {Field} */
export const ADDRESS = {
  write(out, value) {
    if (!ADDRESS_FAMILIES.includes(value.family)) {
      throw new RangeError(`address family ${value.family} is neither 4 nor 6`);
    }
    U8.write(out, value.family);
    U16.write(out, value.port);
    TEXT.write(out, value.host);
  },
  read(reader) {
    const family = U8.read(reader);
    const port = U16.read(reader);
    const host = TEXT.read(reader);
    if (!ADDRESS_FAMILIES.includes(family)) {
      throw new ProtocolError(`address family ${family} is neither 4 nor 6`);
    }
    return { family, host, port };
  },
};

/** Items behind a u16 count. @param {Field} item @returns {Field} */
export function list(item) {
  return {
    write(out, values) {
      U16.write(out, values.length);
      for (const value of values) item.write(out, value);
    },
    read(reader) {
      return Array.from({ length: U16.read(reader) }, () => item.read(reader));
    },
  };
}

/** Bytes up to the end of the payload; nothing can follow them. `encodeFrame` puts them there itself. @type {Field} */
export const REST = {
  write() {},
  read({ payload, at }) {
    return payload.subarray(at);
  },
};
