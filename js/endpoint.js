/**
 * What sockets of every kind have in common: an id on the wire, addresses, options, an error that waits to be
 * reported, and programs that wait for readiness. Pure.
 *
 * Nothing here waits: what cannot be done now throws EAGAIN, and `watch()` tells when to try again.
 * @module
 */

import { ProtocolError, SocketError } from "./errors.js";
import { groupsOfIPv6, parseIPv4 } from "./names.js";

/** What a socket is ready for; the bits are those of poll(). */
export const READABLE = 1;
export const WRITABLE = 4;
export const ERROR = 8;
export const HANGUP = 16;
export const PEER_FINISHED = 0x2000;

/** Address families on the wire; sockets of the last stay in the page, and their hosts are paths. */
export const IPV4 = 4;
export const IPV6 = 6;
export const UNIX = 1;

/** Options that every new connection of a proxy has: it need not be told. @type {Record<string, string>} */
const SET_ALREADY = { TCP_NODELAY: "1" };

/** What is done with a socket rather than set on it: it adds up, and may be refused. */
const MEMBERSHIPS = ["IP_ADD_MEMBERSHIP", "IP_DROP_MEMBERSHIP", "IPV6_JOIN_GROUP", "IPV6_LEAVE_GROUP"];

/** What only the host can tell to be right or wrong. */
const UNCERTAIN = [...MEMBERSHIPS, "IP_MULTICAST_IF"];

/**
 * @typedef {import("./wire.js").Frame} Frame
 * @typedef {import("./wire.js").Address} Address
 * @typedef {(error: SocketError | null, answer: Frame | null) => void} Answered
 * @typedef {{mask: number, callback: () => void}} Watcher
 * @typedef {import("./socket.js").Socket} Socket
 * @typedef {import("./listener.js").Listener} Listener
 * @typedef {import("./datagram.js").DatagramSocket} DatagramSocket
 * @typedef {Socket | Listener | DatagramSocket} AnySocket
 *
 * @typedef {object} Network what sockets reach others through: a session with a proxy, or the page itself
 * @property {import("./window.js").Budget} budget what the windows of its sockets may grow by
 * @property {number} peerWindow credit that the other side grants each new socket
 * @property {number} room bytes that sockets may send before something is taken
 * @property {() => number} now
 * @property {import("./path.js").Path | null} [path] the way of datagrams beside all else
 * @property {number} [newest] where messages are numbered, that of the one which carries what was said last
 * @property {number} [acknowledged] and that of the last one which has arrived
 * @property {string} [whole] why one direction of a connection cannot end alone, where it cannot
 * @property {number} [busy] how long (ms) half a window takes at most where it holds its sender back
 * @property {(endpoint: any, frame: Omit<Frame, "socket">) => void} open sends a first frame about an
 *   endpoint, and gives it an id unless it has one
 * @property {(endpoint: any, id: number) => void} adopt makes an endpoint known that the other side named
 * @property {(frame: Frame) => void} send
 * @property {(socket: number, data: Uint8Array) => void} sendData the bytes are copied
 * @property {(frame: Omit<Frame, "socket">, answered: Answered) => void} request asks what is answered once,
 *   perhaps before this returns
 * @property {(id: number) => void} forget
 * @property {(endpoint: any) => void} watchRoom tells the endpoint when there is room again
 */

export class Endpoint {
  /** Names it on the wire; 0 while its network does not know it. */
  id = 0;
  /** What carries it, once it has an id. @type {Network | null} */
  network = null;
  /** @type {Address | null} */
  local = null;
  /** @type {Address | null} */
  peer = null;
  bytesReceived = 0;
  bytesSent = 0;
  /** Error that the next operation, or SO_ERROR, reports once. @type {SocketError | null} */
  error = null;
  /** The last error that was reported, for those who want its sentence. @type {SocketError | null} */
  reported = null;
  /** Options that were set, by their names in C. @type {Map<string, string[]>} */
  options = new Map();
  /** Called when a request has settled an address. @type {(() => void)[]} */
  #settling = [];
  #unanswered = 0;
  /** @type {Set<Watcher>} */
  #watchers = new Set();

  /**
   * @param {number} family IPV4, IPV6 or UNIX
   * @param {boolean} datagram
   */
  constructor(family, datagram) {
    this.family = family;
    this.datagram = datagram;
  }

  // ── Addresses and options ──────────────────────────────────────────────────────────────────────────

  /** Be carried by a network; what has an id keeps its own. @param {Network} network @returns {Network} */
  carriedBy(network) {
    if (!this.id || !this.network) this.network = network;
    return this.network;
  }

  /** The id means nothing any more. */
  release() {
    this.network?.forget(this.id);
    this.id = 0;
  }

  /** Make it known, with its options, unless it is. @param {Network} network @throws {SocketError} ENETDOWN, EINVAL */
  open(network) {
    if (this.id) return;
    if (this.over) throw new SocketError("EINVAL");
    this.carriedBy(network).open(this, { type: "open", datagram: Number(this.datagram), family: this.family });
    for (const [name, values] of this.options) this.#sendOption(name, values, () => {});
  }

  /**
   * Ask for an address.
   * @param {Network} network
   * @param {{host: string, port: number}} address an empty host for every address, port 0 for a free one
   * @param {Answered} answered EINVAL if it has one
   */
  bind(network, address, answered) {
    this.ask(network, { type: "bind", ...address }, (error, answer) => {
      if (answer) this.local = answer.local;
      answered(error, answer);
    });
  }

  /**
   * Set an option. Only what may be refused is waited for: the others were checked before, and to wait in the middle of
   * an event loop's callback lets those behind it run first. What the proxy's host refuses reads as it was.
   * @param {Network} network
   * @param {string} name in C
   * @param {string[]} values docs/protocol.md says which
   * @param {Answered} answered
   */
  setOption(network, name, values, answered) {
    if (this.datagram && UNCERTAIN.includes(name)) {
      this.ask(network, { type: "option", name, values }, (error, answer) => {
        if (answer && !MEMBERSHIPS.includes(name)) this.options.set(name, values);
        answered(error, answer);
      });
      return;
    }
    if (name === "IPV6_V6ONLY" && this.local) {
      answered(this.report(new SocketError("EINVAL")), null);
      return;
    }
    const before = this.options.get(name);
    this.options.set(name, values);
    /** @type {SocketError | null} */
    let refused = null;
    if (!this.keepOption(name, values) && (before || SET_ALREADY[name] !== values[0]) && this.id) {
      this.#sendOption(name, values, (error) => {
        if (error && this.options.get(name) === values) this.#restoreOption(name, before);
        refused = error;
      });
    }
    answered(refused, refused ? null : { type: "done", socket: 0 });
  }

  /** @param {string} name @param {string[] | undefined} before */
  #restoreOption(name, before) {
    if (before) this.options.set(name, before);
    else this.options.delete(name);
  }

  /**
   * Do what an option asks of this end; tells whether that was all.
   * @param {string} _name
   * @param {string[]} _values
   */
  keepOption(_name, _values) {
    return false;
  }

  /** The first number of an option, or a default. @param {string} name @param {number} otherwise */
  optionNumber(name, otherwise) {
    const [value] = this.options.get(name) ?? [];
    return value === undefined ? otherwise : Number(value);
  }

  /** @param {string} name @param {string[]} values @param {Answered} answered */
  #sendOption(name, values, answered) {
    if (this.keepOption(name, values) || !this.network) return;
    this.network.request({ type: "option", target: this.id, name, values }, (error, answer) => {
      answered(error && this.report(error), answer);
    });
  }

  /**
   * Ask something about this socket, which becomes known if it is not.
   * @param {Network} network
   * @param {Omit<Frame, "socket">} frame without its target
   * @param {Answered} answered
   */
  ask(network, frame, answered) {
    try {
      this.open(network);
    } catch (error) {
      answered(this.report(/** @type {SocketError} */ (error)), null);
      return;
    }
    this.#unanswered++;
    this.carriedBy(network).request({ ...frame, target: this.id }, (error, answer) => {
      // Ahead of everything: if this breaks the protocol, the end of the session is the answer.
      for (const end of [answer?.local, answer?.peer]) if (end) this.checked(end);
      this.#unanswered--;
      // That the other side does not know it is no news: it has said why, or both have finished.
      if (error?.code === "EBADF") error = this.error ?? new SocketError("EINVAL");
      if (error) this.report(error);
      answered(error, answer);
      if (this.#unanswered) return;
      const settling = this.#settling;
      this.#settling = [];
      for (const callback of settling) callback();
    });
  }

  /** Whether its addresses are still being asked for. */
  get settling() {
    return this.#unanswered > 0;
  }

  /** Call back once nothing about its addresses is being asked. @param {() => void} callback */
  whenSettled(callback) {
    if (this.settling) this.#settling.push(callback);
    else callback();
  }

  /** @param {Address} address that the other side tells @throws {ProtocolError} it is none of this family */
  checked(address) {
    const { family, host } = address;
    const numeric =
      family === UNIX || (family === IPV4 ? parseIPv4(host) !== null : groupsOfIPv6(host) !== null);
    if (!numeric || family !== this.family) {
      throw new ProtocolError(`${host} is no IPv${this.family} address`);
    }
    return address;
  }

  // ── Readiness ──────────────────────────────────────────────────────────────────────────────────────

  /** What can be done without waiting: READABLE, WRITABLE, ERROR, HANGUP, PEER_FINISHED. */
  get readiness() {
    return 0;
  }

  /** Bytes that can be read without waiting. */
  get available() {
    return 0;
  }

  /** Whether it was known, and never will be again. */
  get over() {
    return false;
  }

  /** The peer that it has still, as getpeername() tells. */
  get remote() {
    return this.peer;
  }

  /** Whether it sends at all, so that waiting to write means waiting for room. */
  get sends() {
    return false;
  }

  /**
   * Call back once the socket is ready for any of `mask`, or broken. Returns a function that forgets it.
   * @param {number} mask
   * @param {() => void} callback
   */
  watch(mask, callback) {
    const watcher = { mask: mask | ERROR | HANGUP, callback };
    this.#watchers.add(watcher);
    this.#watchRoom();
    return () => {
      this.#watchers.delete(watcher);
    };
  }

  /** What went beside the session goes with it again. */
  channelLost() {}

  /** Windows of the network have opened. */
  roomChanged() {
    this.wake();
  }

  /** Tell those who wait for what it is ready for now. */
  wake() {
    if (!this.#watchers.size) return;
    const ready = this.readiness;
    for (const watcher of [...this.#watchers]) {
      if (watcher.mask & ready && this.#watchers.delete(watcher)) watcher.callback();
    }
    this.#watchRoom();
  }

  /** Tell everybody: it is not what it was. */
  wakeAll() {
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const { callback } of watchers) callback();
  }

  /** Whoever waits to write is also to be told when the network, which all sockets share, has room again. */
  #watchRoom() {
    if (!this.sends) return;
    for (const { mask } of this.#watchers) if (mask & WRITABLE) this.network?.watchRoom(this);
  }

  // ── Errors ─────────────────────────────────────────────────────────────────────────────────────────

  /** Take the error that is waiting, as getsockopt(SO_ERROR) does. */
  takeError() {
    const { error } = this;
    this.error = null;
    if (error) this.report(error);
    return error;
  }

  raiseError() {
    const error = this.takeError();
    if (error) throw error;
  }

  /** Remember what a program is told. @param {SocketError} error */
  report(error) {
    this.reported = error;
    return error;
  }

  /** @param {Omit<Frame, "socket">} frame about this socket */
  tell(frame) {
    this.network?.send(/** @type {Frame} */ ({ ...frame, socket: this.id }));
  }
}
