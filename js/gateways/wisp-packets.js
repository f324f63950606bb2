/**
 * What is said in Wisp, versions 1 and 2 (draft 6): packets, one in each binary message. Pure.
 *
 * Twin of pynet_browser/proxy/compat/wisp_packets.py; tests/vectors/wisp.json holds them together. A packet is its type
 * (u8), the number of its stream (u32) and what it carries; integers are little-endian. Stream 0 is the connection itself.
 * @module
 */

import { ProtocolError } from "../errors.js";
import { joined, viewOf } from "../fields.js";

/** Bytes ahead of what a packet carries. */
export const HEADER = 5;

/** Kinds of packets. @type {Record<string, number>} */
const TYPES = { Connect: 1, Data: 2, Continue: 3, Close: 4, Info: 5 };

/** What a stream leads over. */
export const TCP = 1;
export const UDP = 2;

/** Why a stream, or the connection, is closed. */
export const Reason = {
  UNKNOWN: 0x01,
  VOLUNTARY: 0x02,
  NETWORK_ERROR: 0x03,
  INCOMPATIBLE: 0x04,
  INVALID: 0x41,
  UNREACHABLE: 0x42,
  TIMED_OUT: 0x43,
  REFUSED: 0x44,
  TRANSFER_TIMED_OUT: 0x47,
  BLOCKED: 0x48,
  THROTTLED: 0x49,
  WRONG_PASSWORD: 0xc0,
  WRONG_SIGNATURE: 0xc1,
  CREDENTIALS_MISSING: 0xc2,
};

/** Extensions of version 2 that this side knows. */
export const Extension = { UDP: 1, PASSWORD: 2, OPEN_CONFIRMATION: 5 };

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * @typedef {{type: string, stream: number, [field: string]: any}} Packet of one of these types: Connect (`kind`, `port`,
 *   `host`), Data (`data`), Continue (`credit`, which replaces what was granted before), Close (`reason`), Info (`major`,
 *   `minor`, `extensions`: pairs of an id and its bytes); or Unknown (`kind`), which only others know
 */

/**
 * The bytes of a packet.
 * @param {Packet} packet
 * @returns {Uint8Array}
 */
export function encode(packet) {
  switch (packet.type) {
    case "Connect":
      return packed(packet, [packet.kind, ...u16(packet.port), ...utf8.encode(packet.host)]);
    case "Data":
      return packed(packet, packet.data);
    case "Continue":
      return packed(packet, u32(packet.credit));
    case "Close":
      return packed(packet, [packet.reason]);
    case "Info":
      return packed({ type: "Info", stream: 0 }, [
        packet.major,
        packet.minor,
        ...packet.extensions.flatMap(extensionBytes),
      ]);
    default:
      throw new TypeError(`packets of type ${packet.type} are unknown`);
  }
}

/** @param {Packet} packet @param {ArrayLike<number>} body */
function packed({ type, stream }, body) {
  const bytes = new Uint8Array(HEADER + body.length);
  bytes[0] = TYPES[type];
  viewOf(bytes).setUint32(1, stream, true);
  bytes.set(body, HEADER);
  return bytes;
}

/** @param {[number, Uint8Array]} extension */
const extensionBytes = ([id, body]) => [id, ...u32(body.length), ...body];
/** @param {number} value */
const u16 = (value) => [value & 255, value >>> 8];
/** @param {number} value */
const u32 = (value) => [...u16(value & 0xffff), ...u16(value >>> 16)];

/**
 * The packet that a message is; data is a view of it.
 * @param {Uint8Array} message
 * @returns {Packet}
 * @throws {ProtocolError} it is none
 */
export function decode(message) {
  if (message.length < HEADER) throw new ProtocolError(`a packet of ${message.length} bytes`);
  const type = message[0];
  const stream = viewOf(message).getUint32(1, true);
  const body = message.subarray(HEADER);
  try {
    return /** @type {Packet} */ ({ stream, ...contentOf(type, body) });
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
    throw new ProtocolError(`a packet of type ${type} that is malformed: ${error.message}`);
  }
}

/**
 * @param {number} type @param {Uint8Array} body
 * @returns {Omit<Packet, "stream">}
 * @throws {RangeError | TypeError} it ends early, or is no text
 */
function contentOf(type, body) {
  const view = viewOf(body);
  switch (type) {
    case TYPES.Connect: {
      const [kind, port] = [view.getUint8(0), view.getUint16(1, true)];
      return { type: "Connect", kind, port, host: fromUtf8.decode(body.subarray(3)) };
    }
    case TYPES.Data:
      return { type: "Data", data: body };
    case TYPES.Continue:
      if (body.length !== 4) throw new RangeError(`${body.length} bytes where there are 4`);
      return { type: "Continue", credit: view.getUint32(0, true) };
    case TYPES.Close:
      return { type: "Close", reason: view.getUint8(0) };
    case TYPES.Info: {
      const [major, minor] = [view.getUint8(0), view.getUint8(1)];
      return { type: "Info", major, minor, extensions: extensionsIn(body.subarray(2)) };
    }
    default:
      return { type: "Unknown", kind: type };
  }
}

/** @param {Uint8Array} body @returns {[number, Uint8Array][]} */
function extensionsIn(body) {
  /** @type {[number, Uint8Array][]} */
  const found = [];
  const view = viewOf(body);
  for (let at = 0; at < body.length; ) {
    const [id, size] = [view.getUint8(at), view.getUint32(at + 1, true)];
    at += HEADER;
    if (size > body.length - at) {
      throw new ProtocolError(`extension ${id} of ${size} bytes in ${body.length - at}`);
    }
    found.push([id, body.subarray(at, at + size)]);
    at += size;
  }
  return found;
}

/**
 * What the extension for passwords carries from a client, as draft 6 has it.
 * @param {string} user no more than 255 bytes @param {string} password
 */
export function credentials(user, password) {
  const name = utf8.encode(user);
  return joined([Uint8Array.of(name.length), name, utf8.encode(password)]);
}
