/**
 * A carrier over the browser's WebSocket.
 *
 * A carrier is anything with `send(bytes)`, which copies them, `unsent` and `close()`. It greets by itself, with what `greeting()` gives,
 * and then come `received(piece)` with bytes of the message stream cut anywhere, and `closed(reason)` once, after
 * which nothing comes.
 * @module
 */

export const SUBPROTOCOL = "pynet.v1";

/** The client is done (RFC 6455 §7.4.1); closed otherwise, the proxy keeps the session. */
const NORMAL = 1000;

/**
 * @typedef {object} CarrierEvents
 * @property {(purpose?: import("../session.js").Purpose) => Uint8Array} greeting the message to begin with
 * @property {(piece: Uint8Array) => void} received
 * @property {(reason: string) => void} closed
 *
 * @typedef {object} Carrier
 * @property {(message: Uint8Array) => void} send
 * @property {number} unsent bytes that were given to it and have not left
 * @property {(done?: boolean) => void} close `done`: the session that it may have begun is not wanted
 * @property {() => void} [retire] begin nothing more; what is under way may hold messages, and still comes
 */

/**
 * @param {string} url of the proxy, ws:// or wss://
 * @param {CarrierEvents} events
 * @returns {Carrier}
 * @throws {DOMException} the URL is none, or this page may not open it
 */
export function openWebSocket(url, events) {
  const webSocket = new WebSocket(url, SUBPROTOCOL);
  /** @param {Uint8Array} message */
  const send = (message) => webSocket.send(/** @type {Uint8Array<ArrayBuffer>} */ (message));
  webSocket.binaryType = "arraybuffer";
  webSocket.onopen = () => send(events.greeting());
  webSocket.onmessage = ({ data }) => {
    if (data instanceof ArrayBuffer) events.received(new Uint8Array(data));
  };
  let ended = false;
  const end = (/** @type {string} */ reason) => {
    if (!ended) events.closed(reason);
    ended = true;
  };
  webSocket.onclose = ({ code, reason }) => end(reason || `code ${code}`);
  webSocket.onerror = () => {
    // Where a policy of the page forbids it, Chromium lets no close follow; elsewhere that has the reason.
    if (webSocket.readyState === WebSocket.CLOSED) setTimeout(() => end("the browser does not allow it"));
  };
  return {
    send,
    get unsent() {
      return webSocket.bufferedAmount;
    },
    close: (done = false) => (done ? webSocket.close(NORMAL) : webSocket.close()),
  };
}
