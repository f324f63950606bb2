/**
 * One listening socket: the connections that came in and were not taken yet. Pure.
 * @module
 */

import { Endpoint, ERROR, HANGUP, PEER_FINISHED, READABLE, UNIX, WRITABLE } from "./endpoint.js";
import { ProtocolError, SocketError } from "./errors.js";
import { Socket } from "./socket.js";

/** Most connections that may wait; Linux's net.core.somaxconn. */
const BACKLOG_MAX = 4096;

/**
 * @typedef {import("./endpoint.js").Answered} Answered
 * @typedef {import("./endpoint.js").Network} Network
 * @typedef {import("./wire.js").Frame} Frame
 */

export class Listener extends Endpoint {
  state = "listening";
  /** @type {Socket[]} */
  #queue = [];
  /** Connections that the network may still announce. */
  #granted = 0;
  #backlog = 0;
  /** Of those, what a smaller backlog took back: some may have been on their way. */
  #revoked = 0;

  /**
   * Turn a socket into a listener, which takes over its id, address and options.
   * @param {Socket} socket idle
   * @param {Network} network its own
   * @param {number} backlog
   * @param {(error: SocketError | null, listener: Listener | null) => void} answered
   */
  static start(socket, network, backlog, answered) {
    const size = clamped(backlog);
    socket.ask(network, { type: "listen", backlog: size }, (error, answer) => {
      if (error || !answer || !socket.id) {
        answered(error ?? new SocketError("EBADF"), null); // it was closed meanwhile
        return;
      }
      const listener = new Listener(socket.family, false);
      listener.carriedBy(network).adopt(listener, socket.id);
      listener.options = socket.options;
      listener.local = answer.local;
      listener.#backlog = listener.#granted = size;
      answered(null, listener);
      socket.wakeAll();
    });
  }

  /** Change how many may wait, as a second listen() does. @param {number} backlog */
  resize(backlog) {
    const size = clamped(backlog);
    const more = size - this.#backlog;
    if (!more || !this.id) return;
    this.#backlog = size;
    this.#granted += Math.max(0, more - this.#revoked);
    this.#revoked = Math.max(0, this.#revoked - more);
    this.network?.request({ type: "listen", target: this.id, backlog: size }, () => {});
  }

  /**
   * Take the connection that has waited longest.
   * @template T
   * @param {(socket: Socket) => T} open makes of it what is returned; where that fails the connection goes on waiting
   * @throws {SocketError} EAGAIN if there is none; EINVAL after shutdown(); what ended the network
   */
  accept(open) {
    if (this.#queue.length) {
      const opened = open(this.#queue[0]);
      this.#queue.shift();
      this.#grant(1);
      return opened;
    }
    this.raiseError();
    if (this.state !== "listening") throw this.report(new SocketError("EINVAL"));
    throw new SocketError("EAGAIN");
  }

  /** Connections that wait. */
  get waiting() {
    return this.#queue.length;
  }

  get over() {
    return this.state !== "listening";
  }

  get readiness() {
    let ready = this.#queue.length ? READABLE : 0;
    if (this.state === "shut" && this.family !== UNIX) return WRITABLE | HANGUP; // as TCP was before it listened
    if (this.state === "shut" || this.state === "failed") ready |= READABLE | HANGUP | PEER_FINISHED;
    if (this.state === "closed") ready |= HANGUP;
    if (this.error) ready |= READABLE | ERROR;
    return ready;
  }

  /** Stop accepting. @param {{read: boolean}} directions @throws {SocketError} ENOTCONN */
  shutdown({ read }) {
    if (this.state === "shut") throw this.report(new SocketError("ENOTCONN"));
    if (!read) return;
    this.#stop();
    this.state = "shut";
    this.wake();
  }

  /** Let go of the address; connections that nobody took are reset. */
  close() {
    if (this.state === "closed") return;
    this.#stop();
    this.state = "closed";
    this.wake();
  }

  #stop() {
    if (this.state === "listening" && this.id) {
      this.tell({ type: "close" });
      this.release();
    }
    for (const socket of this.#queue) socket.abort();
    this.#queue = [];
  }

  /** @param {Frame} frame about this listener @throws {ProtocolError} it cannot be true now */
  receive(frame) {
    switch (frame.type) {
      case "accepted":
        this.#accepted(frame);
        break;
      case "reset":
        this.fail(new SocketError(frame.code, frame.message));
        return;
      default:
        throw new ProtocolError(`${frame.type} is nothing to tell a listener`);
    }
    this.wake();
  }

  /** It listens no more. @param {SocketError} error */
  fail(error) {
    if (this.state !== "listening") return;
    this.error = error;
    this.state = "failed";
    this.release();
    this.wake();
  }

  /** @param {Frame} frame */
  #accepted({ socket: id, local, peer }) {
    if (--this.#granted < 0) throw new ProtocolError("more connections came than the backlog allows");
    const network = /** @type {Network} */ (this.network);
    const socket = Socket.accepted(network, this.checked(local), this.checked(peer), this.options);
    network.adopt(socket, id);
    this.#queue.push(socket);
  }

  /** @param {number} count */
  #grant(count) {
    this.#granted += count;
    if (this.id) this.tell({ type: "window", credit: count });
  }
}

/** Linux lets one more wait than was asked for. @param {number} backlog */
function clamped(backlog) {
  return Math.min(Math.max(backlog, 0), BACKLOG_MAX - 1) + 1;
}
