/**
 * One session's connection to the proxy: owns the carriers and the one timer, and keeps the session alive through
 * cuts.
 * @module
 */

import { withAffinity } from "./affinity.js";
import { Alarm } from "./alarm.js";
import { Attempts } from "./attempts.js";
import { ANSWER_MAX, BODY_MAX, LAST_MAX, exchangeAddress, exchangeNow, sayLast } from "./carriers/http.js";
import { pathBeside, whyNoChannel } from "./datagram-path.js";
import { Downlink } from "./downlink.js";
import { ProtocolError, ProxyError, SocketError } from "./errors.js";
import { joined } from "./fields.js";
import { KEEPALIVE_MIN, KeepAlive } from "./keepalive.js";
import { UNSENT_MAX, hasServed, newLine, openCarrier } from "./line.js";
import { Opening } from "./opening.js";
import { Session } from "./session.js";
import { Stretch } from "./stretch.js";
import { notMeanwhile } from "./turn.js";
import { encodeFrame, encodeMessage, framesOf } from "./wire.js";

/** How long (ms) a new session may take to be welcomed, attempts together. */
const GREETING_TIME = 10_000;

/** How long (ms) one attempt may take, and one with a carrier that has not worked yet. */
const ATTEMPT_TIME = 10_000;
const TRIAL_TIME = 4_000;

/** Most characters of a reason that the proxy is told. */
const REASON_MAX = 500;

/**
 * @typedef {import("./attempts.js").Kind} Kind
 * @typedef {import("./wire.js").Frame} Frame
 * @typedef {import("./wire.js").Message} Message
 * @typedef {import("./session.js").Purpose} Purpose
 * @typedef {import("./line.js").Line} Line
 */

const now = () => performance.now();

export class Connection {
  /** Round trip to the proxy (ms) when last measured. @type {number | null} */
  roundTrip = null;
  /** What the proxy calls itself. */
  agent = "";
  /** How often a lost carrier was replaced. */
  reconnects = 0;
  /** The proxy will stop: what is new belongs into another session. */
  draining = false;
  /** Why the proxy does not let this page in. @type {Error | null} */
  refusal = null;
  /** The carrier in use. @type {Line | null} */
  #line = null;
  /** The one that is being tried. @type {Line | null} */
  #candidate = null;
  #attempts = new Attempts();
  #attached = false;
  #pinged = -1;
  #keepAlive = new KeepAlive(Infinity, 0);
  #candidateUntil = Infinity;
  #returnAt = Infinity;
  #retryAt = Infinity;
  #giveUpAt = now() + GREETING_TIME;
  #alarm = new Alarm(() => this.#tick());
  #stretch = new Stretch();
  /** Since when exchanges fail; Infinity if the last was answered. */
  #missedSince = Infinity;
  /** While somebody waits for the first welcome. @type {Opening | null} */
  #opening = null;

  /**
   * @param {string} url of the proxy's WebSocket endpoint
   * @param {string} token
   * @param {string} agent what this page calls itself
   * @param {boolean} [streams] whether bulk may come by a stream
   * @param {(reason: string) => void} [onNoChannel] called when datagrams find no data channel; without it none
   *   is looked for
   */
  constructor(url, token, agent, streams = true, onNoChannel = undefined) {
    this.url = url;
    this.#address = withAffinity(url);
    /** @param {Purpose} [purpose] */
    this.#greeting = (purpose) => this.session.greeting(token, agent, purpose);
    this.session = new Session({
      now,
      send: (message) => this.#send(message),
      later: (flush) => queueMicrotask(flush),
    });
    if (onNoChannel) {
      this.session.path = pathBeside(this.session, {
        attended: () => this.carrier === "WebSocket",
        failed: onNoChannel,
        broken: (error) => this.#broken(error),
      });
    }
    this.downlink = new Downlink(streams, {
      address: () => exchangeAddress(this.#address),
      now,
      greeting: this.#greeting,
      tell: (frame) => this.#sendUnnumbered(frame),
      received: (line, piece) => this.#received(line, piece),
    });
  }

  #greeting;
  #address;

  /** Why this page can have no data channel to this proxy; empty if it can. */
  get whyNoChannel() {
    return whyNoChannel(this.session);
  }

  /**
   * Reach the proxy and be welcomed.
   * @returns {Promise<void>}
   * @throws {ProxyError} it cannot be reached, or refuses
   */
  open() {
    return new Promise((resolve, reject) => {
      this.#opening = new Opening(resolve, reject);
      this.#attempt();
    });
  }

  /**
   * The same before this returns, by one exchange; a carrier follows as soon as the page has a turn.
   * @throws {ProxyError} it cannot be reached, or refuses
   */
  openNow() {
    const opening = (this.#opening = new Opening(() => {}, () => {})); // who is refused is not let in later
    let answered;
    let knocks;
    do {
      ({ knocks } = opening);
      answered = this.exchange(0);
    } while (opening.knocks > knocks && !this.refusal);
    this.#opening = null;
    if (this.refusal) throw this.refusal;
    if (!answered) {
      this.close();
      throw new ProxyError("unreachable", this.#unreachable("no answer to a synchronous request"));
    }
    this.begin();
  }

  /** Reach the proxy, however long that takes. */
  begin() {
    this.#attempt();
  }

  /** Whether the session has ended. */
  get over() {
    return this.session.state === "closed";
  }

  /** What kind of carrier is in use. @returns {Kind | ""} */
  get carrier() {
    return /** @type {Kind | undefined} */ (this.#line?.kind) ?? "";
  }

  /** The network may be back: do not wait for the next attempt's time. */
  hurry() {
    if (!this.#line && !this.#candidate && this.#retryAt < Infinity) {
      this.#retryAt = now();
      this.#arm();
    }
  }

  /** End the session: its sockets fail, and the proxy closes theirs. */
  close() {
    if (this.over) return;
    this.#sayGoodbye("shutdown", "the page is done");
    this.#end(new SocketError("ENETDOWN", "pynet_browser was uninstalled"));
  }

  // ── Exchanges ──────────────────────────────────────────────────────────────────────────────────────

  /**
   * One synchronous exchange, beside whatever carries the session otherwise.
   * @param {number} wait how long (ms) the proxy may hold its answer back until there is something to say
   * @returns {boolean} whether the proxy has answered; if not, this may have returned at once
   */
  exchange(wait) {
    if (this.over) return false;
    if (this.session.state === "fresh" && this.#candidate) {
      this.#drop(this.#candidate, true); // it may have begun another session
      this.#retryAt = now();
    }
    const first = this.#stretch.begin(() => this.#stretchEnded());
    if (first) this.session.held = this.#line?.kind === "HTTP";
    const line = newLine("exchange");
    let answer = null;
    try {
      const { link } = this.session;
      const messages = link.outstanding(BODY_MAX);
      // Where some stay behind, the proxy may have nothing to say until they have come, too.
      const held = messages.length < link.underWay ? 0 : Math.ceil(wait);
      const greeting = this.#greeting({ type: "poll", wait: held, limit: ANSWER_MAX });
      const body = joined([greeting, ...messages]);
      answer = exchangeNow(exchangeAddress(this.#address), body, held + ATTEMPT_TIME);
    } catch (error) {
      if (error instanceof RangeError) this.#refuse("ENETUNREACH", "unreachable", error.message); // such a token fits nowhere
    }
    if (answer) this.#received(line, answer);
    this.#missedSince = line.welcomed ? Infinity : Math.min(this.#missedSince, now());
    const patience = this.session.name ? this.#missedSince + this.session.grace : this.#giveUpAt;
    if (!line.welcomed && now() >= patience) this.#giveUp();
    return line.welcomed;
  }

  #stretchEnded() {
    this.session.held = false;
    this.#keepAlive.heard(now());
    if (this.#line && this.#missedSince < Infinity) {
      this.#lost(this.#line, "exchanges beside it have failed"); // what an answer has taken along is sent again
    } else if (this.#line) {
      this.session.flush();
      this.#send(this.session.link.acknowledgement()); // the proxy sends here again when it hears something
    }
    this.#missedSince = Infinity;
    this.#arm();
  }

  // ── Carriers ───────────────────────────────────────────────────────────────────────────────────────

  #attempt(kind = this.#attempts.kind) {
    if (this.#candidate) this.#drop(this.#candidate);
    const line = newLine(kind);
    this.#candidate = line;
    const current = (/** @type {() => void} */ handle) => {
      notMeanwhile(() => line.over || handle());
    };
    const events = {
      greeting: this.#greeting,
      received: (/** @type {Uint8Array} */ piece) => current(() => this.#received(line, piece)),
      closed: (/** @type {string} */ reason) => current(() => this.#lost(line, reason)),
    };
    this.#retryAt = Infinity;
    this.#candidateUntil = now() + (this.#attempts.proven ? ATTEMPT_TIME : TRIAL_TIME);
    try {
      events.greeting();
      line.carrier = openCarrier(kind, this.#address, events);
    } catch (error) {
      this.#lost(line, String(error));
    }
    this.#arm();
  }

  /** @param {Uint8Array} message */
  #send(message) {
    const line = this.#line;
    if (!line?.carrier) return;
    line.carrier.send(message);
    if (this.#stretch.active) {
      this.session.held = this.#stretch.fills(message.length) || this.session.held;
    } else if (line.carrier.unsent > UNSENT_MAX) {
      this.#lost(line, "it takes nothing in");
    }
  }

  /** @param {Line} line @param {string} reason */
  #lost(line, reason) {
    const wasInUse = line === this.#line;
    this.#drop(line);
    if (line.retired) {
      if (this.#line) this.#lost(this.#line, "an answer beside it was lost"); // and the proxy would not send it again
      return;
    }
    if (wasInUse) {
      this.session.lose();
      if (hasServed(line, now())) this.#attempts.rest();
      this.#giveUpAt = now() + this.session.grace;
      if (this.#candidate) return; // which was to take its place anyway
    } else if (this.#line) {
      this.#returnAt = now() + this.#attempts.returnPause();
      this.#arm();
      return;
    } else {
      this.#attempts.failed();
    }
    if (this.#opening) {
      const all = this.#opening.failed(line.kind, reason);
      if (all) this.#refuse("ENETUNREACH", "unreachable", this.#unreachable(all));
      else this.#attempt();
      return;
    }
    this.#retryAt = now() + this.#attempts.pause();
    this.#arm();
  }

  /** @param {string} reason */
  #unreachable(reason) {
    return `no proxy answers at ${this.url} (${reason}); is it running, and is this its address?`;
  }

  /** @param {Line} line @param {boolean} [done] whether a session that it has begun is not wanted */
  #drop(line, done) {
    line.over = true;
    if (line === this.#line) {
      this.#line = null;
      this.downlink.drop(); // the proxy drops it, too
    }
    if (line === this.#candidate) {
      this.#candidate = null;
      this.#candidateUntil = Infinity;
    }
    line.carrier?.close(done);
  }

  /** @param {string} errno @param {string} code @param {string} message */
  #refuse(errno, code, message) {
    this.#end(new SocketError(errno, message), new ProxyError(code, message));
  }

  #giveUp() {
    const errno = this.session.state === "fresh" ? "ENETUNREACH" : "ETIMEDOUT";
    this.#refuse(errno, "unreachable", `no connection to the proxy at ${this.url}`);
  }

  /**
   * The session is over.
   * @param {SocketError} error what its sockets report
   * @param {Error} [refusal] what whoever is opening is told
   */
  #end(error, refusal = error) {
    for (const line of [this.#line, this.#candidate]) if (line) this.#drop(line, true);
    this.#retryAt = this.#giveUpAt = this.#returnAt = Infinity;
    this.refusal = refusal;
    this.session.close(error);
    this.#opening?.reject(refusal);
    this.#opening = null;
    this.#arm();
  }

  /** Tell the proxy that the session is over, by what works even if the page is left now. */
  #sayGoodbye(/** @type {string} */ code, /** @type {string} */ message) {
    if (!this.session.name) return;
    const goaway = encodeFrame({ type: "goaway", socket: 0, code, message });
    const farewell = encodeMessage(0, this.session.link.received, [goaway]);
    if (this.#line?.kind === "WebSocket") {
      this.session.held = false;
      this.session.flush();
      this.#send(farewell);
    } else {
      const greeting = this.#greeting({ type: "poll", wait: 0, limit: 0 });
      sayLast(exchangeAddress(this.#address), greeting, this.session.link.outstanding(LAST_MAX), farewell);
    }
  }

  // ── Messages ───────────────────────────────────────────────────────────────────────────────────────

  /** @param {Line} line @param {Uint8Array} piece */
  #received(line, piece) {
    if (line === this.#line) {
      this.#keepAlive.heard(now());
      if (line.kind === "WebSocket") this.downlink.heard(piece.length);
    }
    try {
      for (const message of line.reader.feed(piece)) {
        if (line.over || this.over) return; // what is behind a goaway means nothing
        this.#receive(line, message);
      }
    } catch (error) {
      if (line.beside && !line.welcomed && error instanceof ProtocolError) return; // not our proxy's answer
      this.#broken(/** @type {Error} */ (error));
      if (!(error instanceof ProtocolError)) throw error; // a mistake of ours, which the console should show
    }
    // The proxy sends there again when it hears something.
    if (line.retired) this.#send(this.session.link.acknowledgement());
    this.#arm();
  }

  /** @param {Line} line @param {Message} message */
  #receive(line, message) {
    if (line.welcomed && (message.number || message.ack > line.seen)) line.moved = true;
    const frames = line.welcomed ? this.session.receive(message) : framesOf(message.body);
    for (const frame of frames) {
      if (line.over || this.over) return;
      this.#handle(line, frame);
    }
  }

  /** The session cannot go on, since not all was taken in. @param {Error} error */
  #broken(error) {
    const reason = [...error.message].slice(0, REASON_MAX).join(""); // it may quote what the proxy sent
    this.#sayGoodbye("protocol", reason);
    this.#refuse("ECONNRESET", "protocol", `the proxy sent what it should not: ${reason}`);
  }

  /** @param {Line} line @param {Frame} frame about the carrier or the session */
  #handle(line, frame) {
    if (line.kind === "stream" && frame.type !== "welcome") {
      if (!line.welcomed) this.downlink.giveUp(frame.message ?? "the proxy does not open it");
      return;
    }
    switch (frame.type) {
      case "welcome":
        this.#welcome(line, frame);
        break;
      case "refused":
        this.#refused(line, frame);
        break;
      case "goaway":
        this.#goaway(frame);
        break;
      case "ping":
        this.#sendUnnumbered({ type: "pong", socket: 0, stamp: frame.stamp });
        break;
      case "pong":
        if (frame.stamp === this.#pinged) this.session.measured((this.roundTrip = now() - frame.stamp / 1000));
        break;
      case "unrecognized":
        this.#sendUnnumbered({ type: "unknown", socket: frame.socket, kind: frame.kind });
        break;
    }
  }

  /** @param {Line} line @param {Frame} welcome */
  #welcome(line, welcome) {
    if (line.welcomed && line.kind !== "HTTP") throw new ProtocolError("welcomed twice");
    this.agent = welcome.agent;
    if (line.kind === "stream") this.downlink.welcomed();
    if (line.welcomed || line.beside) {
      line.welcomed = true;
      line.seen = welcome.seen;
      this.session.exchanged(welcome);
      if (!this.#line) this.#giveUpAt = now() + this.session.grace;
      return;
    }
    const before = this.#line;
    this.downlink.drop();
    this.#candidate = null;
    this.#line = line;
    if (before) {
      before.retired = true;
      before.carrier?.retire?.();
    }
    if (this.#attached) this.reconnects++;
    this.#attached = line.welcomed = true;
    line.since = now();
    line.seen = welcome.seen;
    this.#attempts.succeeded(/** @type {Kind} */ (line.kind));
    this.#retryAt = this.#giveUpAt = this.#candidateUntil = Infinity;
    this.#returnAt = line.kind === "HTTP" ? now() + this.#attempts.returnPause() : Infinity;
    this.#keepAlive = new KeepAlive(Math.max(welcome.keepalive, KEEPALIVE_MIN), now());
    if (welcome.seen > this.session.link.acknowledged) this.#attempts.rest(); // the one before has moved something
    this.session.attach(welcome);
    this.#ping();
    this.#opening?.resolve();
    this.#opening = null;
  }

  /** @param {Line} line @param {Frame} refused */
  #refused(line, { code, message }) {
    const fresh = !this.session.name;
    if (code !== "busy" || this.#opening?.knocksAgain() === false) {
      this.#refuse(code === "session" ? "ECONNRESET" : "ENETUNREACH", code, message);
      return;
    }
    if (fresh) this.#address = withAffinity(this.url); // another proxy behind a balancer may have room
    if (line.kind === "exchange") return;
    if (fresh) {
      this.#drop(line); // which is not to blame
      this.#retryAt = now() + this.#attempts.knockPause();
      this.#arm();
    } else {
      this.#lost(line, message); // it may let us in later
    }
  }

  /** @param {Frame} goaway */
  #goaway({ code, message }) {
    if (code === "drain") this.draining = true;
    else this.#end(new SocketError("ECONNRESET", `the proxy ended the session: ${message || code}`));
  }

  #ping() {
    this.#pinged = Math.round(now() * 1000);
    this.#sendUnnumbered({ type: "ping", socket: 0, stamp: this.#pinged });
  }

  /** @param {Frame} frame */
  #sendUnnumbered(frame) {
    this.#send(encodeMessage(0, this.session.link.received, [encodeFrame(frame)]));
  }

  // ── Time ───────────────────────────────────────────────────────────────────────────────────────────

  /** See to it that #tick runs when something is next due. */
  #arm() {
    const due = this.#line
      ? Math.min(this.session.link.ackAt, this.#keepAlive.deadline, this.downlink.deadline, this.#returnAt, this.#candidateUntil)
      : Math.min(this.#retryAt, this.#giveUpAt, this.#candidateUntil);
    this.#alarm.set(due);
  }

  #tick() {
    const time = now();
    if (this.#candidate && time >= this.#candidateUntil) this.#lost(this.#candidate, "no answer in time");
    if (this.#line) {
      this.#tend(this.#line, time);
    } else if (time >= this.#giveUpAt) {
      this.#giveUp();
    } else if (time >= this.#retryAt) {
      this.#attempt();
    }
    this.#arm();
  }

  /** @param {Line} line @param {number} time */
  #tend(line, time) {
    this.session.flush();
    this.downlink.tick();
    const sign = this.#keepAlive.tick(time);
    if (sign === "probe") this.#ping();
    if (sign === "lost") {
      this.#lost(line, "nothing was heard from it");
    } else if (time >= this.#returnAt) {
      this.#returnAt = Infinity;
      this.#attempt("WebSocket");
    }
  }
}
