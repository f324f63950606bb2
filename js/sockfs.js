/**
 * The seam to Pyodide: real file descriptors over our sockets. With pynet_browser/runtime.py, the only place
 * that knows Pyodide's internals (314.0: src/core/socket_syscalls.c, Emscripten's libsockfs.js).
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

import { SocketError } from "./errors.js";
import { NameTable, groupsOfIPv6 } from "./names.js";
import { HANGUP, READABLE, Socket, WRITABLE } from "./socket.js";

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_TYPE_MASK = 0xf;
const IPPROTO_TCP = 6;
const S_IFSOCK = 0o140000;
const O_RDWR = 2;
const O_NONBLOCK = 0o4000;
const F_GETFL = 3;
const F_SETFL = 4;
const FIONREAD = 0x541b;
const FIONBIO = 0x5421;
const SHUT_RD = 0;
const SHUT_WR = 1;
const SHUT_RDWR = 2;

/** struct pollfd: fd, events, revents. */
const POLLFD_SIZE = 8;
const POLLERR = 8;
const POLLHUP = 16;
const POLLNVAL = 32;
/** What readable and writable are also called (musl's poll.h). */
const POLLRDNORM = 64;
const POLLWRNORM = 256;

/** A timer cannot be set for longer (ms). */
const TIMER_MAX = 2 ** 31 - 1;

/**
 * @typedef {import("./connection.js").Connection} Connection
 * @typedef {any} Module Emscripten's module object, as Pyodide extends it
 * @typedef {{sock: OpenSocket | null, events: number, revents: number}} Polled a pollfd; `revents` is the
 *   index of that member in HEAP16
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
  #names = new NameTable();
  /** @type {{[name: string]: any}} */
  #replaced = {};
  #count = 0;
  /** A poll that would have had to wait where it cannot: the plain poll that follows at once must fail. */
  #pollMustFail = false;

  /**
   * @param {Module} module
   * @param {Connection} connection
   * @param {Record<string, number>} errno the running Python's numbers by name
   */
  constructor(module, connection, errno) {
    this.module = module;
    this.connection = connection;
    this.errno = errno;
    this.streamOps = this.#makeStreamOps();
  }

  /** Take the place of Emscripten's sockets. */
  mount() {
    const { SOCKFS, DNS } = this.module;
    const { createSocket, pollAsync } = SOCKFS;
    const { lookup_name, lookup_addr } = DNS;
    this.#replaced = { createSocket, pollAsync, lookup_name, lookup_addr };
    /** @type {(family: number, type: number, protocol: number) => OpenSocket} */
    SOCKFS.createSocket = this.guarded((family, type, protocol) => this.#create(family, type, protocol));
    SOCKFS.pollAsync = (/** @type {number} */ fds, /** @type {number} */ count, /** @type {number} */ timeout) =>
      this.#poll(fds, count, timeout);
    DNS.lookup_name = (/** @type {string} */ name) => this.#names.addressOf(String(name));
    DNS.lookup_addr = (/** @type {string} */ address) => this.#names.nameOf(String(address));
  }

  /** Put back what was there; sockets that are open stay, and fail with their session. */
  unmount() {
    const { createSocket, pollAsync, lookup_name, lookup_addr } = this.#replaced;
    Object.assign(this.module.SOCKFS, { createSocket, pollAsync });
    Object.assign(this.module.DNS, { lookup_name, lookup_addr });
  }

  /** Whether a call made now may suspend the interpreter. */
  get suspends() {
    return this.module.validSuspender.value === true;
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

  // ── Files ──────────────────────────────────────────────────────────────────────────────────────────

  /** @param {number} family @param {number} type @param {number} protocol */
  #create(family, type, protocol) {
    if (family !== AF_INET && family !== AF_INET6) throw this.failure("EAFNOSUPPORT");
    if ((type & SOCK_TYPE_MASK) !== SOCK_STREAM) throw this.failure("EPROTONOSUPPORT");
    if (protocol && protocol !== IPPROTO_TCP) throw this.failure("EPROTONOSUPPORT");
    const { FS, SOCKFS } = this.module;
    const name = `pynet[${this.#count++}]`;
    const node = FS.createNode(SOCKFS.root, name, S_IFSOCK, 0);
    const sock = new OpenSocket(this, family, protocol);
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

  #makeStreamOps() {
    return {
      poll: this.guarded((stream) => {
        if (this.#pollMustFail) {
          this.#pollMustFail = false;
          throw this.failure("EDEADLK");
        }
        return stream.node.sock.events;
      }),
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
    if (request === FIONREAD) HEAP32[argument >> 2] = stream.node.sock.socket.available;
    else if (request === FIONBIO && HEAP32[argument >> 2]) stream.flags |= O_NONBLOCK;
    else if (request === FIONBIO) stream.flags &= ~O_NONBLOCK;
    else throw this.failure("EINVAL");
    return 0;
  }

  // ── Waiting ────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Wait until one of many sockets is ready. Null: the plain poll, which never waits, has the answer.
   * @param {number} fds
   * @param {number} count
   * @param {number} timeout ms; negative: none
   * @returns {Promise<number> | null}
   */
  #poll(fds, count, timeout) {
    try {
      const wanted = this.#pollfds(fds, count);
      if (this.suspends && wanted.some(({ sock }) => !sock)) return this.#withInvalid(wanted);
      const ready = wanted.some(({ sock, events }) => sock && sock.events & (events | POLLERR | POLLHUP));
      if (timeout === 0 || ready) return null;
      if (this.suspends) return this.#anyReady(wanted, timeout);
      this.#pollMustFail = wanted.some(({ sock }) => sock);
      return null;
    } catch {
      return null;
    }
  }

  /** @param {number} fds @param {number} count */
  #pollfds(fds, count) {
    const { HEAP32, HEAP16 } = this.module;
    return Array.from({ length: count }, (_, index) => {
      const at = fds + POLLFD_SIZE * index;
      return { sock: this.find(HEAP32[at >> 2]), events: HEAP16[(at + 4) >> 1], revents: (at + 6) >> 1 };
    });
  }

  /**
   * The answer where a descriptor is not open: Emscripten's poll masks POLLNVAL out. Nothing has been
   * suspended yet, so memory may be written.
   * @param {Polled[]} wanted
   */
  #withInvalid(wanted) {
    let count = 0;
    for (const { sock, events, revents } of wanted) {
      const ready = sock ? sock.events & (events | POLLERR | POLLHUP) : POLLNVAL;
      this.module.HEAP16[revents] = ready;
      if (ready) count++;
    }
    return Promise.resolve(count);
  }

  /**
   * @param {Polled[]} wanted
   * @param {number} timeout
   * @returns {Promise<number>} 0 when the time is over; EINTR when poll should look again
   */
  #anyReady(wanted, timeout) {
    return new Promise((resolve) => {
      /** @type {(() => void)[]} */
      const forget = [];
      /** @type {ReturnType<typeof setTimeout> | undefined} */
      let timer;
      const finish = (/** @type {number} */ result) => {
        clearTimeout(timer);
        for (const each of forget) each();
        resolve(result);
      };
      const again = () => finish(-this.errno.EINTR);
      if (timeout > 0) timer = setTimeout(() => finish(0), Math.min(timeout, TIMER_MAX));
      for (const { sock, events } of wanted) {
        if (sock) forget.push(sock.socket.watch(watched(events), again));
      }
    });
  }
}

/** The readiness that these poll events stand for. @param {number} events */
function watched(events) {
  let mask = events;
  if (events & POLLRDNORM) mask |= READABLE;
  if (events & POLLWRNORM) mask |= WRITABLE;
  return mask;
}

/**
 * What Emscripten calls a "sock": the file's side of one socket. Its members' names are Emscripten's.
 */
class OpenSocket {
  type = SOCK_STREAM;
  /** One of its open streams: Emscripten writes through it, and reads its flags. @type {any} */
  stream = null;
  /** The streams of all its descriptors. @type {Set<any>} */
  #streams = new Set();
  socket = new Socket();

  /**
   * @param {SocketFileSystem} system
   * @param {number} family AF_INET or AF_INET6
   * @param {number} protocol
   */
  constructor(system, family, protocol) {
    this.system = system;
    this.family = family;
    this.protocol = protocol;
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

  /**
   * Start to connect.
   * @param {string} host @param {number} port
   * @throws {SocketError}
   */
  connect(host, port) {
    const family = this.family === AF_INET6 ? 6 : 4;
    this.socket.connect(this.system.connection.session, { family, host, port, timeout: 0 });
  }

  // Emscripten's getpeername, getsockname and getsockopt(SO_ERROR) read these.

  get daddr() {
    const { peer, state } = this.socket;
    return peer && state !== "failed" && state !== "closed" ? forC(peer) : undefined;
  }

  get dport() {
    return this.socket.peer?.port ?? 0;
  }

  get saddr() {
    if (this.socket.local) return forC(this.socket.local);
    return this.family === AF_INET6 ? "::" : "0.0.0.0";
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

  get blocking() {
    return !(this.stream.flags & O_NONBLOCK);
  }

  /** Readiness in poll's terms. */
  get events() {
    const ready = this.socket.readiness;
    return ready | (ready & READABLE ? POLLRDNORM : 0) | (ready & WRITABLE ? POLLWRNORM : 0);
  }

  /** @param {number} limit */
  receive(limit) {
    return this.#now(() => this.socket.read(limit));
  }

  /** @param {Uint8Array} data */
  send(data) {
    return this.#now(() => this.socket.write(data));
  }

  /**
   * An operation that cannot wait: where the program expects it to, it has come to the wrong place.
   * @template T
   * @param {() => T} operation
   */
  #now(operation) {
    try {
      return operation();
    } catch (error) {
      if (this.blocking && error instanceof SocketError && error.code === "EAGAIN") {
        throw this.system.failure("EDEADLK");
      }
      throw error;
    }
  }

  /** Whether a blocking call that needs this readiness must be suspended, and can be. @param {number} mask */
  waits(mask) {
    return this.blocking && !(this.socket.readiness & (mask | HANGUP)) && this.system.suspends;
  }

  /** Wait for readiness; then the call is to be repeated. @param {number} mask @returns {Promise<number>} */
  async untilReady(mask) {
    await new Promise((resolve) => {
      this.socket.watch(mask, () => resolve(undefined));
    });
    return -this.system.errno.EINTR;
  }
}

/** The operations that the C library's calls end in; names and results are Emscripten's. */
class SocketOperations {
  /** @param {OpenSocket} sock */
  constructor(sock) {
    const { system } = sock;
    this.sock = sock;
    this.poll = () => sock.events;
    this.pollAsync = true; // Pyodide asks each socket for it, and then calls that of the file system
    this.connect = system.guarded((_sock, host, port) => this.#connect(host, port));
    this.recvmsg = system.guarded((_sock, limit) => this.#recvmsg(limit));
    this.sendmsg = system.guarded((_sock, buffer, offset, length) => {
      return sock.send(new Uint8Array(buffer.buffer, buffer.byteOffset + offset, length));
    });
    this.bind = this.listen = this.accept = system.guarded(() => {
      throw new SocketError("EOPNOTSUPP", "");
    });
  }

  get connectAsync() {
    const { sock } = this;
    if (!sock.blocking || sock.socket.state !== "idle" || !sock.system.suspends) return undefined;
    return async (/** @type {any} */ _sock, /** @type {string} */ host, /** @type {number} */ port) => {
      try {
        sock.connect(host, port);
        await sock.untilReady(WRITABLE);
        return -sock.error;
      } catch (error) {
        return -sock.system.numberOf(error instanceof SocketError ? error.code : "EIO");
      }
    };
  }

  get recvmsgAsync() {
    return this.sock.waits(READABLE) ? () => this.sock.untilReady(READABLE) : undefined;
  }

  get sendmsgAsync() {
    return this.sock.waits(WRITABLE) ? () => this.sock.untilReady(WRITABLE) : undefined;
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
    if (sock.blocking && sock.socket.state === "idle") throw sock.system.failure("EDEADLK");
    sock.connect(host, port);
    throw sock.system.failure("EINPROGRESS");
  }

  /** @param {number} limit */
  #recvmsg(limit) {
    const { sock } = this;
    const buffer = sock.receive(limit);
    return { buffer, addr: sock.daddr ?? sock.saddr, port: sock.dport };
  }
}

/**
 * An address in the only form that Emscripten's parser takes in every case: IPv6 in full.
 * @param {import("./wire.js").Address} address
 */
function forC({ family, host }) {
  const groups = family === 6 ? groupsOfIPv6(host) : null;
  return groups ? groups.map((group) => group.toString(16)).join(":") : host;
}
