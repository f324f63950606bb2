/**
 * The page's way to a server that is not ours, in the place of an uplink to our proxy.
 * @module
 */

import { ProxyError, SocketError } from "../errors.js";
import { NameTable } from "../names.js";
import { openChannel } from "./channel.js";
import { GatewayNetwork } from "./network.js";
import { WebsockifyWay, withoutQuery } from "./websockify.js";
import { WispSession } from "./wisp.js";

/** What is offered for version 2 of Wisp: any offer means it, and this is the one that others make. */
const WISP_2 = "wisp-v2";

/** How long (ms) a Wisp server may take until it has said what it takes. */
const GREETING_TIME = 10_000;

const NORMAL = 1000;
const PROTOCOL_ERROR = 3002; // of those that a page may give (RFC 6455 §7.4.2)

const now = () => performance.now();

/** What both kinds have in common: no synchronous requests, and names that the server alone can look up. */
class Gateway {
  exchanges = false;
  names = new NameTable();

  /** @param {string} kind @param {string} url */
  constructor(kind, url) {
    this.kind = kind;
    this.url = url;
  }

  exchange() {
    return false;
  }

  /** @param {{state: string, proxy: string, carrier: string}} found */
  report(found) {
    const nothing = { bulk: "", whyBulk: "", roundTrip: undefined, reconnects: 0, buffered: 0 };
    return { kind: this.kind, url: withoutQuery(this.url), ...found, ...nothing };
  }
}

/** Sockets over a websockify. */
export class WebsockifyGateway extends Gateway {
  /** @param {string} url @param {string} token for our own proxy; empty for none */
  constructor(url, token) {
    super("websockify", url);
    // The first is what a websockify takes; ours finds the token among the others.
    const protocols = token ? ["binary", `token.${encodeURIComponent(token)}`] : ["binary"];
    this.way = new WebsockifyWay(url, (address, events) => openChannel(address, protocols, events));
    this.session = new GatewayNetwork(this.way, this.names, now);
  }

  /** Nothing is there to be opened: that a websockify answers shows when something connects. */
  async open() {}

  openNow() {}

  status() {
    const { connections } = this.way;
    const state = connections ? "attached" : "detached";
    return this.report({ state, proxy: "websockify", carrier: connections ? "WebSocket" : "" });
  }

  close() {
    this.session.close(new SocketError("ENETDOWN", "pynet_browser was uninstalled"));
  }
}

/** Sockets over a Wisp server. */
export class WispGateway extends Gateway {
  /** Whether version 1 must be spoken: the server does not answer an offer. */
  #old = false;
  #closed = false;
  #connection;

  /** @param {string} url @param {{user: string, password: string}} login */
  constructor(url, login) {
    super("wisp", url);
    this.login = login;
    this.#connection = this.#connect();
  }

  #connect() {
    return new WispConnection(this.url, this.names, this.login, this.#old);
  }

  /**
   * @throws {ProxyError} the server cannot be reached, or refuses
   */
  async open() {
    try {
      await this.#connection.greeted;
    } catch (error) {
      if (!this.#connection.silent || this.#old) throw error;
      this.#old = true;
      this.#connection = this.#connect();
      await this.#connection.greeted;
    }
  }

  /** It is reached as soon as the page has a turn: there is no waiting for it. */
  openNow() {
    this.open().catch(() => {}); // sockets say so
  }

  /** The network for new sockets: another connection if the last is over. */
  get session() {
    if (this.#connection.over && !this.#closed) this.#connection = this.#connect();
    return this.#connection.network;
  }

  status() {
    const { session, over } = this.#connection;
    const attached = !over && session.state === "open";
    return this.report({
      state: attached ? "attached" : "detached",
      proxy: attached ? `Wisp ${session.version}` : "Wisp",
      carrier: attached ? "WebSocket" : "",
    });
  }

  close() {
    this.#closed = true;
    this.#connection.end(new SocketError("ENETDOWN", "pynet_browser was uninstalled"), NORMAL);
  }
}

/** One connection to a Wisp server. */
class WispConnection {
  server = "a Wisp server";
  over = false;
  /** Whether the server has not said a word. */
  silent = true;
  #channel;
  #timer;
  /** @type {{resolve: () => void, reject: (error: Error) => void}} */
  #greeting = { resolve: () => {}, reject: () => {} };

  /**
   * @param {string} url @param {NameTable} names
   * @param {{user: string, password: string}} login
   * @param {boolean} old whether only version 1 is spoken
   */
  constructor(url, names, login, old) {
    this.url = url;
    /** Settled when the server has said what it takes. @type {Promise<void>} */
    this.greeted = new Promise((resolve, reject) => (this.#greeting = { resolve, reject }));
    this.greeted.catch(() => {}); // nobody need wait for it
    this.session = new WispSession(
      { send: (message) => this.#channel.send(message), ready: () => this.#isReady() },
      login,
    );
    this.network = new GatewayNetwork(this, names, now);
    this.#channel = openChannel(url, old ? [] : [WISP_2], {
      opened: () => {},
      received: (message) => this.#receive(message),
      drained: () => this.session.drained(),
      closed: (code, reason) => this.#lost(reason || `code ${code}`),
    });
    this.#timer = setTimeout(() => this.#lost("no answer in time"), GREETING_TIME);
  }

  // ── What its network asks ──────────────────────────────────────────────────────────────────────────

  get datagrams() {
    return this.session.datagrams;
  }

  get full() {
    return this.#channel.full;
  }

  /** @type {import("./network.js").Way["open"]} */
  open(kind, host, port, events) {
    return this.session.open(kind, host, port, events);
  }

  // ── What happens to it ─────────────────────────────────────────────────────────────────────────────

  #isReady() {
    clearTimeout(this.#timer);
    this.#greeting.resolve();
  }

  /** @param {Uint8Array | string} message */
  #receive(message) {
    this.silent = false;
    if (typeof message === "string") return; // which means nothing in Wisp
    try {
      this.session.receive(message);
    } catch (error) {
      const { message: why } = /** @type {Error} */ (error);
      const refusal = error instanceof ProxyError ? error : new ProxyError("protocol", `the Wisp server sent ${why}`);
      this.end(new SocketError("ECONNRESET", refusal.message), PROTOCOL_ERROR, refusal);
    }
  }

  /** @param {string} reason */
  #lost(reason) {
    const greeting = this.session.state !== "open";
    const why = greeting
      ? `no Wisp server answers at ${withoutQuery(this.url)} (${reason}); is this its address, and does it let this page in?`
      : `the connection to the Wisp server is lost (${reason})`;
    this.end(
      new SocketError(greeting ? "ENETUNREACH" : "ECONNRESET", why),
      NORMAL,
      new ProxyError("unreachable", why),
    );
  }

  /** @param {SocketError} error what its sockets report @param {number} code @param {Error} [refusal] */
  end(error, code, refusal = error) {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.#timer);
    this.session.close(error);
    this.network.close(error);
    this.#channel.close(code);
    this.#greeting.reject(refusal);
  }
}
