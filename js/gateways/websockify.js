/**
 * Connections through a websockify: a WebSocket for each. Pure: it opens them through a function it is given.
 * @module
 */

import { SocketError } from "../errors.js";

/** Most bytes of one message: what servers send themselves, and all of them take. */
const MESSAGE_MAX = 64 * 1024;

/** Codes that a WebSocket is closed with (RFC 6455 §7.4.1, and IANA's registry), and what they are to a program.
 * @type {Record<number, [string, string]>} */
const MEANINGS = {
  1003: ["EPROTO", "does not understand what this page sends"],
  1008: ["EACCES", "does not allow this connection"],
  1009: ["EMSGSIZE", "takes no messages of this size"],
  1013: ["ENOBUFS", "has too many connections"],
};
const NORMAL = 1000;
const NO_CODE = 1005;
const FAILED = 1011;

/**
 * @typedef {import("./network.js").StreamEvents} StreamEvents
 * @typedef {import("./channel.js").Channel} Channel
 * @typedef {import("./channel.js").ChannelEvents} ChannelEvents
 */

/**
 * The address for a connection: `{host}` and `{port}` in a template stand for what is asked for.
 * @param {string} template @param {string} host @param {number} port
 */
export function addressFor(template, host, port) {
  return template.replaceAll("{host}", encodeURIComponent(host)).replaceAll("{port}", String(port));
}

/** An address for people: what follows may be secret. @param {string} url */
export const withoutQuery = (url) => url.replace(/\?.*/, "");

export class WebsockifyWay {
  server = "a websockify";
  datagrams = false;
  full = false; // each connection has its own
  /** @type {Set<WebsockifyStream>} */
  #streams = new Set();

  /**
   * @param {string} template of the address
   * @param {(url: string, events: ChannelEvents) => Channel} connect
   */
  constructor(template, connect) {
    this.template = template;
    this.connect = connect;
  }

  /** Connections that there are. */
  get connections() {
    return this.#streams.size;
  }

  /**
   * @param {"tcp" | "udp"} _kind @param {string} host @param {number} port
   * @param {StreamEvents} events
   */
  open(_kind, host, port, events) {
    const stream = new WebsockifyStream(this, addressFor(this.template, host, port), events);
    this.#streams.add(stream);
    return stream;
  }

  /** @param {WebsockifyStream} stream */
  forget(stream) {
    this.#streams.delete(stream);
  }
}

class WebsockifyStream {
  most = MESSAGE_MAX;
  /** @type {Channel | null} */
  #channel = null;
  #opened = false;
  #received = false;
  #over = false;

  /** @param {WebsockifyWay} way @param {string} url @param {StreamEvents} events */
  constructor(way, url, events) {
    this.way = way;
    this.url = url;
    this.events = events;
  }

  start() {
    this.#channel = this.way.connect(this.url, {
      opened: () => this.#isOpen(),
      received: (data) => this.#hear(data),
      drained: () => this.#over || this.events.writable(),
      closed: (code, reason) => this.#closed(code, reason),
    });
  }

  get sends() {
    return this.#opened && !this.#over && !this.#channel?.full;
  }

  /** @param {Uint8Array} data */
  send(data) {
    this.#channel?.send(data);
  }

  close() {
    if (this.#over) return;
    this.#end();
    this.#channel?.close(NORMAL);
  }

  #end() {
    this.#over = true;
    this.way.forget(this);
  }

  #isOpen() {
    if (this.#over) return;
    this.#opened = true;
    this.events.opened();
  }

  /** @param {Uint8Array | string} data */
  #hear(data) {
    if (this.#over) return;
    if (typeof data === "string") {
      this.#end();
      this.#channel?.close(NORMAL);
      this.events.closed(new SocketError("EPROTO", `text came from ${this.url}, where a websockify sends bytes`));
      return;
    }
    this.#received = true;
    this.events.received(data);
  }

  /** @param {number} code @param {string} reason */
  #closed(code, reason) {
    if (this.#over) return;
    this.#end();
    this.events.closed(this.#errorOf(code, reason));
  }

  /** @param {number} code @param {string} reason */
  #errorOf(code, reason) {
    const said = reason ? `: ${reason}` : "";
    const where = withoutQuery(this.url);
    if (!this.#opened) {
      return new SocketError("ECONNREFUSED", `nothing answers at ${where}, or it does not let this page in${said}`);
    }
    if (code === NORMAL || code === NO_CODE) return null;
    if (code === FAILED && !this.#received) {
      return new SocketError("ECONNREFUSED", `the websockify could not connect${said}`);
    }
    const [name, what] = MEANINGS[code] ?? ["ECONNRESET", `has lost the connection (code ${code})`];
    return new SocketError(name, `the websockify ${what}${said}`);
  }
}
