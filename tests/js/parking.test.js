import assert from "node:assert/strict";
import { test } from "node:test";

import { Parking, parked } from "../../js/sockfs/parking.js";

const RUNTIME = 1000;
const INTERPRETER = 4242;
const THREADS = [2000, 3000];

/** What Parking asks Pyodide for; the frames of `THREADS` are 71 and 72. @param {string} version */
function interpreter(version) {
  const memory = new ArrayBuffer(8192);
  const HEAPU8 = new Uint8Array(memory);
  const HEAPU32 = new Uint32Array(memory);
  HEAPU8.set(new TextEncoder().encode("xdebugpy"), RUNTIME);
  HEAPU32[(RUNTIME + 200) >> 2] = 8;
  HEAPU32[(RUNTIME + 208) >> 2] = 52;
  const module = {
    API: { version },
    HEAPU8,
    HEAPU32,
    __PyRuntime: RUNTIME,
    thread: THREADS[0],
    _PyThreadState_GetUnchecked: () => THREADS[0],
    _PyGILState_GetThisThreadState: () => module.thread,
    _PyInterpreterState_Get: () => INTERPRETER,
    frame: (/** @type {number} */ thread) => module.HEAPU32[(thread + 52) >> 2],
  };
  for (const [index, thread] of THREADS.entries()) {
    HEAPU32[(thread + 8) >> 2] = INTERPRETER;
    HEAPU32[(thread + 52) >> 2] = 71 + index;
  }
  return module;
}

test("an interpreter that needs no help is left alone", () => {
  const module = interpreter("314.0.8");
  const wait = Promise.resolve(1);
  assert.equal(new Parking(module).park(wait), wait);
  assert.equal(module.frame(THREADS[0]), 71);
});

test("the frame of a suspended thread is gone until it goes on", async () => {
  const module = interpreter("314.0.7");
  const { promise, resolve } = withResolvers();
  const left = new Parking(module).park(promise);
  assert.equal(module.frame(THREADS[0]), 0);
  module.HEAPU32 = module.HEAPU32.slice(); // the memory grows
  resolve(5);
  assert.equal(await left, 5);
  assert.equal(module.frame(THREADS[0]), 71);
});

test("a wait that fails gives the frame back, too", async () => {
  const module = interpreter("314.0.7");
  await assert.rejects(new Parking(module).park(Promise.reject(new Error("no"))), /no/);
  assert.equal(module.frame(THREADS[0]), 71);
});

test("for run_sync a frame is taken when its thread is put away, and not before", async () => {
  const module = interpreter("314.0.7");
  const { promise, resolve } = withResolvers();
  const soon = new Parking(module).parkSoon(promise);
  assert.equal(soon.constructor, Promise);
  assert.equal(module.frame(THREADS[0]), 71); // it still runs
  module._PyThreadState_GetUnchecked = () => THREADS[1];
  const waiting = (async () => await soon)();
  assert.equal(module.frame(THREADS[0]), 0);
  assert.equal(module.frame(THREADS[1]), 72);
  resolve(5);
  assert.equal(await waiting, 5);
  assert.equal(module.frame(THREADS[0]), 71);
});

test("an interpreter has one parking, and where it needs none run_sync gets the promise that it would", () => {
  const module = interpreter("314.0.8");
  assert.equal(Parking.of(module), Parking.of(module));
  const wait = Promise.resolve(1);
  assert.equal(parked(module, wait), wait);
});

test("of those told to go on together, each does in a turn of its own", async () => {
  const module = interpreter("314.0.7");
  const parking = new Parking(module);
  const { promise, resolve } = withResolvers();
  const first = parking.park(promise);
  module.thread = THREADS[1];
  const second = parking.park(promise);
  resolve(undefined);
  await first;
  assert.deepEqual(THREADS.map(module.frame), [71, 0]);
  await second;
  assert.deepEqual(THREADS.map(module.frame), [71, 72]);
});

function withResolvers() {
  /** @type {(value: unknown) => void} */
  let resolve = () => {};
  const promise = new Promise((settle) => { resolve = settle; });
  return { promise, resolve };
}
