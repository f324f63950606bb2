/**
 * What is still held in memory, asked of the garbage collector.
 * @module
 */

import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");

/** How many of these objects are still held by something. @param {WeakRef<object>[]} references */
export async function held(references) {
  await setImmediate(); // a reference that was read or made in this turn is held until its end
  collect();
  return references.filter((reference) => reference.deref()).length;
}

/** Bytes in use, inside JavaScript's heap and in buffers outside of it. */
export async function inUse() {
  await setImmediate();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
