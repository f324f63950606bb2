/**
 * What can be found out from this page about its proxy, by a WebSocket, requests and a session of its own: the network
 * that may be installed is left alone.
 * @module
 */

import { withAffinity } from "./affinity.js";
import { ANSWER_MAX, BODY_MAX, STATUSES, ask, contentOf, exchangeAddress, exchangeNow } from "./carriers/http.js";
import { SUBPROTOCOL } from "./carriers/websocket.js";
import { joined } from "./fields.js";
import { whyNoPeerConnection } from "./peer-connection.js";
import { Session } from "./session.js";
import { MessageReader, encodeFrame, encodeMessage, framesOf } from "./wire.js";

/** How long (ms) each step may take. */
const STEP_TIME = 4_000;

/** How long (ms) the proxy may try to reach a host, and how much longer its answer may take. */
const CONNECT_TIME = 5_000;
const ANSWER_TIME = 2_000;

/** How long (ms) the proxy may take to close what has ended. */
const GOODBYE_TIME = 1_000;

const ROUND_TRIPS = 7;

/** Most characters of a foreign server's answer that are of use. */
const EXCERPT_MAX = 200;

/** RFC 6455 §7.4.1. */
const NORMAL = 1000;

/**
 * @typedef {import("./wire.js").Frame} Frame
 *
 * @typedef {object} Question
 * @property {string} url of the proxy's WebSocket
 * @property {string} token
 * @property {string} agent
 * @property {string} host to be reached through the proxy; empty for none
 * @property {number} port
 * @property {boolean} blocks whether blocking calls would wait by synchronous requests
 *
 * @typedef {{outcome: string, [fact: string]: any}} Finding what came of a step; pynet_browser/diagnosis.py reads it
 */

const now = () => performance.now();

/** What sockets depend on in this browser and this page. */
export function surroundings() {
  return {
    suspending: "Suspending" in WebAssembly,
    origin: globalThis.origin ?? "null",
    thread: "document" in globalThis ? "page" : "worker",
    online: navigator.onLine ?? true,
    noPeerConnection: whyNoPeerConnection(),
  };
}

/**
 * Try all of it. Takes some seconds at worst.
 * @param {Question} question
 */
export function probe(question) {
  return new Probe(question).run();
}

class Probe {
  /** @type {Line | null} */
  #line = null;
  #session = new Session({
    now,
    send: (message) => this.#line?.send(message),
    later: (flush) => queueMicrotask(flush),
  });
  #question;
  #url;
  #address;

  /** @param {Question} question */
  constructor(question) {
    this.#question = question;
    this.#url = withAffinity(question.url);
    this.#address = exchangeAddress(this.#url);
  }

  async run() {
    const forbidden = watchPolicy(this.#question.url);
    try {
      const webSocket = await this.#openWebSocket();
      const greeting = await this.#greet();
      const [http, health] = await Promise.all([this.#exchange(), this.#health()]);
      const synchronous = this.#exchangeNow(http.outcome === "welcome");
      const roundTrips = await this.#roundTrips();
      const reached = await this.#reachHost();
      const permissions = await localPermissions(); // asked for by what was tried
      const found = { webSocket, greeting, http, health, synchronous, roundTrips, reached, permissions };
      return { ...found, features: this.#session.features, forbidden: forbidden.seen };
    } finally {
      forbidden.end();
      await this.#leave();
    }
  }

  /** Whether the proxy has let us in, by whatever carrier. */
  get #welcomed() {
    return this.#session.name !== "";
  }

  // ── The WebSocket ──────────────────────────────────────────────────────────────────────────────────

  /** @returns {Promise<Finding>} */
  async #openWebSocket() {
    const since = now();
    try {
      this.#line = new Line(this.#url, this.#session);
    } catch (error) {
      return { outcome: "barred", message: said(error) };
    }
    const event = await this.#line.next(since + STEP_TIME);
    if (event.type !== "open") this.#hangUp();
    return { outcome: event.type, ms: now() - since };
  }

  /** @returns {Promise<Finding>} */
  async #greet() {
    if (!this.#line) return SKIPPED;
    const since = now();
    try {
      this.#line.send(this.#greeting());
    } catch (error) {
      this.#hangUp();
      return { outcome: "unsayable", message: said(error) }; // what fits in no greeting
    }
    const answer = await this.#line.next(since + STEP_TIME);
    if (answer.type === "welcome") this.#session.attach(answer);
    else this.#hangUp();
    return { ...greeted(answer), ms: now() - since };
  }

  #hangUp() {
    this.#line?.close();
    this.#line = null;
  }

  // ── Requests ───────────────────────────────────────────────────────────────────────────────────────

  /** @param {import("./session.js").Purpose} [purpose] */
  #greeting(purpose) {
    return this.#session.greeting(this.#question.token, this.#question.agent, purpose);
  }

  /** An exchange that is answered at once. @returns {Promise<Finding>} */
  async #exchange() {
    const since = now();
    try {
      const body = this.#greeting({ type: "poll", wait: 0, limit: 0 });
      const response = await ask(this.#address, body, AbortSignal.timeout(STEP_TIME));
      const content = response.body ? await contentOf(response) : new Uint8Array();
      const { status } = response;
      if (!STATUSES.has(status)) return { outcome: "foreign", status, message: excerpt(content) };
      return { ...this.#takeIn(content), status, ms: now() - since };
    } catch (error) {
      const outcome = { TimeoutError: "late", RangeError: "unsayable" }[/** @type {Error} */ (error).name];
      return { outcome: outcome ?? "failed", message: said(error) };
    }
  }

  /** What an answer says about us. @param {Uint8Array} content @returns {Finding} */
  #takeIn(content) {
    /** @type {Finding} */
    let finding = { outcome: "foreign", message: excerpt(content) };
    try {
      for (const message of new MessageReader().feed(content)) {
        if (finding.outcome === "welcome") {
          for (const { type, code, message: reason } of this.#session.receive(message)) {
            if (type === "goaway") finding = { outcome: "goaway", code, message: reason };
          }
          continue;
        }
        const [frame] = framesOf(message.body);
        if (frame?.type === "welcome") this.#session.exchanged(frame);
        if (frame && GREETINGS.has(frame.type)) finding = greeted(frame);
      }
    } catch (error) {
      return { outcome: "foreign", message: said(error) };
    }
    return finding;
  }

  /** Whether anybody answers there: a page may ask that of whoever refuses it. @returns {Promise<Finding>} */
  async #health() {
    try {
      await fetch(new URL("healthz", this.#address.replace(/\/http\?/, "?")), {
        mode: "no-cors",
        cache: "no-store",
        credentials: "omit",
        signal: AbortSignal.timeout(STEP_TIME),
      });
      return { outcome: "answered" };
    } catch (error) {
      return { outcome: "silent", message: said(error) };
    }
  }

  /** The same as blocking calls do here, if they do. @param {boolean} answered whether one by fetch was @returns {Finding} */
  #exchangeNow(answered) {
    if (!this.#question.blocks || !answered) return SKIPPED; // one that nobody answers would hold the page up
    const since = now();
    try {
      return { ...this.#takeIn(exchangeNow(this.#address, this.#greeting({ type: "poll", wait: 0, limit: 0 }))), ms: now() - since };
    } catch (error) {
      return { outcome: "failed", message: said(error) };
    }
  }

  // ── The session ────────────────────────────────────────────────────────────────────────────────────

  /** How long (ms) some took, one after the other; what carried them. @returns {Promise<Finding>} */
  async #roundTrips() {
    if (!this.#welcomed) return SKIPPED;
    const end = now() + STEP_TIME;
    const times = [];
    const carrier = this.#line ? "WebSocket" : "HTTP";
    while (times.length < ROUND_TRIPS && now() < end) {
      const since = now();
      if (!(await this.#roundTrip(end))) return { outcome: "lost", carrier };
      times.push(now() - since);
    }
    return { outcome: "measured", times, carrier };
  }

  /** @param {number} end */
  async #roundTrip(end) {
    if (!this.#line) return (await this.#exchange()).outcome === "welcome";
    this.#line.send(unnumbered({ type: "ping", socket: 0, stamp: 1 }));
    while (this.#line) {
      const { type } = await this.#next(this.#line, end);
      if (type === "pong") return true;
      if (type === "late") break;
    }
    return false;
  }

  /** Have the proxy connect to a host. @returns {Promise<Finding>} */
  async #reachHost() {
    const { host, port } = this.#question;
    if (!host || !this.#welcomed) return SKIPPED;
    const since = now();
    const end = since + CONNECT_TIME + ANSWER_TIME;
    const target = new Target();
    try {
      this.#session.open(/** @type {any} */ (target), { type: "connect", family: 0, host, port, timeout: CONNECT_TIME });
    } catch (error) {
      const { code } = /** @type {import("./errors.js").SocketError} */ (error);
      return { outcome: "refused", code, message: said(error) };
    }
    this.#session.flush();
    while (!target.finding && now() < end && (await this.#hear(end)));
    const finding = target.finding ?? { outcome: now() < end ? "lost" : "late" };
    if (finding.outcome === "connected") this.#session.send({ type: "close", socket: target.id });
    return { ...finding, ms: now() - since };
  }

  /** What happens next; a WebSocket on which nothing more can come is let go. @param {Line} line @param {number} end */
  async #next(line, end) {
    const event = await line.next(end);
    if (ENDS.has(event.type)) this.#hangUp();
    return event;
  }

  /** Until something came; false if nothing can come any more. @param {number} end */
  async #hear(end) {
    if (this.#line) return (await this.#next(this.#line, end)).type !== "late" && this.#line !== null;
    const wait = Math.max(0, Math.ceil(end - now()));
    const greeting = this.#greeting({ type: "poll", wait, limit: ANSWER_MAX });
    const body = joined([greeting, ...this.#session.link.outstanding(BODY_MAX)]);
    try {
      const response = await ask(this.#address, body, AbortSignal.timeout(wait));
      return this.#takeIn(await contentOf(response)).outcome === "welcome";
    } catch {
      return false;
    }
  }

  /** End the session, so that the proxy keeps nothing of it. */
  async #leave() {
    if (!this.#welcomed) return;
    const farewell = unnumbered({ type: "goaway", socket: 0, code: "shutdown", message: "it was a diagnosis" });
    const end = now() + GOODBYE_TIME;
    if (this.#line) {
      this.#session.flush();
      this.#line.send(farewell);
      while (this.#line && (await this.#next(this.#line, end)).type !== "late");
      this.#hangUp();
    } else {
      const last = this.#session.link.outstanding(BODY_MAX);
      const body = joined([this.#greeting({ type: "poll", wait: 0, limit: 0 }), ...last, farewell]);
      await ask(this.#address, body, AbortSignal.timeout(GOODBYE_TIME)).catch(() => {});
    }
  }
}

/** What begins the answer of an exchange. */
const GREETINGS = new Set(["welcome", "refused", "goaway"]);

/** After these nothing comes on a WebSocket that means anything. */
const ENDS = new Set(["closed", "foreign", "goaway"]);

/** @type {Finding} */
const SKIPPED = { outcome: "skipped" };

const CLOSED = { type: "closed", code: "1006", message: "" };

/** A WebSocket, and one after the other what happens to it: `open`, frames, `foreign`, `closed`. */
class Line {
  /** @type {Frame[]} */
  #events = [];
  #happened = () => {};

  /**
   * @param {string} url
   * @param {Session} session
   * @throws {DOMException} this page may not open it
   */
  constructor(url, session) {
    const reader = new MessageReader();
    this.webSocket = new WebSocket(url, SUBPROTOCOL);
    this.webSocket.binaryType = "arraybuffer";
    this.webSocket.onopen = () => this.#add({ type: "open" });
    // Where a policy of the page forbids it, Chromium lets no close follow.
    this.webSocket.onerror = () => this.webSocket.readyState === WebSocket.CLOSED && this.#add(CLOSED);
    this.webSocket.onclose = ({ code, reason }) => this.#add({ type: "closed", code: String(code), message: reason });
    this.webSocket.onmessage = ({ data }) => {
      try {
        for (const message of reader.feed(new Uint8Array(data))) {
          const frames = session.name ? session.receive(message) : framesOf(message.body);
          for (const frame of frames) if (frame.code !== "drain") this.#add(frame);
          if (message.number) this.#add({ type: "numbered" });
        }
      } catch (error) {
        this.#add({ type: "foreign", message: said(error) });
      }
    };
  }

  /** @param {{type: string, [field: string]: any}} event */
  #add(event) {
    this.#events.push({ socket: 0, ...event });
    this.#happened();
  }

  /** What happened next, or `late`. @param {number} end @returns {Promise<Frame>} */
  async next(end) {
    if (!this.#events.length) {
      /** @type {ReturnType<typeof setTimeout> | undefined} */
      let timer;
      await new Promise((resolve) => {
        this.#happened = () => resolve(undefined);
        timer = setTimeout(resolve, end - now());
      });
      clearTimeout(timer);
    }
    return this.#events.shift() ?? { type: "late", socket: 0 };
  }

  /** @param {Uint8Array} message */
  send(message) {
    this.webSocket.send(/** @type {Uint8Array<ArrayBuffer>} */ (message));
  }

  close() {
    this.webSocket.close(NORMAL);
  }
}

/** What a session takes for a socket; it only wants to know what becomes of its connection. */
class Target {
  id = 0;
  /** @type {Finding | null} */
  finding = null;

  /** @param {Frame} frame */
  receive({ type, peer, code, message }) {
    if (type === "connected") this.finding ??= { outcome: "connected", peer: [peer.host, peer.port] };
    if (type === "reset") this.finding ??= { outcome: "refused", code, message };
  }

  /** @param {import("./errors.js").SocketError} error */
  fail({ code, message }) {
    this.finding ??= { outcome: "refused", code, message };
  }
}

/**
 * Notice what the page's Content-Security-Policy forbids of connections to the proxy.
 * @param {string} url
 */
function watchPolicy(url) {
  const { host } = new URL(url);
  const watch = {
    seen: false,
    end: () => globalThis.removeEventListener?.("securitypolicyviolation", notice),
  };
  const notice = (/** @type {SecurityPolicyViolationEvent} */ { effectiveDirective, blockedURI, disposition }) => {
    const about = URL.canParse(blockedURI) ? new URL(blockedURI).host : blockedURI;
    if (disposition === "enforce" && effectiveDirective === "connect-src" && about === host) watch.seen = true;
  };
  globalThis.addEventListener?.("securitypolicyviolation", notice);
  return watch;
}

/** What a greeting was answered with; the key of a session is a secret. @param {Frame} frame @returns {Finding} */
function greeted({ type, code, message, agent }) {
  return { outcome: type, code, message, agent };
}

/** Whether this page may reach servers of this machine and of the local network, where the browser tells that. */
async function localPermissions() {
  /** @type {Record<string, string>} */
  const states = {};
  for (const name of ["loopback-network", "local-network"]) {
    const asked = globalThis.navigator?.permissions?.query({ name: /** @type {PermissionName} */ (name) });
    states[name] = (await asked?.catch(() => null))?.state ?? "";
  }
  return states;
}

/** @param {Frame} frame */
function unnumbered(frame) {
  return encodeMessage(0, 0, [encodeFrame(frame)]);
}

/** @param {unknown} error */
function said(error) {
  return error instanceof Error ? error.message : String(error);
}

/** The beginning of what a server says that is not our proxy. @param {Uint8Array} content */
function excerpt(content) {
  return new TextDecoder().decode(content.subarray(0, EXCERPT_MAX)).trim();
}
