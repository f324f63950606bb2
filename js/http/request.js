/**
 * HTTP requests that the browser makes, for pynet_browser/http.
 *
 * What fails is told by an object with `error` ("aborted", "timeout", "invalid" or "network") and `message`:
 * nothing here rejects. Browsers do not tell a page why a request has failed (Fetch §4.1, "network error").
 * @module
 */

import { joined } from "../fields.js";
import { watchPolicy } from "./violations.js";

/** Bytes that are read at once: left alone, browsers bring 64 KiB, and ask the network process each time. */
const BUFFER = 256 * 1024;

/** Bytes that wait to be taken before no more are read. */
const AHEAD_MAX = 256 * 1024;

/** Bytes of an answer that is waited for whole, if it comes at once: whoever asks then waits but one time. */
const SMALL = 64 * 1024;

/** How long (ms) it may take to come. */
const AT_ONCE = 1;

/** Most that a timer can be set for (ms). */
const TIMER_MAX = 2 ** 31 - 1;

/**
 * @typedef {{error: string, message: string, silent?: number}} Failure `silent`: for how long (ms) nothing had come
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
  #head;
  #timeout;
  #timedOut = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {Response | undefined} */
  #response;
  /** @type {(() => Promise<ReadableStreamReadResult<Uint8Array>>) | undefined} */
  #read;
  /** What has come and was not taken. @type {Uint8Array[]} */
  #queue = [];
  /** Its bytes. */
  #size = 0;
  /** A read that is under way; it never rejects. @type {Promise<void> | undefined} */
  #reading;
  #ended = false;
  /** Why it has ended too early. @type {unknown} */
  #failure;
  /** When something came, and for how long (ms) nothing had when it failed. */
  #heard = performance.now();
  #silent = 0;

  /** @param {string} url @param {RequestInit} init @param {number} timeout */
  constructor(url, init, timeout) {
    this.#timeout = timeout;
    this.#head = this.#begin(url, init);
  }

  /**
   * What the answer begins with. A call's promise becomes a future, for which Pyodide is suspended in 0.2 ms; a
   * property's is wrapped in a task first, which takes 0.4 ms.
   * @returns {Promise<Head | Failure>}
   */
  head() {
    return this.#head;
  }

  /** @param {string} url @param {RequestInit} init @returns {Promise<Head | Failure>} */
  async #begin(url, init) {
    const answer = await this.#within(async () => {
      await undefined; // called by Python itself, below its stack, fetch takes 0.8 ms longer (Chromium 156)
      const response = (this.#response = await fetch(url, { ...init, signal: this.#controller.signal }));
      this.#heard = performance.now();
      if (isSmall(response)) await Promise.race([this.#whole(), pause(AT_ONCE)]);
      const { status, statusText: reason, type } = response;
      return { status, reason, url: response.url, type, headers: [...response.headers] };
    });
    return "error" in answer && answer.error === "network" ? invalid(url, init) ?? answer : answer;
  }

  /** The next bytes of the answer, if they are here already; none at its end. */
  take() {
    const piece = this.#queue.shift();
    if (!piece) return this.#ended && !this.#failure ? EMPTY : undefined;
    this.#size -= piece.length;
    this.#readOn();
    return piece;
  }

  /** The next bytes of the answer; none at its end. @returns {Promise<Uint8Array | Failure>} */
  next() {
    return this.#within(async () => {
      for (;;) {
        const piece = this.take();
        if (piece) return piece;
        if (this.#failure) throw this.#failure;
        this.#readOn();
        await this.#reading;
      }
    });
  }

  /** All that is left of the answer, if it is here already. */
  takeRest() {
    if (!this.#ended || this.#failure) return undefined;
    this.#size = 0;
    return joined(this.#queue.splice(0));
  }

  /** All that is left of the answer. @returns {Promise<Uint8Array | Failure>} */
  rest() {
    const response = this.#response;
    if (this.#read || this.#ended || !response || this.#timeout <= TIMER_MAX) return this.#gather();
    return this.#within(async () => {
      try {
        return new Uint8Array(await response.arrayBuffer());
      } catch (error) {
        this.#failure = error;
        throw error;
      } finally {
        this.#ended = true; // whoever asks again gets nothing more
      }
    });
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

  async #whole() {
    this.#readOn();
    while (this.#reading) await this.#reading;
  }

  #readOn() {
    if (this.#reading || this.#ended || this.#size >= AHEAD_MAX) return;
    const body = this.#response?.body;
    if (!body) {
      this.#ended = true; // as of HEAD, and with status 204
      return;
    }
    this.#read ??= readerOf(body);
    this.#reading = this.#read().then(
      ({ done, value }) => {
        this.#reading = undefined;
        this.#ended = done;
        if (!value?.length) return;
        this.#heard = performance.now();
        this.#queue.push(value);
        this.#size += value.length;
        this.#readOn();
      },
      (error) => {
        this.#reading = undefined;
        this.#ended = true;
        this.#failure = error;
        this.#silent = performance.now() - this.#heard;
      },
    );
  }

  /** Take no more of it. */
  abort() {
    clearTimeout(this.#timer);
    if (!this.#ended) this.#controller.abort();
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
      const { aborted } = this.#controller.signal;
      return { error: aborted ? "aborted" : "network", message: said(error), silent: this.#silent };
    } finally {
      clearTimeout(this.#timer);
    }
  }
}

const EMPTY = new Uint8Array();

/** @param {ReadableStream<Uint8Array<ArrayBuffer>>} body */
function readerOf(body) {
  try {
    const reader = body.getReader({ mode: "byob" });
    return () => reader.read(new Uint8Array(BUFFER));
  } catch {
    const reader = body.getReader(); // a browser whose answers are no byte streams (Streams §4.7)
    return () => reader.read();
  }
}

/** @param {Response} response */
function isSmall({ headers }) {
  const length = headers.get("Content-Length");
  return length !== null && Number(length) <= SMALL;
}

/** @param {number} milliseconds */
function pause(milliseconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}

/**
 * Why a browser cannot make such a request at all: that fails as a broken connection does.
 * @param {string} url @param {RequestInit} init @returns {Failure | undefined}
 */
function invalid(url, init) {
  try {
    void new Request(url, { ...init, body: undefined }); // a body that was given may have been used
  } catch (error) {
    return { error: "invalid", message: said(error) };
  }
  return undefined;
}

/** @param {unknown} error */
export function said(error) {
  return error instanceof Error ? error.message : String(error);
}

/** The page's address; its origin, where it is written within the page and has none, as workers of blobs have. */
export function pageAddress() {
  const { href = "" } = globalThis.location ?? {};
  const { origin = "null" } = globalThis;
  return href.startsWith("http") || origin === "null" ? href : `${origin}/`;
}

/**
 * Whether a server answers at all, and lets this page see it: "shared", "kept" from it, or "none"; "forbidden" if a
 * policy of the page has kept the browser from asking.
 * @param {string} url @param {number} timeout ms
 */
export async function look(url, timeout) {
  /** @param {RequestInit} init */
  const answers = async (init) => {
    try {
      const signal = AbortSignal.timeout(timeout);
      await fetch(url, { method: "HEAD", cache: "no-store", credentials: "omit", signal, ...init });
      return true;
    } catch {
      return false; // browsers do not tell why
    }
  };
  const policy = watchPolicy(url);
  try {
    if (await answers({ mode: "cors" })) return "shared";
    if (await answers({ mode: "no-cors" })) return "kept";
    // A policy may also forbid where the server redirects to, and then the server was asked.
    const forbidden = (await policy.settled()) && !(await answers({ redirect: "manual" }));
    return forbidden ? "forbidden" : "none";
  } finally {
    policy.close();
  }
}
