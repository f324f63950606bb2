/**
 * The page's connection to its proxy: owns the carrier and the one timer, keeps the session alive through
 * cuts, and starts a new session when one is over.
 * @module
 */

import { openWebSocket } from "./carriers/websocket.js";
import { ProtocolError, ProxyError, SocketError } from "./errors.js";
import { KeepAlive } from "./keepalive.js";
import { Session } from "./session.js";
import { MessageReader, encodeFrame, encodeMessage, framesOf } from "./wire.js";

/** How long (ms) a new session may take to be welcomed, attempts together. */
const GREETING_TIME = 10_000;

/** Pauses between attempts (ms): doubled each time, and a random part of it waited (AWS "full jitter"). */
const BACKOFF_FIRST = 100;
const BACKOFF_MAX = 5_000;

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
  #welcomed = false;
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
    if (this.#closed) return;
    this.#closed = true;
    this.#sendUnnumbered({ type: "goaway", socket: 0, code: "shutdown", message: "the page is done" });
    this.#end(new SocketError("ENETDOWN", "pynet_browser was uninstalled"));
  }

  #newSession() {
    this.#giveUpAt = now() + GREETING_TIME;
    this.#attempts = 0;
    return new Session({
      now,
      send: (message) => this.#carrier?.send(message),
      later: (flush) => queueMicrotask(flush),
    });
  }

  // ── Carriers ───────────────────────────────────────────────────────────────────────────────────────

  #attempt() {
    this.#retryAt = Infinity;
    const reader = new MessageReader();
    /** Events of a carrier that was given up mean nothing. @param {() => void} handle */
    const current = (handle) => carrier === this.#carrier && handle();
    /** @type {Carrier | null} */
    let carrier = null;
    try {
      carrier = openWebSocket(this.url, {
        opened: () => current(() => carrier?.send(this.#session.greeting(this.#token, this.#agent))),
        received: (piece) => current(() => this.#received(reader, piece)),
        closed: (reason) => current(() => this.#lost(reason)),
      });
    } catch (error) {
      this.#end(new SocketError("ENETUNREACH", String(error)), new ProxyError("unreachable", String(error)));
      return;
    }
    this.#carrier = carrier;
    this.#welcomed = false;
    this.#arm();
  }

  /** @param {string} reason */
  #lost(reason) {
    const wasWelcomed = this.#welcomed;
    this.#dropCarrier();
    if (this.#session.state === "closed") return;
    if (wasWelcomed) {
      this.#session.lose();
      this.#attempts = 0;
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
    this.#carrier = null;
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
  }

  // ── Messages ───────────────────────────────────────────────────────────────────────────────────────

  /** @param {MessageReader} reader @param {Uint8Array} piece */
  #received(reader, piece) {
    this.#keepAlive.heard(now());
    try {
      for (const message of reader.feed(piece)) {
        const frames = this.#welcomed ? this.#session.receive(message) : framesOf(message.body);
        for (const frame of frames) this.#handle(frame);
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#sendUnnumbered({ type: "goaway", socket: 0, code: "protocol", message: error.message });
      const message = `the proxy sent what it should not: ${error.message}`;
      this.#end(new SocketError("ECONNRESET", message), new ProxyError("protocol", message));
    }
    this.#arm();
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
        this.#end(new SocketError("ECONNRESET", `the proxy ended the session: ${frame.message || frame.code}`));
        break;
      case "ping":
        this.#sendUnnumbered({ type: "pong", socket: 0, stamp: frame.stamp });
        break;
      case "pong":
        this.roundTrip = now() - frame.stamp / 1000;
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
    this.agent = welcome.agent;
    this.#giveUpAt = Infinity;
    this.#attempts = 0;
    this.#keepAlive = new KeepAlive(Math.max(welcome.keepalive, KEEPALIVE_MIN), now());
    this.#session.attach(welcome);
    this.#ping();
    this.#opening?.resolve();
    this.#opening = null;
  }

  /** @param {Frame} refused */
  #refused({ code, message }) {
    const errno = code === "session" ? "ECONNRESET" : "ENETUNREACH";
    this.#end(new SocketError(errno, message), new ProxyError(code, message));
  }

  #ping() {
    this.#sendUnnumbered({ type: "ping", socket: 0, stamp: Math.round(now() * 1000) });
  }

  /** @param {Frame} frame */
  #sendUnnumbered(frame) {
    if (this.#welcomed) this.#carrier?.send(encodeMessage(0, this.#session.link.received, [encodeFrame(frame)]));
  }

  // ── Time ───────────────────────────────────────────────────────────────────────────────────────────

  /** See to it that #tick runs when something is next due. */
  #arm() {
    const alive = this.#welcomed ? this.#keepAlive.deadline : Infinity;
    const due = Math.min(this.#session.link.ackAt, alive, this.#retryAt, this.#giveUpAt);
    if (due >= this.#timerAt || due === Infinity) return;
    clearTimeout(this.#timer);
    this.#timerAt = due;
    this.#timer = setTimeout(() => this.#tick(), Math.min(Math.max(0, due - now()), TIMER_MAX));
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
