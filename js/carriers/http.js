/**
 * Exchanges over HTTP: one at a time while the page waits, or a carrier of many that follow each other.
 *
 * Nothing in a request makes a browser ask for leave first (Fetch, "CORS-safelisted"): the token is in the body.
 * @module
 */

import { joined } from "../fields.js";
import { standStill } from "../turn.js";
import { FRAME_HEADER, LAYOUTS, MESSAGE_HEADER, viewOf } from "../wire.js";

/** How long (ms) an answer may be held back; the proxy allows no more. */
export const WAIT_MAX = 25_000;

/** Most bytes of messages in an answer. */
export const ANSWER_MAX = 4 << 20;

/** Most bytes of messages in a request, beside one that is larger alone. */
export const BODY_MAX = 1 << 20;

/** Most bytes that leave this page even if it is left now (Fetch §4.6, "inflightKeepaliveBytes"). */
export const LAST_MAX = 64 * 1024;

/** No answer is longer: messages, one that may go beyond, the greeting. */
const LENGTH_MAX = ANSWER_MAX + (2 << 20);

/** Answers with these statuses are messages; any other is not our proxy's. */
export const STATUSES = new Set([200, 400, 403]);

/** What an answer of our proxy begins with: a short message that is not numbered. */
const FIRST_MAX = 4096;
const FIRST_KINDS = new Set(["welcome", "refused", "goaway"].map((type) => LAYOUTS[type].kind));

const MEDIA_TYPE = "text/plain";

/**
 * Where exchanges go, of a proxy whose WebSocket is at `url`.
 * @param {string} url ws:// or wss://
 */
export function exchangeAddress(url) {
  const [base, ...query] = url.replace(/^ws/, "http").split("?");
  return [`${base}/http`, ...query].join("?");
}

/**
 * One exchange, during which nothing else happens on this thread.
 * @param {string} url
 * @param {Uint8Array} body
 * @param {number} [patience] ms after which a worker gives up; a page's own thread may set no timeout
 * @returns {Uint8Array} what came back
 * @throws {Error} no proxy has answered; DOMException if nobody has
 */
export function exchangeNow(url, body, patience = 0) {
  const request = new XMLHttpRequest();
  request.open("POST", url, false);
  request.setRequestHeader("Content-Type", MEDIA_TYPE);
  const answer = askNow(request, body, patience);
  return ours(request.status, answer);
}

/**
 * Send a synchronous request that was opened.
 * @param {XMLHttpRequest} request
 * @param {Uint8Array | undefined} body
 * @param {number} patience ms after which a worker gives up; 0 for never
 * @returns {Uint8Array} what the answer holds
 * @throws {DOMException} there is no answer
 */
export function askNow(request, body, patience) {
  // A page's own thread may set no responseType here (XMLHttpRequest §3.6.9): bytes come as characters.
  const inWorker = !("document" in globalThis);
  if (inWorker) [request.responseType, request.timeout] = ["arraybuffer", patience];
  else request.overrideMimeType("text/plain; charset=x-user-defined");
  standStill(() => request.send(/** @type {Uint8Array<ArrayBuffer> | undefined} */ (body)));
  return inWorker ? new Uint8Array(request.response) : bytesOf(request.responseText);
}

/**
 * The answer, if it is our proxy's: gateways and portals answer too, with pages for people.
 * @param {number} status @param {Uint8Array} answer
 * @throws {Error} it is somebody else's
 */
function ours(status, answer) {
  if (!STATUSES.has(status)) throw new Error(`HTTP status ${status}`);
  const long = answer.length >= MESSAGE_HEADER + FRAME_HEADER;
  if (long && viewOf(answer).getUint32(0) <= FIRST_MAX && FIRST_KINDS.has(answer[MESSAGE_HEADER])) return answer;
  throw new Error(`HTTP status ${status} with an answer that is no proxy's`);
}

/** What x-user-defined made of bytes: those from 0x80 on are at U+F780 (Encoding §14.5). @param {string} text */
function bytesOf(text) {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

/**
 * A carrier of exchanges: one brings what the proxy has as soon as it has something, others take along what this
 * page has.
 * @param {string} url
 * @param {import("./websocket.js").CarrierEvents} events
 * @returns {import("./websocket.js").Carrier}
 */
export function openLongPoll(url, events) {
  const controller = new AbortController();
  const { signal } = controller;
  /** @type {Uint8Array[]} */
  const queue = [];
  let unsent = 0;
  let bringing = false;
  let retired = false;

  /** @param {unknown} error */
  const fail = (error) => {
    if (signal.aborted) return;
    controller.abort();
    events.closed(error instanceof Error ? error.message : String(error));
  };

  const taken = () => {
    let [count, size] = [0, 0];
    while (count < queue.length && (!count || size + queue[count].length <= BODY_MAX)) size += queue[count++].length;
    unsent -= size;
    return queue.splice(0, count);
  };

  /** @param {import("../session.js").Purpose} purpose @param {Uint8Array[]} messages */
  const exchange = async (purpose, messages) => {
    const answer = await post(url, joined([events.greeting(purpose), ...messages]), signal);
    if (!signal.aborted) events.received(answer);
  };

  const bring = async () => {
    if (bringing) return;
    bringing = true;
    try {
      while (queue.length && !signal.aborted && !retired) await exchange({ type: "poll", wait: 0, limit: 0 }, taken());
    } catch (error) {
      fail(error);
    }
    bringing = false;
  };

  const fetchAll = async () => {
    try {
      await exchange({ type: "poll", wait: 0, limit: ANSWER_MAX }, []);
      while (!signal.aborted && !retired) await exchange({ type: "poll", wait: WAIT_MAX, limit: ANSWER_MAX }, []);
    } catch (error) {
      fail(error);
    }
  };
  fetchAll();

  return {
    send: (message) => {
      queue.push(message.slice());
      unsent += message.length;
      queueMicrotask(bring);
    },
    get unsent() {
      return unsent;
    },
    close: () => controller.abort(),
    retire: () => {
      retired = true;
    },
  };
}

/**
 * Send messages of which no answer is wanted; they leave even if the page is left now.
 * @param {string} url
 * @param {Uint8Array} greeting
 * @param {Uint8Array[]} messages stay behind where they are too much for that
 * @param {Uint8Array} farewell
 */
export function sayLast(url, greeting, messages, farewell) {
  const headers = { "Content-Type": MEDIA_TYPE };
  const whole = joined([greeting, ...messages, farewell]);
  const last = whole.length > LAST_MAX ? joined([greeting, farewell]) : whole;
  const body = /** @type {Uint8Array<ArrayBuffer>} */ (last);
  fetch(url, { method: "POST", headers, body, credentials: "omit", keepalive: true }).catch(() => {});
}

/**
 * @param {string} url
 * @param {Uint8Array} body
 * @param {AbortSignal} signal
 * @returns {Promise<Uint8Array>}
 */
async function post(url, body, signal) {
  const response = await ask(url, body, signal);
  return ours(response.status, await contentOf(response));
}

/**
 * The request of an exchange.
 * @param {string} url
 * @param {Uint8Array} body
 * @param {AbortSignal} signal
 */
export function ask(url, body, signal) {
  return fetch(url, {
    method: "POST",
    headers: { "Content-Type": MEDIA_TYPE },
    body: /** @type {Uint8Array<ArrayBuffer>} */ (body),
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
    signal,
  });
}

/**
 * What an answer holds.
 * @param {Response} response
 * @throws {Error} it is longer than any of our proxy's
 */
export async function contentOf(response) {
  /** @type {Uint8Array[]} */
  const pieces = [];
  let length = 0;
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return joined(pieces);
    length += value.length;
    if (length > LENGTH_MAX) throw new Error("its answer has no end");
    pieces.push(value);
  }
}
