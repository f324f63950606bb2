/**
 * Signals for Python, as Ctrl-C: a page sends them through memory that it shares with Python's thread
 * (pyodide.setInterruptBuffer). While Python is suspended, nothing else looks for them.
 * @module
 */

/** How often (ms) they are looked for. */
const EVERY = 100;

/**
 * Whether Python is to handle a signal; null where nobody can send one.
 * @param {any} module Emscripten's
 * @returns {boolean | null}
 */
export function interrupted(module) {
  const buffer = module.Py_EmscriptenSignalBuffer;
  return buffer ? buffer[0] !== 0 : null;
}

/**
 * Call back when a signal has come.
 * @param {any} module @param {() => void} callback
 * @returns {() => void} ends it
 */
export function whenInterrupted(module, callback) {
  if (interrupted(module) === null) return () => {};
  const timer = setInterval(() => interrupted(module) && callback(), EVERY);
  return () => clearInterval(timer);
}

/**
 * Wait for a promise, or a signal: the signal's number, which is then taken, or else what the promise gives, in an
 * array. Left where it was, a signal would be raised in whatever code of the event loop's runs next.
 * @param {any} module Emscripten's @param {Promise<any>} promise
 * @returns {Promise<[any] | number>}
 */
export function unlessInterrupted(module, promise) {
  return new Promise((resolve, reject) => {
    const forget = whenInterrupted(module, () => {
      forget();
      const buffer = module.Py_EmscriptenSignalBuffer;
      const signal = buffer[0];
      buffer[0] = 0;
      resolve(signal);
    });
    promise.finally(forget).then((value) => resolve([value]), reject);
  });
}
