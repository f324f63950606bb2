/**
 * The page's connection to its proxy: owns the carrier and the one timer, keeps the session alive through
 * cuts, and starts a new session when one is over.
 * @module
 */

import { openWebSocket } from "./carriers/websocket.js";
import { ProtocolError, ProxyError, SocketError } from "./errors.js";
import { KeepAlive } from "./keepalive.js";
import { REPLAY_LIMIT } from "./link.js";
import { Session } from "./session.js";
import { MessageReader, encodeFrame, encodeMessage, framesOf } from "./wire.js";

/** How long (ms) a new session may take to be welcomed, attempts together. */
const GREETING_TIME = 10_000;

/** How long (ms) one attempt may take before another is made in its place: the network may have changed. */
const ATTEMPT_TIME = 10_000;

/** Pauses between attempts (ms): doubled each time, and a random part of it waited (AWS "full jitter"). */
const BACKOFF_FIRST = 100;
const BACKOFF_MAX = 5_000;

/** A carrier that lasted so long (ms) was a good one: the pauses begin anew. */
const LASTING = 5_000;

/**
 * Most bytes that may pile up in a carrier. All that is kept for replay fits in, and as much again; a proxy
 * that makes more of it, by pings that are to be answered or messages to be acknowledged, does not read.
 */
const UNSENT_MAX = 2 * REPLAY_LIMIT;

/** Most characters of a reason that the proxy is told. */
const REASON_MAX = 500;

/** A proxy that asks for signs of life more often (ms) is not heeded: the answers would come too late. */
const KEEPALIVE_MIN = 1_000;

/** Longest pause a timer can be set for. */
const TIMER_MAX = 2 ** 31 - 1;

/**
 * @typedef {import("./carriers/websocket.js").Carrier} Carrier
 * @typedef {import("./wire.js").Frame} Frame
 * @typedef {import("./wire.js").Message} Message
 */

const now = () => performance.now();

export class Connection {
  /** Round trip to the proxy (ms) when last measured. @type {number | null} */
  roundTrip = null;
  /** What the proxy calls itself. */
  agent = "";
  /** How often a lost carrier was replaced. */
  reconnects = 0;
  /** @type {Session} */
  #session;
  /** @type {Carrier | null} */
  #carrier = null;
  /**
   * Cuts what comes on the carrier into messages; events of any other carrier mean nothing.
   * @type {MessageReader | null}
   */
  #reader = null;
  #welcomed = false;
  #welcomedAt = 0;
  #pinged = -1;
  #closed = false;
  #keepAlive = new KeepAlive(Infinity, 0);
  #attempts = 0;
  #retryAt = Infinity;
  #giveUpAt = Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #timerAt = Infinity;
  /** Whoever waits for the first welcome. @type {{resolve: () => void, reject: (error: Error) => void} | null} */
  #opening = null;

  /**
   * @param {string} url of the proxy's WebSocket endpoint
   * @param {string} token
   * @param {string} agent what this page calls itself
   */
  constructor(url, token, agent) {
    this.url = url;
    this.#token = token;
    this.#agent = agent;
    this.#session = this.#newSession();
  }

  #token;
  #agent;

  /**
   * Reach the proxy and be welcomed.
   * @returns {Promise<void>}
   * @throws {ProxyError} it cannot be reached, or refuses
   */
  open() {
    return new Promise((resolve, reject) => {
      this.#opening = { resolve, reject };
      this.#attempt();
    });
  }

  /** The session for new sockets and requests; a new one is begun if the last is over. */
  get session() {
    if (this.#session.state === "closed" && !this.#closed) {
      this.#session = this.#newSession();
      this.#attempt();
    }
    return this.#session;
  }

  /** The session as it is, for those who only look. */
  get current() {
    return this.#session;
  }

  /** End the session: its sockets fail, and the proxy closes theirs. */
  close() {
    this.#closed = true;
    this.#sendUnnumbered({ type: "goaway", socket: 0, code: "shutdown", message: "the page is done" });
    this.#end(new SocketError("ENETDOWN", "pynet_browser was uninstalled"));
  }

  #newSession() {
    this.#giveUpAt = now() + GREETING_TIME;
    this.#attempts = 0;
    return new Session({
      now,
      send: (message) => this.#send(message),
      later: (flush) => queueMicrotask(flush),
    });
  }

  // ── Carriers ───────────────────────────────────────────────────────────────────────────────────────

  #attempt() {
    this.#dropCarrier(); // the last attempt may still be going on
    const reader = new MessageReader();
    const current = (/** @type {() => void} */ handle) => reader === this.#reader && handle();
    try {
      const greeting = this.#session.greeting(this.#token, this.#agent);
      this.#carrier = openWebSocket(this.url, {
        opened: () => current(() => this.#send(greeting)),
        received: (piece) => current(() => this.#received(reader, piece)),
        closed: (reason) => current(() => this.#lost(reason)),
      });
    } catch (error) {
      this.#end(new SocketError("ENETUNREACH", String(error)), new ProxyError("unreachable", String(error)));
      return;
    }
    this.#reader = reader;
    this.#retryAt = now() + ATTEMPT_TIME;
    this.#arm();
  }

  /** @param {Uint8Array} message */
  #send(message) {
    this.#carrier?.send(message);
    if (this.#carrier && this.#carrier.unsent > UNSENT_MAX) this.#lost("it takes nothing in");
  }

  /** @param {string} reason */
  #lost(reason) {
    const wasWelcomed = this.#welcomed;
    this.#dropCarrier();
    if (wasWelcomed) {
      this.#session.lose();
      if (now() - this.#welcomedAt >= LASTING) this.#attempts = 0;
      this.#giveUpAt = now() + this.#session.grace;
    }
    if (this.#opening) {
      const message = `no proxy answers at ${this.url} (${reason}); is it running, and is this its address?`;
      this.#end(new SocketError("ENETUNREACH", message), new ProxyError("unreachable", message));
      return;
    }
    const ceiling = Math.min(BACKOFF_MAX, BACKOFF_FIRST * 2 ** this.#attempts++);
    this.#retryAt = now() + Math.random() * ceiling;
    this.#arm();
  }

  #dropCarrier() {
    const carrier = this.#carrier;
    this.#carrier = this.#reader = null;
    this.#welcomed = false;
    carrier?.close();
  }

  /**
   * The session is over.
   * @param {SocketError} error what its sockets report
   * @param {Error} [refusal] what whoever is opening is told
   */
  #end(error, refusal = error) {
    this.#dropCarrier();
    this.#retryAt = this.#giveUpAt = Infinity;
    this.#session.close(error);
    this.#opening?.reject(refusal);
    this.#opening = null;
    this.#arm();
  }

  // ── Messages ───────────────────────────────────────────────────────────────────────────────────────

  /** @param {MessageReader} reader @param {Uint8Array} piece */
  #received(reader, piece) {
    this.#keepAlive.heard(now());
    try {
      for (const message of reader.feed(piece)) {
        const frames = this.#welcomed ? this.#session.receive(message) : framesOf(message.body);
        for (const frame of frames) {
          if (reader !== this.#reader) return; // what is behind a goaway means nothing
          this.#handle(frame);
        }
      }
    } catch (error) {
      this.#broken(/** @type {Error} */ (error));
      if (!(error instanceof ProtocolError)) throw error; // a mistake of ours, which the console should show
    }
    this.#arm();
  }

  /** The session cannot go on, since not all was taken in. @param {Error} error */
  #broken(error) {
    const reason = [...error.message].slice(0, REASON_MAX).join(""); // it may quote what the proxy sent
    this.#sendUnnumbered({ type: "goaway", socket: 0, code: "protocol", message: reason });
    const message = `the proxy sent what it should not: ${reason}`;
    this.#end(new SocketError("ECONNRESET", message), new ProxyError("protocol", message));
  }

  /** @param {Frame} frame about the carrier or the session */
  #handle(frame) {
    switch (frame.type) {
      case "welcome":
        this.#attached(frame);
        break;
      case "refused":
        this.#refused(frame);
        break;
      case "goaway":
        if (frame.code === "drain") break; // what there is goes on until the proxy ends it
        this.#end(new SocketError("ECONNRESET", `the proxy ended the session: ${frame.message || frame.code}`));
        break;
      case "ping":
        this.#sendUnnumbered({ type: "pong", socket: 0, stamp: frame.stamp });
        break;
      case "pong":
        if (frame.stamp === this.#pinged) this.roundTrip = now() - frame.stamp / 1000;
        break;
      case "unrecognized":
        this.#sendUnnumbered({ type: "unknown", socket: frame.socket, kind: frame.kind });
        break;
    }
  }

  /** @param {Frame} welcome */
  #attached(welcome) {
    if (this.#welcomed) throw new ProtocolError("welcomed twice");
    if (this.#session.name) this.reconnects++;
    this.#welcomed = true;
    this.#welcomedAt = now();
    this.agent = welcome.agent;
    this.#retryAt = this.#giveUpAt = Infinity;
    this.#keepAlive = new KeepAlive(Math.max(welcome.keepalive, KEEPALIVE_MIN), now());
    this.#session.attach(welcome);
    this.#ping();
    this.#opening?.resolve();
    this.#opening = null;
  }

  /** @param {Frame} refused */
  #refused({ code, message }) {
    if (code === "busy" && this.#session.name) {
      this.#lost(message); // it keeps the session, and may let us in later
      return;
    }
    const errno = code === "session" ? "ECONNRESET" : "ENETUNREACH";
    this.#end(new SocketError(errno, message), new ProxyError(code, message));
  }

  #ping() {
    this.#pinged = Math.round(now() * 1000);
    this.#sendUnnumbered({ type: "ping", socket: 0, stamp: this.#pinged });
  }

  /** @param {Frame} frame */
  #sendUnnumbered(frame) {
    if (this.#welcomed) this.#send(encodeMessage(0, this.#session.link.received, [encodeFrame(frame)]));
  }

  // ── Time ───────────────────────────────────────────────────────────────────────────────────────────

  /** See to it that #tick runs when something is next due. */
  #arm() {
    const due = this.#welcomed
      ? Math.min(this.#session.link.ackAt, this.#keepAlive.deadline)
      : Math.min(this.#retryAt, this.#giveUpAt);
    if (due >= this.#timerAt && due < Infinity) return; // the timer that is set will set the next
    clearTimeout(this.#timer);
    this.#timerAt = due;
    if (due < Infinity) this.#timer = setTimeout(() => this.#tick(), Math.min(Math.max(0, due - now()), TIMER_MAX));
  }

  #tick() {
    this.#timerAt = Infinity;
    const time = now();
    if (time >= this.#giveUpAt) {
      const message = `no connection to the proxy at ${this.url}`;
      const code = this.#session.state === "fresh" ? "ENETUNREACH" : "ETIMEDOUT";
      this.#end(new SocketError(code, message), new ProxyError("unreachable", message));
    } else if (time >= this.#retryAt) {
      this.#attempt();
    } else if (this.#welcomed) {
      this.#session.flush();
      const sign = this.#keepAlive.tick(time);
      if (sign === "probe") this.#ping();
      if (sign === "lost") this.#lost("nothing was heard from it");
    }
    this.#arm();
  }
}
