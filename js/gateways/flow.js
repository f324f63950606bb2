/**
 * One connection through a server that knows nothing of windows: what goes out waits for the server's leave, and what has
 * come waits until the program's window takes it. Pure.
 * @module
 */

import { joined } from "../fields.js";
import { ByteQueue } from "../queue.js";
import { WINDOW_INITIAL } from "../window.js";

/** Bytes that a program may have written and that have not left. */
export const SEND_WINDOW = 1 << 20;

/**
 * @typedef {import("../errors.js").SocketError} SocketError
 * @typedef {import("../socket.js").Socket} Socket
 * @typedef {import("./network.js").GatewayNetwork} GatewayNetwork
 */

export class Flow {
  /** Bytes that have come and wait. */
  held = 0;
  /** Whether nobody here reads it any more; it only sends what is left. */
  lingering = false;
  #outgoing = new ByteQueue();
  #incoming = new ByteQueue();
  #granted = WINDOW_INITIAL;
  /** How the connection has ended: null as it should; undefined if it has not. @type {SocketError | null | undefined} */
  #end = undefined;
  #toldEnd = false;
  #stream;

  /** @param {GatewayNetwork} network @param {Socket} socket @param {string} host @param {number} port */
  constructor(network, socket, host, port) {
    this.network = network;
    this.socket = socket;
    this.host = host;
    this.port = port;
    this.#stream = network.way.open("tcp", host, port, {
      opened: () => this.#opened(),
      received: (data) => this.#received(data),
      writable: () => this.#pump(),
      closed: (error) => this.#closed(error),
    });
  }

  start() {
    this.#stream.start();
  }

  // ── Out ────────────────────────────────────────────────────────────────────────────────────────────

  /** @param {Uint8Array} data copied before this returns */
  send(data) {
    if (this.#end !== undefined) {
      this.#tell({ type: "reset", code: "ECONNRESET", message: "" }); // nobody is there any more
      return;
    }
    let at = 0;
    if (!this.#outgoing.length) at = this.#sendNow(data);
    if (at < data.length) this.#outgoing.push(data.slice(at));
    if (at) this.#tell({ type: "window", credit: at });
  }

  /** Send what can leave now; tells how much that was. @param {Uint8Array} data */
  #sendNow(data) {
    let at = 0;
    while (at < data.length && this.#sends) {
      const piece = data.subarray(at, at + this.#stream.most);
      this.#stream.send(piece);
      at += piece.length;
    }
    return at;
  }

  get #sends() {
    return this.#stream.sends && !this.network.way.full;
  }

  #pump() {
    let credit = 0;
    while (this.#outgoing.length && this.#sends) {
      const piece = this.#piece();
      this.#stream.send(piece);
      credit += piece.length;
    }
    if (this.lingering && !this.#outgoing.length) this.#finish();
    else if (credit) this.#tell({ type: "window", credit });
  }

  /** As much of what waits as one send takes: it may be sends that are counted. */
  #piece() {
    const parts = [];
    for (let room = this.#stream.most; room && this.#outgoing.length; room -= parts[parts.length - 1].length) {
      parts.push(this.#outgoing.take(room));
    }
    return joined(parts);
  }

  /** The program sends no more, and reads no more: what it has sent still goes out. */
  letGo() {
    if (this.lingering) return;
    this.lingering = true;
    this.#drop();
    if (this.#outgoing.length) this.network.linger(this);
    else this.#finish();
  }

  /** Everything ends now. */
  abort() {
    this.lingering = true;
    this.#drop();
    this.#outgoing.clear();
    this.#finish();
  }

  #finish() {
    this.network.unlinger(this);
    this.#stream.close();
  }

  // ── In ─────────────────────────────────────────────────────────────────────────────────────────────

  #opened() {
    const { network, socket } = this;
    if (this.lingering) return;
    const { local, peer } = network.endsOf(socket, this.host, this.port);
    this.#tell({ type: "connected", local, peer });
  }

  /** @param {Uint8Array} data */
  #received(data) {
    if (this.lingering) return;
    if (!this.held && data.length <= this.#granted) {
      this.#deliver(data);
      return;
    }
    this.#incoming.push(data);
    this.#hold(data.length);
    this.#deliverHeld();
    this.network.checkHeld();
  }

  /** The program's window has grown. @param {number} credit */
  grant(credit) {
    this.#granted += credit;
    this.#deliverHeld();
  }

  #deliverHeld() {
    while (this.held && this.#granted) {
      const data = this.#incoming.take(this.#granted);
      this.#hold(-data.length);
      this.#deliver(data);
    }
    this.#deliverEnd();
  }

  /** @param {Uint8Array} data */
  #deliver(data) {
    this.#granted -= data.length;
    this.#tell({ type: "data", data });
  }

  /** @param {number} size */
  #hold(size) {
    this.held += size;
    this.network.held += size;
  }

  #drop() {
    this.#incoming.clear();
    this.#hold(-this.held);
  }

  /** @param {SocketError | null} error */
  #closed(error) {
    this.#outgoing.clear();
    this.network.unlinger(this);
    this.#end = error;
    this.#deliverEnd();
  }

  #deliverEnd() {
    const end = this.#end;
    if (end === undefined || this.held || this.lingering) return;
    if (end) this.#tell({ type: "reset", code: end.code, message: end.message });
    else if (!this.#toldEnd) this.#tell({ type: "shutdown" });
    this.#toldEnd = true;
  }

  /** The program wants neither direction any more, and goes on to hold the socket. */
  shut() {
    this.letGo();
    this.#end = null;
    if (!this.#toldEnd) this.#tell({ type: "shutdown" });
    this.#toldEnd = true;
  }

  /** It cannot go on. @param {SocketError} error */
  fail(error) {
    this.#drop();
    this.#stream.close();
    this.#closed(error);
  }

  /** @param {object} frame without its socket */
  #tell(frame) {
    const { socket } = this;
    if (socket.id) socket.receive(/** @type {any} */ ({ ...frame, socket: socket.id }));
  }
}
