/**
 * The network within the page: socket pairs, sockets of family AF_UNIX, and, where no proxy is installed,
 * 127.0.0.1 and ::1. Pure.
 *
 * It is to its sockets what a session with a proxy is to others, and speaks to them in the same frames; what one
 * end says is heard by the other at once.
 * @module
 */

import { BROADCAST, DatagramSocket } from "./datagram.js";
import { IPV4, IPV6, UNIX } from "./endpoint.js";
import { SocketError } from "./errors.js";
import { Places } from "./places.js";
import { Socket } from "./socket.js";
import { Budget, WINDOW_INITIAL } from "./window.js";

/** What the receive windows of all sockets may grow by, together. */
const WINDOW_BUDGET = 64 << 20;

const NAMELESS = { family: UNIX, host: "", port: 0 };

/**
 * @typedef {import("./endpoint.js").AnySocket} AnySocket
 * @typedef {import("./endpoint.js").Answered} Answered
 * @typedef {import("./places.js").Paths} Paths
 * @typedef {import("./places.js").Place} Place
 * @typedef {import("./wire.js").Address} Address
 * @typedef {import("./wire.js").Frame} Frame
 */

export class LocalNetwork {
  budget = new Budget(WINDOW_BUDGET);
  peerWindow = WINDOW_INITIAL;
  room = Infinity;
  /** @type {Map<number, AnySocket>} */
  #sockets = new Map();
  /** The other end of each connection. @type {Map<number, number>} */
  #partners = new Map();
  /** Ids that have said that they send no more. @type {Set<number>} */
  #finished = new Set();
  #places;
  #nextId = 1;

  /** @param {{now: () => number, paths: Paths}} surroundings */
  constructor({ now, paths }) {
    this.now = now;
    this.#places = new Places(paths);
  }

  /** Two sockets that are connected to each other. @param {boolean} datagram @returns {[AnySocket, AnySocket]} */
  pair(datagram) {
    const make = () => {
      if (!datagram) return Socket.accepted(this, NAMELESS, NAMELESS);
      const socket = new DatagramSocket(UNIX);
      socket.network = this;
      socket.joined(NAMELESS, NAMELESS);
      return socket;
    };
    const [one, other] = [make(), make()];
    this.adopt(one, this.#nextId++);
    this.adopt(other, this.#nextId++);
    this.#join(one.id, other.id);
    return [one, other];
  }

  // ── What a socket asks of its network ──────────────────────────────────────────────────────────────

  /** @param {AnySocket} socket @param {Omit<Frame, "socket">} frame */
  open(socket, frame) {
    if (!socket.id) this.adopt(socket, this.#nextId++);
    if (frame.type === "connect") this.#connect(socket, frame.host, frame.port);
  }

  /** @param {AnySocket} socket @param {number} id */
  adopt(socket, id) {
    socket.id = id;
    this.#sockets.set(id, socket);
  }

  /** @param {number} id */
  forget(id) {
    this.#sockets.delete(id);
    this.#places.leave(id);
    this.#finished.delete(id);
  }

  watchRoom() {
    // There is always room.
  }

  /** @param {number} id @param {Uint8Array} data */
  sendData(id, data) {
    const partner = this.#partner(id);
    if (partner) partner.receive({ type: "data", socket: partner.id, data: data.slice() });
    else this.#tell(id, { type: "reset", code: "ECONNRESET", message: "" }); // nobody is there any more
  }

  /** @param {Frame} frame */
  send(frame) {
    const { socket: id, type } = frame;
    const partner = this.#partner(id);
    switch (type) {
      case "window":
        if (!this.#granted(id, frame.credit)) partner?.receive({ ...frame, socket: partner.id });
        break;
      case "shutdown":
        this.#finished.add(id);
        partner?.receive({ ...frame, socket: partner.id });
        break;
      case "datagram":
        this.#deliver(id, frame.address, frame.data);
        break;
      case "stop":
        /** @type {Socket} */ (partner)?.stopSending();
        break;
      case "close":
      case "reset":
        this.#left(frame);
        break;
    }
  }

  /** A socket is gone: its peer is to learn of it, as its family has it. @param {Frame} frame */
  #left({ type, socket: id, code }) {
    const partner = this.#partner(id);
    this.#part(id);
    if (!partner || partner instanceof DatagramSocket) return; // that one learns when it sends
    const error = type === "reset" ? new SocketError(code) : null;
    if (partner.family === UNIX) /** @type {Socket} */ (partner).hangUp(error);
    else if (error) partner.receive({ type, socket: partner.id, code, message: "" });
    else if (!this.#finished.has(id)) partner.receive({ type: "shutdown", socket: partner.id });
  }

  /** @param {Omit<Frame, "socket">} frame @param {Answered} answered */
  request(frame, answered) {
    let answer;
    try {
      answer = this.#answer(frame);
    } catch (error) {
      if (!(error instanceof SocketError)) throw error;
      answered(error, null);
      return;
    }
    answered(null, answer);
  }

  // ── Requests ───────────────────────────────────────────────────────────────────────────────────────

  /** @param {Omit<Frame, "socket">} frame @returns {Frame} @throws {SocketError} */
  #answer(frame) {
    const socket = /** @type {AnySocket} */ (this.#sockets.get(frame.target));
    switch (frame.type) {
      case "bind":
        return { type: "bound", socket: 0, local: this.#places.take(socket, frame.host, frame.port).address };
      case "listen":
        return { type: "bound", socket: 0, local: this.#listen(socket, frame.backlog) };
      case "associate":
        return { type: "associated", socket: 0, ...this.#associate(socket, frame.host, frame.port) };
      case "option":
        this.#setOption(socket, frame.name, frame.values);
        return { type: "done", socket: 0 };
      case "resolve":
        return this.#resolve(frame);
      case "reverse":
        return { type: "reversed", socket: 0, host: this.#places.nameOf(frame.address), service: "" };
      default:
        throw new SocketError("EOPNOTSUPP");
    }
  }

  /** @param {AnySocket} socket @param {number} backlog */
  #listen(socket, backlog) {
    if (socket.family === UNIX && !this.#places.of(socket.id)) throw new SocketError("EINVAL"); // it needs a path
    const place = this.#places.of(socket.id) ?? this.#places.take(socket, "", 0);
    if (this.#places.listenerAt(place)) throw new SocketError("EADDRINUSE");
    place.listening = true;
    place.credit += backlog - place.backlog;
    place.backlog = backlog;
    this.#admit(place);
    return place.address;
  }

  /** @param {AnySocket} socket @param {string} host @param {number} port */
  #associate(socket, host, port) {
    const peer = this.#places.destination(socket.family, host, port);
    if (socket.family !== UNIX && !this.#places.of(socket.id)) this.#places.take(socket, "", 0);
    if (socket.family === UNIX && !this.#places.find(true, peer)) throw new SocketError("ECONNREFUSED");
    return { local: this.#places.facing(socket, peer), peer };
  }

  /** @param {AnySocket} socket @param {string} name @param {string[]} values */
  #setOption(socket, name, values) {
    if (name === "SO_SNDBUF") this.#partner(socket.id)?.keepOption("SO_RCVBUF", values);
    if (name === "IP_MULTICAST_IF") this.#places.own(IPV4, values[0]);
    if (/DROP_MEMBERSHIP|LEAVE_GROUP/.test(name)) throw new SocketError("EADDRNOTAVAIL");
    if (/ADD_MEMBERSHIP|JOIN_GROUP/.test(name)) {
      throw new SocketError("ENODEV", "there is no multicast within the page: install a proxy");
    }
  }

  /** @param {Omit<Frame, "socket">} frame @returns {Frame} */
  #resolve({ host, service, family }) {
    if (service) throw new SocketError("EAI_SERVICE");
    const families = family ? [family] : [IPV6, IPV4];
    const addresses = host ? families.map((each) => this.#places.destination(each, host, 0)) : [];
    return { type: "resolved", socket: 0, port: 0, canonical: host, addresses };
  }

  // ── Connections ────────────────────────────────────────────────────────────────────────────────────

  /** @param {AnySocket} socket @param {string} host @param {number} port */
  #connect(socket, host, port) {
    try {
      const peer = this.#places.destination(socket.family, host, port);
      const local = this.#places.facing(socket, peer);
      const place = this.#listenerAt(peer);
      place.waiting = place.waiting.filter(({ id }) => this.#sockets.has(id)); // others may have given up
      place.waiting.push({ id: socket.id, local, peer });
      this.#admit(place);
    } catch (error) {
      if (!(error instanceof SocketError)) throw error;
      socket.receive({ type: "reset", socket: socket.id, code: error.code, message: error.message });
    }
  }

  /** Whether one listens at a path. @param {string} path @throws {SocketError} ENOENT, ECONNREFUSED */
  reach(path) {
    this.#listenerAt(this.#places.destination(UNIX, path, 0));
  }

  /** @param {Address} address @throws {SocketError} ECONNREFUSED; for paths also ENOENT */
  #listenerAt(address) {
    const place = this.#places.find(false, address);
    if (!place?.listening) throw new SocketError("ECONNREFUSED");
    return place;
  }

  /** @param {AnySocket} client @param {Place} place @param {Address} local @param {Address} wanted by the client */
  #establish(client, place, local, wanted) {
    const peer = client.family === UNIX ? place.address : wanted; // the file may have been moved
    const listener = /** @type {AnySocket} */ (this.#sockets.get(place.id));
    const server = this.#nextId++;
    place.credit--;
    this.#join(client.id, server);
    listener.receive({
      type: "accepted",
      socket: server,
      listener: place.id,
      local: this.#places.seenBy(listener, peer),
      peer: this.#places.seenBy(listener, local),
    });
    client.receive({ type: "connected", socket: client.id, local, peer });
  }

  /** Whether this was a listener, which may now accept more. @param {number} id @param {number} credit */
  #granted(id, credit) {
    const place = this.#places.of(id);
    if (!place?.listening) return false;
    place.credit += credit;
    this.#admit(place);
    return true;
  }

  /** Connect those that waited, as far as there is room now. @param {Place} place */
  #admit(place) {
    while (place.credit > 0 && place.waiting.length) {
      const { id, local, peer } = place.waiting[0];
      place.waiting.shift();
      const client = this.#sockets.get(id);
      if (client) this.#establish(client, place, local, peer);
    }
  }

  /** @param {number} one @param {number} other */
  #join(one, other) {
    this.#partners.set(one, other).set(other, one);
  }

  /** @param {number} id */
  #partner(id) {
    return this.#sockets.get(this.#partners.get(id) ?? 0);
  }

  /** A socket is gone: those who wanted to reach it are told. @param {number} id */
  #part(id) {
    const partner = this.#partners.get(id);
    this.#partners.delete(id);
    if (partner !== undefined) this.#partners.delete(partner);
    for (const { id: waiting } of this.#places.of(id)?.waiting ?? []) {
      this.#tell(waiting, { type: "reset", code: "ECONNREFUSED", message: "" });
    }
  }

  /** @param {number} id @param {Omit<Frame, "socket">} frame */
  #tell(id, frame) {
    this.#sockets.get(id)?.receive(/** @type {Frame} */ ({ ...frame, socket: id }));
  }

  // ── Datagrams ──────────────────────────────────────────────────────────────────────────────────────

  /**
   * @param {number} id of the sender @param {Address} to @param {Uint8Array} data
   * @throws {SocketError} ENETUNREACH; for paths also what unix(7) says at once: ECONNREFUSED, EPERM, EAGAIN
   */
  #deliver(id, to, data) {
    const sender = /** @type {DatagramSocket} */ (this.#sockets.get(id));
    if (sender.family === UNIX) {
      this.#deliverToPath(sender, to, data);
    } else if (BROADCAST.includes(to.host)) {
      this.#broadcast(id, to.port, data);
    } else {
      const peer = this.#places.destination(sender.family, to.host, to.port);
      const from = this.#places.facing(sender, peer);
      const receiver = this.#sockets.get(this.#places.find(true, peer)?.id ?? 0);
      if (receiver && this.#hears(receiver, from)) this.#hear(receiver, from, data);
      else if (sender.peer) this.#tell(id, { type: "fault", code: "ECONNREFUSED", message: "" });
    }
  }

  /** @param {DatagramSocket} sender @param {Address} to @param {Uint8Array} data */
  #deliverToPath(sender, to, data) {
    const from = this.#places.of(sender.id)?.address ?? NAMELESS;
    const partner = to === NAMELESS ? this.#partner(sender.id) : undefined;
    if (!partner && to === NAMELESS) throw new SocketError("ECONNREFUSED"); // the other of a pair is gone
    const there = partner ?? this.#sockets.get(this.#places.find(true, this.#places.destination(UNIX, to.host, 0, to))?.id ?? 0);
    const receiver = /** @type {DatagramSocket | undefined} */ (there);
    if (!receiver) throw new SocketError("ECONNREFUSED");
    if (!partner && !this.#hears(receiver, from)) throw new SocketError("EPERM");
    if (receiver.full) {
      receiver.holdBack(sender);
      throw new SocketError("EAGAIN");
    }
    this.#hear(receiver, from, data);
  }

  /** @param {number} id of the sender @param {number} port @param {Uint8Array} data */
  #broadcast(id, port, data) {
    const { family, port: own } = /** @type {Place} */ (this.#places.of(id)).address;
    const from = this.#places.destination(family, "", own);
    for (const place of this.#places.everyoneAt(port)) {
      const receiver = this.#sockets.get(place.id);
      if (receiver && this.#hears(receiver, from)) this.#hear(receiver, from, data);
    }
  }

  /** A connected datagram socket hears from its peer alone. @param {AnySocket} socket @param {Address} from */
  #hears(socket, from) {
    const { host, port } = this.#places.seenBy(socket, from);
    return !socket.peer || (socket.peer.host === host && socket.peer.port === port);
  }

  /** @param {AnySocket} receiver @param {Address} from @param {Uint8Array} data */
  #hear(receiver, from, data) {
    const address = this.#places.seenBy(receiver, from);
    receiver.receive({ type: "datagram", socket: receiver.id, address, data });
  }
}
