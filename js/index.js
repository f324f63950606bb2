/**
 * What pynet_browser/runtime.py sees of the page's side.
 * @module
 */

import { Connection } from "./connection.js";
import { SocketError } from "./errors.js";
import { SocketFileSystem, missingParts } from "./sockfs.js";

export { missingParts };

/** @typedef {import("./wire.js").Frame} Frame */

/**
 * Reach the proxy.
 * @param {any} module Pyodide's Emscripten module
 * @param {{url: string, token: string, agent: string, errno: Record<string, number>}} options
 * @returns {Promise<Network>}
 */
export async function open(module, { url, token, agent, errno }) {
  const connection = new Connection(url, token, agent);
  await connection.open();
  return new Network(new SocketFileSystem(module, connection, errno));
}

/** The network of this page while it is installed. What is absent is undefined, which Python sees as None. */
class Network {
  /** @param {SocketFileSystem} system */
  constructor(system) {
    this.system = system;
    this.connection = system.connection;
  }

  mount() {
    this.system.mount();
  }

  close() {
    this.system.unmount();
    this.connection.close();
  }

  /** Whether a blocking call made now could wait. */
  get suspends() {
    return this.system.suspends;
  }

  /**
   * Ask the proxy for addresses of a name and the port of a service.
   * @param {string} host @param {string} service either may be empty
   * @param {number} family 4, 6 or 0
   */
  resolve(host, service, family) {
    return this.#request({ type: "resolve", host, service, family });
  }

  /**
   * Ask the proxy for the names of an address and a port.
   * @param {number} family @param {string} host @param {number} port @param {boolean} datagram
   */
  reverse(family, host, port, datagram) {
    return this.#request({ type: "reverse", address: { family, host, port }, datagram: Number(datagram) });
  }

  /**
   * @param {Omit<Frame, "socket">} frame
   * @returns {Promise<any>} the answer's fields, or {error: code, message}; it never rejects
   */
  #request(frame) {
    return new Promise((resolve) => {
      this.connection.session.request(/** @type {any} */ (frame), (error, answer) => {
        resolve(error ? { error: error.code, message: error.message } : answer);
      });
    });
  }

  /**
   * Family, kind and protocol of a socket, which Emscripten's getsockopt does not tell.
   * @param {number} fd
   */
  describe(fd) {
    const sock = this.system.find(fd);
    return sock ? [sock.family, sock.type, sock.protocol] : undefined;
  }

  /**
   * Start to connect a socket; Pyodide's _socket is built without IPv6 and refuses its addresses.
   * @param {number} fd @param {string} host @param {number} port
   * @returns {string} name of the errno, or empty
   */
  connect(fd, host, port) {
    const sock = this.system.find(fd);
    if (!sock) return "EBADF";
    try {
      sock.connect(host, port);
      return "";
    } catch (error) {
      return error instanceof SocketError ? error.code : "EIO";
    }
  }

  /**
   * Addresses of both ends, each host and port, or undefined; for IPv6 as above.
   * @param {number} fd
   */
  addresses(fd) {
    const sock = this.system.find(fd);
    if (!sock) return undefined;
    return [[sock.saddr, sock.sport], sock.daddr === undefined ? undefined : [sock.daddr, sock.dport]];
  }

  /**
   * The last error a socket reported: its code and its sentence, empty where the code says it all.
   * @param {number} fd
   */
  explain(fd) {
    const error = this.system.find(fd)?.socket.reported;
    return error ? [error.code, error.message] : undefined;
  }

  /**
   * Bytes a socket could read now, left where they are.
   * @param {number} fd @param {number} limit
   */
  peek(fd, limit) {
    return this.system.find(fd)?.socket.peek(limit);
  }

  status() {
    const { connection } = this;
    const session = connection.current;
    return {
      url: connection.url,
      proxy: connection.agent,
      state: session.state,
      roundTrip: connection.roundTrip ?? undefined,
      reconnects: connection.reconnects,
      buffered: session.link.buffered,
      sockets: this.system.sockets.map(({ stream, socket, family }) => ({
        fd: stream.fd,
        family,
        state: socket.state,
        local: socket.local ? [socket.local.host, socket.local.port] : undefined,
        peer: socket.peer ? [socket.peer.host, socket.peer.port] : undefined,
        received: socket.bytesReceived,
        sent: socket.bytesSent,
        queued: socket.available,
      })),
    };
  }
}
