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
 * Take signals as they come, which Python is then told of. Left where they were, they would be raised in whatever
 * code of the event loop's runs next.
 * @param {any} module Emscripten's @param {(signal: number) => void} take
 * @returns {() => void} ends it
 */
export function takeSignals(module, take) {
  return whenInterrupted(module, () => {
    const buffer = module.Py_EmscriptenSignalBuffer;
    const signal = buffer[0];
    buffer[0] = 0;
    take(signal);
  });
}
