/**
 * Keeps Python's garbage collector off stacks that are suspended: a workaround for Pyodide 314.0.7.
 *
 * The collector follows the frames of every thread state, of which each suspended task has one. The frames by which C
 * code has entered Python lie on the C stack, and others use that memory until the task goes on
 * (github.com/pyodide/pyodide/issues/6464; mended in what comes after 314.0.7, in the same way). What the collector
 * learns there is a short cut, nothing it needs.
 * @module
 */

import { afterTurn } from "../turn.js";

const AFFECTED = "314.0.7";

/** Where CPython 3.14 tells debuggers, in 64-bit numbers behind a cookie, how its structures are laid out (PEP 768). */
const COOKIE = "xdebugpy";
const INTERPRETER_OF_THREAD = 200;
const FRAME_OF_THREAD = 208;

/** What Python may be suspended on by `run_sync`. @param {any} module Pyodide's @param {Promise<any>} wait */
export function parked(module, wait) {
  return Parking.of(module).parkSoon(wait);
}

/** The same, until `resolve` is called. @param {any} module Pyodide's */
export function suspension(module) {
  let resolve = () => {};
  const wait = new Promise((settle) => { resolve = () => settle(undefined); });
  return { promise: parked(module, wait), resolve };
}

/** @type {WeakMap<object, Parking>} */
const parkings = new WeakMap();

export class Parking {
  /** Of a thread state: where it has its current frame; 0 where nothing needs to be done. */
  #frame = 0;
  /** Settled when the one that goes on, if any, has its stack back. @type {Promise<unknown>} */
  #free = Promise.resolve();

  /** @param {any} module Pyodide's @returns {Parking} its only one */
  static of(module) {
    const known = parkings.get(module) ?? new Parking(module);
    parkings.set(module, known);
    return known;
  }

  /** @param {any} module Pyodide's */
  constructor(module) {
    this.module = module;
    if (module.API?.version !== AFFECTED) return;
    const { __PyRuntime: runtime, HEAPU8, HEAPU32 } = module;
    const cookie = String.fromCharCode(...HEAPU8.subarray(runtime, runtime + COOKIE.length));
    if (cookie !== COOKIE) return;
    const thread = module._PyThreadState_GetUnchecked();
    const interpreter = HEAPU32[(thread + HEAPU32[(runtime + INTERPRETER_OF_THREAD) >> 2]) >> 2];
    if (interpreter === module._PyInterpreterState_Get()) this.#frame = HEAPU32[(runtime + FRAME_OF_THREAD) >> 2];
  }

  /**
   * What the interpreter is about to be suspended on: until then nothing of it may run any more.
   * @template T
   * @param {Promise<T>} wait
   * @returns {Promise<T>}
   */
  park(wait) {
    if (!this.#frame) return wait;
    // Of the thread, and not of Python: around system calls Python has let go of its state.
    const thread = this.module._PyGILState_GetThisThreadState();
    return thread ? this.#parked(wait, (thread + this.#frame) >> 2) : wait;
  }

  /**
   * The same for a promise that Python's `run_sync` will be suspended on. Of what it awaits at last, its own thread
   * state put away, the constructor is asked for (ECMA-262 §27.2.4.7.1): nothing runs between that and suspending.
   * @template T
   * @param {Promise<T>} wait
   * @returns {Promise<T>}
   */
  parkSoon(wait) {
    const thread = this.#frame && this.module._PyThreadState_GetUnchecked();
    if (!thread) return wait;
    const at = (thread + this.#frame) >> 2;
    let frame = 0;
    const given = this.#given(wait, at, () => frame);
    Object.defineProperty(given, "constructor", {
      get: () => {
        if (!frame && this.module._PyThreadState_GetUnchecked() !== thread) frame = this.#take(at);
        return Promise;
      },
    });
    return given;
  }

  /**
   * Several may be told to go on in one turn, and the first would run while the others' stacks are not back: so
   * only one does in each.
   * @template T
   * @param {Promise<T>} wait
   * @param {number} at
   * @returns {Promise<T>}
   */
  #parked(wait, at) {
    const frame = this.#take(at);
    return this.#given(wait, at, () => frame);
  }

  /** @param {number} at */
  #take(at) {
    const frame = this.module.HEAPU32[at];
    this.module.HEAPU32[at] = 0;
    return frame;
  }

  /**
   * @template T
   * @param {Promise<T>} wait
   * @param {number} at
   * @param {() => number} taken the frame; 0 if it was left where it is
   * @returns {Promise<T>}
   */
  async #given(wait, at, taken) {
    try {
      return await wait;
    } finally {
      if (taken()) {
        const before = this.#free;
        let done = () => {};
        this.#free = new Promise((resolve) => { done = () => resolve(undefined); });
        await before;
        afterTurn(done);
        this.module.HEAPU32[at] = taken(); // the memory may have grown: its views are others then
      }
    }
  }
}
