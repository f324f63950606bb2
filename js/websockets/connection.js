/**
 * The browser's own WebSocket for pynet_browser/websocket: no proxy is involved.
 *
 * A WebSocket has no brake: a page that does not read is disconnected when much waits, since nothing may grow without
 * bound. Chromium's WebSocketStream has one, which a full queue pulls; but what was not read when the server closes the
 * connection is lost then (seen in 156: 3361 of 10 000 messages came), so it is used only where that was asked for.
 * @module
 */

import { said } from "../http/request.js";
import { watchPolicy } from "../http/violations.js";
import { Inbox, OVERFLOW, WAITING_MAX } from "./inbox.js";

/** How much may wait to be sent (bytes) before senders wait. */
const UNSENT_MAX = 1 << 20;

/** How often a WebSocket is asked whether it has sent what waited (ms): it does not tell. */
const LOOK_EVERY = 5;

/** How a connection ends that did not come about (RFC 6455 §7.1.5). */
const BROKEN = { code: 1006, reason: "", clean: false };

/** Why one does not come about, where the browser lets that be known. */
const FORBIDDEN = "the page's own Content Security Policy forbids it: connect-src";

/**
 * @typedef {import("./inbox.js").Data} Data
 * @typedef {import("./inbox.js").Ending} Ending
 */

/**
 * @param {string} url @param {string[]} protocols
 * @param {number} limit messages that wait to be read before the server has to wait, where possible; 0 for no brake
 */
export function openConnection(url, protocols, limit) {
  return limit && "WebSocketStream" in globalThis ? new Braked(url, protocols, limit) : new Unbraked(url, protocols);
}

/** By WebSocket. */
class Unbraked extends Inbox {
  /** @type {WebSocket | undefined} */
  #socket;
  #overflown = false;

  /** @param {string} url @param {string[]} protocols */
  constructor(url, protocols) {
    super();
    this.url = url;
    /** Settled when it is open, or has ended. @type {Promise<void>} */
    this.opened = new Promise((resolve) => {
      const policy = watchPolicy(url);
      let socket;
      try {
        socket = this.#socket = new WebSocket(url, protocols);
      } catch (error) {
        this.end({ ...BROKEN, error: said(error) });
        policy.close();
        resolve();
        return;
      }
      socket.binaryType = "arraybuffer";
      socket.onopen = () => {
        ({ url: this.url, protocol: this.protocol, extensions: this.extensions } = socket);
        policy.close();
        resolve();
      };
      socket.onmessage = ({ data }) => {
        if (this.#overflown) return;
        this.push(typeof data === "string" ? data : new Uint8Array(data));
        if (this.size <= WAITING_MAX) return;
        this.#overflown = true;
        socket.close(OVERFLOW.code, OVERFLOW.reason);
      };
      socket.onerror = () => {
        // Where a policy of the page forbids it, Chromium lets no close follow.
        if (socket.readyState === WebSocket.CLOSED) setTimeout(() => ended({ ...BROKEN, error: "" }));
      };
      socket.onclose = ({ code, reason, wasClean }) => ended({ code, reason, clean: wasClean, error: "" });
      const ended = (/** @type {Ending} */ ending) => {
        this.end(policy.broken ? { ...ending, error: FORBIDDEN } : ending);
        policy.close();
        resolve();
      };
    });
  }

  get unsent() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  /** @param {Data} data @returns {Promise<void> | undefined | false} to wait for before the next; false: it has ended */
  send(data) {
    if (this.ending) return false;
    const socket = /** @type {WebSocket} */ (this.#socket);
    socket.send(/** @type {string | Uint8Array<ArrayBuffer>} */ (data));
    return socket.bufferedAmount > UNSENT_MAX ? this.#drained() : undefined;
  }

  async #drained() {
    while (this.unsent > UNSENT_MAX && !this.ending) await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
  }

  /** @param {number} [code] @param {string} [reason] */
  close(code, reason) {
    if (code === undefined) this.#socket?.close();
    else this.#socket?.close(code, reason);
  }
}

/** By WebSocketStream: what is not read is not asked for. */
class Braked extends Inbox {
  /** @type {any} */
  #stream;
  /** @type {WritableStreamDefaultWriter<any> | undefined} */
  #writer;
  #pulling = false;
  /** @type {ReadableStreamDefaultReader<any> | undefined} */
  #reader;
  unsent = 0;

  /** @param {string} url @param {string[]} protocols @param {number} limit */
  constructor(url, protocols, limit) {
    super();
    this.url = url;
    this.limit = limit;
    /** Settled when it is open, or has ended. @type {Promise<void>} */
    this.opened = this.#open(protocols);
  }

  /** @param {string[]} protocols */
  async #open(protocols) {
    try {
      const Stream = /** @type {any} */ (globalThis).WebSocketStream;
      this.#stream = new Stream(this.url, { protocols });
      this.url = this.#stream.url;
      const { readable, writable, protocol, extensions } = await this.#stream.opened;
      [this.protocol, this.extensions] = [protocol, extensions];
      this.#reader = readable.getReader();
      this.#writer = writable.getWriter();
      this.#writer?.closed.catch(() => {});
      this.#pull();
      this.#watch();
    } catch (error) {
      this.end({ ...endingOf(error), error: said(error) });
    }
  }

  async #watch() {
    try {
      const { closeCode, reason } = await this.#stream.closed;
      this.#last = { code: closeCode, reason, clean: true, error: "" };
    } catch (error) {
      this.#last = { ...endingOf(error), error: "" };
    }
    this.#settle();
  }

  /** How it was closed. @type {Ending | undefined} */
  #last;
  /** Whether everything that came before that was read. */
  #drained = false;

  #settle() {
    if (this.#last && this.#drained) this.end(this.#last);
  }

  async #pull() {
    if (this.#pulling || !this.#reader) return;
    this.#pulling = true;
    try {
      while (this.available < this.limit) {
        const { done, value } = await this.#reader.read();
        this.#drained = done;
        if (done) break;
        this.push(typeof value === "string" ? value : new Uint8Array(value));
      }
    } catch {
      this.#drained = true; // `closed` says how it has ended
    }
    this.#pulling = false;
    this.#settle();
  }

  take() {
    const data = super.take();
    if (!this.#pulling && !this.#drained && this.available <= this.limit / 2) this.#pull();
    return data;
  }

  /** @param {Data} data @returns {Promise<void> | undefined | false} to wait for before the next; false: it has ended */
  send(data) {
    if (this.ending) return false;
    const writer = /** @type {WritableStreamDefaultWriter<any>} */ (this.#writer);
    const size = data.length;
    this.unsent += size;
    const sent = writer.write(data).then(
      () => void (this.unsent -= size),
      () => void (this.unsent -= size),
    );
    return this.unsent > UNSENT_MAX ? sent : undefined;
  }

  /** @param {number} [code] @param {string} [reason] */
  close(code, reason) {
    this.#stream?.close(code === undefined ? {} : { closeCode: code, reason });
  }
}

/** @param {any} error a WebSocketError, or another */
function endingOf(error) {
  const code = error?.closeCode ?? 1006;
  return { code, reason: error?.reason ?? "", clean: code !== 1006 };
}
