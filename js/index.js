/**
 * What pynet_browser/runtime.py sees of the page's side.
 * @module
 */

import { DatagramSocket } from "./datagram.js";
import { ProxyError, SocketError } from "./errors.js";
import { WebsockifyGateway, WispGateway } from "./gateways/uplink.js";
import { requestNow } from "./http/now.js";
import { look, pageAddress, startRequest } from "./http/request.js";
import { streamOf, streamsBodies } from "./http/streaming.js";
import { openStore } from "./http/store.js";
import { startUpload } from "./http/upload.js";
import { Listener } from "./listener.js";
import { probe, surroundings } from "./probe.js";
import { AF_UNIX, PROTOCOLS, SocketFileSystem, missingParts } from "./sockfs/filesystem.js";
import { forC } from "./sockfs/opensocket.js";
import { parked, suspension } from "./sockfs/parking.js";
import { takeSignals } from "./sockfs/signals.js";
import { Uplink } from "./uplink.js";
import { Watchlist } from "./watchlist.js";
import { hasPeerConnections, kindOf, openPeer } from "./webrtc/peer.js";
import { detach, hasWebSockets, openCallbacks } from "./websockets/callbacks.js";
import { openConnection } from "./websockets/connection.js";
import { attach, share } from "./websockets/sharing.js";

export {
  attach,
  detach,
  hasPeerConnections,
  hasWebSockets,
  kindOf,
  look,
  missingParts,
  openCallbacks,
  openConnection,
  openPeer,
  openStore,
  pageAddress,
  parked,
  probe,
  requestNow,
  share,
  startRequest,
  startUpload,
  streamOf,
  streamsBodies,
  surroundings,
  suspension,
  takeSignals,
};

/**
 * @typedef {import("./endpoint.js").Answered} Answered
 * @typedef {import("./wire.js").Frame} Frame
 * @typedef {import("./sockfs/opensocket.js").OpenSocket} OpenSocket
 * @typedef {import("./sockfs/filesystem.js").AnyUplink} AnyUplink
 * @typedef {any} Reply the answer's fields, or {error: code, message}; a Pending where that is not known yet
 *
 * @typedef {object} Options
 * @property {"proxy" | "wisp" | "websockify"} kind of the server at `url`: ours, or one that others wrote
 * @property {string} url of the server's WebSocket; empty for none
 * @property {string} user for a Wisp server
 * @property {string} token
 * @property {string} agent
 * @property {Record<string, number>} errno
 * @property {import("./sockfs/filesystem.js").Blocks} blocking
 * @property {"auto" | "off"} bulk
 * @property {"auto" | "stream" | "webrtc"} udp
 * @property {(reason: string) => void} onNoChannel
 * @property {() => void} onBlocked
 */

/**
 * Reach the proxy, unless the page is to be its own network.
 * @param {any} module Pyodide's Emscripten module
 * @param {Options} options
 * @returns {Promise<Network>}
 */
export async function open(module, options) {
  const uplink = uplinkTo(options);
  await uplink?.open();
  refuseInVain(uplink, options);
  return networkOf(module, uplink, options);
}

/**
 * The same before this returns.
 * @param {any} module @param {Options} options
 * @returns {Network}
 */
export function openNow(module, options) {
  const uplink = uplinkTo(options);
  uplink?.openNow();
  refuseInVain(uplink, options);
  return networkOf(module, uplink, options);
}

/**
 * What cannot be had whatever comes, where it was asked for.
 * @param {AnyUplink | null} uplink @param {Options} options
 * @throws {ProxyError}
 */
function refuseInVain(uplink, { udp }) {
  const why = uplink instanceof Uplink && udp === "webrtc" ? uplink.current.whyNoChannel : "";
  if (!why) return;
  uplink?.close();
  throw new ProxyError("channel", why);
}

/** @param {Options} options @returns {AnyUplink | null} */
function uplinkTo({ kind, url, user, token, agent, bulk, udp, onNoChannel }) {
  if (!url) return null;
  if (kind === "wisp") return new WispGateway(url, { user, password: token });
  if (kind === "websockify") return new WebsockifyGateway(url, token);
  return new Uplink(url, token, agent, bulk !== "off", udp === "stream" ? undefined : onNoChannel);
}

/** @param {any} module @param {AnyUplink | null} uplink @param {Options} options */
function networkOf(module, uplink, { errno, blocking, onBlocked }) {
  return new Network(new SocketFileSystem(module, uplink, errno, blocking, onBlocked));
}

/** The network of this page while it is installed. What is absent is undefined, which Python sees as None. */
class Network {
  /** @param {SocketFileSystem} system */
  constructor(system) {
    this.system = system;
    this.uplink = system.uplink;
  }

  mount() {
    this.system.mount();
  }

  close() {
    this.system.unmount();
    this.uplink?.close();
  }

  // ── Waiting ────────────────────────────────────────────────────────────────────────────────────────

  /** Whether a call made now may suspend the interpreter. */
  get suspends() {
    return this.system.suspends;
  }

  /** How a blocking call made now would wait: "jspi", "xhr" or "none". */
  get waiting() {
    return this.system.waiting;
  }

  /** Wait here for an answer; false where that is impossible, or nothing could bring it. @param {Pending} pending */
  block(pending) {
    return this.system.block(() => pending.answer !== undefined, Infinity, true) !== "stuck";
  }

  // ── Names ──────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Ask for addresses of a name and the port of a service.
   * @param {string} host @param {string} service either may be empty
   * @param {number} family 4, 6 or 0
   */
  resolve(host, service, family) {
    return this.#request({ type: "resolve", host, service, family });
  }

  /**
   * Ask for the names of an address and a port.
   * @param {number} family @param {string} host @param {number} port @param {boolean} datagram
   */
  reverse(family, host, port, datagram) {
    return this.#request({ type: "reverse", address: { family, host, port }, datagram: Number(datagram) });
  }

  /** @param {Omit<Frame, "socket">} frame */
  #request(frame) {
    const network = this.uplink?.session ?? this.system.local;
    return reply((answered) => network.request(frame, answered));
  }

  // ── Making sockets, and giving them addresses ──────────────────────────────────────────────────────

  /**
   * Family, kind and protocol of a socket, which Emscripten's getsockopt does not tell.
   * @param {number} fd
   */
  describe(fd) {
    const sock = this.system.find(fd);
    return sock ? [sock.family, sock.type, sock.family === AF_UNIX ? 0 : PROTOCOLS[sock.type]] : undefined;
  }

  /** Descriptors of two sockets that are connected within the page; or an errno's name. @param {number} type */
  pair(type) {
    return this.#attempt(() => this.system.pair(type).map((sock) => sock.stream.fd));
  }

  /** @param {number} fd @param {string} host empty for every address @param {number} port 0 for a free one */
  bind(fd, host, port) {
    return this.#ask(fd, (sock, answered) => sock.bind(host, port, answered));
  }

  /** @param {number} fd @param {number} backlog */
  listen(fd, backlog) {
    return this.#ask(fd, (sock, answered) => sock.listen(backlog, (error) => answered(error, DONE)));
  }

  /**
   * The descriptor of a connection that came in, or an errno's name.
   * @param {number} fd
   * @returns {number | string}
   */
  accept(fd) {
    return this.#attempt(() => {
      const sock = this.system.find(fd);
      if (!sock) throw new SocketError("EBADF");
      return this.system.accept(sock).stream.fd;
    });
  }

  /**
   * Start to connect a stream, which is decided when it is writable; or ask for the one peer of a datagram
   * socket. `pending`: another call is to tell how it ended.
   * @param {number} fd @param {string} host @param {number} port
   */
  connect(fd, host, port) {
    return this.#ask(fd, (sock, answered) => {
      sock.connect(host, port, (error) => answered(error, { ...DONE, pending: Number(sock.pending) }));
    });
  }

  /**
   * Addresses of both ends, each host and port, or undefined.
   * @param {number} fd
   */
  addresses(fd) {
    const sock = this.system.find(fd);
    if (!sock) return undefined;
    return [[sock.saddr, sock.sport], sock.daddr === undefined ? undefined : [sock.daddr, sock.dport]];
  }

  /** Answered when the addresses are known that are still being asked for; undefined if none are. @param {number} fd */
  settled(fd) {
    const socket = this.system.find(fd)?.socket;
    return socket?.settling ? reply((answered) => socket.whenSettled(() => answered(null, DONE))) : undefined;
  }

  // ── Options and states ─────────────────────────────────────────────────────────────────────────────

  /** What an option was set to, as a list of texts. @param {number} fd @param {string} name in C */
  option(fd, name) {
    return this.system.find(fd)?.socket.options.get(name);
  }

  /** @param {number} fd @param {string} name in C @param {string[]} values docs/protocol.md says which */
  setOption(fd, name, values) {
    return this.#ask(fd, (sock, answered) => sock.socket.setOption(sock.network, name, [...values], answered));
  }

  /**
   * Have the proxy speak TLS on a connection: answered by `secured` or `unsecured`.
   * @param {number} fd @param {object} wanted the fields of `starttls` but its target
   */
  startTls(fd, wanted) {
    return this.#ask(fd, (sock, answered) => sock.startTls(wanted, answered));
  }

  /** Whether it accepts connections. @param {number} fd */
  listening(fd) {
    return this.system.find(fd)?.socket.state === "listening";
  }

  /**
   * The last error a socket reported: its code and its sentence, empty where the code says it all.
   * @param {number} fd
   */
  explain(fd) {
    const error = this.system.find(fd)?.socket.reported;
    return error ? [error.code, error.message] : undefined;
  }

  // ── Data ───────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Bytes that could be read now, left where they are.
   * @param {number} fd @param {number} limit
   */
  peek(fd, limit) {
    const socket = this.system.find(fd)?.socket;
    return socket instanceof Listener ? undefined : socket?.peek(limit);
  }

  /** Whence the datagram came that was read or seen last, host and port, and how long it was. @param {number} fd */
  sender(fd) {
    const socket = this.system.find(fd)?.socket;
    const last = socket instanceof DatagramSocket ? socket.last : null;
    return last ? [forC(last.address), last.address.port, last.data.length] : undefined;
  }

  /**
   * Send one datagram; the number of its bytes, or an errno's name.
   * @param {number} fd @param {any} data a buffer of Python's @param {string} host numeric @param {number} port
   */
  sendTo(fd, data, host, port) {
    const buffer = data.getBuffer("u8");
    try {
      return this.#attempt(() => {
        const sock = this.system.find(fd);
        if (!sock) throw new SocketError("EBADF");
        return sock.sendTo(buffer.data, host, port);
      });
    } finally {
      buffer.release();
    }
  }

  /** For an event loop: see Watchlist. @param {() => void} wake */
  watchlist(wake) {
    return new Watchlist(this.system, wake);
  }

  // ── Status ─────────────────────────────────────────────────────────────────────────────────────────

  status() {
    const { uplink, system } = this;
    return {
      ...(uplink?.status() ?? LOCAL),
      waiting: system.waiting,
      blocking: system.blocks,
      browserSuspends: "Suspending" in WebAssembly,
      sockets: system.sockets.map(({ stream, socket, family }) => ({
        fd: stream.fd,
        family,
        kind: socket.datagram ? "datagram" : "stream",
        state: socket.state,
        local: socket.local ? [socket.local.host, socket.local.port] : undefined,
        peer: socket.peer ? [socket.peer.host, socket.peer.port] : undefined,
        received: socket.bytesReceived,
        sent: socket.bytesSent,
        queued: socket instanceof Listener ? socket.waiting : socket.available,
        dropped: socket instanceof DatagramSocket ? socket.dropped : 0,
      })),
    };
  }

  // ── Within ─────────────────────────────────────────────────────────────────────────────────────────

  /** @param {number} fd @param {(sock: OpenSocket, answered: Answered) => void} question @returns {Reply} */
  #ask(fd, question) {
    const sock = this.system.find(fd);
    if (!sock) return { error: "EBADF", message: "" };
    return reply((answered) => question(sock, answered));
  }

  /**
   * What a call gives, or the errno's name of what it throws.
   * @template T
   * @param {() => T} call
   * @returns {T | string}
   */
  #attempt(call) {
    try {
      return call();
    } catch (error) {
      if (error instanceof SocketError) return error.code;
      const number = /** @type {any} */ (error).errno;
      return Object.entries(this.system.errno).find(([, value]) => value === number)?.[0] ?? "EIO";
    }
  }
}

/** What an uplink tells, where there is none. */
const LOCAL = {
  kind: "page",
  url: "",
  proxy: "",
  state: "local",
  carrier: "",
  bulk: "",
  whyBulk: "",
  roundTrip: undefined,
  reconnects: 0,
  buffered: 0,
  features: [],
  udp: "",
  whyUdp: "",
};

const DONE = { type: "done", socket: 0 };

/** An answer that is on its way. */
class Pending {
  /** It, once it is there. @type {object | undefined} */
  answer;
  /** @type {((answer: object) => void)[]} */
  #waiting = [];

  /** Never rejects. @returns {Promise<object>} */
  get promise() {
    return new Promise((resolve) => {
      if (this.answer) resolve(this.answer);
      else this.#waiting.push(resolve);
    });
  }

  /** @param {object} answer */
  settle(answer) {
    this.answer ??= answer;
    for (const resolve of this.#waiting.splice(0)) resolve(this.answer);
  }
}

/** @param {(answered: Answered) => void} question @returns {Reply} */
function reply(question) {
  const pending = new Pending();
  question((error, frame) => {
    pending.settle(error ? { error: error.code, message: error.message } : /** @type {Frame} */ (frame));
  });
  return pending.answer ?? pending;
}
