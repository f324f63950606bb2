/**
 * The page's way to its proxy: one connection at a time, and those that finish what they carry.
 * @module
 */

import { Connection } from "./connection.js";

/** While sockets of several sessions may be waited for, none is asked for longer (ms). */
const SHARED_WAIT = 100;

export class Uplink {
  kind = "proxy";
  /** Whether synchronous exchanges are possible, so that waits by them are. */
  exchanges = true;
  /** Names are looked up by the proxy; none have addresses that stand for them. */
  names = null;
  #connection;
  /** Their proxy drains; they end when it does. @type {Set<Connection>} */
  #leaving = new Set();
  #reconnects = 0;
  #closed = false;
  #listening = new AbortController();

  /**
   * @param {string} url of the proxy's WebSocket endpoint
   * @param {string} token
   * @param {string} agent what this page calls itself
   * @param {boolean} [streams] whether bulk may come by streams
   * @param {(reason: string) => void} [onNoChannel] see Connection
   */
  constructor(url, token, agent, streams, onNoChannel) {
    this.url = url;
    this.#make = () => new Connection(url, token, agent, streams, onNoChannel);
    this.#connection = this.#make();
    const { signal } = this.#listening;
    globalThis.addEventListener?.("online", () => this.#connection.hurry(), { signal });
    // A page that may come back from the browser's cache is not left yet.
    globalThis.addEventListener?.("pagehide", (event) => event.persisted || this.close(), { signal });
  }

  #make;

  /**
   * Reach the proxy and be welcomed.
   * @throws {import("./errors.js").ProxyError} it cannot be reached, or refuses
   */
  async open() {
    try {
      await this.#connection.open();
    } catch (error) {
      this.close(); // nobody else will
      throw error;
    }
  }

  /**
   * The same before this returns.
   * @throws {import("./errors.js").ProxyError} it cannot be reached, or refuses
   */
  openNow() {
    try {
      this.#connection.openNow();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The session for new sockets and requests: another if the last is over, or its proxy will stop. */
  get session() {
    const { over, draining } = this.#connection;
    if ((over || draining) && !this.#closed) {
      for (const connection of this.#leaving) if (connection.over) this.#leaving.delete(connection);
      if (!over) this.#leaving.add(this.#connection);
      this.#reconnects += this.#connection.reconnects;
      this.#connection = this.#make();
      this.#connection.begin();
    }
    return this.#connection.session;
  }

  /** The connection as it is, for those who only look. */
  get current() {
    return this.#connection;
  }

  /** How it is now. */
  status() {
    const { agent, carrier, downlink, roundTrip, reconnects, session } = this.#connection;
    return {
      kind: this.kind,
      url: this.url,
      proxy: agent,
      state: session.state,
      carrier,
      bulk: downlink.state,
      whyBulk: downlink.why,
      roundTrip: roundTrip ?? undefined,
      reconnects: this.#reconnects + reconnects,
      buffered: session.link.buffered,
      features: session.features,
      udp: session.path?.open ? "webrtc" : "session",
      whyUdp: session.path ? session.path.reason : 'install(udp="stream") asked for it',
    };
  }

  /**
   * Let every session have one synchronous exchange.
   * @param {number} wait how long (ms) the answer may be held back until there is something to say
   * @returns {boolean} whether a proxy has answered; if not, this may have returned at once
   */
  exchange(wait) {
    let answered = false;
    for (const connection of this.#leaving) {
      if (connection.over) this.#leaving.delete(connection);
      else if (connection.exchange(0)) answered = true;
    }
    return this.#connection.exchange(this.#leaving.size ? Math.min(wait, SHARED_WAIT) : wait) || answered;
  }

  /** End every session: their sockets fail, and the proxy closes theirs. */
  close() {
    this.#closed = true;
    this.#listening.abort();
    for (const connection of [...this.#leaving, this.#connection]) connection.close();
  }
}
