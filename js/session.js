/**
 * Many sockets and requests over one link. Pure: it sends through a function it is given, reads the clock
 * through another, and is told when a carrier comes or goes.
 * @module
 */

import { ProtocolError, SocketError } from "./errors.js";
import { Link } from "./link.js";
import { Budget, WINDOW_INITIAL, busyWithin } from "./window.js";
import { LAYOUTS, VERSION, encodeFrame, encodeMessage, framesOf } from "./wire.js";

/**
 * fresh: no proxy has welcomed it yet; attached: a carrier moves its messages; detached: it waits for one, or for the
 * next exchange.
 * @type {Record<string, {[event: string]: string}>}
 */
export const TRANSITIONS = {
  fresh: { attach: "attached", exchange: "detached", close: "closed" },
  attached: { attach: "attached", lose: "detached", exchange: "attached", close: "closed" },
  detached: { attach: "attached", exchange: "detached", close: "closed" },
  closed: {},
};

/** What the receive windows of all sockets may grow by, together. */
const WINDOW_BUDGET = 64 << 20;

/** Within this time (ms) of a message, small frames wait for each other instead of leaving one by one. */
const BURST = 1;

/** So many bytes are worth a message of their own at once. */
const BURST_SIZE = 16 * 1024;

/** Requests that may be unanswered at once. */
const REQUESTS_MAX = 256;

/** What answers each kind of request, if it is not `failed`. @type {Record<string, string[]>} */
const ANSWERS = {
  resolve: ["resolved"],
  reverse: ["reversed"],
  bind: ["bound"],
  listen: ["bound"],
  associate: ["associated"],
  option: ["done"],
  starttls: ["secured", "unsecured"],
  offer: ["answer"],
};

/** Kinds of frames whose `socket` is the id of a request. */
const REQUEST_KINDS = new Set(Object.keys(ANSWERS).map((type) => LAYOUTS[type].kind));

/** Optional parts of the protocol that this page can do. */
const FEATURES = ["tls", "webrtc"];

/** Most bytes that a proxy may have answered or granted beyond what there is room for. */
const ANSWERS_MAX = 1 << 20;

/**
 * @typedef {import("./wire.js").Frame} Frame
 * @typedef {import("./wire.js").Message} Message
 * @typedef {import("./endpoint.js").AnySocket} AnySocket
 * @typedef {import("./endpoint.js").Answered} Answered
 * @typedef {{type: "poll", wait: number, limit: number} | {type: "stream", number: number}} Purpose of a request over HTTP
 * @typedef {object} Surroundings
 * @property {(message: Uint8Array) => void} send hands a message to the carrier in use
 * @property {() => number} now milliseconds, never going back
 * @property {(flush: () => void) => void} later calls back as soon as the program gives way
 */

export class Session {
  state = "fresh";
  /** What the proxy called it. */
  name = "";
  key = "";
  /** Whether what is to be sent waits for an exchange: the carrier would not move it now. */
  held = false;
  /** Optional parts of the protocol that the proxy can do, too. @type {string[]} */
  features = [];
  /** Credit that the proxy grants each new socket. */
  peerWindow = WINDOW_INITIAL;
  /** How long (ms) the proxy keeps the session without a carrier. */
  grace = 60_000;
  /** How long (ms) half a window takes at most where it holds its sender back. */
  busy = busyWithin(0);
  budget = new Budget(WINDOW_BUDGET);
  /** The way of datagrams beside its messages, if there may be one. @type {import("./path.js").Path | null} */
  path = null;
  link = new Link();
  /** By id, those that can be told something. @type {Map<number, AnySocket>} */
  sockets = new Map();
  /** @type {Map<number, {type: string, answered: Answered}>} */
  #requests = new Map();
  #nextSocket = 1;
  #newestAccepted = 0;
  #nextRequest = 1;
  #lastSent = -Infinity;
  #flushing = false;
  /** Sockets that wait for room in the link. @type {Set<AnySocket>} */
  #wantRoom = new Set();

  /** @param {Surroundings} surroundings */
  constructor({ send, now, later }) {
    this.now = now;
    this.#send = send;
    this.#later = later;
  }

  #send;
  #later;

  // ── Carriers ───────────────────────────────────────────────────────────────────────────────────────

  /**
   * The message that a carrier must begin with.
   * @param {string} token
   * @param {string} agent
   * @param {Purpose} [purpose]
   */
  greeting(token, agent, purpose) {
    const hello = encodeFrame({
      type: "hello",
      socket: 0,
      version: VERSION,
      token,
      session: this.name,
      key: this.key,
      seen: this.link.received,
      window: WINDOW_INITIAL,
      replay: this.link.replayLimit,
      features: FEATURES,
      agent,
    });
    return encodeMessage(0, 0, purpose ? [hello, encodeFrame({ socket: 0, ...purpose })] : [hello]);
  }

  /**
   * A carrier was welcomed and is now the one in use: what the proxy has not seen is sent again.
   * @param {Frame} welcome
   * @throws {ProtocolError} to another session, or by a proxy that has seen what was never sent
   */
  attach(welcome) {
    this.#welcomed("attach", welcome);
    for (const message of this.link.replay(welcome.seen)) this.#send(message);
    this.flush();
    this.#roomChanged();
  }

  /**
   * An exchange was welcomed: what it has taken along may be acknowledged.
   * @param {Frame} welcome
   * @throws {ProtocolError} to another session, or by a proxy that has seen what was never sent
   */
  exchanged(welcome) {
    this.#welcomed("exchange", welcome);
    if (this.link.acknowledge(welcome.seen)) this.#roomChanged();
  }

  /** @param {string} event @param {Frame} welcome */
  #welcomed(event, welcome) {
    if (this.name && welcome.session !== this.name) throw new ProtocolError("welcomed to another session");
    this.#turn(event);
    this.name = welcome.session;
    this.key = welcome.key;
    this.grace = welcome.grace;
    this.peerWindow = welcome.window;
    this.features = FEATURES.filter((name) => welcome.features.includes(name));
    this.link.peerReplay = welcome.replay;
  }

  /** A round trip has taken so long. @param {number} milliseconds */
  measured(milliseconds) {
    this.busy = busyWithin(milliseconds);
  }

  /** The last carrier is gone; messages wait for the next. */
  lose() {
    if (this.state === "attached") this.#turn("lose");
  }

  /**
   * The session is over: every socket and request fails with this error.
   * @param {SocketError} error
   */
  close(error) {
    if (this.state === "closed") return;
    this.#turn("close");
    for (const socket of [...this.sockets.values()]) socket.fail(error);
    for (const { answered } of [...this.#requests.values()]) answered(error, null);
    this.#requests.clear();
    this.path?.close("the session is over");
  }

  // ── Messages ───────────────────────────────────────────────────────────────────────────────────────

  /** Bytes that sockets may still send before something is acknowledged. */
  get room() {
    return this.link.room;
  }

  /** Number of the message that carries what was said last. */
  get newest() {
    return this.link.newest;
  }

  /** Number of the last message that the proxy has. */
  get acknowledged() {
    return this.link.acknowledged;
  }

  /** Queue a frame and send it, at once or with others of its burst. @param {Frame} frame */
  send(frame) {
    this.link.push(encodeFrame(frame));
    this.#urge();
  }

  /** Queue bytes of a socket. @param {number} socket @param {Uint8Array} data */
  sendData(socket, data) {
    this.link.pushData(socket, data);
    this.#urge();
  }

  /**
   * The first frame after a pause leaves at once: while Python computes, nothing scheduled would run. Those
   * that follow on its heels are sent together, when enough have come, when the program gives way, or when
   * it is about to wait.
   */
  #urge() {
    if (this.now() - this.#lastSent >= BURST || this.link.pending >= BURST_SIZE) {
      this.flush();
    } else if (!this.#flushing) {
      this.#flushing = true;
      this.#later(() => {
        this.#flushing = false;
        this.flush();
      });
    }
  }

  /** Send what is pending, or the acknowledgement that is due. */
  flush() {
    if (this.state !== "attached" || this.held) return;
    const now = this.now();
    for (const message of this.link.take(now)) {
      this.#lastSent = now;
      this.#send(message);
    }
  }

  /**
   * Take in a message from any carrier, once its greeting is done.
   * @param {Message} message
   * @returns {Generator<Frame>} frames about the carrier or the session, for the carrier's owner
   * @throws {ProtocolError} the session cannot go on
   */
  *receive(message) {
    if (this.link.acknowledge(message.ack)) this.#roomChanged();
    if (message.number === 0) {
      yield* framesOf(message.body);
      return;
    }
    for (const each of this.link.receive(message, this.now())) {
      for (const frame of framesOf(each.body, each.more)) this.#dispatch(frame);
    }
    if (this.room < -ANSWERS_MAX) {
      throw new ProtocolError("the proxy has more and more answered, and acknowledges nothing");
    }
    if (this.link.ackDue) this.flush();
  }

  /** @param {Frame} frame */
  #dispatch(frame) {
    switch (frame.type) {
      case "resolved":
      case "reversed":
      case "failed":
      case "bound":
      case "associated":
      case "done":
      case "secured":
      case "unsecured":
      case "answer":
        this.#answer(frame);
        break;
      case "accepted":
        this.#accepted(frame);
        break;
      case "unknown":
        this.#notUnderstood(frame);
        break;
      case "unrecognized":
        this.send({ type: "unknown", socket: frame.socket, kind: frame.kind });
        break;
      default:
        // Frames for an id that is gone crossed its close on the way.
        this.sockets.get(frame.socket)?.receive(frame);
    }
  }

  /**
   * Take in a message of the data channel: one datagram, whose socket may be gone.
   * @param {Uint8Array} message
   * @throws {ProtocolError} it is something else
   */
  receiveDatagram(message) {
    const [frame, ...more] = framesOf(message);
    if (frame?.type !== "datagram" || more.length) throw new ProtocolError("the data channel brought no datagram");
    this.sockets.get(frame.socket)?.receive(frame);
  }

  /** The data channel is gone: datagrams come with the session again. */
  channelLost() {
    for (const socket of this.sockets.values()) socket.channelLost();
  }

  /** The proxy is older than this page. @param {Frame} frame */
  #notUnderstood({ socket, kind }) {
    const error = new SocketError("EOPNOTSUPP", `the proxy is too old: it does not know frames of kind ${kind}`);
    if (REQUEST_KINDS.has(kind)) this.#settle(socket, error, null);
    else this.sockets.get(socket)?.fail(error);
  }

  /** A connection came in. @param {Frame} frame @throws {ProtocolError} its id is none for it */
  #accepted(frame) {
    if (frame.socket % 2 || frame.socket <= this.#newestAccepted) {
      throw new ProtocolError(`${frame.socket} is no id for an accepted connection`);
    }
    this.#newestAccepted = frame.socket;
    const listener = this.sockets.get(frame.listener);
    if (listener) listener.receive(frame);
    else this.send({ type: "reset", socket: frame.socket, code: "ECONNRESET", message: "" }); // it was closed meanwhile
  }

  // ── Sockets ────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Send a first frame about a socket (`open`, `connect`), and give it an id unless it has one.
   * @param {AnySocket} socket
   * @param {Omit<Frame, "socket">} frame
   * @throws {SocketError} ENETDOWN; EAI_NONAME
   */
  open(socket, frame) {
    const id = socket.id || this.#nextSocket;
    this.#ask(/** @type {Frame} */ ({ ...frame, socket: id }));
    if (socket.id) return;
    this.#nextSocket += 2; // even ids are the proxy's to give
    this.adopt(socket, id);
  }

  /** @param {AnySocket} socket @param {number} id that the proxy, or another socket before it, had given */
  adopt(socket, id) {
    socket.id = id;
    this.sockets.set(id, socket);
  }

  /** @param {number} id */
  forget(id) {
    const socket = this.sockets.get(id);
    this.sockets.delete(id);
    if (socket) this.#wantRoom.delete(socket);
  }

  /** Tell `socket` when the link has room again. @param {AnySocket} socket */
  watchRoom(socket) {
    if (this.room <= 0) this.#wantRoom.add(socket);
  }

  #roomChanged() {
    if (!this.#wantRoom.size || this.room <= 0) return;
    const sockets = [...this.#wantRoom];
    this.#wantRoom.clear();
    for (const socket of sockets) socket.roomChanged();
  }

  // ── Requests ───────────────────────────────────────────────────────────────────────────────────────

  /**
   * Ask the proxy something that is answered once.
   * @param {Omit<Frame, "socket">} frame
   * @param {Answered} answered
   */
  request(frame, answered) {
    const id = this.#nextRequest;
    try {
      if (this.#requests.size >= REQUESTS_MAX) {
        throw new SocketError("EAI_AGAIN", `${REQUESTS_MAX} requests wait for an answer already`);
      }
      this.#ask(/** @type {Frame} */ ({ ...frame, socket: id }));
    } catch (error) {
      answered(/** @type {SocketError} */ (error), null);
      return;
    }
    this.#nextRequest++;
    this.#requests.set(id, { type: frame.type, answered });
  }

  /**
   * Send a frame with what a program has made up.
   * @param {Frame} frame
   * @throws {SocketError} ENETDOWN; EAI_NONAME
   */
  #ask(frame) {
    if (this.state === "closed") throw new SocketError("ENETDOWN", "the session with the proxy is over");
    try {
      this.send(frame);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new SocketError("EAI_NONAME", `that can be no name: ${error.message}`);
    }
  }

  /** @param {Frame} frame @throws {ProtocolError} it answers something else */
  #answer(frame) {
    if (frame.type === "failed") {
      this.#settle(frame.socket, new SocketError(frame.code, frame.message), null);
      return;
    }
    const type = this.#requests.get(frame.socket)?.type;
    if (type && !ANSWERS[type].includes(frame.type)) throw new ProtocolError(`${frame.type} is no answer to ${type}`);
    this.#settle(frame.socket, null, frame);
  }

  /** @param {number} id @param {SocketError | null} error @param {Frame | null} answer */
  #settle(id, error, answer) {
    this.#requests.get(id)?.answered(error, answer);
    this.#requests.delete(id); // not before: an answer that breaks the protocol leaves it to the session's end
  }

  /** @param {string} event */
  #turn(event) {
    const next = TRANSITIONS[this.state][event];
    if (!next) throw new ProtocolError(`"${event}" cannot happen to a session that is ${this.state}`);
    this.state = next;
  }
}
