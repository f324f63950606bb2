/**
 * A streaming answer: brings a session's messages while its WebSocket takes along what the page has.
 *
 * Chromium hands a page the body of an answer several times as fast as messages of a WebSocket.
 * @module
 */

import { STATUSES, ask } from "./http.js";

/**
 * Bytes that are read at once. Left alone, Chromium brings up to 2 MiB in one piece, of which a socket that keeps a
 * little would keep all.
 */
const BUFFER = 256 * 1024;

/**
 * @typedef {object} StreamEvents
 * @property {(piece: Uint8Array) => void} received
 * @property {(error: string) => void} closed once, after which nothing comes; empty if it ended as it should
 */

/**
 * @param {string} url where exchanges go
 * @param {Uint8Array} greeting
 * @param {StreamEvents} events
 * @returns {{close: () => void}}
 */
export function openStream(url, greeting, events) {
  const controller = new AbortController();
  const { signal } = controller;
  const read = async () => {
    const response = await ask(url, greeting, signal);
    if (!STATUSES.has(response.status)) throw new Error(`HTTP status ${response.status}`);
    const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader({ mode: "byob" });
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(BUFFER));
      if (signal.aborted || done) return;
      events.received(value);
    }
  };
  read().then(
    () => signal.aborted || events.closed(""),
    (error) => signal.aborted || events.closed(String(error)),
  );
  return { close: () => controller.abort() };
}
