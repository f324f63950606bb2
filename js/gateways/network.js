/**
 * What sockets reach others through where the server is not ours: it carries connections, perhaps datagrams, and no more.
 * Pure.
 *
 * It is to its sockets what a session with a proxy is, and speaks to them in the same frames. What such a server cannot do
 * is an error that says so. Names cannot be looked up: they get addresses that stand for them, and the server finds them
 * when it connects.
 * @module
 */

import { IPV4, IPV6 } from "../endpoint.js";
import { SocketError } from "../errors.js";
import { isNumeric } from "../names.js";
import { Budget } from "../window.js";
import { Datagrams } from "./datagrams.js";
import { Flow, SEND_WINDOW } from "./flow.js";

/** What the receive windows of all sockets may grow by, together. */
const WINDOW_BUDGET = 64 << 20;

/** Bytes that may have come for programs that do not read: such servers cannot be held back. */
const HELD_MAX = 64 << 20;

/** Connections that are closed and whose data still waits to leave. */
const LINGERING_MAX = 256;

/** @type {Record<number, string>} */
const ANY = { [IPV4]: "0.0.0.0", [IPV6]: "::" };
/** @type {Record<number, string>} */
const LOOPBACK = { [IPV4]: "127.0.0.1", [IPV6]: "::1" };

/** What an IPv4 address begins with as IPv6 writes it (RFC 4291 §2.5.5.2). */
const MAPPED = "::ffff:";

/**
 * @typedef {import("../endpoint.js").AnySocket} AnySocket
 * @typedef {import("../endpoint.js").Answered} Answered
 * @typedef {import("../wire.js").Address} Address
 * @typedef {import("../wire.js").Frame} Frame
 *
 * @typedef {object} StreamEvents
 * @property {() => void} opened the host is there, or the server does not tell
 * @property {(data: Uint8Array) => void} received bytes, or one datagram; they do not change
 * @property {() => void} writable there may be room again
 * @property {(error: SocketError | null) => void} closed once, and then nothing comes; null: the host has ended it
 *
 * @typedef {object} Stream
 * @property {boolean} sends whether a send is possible now
 * @property {number} most bytes of one send
 * @property {(data: Uint8Array) => void} send copied before this returns
 * @property {() => void} start before which it says nothing
 * @property {() => void} close both directions; it says nothing more
 *
 * @typedef {object} Way how streams are carried
 * @property {string} server what the server is called in sentences
 * @property {boolean} datagrams whether there are streams of datagrams
 * @property {boolean} full whether so much waits to leave that nothing more should
 * @property {(kind: "tcp" | "udp", host: string, port: number, events: StreamEvents) => Stream} open
 */

export class GatewayNetwork {
  budget = new Budget(WINDOW_BUDGET);
  peerWindow = SEND_WINDOW;
  room = Infinity;
  /** Bytes that have come and that no window takes. */
  held = 0;
  /** @type {Map<number, AnySocket>} */
  #sockets = new Map();
  /** @type {Map<number, Flow>} */
  #flows = new Map();
  /** @type {Map<number, Datagrams>} */
  #datagrams = new Map();
  /** @type {Set<Flow>} */
  #lingering = new Set();
  #nextId = 1;
  /** @type {SocketError | null} */
  #closed = null;

  /**
   * @param {Way} way
   * @param {import("../names.js").NameTable} names
   * @param {() => number} now
   */
  constructor(way, names, now) {
    this.way = way;
    this.names = names;
    this.now = now;
    /** Why one direction of a connection cannot end alone. */
    this.whole = `${way.server} ends both directions of a connection at once: close it, or shut down both`;
  }

  // ── What a socket asks of its network ──────────────────────────────────────────────────────────────

  /** @param {AnySocket} socket @param {Omit<Frame, "socket">} frame @throws {SocketError} ENETDOWN, EPROTONOSUPPORT */
  open(socket, frame) {
    if (this.#closed) throw this.#closed;
    if (socket.datagram && !this.way.datagrams) {
      throw new SocketError("EPROTONOSUPPORT", `${this.way.server} carries connections alone, and no datagrams`);
    }
    if (!socket.id) this.adopt(socket, this.#nextId++);
    if (frame.type !== "connect") return;
    const flow = new Flow(this, /** @type {any} */ (socket), this.hostOf(frame.host), frame.port);
    this.#flows.set(socket.id, flow);
    flow.start();
  }

  /** @param {AnySocket} socket @param {number} id */
  adopt(socket, id) {
    socket.id = id;
    this.#sockets.set(id, socket);
  }

  /** @param {number} id */
  forget(id) {
    this.#sockets.delete(id);
    const flow = this.#flows.get(id);
    if (flow && !flow.lingering) flow.abort();
    this.#flows.delete(id);
    this.#datagrams.get(id)?.close();
    this.#datagrams.delete(id);
  }

  watchRoom() {
    // Windows alone bound what a socket sends.
  }

  /** @param {number} id @param {Uint8Array} data */
  sendData(id, data) {
    this.#flows.get(id)?.send(data);
  }

  /** @param {Frame} frame */
  send(frame) {
    const flow = this.#flows.get(frame.socket);
    switch (frame.type) {
      case "window":
        flow?.grant(frame.credit);
        break;
      case "shutdown":
        flow?.shut();
        break;
      case "close":
        flow?.letGo();
        break;
      case "reset":
        flow?.abort();
        break;
      case "datagram":
        this.#datagramsOf(frame.socket).send(frame.address, frame.data);
        break;
    }
  }

  /** @param {number} id */
  #datagramsOf(id) {
    let datagrams = this.#datagrams.get(id);
    if (!datagrams) {
      datagrams = new Datagrams(this, /** @type {any} */ (this.#sockets.get(id)));
      this.#datagrams.set(id, datagrams);
    }
    return datagrams;
  }

  /** @param {Omit<Frame, "socket">} frame @param {Answered} answered */
  request(frame, answered) {
    let answer;
    try {
      answer = { socket: 0, ...this.#answer(frame) };
    } catch (error) {
      if (!(error instanceof SocketError)) throw error;
      answered(error, null);
      return;
    }
    answered(null, /** @type {Frame} */ (answer));
  }

  // ── Requests ───────────────────────────────────────────────────────────────────────────────────────

  /** @param {Omit<Frame, "socket">} frame @returns {Omit<Frame, "socket">} @throws {SocketError} */
  #answer(frame) {
    if (this.#closed) throw this.#closed;
    const { server } = this.way;
    switch (frame.type) {
      case "bind":
        return { type: "bound", local: this.#bound(this.#target(frame), frame.host, frame.port) };
      case "listen":
        throw new SocketError("EOPNOTSUPP", `${server} accepts no connections: only pynet-browser's own proxy can`);
      case "associate":
        return { type: "associated", ...this.#associate(this.#target(frame), frame.host, frame.port) };
      case "option":
        if (/MEMBERSHIP|_GROUP|MULTICAST_IF/.test(frame.name)) {
          throw new SocketError("EOPNOTSUPP", `${server} knows no multicast`);
        }
        return { type: "done" };
      case "resolve":
        return this.#resolve(frame.host, frame.service, frame.family);
      case "reverse":
        return { type: "reversed", host: this.names.nameOf(frame.address.host) ?? "", service: "" };
      default:
        throw new SocketError("EOPNOTSUPP");
    }
  }

  /** @param {Omit<Frame, "socket">} frame */
  #target(frame) {
    return /** @type {AnySocket} */ (this.#sockets.get(frame.target));
  }

  /** Any address and any port it has anyway. @param {AnySocket} socket @param {string} host @param {number} port */
  #bound({ family }, host, port) {
    if (port || (host && host !== ANY[family])) {
      throw new SocketError("EADDRNOTAVAIL", `${this.way.server} gives a socket no address that was asked for`);
    }
    return { family, host: ANY[family], port: 0 };
  }

  /** @param {AnySocket} socket @param {string} host @param {number} port */
  #associate(socket, host, port) {
    const ends = this.endsOf(socket, this.hostOf(host), port);
    this.#datagramsOf(socket.id).join(ends.peer);
    return ends;
  }

  /** @param {string} host @param {string} service @param {number} family @returns {Omit<Frame, "socket">} */
  #resolve(host, service, family) {
    if (service) {
      throw new SocketError("EAI_SERVICE", `${this.way.server} does not tell the port of ${service}: give its number`);
    }
    const addresses = host ? [this.#addressOf(host, family || IPV4)] : [];
    return { type: "resolved", port: 0, canonical: host, addresses };
  }

  /** What stands for a host, which may have an address already. @param {string} host @param {number} family */
  #addressOf(host, family) {
    if (host === "localhost") return { family, host: LOOPBACK[family], port: 0 }; // RFC 6761 §6.3
    const standing = this.names.addressOf(host);
    return { family, host: family === IPV6 && !standing.includes(":") ? MAPPED + standing : standing, port: 0 };
  }

  /** The host that is meant by what a program gives. @param {string} host */
  hostOf(host) {
    return (isNumeric(host) && this.names.nameOf(host)) || host;
  }

  /**
   * Both ends of a connection, as far as they are known.
   * @param {AnySocket} socket @param {string} host @param {number} port
   * @returns {{local: Address, peer: Address}}
   */
  endsOf({ family }, host, port) {
    return {
      local: { family, host: ANY[family], port: 0 },
      peer: { ...this.#addressOf(host, family), port },
    };
  }

  // ── How much ───────────────────────────────────────────────────────────────────────────────────────

  /** A connection is closed, and what it was given still leaves. @param {Flow} flow */
  linger(flow) {
    this.#lingering.add(flow);
    const [oldest] = this.#lingering;
    if (this.#lingering.size > LINGERING_MAX) oldest.abort();
  }

  /** @param {Flow} flow */
  unlinger(flow) {
    this.#lingering.delete(flow);
  }

  /** End the connection of which most waits, if too much does. */
  checkHeld() {
    if (this.held <= HELD_MAX) return;
    const [worst] = [...this.#flows.values()].sort((one, other) => other.held - one.held);
    worst.fail(
      new SocketError("ENOBUFS", `more has come than the program has read, and ${this.way.server} cannot be held back`),
    );
  }

  /** The way is gone: every socket fails. @param {SocketError} error */
  close(error) {
    if (this.#closed) return;
    this.#closed = error;
    for (const flow of this.#lingering) flow.abort();
    for (const socket of [...this.#sockets.values()]) socket.fail(error);
  }
}
