/**
 * What is measured of a Wisp server: one TCP stream over its WebSocket, in Wisp version 1.
 *
 * Packets are type (u8), stream (u32, little-endian), payload. The server's first CONTINUE says how many packets of
 * data each stream may send; those that follow say it anew for one stream.
 * @module
 */

const CONNECT = 1;
const DATA = 2;
const CONTINUE = 3;
const CLOSE = 4;
const TCP = 1;
const HEADER = 5;
const STREAM = 1;

const PIECE = 64 * 1024;

class Stream {
  /** Packets that may still be sent. */
  credit = 0;
  /** Bytes that have come. */
  received = 0;
  changed = () => {};

  /** @param {string} url of the server, with ?port= of the target */
  constructor(url) {
    const { origin, searchParams } = new URL(url);
    this.port = Number(searchParams.get("port"));
    this.socket = new WebSocket(`${origin}/`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }) => this.#take(data);
    this.socket.onclose = () => {
      this.credit = NaN;
      this.changed();
    };
  }

  /** @param {ArrayBuffer} packet */
  #take(packet) {
    const view = new DataView(packet);
    const type = view.getUint8(0);
    if (type === CONTINUE) this.credit = view.getUint32(HEADER, true);
    else if (type === DATA) this.received += packet.byteLength - HEADER;
    else if (type === CLOSE) this.credit = NaN;
    this.changed();
  }

  /** @param {() => boolean} condition */
  async until(condition) {
    while (!condition()) {
      if (Number.isNaN(this.credit)) throw new Error("the peer closed too early");
      await new Promise((resolve) => { this.changed = () => resolve(undefined); });
    }
  }

  /** @param {number} type @param {Uint8Array} payload */
  #send(type, payload) {
    const packet = new Uint8Array(HEADER + payload.length);
    packet[0] = type;
    new DataView(packet.buffer).setUint32(1, STREAM, true);
    packet.set(payload, HEADER);
    this.socket.send(packet);
  }

  async connect() {
    await this.until(() => this.credit > 0);
    const host = new TextEncoder().encode("127.0.0.1");
    const payload = new Uint8Array(3 + host.length);
    payload[0] = TCP;
    new DataView(payload.buffer).setUint16(1, this.port, true);
    payload.set(host, 3);
    this.#send(CONNECT, payload);
  }

  /** @param {Uint8Array} data */
  async send(data) {
    await this.until(() => this.credit > 0);
    this.credit--;
    this.#send(DATA, data);
  }
}

/** @param {string} url @param {number} size */
async function begun(url, size) {
  const stream = new Stream(url);
  await stream.connect();
  const number = new Uint8Array(8);
  new DataView(number.buffer).setBigUint64(0, BigInt(size));
  const start = performance.now();
  await stream.send(number);
  return { stream, start };
}

/** From the request to the last byte, in seconds. @param {string} url @param {{size: number}} options */
export async function receive(url, { size }) {
  const { stream, start } = await begun(url, size);
  await stream.until(() => stream.received >= size);
  stream.socket.close();
  return (performance.now() - start) / 1000;
}

/** From the first byte to the confirmation of the last, in seconds. @param {string} url @param {{size: number}} options */
export async function send(url, { size }) {
  const { stream, start } = await begun(url, size);
  const piece = new Uint8Array(PIECE);
  for (let left = size; left > 0; left -= PIECE) await stream.send(piece.subarray(0, Math.min(left, PIECE)));
  await stream.until(() => stream.received >= 1);
  stream.socket.close();
  return (performance.now() - start) / 1000;
}
