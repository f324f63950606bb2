/**
 * An interpreter with our sockets, whose proxy is in the hands of the test.
 * @module
 */

import assert from "node:assert/strict";

import { Socket } from "../../js/socket.js";
import { SocketFileSystem } from "../../js/sockfs/filesystem.js";
import { ERRNO, SystemCalls, fakeModule } from "./emscripten.js";
import { HOST, Line, PAGE, hear } from "./line.js";

export const O_NONBLOCK = 2048;

export const bytes = (/** @type {string} */ text) => new TextEncoder().encode(text);

/** @typedef {import("../../js/sockfs/filesystem.js").Blocks} Blocks */

export class Interpreter {
  module = fakeModule();
  calls = new SystemCalls(this.module);
  line = new Line();
  /** How long the answer of each synchronous exchange might have been held back, oldest first. @type {number[]} */
  waits = [];
  /** What happens during each of them, oldest first; false: nobody answers. @type {(() => boolean | void)[]} */
  meanwhile = [];
  /** How often it was told that a call has waited without suspending. */
  hints = 0;

  /** @param {{proxy?: boolean, blocks?: Blocks}} [options] whether there is one, and how calls may wait */
  constructor({ proxy = true, blocks = "auto" } = {}) {
    const uplink = { session: this.line, exchanges: true, exchange: (/** @type {number} */ wait) => this.#exchange(wait) };
    const hint = () => void this.hints++;
    this.system = new SocketFileSystem(this.module, proxy ? /** @type {any} */ (uplink) : null, ERRNO, blocks, hint);
    this.system.mount();
  }

  /** @param {number} wait */
  #exchange(wait) {
    this.waits.push(wait);
    const happens = this.meanwhile.shift();
    if (!happens) throw new Error("it would wait for ever");
    return happens() !== false;
  }

  /** @param {boolean} can */
  suspends(can) {
    this.module.validSuspender.value = can;
    return this;
  }

  /** A signal comes, or was handled; there is somebody who can send one. @param {number} number */
  signal(number) {
    this.module.Py_EmscriptenSignalBuffer = new Int32Array([number]);
    return this;
  }

  /** A descriptor. @param {{blocking?: boolean, family?: number, type?: number}} [options] */
  open({ blocking = true, family = 2, type = 1 } = {}) {
    return this.calls.socket(family, type | (blocking ? 0 : O_NONBLOCK));
  }

  /** A descriptor that listens. @param {{blocking?: boolean, family?: number}} [options] */
  listening(options) {
    const fd = this.open(options);
    assert.equal(this.calls.listen(fd, 5), 0);
    this.line.questions.splice(0)[0]?.(null, { type: "bound", socket: 0, local: PAGE });
    return fd;
  }

  /** A connection comes in to a listener. @param {number} fd @param {number} id */
  come(fd, id) {
    const { socket } = this.calls.sock(fd);
    hear(socket, "accepted", { socket: id, listener: socket.id, local: PAGE, peer: HOST });
  }

  /** A datagram comes in. @param {number} fd @param {string} text */
  hear(fd, text) {
    hear(this.calls.sock(fd).socket, "datagram", { address: HOST, data: bytes(text) });
  }

  /** A descriptor of a socket that is connected to the proxy's host. @param {{blocking?: boolean, family?: number}} [options] */
  connected(options) {
    const fd = this.open(options);
    const connect = () => this.socket(fd).connect(this.line.session, { host: HOST.host, port: 80, timeout: 0 });
    connect();
    hear(this.socket(fd), "connected", { local: PAGE, peer: HOST });
    connect(); // which tells that it is
    return fd;
  }

  /** The stream behind a descriptor. @param {number} fd */
  socket(fd) {
    const socket = this.system.find(fd)?.socket;
    assert.ok(socket instanceof Socket, "no stream of ours");
    return socket;
  }

  /** @param {number} fd @param {string} text */
  arrive(fd, text) {
    hear(this.socket(fd), "data", { data: bytes(text) });
  }

  /** @param {number} fd @param {string} code */
  reset(fd, code) {
    hear(this.socket(fd), "reset", { code, message: "" });
  }

  /** No more can be sent for now. @param {number} fd */
  fill(fd) {
    this.socket(fd).write(new Uint8Array(this.line.peerWindow));
  }
}

/** Whether a promise is settled; what waits for it had its turn. @param {Promise<any>} promise */
export async function isSettled(promise) {
  const waiting = Symbol("waiting");
  for (let turn = 0; turn < 10; turn++) await null;
  return (await Promise.race([promise, Promise.resolve(waiting)])) !== waiting;
}
