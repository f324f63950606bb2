/**
 * Shows the stages of getting ready: how far each is, how much it brings, how long it takes.
 * @module
 */

import { bytes, duration } from "./format.js";

/** Times are shown anew this often (ms): something moves, whatever else stands still. */
const TICK = 100;

const TITLES = {
  runtime: "WebAssembly runtime",
  library: "Python and its standard library",
  package: "pynet-browser",
  connection: "Connection to the proxy",
};

/** @typedef {keyof typeof TITLES} StageName */

export class Stages {
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /** @param {HTMLElement} list */
  constructor(list) {
    this.list = list;
    this.all = /** @type {Record<StageName, Stage>} */ (
      Object.fromEntries(Object.entries(TITLES).map(([name, title]) => [name, new Stage(title)]))
    );
    list.append(...Object.values(this.all).map(({ element }) => element));
  }

  /** Show the list, with these stages still to come. @param {StageName[]} names */
  show(...names) {
    for (const name of names) this.all[name].reset();
    this.list.hidden = false;
    clearInterval(this.#timer);
    this.#timer = setInterval(() => {
      for (const stage of Object.values(this.all)) stage.tick();
    }, TICK);
  }

  /**
   * Something of a stage has come.
   * @param {string} name
   * @param {{loaded: number, total: number | null}} soFar bytes
   */
  advance(name, soFar) {
    const stage = this.all[/** @type {StageName} */ (name)];
    stage.advance(soFar);
    // The runtime is compiled while it comes; what is started then is Python.
    if (name === "runtime" && soFar.loaded === soFar.total) stage.end("done");
  }

  hide() {
    clearInterval(this.#timer);
    this.list.hidden = true;
  }

  /**
   * Show how long the work of a stage takes.
   * @template T
   * @param {StageName} name
   * @param {Promise<T>} work
   * @returns {Promise<T>}
   */
  async during(name, work) {
    const stage = this.all[name];
    stage.start();
    try {
      const result = await work;
      stage.end("done");
      return result;
    } catch (error) {
      stage.end("failed");
      throw error;
    }
  }
}

class Stage {
  element = document.createElement("li");
  #bar = document.createElement("progress");
  #size = document.createElement("span");
  #time = document.createElement("span");
  /** @type {number | null} */
  #since = null;

  /** @param {string} title */
  constructor(title) {
    const name = document.createElement("span");
    name.className = "name";
    name.textContent = title;
    this.#size.className = "size";
    this.#time.className = "time";
    this.#bar.setAttribute("aria-label", title);
    this.element.append(name, this.#size, this.#time, this.#bar);
    this.reset();
  }

  reset() {
    this.#since = null;
    this.element.className = "waiting";
    this.#size.textContent = this.#time.textContent = "";
    this.#bar.value = 0;
  }

  start() {
    if (this.#since !== null) return;
    this.#since = performance.now();
    this.element.className = "running";
    this.#bar.removeAttribute("value"); // until its size is known
    this.tick();
  }

  /** @param {{loaded: number, total: number | null}} bytes */
  advance({ loaded, total }) {
    if (this.element.className === "waiting") this.start();
    const complete = total !== null && loaded >= total;
    this.#size.textContent = complete || !total ? bytes(loaded) : `${bytes(loaded)} of ${bytes(total)}`;
    if (this.element.className !== "running") return;
    // What is loaded must still be started, and nobody knows how long that takes.
    if (total && !complete) this.#bar.value = loaded / total;
    else this.#bar.removeAttribute("value");
  }

  tick() {
    if (this.#since === null || this.element.className !== "running") return;
    this.#time.textContent = duration(performance.now() - this.#since);
  }

  /** @param {"done" | "failed"} state */
  end(state) {
    if (this.element.className !== "running") return;
    this.tick();
    this.element.className = state;
    this.#bar.value = state === "done" ? 1 : 0;
  }
}
