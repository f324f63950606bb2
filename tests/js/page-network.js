/**
 * The network within a page, and sockets on it: for tests that need no interpreter.
 * @module
 */

import { DatagramSocket } from "../../js/datagram.js";
import { SocketError } from "../../js/errors.js";
import { Listener } from "../../js/listener.js";
import { LocalNetwork } from "../../js/local.js";
import { Socket } from "../../js/socket.js";

/** @typedef {import("../../js/endpoint.js").AnySocket} AnySocket */

/** Files, as far as sockets need them. */
export class FakePaths {
  /** Keys of sockets by their paths; null for other files. @type {Map<string, string | null>} */
  files = new Map();
  #next = 1;

  /** @param {string} path */
  create(path) {
    if (path.startsWith("/nowhere/")) throw new SocketError("ENOENT");
    if (this.files.has(path)) throw new SocketError("EADDRINUSE");
    const key = String(this.#next++);
    this.files.set(path, key);
    return key;
  }

  /** @param {string} path */
  find(path) {
    const key = this.files.get(path);
    if (key === undefined) throw new SocketError("ENOENT");
    if (key === null) throw new SocketError("ECONNREFUSED");
    return key;
  }

  /** @param {string} path */
  remove(path) {
    if (!this.files.delete(path)) throw new SocketError("ENOENT");
  }
}

const itself = (/** @type {Socket} */ socket) => socket;

export class PageNetwork {
  paths = new FakePaths();
  clock = 0;
  network = new LocalNetwork({ now: () => this.clock, paths: this.paths });

  /** Give a socket an address. @template {AnySocket} T @param {T} socket @param {string} host @param {number} [port] @returns {T} */
  bound(socket, host, port = 0) {
    socket.bind(this.network, { host, port }, (error) => {
      if (error) throw error;
    });
    return socket;
  }

  /** Why a socket gets no address, or nothing. @param {AnySocket} socket @param {string} host @param {number} [port] */
  refusal(socket, host, port = 0) {
    /** @type {string | undefined} */
    let code;
    socket.bind(this.network, { host, port }, (error) => {
      code = error?.code;
    });
    return code;
  }

  /** @param {string} host @param {{port?: number, family?: number, backlog?: number, options?: object}} [options] */
  listening(host, { port = 0, family = 4, backlog = 5, options = {} } = {}) {
    const socket = new Socket(family);
    for (const [name, value] of Object.entries(options)) socket.options.set(name, [String(value)]);
    return this.listen(this.bound(socket, host, port), backlog);
  }

  /** @param {Socket} socket @param {number} [backlog] @returns {Listener} */
  listen(socket, backlog = 5) {
    /** @type {any} */
    let listener;
    Listener.start(socket, this.network, backlog, (error, started) => {
      if (error) throw error;
      listener = started;
    });
    return listener;
  }

  /** A socket that has asked to connect. @param {string} host @param {number} [port] @param {Socket} [socket] */
  connecting(host, port = 0, socket = new Socket()) {
    socket.connect(this.network, { host, port, timeout: 0 });
    return socket;
  }

  /** Why a socket cannot be connected. @param {string} host @param {number} [port] @param {Socket} [socket] */
  unreachable(host, port, socket = new Socket()) {
    try {
      this.connecting(host, port, socket);
      socket.connect(this.network, { host, port: port ?? 0, timeout: 0 }); // which tells how it ended
    } catch (error) {
      if (error instanceof SocketError) return error;
      throw error;
    }
    return null;
  }

  /** Both ends of a connection. @param {Listener} listener @param {Socket} [client] @returns {[Socket, Socket]} */
  connected(listener, client = new Socket(listener.family)) {
    const { host, port } = /** @type {import("../../js/wire.js").Address} */ (listener.local);
    return [this.connecting(host, port, client), listener.accept(itself)];
  }

  /** Both ends of a new connection of a family. @param {number} family @returns {[Socket, Socket]} */
  streams(family) {
    const host = { 1: `/${this.paths.files.size}`, 4: "127.0.0.1", 6: "::1" }[family] ?? "";
    return this.connected(this.listening(host, { family }));
  }

  /** A datagram socket with an address. @param {string} host @param {{port?: number, family?: number, options?: object}} [options] */
  datagrams(host, { port = 0, family = 4, options = {} } = {}) {
    const socket = new DatagramSocket(family);
    for (const [name, value] of Object.entries(options)) socket.options.set(name, [String(value)]);
    return this.bound(socket, host, port);
  }

  /** Give a datagram socket a peer. @template {DatagramSocket} T @param {T} socket @param {string} host @param {number} [port] @returns {T} */
  joined(socket, host, port = 0) {
    socket.associate(this.network, { host, port }, (error) => {
      if (error) throw error;
    });
    return socket;
  }

  /** @param {DatagramSocket} socket @param {string} text @param {AnySocket | {host: string, port?: number}} [to] */
  send(socket, text, to) {
    const local = to && "local" in to ? to.local : to;
    const address = local && { family: socket.family, host: local.host, port: local.port ?? 0 };
    return socket.write(this.network, new TextEncoder().encode(text), address || undefined);
  }
}

/** Two ends of every kind of stream within the page. @type {Record<string, (page: PageNetwork) => [Socket, Socket]>} */
export const STREAMS = {
  "a pair": (page) => /** @type {[Socket, Socket]} */ (page.network.pair(false)),
  "a path": (page) => page.streams(1),
  IPv4: (page) => page.streams(4),
  IPv6: (page) => page.streams(6),
};
