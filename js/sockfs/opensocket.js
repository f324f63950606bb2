/**
 * What Emscripten calls a "sock": the file's side of one socket, and the operations that the C library's calls
 * end in. Part of the seam to Pyodide; the names of members, and their results, are Emscripten's.
 * @module
 */

import { DatagramSocket } from "../datagram.js";
import { HANGUP, READABLE, WRITABLE } from "../endpoint.js";
import { SocketError } from "../errors.js";
import { Listener } from "../listener.js";
import { groupsOfIPv6, isNumeric } from "../names.js";
import { Socket } from "../socket.js";

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const O_NONBLOCK = 0o4000;
const F_GETFL = 3;
const F_SETFL = 4;
const SHUT_RD = 0;
const SHUT_WR = 1;
const SHUT_RDWR = 2;

/**
 * @typedef {import("./filesystem.js").SocketFileSystem} SocketFileSystem
 * @typedef {import("../endpoint.js").AnySocket} AnySocket
 * @typedef {import("../endpoint.js").Answered} Answered
 * @typedef {import("../wire.js").Address} Address
 */

export class OpenSocket {
  /** One of its open streams: Emscripten writes through it, and reads its flags. @type {any} */
  stream = null;
  /** The streams of all its descriptors. @type {Set<any>} */
  #streams = new Set();
  /** Whether it has asked to listen, and was not answered yet. */
  starting = false;

  /**
   * @param {SocketFileSystem} system
   * @param {number} family AF_INET, AF_INET6 or AF_UNIX
   * @param {number} type SOCK_STREAM or SOCK_DGRAM
   * @param {number} protocol
   * @param {AnySocket} socket
   */
  constructor(system, family, type, protocol, socket) {
    this.system = system;
    this.family = family;
    this.type = type;
    this.protocol = protocol;
    this.socket = socket;
    this.sock_ops = new SocketOperations(this);
  }

  /** A descriptor of it was opened. @param {any} stream */
  opened(stream) {
    this.#streams.add(stream);
    this.stream = stream;
  }

  /** A descriptor of it was closed; tells whether it was the last. @param {any} stream */
  closed(stream) {
    this.#streams.delete(stream);
    for (const open of this.#streams) this.stream = open;
    return this.#streams.size === 0;
  }

  /** @throws {SocketError} ENETDOWN after uninstall */
  get network() {
    return this.system.networkFor(this.family);
  }

  /** Whether another call of connect() is to tell how it ended. */
  get pending() {
    return this.socket instanceof Socket && this.socket.pending;
  }

  // ── What is asked of its network ───────────────────────────────────────────────────────────────────

  /** @param {string} host @param {number} port @param {Answered} answered */
  bind(host, port, answered) {
    this.socket.bind(this.network, { host, port }, answered);
  }

  /** @param {number} backlog @param {(error: SocketError | null) => void} answered */
  listen(backlog, answered) {
    const { socket } = this;
    if (socket instanceof Listener) {
      socket.resize(backlog);
      answered(null);
    } else if (socket instanceof DatagramSocket) {
      answered(socket.report(new SocketError("EOPNOTSUPP")));
    } else if (socket.state !== "idle" || socket.pending) {
      answered(socket.report(new SocketError("EINVAL")));
    } else if (this.starting) {
      socket.whenSettled(() => this.listen(backlog, answered)); // then it is a change of the backlog
    } else {
      this.starting = true;
      Listener.start(socket, this.network, backlog, (error, listener) => {
        this.starting = false;
        if (listener) this.socket = listener;
        answered(error);
      });
    }
  }

  /**
   * Start to connect a stream, or ask for the one peer of a datagram socket.
   * @param {string} host @param {number} port @param {(error: SocketError | null) => void} answered
   */
  connect(host, port, answered) {
    const { socket } = this;
    if (socket instanceof DatagramSocket) {
      socket.associate(this.network, { host, port }, answered);
      return;
    }
    try {
      if (this.family === AF_UNIX && !this.pending) this.system.local.reach(host); // unix(7) looks at the other first
      if (socket instanceof Listener) {
        throw socket.report(new SocketError(this.family === AF_UNIX ? "EINVAL" : "EISCONN"));
      }
      socket.connect(this.network, { host, port, timeout: 0 });
      if (this.family === AF_UNIX && !this.blocking && socket.state === "connecting") {
        socket.fail(new SocketError("EAGAIN")); // unix(7): a full queue is no reason to go on in the background
        socket.error = null;
        socket.pending = false;
        throw new SocketError("EAGAIN");
      }
      answered(null);
    } catch (error) {
      answered(error instanceof SocketError ? error : new SocketError("EIO"));
    }
  }

  /** @param {object} wanted the fields of `starttls` but its target @param {Answered} answered */
  startTls(wanted, answered) {
    if (this.socket instanceof Socket) this.socket.startTls(this.network, wanted, answered);
    else answered(new SocketError("EOPNOTSUPP"), null);
  }

  // ── What Emscripten's getpeername, getsockname and getsockopt(SO_ERROR) read ───────────────────────

  get daddr() {
    const { remote } = this.socket;
    return remote ? forC(remote) : undefined;
  }

  get dport() {
    return this.socket.peer?.port ?? 0;
  }

  get saddr() {
    if (this.socket.local) return forC(this.socket.local);
    return this.family === AF_INET6 ? "::" : this.family === AF_INET ? "0.0.0.0" : "";
  }

  get sport() {
    return this.socket.local?.port ?? 0;
  }

  get error() {
    const error = this.socket.takeError();
    return error ? this.system.numberOf(error.code) : 0;
  }

  set error(_cleared) {
    // getsockopt clears the error after reading it; reading ours has done that.
  }

  /** Say how the program waits for what this socket hears, where that makes a difference. @param {boolean} listens */
  follow(listens) {
    if (this.socket instanceof DatagramSocket && this.family !== AF_UNIX && this.system.uplink) {
      this.socket.follow(this.network, listens);
    }
  }

  // ── Reading and writing ────────────────────────────────────────────────────────────────────────────

  get blocking() {
    return !(this.stream.flags & O_NONBLOCK);
  }

  /** @param {number} limit */
  receive(limit) {
    const { socket } = this;
    if (socket instanceof Listener) throw new SocketError(this.family === AF_UNIX ? "EINVAL" : "ENOTCONN");
    if (this.system.suspends) this.follow(true);
    if (socket instanceof DatagramSocket && socket.ended && this.blocking) return NOTHING;
    return this.now(() => socket.read(limit), READABLE);
  }

  /** @param {Uint8Array} data */
  send(data) {
    const { socket } = this;
    if (socket instanceof Listener) throw new SocketError(this.family === AF_UNIX ? "ENOTCONN" : "EPIPE");
    if (this.system.suspends) this.follow(true);
    const write = () => (socket instanceof Socket ? socket.write(data) : socket.write(this.network, data));
    return this.now(write, WRITABLE);
  }

  /**
   * Send one datagram.
   * @param {Uint8Array} data @param {string} host numeric @param {number} port
   */
  sendTo(data, host, port) {
    const { socket } = this;
    if (!(socket instanceof DatagramSocket)) return this.send(data); // a stream's peer is known
    if (this.system.suspends) this.follow(true);
    else if (this.blocking) this.follow(false); // what answers is waited for by an exchange
    return this.now(() => socket.write(this.network, data, { family: socket.family, host, port }), WRITABLE);
  }

  /**
   * An operation that is not suspended: it is made as soon as it can be, where the program expects it to wait.
   * @template T
   * @param {() => T} operation
   * @param {number} mask the readiness it needs
   */
  now(operation, mask) {
    for (;;) {
      try {
        return operation();
      } catch (error) {
        if (!this.blocking || !(error instanceof SocketError) || error.code !== "EAGAIN") throw error;
      }
      this.block(mask);
    }
  }

  /**
   * Wait here for readiness.
   * @param {number} mask
   * @throws {Error} FS.ErrnoError: EDEADLK where that is impossible, EINTR
   */
  block(mask) {
    this.follow(false);
    const outcome = this.system.block(() => this.ready(mask), Infinity, this.networked);
    if (outcome !== "ready") throw this.system.failure(outcome === "interrupted" ? "EINTR" : "EDEADLK");
  }

  /** Whether it waits for nothing now, if it needs this readiness. @param {number} mask */
  ready(mask) {
    return !!(this.socket.readiness & (mask | HANGUP)) || !!this.socket.error;
  }

  /** Whether what happens to it comes from a proxy. */
  get networked() {
    return !!this.socket.network && this.socket.network !== this.system.local;
  }

  /** Whether a blocking call that needs this readiness must be suspended, and can be. @param {number} mask */
  waits(mask) {
    if (!this.blocking || this.socket instanceof Listener) return false;
    if (this.ready(mask) || !this.system.suspends) return false;
    this.follow(true);
    return true;
  }

  /** Wait for readiness; then the call is to be repeated. @param {number} mask @returns {Promise<number>} */
  async untilReady(mask) {
    await new Promise((resolve) => {
      const ends = [
        this.socket.watch(mask, () => finish()),
        this.system.whenInterrupted(() => finish()),
      ];
      const finish = () => {
        for (const end of ends) end();
        resolve(undefined);
      };
    });
    return -this.system.errno.EINTR;
  }
}

const NOTHING = new Uint8Array(0);

/** The operations that the C library's calls end in. */
class SocketOperations {
  pollAsync = true; // Pyodide asks each socket for it, and then calls that of the file system

  /** @param {OpenSocket} sock */
  constructor(sock) {
    const { system } = sock;
    this.sock = sock;
    this.connect = system.guarded((_sock, host, port) => this.#connect(host, port));
    this.recvmsg = system.guarded((_sock, limit) => this.#recvmsg(limit));
    this.sendmsg = system.guarded((_sock, buffer, offset, length, host, port) => {
      const data = new Uint8Array(buffer.buffer, buffer.byteOffset + offset, length);
      if (host === undefined) return sock.send(data);
      if (!isNumeric(host)) throw new SocketError("EHOSTUNREACH"); // a name that stands for an address
      return sock.sendTo(data, host, port);
    });
    // C programs cannot wait for what a proxy answers to these; if it refuses, the next call says so.
    this.bind = system.guarded((_sock, host, port) => {
      sock.bind(host, port, (error) => this.#failed(error));
    });
    this.listen = system.guarded((_sock, backlog) => {
      sock.listen(backlog, (error) => this.#failed(error));
    });
    this.accept = system.guarded(() => sock.now(() => system.accept(sock), READABLE));
  }

  get connectAsync() {
    const { sock } = this;
    const undecided = sock.socket instanceof DatagramSocket || sock.socket.state === "idle";
    if (!sock.blocking || !undecided || !sock.system.suspends) return undefined;
    const connect = async (/** @type {string} */ host, /** @type {number} */ port) => {
      const call = () => new Promise((resolve) => sock.connect(host, port, resolve));
      let error = await call();
      if (!error && sock.pending) {
        const { socket } = sock;
        if (socket.state === "connecting") await sock.untilReady(WRITABLE);
        if (socket.state === "connecting") return -sock.system.errno.EINTR; // it goes on, as on Linux
        error = await call(); // which tells how it ended
      }
      return error ? -sock.system.numberOf(error.code) : 0;
    };
    return (/** @type {any} */ _sock, /** @type {string} */ host, /** @type {number} */ port) =>
      sock.system.parking.park(connect(host, port));
  }

  get recvmsgAsync() {
    return this.#suspending(READABLE);
  }

  get sendmsgAsync() {
    return this.#suspending(WRITABLE);
  }

  /** @param {number} events */
  #suspending(events) {
    const { sock } = this;
    return sock.waits(events) ? () => sock.system.parking.park(sock.untilReady(events)) : undefined;
  }

  /** @param {any} _sock @param {number} how */
  shutdown(_sock, how) {
    const { system, socket } = this.sock;
    if (![SHUT_RD, SHUT_WR, SHUT_RDWR].includes(how)) return -system.errno.EINVAL;
    try {
      socket.shutdown({ read: how !== SHUT_WR, write: how !== SHUT_RD });
      return 0;
    } catch (error) {
      return -system.numberOf(error instanceof SocketError ? error.code : "EIO");
    }
  }

  /**
   * F_GETFL and F_SETFL, which Emscripten can only add flags with; a negative result leaves the rest to it.
   * @param {any} _sock
   * @param {number} command
   * @param {number} varargs
   */
  fcntl64(_sock, command, varargs) {
    const { stream, system } = this.sock;
    if (command === F_GETFL) return stream.flags;
    if (command !== F_SETFL) return -system.errno.EINVAL;
    stream.flags = (stream.flags & ~O_NONBLOCK) | (system.module.HEAP32[varargs >> 2] & O_NONBLOCK);
    return 0;
  }

  /** @param {string} host @param {number} port */
  #connect(host, port) {
    const { sock } = this;
    const far = sock.network !== sock.system.local;
    if (sock.blocking && far && sock.socket.state === "idle" && sock.system.waiting !== "xhr") {
      throw sock.system.failure("EDEADLK"); // it would have to wait for the proxy
    }
    this.#connectNow(host, port);
    if (!sock.pending) return;
    if (!sock.blocking) throw sock.system.failure("EINPROGRESS");
    if (sock.socket.state === "connecting") sock.block(WRITABLE);
    this.#connectNow(host, port); // which tells how it ended
  }

  /** @param {string} host @param {number} port */
  #connectNow(host, port) {
    /** @type {SocketError | null} */
    let refusal = null;
    this.sock.connect(host, port, (error) => (refusal = error));
    if (refusal) throw refusal;
  }

  /** @param {number} limit */
  #recvmsg(limit) {
    const { sock } = this;
    const buffer = sock.receive(limit);
    const sender = sock.socket instanceof DatagramSocket ? sock.socket.last?.address : null;
    if (sender) return { buffer, addr: forC(sender), port: sender.port };
    return { buffer, addr: sock.daddr ?? sock.saddr, port: sock.dport };
  }

  /** @param {SocketError | null} error */
  #failed(error) {
    if (error) this.sock.socket.error = error;
  }
}

/**
 * An address in the only form that Emscripten's parser takes in every case: IPv6 in full.
 * @param {Address} address
 */
export function forC({ family, host }) {
  const groups = family === 6 ? groupsOfIPv6(host) : null;
  return groups ? groups.map((group) => group.toString(16)).join(":") : host;
}
