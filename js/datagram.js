/**
 * One datagram socket: a bounded queue of what came in, and where it came from. Pure.
 *
 * It behaves as a UDP socket on Linux does.
 * @module
 */

import { ERROR, Endpoint, HANGUP, IPV4, PEER_FINISHED, READABLE, UNIX, WRITABLE } from "./endpoint.js";
import { ProtocolError, SocketError } from "./errors.js";
import { encodeFrame } from "./wire.js";

/** Most bytes of data in one UDP datagram over IPv4. */
export const DATAGRAM_MAX = 65_507;

/** Most bytes before a datagram's data in its frame. */
const HEADERS_MAX = 64;

/** How long (ms) a socket waits for a moment's silence before its datagrams go by the data channel. */
const CHANGING = 1000;

/** Bytes that may wait to be read: Linux's net.core.rmem_default. */
export const RECEIVE_BUFFER = 212_992;

/** What a datagram counts for beside its data, so that empty ones are bounded too; as on Linux. */
const OVERHEAD = 768;

/** Broadcast addresses that are known without asking; of other networks the host knows. */
export const BROADCAST = ["255.255.255.255", "127.255.255.255"];

/**
 * @typedef {import("./endpoint.js").Answered} Answered
 * @typedef {import("./endpoint.js").Network} Network
 * @typedef {import("./wire.js").Address} Address
 * @typedef {import("./wire.js").Frame} Frame
 * @typedef {{address: Address, data: Uint8Array}} Datagram
 */

export class DatagramSocket extends Endpoint {
  state = "open";
  /** Datagrams that were thrown away here or by the network. */
  dropped = 0;
  /** The datagram that was read last, for those who want to know whence, and how long it was. @type {Datagram | null} */
  last = null;
  /** Who has no room for what this would send: within the page datagrams are not lost, see unix(7). @type {DatagramSocket | null} */
  blockedBy = null;
  /** Who waits for room here. @type {Set<DatagramSocket>} */
  #heldBack = new Set();
  /** Whether the proxy was told that this socket's datagrams go by the channel. */
  #routed = false;
  /** When it was, in ms. */
  #routedAt = 0;
  /** Number of the message that carries the last datagram which went by the session. */
  #behind = 0;
  #readShut = false;
  #writeShut = false;
  /** @type {Datagram[]} */
  #queue = [];
  /** Bytes that the queue counts for. */
  #size = 0;

  /** @param {number} [family] */
  constructor(family = IPV4) {
    super(family, true);
  }

  // ── What the program does ──────────────────────────────────────────────────────────────────────────

  /**
   * Have one peer from now on.
   * @param {Network} network
   * @param {{host: string, port: number}} peer
   * @param {Answered} answered
   */
  associate(network, peer, answered) {
    try {
      this.#mayReach(peer.host);
    } catch (error) {
      answered(/** @type {SocketError} */ (error), null);
      return;
    }
    this.ask(network, { type: "associate", ...peer }, (error, answer) => {
      if (answer) this.joined(answer.local, answer.peer);
      answered(error, answer);
    });
  }

  /** It has these two ends now. @param {Address} local @param {Address} peer */
  joined(local, peer) {
    this.local = this.checked(local);
    this.peer = this.checked(peer);
    // Linux keeps what came before; from others nothing comes any more.
  }

  /**
   * Send one datagram whole; returns its length.
   * @param {Network} network
   * @param {Uint8Array} data copied before this returns
   * @param {Address | null} [address] the peer's if there is none
   * @throws {SocketError} EDESTADDRREQ, EMSGSIZE, EACCES, EAGAIN, EPIPE, or an error that was waiting
   */
  write(network, data, address = this.peer) {
    if (data.length > DATAGRAM_MAX) throw this.report(new SocketError("EMSGSIZE"));
    this.raiseError();
    if (this.#writeShut) throw this.report(new SocketError("EPIPE"));
    if (!address) throw this.report(new SocketError(this.family === UNIX ? "ENOTCONN" : "EDESTADDRREQ"));
    this.#mayReach(address.host);
    this.#name(network);
    if (!this.#sentByChannel(address, data)) {
      if (this.carriedBy(network).room <= 0) throw new SocketError("EAGAIN");
      this.tell({ type: "datagram", address, data });
      this.#behind = this.network?.newest ?? 0;
    }
    this.bytesSent += data.length;
    return data.length;
  }

  // ── The channel beside the session ─────────────────────────────────────────────────────────────────

  /**
   * The program waits for this socket so that the page has turns, and hears its data channel; or it does not.
   * @param {Network} network
   * @param {boolean} listens
   */
  follow(network, listens) {
    const { path } = this.id && this.network ? this.network : network;
    if (!path) return;
    if (listens) path.want();
    if (this.id && path.open && this.#routed !== listens) {
      this.#routed = listens;
      this.#routedAt = network.now();
      this.tell({ type: "route", channel: Number(listens) });
    }
  }

  channelLost() {
    if (this.#routed) this.tell({ type: "route", channel: 0 }); // the proxy may notice later than the page
    this.#routed = false;
    this.wake();
  }

  /**
   * Whether datagrams go by the channel now. None shall overtake what was asked before, nor, while the socket changes
   * over, those that went by the session: so that first has to be a moment's silence. One that never pauses changes over
   * all the same.
   */
  get #byChannel() {
    const { network } = this;
    if (!this.#routed || this.settling || !network?.path?.open) return false;
    return (network.acknowledged ?? 0) >= this.#behind || network.now() - this.#routedAt >= CHANGING;
  }

  /** Whether that was taken, or dropped, by the channel. @param {Address} address @param {Uint8Array} data */
  #sentByChannel(address, data) {
    const path = this.#byChannel ? this.network?.path : null;
    if (!path?.fits(data.length + HEADERS_MAX)) return false;
    if (!path.send(encodeFrame({ type: "datagram", socket: this.id, address, data }))) this.dropped++;
    return true;
  }


  /** @param {string} host @throws {SocketError} EACCES */
  #mayReach(host) {
    if (!BROADCAST.includes(host) || this.optionNumber("SO_BROADCAST", 0)) return;
    throw this.report(new SocketError("EACCES", "a broadcast address needs the option SO_BROADCAST"));
  }

  /** A socket that only sends has an address too: it is asked for ahead of the first datagram. @param {Network} network */
  #name(network) {
    if (this.id) return;
    try {
      this.open(network);
    } catch (error) {
      throw this.report(/** @type {SocketError} */ (error));
    }
    if (this.family !== UNIX) this.bind(network, { host: "", port: 0 }, () => {});
  }

  /**
   * Take the datagram that came first, as much of it as `limit` bytes; the rest is lost.
   * @param {number} limit
   * @throws {SocketError} EAGAIN if there is none, or an error that was waiting
   */
  read(limit) {
    this.raiseError();
    const datagram = this.#queue.shift();
    if (datagram) {
      this.#size -= OVERHEAD + datagram.data.length;
      this.#letGo();
      this.last = datagram;
      return datagram.data.subarray(0, limit);
    }
    throw new SocketError("EAGAIN");
  }

  /** Whether what comes now would be thrown away. */
  get full() {
    return this.#size >= this.optionNumber("SO_RCVBUF", RECEIVE_BUFFER);
  }

  /** Tell a sender when there is room again. @param {DatagramSocket} sender */
  holdBack(sender) {
    sender.blockedBy = this;
    this.#heldBack.add(sender);
  }

  #letGo() {
    const senders = [...this.#heldBack];
    this.#heldBack.clear();
    for (const sender of senders) {
      sender.blockedBy = null;
      sender.roomChanged();
    }
  }

  /** Whether a read that may wait finds the end: as on Linux one that may not goes on to find nothing. */
  get ended() {
    return this.#readShut && !this.#queue.length;
  }

  /** What read() would take, left where it is; `last` tells of it. @param {number} limit */
  peek(limit) {
    if (!this.#queue.length) return undefined;
    this.last = this.#queue[0];
    return this.last.data.subarray(0, limit);
  }

  /**
   * @param {{read: boolean, write: boolean}} directions
   * @throws {SocketError} ENOTCONN for UDP without a peer, though Linux shuts it down all the same
   */
  shutdown({ read, write }) {
    this.#readShut ||= read;
    this.#writeShut ||= write;
    this.wake();
    if (!this.peer && this.family !== UNIX) throw this.report(new SocketError("ENOTCONN"));
  }

  close() {
    if (this.state === "closed") return;
    if (this.id) this.tell({ type: "close" });
    this.#leave("closed");
  }

  // ── What the program waits for ─────────────────────────────────────────────────────────────────────

  /** Length of the datagram that would be read next. */
  get available() {
    return this.#queue.length ? this.#queue[0].data.length : 0;
  }

  get sends() {
    return this.state === "open";
  }

  get readiness() {
    if (this.state === "closed") return HANGUP;
    let ready = this.#queue.length ? READABLE : 0;
    if (this.#readShut) ready |= READABLE | PEER_FINISHED;
    if (this.#readShut && this.#writeShut) ready |= HANGUP;
    if (!this.blockedBy && (!this.id || !this.network || this.network.room > 0 || this.#byChannel)) {
      ready |= WRITABLE;
    }
    if (this.error) ready |= ERROR;
    return ready;
  }

  // ── What the other side says ───────────────────────────────────────────────────────────────────────

  /** @param {Frame} frame about this socket @throws {ProtocolError} it cannot be true */
  receive(frame) {
    switch (frame.type) {
      case "datagram":
        this.#received(frame.address, frame.data);
        break;
      case "dropped":
        this.dropped += frame.count;
        break;
      case "fault":
        this.error = new SocketError(frame.code, frame.message);
        break;
      case "reset":
        this.fail(new SocketError(frame.code, frame.message));
        return;
      default:
        throw new ProtocolError(`${frame.type} is nothing to tell a datagram socket`);
    }
    this.wake();
  }

  /** Its network is gone. It may be used again, and is then another. @param {SocketError} error */
  fail(error) {
    if (this.state === "closed") return;
    this.error = error;
    this.#leave("open");
  }

  /** @param {Address} address @param {Uint8Array} data */
  #received(address, data) {
    this.checked(address);
    const size = OVERHEAD + data.length;
    if (this.#readShut) return;
    // As on Linux a datagram is taken while there is any room at all, so that a large one is never impossible.
    if (this.full) {
      this.dropped++;
      return;
    }
    this.#queue.push({ address, data: data.slice() }); // it may be a view of a message many times its size
    this.#size += size;
    this.bytesReceived += data.length;
  }

  /** @param {"open" | "closed"} state */
  #leave(state) {
    this.state = state;
    this.release();
    this.local = this.peer = null;
    this.#routed = false;
    if (state === "closed") this.#queue = [];
    this.#letGo();
    this.wake();
  }

  /** Its queue follows SO_RCVBUF. @param {string} name @param {string[]} _values */
  keepOption(name, _values) {
    return name === "SO_RCVBUF" || name === "SO_LINGER";
  }
}
