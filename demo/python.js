/**
 * The page's hold on the worker that Python runs in.
 * @module
 */

/** How long (ms) a program that was asked to stop may take; then the worker is ended. */
const STOP_PATIENCE = 1500;

/**
 * @typedef {object} Outcome
 * @property {"finished" | "failed" | "exited" | "stopped" | "killed"} outcome
 * @property {string} [traceback]
 * @property {string} [code]
 *
 * @typedef {object} PythonEvents
 * @property {(progress: {stage: string, loaded: number, total: number | null}) => void} progress
 * @property {(pieces: {stream: string, text: string}[]) => void} output
 * @property {(status: any) => void} status what `pynet_browser.status()` says, and when;
 *   a few times per second
 */

export class Python {
  /** @type {Map<number, {call: string, resolve: (value: any) => void, reject: (error: Error) => void}>} */
  #waiting = new Map();
  #count = 0;
  /** @type {Worker} */
  #worker;

  /** @param {PythonEvents} events */
  constructor(events) {
    this.events = events;
    this.#worker = this.#start();
  }

  #start() {
    const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }) => {
      if (worker === this.#worker) this.#received(data);
    };
    worker.onerror = (event) => this.#fail(new Error(event.message || "the worker could not be loaded"));
    return worker;
  }

  /**
   * Load Python.
   * @param {string} indexURL directory with Pyodide
   * @returns {Promise<{python: string, pyodide: string, suspends: boolean}>}
   */
  boot(indexURL) {
    return this.#call("boot", indexURL);
  }

  /**
   * Install the package.
   * @param {string} wheel its URL
   * @returns {Promise<void>}
   */
  install(wheel) {
    return this.#call("install", wheel);
  }

  /**
   * Give Python its network.
   * @param {{url: string, token: string}} proxy
   * @returns {Promise<string>} what failed; empty if nothing did
   */
  connect(proxy) {
    return this.#call("connect", proxy);
  }

  /** @returns {Promise<void>} */
  disconnect() {
    return this.#call("disconnect");
  }

  /**
   * Run a program to its end. After "killed", and after an error, Python must be booted and connected again.
   * @param {string} source
   * @returns {Promise<Outcome>}
   * @throws {Error} Python itself broke
   */
  run(source) {
    return this.#call("run", source);
  }

  /**
   * End the program that runs: gently where it waits for the network, else by ending the worker. No browser
   * lets a page interrupt code that computes, unless the page is isolated from others.
   */
  stop() {
    const running = [...this.#waiting.values()].find(({ call }) => call === "run");
    if (!running) return;
    this.#call("stop").catch(() => {});
    setTimeout(() => {
      if (![...this.#waiting.values()].includes(running)) return;
      running.resolve({ outcome: "killed" });
      this.restart();
    }, STOP_PATIENCE);
  }

  /** Begin anew, with a Python that is to be booted. */
  restart() {
    this.#worker.terminate();
    this.#fail(new Error("Python was started anew"));
    this.#worker = this.#start();
  }

  /**
   * @param {string} call
   * @param {unknown} [argument]
   * @returns {Promise<any>}
   */
  #call(call, argument) {
    return new Promise((resolve, reject) => {
      const id = ++this.#count;
      this.#waiting.set(id, { call, resolve, reject });
      this.#worker.postMessage({ id, call, argument });
    });
  }

  /** @param {any} data an answer or an event */
  #received({ id, value, error, event, detail }) {
    if (event) {
      this.events[/** @type {keyof PythonEvents} */ (event)](detail);
      return;
    }
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(new Error(error));
  }

  /** @param {Error} error */
  #fail(error) {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
