/**
 * What js/connection.js uses of a browser (WebSocket, requests, turns, clock, timers, chance), in the hands of a
 * test. Each promise of a test is kept by asking it to: nothing happens by itself.
 * @module
 */

import { setImmediate } from "node:timers/promises";

/**
 * @typedef {import("node:test").TestContext} TestContext
 * @typedef {{due: number, callback: () => void}} Timer
 */

/** A clock that stands until it is moved, and the timers that it sets off. */
class Clock {
  now = 1000;
  /** How far each look at it moves it: what waits by looking gets nowhere else. */
  step = 0;
  /** How many timers went off. */
  fired = 0;
  /** Those that are set. @type {Set<Timer>} */
  timers = new Set();

  /** @param {() => void} callback @param {number} [delay] */
  setTimeout(callback, delay = 0) {
    const timer = { due: this.now + Math.max(0, delay), callback };
    this.timers.add(timer);
    return timer;
  }

  /** @param {() => void} callback @param {number} delay */
  setInterval(callback, delay) {
    const timer = this.setTimeout(() => {
      timer.due = this.now + delay;
      this.timers.add(timer);
      callback();
    }, delay);
    return timer;
  }

  look() {
    return (this.now += this.step);
  }

  /** @param {number} milliseconds */
  advance(milliseconds) {
    const end = this.now + milliseconds;
    for (let timer; (timer = this.#next(end));) {
      this.timers.delete(timer);
      this.now = Math.max(this.now, timer.due);
      this.fired++;
      if (this.fired > 10_000) throw new Error("timers set one another off without end");
      timer.callback();
    }
    this.now = end;
  }

  /** @param {number} end */
  #next(end) {
    const due = [...this.timers].filter((timer) => timer.due <= end);
    return due.sort((one, other) => one.due - other.due)[0];
  }
}

/** States of a WebSocket. */
const [OPEN, CLOSED] = [1, 3];

/** A browser's WebSocket, and what the server does with it. */
class FakeWebSocket {
  binaryType = "blob";
  bufferedAmount = 0;
  state = "connecting";
  /** The code that the page closed it with, if it did with one. @type {number | undefined} */
  code;
  /** Messages that the page sent. @type {Uint8Array[]} */
  sent = [];
  /** What becomes of the messages that the page sends. @type {(message: Uint8Array) => void} */
  receive = () => {};
  onopen = () => {};
  /** @type {(event: {data: ArrayBuffer | string}) => void} */
  onmessage = () => {};
  /** @type {(event: {code: number, reason: string}) => void} */
  onclose = () => {};

  /** @param {string} url @param {string} subprotocol @param {number} time */
  constructor(url, subprotocol, time) {
    this.url = url;
    this.subprotocol = subprotocol;
    this.openedAt = time;
  }

  // ── What the page does ─────────────────────────────────────────────────────────────────────────────

  get readyState() {
    return { connecting: 0, open: OPEN, closed: CLOSED }[this.state];
  }

  /** @param {Uint8Array} message */
  send(message) {
    if (this.state === "connecting") throw new DOMException("still connecting", "InvalidStateError");
    if (this.state !== "open") return;
    this.sent.push(message);
    this.receive(message);
  }

  /** @param {number} [code] */
  close(code) {
    this.code = code;
    this.state = "closed";
  }

  // ── What the server and the network do ─────────────────────────────────────────────────────────────

  open() {
    this.state = "open";
    this.onopen();
  }

  /** Messages arrive, in pieces of at most so many bytes. @param {Uint8Array[]} messages @param {number} [size] */
  deliver(messages, size = Infinity) {
    for (const message of messages) {
      for (let at = 0; at < message.length; at += size) {
        this.onmessage({ data: message.slice(at, at + size).buffer });
      }
    }
  }

  /** @param {string} [reason] @param {number} [code] */
  drop(reason = "", code = 1006) {
    this.state = "closed";
    this.onclose({ code, reason });
  }
}

/** A request of fetch, and what the server and the network do with it. */
class FakeRequest {
  state = "waiting";
  /** @type {(response: Response) => void} */
  #resolve = () => {};
  /** @type {(reason: any) => void} */
  #reject = () => {};

  /** @param {string} url @param {RequestInit & {body: Uint8Array}} init @param {number} time */
  constructor(url, init, time) {
    this.url = url;
    this.init = init;
    this.body = init.body;
    this.madeAt = time;
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    init.signal?.addEventListener("abort", () => {
      if (this.state === "waiting") this.state = "aborted";
      this.#reject(init.signal?.reason);
    });
  }

  /** @param {Uint8Array | ReadableStream<Uint8Array>} body @param {number} [status] */
  answer(body, status = 200) {
    if (this.state !== "waiting") return;
    this.state = "answered";
    this.#resolve(new Response(/** @type {BodyInit} */ (body), { status }));
  }

  /** As browsers do, whatever was wrong. */
  fail() {
    this.state = "failed";
    this.#reject(new TypeError("Failed to fetch"));
  }
}

/** A browser's XMLHttpRequest, of which only what is synchronous is used. */
class FakeXMLHttpRequest {
  status = 0;
  response = new ArrayBuffer(0);
  responseText = "";
  #responseType = "";
  #timeout = 0;
  #asCharacters = false;
  /** @type {Record<string, string>} */
  #headers = {};
  #opened = ["", ""];

  /** @param {Page} page */
  constructor(page) {
    this.page = page;
  }

  /** @param {string} method @param {string} url @param {boolean} later */
  open(method, url, later) {
    if (later) throw new Error("only synchronous ones are used");
    this.#opened = [method, url];
  }

  /** @param {string} name @param {string} value */
  setRequestHeader(name, value) {
    this.#headers[name] = value;
  }

  set responseType(/** @type {string} */ type) {
    this.#onlyInWorkers();
    this.#responseType = type;
  }

  set timeout(/** @type {number} */ milliseconds) {
    this.#onlyInWorkers();
    this.#timeout = milliseconds;
  }

  /** XMLHttpRequest §3.6. */
  #onlyInWorkers() {
    if ("document" in globalThis) throw new DOMException("a page's own thread", "InvalidAccessError");
  }

  /** @param {string} type */
  overrideMimeType(type) {
    this.#asCharacters = type === "text/plain; charset=x-user-defined";
  }

  /** @param {Uint8Array} body */
  send(body) {
    const [method, url] = this.#opened;
    this.page.exchanges.push({ method, url, headers: this.#headers, timeout: this.#timeout, body });
    const answer = this.page.answerNow(body);
    if (!answer) throw new DOMException(`Failed to load '${url}'.`, "NetworkError");
    this.status = answer.status;
    if (this.#responseType === "arraybuffer") this.response = answer.body.slice().buffer;
    else if (this.#asCharacters) this.responseText = Array.from(answer.body, userDefined).join("");
    else this.responseText = new TextDecoder().decode(answer.body);
  }
}

/** What a decoder of x-user-defined makes of a byte (Encoding §14.5). @param {number} byte */
const userDefined = (byte) => String.fromCharCode(byte < 0x80 ? byte : 0xf780 + byte - 0x80);

export class Page {
  clock = new Clock();
  /** All that were ever opened, oldest first. @type {FakeWebSocket[]} */
  webSockets = [];
  /** All that were ever made, oldest first. @type {FakeRequest[]} */
  requests = [];
  /** Synchronous requests, oldest first. @type {{method: string, url: string, headers: object, timeout: number, body: Uint8Array}[]} */
  exchanges = [];
  /** What answers them; null: nobody. @type {(body: Uint8Array) => {status: number, body: Uint8Array} | null} */
  answerNow = () => null;
  /** What is called when the page has its next turn. @type {(() => void)[]} */
  turns = [];
  /** Events of the window. */
  events = new EventTarget();
  /** What Math.random gives. */
  chance = 1;

  /** @param {TestContext} t whose end puts everything back @param {{thread?: "page" | "worker"}} [options] */
  constructor(t, { thread = "worker" } = {}) {
    const { clock, webSockets, requests, turns, events } = this;
    /** @type {Record<string, any>} */
    const replaced = {
      WebSocket: function openWebSocket(/** @type {string} */ url, /** @type {string} */ subprotocol) {
        if (!URL.canParse(url)) throw new DOMException(`The URL '${url}' is invalid.`, "SyntaxError");
        const webSocket = new FakeWebSocket(url, subprotocol, clock.now);
        webSockets.push(webSocket);
        return webSocket;
      },
      fetch: (/** @type {string} */ url, /** @type {any} */ init) => {
        if (!URL.canParse(url)) return Promise.reject(new TypeError(`Failed to parse URL from ${url}`));
        const request = new FakeRequest(url, init, clock.now);
        requests.push(request);
        return request.response;
      },
      XMLHttpRequest: FakeXMLHttpRequest.bind(null, this),
      MessageChannel: function openChannel() {
        const port1 = { onmessage: () => {}, close: () => {} };
        return { port1, port2: { postMessage: () => turns.push(() => port1.onmessage()) } };
      },
      addEventListener: events.addEventListener.bind(events),
      setTimeout: clock.setTimeout.bind(clock),
      setInterval: clock.setInterval.bind(clock),
      clearTimeout: (/** @type {Timer} */ timer) => clock.timers.delete(timer),
      clearInterval: (/** @type {Timer} */ timer) => clock.timers.delete(timer),
    };
    Object.assign(replaced.WebSocket, { OPEN, CLOSED });
    if (thread === "page") replaced.document = {};
    for (const [name, value] of Object.entries(replaced)) {
      const before = Object.getOwnPropertyDescriptor(globalThis, name);
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
      t.after(() => {
        if (before) Object.defineProperty(globalThis, name, before);
        else Reflect.deleteProperty(globalThis, name);
      });
    }
    t.mock.method(performance, "now", () => clock.look());
    t.mock.method(Math, "random", () => this.chance);
  }

  /** The newest WebSocket. */
  get webSocket() {
    return this.webSockets[this.webSockets.length - 1];
  }

  /** The newest request. */
  get request() {
    return this.requests[this.requests.length - 1];
  }

  /** Those that wait for an answer, oldest first. */
  get waiting() {
    return this.requests.filter(({ state }) => state === "waiting");
  }

  /** The page has a turn. */
  turn() {
    for (const turn of this.turns.splice(0)) turn();
  }

  /** Everything that can go on by itself does. */
  async settle() {
    for (let turn = 0; turn < 5; turn++) await setImmediate();
  }
}
