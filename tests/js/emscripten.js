/**
 * As much of Emscripten and Pyodide 314.0 as js/sockfs is built on: its file system, and the system calls
 * that end in SOCKFS, with their ways of waiting and of failing (src/core/socket_syscalls.c, libsyscall.js).
 * @module
 */

import assert from "node:assert/strict";

/** WASI's numbers. @type {Record<string, number>} */
export const ERRNO = {
  EACCES: 2,
  EADDRINUSE: 3,
  EADDRNOTAVAIL: 4,
  EAFNOSUPPORT: 5,
  EAGAIN: 6,
  EALREADY: 7,
  EBADF: 8,
  ECONNABORTED: 13,
  ECONNREFUSED: 14,
  ECONNRESET: 15,
  EDEADLK: 16,
  EDESTADDRREQ: 17,
  EEXIST: 20,
  EHOSTUNREACH: 23,
  EINPROGRESS: 26,
  EINTR: 27,
  EINVAL: 28,
  EIO: 29,
  EISCONN: 30,
  EMFILE: 33,
  EMSGSIZE: 35,
  ENETDOWN: 38,
  ENETUNREACH: 40,
  ENOENT: 44,
  ENOTCONN: 53,
  EOPNOTSUPP: 138,
  EPERM: 63,
  EPIPE: 64,
  EPROTONOSUPPORT: 66,
  EPROTOTYPE: 67,
  ESOCKTNOSUPPORT: 137,
};

const FILES_MAX = 50;

class ErrnoError {
  name = "ErrnoError";

  /** @param {number} errno */
  constructor(errno) {
    this.errno = errno;
  }
}

class Stream {
  shared = { flags: 0 };
  /** @type {number | null} */
  fd = null;
  /** @type {any} */
  node = null;
  /** @type {any} */
  stream_ops = null;

  get flags() {
    return this.shared.flags;
  }

  set flags(flags) {
    this.shared.flags = flags;
  }
}

/** @returns {any} the parts of Emscripten's FS that are used */
function fileSystem() {
  const FS = {
    ErrnoError,
    /** @type {(Stream | null)[]} */
    streams: [],
    /** Nodes that are no files: sockets. @type {Set<any>} */
    nodes: new Set(),
    /** Files by their paths; folders need not be made. @type {Map<string, any>} */
    files: new Map(),
    nextInode: 1,
    /** @param {any} parent @param {string} name @param {number} mode */
    createNode(parent, name, mode) {
      const node = { parent, name, mode, id: FS.nextInode++ };
      FS.nodes.add(node);
      return node;
    },
    /** @param {string} path @param {number} mode */
    create(path, mode) {
      if (!path || path.startsWith("/nowhere/")) throw new ErrnoError(ERRNO.ENOENT);
      if (FS.files.has(path)) throw new ErrnoError(ERRNO.EEXIST);
      const node = { name: path, mode: 0o100000 | mode, id: FS.nextInode++ };
      FS.files.set(path, node);
      return node;
    },
    /** @param {string} path */
    unlink(path) {
      if (!FS.files.delete(path)) throw new ErrnoError(ERRNO.ENOENT);
    },
    /** @param {string} path */
    lookupPath(path) {
      const node = FS.files.get(path);
      if (!node) throw new ErrnoError(ERRNO.ENOENT);
      return { path, node };
    },
    /** @param {any} node */
    destroyNode(node) {
      assert.ok(FS.nodes.delete(node), "destroyed twice");
    },
    /** @param {any} fields */
    createStream(fields) {
      const fd = Array.from({ length: FILES_MAX }, (_, index) => index).find((index) => !FS.streams[index]);
      if (fd === undefined) throw new ErrnoError(ERRNO.EMFILE);
      return (FS.streams[fd] = Object.assign(new Stream(), fields, { fd }));
    },
    /** @param {number} fd */
    getStream: (fd) => FS.streams[fd],
    /** @param {Stream} stream */
    dupStream(stream) {
      const copy = FS.createStream(stream);
      copy.stream_ops?.dup?.(copy);
      return copy;
    },
    /** @param {Stream} stream */
    close(stream) {
      try {
        stream.stream_ops?.close?.(stream);
      } finally {
        FS.streams[/** @type {number} */ (stream.fd)] = null;
        stream.fd = null;
      }
    },
  };
  return FS;
}

/** Emscripten's module object. @returns {any} */
export function fakeModule() {
  const memory = new ArrayBuffer(1 << 16);
  const FS = fileSystem();
  return {
    FS,
    HEAPU8: new Uint8Array(memory),
    HEAP8: new Int8Array(memory),
    HEAP16: new Int16Array(memory),
    HEAP32: new Int32Array(memory),
    validSuspender: { value: true },
    getSocketAddress() {},
    DNS: { lookup_name: () => "172.29.1.0", lookup_addr: () => null },
    SOCKFS: {
      root: {},
      createSocket: () => "Emscripten's own",
      pollAsync: null,
    },
  };
}

/** Where a system call puts what it answers. */
const BUFFER = 1024;

/** What the C library asks of the kernel; negative results are errors. */
export class SystemCalls {
  /** @param {any} module */
  constructor(module) {
    this.module = module;
  }

  /** What a call returns, whose errors of the file system are numbers and whose other errors are fatal. @param {() => number} call */
  #call(call) {
    try {
      return call();
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
      return -error.errno;
    }
  }

  /** @param {number} fd @returns {any} */
  sock(fd) {
    return this.module.FS.getStream(fd)?.node?.sock;
  }

  /** @param {number} [family] @param {number} [type] @param {number} [protocol] */
  socket(family = 2, type = 1, protocol = 0) {
    return this.#call(() => this.module.SOCKFS.createSocket(family, type, protocol).stream.fd);
  }

  /** Either a number at once, or a promise of one: then the stack is suspended. @param {number} fd @param {string} host @param {number} port */
  connect(fd, host, port) {
    const sock = this.sock(fd);
    const name = this.module.DNS.lookup_addr(host) || host;
    if (sock.sock_ops.connectAsync) return sock.sock_ops.connectAsync(sock, name, port);
    return this.#call(() => {
      sock.sock_ops.connect(sock, name, port);
      return 0;
    });
  }

  /** @param {number} fd @param {number} limit */
  recv(fd, limit) {
    const sock = this.sock(fd);
    if (sock.sock_ops.recvmsgAsync) return sock.sock_ops.recvmsgAsync(sock, limit);
    return this.#call(() => {
      const { buffer } = sock.sock_ops.recvmsg(sock, limit);
      this.module.HEAPU8.set(buffer, BUFFER);
      return buffer.byteLength;
    });
  }

  /** Where the next datagram comes from, which is taken: [host, port, text]. @param {number} fd */
  recvfrom(fd) {
    const sock = this.sock(fd);
    const { buffer, addr, port } = sock.sock_ops.recvmsg(sock, 1 << 16);
    return [addr, port, new TextDecoder().decode(buffer)];
  }

  /** @param {number} fd @param {string} text @param {string} host @param {number} port */
  sendto(fd, text, host, port) {
    const sock = this.sock(fd);
    const data = new TextEncoder().encode(text);
    return this.#call(() => {
      this.module.HEAPU8.set(data, BUFFER);
      return sock.sock_ops.sendmsg(sock, this.module.HEAP8, BUFFER, data.length, host, port);
    });
  }

  /** @param {number} fd @param {string} host @param {number} port */
  bind(fd, host, port) {
    return this.#call(() => {
      this.sock(fd).sock_ops.bind(this.sock(fd), host, port);
      return 0;
    });
  }

  /** @param {number} fd @param {number} backlog */
  listen(fd, backlog) {
    return this.#call(() => {
      this.sock(fd).sock_ops.listen(this.sock(fd), backlog);
      return 0;
    });
  }

  /** @param {number} fd */
  accept(fd) {
    return this.#call(() => this.sock(fd).sock_ops.accept(this.sock(fd)).stream.fd);
  }

  /** What the last call to recv brought. @param {number} size */
  received(size) {
    return new TextDecoder().decode(this.module.HEAPU8.slice(BUFFER, BUFFER + size));
  }

  /** @param {number} fd @param {string} text */
  send(fd, text) {
    const sock = this.sock(fd);
    const data = new TextEncoder().encode(text);
    if (sock.sock_ops.sendmsgAsync) return sock.sock_ops.sendmsgAsync(sock, data);
    return this.#call(() => {
      this.module.HEAPU8.set(data, BUFFER);
      const { stream } = sock;
      if (stream.fd === null) throw new ErrnoError(ERRNO.EBADF); // as FS.write does
      return stream.stream_ops.write(stream, this.module.HEAP8, BUFFER, data.length);
    });
  }

  /**
   * @param {{fd: number, events: number}[]} polled
   * @param {number} timeout
   * @returns {any} a number, or a promise of one
   */
  poll(polled, timeout) {
    const { HEAP32, HEAP16, FS, SOCKFS } = this.module;
    for (const [index, { fd, events }] of polled.entries()) {
      HEAP32[(BUFFER + 8 * index) >> 2] = fd;
      HEAP16[(BUFFER + 8 * index + 4) >> 1] = events;
      HEAP16[(BUFFER + 8 * index + 6) >> 1] = -1;
    }
    const ours = polled.every(({ fd }) => !FS.getStream(fd) || this.sock(fd)?.sock_ops.pollAsync);
    const promise = ours && SOCKFS.pollAsync?.(BUFFER, polled.length, timeout);
    return promise || this.#call(() => this.#plainPoll(polled));
  }

  /** @param {{fd: number, events: number}[]} polled */
  #plainPoll(polled) {
    let count = 0;
    for (const [index, { fd }] of polled.entries()) {
      const stream = this.module.FS.getStream(fd);
      const events = this.module.HEAP16[(BUFFER + 8 * index + 4) >> 1];
      const flags = (stream ? (stream.stream_ops?.poll?.(stream, -1) ?? 5) : 32) & (events | 8 | 16);
      if (flags) count++;
      this.module.HEAP16[(BUFFER + 8 * index + 6) >> 1] = flags;
    }
    return count;
  }

  /** What the last poll wrote. @param {number} count */
  revents(count) {
    return Array.from({ length: count }, (_, index) => this.module.HEAP16[(BUFFER + 8 * index + 6) >> 1]);
  }

  /** @param {number} fd @param {number} how */
  shutdown(fd, how) {
    return this.sock(fd).sock_ops.shutdown(this.sock(fd), how);
  }

  /** @param {number} fd @param {number} command @param {number} [argument] */
  fcntl(fd, command, argument = 0) {
    this.module.HEAP32[BUFFER >> 2] = argument;
    return this.sock(fd).sock_ops.fcntl64(this.sock(fd), command, BUFFER);
  }

  /** What it wrote, or a negative error. @param {number} fd @param {number} request @param {number} [argument] */
  ioctl(fd, request, argument = 0) {
    const stream = this.module.FS.getStream(fd);
    this.module.HEAP32[BUFFER >> 2] = argument;
    const result = this.#call(() => stream.stream_ops.ioctl(stream, request, BUFFER));
    return result || this.module.HEAP32[BUFFER >> 2];
  }

  /** getsockopt(SO_ERROR). @param {number} fd */
  error(fd) {
    const number = this.sock(fd).error;
    this.sock(fd).error = null;
    return number;
  }

  /** @param {number} fd */
  dup(fd) {
    return this.#call(() => this.module.FS.dupStream(this.module.FS.getStream(fd)).fd);
  }

  /** @param {number} fd */
  close(fd) {
    return this.#call(() => {
      this.module.FS.close(this.module.FS.getStream(fd));
      return 0;
    });
  }
}
