/**
 * One stream socket as the page's program sees it: state, queue, windows. Pure.
 *
 * It behaves as a TCP socket on Linux does, whether the network that carries it is a proxy or the page itself.
 * @module
 */

import { ERROR, Endpoint, HANGUP, IPV4, PEER_FINISHED, READABLE, UNIX, WRITABLE } from "./endpoint.js";
import { ProtocolError, SocketError } from "./errors.js";
import { MESSAGE_TARGET } from "./link.js";
import { ByteQueue } from "./queue.js";
import { Budget, ReceiveWindow, SendWindow } from "./window.js";

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
  idle: { connect: "connecting", refused: "idle", close: "closed" },
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
 * @typedef {import("./endpoint.js").Network} Network
 * @typedef {import("./endpoint.js").Answered} Answered
 * @typedef {import("./wire.js").Frame} Frame
 * @typedef {import("./wire.js").Address} Address
 */

export class Socket extends Endpoint {
  /** @type {State} */
  state = "idle";
  /** Whether how connect() ended is still to be told, by another call of it. */
  pending = false;
  #readShut = false;
  /** Whether the peer's end has come: it stays readable, whatever becomes of the connection. */
  #peerFinished = false;
  #queue = new ByteQueue();
  #incoming = new ReceiveWindow(new Budget(0));
  #outgoing = new SendWindow(0);

  /** @param {number} [family] */
  constructor(family = IPV4) {
    super(family, false);
  }

  /**
   * A connection that came in to a listener.
   * @param {Network} network @param {Address} local @param {Address} peer
   * @param {Map<string, string[]>} [options] the listener's, which it has too, as on Linux
   */
  static accepted(network, local, peer, options) {
    const socket = new Socket(local.family);
    socket.#prepare(socket.carriedBy(network));
    socket.options = new Map(options);
    socket.#turn("connect");
    socket.#connected(local, peer);
    return socket;
  }

  // ── What the program does ──────────────────────────────────────────────────────────────────────────

  /**
   * Start to connect; `watch(WRITABLE)` tells when it is decided, and another call how. On Linux that is the same
   * whether SO_ERROR has told it or not.
   * @param {Network} network what is to carry the connection; one that was bound keeps its own
   * @param {{host: string, port: number, timeout: number}} target timeout in ms, 0 for the network's own
   * @throws {SocketError} EALREADY, EISCONN, ENETDOWN; EAI_NONAME if the host cannot be a name; how it ended
   */
  connect(network, target) {
    if (this.state === "connecting") throw this.report(new SocketError("EALREADY"));
    if (this.pending) {
      this.#tellEnd();
      return;
    }
    if (this.state !== "idle") throw this.report(new SocketError("EISCONN"));
    this.error = null;
    this.pending = true;
    this.#turn("connect");
    try {
      if (this.options.size) this.open(network);
      const carrying = this.carriedBy(network);
      this.#prepare(carrying);
      carrying.open(this, { type: "connect", family: this.family, ...target });
    } catch (error) {
      this.#turn("refused");
      this.pending = false;
      throw this.report(/** @type {SocketError} */ (error));
    }
    if (this.family === UNIX) this.#tellEnd();
  }

  /** @throws {SocketError} what the attempt has failed with; ECONNABORTED if that was told before */
  #tellEnd() {
    if (this.state === "connecting") return;
    this.pending = false;
    this.raiseError();
    if (this.state === "idle" || this.state === "failed") throw this.report(new SocketError("ECONNABORTED"));
  }

  /** @param {Network} network */
  #prepare(network) {
    this.#incoming = new ReceiveWindow(network.budget);
    this.#outgoing = new SendWindow(network.peerWindow);
  }

  /**
   * Take up to `limit` bytes; none means that the peer has finished.
   * @param {number} limit
   * @throws {SocketError} EAGAIN if there are none yet, ENOTCONN or EINVAL, or what broke the connection
   */
  read(limit) {
    if (this.#queue.length && limit > 0) {
      const data = this.#queue.take(limit);
      this.#consumed(data.length);
      return data;
    }
    if (!this.#peerFinished || this.family === UNIX) this.raiseError();
    if (this.state === "idle" && !this.pending) {
      throw this.report(new SocketError(this.family === UNIX ? "EINVAL" : "ENOTCONN"));
    }
    if (limit > 0 && this.state !== "idle" && !(this.readiness & READABLE)) throw new SocketError("EAGAIN");
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
    if (this.family !== UNIX) this.raiseError(); // by unix(7) errors are for those who read
    if (this.state === "connecting") throw new SocketError("EAGAIN");
    if (!this.sends) throw this.report(new SocketError(this.#unsendable));
    const size = Math.min(data.length, this.#sendable);
    if (size === 0 && data.length > 0) throw new SocketError("EAGAIN");
    for (let at = 0; at < size; at += DATA_MAX) {
      this.network?.sendData(this.id, data.subarray(at, Math.min(at + DATA_MAX, size)));
    }
    this.#outgoing.sent(size);
    this.bytesSent += size;
    return size;
  }

  /**
   * Shut down one or both directions.
   * @param {{read: boolean, write: boolean}} directions
   * @throws {SocketError} ENOTCONN; EOPNOTSUPP where one direction cannot end alone
   */
  shutdown({ read, write }) {
    if (this.family === UNIX && this.state === "idle") return; // which Linux lets pass
    if (!this.remote) throw this.report(new SocketError("ENOTCONN"));
    if (read) this.#readShut = true;
    if (write) this.#mayEnd();
    if (read && this.family === UNIX && this.#receives) this.tell({ type: "stop" });
    if (write && this.sends) {
      this.#turn("shutdown");
      this.tell({ type: "shutdown" });
    }
    this.wake();
  }

  /** @throws {SocketError} EOPNOTSUPP: the other direction, which goes on, would end with it */
  #mayEnd() {
    const goesOn = this.state === "established" && !this.#readShut;
    if (goesOn && this.network?.whole) throw this.report(new SocketError("EOPNOTSUPP", this.network.whole));
  }

  /**
   * Let go of the connection. What was written still goes out, unless data was left unread (RFC 2525 §2.17) or
   * SO_LINGER says to wait for nothing.
   */
  close() {
    const [linger, seconds] = this.options.get("SO_LINGER") ?? [];
    if (this.#queue.length || (linger === "1" && seconds === "0")) this.abort();
    else this.#leave({ type: "close" });
  }

  /** Break the connection off: its peer sees a reset. */
  abort() {
    const known = this.state !== "idle" && this.state !== "failed";
    this.#leave(known ? { type: "reset", code: "ECONNRESET", message: "" } : { type: "close" });
  }

  /** @param {Omit<Frame, "socket">} farewell */
  #leave(farewell) {
    if (this.state === "closed") return;
    if (this.id && this.state !== "failed") this.tell(farewell);
    this.#turn("close");
    this.pending = false;
    this.#queue.clear();
    this.#end();
    this.wake();
  }

  /** Have its window follow SO_RCVBUF. @param {string} name @param {string[]} values */
  keepOption(name, [value]) {
    if (name === "SO_LINGER") return true;
    if (name !== "SO_RCVBUF") return false;
    const credit = this.#incoming.resize(Number(value));
    if (credit && this.#receives) this.tell({ type: "window", credit });
    return true;
  }

  /**
   * Have the network speak TLS on the connection: what is sent and received from then on is within it.
   * @param {Network} network
   * @param {object} wanted
   * @param {Answered} answered ENOTCONN; EPROTO if anything came that was not read before: it is none of TLS
   */
  startTls(network, wanted, answered) {
    const refuse = (/** @type {string} */ code, message = "") =>
      answered(this.report(new SocketError(code, message)), null);
    if (this.state !== "established") return refuse("ENOTCONN");
    if (this.#queue.length) return refuse("EPROTO", INJECTED);
    this.ask(network, { type: "starttls", ...wanted }, (error, answer) => {
      if (answer?.type !== "secured" || !this.#queue.length) return answered(error, answer);
      this.abort();
      return refuse("EPROTO", INJECTED);
    });
  }

  // ── What the program waits for ─────────────────────────────────────────────────────────────────────

  /** Bytes that can be read without waiting. */
  get available() {
    return this.#queue.length;
  }

  get readiness() {
    let ready = READINESS[this.state === "idle" && this.pending ? "failed" : this.state];
    if (this.#queue.length || this.#readShut) ready |= READABLE;
    if (this.#readShut) ready |= PEER_FINISHED;
    if (this.#readShut && this.state === "finWait") ready |= HANGUP;
    // What was shut down is writable: the attempt fails at once, with EPIPE.
    if (this.sends ? this.#sendable > 0 : this.state === "finWait" || this.state === "finished") {
      ready |= WRITABLE;
    }
    if (this.error) ready |= READABLE | WRITABLE | ERROR;
    return ready;
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
    this.wake();
  }

  /** The connection, or the attempt to make it, is over. @param {SocketError} error */
  fail(error) {
    if (this.state === "closed" || this.state === "failed") return;
    // Linux's tcp_reset: a reset behind the peer's end says that nobody reads any more.
    const broken = this.state === "closeWait" && error.code === "ECONNRESET";
    this.error = broken ? new SocketError("EPIPE", error.message) : error;
    const connected = this.state !== "connecting" && this.state !== "idle";
    this.#turn(connected ? "reset" : "refused");
    this.#end();
    if (!connected) this.local = null; // it may connect again, and is then another on the wire
    this.wake();
  }

  /**
   * Its peer, in this page, is gone: nothing comes, and nobody takes what is sent.
   * @param {SocketError | null} error it went without reading all that was sent
   */
  hangUp(error) {
    this.error = error;
    if (this.#receives) {
      this.#turn("end");
      this.#peerFinished = true;
    }
    if (this.sends) this.#turn("shutdown");
    this.wake();
  }

  /** Its peer, in this page, reads no more, and by unix(7) this end knows. */
  stopSending() {
    if (this.sends) this.#turn("shutdown");
    this.wake();
  }

  /** @param {Address} local @param {Address} peer */
  #connected(local, peer) {
    this.#turn("connected");
    this.local = this.checked(local);
    this.peer = this.checked(peer);
    const size = this.optionNumber("SO_RCVBUF", 0);
    if (size) this.keepOption("SO_RCVBUF", [String(size)]);
  }

  /** @param {Uint8Array} data */
  #received(data) {
    this.#incoming.received(data.length);
    if (!this.#receives) {
      throw new ProtocolError(`data for a socket that is ${this.state}`);
    }
    this.bytesReceived += data.length;
    this.#queue.push(data);
  }

  get over() {
    return this.state === "failed" || this.state === "closed";
  }

  /** TCP forgets its peer once both have finished; unix(7) does not. */
  get remote() {
    const gone = this.state === "finished" && this.family !== UNIX;
    return gone || this.state === "failed" ? null : this.peer;
  }

  // ── Within ─────────────────────────────────────────────────────────────────────────────────────────

  /** Whether this state sends: connected, and not shut down by us. */
  get sends() {
    return this.state === "established" || this.state === "closeWait";
  }

  /** Whether data may still come. */
  get #receives() {
    return this.state === "established" || this.state === "finWait";
  }

  /** Why nothing can be sent: unix(7) sockets know whether they were ever connected. */
  get #unsendable() {
    return this.family === UNIX && this.state === "idle" ? "ENOTCONN" : "EPIPE";
  }

  /** @param {string} event */
  #turn(event) {
    const next = TRANSITIONS[this.state][event];
    if (!next) throw new ProtocolError(`"${event}" cannot happen to a socket that is ${this.state}`);
    this.state = next;
  }

  /** Bytes that may be sent now. */
  get #sendable() {
    return Math.max(0, Math.min(this.#outgoing.credit, this.network?.room ?? 0));
  }

  #end() {
    this.release();
    this.#incoming.close();
  }

  /** @param {number} size bytes that the program has taken */
  #consumed(size) {
    if (!this.#receives) return; // nothing more will come
    const now = this.network?.now() ?? 0;
    const credit = this.#incoming.consumed(size, this.#queue.length, now, this.network?.busy);
    if (credit) this.tell({ type: "window", credit });
  }
}

const NOTHING = new Uint8Array(0);

const INJECTED = "data came in plain before TLS had begun, which anybody could have put there";
