/**
 * One connection to a Wisp server: many streams in packets. Pure: it sends through a function it is given, and is told
 * what has come.
 *
 * Version 2 is spoken with servers that begin by saying what they can, version 1 with those that grant credit at once.
 * @module
 */

import { ProtocolError, ProxyError, SocketError } from "../errors.js";
import { Extension, Reason, TCP, UDP, credentials, decode, encode } from "./wisp-packets.js";

/** @type {Record<string, {[event: string]: string}>} */
export const TRANSITIONS = {
  greeting: { info: "answered", credit: "open", close: "closed" },
  answered: { credit: "open", close: "closed" },
  open: { close: "closed" },
  closed: {},
};

/** Most bytes of data in a packet: what servers send themselves, and all of them take. Few and full ones use credit best. */
const DATA_MAX = 64 * 1024;

/** Packets that may wait until the server has said what it takes; those beyond are lost, as datagrams may be. */
const EARLY_MAX = 1024;

/** @typedef {import("./network.js").StreamEvents} StreamEvents */

/** What each reason is to a program: an errno's name, and a sentence behind "the Wisp server ". @type {Record<number, [string, string]>} */
const MEANINGS = {
  [Reason.NETWORK_ERROR]: ["ECONNRESET", "says that the connection broke"],
  [Reason.INVALID]: ["EADDRNOTAVAIL", "takes this for no address that one can connect to"],
  [Reason.UNREACHABLE]: ["EHOSTUNREACH", "finds no way to the host, or does not find its name"],
  [Reason.TIMED_OUT]: ["ETIMEDOUT", "has waited in vain for the host to answer"],
  [Reason.REFUSED]: ["ECONNREFUSED", "says that the host refuses the connection"],
  [Reason.TRANSFER_TIMED_OUT]: ["ETIMEDOUT", "says that nothing has moved for too long"],
  [Reason.BLOCKED]: ["EACCES", "does not allow this destination; its operator could"],
  [Reason.THROTTLED]: ["ENOBUFS", "has ended the connection because it was too much for it"],
};

/**
 * The error that a reason stands for.
 * @param {number} reason
 */
export function errorOf(reason) {
  const unknown = ["ECONNABORTED", `has closed the connection (reason 0x${reason.toString(16).padStart(2, "0")})`];
  const [code, what] = MEANINGS[reason] ?? unknown;
  return new SocketError(code, `the Wisp server ${what}`);
}

export class WispSession {
  state = "greeting";
  version = 1;
  /** Whether it carries datagrams. */
  datagrams = true;
  /** Packets that each new stream may send. */
  #credit = 0;
  /** Whether the server says when a stream is open. */
  #confirms = false;
  /** @type {Map<number, WispStream>} */
  #streams = new Map();
  #next = 1;
  /** @type {Uint8Array[]} */
  #early = [];

  /**
   * @param {object} surroundings
   * @param {(message: Uint8Array) => void} surroundings.send
   * @param {() => void} surroundings.ready called when the server has said what it takes
   * @param {{user: string, password: string}} login empty for none
   */
  constructor({ send, ready }, login) {
    this.#send = send;
    this.#ready = ready;
    this.#login = login;
  }

  #send;
  #ready;
  #login;

  // ── Streams ────────────────────────────────────────────────────────────────────────────────────────

  /**
   * @param {"tcp" | "udp"} kind @param {string} host @param {number} port
   * @param {StreamEvents} events
   * @returns {WispStream}
   */
  open(kind, host, port, events) {
    const stream = new WispStream(this, { number: this.#next++, kind, host, port }, events);
    this.#streams.set(stream.number, stream);
    return stream;
  }

  /** The server takes what a stream may send; unless it says more of it, it is open. @param {WispStream} stream */
  begin(stream) {
    if (this.state !== "open") return; // then all of them begin at once
    if (stream.kind === "tcp") stream.credit = this.#credit;
    if (!this.#confirms || stream.kind === "udp") stream.open();
  }

  /** @param {import("./wisp-packets.js").Packet} packet */
  push(packet) {
    if (this.state === "open") this.#send(encode(packet));
    else if (this.#early.length < EARLY_MAX) this.#early.push(encode(packet));
  }

  /** @param {number} number */
  forget(number) {
    this.#streams.delete(number);
  }

  /** There is room again for what waits. */
  drained() {
    for (const stream of [...this.#streams.values()]) stream.events.writable();
  }

  // ── What the server says ───────────────────────────────────────────────────────────────────────────

  /**
   * @param {Uint8Array} message
   * @throws {ProtocolError} nothing that Wisp allows
   * @throws {ProxyError} the server does not let this page in
   */
  receive(message) {
    if (this.state === "closed") return;
    const packet = decode(message);
    if (packet.stream === 0 || packet.type === "Info") this.#hear(packet);
    else if (this.state === "open") this.#streams.get(packet.stream)?.receive(packet); // or its close has crossed this
    else throw new ProtocolError(`${packet.type} before the server has said what it takes`);
  }

  /** @param {import("./wisp-packets.js").Packet} packet about the connection */
  #hear(packet) {
    if (packet.type === "Info" && this.state === "greeting") {
      this.#answer(packet);
    } else if (packet.type === "Continue" && this.state !== "open") {
      this.#opened(packet.credit);
    } else if (packet.type === "Close") {
      throw this.#refusal(packet.reason);
    }
    // An Info behind the first credit is an older draft's: version 1 goes on.
  }

  /** @param {import("./wisp-packets.js").Packet} info what the server can */
  #answer({ major, extensions }) {
    const offered = new Map(extensions);
    const asksPassword = offered.has(Extension.PASSWORD);
    const { user, password } = this.#login;
    if (asksPassword && offered.get(Extension.PASSWORD)?.[0] === 1 && !password) {
      throw new ProxyError("token", 'the Wisp server wants a password: install("wisp://…", token="…")');
    }
    /** @type {[number, Uint8Array][]} */
    const ours = [];
    if (offered.has(Extension.UDP)) ours.push([Extension.UDP, NOTHING]);
    if (asksPassword && password) ours.push([Extension.PASSWORD, credentials(user, password)]);
    if (offered.has(Extension.OPEN_CONFIRMATION)) ours.push([Extension.OPEN_CONFIRMATION, NOTHING]);
    this.version = major;
    this.datagrams = offered.has(Extension.UDP);
    this.#confirms = offered.has(Extension.OPEN_CONFIRMATION);
    this.#turn("info");
    this.#send(encode({ type: "Info", stream: 0, major: 2, minor: 0, extensions: ours }));
  }

  /** @param {number} credit */
  #opened(credit) {
    this.#turn("credit");
    this.#credit = credit;
    for (const message of this.#early) this.#send(message);
    this.#early = [];
    for (const stream of [...this.#streams.values()]) this.begin(stream);
    this.#ready();
  }

  /** @param {number} reason */
  #refusal(reason) {
    const known = reason >= Reason.WRONG_PASSWORD && reason <= Reason.CREDENTIALS_MISSING;
    if (known) return new ProxyError("token", "the Wisp server does not take this user and password");
    if (reason === Reason.INCOMPATIBLE) {
      return new ProxyError("version", "the Wisp server and this page have no version of Wisp in common");
    }
    return new ProxyError("session", errorOf(reason).message);
  }

  /** The connection is over. @param {SocketError} error */
  close(error) {
    if (this.state === "closed") return;
    this.#turn("close");
    for (const stream of [...this.#streams.values()]) stream.over(error);
    this.#streams.clear();
    this.#early = [];
  }

  /** @param {string} event */
  #turn(event) {
    const next = TRANSITIONS[this.state][event];
    if (!next) throw new ProtocolError(`"${event}" cannot happen to a Wisp connection that is ${this.state}`);
    this.state = next;
  }
}

/** One stream of it. */
class WispStream {
  /** Most bytes of one send. */
  most = DATA_MAX;
  #opened = false;
  #closed = false;

  /**
   * @param {WispSession} session
   * @param {{number: number, kind: "tcp" | "udp", host: string, port: number}} target
   * @param {StreamEvents} events
   */
  constructor(session, { number, kind, host, port }, events) {
    this.session = session;
    this.number = number;
    this.kind = kind;
    this.host = host;
    this.port = port;
    this.events = events;
    /** Packets that it may send: of datagrams as many as it likes. */
    this.credit = kind === "tcp" ? 0 : Infinity;
  }

  start() {
    const { session, number, kind, host, port } = this;
    session.push({ type: "Connect", stream: number, kind: kind === "tcp" ? TCP : UDP, port, host });
    session.begin(this);
  }

  /** Whether a send is possible now. */
  get sends() {
    return !this.#closed && this.credit > 0;
  }

  /** @param {Uint8Array} data copied before this returns */
  send(data) {
    this.credit--;
    this.session.push({ type: "Data", stream: this.number, data });
  }

  /** Both directions end. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.session.push({ type: "Close", stream: this.number, reason: Reason.VOLUNTARY });
    this.session.forget(this.number);
  }

  open() {
    if (this.#opened) return;
    this.#opened = true;
    this.events.opened();
  }

  /** @param {import("./wisp-packets.js").Packet} packet */
  receive(packet) {
    switch (packet.type) {
      case "Data":
        this.open(); // what sends is open, whether that was confirmed or not
        this.events.received(packet.data);
        break;
      case "Continue":
        if (this.kind === "tcp") this.credit = packet.credit;
        this.open();
        this.events.writable();
        break;
      case "Close":
        this.session.forget(this.number);
        this.over(this.#ending(packet.reason));
        break;
    }
  }

  /** @param {number} reason */
  #ending(reason) {
    if (reason !== Reason.VOLUNTARY) return errorOf(reason);
    return this.#opened ? null : new SocketError("ECONNREFUSED", "the Wisp server has closed it before it was open");
  }

  /** @param {SocketError | null} error null: the peer has ended it */
  over(error) {
    if (this.#closed) return;
    this.#closed = true;
    this.events.closed(error);
  }
}

const NOTHING = new Uint8Array(0);
