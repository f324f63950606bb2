/**
 * What a connection keeps of each carrier that it tries or uses, and of each exchange.
 * @module
 */

import { exchangeAddress, openLongPoll } from "./carriers/http.js";
import { openWebSocket } from "./carriers/websocket.js";
import { REPLAY_LIMIT } from "./link.js";
import { MessageReader } from "./wire.js";

/**
 * Most bytes that may pile up in a carrier. All that is kept for replay fits in, and as much again; a proxy
 * that makes more of it, by pings that are to be answered or messages to be acknowledged, does not read.
 */
export const UNSENT_MAX = 2 * REPLAY_LIMIT;

/**
 * Bytes that a WebSocket is given while the page has no turn. Chromium takes no more into its own process then
 * than a pipe holds; what is beyond would wait, while exchanges move it at once.
 */
export const GIVEN_MAX = 64 * 1024;

/** A carrier that lasted so long (ms) was a good one, even if it had nothing to move. */
const LASTING = 5_000;

/**
 * @typedef {object} Line
 * @property {import("./attempts.js").Kind | "exchange" | "stream"} kind
 * @property {import("./carriers/websocket.js").Carrier | null} carrier one that the session can send on
 * @property {boolean} beside it carries the session only beside another, or for the time of an exchange
 * @property {MessageReader} reader cuts what comes on it into messages
 * @property {boolean} welcomed
 * @property {boolean} retired another has taken its place, and what is under way on it is waited for
 * @property {boolean} over nothing that still comes on it means anything
 * @property {number} since when it was welcomed
 * @property {number} seen what the proxy had seen then
 * @property {boolean} moved whether it has moved any of the session's messages
 */

/** One that is not welcomed yet. @param {Line["kind"]} kind @returns {Line} */
export const newLine = (kind) => ({
  kind,
  carrier: null,
  beside: kind === "exchange" || kind === "stream",
  reader: new MessageReader(),
  welcomed: false,
  retired: false,
  over: false,
  since: 0,
  seen: 0,
  moved: false,
});

/**
 * @param {import("./attempts.js").Kind} kind @param {string} url of the proxy's WebSocket endpoint
 * @param {import("./carriers/websocket.js").CarrierEvents} events
 */
export function openCarrier(kind, url, events) {
  return kind === "HTTP" ? openLongPoll(exchangeAddress(url), events) : openWebSocket(url, events);
}

/** Whether it was of use until now. @param {Line} line @param {number} time */
export function hasServed(line, time) {
  return line.moved || time - line.since >= LASTING;
}
