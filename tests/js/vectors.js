/**
 * Reads tests/vectors, which Python's tests read too (tests/unit/vectors.py).
 * @module
 */

import { readFileSync } from "node:fs";

/** One file of tests/vectors.
 * @param {string} name
 * @returns {any} */
export function vectors(name) {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), "utf-8"));
}

/** Bytes written as hex with spaces, as lines of it, or as a number of zero bytes.
 * @param {string | number | string[]} value */
export function bytesOf(value) {
  if (typeof value === "number") return new Uint8Array(value);
  const hex = (typeof value === "string" ? value : value.join("")).replaceAll(" ", "");
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));
}

/** @param {Uint8Array} bytes */
export function hexOf(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The frame of a vector, whose data is hex. @param {any} frame */
export function frameOf(frame) {
  return "data" in frame ? { ...frame, data: bytesOf(frame.data) } : frame;
}

/** A frame as a vector has it. @param {any} frame */
export function plain(frame) {
  return "data" in frame ? { ...frame, data: hexOf(frame.data) } : frame;
}

/** @param {Uint8Array[]} parts */
export function joined(...parts) {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}
