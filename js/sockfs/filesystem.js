/**
 * The seam to Pyodide: real file descriptors over our sockets. With the other files of this folder and
 * pynet_browser/runtime.py, the only place that knows Pyodide's internals (314.0: src/core/socket_syscalls.c,
 * Emscripten's libsockfs.js).
 *
 * CPython's own `_socket` makes system calls that end in `Module.SOCKFS`. For each socket Pyodide looks for
 * `sock_ops.…Async`: where it is there the call suspends the WebAssembly stack until the promise is settled,
 * else the plain operation runs. Ours are getters, so that a call which need not wait never suspends.
 *
 * Two rules keep the interpreter alive. No exception but FS.ErrnoError may leave an operation. And while a
 * call is suspended its C stack may be lent to another task, so nothing may be written into memory on its
 * behalf: a wait ends with EINTR, and the C library's caller repeats the call, which now finds what it
 * waited for (PEP 475 has CPython do so; other programs do because POSIX tells them to).
 * @module
 */

import { Blocking } from "../blocking.js";
import { DatagramSocket } from "../datagram.js";
import { IPV4, IPV6, UNIX } from "../endpoint.js";
import { SocketError } from "../errors.js";
import { Listener } from "../listener.js";
import { LocalNetwork } from "../local.js";
import { NameTable } from "../names.js";
import { Socket } from "../socket.js";
import { afterTurn } from "../turn.js";
import { OpenSocket } from "./opensocket.js";
import { Parking } from "./parking.js";
import { Polling } from "./polling.js";
import { interrupted, whenInterrupted } from "./signals.js";

export const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_TYPE_MASK = 0xf;
const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;
const S_IFSOCK = 0o140000;
const S_IFMT = 0o170000;
const PATH_MODE = 0o755;
const O_RDWR = 2;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const FIONREAD = 0x541b;
const FIONBIO = 0x5421;

/** What a family is called on the wire. @type {Record<number, number>} */
const FAMILIES = { [AF_UNIX]: UNIX, [AF_INET]: IPV4, [AF_INET6]: IPV6 };

/** Protocols that each kind of socket may name beside 0. @type {Record<number, number>} */
export const PROTOCOLS = { [SOCK_STREAM]: IPPROTO_TCP, [SOCK_DGRAM]: IPPROTO_UDP };

/**
 * @typedef {import("../uplink.js").Uplink | import("../gateways/uplink.js").WispGateway |
 *   import("../gateways/uplink.js").WebsockifyGateway} AnyUplink
 * @typedef {import("../endpoint.js").AnySocket} AnySocket
 * @typedef {any} Module Emscripten's module object, as Pyodide extends it
 * @typedef {"auto" | "jspi" | "xhr"} Blocks how blocking calls may wait: see docs/waiting.md
 */

/** What of the module we build on; install says which is missing. */
const NEEDED = ["FS", "SOCKFS", "DNS", "HEAPU8", "validSuspender", "getSocketAddress"];

/**
 * Whether Pyodide has what sockets are built on; the names of what it lacks.
 * @param {Module} module
 * @returns {string[]}
 */
export function missingParts(module) {
  return NEEDED.filter((name) => module[name] === undefined);
}

/** Our socket file system, mounted in place of Emscripten's. */
export class SocketFileSystem {
  /** @type {Set<OpenSocket>} */
  #open = new Set();
  #names;
  /** @type {{[name: string]: any}} */
  #replaced = {};
  #count = 0;
  /**
   * Whether an event loop runs its callbacks: a poll() in one of them must not give the page a turn. Others would
   * run while it is suspended, itself among them, and Pyodide's interpreter does not survive that for long.
   */
  undisturbed = false;
  #polling;
  #blocking;
  /** Called when a call has waited by blocking for the first time. @type {(() => void) | null} */
  #onBlocked;

  /**
   * @param {Module} module
   * @param {AnyUplink | null} uplink to a server; without one the page's own loopback is all there is
   * @param {Record<string, number>} errno the running Python's numbers by name
   * @param {Blocks} blocks
   * @param {() => void} onBlocked called, in another turn, when a call has waited by blocking for the first time
   */
  constructor(module, uplink, errno, blocks, onBlocked) {
    this.module = module;
    this.uplink = uplink;
    this.#names = uplink?.names ?? new NameTable();
    this.errno = errno;
    this.blocks = blocks;
    this.#onBlocked = onBlocked;
    this.#blocking = new Blocking(uplink, () => this.interrupted);
    this.local = new LocalNetwork({ now: () => performance.now(), paths: this.#paths() });
    this.parking = Parking.of(module);
    this.#polling = new Polling(this);
    this.streamOps = this.#makeStreamOps();
  }

  /** Take the place of Emscripten's sockets. */
  mount() {
    const { SOCKFS, DNS } = this.module;
    const { createSocket, pollAsync } = SOCKFS;
    const { lookup_name, lookup_addr } = DNS;
    this.#replaced = { createSocket, pollAsync, lookup_name, lookup_addr };
    /** @type {(family: number, type: number, protocol: number) => OpenSocket} */
    SOCKFS.createSocket = this.guarded((family, type, protocol) => this.create(family, type, protocol));
    SOCKFS.pollAsync = (/** @type {number} */ fds, /** @type {number} */ count, /** @type {number} */ timeout) =>
      this.#polling.poll(fds, count, timeout);
    DNS.lookup_name = (/** @type {string} */ name) => this.#names.addressOf(String(name));
    DNS.lookup_addr = (/** @type {string} */ address) => this.#names.nameOf(String(address));
  }

  /** Put back what was there; sockets that are open stay, and fail with their session. */
  unmount() {
    const { createSocket, pollAsync, lookup_name, lookup_addr } = this.#replaced;
    Object.assign(this.module.SOCKFS, { createSocket, pollAsync });
    Object.assign(this.module.DNS, { lookup_name, lookup_addr });
  }

  // ── Waiting ────────────────────────────────────────────────────────────────────────────────────────

  /** Whether a call made now may suspend the interpreter. */
  get suspends() {
    return this.blocks !== "xhr" && this.module.validSuspender.value === true;
  }

  /**
   * How a blocking call made now would wait: by suspending the interpreter, by synchronous requests, or not at all.
   * @returns {"jspi" | "xhr" | "none"}
   */
  get waiting() {
    if (this.suspends) return "jspi";
    return this.blocks === "jspi" || !this.uplink?.exchanges ? "none" : "xhr";
  }

  /** Whether Python is to handle a signal; null where nobody can send one. @returns {boolean | null} */
  get interrupted() {
    return interrupted(this.module);
  }

  /**
   * Call back when a signal has come.
   * @param {() => void} callback
   * @returns {() => void} ends it
   */
  whenInterrupted(callback) {
    return whenInterrupted(this.module, callback);
  }

  /**
   * Wait here, with all that runs on this thread, until `ready()`.
   * @param {() => boolean} ready
   * @param {number} timeout ms
   * @param {boolean} networked whether it can become so by what a proxy says
   * @returns {"ready" | "timeout" | "interrupted" | "stuck"} stuck: it may not, or nothing could ever end it
   */
  block(ready, timeout, networked) {
    if (this.suspends || this.blocks === "jspi") return "stuck";
    const exchanges = this.uplink?.exchanges ?? false;
    if (networked ? !exchanges : timeout === Infinity) return "stuck";
    if (this.#onBlocked) {
      afterTurn(this.#onBlocked);
      this.#onBlocked = null;
    }
    return this.#blocking.until(ready, timeout);
  }

  /** Hear what has come until now from the network, where the page gets no turn to. */
  look() {
    if (!this.suspends && this.blocks !== "jspi") this.#blocking.look();
  }

  /** The open socket behind a file descriptor, if it is one of ours. @param {number} fd */
  find(fd) {
    const sock = this.module.FS.getStream(fd)?.node?.sock;
    return sock instanceof OpenSocket ? sock : null;
  }

  /** All open sockets, oldest first. */
  get sockets() {
    return [...this.#open];
  }

  /** What carries new sockets of a family. @param {number} family */
  networkFor(family) {
    return family === AF_UNIX || !this.uplink ? this.local : this.uplink.session;
  }

  /** @param {string} code errno's name, or what the proxy says is one; those of getaddrinfo have no number here */
  numberOf(code) {
    if (Object.hasOwn(this.errno, code)) return this.errno[code];
    return code.startsWith("EAI_") ? this.errno.EHOSTUNREACH : this.errno.EIO;
  }

  /** @param {string} code */
  failure(code) {
    return new this.module.FS.ErrnoError(this.numberOf(code));
  }

  /**
   * The same function, out of which nothing comes but FS.ErrnoError.
   * @template {(...args: any[]) => any} F
   * @param {F} operation
   * @returns {F}
   */
  guarded(operation) {
    return /** @type {F} */ (
      (...args) => {
        try {
          return operation(...args);
        } catch (error) {
          if (error instanceof this.module.FS.ErrnoError) throw error;
          throw this.failure(error instanceof SocketError ? error.code : "EIO");
        }
      }
    );
  }

  // ── Sockets ────────────────────────────────────────────────────────────────────────────────────────

  /**
   * A new descriptor, for a new socket or for one that is there already.
   * @param {number} family @param {number} type with O_NONBLOCK, if it shall not block @param {number} protocol
   * @param {AnySocket} [socket]
   * @throws {Error} FS.ErrnoError: EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT, EPERM; EMFILE
   */
  create(family, type, protocol, socket) {
    const kind = type & SOCK_TYPE_MASK;
    const wireFamily = FAMILIES[family];
    if (type & ~(SOCK_TYPE_MASK | O_NONBLOCK | O_CLOEXEC)) throw this.failure("EINVAL");
    if (!wireFamily) throw this.failure("EAFNOSUPPORT");
    if (kind === SOCK_RAW) throw this.failure("EPERM");
    if (!PROTOCOLS[kind]) throw this.failure("ESOCKTNOSUPPORT");
    if (protocol && (family === AF_UNIX || protocol !== PROTOCOLS[kind])) throw this.failure("EPROTONOSUPPORT");
    const inner = socket ?? (kind === SOCK_DGRAM ? new DatagramSocket(wireFamily) : new Socket(wireFamily));
    const { FS, SOCKFS } = this.module;
    const name = `pynet[${this.#count++}]`;
    const node = FS.createNode(SOCKFS.root, name, S_IFSOCK, 0);
    const sock = new OpenSocket(this, family, kind, protocol, inner);
    node.sock = sock;
    const flags = O_RDWR | (type & O_NONBLOCK);
    try {
      sock.opened(FS.createStream({ path: name, node, flags, seekable: false, stream_ops: this.streamOps }));
    } catch (error) {
      FS.destroyNode(node); // too many files are open
      throw error;
    }
    this.#open.add(sock);
    return sock;
  }

  /**
   * The connection that has waited longest at a listener, behind a descriptor of its own.
   * @param {OpenSocket} sock
   * @throws {Error} SocketError: EAGAIN, EINVAL, EOPNOTSUPP; FS.ErrnoError: EMFILE, and it goes on waiting
   */
  accept(sock) {
    const { socket, family, type, protocol } = sock;
    if (socket instanceof DatagramSocket) throw new SocketError("EOPNOTSUPP");
    if (sock.starting) throw new SocketError("EAGAIN");
    if (!(socket instanceof Listener)) throw new SocketError("EINVAL");
    return socket.accept((accepted) => this.create(family, type, protocol, accepted));
  }

  /**
   * Two descriptors of sockets that are connected to each other.
   * @param {number} type
   * @throws {Error} FS.ErrnoError: ESOCKTNOSUPPORT, EMFILE
   */
  pair(type) {
    if (!PROTOCOLS[type]) throw this.failure("ESOCKTNOSUPPORT");
    const sockets = this.local.pair(type === SOCK_DGRAM);
    /** @type {OpenSocket[]} */
    const opened = [];
    try {
      for (const socket of sockets) opened.push(this.create(AF_UNIX, type, 0, socket));
    } catch (error) {
      for (const { stream } of opened) this.module.FS.close(stream);
      for (const socket of sockets) socket.close();
      throw error;
    }
    return opened;
  }

  /** Sockets of AF_UNIX are files, which programs look for and remove. @returns {import("../places.js").Paths} */
  #paths() {
    const { FS } = this.module;
    /** @type {<T>(call: () => T) => T} */
    const named = (call) => {
      try {
        return call();
      } catch (error) {
        const number = /** @type {any} */ (error)?.errno;
        const [code] = Object.entries(this.errno).find(([, value]) => value === number) ?? ["EIO"];
        throw new SocketError(code === "EEXIST" ? "EADDRINUSE" : code);
      }
    };
    return {
      create: (path) => {
        const node = named(() => FS.create(path, PATH_MODE));
        node.mode = S_IFSOCK | PATH_MODE; // made as a socket it would lack what stat() calls
        return String(node.id);
      },
      remove: (path) => named(() => FS.unlink(path)),
      find: (path) => {
        const { node } = named(() => FS.lookupPath(path, { follow: true }));
        if ((node.mode & S_IFMT) !== S_IFSOCK) throw new SocketError("ECONNREFUSED");
        return String(node.id);
      },
    };
  }

  // ── Files ──────────────────────────────────────────────────────────────────────────────────────────

  #makeStreamOps() {
    return {
      poll: this.guarded((stream) => this.#polling.plain(stream.node.sock)),
      ioctl: this.guarded((stream, request, argument) => this.#ioctl(stream, request, argument)),
      read: this.guarded((stream, buffer, offset, length) => {
        const data = stream.node.sock.receive(length);
        buffer.set(data, offset);
        return data.length;
      }),
      write: this.guarded((stream, buffer, offset, length) => {
        return stream.node.sock.send(new Uint8Array(buffer.buffer, buffer.byteOffset + offset, length));
      }),
      dup: this.guarded((stream) => stream.node.sock.opened(stream)),
      close: this.guarded((stream) => {
        const { node } = stream;
        if (!node.sock.closed(stream)) return;
        this.#open.delete(node.sock);
        node.sock.socket.close();
        this.module.FS.destroyNode(node); // Emscripten's own sockets stay in its name table for ever
      }),
    };
  }

  /** @param {any} stream @param {number} request @param {number} argument address of an int */
  #ioctl(stream, request, argument) {
    const { HEAP32 } = this.module;
    const { socket } = stream.node.sock;
    if (request === FIONREAD && socket.state !== "listening") HEAP32[argument >> 2] = socket.available;
    else if (request === FIONBIO && HEAP32[argument >> 2]) stream.flags |= O_NONBLOCK;
    else if (request === FIONBIO) stream.flags &= ~O_NONBLOCK;
    else throw this.failure("EINVAL");
    return 0;
  }
}
