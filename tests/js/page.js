/**
 * What js/connection.js uses of a browser (WebSocket, clock, timers, chance), in the hands of a test. Each
 * promise of a test is kept by asking it to: nothing happens by itself.
 * @module
 */

/**
 * @typedef {import("node:test").TestContext} TestContext
 * @typedef {{due: number, callback: () => void}} Timer
 */

/** A clock that stands until it is moved, and the timers that it sets off. */
class Clock {
  now = 1000;
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

/** A browser's WebSocket, and what the server does with it. */
class FakeWebSocket {
  binaryType = "blob";
  bufferedAmount = 0;
  state = "connecting";
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

  /** @param {Uint8Array} message */
  send(message) {
    if (this.state === "connecting") throw new DOMException("still connecting", "InvalidStateError");
    if (this.state !== "open") return;
    this.sent.push(message);
    this.receive(message);
  }

  close() {
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

export class Page {
  clock = new Clock();
  /** All that were ever opened, oldest first. @type {FakeWebSocket[]} */
  webSockets = [];
  /** What Math.random gives. */
  chance = 1;

  /** @param {TestContext} t whose end puts everything back */
  constructor(t) {
    const { clock, webSockets } = this;
    const before = globalThis.WebSocket;
    t.after(() => {
      globalThis.WebSocket = before;
    });
    globalThis.WebSocket = /** @type {any} */ (
      function openWebSocket(/** @type {string} */ url, /** @type {string} */ subprotocol) {
        if (!URL.canParse(url)) throw new DOMException(`The URL '${url}' is invalid.`, "SyntaxError");
        const webSocket = new FakeWebSocket(url, subprotocol, clock.now);
        webSockets.push(webSocket);
        return webSocket;
      }
    );
    t.mock.method(performance, "now", () => clock.now);
    t.mock.method(Math, "random", () => this.chance);
    t.mock.method(globalThis, "setTimeout", /** @type {any} */ (clock.setTimeout.bind(clock)));
    t.mock.method(
      globalThis,
      "clearTimeout",
      /** @type {any} */ ((/** @type {Timer} */ timer) => clock.timers.delete(timer)),
    );
  }

  /** The newest WebSocket. */
  get webSocket() {
    return this.webSockets[this.webSockets.length - 1];
  }
}
