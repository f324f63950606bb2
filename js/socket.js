/**
 * One TCP socket as the page's program sees it: state, queue, windows, readiness. Pure.
 *
 * It behaves as a socket on Linux does. Nothing here waits: what cannot be done now throws EAGAIN, and
 * `watch()` tells when to try again.
 * @module
 */

import { ProtocolError, SocketError } from "./errors.js";
import { MESSAGE_TARGET } from "./link.js";
import { groupsOfIPv6, parseIPv4 } from "./names.js";
import { ByteQueue } from "./queue.js";
import { Budget, ReceiveWindow, SendWindow } from "./window.js";

/** What a socket is ready for; the bits are those of poll(). */
export const READABLE = 1;
export const WRITABLE = 4;
export const ERROR = 8;
export const HANGUP = 16;
export const PEER_FINISHED = 0x2000;

/** What each state is ready for beside what its queue and windows say. */
const READINESS = {
  idle: WRITABLE | HANGUP,
  connecting: 0,
  established: 0,
  closeWait: READABLE | PEER_FINISHED,
  finWait: 0,
  finished: READABLE | PEER_FINISHED | HANGUP,
  failed: READABLE | WRITABLE | HANGUP | PEER_FINISHED,
  closed: HANGUP,
};

/** @typedef {keyof typeof READINESS} State */

/**
 * closeWait: the peer has finished sending; finWait: we have; finished: both.
 * @type {Record<State, {[event: string]: State}>}
 */
export const TRANSITIONS = {
  idle: { connect: "connecting", close: "closed" },
  connecting: { connected: "established", refused: "idle", close: "closed" },
  established: { end: "closeWait", shutdown: "finWait", reset: "failed", close: "closed" },
  closeWait: { shutdown: "finished", reset: "failed", close: "closed" },
  finWait: { end: "finished", reset: "failed", close: "closed" },
  finished: { reset: "failed", close: "closed" },
  failed: { close: "closed" },
  closed: {},
};

/** Most bytes in one data frame, which then has a message of its own. */
const DATA_MAX = MESSAGE_TARGET;

/**
 * @typedef {import("./wire.js").Frame} Frame
 * @typedef {import("./wire.js").Address} Address
 * @typedef {import("./session.js").Session} Session
 * @typedef {{mask: number, callback: () => void}} Watcher
 */

export class Socket {
  /** Names this connection on the wire; a socket that connects again gets a new one. */
  id = 0;
  /** @type {State} */
  state = "idle";
  /** @type {Address | null} */
  local = null;
  /** @type {Address | null} */
  peer = null;
  bytesReceived = 0;
  bytesSent = 0;
  /** Error that the next operation, or SO_ERROR, reports once. @type {SocketError | null} */
  error = null;
  /** The last error that was reported, for those who want its sentence. @type {SocketError | null} */
  reported = null;
  #readShut = false;
  /** Whether the peer's end has come: it stays readable, whatever becomes of the connection. */
  #peerFinished = false;
  #queue = new ByteQueue();
  /** What carries the connection; there is none before `connect`. @type {Session | null} */
  #session = null;
  #incoming = new ReceiveWindow(new Budget(0));
  #outgoing = new SendWindow(0);
  #family = 0;
  /** @type {Set<Watcher>} */
  #watchers = new Set();

  // ── What the program does ──────────────────────────────────────────────────────────────────────────

  /**
   * Start to connect; `watch(WRITABLE)` tells when it is decided.
   * @param {Session} session what is to carry the connection
   * @param {{family: number, host: string, port: number, timeout: number}} target family 4, 6 or 0;
   *   timeout in ms, 0 for the proxy's own
   * @throws {SocketError} EALREADY, EISCONN, ENETDOWN; EAI_NONAME if the host cannot be a name
   */
  connect(session, target) {
    if (this.state === "connecting") throw this.#report(new SocketError("EALREADY"));
    if (this.state !== "idle") throw this.#report(new SocketError("EISCONN"));
    try {
      this.id = session.open(this, target);
    } catch (error) {
      throw this.#report(/** @type {SocketError} */ (error));
    }
    this.error = null;
    this.#turn("connect");
    this.#session = session;
    this.#family = target.family;
    this.#incoming = new ReceiveWindow(session.budget);
  }

  /** Take the error that is waiting, as getsockopt(SO_ERROR) does. */
  takeError() {
    const { error } = this;
    this.error = null;
    if (error) this.#report(error);
    return error;
  }

  /**
   * Take up to `limit` bytes; none means that the peer has finished.
   * @param {number} limit
   * @throws {SocketError} EAGAIN if there are none yet, ENOTCONN, or what broke the connection
   */
  read(limit) {
    if (this.#queue.length && limit > 0) {
      const data = this.#queue.take(limit);
      this.#consumed(data.length);
      return data;
    }
    if (!this.#peerFinished) this.#raiseError();
    if (this.state === "idle") throw this.#report(new SocketError("ENOTCONN"));
    if (limit > 0 && !(this.readiness & READABLE)) throw new SocketError("EAGAIN");
    return NOTHING;
  }

  /** Up to `limit` bytes that can be read now, left where they are. @param {number} limit */
  peek(limit) {
    return this.#queue.peek(limit);
  }

  /**
   * Send as much of `data` as windows allow now; returns how many bytes.
   * @param {Uint8Array} data copied before this returns
   * @throws {SocketError} EAGAIN if none can be sent yet, EPIPE, or what broke the connection
   */
  write(data) {
    this.#raiseError();
    if (this.state === "connecting") throw new SocketError("EAGAIN");
    if (!this.#sends) throw this.#report(new SocketError("EPIPE"));
    const size = Math.min(data.length, this.#sendable);
    if (size === 0 && data.length > 0) throw new SocketError("EAGAIN");
    for (let at = 0; at < size; at += DATA_MAX) {
      this.#session?.sendData(this.id, data.subarray(at, Math.min(at + DATA_MAX, size)));
    }
    this.#outgoing.sent(size);
    this.bytesSent += size;
    return size;
  }

  /**
   * Shut down one or both directions.
   * @param {{read: boolean, write: boolean}} directions
   * @throws {SocketError} ENOTCONN
   */
  shutdown({ read, write }) {
    if (this.state === "idle" || this.state === "connecting" || this.state === "failed") {
      throw this.#report(new SocketError("ENOTCONN"));
    }
    if (read) this.#readShut = true;
    if (write && this.#sends) {
      this.#turn("shutdown");
      this.#tell({ type: "shutdown" });
    }
    this.#wake();
  }

  /** Let go of the connection. What was written still goes out, unless data was left unread (RFC 2525 §2.17). */
  close() {
    if (this.state === "closed") return;
    const connected = this.state !== "idle" && this.state !== "failed";
    if (connected && this.#queue.length) {
      this.#tell({ type: "reset", code: "ECONNRESET", message: "" });
    } else if (connected) {
      this.#tell({ type: "close" });
    }
    this.#turn("close");
    this.#queue.clear();
    this.#release();
    this.#wake();
  }

  // ── What the program waits for ─────────────────────────────────────────────────────────────────────

  /** Bytes that can be read without waiting. */
  get available() {
    return this.#queue.length;
  }

  /** What can be done without waiting: READABLE, WRITABLE, ERROR, HANGUP, PEER_FINISHED. */
  get readiness() {
    let ready = READINESS[this.state];
    if (this.#queue.length || this.#readShut) ready |= READABLE;
    if (this.#readShut) ready |= PEER_FINISHED;
    // What was shut down is writable: the attempt fails at once, with EPIPE.
    if (this.#sends ? this.#sendable > 0 : this.state === "finWait" || this.state === "finished") {
      ready |= WRITABLE;
    }
    if (this.error) ready |= READABLE | WRITABLE | ERROR;
    return ready;
  }

  /**
   * Call back once the socket is ready for any of `mask`, or broken. Returns a function that forgets it.
   * @param {number} mask
   * @param {() => void} callback
   */
  watch(mask, callback) {
    const watcher = { mask: mask | ERROR | HANGUP, callback };
    this.#watchers.add(watcher);
    this.#watchRoom();
    return () => {
      this.#watchers.delete(watcher);
    };
  }

  /** Windows of the session have opened. */
  roomChanged() {
    this.#wake();
  }

  #wake() {
    if (!this.#watchers.size) return;
    const ready = this.readiness;
    for (const watcher of [...this.#watchers]) {
      if (watcher.mask & ready && this.#watchers.delete(watcher)) watcher.callback();
    }
    this.#watchRoom();
  }

  /** Whoever waits to write is also to be told when the link, which all sockets share, has room again. */
  #watchRoom() {
    if (!this.#sends) return;
    for (const { mask } of this.#watchers) if (mask & WRITABLE) this.#session?.watchRoom(this);
  }

  // ── What the proxy says ────────────────────────────────────────────────────────────────────────────

  /**
   * @param {Frame} frame about this socket
   * @throws {ProtocolError} it cannot be true now
   */
  receive(frame) {
    switch (frame.type) {
      case "data":
        this.#received(frame.data);
        break;
      case "window":
        this.#outgoing.opened(frame.credit);
        break;
      case "connected":
        this.#connected(frame.local, frame.peer);
        break;
      case "shutdown":
        this.#turn("end");
        this.#peerFinished = true;
        break;
      case "reset":
        this.fail(new SocketError(frame.code, frame.message));
        return;
      default:
        throw new ProtocolError(`${frame.type} is nothing to tell a socket`);
    }
    this.#wake();
  }

  /** The connection, or the attempt to make it, is over. @param {SocketError} error */
  fail(error) {
    if (this.state === "closed" || this.state === "failed") return;
    this.error = error;
    this.#turn(this.state === "connecting" ? "refused" : "reset");
    this.#release();
    this.#wake();
  }

  /** @param {Address} local @param {Address} peer */
  #connected(local, peer) {
    this.#turn("connected");
    for (const { family, host } of [local, peer]) {
      const numeric = family === 4 ? parseIPv4(host) !== null : groupsOfIPv6(host) !== null;
      if (!numeric || (this.#family && family !== this.#family)) {
        throw new ProtocolError(`${host} is no IPv${this.#family || family} address`);
      }
    }
    this.local = local;
    this.peer = peer;
    this.#outgoing = new SendWindow(this.#session?.peerWindow ?? 0);
  }

  /** @param {Uint8Array} data */
  #received(data) {
    this.#incoming.received(data.length);
    if (this.state !== "established" && this.state !== "finWait") {
      throw new ProtocolError(`data for a socket that is ${this.state}`);
    }
    this.bytesReceived += data.length;
    this.#queue.push(data);
  }

  // ── Within ─────────────────────────────────────────────────────────────────────────────────────────

  /** Whether this state sends: connected, and not shut down by us. */
  get #sends() {
    return this.state === "established" || this.state === "closeWait";
  }

  /** @param {string} event */
  #turn(event) {
    const next = TRANSITIONS[this.state][event];
    if (!next) throw new ProtocolError(`"${event}" cannot happen to a socket that is ${this.state}`);
    this.state = next;
  }

  /** Bytes that may be sent now. */
  get #sendable() {
    return Math.max(0, Math.min(this.#outgoing.credit, this.#session?.room ?? 0));
  }

  /** The id means nothing any more. */
  #release() {
    this.#session?.forget(this.id);
    this.#incoming.close();
  }

  /** @param {number} size bytes that the program has taken */
  #consumed(size) {
    if (this.state !== "established" && this.state !== "finWait") return; // nothing more will come
    const now = this.#session?.now() ?? 0;
    const credit = this.#incoming.consumed(size, this.#queue.length, now);
    if (credit) this.#tell({ type: "window", credit });
  }

  /** @param {Omit<Frame, "socket">} frame */
  #tell(frame) {
    this.#session?.send(/** @type {Frame} */ ({ ...frame, socket: this.id }));
  }

  #raiseError() {
    const error = this.takeError();
    if (error) throw error;
  }

  /** @param {SocketError} error */
  #report(error) {
    this.reported = error;
    return error;
  }
}

const NOTHING = new Uint8Array(0);
