/**
 * Requests that tell how much of their body has gone out, which only XMLHttpRequest does. The answer's body comes as
 * a whole.
 * @module
 */

import { headersOf } from "./now.js";

/**
 * @typedef {import("./request.js").Failure} Failure
 * @typedef {import("./request.js").Head} Head
 */

/**
 * Make a request.
 * @param {string} url
 * @param {{method: string, headers: [string, string][], body?: Uint8Array, credentials?: string}} asked
 * @param {number} timeout ms in which something has to happen
 * @param {(loaded: number, total: number) => void} sent called until the answer begins
 */
export function startUpload(url, asked, timeout, sent) {
  return new Uploading(url, asked, timeout, sent);
}

const EMPTY = new Uint8Array();

class Uploading {
  #request = new XMLHttpRequest();
  /** @type {Promise<Head | Failure>} */
  #head;
  #timeout;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {Promise<Uint8Array | Failure>} */
  #body;
  #read = false;

  /**
   * @param {string} url
   * @param {{method: string, headers: [string, string][], body?: Uint8Array, credentials?: string}} asked
   * @param {number} timeout
   * @param {(loaded: number, total: number) => void} sent
   */
  constructor(url, { method, headers, body, credentials }, timeout, sent) {
    const request = this.#request;
    this.#timeout = timeout;
    /** @type {(head: Head | Failure) => void} */
    let begin = () => {};
    this.#head = new Promise((resolve) => {
      begin = resolve;
    });
    this.#body = new Promise((resolve) => {
      /** @param {string} error @param {string} message */
      const fail = (error, message) => {
        clearTimeout(this.#timer);
        request.upload.onprogress = null;
        begin({ error, message });
        resolve({ error, message });
      };
      request.upload.onprogress = ({ loaded, total }) => {
        this.#wait();
        sent(loaded, total);
      };
      request.onprogress = () => this.#wait();
      request.onreadystatechange = () => {
        if (request.readyState !== XMLHttpRequest.HEADERS_RECEIVED) return;
        request.upload.onprogress = null;
        this.#wait();
        const { status, statusText: reason, responseURL } = request;
        begin({ status, reason, url: responseURL, type: "default", headers: headersOf(request) });
      };
      request.onload = () => {
        clearTimeout(this.#timer);
        resolve(new Uint8Array(request.response));
      };
      request.onerror = () => fail("network", "the request failed");
      request.onabort = () => fail(this.#late ? "timeout" : "aborted", this.#late ? "timed out" : "aborted");
    });
    request.open(method, url);
    request.responseType = "arraybuffer";
    request.withCredentials = credentials === "include";
    for (const [name, value] of headers) request.setRequestHeader(name, value);
    this.#wait();
    request.send(/** @type {Uint8Array<ArrayBuffer> | undefined} */ (body));
  }

  #late = false;

  #wait() {
    clearTimeout(this.#timer);
    if (!(this.#timeout < 2 ** 31)) return;
    this.#timer = setTimeout(() => {
      this.#late = true;
      this.#request.abort();
    }, this.#timeout);
  }

  /** What the answer begins with. */
  head() {
    return this.#head;
  }

  /** Nothing is here before it is asked for. */
  take() {
    return undefined;
  }

  /** Nor is all. */
  takeRest() {
    return undefined;
  }

  /** The whole body, and none when it was read. */
  async next() {
    if (this.#read) return EMPTY;
    this.#read = true;
    return this.#body;
  }

  rest() {
    return this.next();
  }

  abort() {
    clearTimeout(this.#timer);
    this.#request.abort();
  }
}
