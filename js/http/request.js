/**
 * HTTP requests that the browser makes, for pynet_browser/http.
 *
 * What fails is told by an object with `error` ("aborted", "timeout", "invalid" or "network") and `message`:
 * nothing here rejects. Browsers do not tell a page why a request has failed (Fetch §4.1, "network error").
 * @module
 */

import { joined } from "../fields.js";

/** Bytes that are read at once: left alone, browsers bring 64 KiB, and ask the network process each time. */
const BUFFER = 256 * 1024;

/** Most that a timer can be set for (ms). */
const TIMER_MAX = 2 ** 31 - 1;

/**
 * @typedef {{error: string, message: string}} Failure
 * @typedef {object} Head what an answer begins with
 * @property {number} status
 * @property {string} reason
 * @property {string} url after redirects
 * @property {string} type "opaque" where the browser keeps it from this page
 * @property {[string, string][]} headers
 */

/**
 * Make a request.
 * @param {string} url
 * @param {RequestInit & {duplex?: "half"}} init
 * @param {number} timeout ms in which something has to happen
 */
export function startRequest(url, init, timeout) {
  return new Fetching(url, init, timeout);
}

class Fetching {
  #controller = new AbortController();
  #timeout;
  #timedOut = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {Response | undefined} */
  #response;
  /** @type {ReadableStreamBYOBReader | undefined} */
  #reader;

  /** @param {string} url @param {RequestInit} init @param {number} timeout */
  constructor(url, init, timeout) {
    this.#timeout = timeout;
    /** What the answer begins with. @type {Promise<Head | Failure>} */
    this.head = this.#begin(url, init);
  }

  /** @param {string} url @param {RequestInit} init @returns {Promise<Head | Failure>} */
  async #begin(url, init) {
    let request;
    try {
      request = new Request(url, { ...init, signal: this.#controller.signal });
    } catch (error) {
      return { error: "invalid", message: said(error) };
    }
    return this.#within(async () => {
      const response = (this.#response = await fetch(request));
      const { status, statusText: reason, type } = response;
      return { status, reason, url: response.url, type, headers: [...response.headers] };
    });
  }

  /** The next bytes of the answer; none at its end. @returns {Promise<Uint8Array | Failure>} */
  next() {
    return this.#within(() => this.#read());
  }

  /** All that is left of the answer. @returns {Promise<Uint8Array | Failure>} */
  rest() {
    const response = this.#response;
    if (this.#reader || !response || this.#timeout <= TIMER_MAX) return this.#gather();
    return this.#within(async () => new Uint8Array(await response.arrayBuffer()));
  }

  async #gather() {
    const pieces = [];
    for (;;) {
      const piece = await this.next();
      if ("error" in piece) return piece;
      if (!piece.length) return joined(pieces);
      pieces.push(piece);
    }
  }

  async #read() {
    const body = this.#response?.body;
    if (!body) return EMPTY; // as of HEAD, and with status 204
    this.#reader ??= body.getReader({ mode: "byob" });
    const { done, value } = await this.#reader.read(new Uint8Array(BUFFER));
    return done || !value ? EMPTY : value;
  }

  /** Take no more of it. */
  abort() {
    clearTimeout(this.#timer);
    this.#controller.abort();
  }

  /**
   * @template T
   * @param {() => Promise<T>} step
   * @returns {Promise<T | Failure>}
   */
  async #within(step) {
    if (this.#timeout <= TIMER_MAX) {
      this.#timer = setTimeout(() => {
        this.#timedOut = true;
        this.#controller.abort();
      }, this.#timeout);
    }
    try {
      return await step();
    } catch (error) {
      if (this.#timedOut) return { error: "timeout", message: "timed out" };
      return { error: this.#controller.signal.aborted ? "aborted" : "network", message: said(error) };
    } finally {
      clearTimeout(this.#timer);
    }
  }
}

const EMPTY = new Uint8Array();

/** @param {unknown} error */
export function said(error) {
  return error instanceof Error ? error.message : String(error);
}

/** Where this page is, and whether plain requests from it are mixed content. */
export function place() {
  return { url: globalThis.location?.href ?? "", secure: globalThis.location?.protocol === "https:" };
}

/**
 * Whether a server answers at all, and lets this page see it: "shared", "kept" from it, or "none".
 * @param {string} url @param {number} timeout ms
 */
export async function look(url, timeout) {
  for (const [mode, found] of /** @type {[RequestMode, string][]} */ ([["cors", "shared"], ["no-cors", "kept"]])) {
    try {
      const signal = AbortSignal.timeout(timeout);
      await fetch(url, { method: "HEAD", mode, cache: "no-store", credentials: "omit", signal });
      return found;
    } catch {
      // Browsers do not tell why.
    }
  }
  return "none";
}
